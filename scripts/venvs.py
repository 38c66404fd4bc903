"""Virtual environments that the other scripts run tests in: made once, and made anew when what is wanted changes."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TEST_TOOLS = ("pytest>=8.3", "pytest-timeout>=2.3", "pytest-xdist>=3.6")


def environment(folder: Path, python: str, wanted: Iterable[str], *, alone: Iterable[str] = ()) -> Path:
    """The interpreter of the environment in `folder`, with this project and what is wanted in it.

    Args:
        folder: Where it is, or is made.
        python: The interpreter that it is made with.
        wanted: What is installed, as pip is told it; the newest versions that this allows.
        alone: What is installed after that, without its requirements.
    """
    wanted, alone = list(wanted), list(alone)
    own = folder / "bin" / "python"
    stamp = folder / "wanted"
    if not stamp.exists() or stamp.read_text() != repr((wanted, alone)):
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([python, "-m", "venv", folder], check=True)
        _install(own, ["-e", ".", *wanted])
        if alone:
            _install(own, ["--no-deps", *alone])
        stamp.write_text(repr((wanted, alone)))
    return own


def _install(python: Path, wanted: list[str]) -> None:
    """By uv where it is installed beside us: a tenth of the time; by pip where it is not, or where uv cannot."""
    if importlib.util.find_spec("uv"):
        uv = [sys.executable, "-m", "uv", "pip", "install", "-q", "--python", python]
        done = subprocess.run([*uv, *wanted], check=False, cwd=ROOT, env={"UV_SYSTEM_CERTS": "1", **os.environ})
        if done.returncode == 0:
            return
    pip = [python, "-m", "pip", "install", "-qq", "--no-compile", "--disable-pip-version-check"]
    subprocess.run([*pip, *wanted], check=True, cwd=ROOT)
