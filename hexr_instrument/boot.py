"""The boot folder: where it is, whether it may be trusted, and the environment in which Python runs it."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path


def boot_directory() -> Path:
    """The folder that holds our sitecustomize.py, and nothing else."""
    package = Path(__file__).resolve().parent
    boot = package / "_boot"
    return boot if (boot / "sitecustomize.py").exists() else package.parent / "sitecustomize"


def environment(environ: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, str]:
    """The environment of a recorded program: our folder first on PYTHONPATH, and the settings."""
    boot = str(boot_directory())
    before = environ.get("PYTHONPATH", "")
    # An empty entry is the working directory: the user's stays, and an empty variable must not become one.
    rest = [entry for entry in before.split(os.pathsep) if entry != boot] if before else []
    return {**environ, **settings, "PYTHONPATH": os.pathsep.join([boot, *rest])}


def refusal() -> str | None:
    """Why the boot file leaves recording off here, as one line, or None if it does not (it decides by itself)."""
    if os.name == "nt":  # modes say nothing there
        return None
    for path in (boot_directory(), boot_directory() / "sitecustomize.py"):
        if path.stat().st_mode & stat.S_IWOTH:
            return f"{path} can be written by everybody, so nothing will be recorded; chmod o-w it"
    return None
