"""What becomes of one SDK in a recorded program: `doctor` runs this in an interpreter of its own, under the boot file."""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

from . import start
from .call import Provider
from .guard import faults
from .providers import PROVIDERS


def main(*tables: str) -> None:
    """Imports the modules of an SDK's tables and prints one JSON object a line for each; other errors are raised.

    It has `table`, `booted` (whether the boot file ran), `absent` (why the module cannot be imported, or null),
    `patched` (names of methods), `left` (targets that stayed as they are, and why), `faults` (of ours).
    """
    booted = any(isinstance(finder, start.Finder) for finder in sys.meta_path)
    for provider in PROVIDERS:
        if provider.name in tables:
            sys.stdout.write(f"\n{json.dumps({'table': provider.name, 'booted': booted, **_look(provider)})}\n")


def _look(provider: Provider) -> dict[str, Any]:
    found: dict[str, Any] = {"absent": None, "patched": [], "left": {}, "faults": faults}
    try:
        importlib.import_module(provider.module)
    except ImportError as error:  # another version's module, or one that needs a library that is not there
        return found | {"absent": f"{type(error).__name__}: {error}"}
    engine = sys.modules.get(f"{__package__}.engine")
    if engine is not None and provider.name in engine.patches:
        patch = engine.patches[provider.name]
        found |= {"patched": [original for _, original, _ in patch.originals], "left": patch.left}
    return found
