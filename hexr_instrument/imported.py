"""What becomes of one SDK in a recorded program: `doctor` runs this in an interpreter of its own, under the boot file."""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

from . import config, start
from .guard import faults
from .providers import PROVIDERS


def main(name: str) -> None:
    """Imports the SDK of a provider and prints, as the last line, one JSON object; what the import raises is raised.

    It has `booted` (whether the boot file ran), `off` (whether the environment says so), `patched` and `optional`
    (names of targets), `left` (targets that stayed as they are, and why), `faults` (of ours).
    """
    booted = any(isinstance(finder, start.Finder) for finder in sys.meta_path)
    provider = next(each for each in PROVIDERS if each.name == name)
    importlib.import_module(provider.module)
    found: dict[str, Any] = {
        "booted": booted,
        "off": config.switched_off(),
        "patched": [],
        "left": {},
        "faults": faults,
    }
    engine = sys.modules.get(f"{__package__}.engine")
    if engine is not None and name in engine.patches:
        patch = engine.patches[name]
        found["patched"] = [original for _, original, _ in patch.originals]
        found["left"] = patch.left
    sys.stdout.write(f"\n{json.dumps(found)}\n")
