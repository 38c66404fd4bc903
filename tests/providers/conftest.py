"""Further providers' SDKs: each file of tests needs its SDK, and is not looked at where that is not installed."""

from __future__ import annotations

import importlib.util

NEEDS: dict[str, str] = {
    "test_cohere.py": "cohere",
    "test_mistral.py": "mistralai",
}
"""File of tests -> the module without which it is left out: `make providers` has an environment for each."""


def _installed(module: str) -> bool:
    package, _, rest = module.partition(".")
    return importlib.util.find_spec(package) is not None and (not rest or importlib.util.find_spec(module) is not None)


collect_ignore = [file for file, module in NEEDS.items() if not _installed(module)]
