"""What becomes of an SDK, framework or wire in a recorded program; `doctor` runs this under the boot file."""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

from . import start
from .call import Framework, Provider
from .frameworks import FRAMEWORKS
from .guard import faults
from .providers import PROVIDERS
from .wires import WIRES, Wire


def main(*tables: str) -> None:
    """Imports the modules of an SDK's tables and prints one JSON object a line for each; other errors are raised.

    It has `table`, `booted` (whether the boot file ran), `absent` (why the module cannot be imported, or null),
    `patched` (names of methods), `asked` (whether a framework is asked itself), `left` (targets that stayed as they
    are, and why), `faults` (of ours).
    """
    booted = any(isinstance(finder, start.Finder) for finder in sys.meta_path)
    for table in (*PROVIDERS, *FRAMEWORKS, *WIRES):
        if table.name in tables:
            sys.stdout.write(f"\n{json.dumps({'table': table.name, 'booted': booted, **_look(table)})}\n")


def _look(table: Provider | Framework | Wire) -> dict[str, Any]:
    found: dict[str, Any] = {"absent": None, "patched": [], "asked": False, "left": {}, "faults": faults}
    try:
        if table.module in start.REQUESTS:  # it has its turn once an SDK has loaded this
            importlib.import_module(f"{__package__}.hub")
        importlib.import_module(table.module)
    except ImportError as error:  # another version's module, or one that needs a library that is not there
        return found | {"absent": f"{type(error).__name__}: {error}"}
    if table.module in start.SHARED:
        start.used(sys.modules[table.module])
    engine = sys.modules.get(f"{__package__}.engine")
    if engine is not None and table.name in engine.patches:
        patch = engine.patches[table.name]
        found |= {"patched": [original for _, original, _ in patch.originals], "left": patch.left}
    elif engine is not None and table.name in engine.hooks:
        hook = engine.hooks[table.name]
        found |= {"patched": [original for _, original, _ in hook.originals], "left": hook.left}
        found["asked"] = hook.reader is not None
    elif engine is not None and table.name in engine.links:
        link = engine.links[table.name]
        found |= {"patched": [original for _, original, _ in link.originals], "left": link.left}
    return found
