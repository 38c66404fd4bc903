"""The wheel, the sdist and the editable install: what is in them, and that a launch works from them."""

from __future__ import annotations

import configparser
import importlib.util
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from support import ROOT, clean_environment

from hexr_instrument.cli import boot_directory

hatchling = pytest.mark.skipif(importlib.util.find_spec("hatchling") is None, reason="hatchling is not installed")
pytestmark = pytest.mark.skipif(not (ROOT / "pyproject.toml").exists(), reason="the tests run without the repository")
ON = "any(type(finder).__module__ == 'hexr_instrument.start' for finder in sys.meta_path)"


def python(*arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs this interpreter."""
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=cwd, env=clean_environment(**variables), capture_output=True, text=True, timeout=120
    )


def build(source: Path, target: Path, hook: str = "build_wheel") -> Path:
    """Builds with a PEP 517 hook, in a process of its own, without a network."""
    code = f"import sys, hatchling.build as backend; print(backend.{hook}(sys.argv[1]))"
    done = python("-c", code, str(target), cwd=source, SOURCE_DATE_EPOCH="1700000000")
    assert done.returncode == 0, done.stderr
    return target / done.stdout.split()[-1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of this repository."""
    return build(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source distribution of this repository."""
    return build(ROOT, tmp_path_factory.mktemp("sdist"), "build_sdist")


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel installed: by pip, or unpacked where there is no pip; without its dependencies."""
    target = tmp_path_factory.mktemp("installed")
    if importlib.util.find_spec("pip") is None:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(target)
        return target
    options = ("--no-deps", "--no-index", "--no-compile", "--disable-pip-version-check", "--target", str(target))
    done = python("-m", "pip", "install", "--quiet", *options, str(wheel), cwd=target)
    assert done.returncode == 0, done.stderr
    return target


def names(wheel: Path) -> set[str]:
    """The paths that a wheel's RECORD lists."""
    with zipfile.ZipFile(wheel) as archive:
        record = next(name for name in archive.namelist() if name.endswith(".dist-info/RECORD"))
        listed = {line.split(",")[0] for line in archive.read(record).decode().splitlines()}
        assert listed == set(archive.namelist())
        return listed


@hatchling
def test_the_wheel_has_what_is_needed_and_nothing_else(wheel: Path) -> None:
    """Every file of the package, the boot file, the examples and the licences; no top-level sitecustomize, no tests."""
    listed = names(wheel)
    info = next(name.partition("/")[0] for name in listed if ".dist-info/" in name)
    caches = ("__pycache__", ".")
    ours = {
        path
        for path in (ROOT / "hexr_instrument").rglob("*")
        if path.is_file() and not any(part.startswith(caches) for part in path.relative_to(ROOT).parts)
    }
    examples = {path for path in (ROOT / "examples").iterdir() if path.is_file()}
    assert {name for name in listed if not name.startswith(info)} == {
        "hexr.py",
        "hexr_instrument/_boot/sitecustomize.py",
        *(f"hexr_instrument/_examples/{path.name}" for path in examples),
        *(path.relative_to(ROOT).as_posix() for path in ours),
    }
    assert {"hexr_instrument/py.typed", "hexr_instrument/prices.json", "hexr_instrument/__main__.py"} <= listed
    assert {f"{info}/licenses/LICENSE", f"{info}/licenses/NOTICE", f"{info}/entry_points.txt"} <= listed
    assert not [name for name in listed if name.endswith((".pyc", ".pyo", ".so"))]


@hatchling
def test_the_wheel_names_its_entry_points(wheel: Path) -> None:
    """The command, and the instrumentor that opentelemetry-instrument finds; each names an object that exists."""
    with zipfile.ZipFile(wheel) as archive:
        text = archive.read(next(name for name in archive.namelist() if name.endswith("/entry_points.txt"))).decode()
        metadata = archive.read(next(name for name in archive.namelist() if name.endswith("/METADATA"))).decode()
    points = configparser.ConfigParser()
    points.read_string(text)
    assert set(points.sections()) == {
        "console_scripts",
        "opentelemetry_instrumentor",
    }
    assert dict(points["console_scripts"]) == {"hexr-instrument": "hexr_instrument.cli:main"}
    for section in points.sections():
        for value in points[section].values():
            module, _, name = value.partition(":")
            assert callable(getattr(importlib.import_module(module), name))
    assert "Requires-Python: >=3.10" in metadata
    assert "License-Expression: Apache-2.0" in metadata


@hatchling
def test_the_sdist_builds_the_same_wheel(sdist: Path, wheel: Path, tmp_path: Path) -> None:
    """A wheel built from the unpacked sdist has the same files as one built from the repository."""
    with tarfile.open(sdist) as archive:
        if sys.version_info >= (3, 12):
            archive.extractall(tmp_path, filter="data")
        else:
            archive.extractall(tmp_path)
    (source,) = tmp_path.iterdir()
    assert {"tests", "sitecustomize", "LICENSE", "NOTICE", "README.md"} <= {path.name for path in source.iterdir()}
    assert names(build(source, tmp_path)) == names(wheel)


@hatchling
def test_a_launch_works_from_an_installed_wheel(installed: Path, tmp_path: Path) -> None:
    """With the wheel's folder on PYTHONPATH, the launcher uses the wheel's own boot folder, and children boot too."""
    code = f"import hexr_instrument, sys; print({ON}); print(hexr_instrument.__file__); print(sys.path)"
    done = python("-m", "hexr_instrument", sys.executable, "-c", code, cwd=tmp_path, PYTHONPATH=str(installed))
    plain = python("-c", "import sys; print(sys.path)", cwd=tmp_path, PYTHONPATH=str(installed))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"True\n{installed / 'hexr_instrument' / '__init__.py'}\n{plain.stdout}"
    printed = python("-m", "hexr_instrument", "env", cwd=tmp_path, PYTHONPATH=str(installed)).stdout
    assert str(installed / "hexr_instrument" / "_boot") in printed


@hatchling
def test_an_installed_wheel_loads_nothing_by_itself(installed: Path, tmp_path: Path) -> None:
    """Without the launcher, an interpreter that has us installed has no sitecustomize of ours and no finder."""
    code = f"import sys; module = sys.modules.get('sitecustomize'); print({ON}, '_boot' in str(module), "
    code += "[name for name in sys.modules if 'hexr' in name])"
    environ = clean_environment(PYTHONPATH=str(installed))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "False False []\n"


@hatchling
def test_an_installed_wheel_has_typed_names_and_prices(installed: Path, tmp_path: Path) -> None:
    """The facade and the price table are those of the wheel."""
    code = "import hexr, hexr_instrument.pricing as p; print(hexr.__file__, p.__file__, bool(p.version()))"
    done = python("-c", code, cwd=tmp_path, PYTHONPATH=str(installed))
    assert (
        done.stdout == f"{installed / 'hexr.py'} {installed / 'hexr_instrument' / 'pricing' / '__init__.py'} True\n"
    ), done.stderr


@hatchling
def test_an_editable_install_copies_nothing(tmp_path: Path) -> None:
    """An editable wheel has one path in it: boot file, examples and package are used where they are."""
    done = build(ROOT, tmp_path, "build_editable")
    with zipfile.ZipFile(done) as archive:
        (path,) = [name for name in archive.namelist() if ".dist-info/" not in name]
        assert path.endswith(".pth")
        assert archive.read(path).decode().split("\n") == [str(ROOT)]


def test_the_boot_folder_is_found() -> None:
    """From the repository, its own folder; from an install, the wheel's. It holds one file and is no package."""
    found = Path(boot_directory())
    assert [path.name for path in found.iterdir() if path.name != "__pycache__"] == ["sitecustomize.py"]
    import hexr_instrument

    package = Path(hexr_instrument.__file__).resolve().parent
    assert found in (ROOT / "sitecustomize", package / "_boot")
    assert not (ROOT / "sitecustomize" / "__init__.py").exists()


def test_the_boot_file_is_valid_from_python_2_7_on() -> None:
    """The boot file has no syntax that is younger than Python 2.7, and imports os and sys before it knows more."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    old = [*sorted(pyenv.glob("versions/2.7*/bin/python")), *sorted(pyenv.glob("versions/3.[0-9].*/bin/python"))]
    if not old:
        pytest.skip("no old Python here")
    path = str(Path(boot_directory()) / "sitecustomize.py")
    for interpreter in old:
        code = "import sys; compile(open(sys.argv[1]).read(), 'boot', 'exec')"
        done = subprocess.run([interpreter, "-c", code, path], capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, ""), interpreter
