"""Writes requirements.txt: the newest pure-Python wheels of requirements.in, each by its hash: `python lock.py`."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

from lay_out import ANY, REQUIREMENTS


def main() -> None:
    """Downloads the wheels and writes down which they are."""
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "download"]
        subprocess.run([*pip, *ANY, "--dest", folder, "-r", REQUIREMENTS.with_suffix(".in")], check=True)
        lines = [
            f"{'=='.join(wheel.name.split('-')[:2])} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"
            for wheel in sorted(Path(folder).glob("*.whl"))
        ]
    REQUIREMENTS.write_text("# Written by lock.py: pure-Python wheels only.\n" + "".join(lines))


if __name__ == "__main__":
    main()
