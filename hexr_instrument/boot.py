"""The boot folder: where it is, whether it may be trusted, and the environment in which Python runs it.

Every launch imports this: nothing but what Python has loaded anyway.
"""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def boot_directory() -> str:
    """The folder that holds our sitecustomize.py, and nothing else."""
    package = os.path.dirname(os.path.realpath(__file__))
    boot = os.path.join(package, "_boot")
    if os.path.exists(os.path.join(boot, "sitecustomize.py")):
        return boot
    return os.path.join(os.path.dirname(package), "sitecustomize")


def injected() -> str | None:
    """The folder of the injected image that this package is in, if it is (deploy/injected)."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
    return root if os.path.exists(os.path.join(root, ".hexr-injected")) else None


def places(image: str) -> list[str]:
    """The folders of the injected image that PYTHONPATH may name: ours, and the OpenTelemetry operator's."""
    operators = os.path.join(image, "opentelemetry", "instrumentation", "auto_instrumentation")
    return [os.path.join(image, "boot"), operators]


def environment(environ: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, str]:
    """The environment of a recorded program: our folder first on PYTHONPATH, and the settings."""
    boot = boot_directory()
    before = environ.get("PYTHONPATH", "")
    # An empty entry is the working directory: the user's stays, and an empty variable must not become one.
    rest = [entry for entry in before.split(os.pathsep) if entry != boot] if before else []
    return {**environ, **settings, "PYTHONPATH": os.pathsep.join([boot, *rest])}


def refusal() -> str | None:
    """Why the boot file leaves recording off here, as one line, or None if it does not (it decides by itself)."""
    if os.name == "nt":  # modes say nothing there
        return None
    for path in (boot_directory(), os.path.join(boot_directory(), "sitecustomize.py")):
        if os.stat(path).st_mode & stat.S_IWOTH:
            return f"{path} can be written by everybody, so nothing will be recorded; chmod o-w it"
    return None
