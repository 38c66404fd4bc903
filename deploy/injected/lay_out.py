"""Lays out the folder that is injected into foreign containers: `python lay_out.py FOLDER WHEEL`.

    .hexr-injected          the mark by which the boot file knows the folder
    boot/sitecustomize.py   what PYTHONPATH names
    opentelemetry/instrumentation/auto_instrumentation/sitecustomize.py
                            the same file, where the OpenTelemetry operator has PYTHONPATH look
    pkgs/                   this package and its libraries, reached last on sys.path

All of it is pure Python: one folder for every Python from 3.10 on, for glibc and musl, for every processor. So it has no
gRPC; OTLP goes over HTTP.
"""

from __future__ import annotations

import shutil
import stat
import subprocess
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).resolve().parent / "requirements.txt"
ANY = (
    "--only-binary",
    ":all:",
    "--platform",
    "any",
    "--implementation",
    "py",
    "--abi",
    "none",
    "--python-version",
    "3.10",
)
OPERATOR = "opentelemetry/instrumentation/auto_instrumentation"


def lay_out(folder: Path, wheel: str) -> None:
    """Makes the folder, which must not be there yet, from a wheel of this project."""
    packages = folder / "pkgs"
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "--quiet",
        "install",
        "--no-compile",
        "--no-deps",
    ]
    subprocess.run([*pip, *ANY, "--target", packages, "--require-hashes", "-r", REQUIREMENTS], check=True)
    shutil.rmtree(packages / "bin", ignore_errors=True)  # commands of this machine's Python
    subprocess.run([*pip, "--target", packages, wheel], check=True)
    shutil.rmtree(packages / "bin", ignore_errors=True)
    if built := list(packages.rglob("*.so")):
        raise SystemExit(f"not pure Python: {', '.join(map(str, built))}")
    for place in ("boot", OPERATOR):
        (folder / place).mkdir(parents=True)
        shutil.copy(packages / "hexr_instrument" / "_boot" / "sitecustomize.py", folder / place)
    (folder / ".hexr-injected").write_text("hexr-instrument, for Python 3.10 and later\n")
    for path in (folder, *folder.rglob("*")):
        path.chmod(stat.S_IMODE(path.stat().st_mode) & ~0o022 | (0o755 if path.is_dir() else 0o644))


if __name__ == "__main__":
    lay_out(Path(sys.argv[1]), sys.argv[2])
