"""Interpreter start: what the boot file and the import finder do, and above all what they leave alone."""

from __future__ import annotations

import importlib.util
import itertools
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from support import ROOT, Run, clean_environment, records

from hexr_instrument.cli import boot_directory
from hexr_instrument.demo.providers import ProviderServer
from hexr_instrument.demo.receiver import OtlpReceiver

posix = pytest.mark.skipif(os.name == "nt", reason="paths and descriptors are those of POSIX")
BOOT = str(boot_directory())
BASE = Path(sys.base_prefix) / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
"""The interpreter below a virtual environment, which has neither us nor our libraries."""
based = pytest.mark.skipif(not BASE.exists() or sys.prefix == sys.base_prefix, reason="needs a virtual environment")
ON = "any(type(finder).__module__ == 'hexr_instrument.start' for finder in sys.meta_path)"
"""Whether recording is on, as an expression."""
SDK = """
class SyncAPIClient:
    def request(self, cast_to, options, *, stream=False, stream_cls=None):
        return "answered"


class AsyncAPIClient:
    async def request(self, cast_to, options, *, stream=False, stream_cls=None):
        return "answered"


class BaseClient:
    def _process_response_data(self, *, data, cast_to, response):
        return data
"""
"""A stand-in for `openai._base_client`: what the table of targets names, and nothing to import."""
PATCHED = "type(vars(base.SyncAPIClient)['request']) is not types.FunctionType"
"""Whether the stand-in is patched."""


def start(
    *arguments: str,
    python: str = sys.executable,
    boot: str | None = BOOT,
    path: tuple[Path | str, ...] = (),
    cwd: Path | None = None,
    **variables: str,
) -> subprocess.CompletedProcess[str]:
    """Runs an interpreter with the boot folder before `path` on PYTHONPATH, or without it."""
    entries = [*([boot] if boot else []), *map(str, path)]
    environ = clean_environment(**variables)
    if python != sys.executable:
        environ["PYTHONDONTWRITEBYTECODE"] = "1"  # in our folders, other Pythons would leave theirs
    if entries:
        environ["PYTHONPATH"] = os.pathsep.join(entries)
    return subprocess.run([python, *arguments], cwd=cwd, env=environ, capture_output=True, text=True, timeout=60)


def seen(done: subprocess.CompletedProcess[str]) -> tuple[int, str, str]:
    """What a caller sees of a program."""
    return done.returncode, done.stdout, done.stderr


def sdk(folder: Path, source: str = SDK) -> Path:
    """A folder with a stand-in for the OpenAI SDK."""
    package = folder / "openai"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "_base_client.py").write_text(source)
    return folder


def interpreters() -> list[str]:
    """Other Pythons of this machine: pyenv's, and the system's."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    found = [str(path) for path in sorted(pyenv.glob("versions/*/bin/python")) if os.access(path, os.X_OK)]
    system = [name for name in ("/usr/bin/python2", "/usr/bin/python3") if os.access(name, os.X_OK)]
    return [*found, *system]


def named(python: str) -> str:
    """An interpreter's name in a test's id."""
    return python.split("/")[-3] if "versions" in python else Path(python).name


OTHERS = [pytest.param(python, id=named(python)) for python in interpreters()] or [
    pytest.param(None, marks=pytest.mark.skip(reason="neither pyenv nor the system has another Python"))
]


# -- nothing happens


STATE = """
import sys
before = sorted(sys.modules)
import os
fds = []
for number in range(64):
    try:
        os.fstat(number)
    except OSError:
        continue
    fds.append(number)
print(fds, len(sys._current_frames()), sys.path, sys.getrecursionlimit(), sys.gettrace(), sys.excepthook.__name__)
import random, signal, warnings
print([signal.getsignal(number) for number in signal.valid_signals()], warnings.filters)
print("\\n".join(before), file=sys.stderr)
"""


@posix
def test_an_interpreter_start_loads_nothing_but_the_finder() -> None:
    """Two small modules of ours, and no other module, thread, descriptor, signal handler or warning filter."""
    plain, booted = start("-c", STATE, boot=None), start("-c", STATE)
    assert booted.stdout == plain.stdout
    extra = set(booted.stderr.split()) - set(plain.stderr.split())
    assert extra <= {"hexr_instrument", "hexr_instrument.start", "sitecustomize", "__future__"}


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs strace or /proc")
def test_an_interpreter_start_writes_nothing(tmp_path: Path) -> None:
    """Neither the home, the state folder nor the working directory has a new file after a start."""
    done = start("-c", "pass", cwd=tmp_path, HOME=str(tmp_path), XDG_STATE_HOME=str(tmp_path), TMPDIR=str(tmp_path))
    assert seen(done) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


def test_the_programs_random_numbers_are_its_own() -> None:
    """A seeded sequence is that of the plain run, and `random` is not loaded by us."""
    code = "import sys; early = 'random' in sys.modules; import random; random.seed(42); print(early, random.random())"
    assert seen(start("-c", code)) == seen(start("-c", code, boot=None))


HEAVY = ("opentelemetry", "wrapt", "dataclasses", "inspect", "threading", "logging", "asyncio", "pathlib", "json")


def test_the_package_is_light_to_import() -> None:
    """`import hexr_instrument` loads none of its rooms and no library, OpenTelemetry least of all."""
    code = "import sys; before = set(sys.modules); import hexr_instrument; print(*sorted(set(sys.modules) - before))"
    loaded = start("-c", code, boot=None).stdout.split()
    assert [name for name in loaded if name.startswith("hexr_instrument.")] == []
    assert [name for name in loaded if name.partition(".")[0] in HEAVY] == []


@pytest.mark.parametrize("flag", ["-S", "-E", "-I"])
def test_isolation_is_respected(flag: str, tmp_path: Path) -> None:
    """Under -S, -E and -I recording is off, and the output is that of the plain run, without a word on stderr."""
    code = "import os, sys; print(sys.flags, sys.argv, 'sitecustomize' in sys.modules, sys.modules.keys())"
    done = start(flag, "-c", code, cwd=tmp_path)
    assert seen(done) == seen(start(flag, "-c", code, boot=None, cwd=tmp_path))
    assert start(flag, "-c", f"import sys; print({ON})").stdout == "False\n"


SHADOWS = ("random", "platform", "typing", "logging", "dataclasses", "site", "secrets", "wrapt", "opentelemetry")


def test_modules_of_the_working_directory_are_not_executed(tmp_path: Path) -> None:
    """A random.py or typing.py beside the program runs only where the program imports it itself."""
    for name in SHADOWS:
        (tmp_path / f"{name}.py").write_text(f"print('executed {name}')")
    program = tmp_path / "elsewhere" / "program.py"
    program.parent.mkdir()
    program.write_text(f"import sys; print({ON})")
    script = Path(sys.executable).with_name("hexr-instrument")
    launcher = [str(script)] if script.exists() else []
    command = [*launcher, sys.executable, str(program)]
    environ = clean_environment() if launcher else clean_environment(PYTHONPATH=BOOT)
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60)
    assert seen(done) == (0, "True\n", "")


def test_a_working_directory_that_is_gone_is_no_fault(tmp_path: Path) -> None:
    """A process whose working directory was removed starts as without us."""
    if os.name == "nt":
        pytest.skip("Windows does not remove a folder in use")
    (tmp_path / "program.py").write_text(
        "import os, subprocess, sys\n"
        "os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone')\n"
        "subprocess.run([sys.executable, '-c', 'import sys; print(sys.path)'], check=True)\n"
    )
    booted, plain = (start("program.py", cwd=tmp_path, boot=boot) for boot in (BOOT, None))
    assert seen(booted) == seen(plain)
    assert plain.returncode == 0


# -- the sitecustomize that ours shadows

CUSTOM = {
    "runs": "print('theirs', __name__, __file__)",
    "defines": "import sys; print('theirs'); sys.their_mark = 1",
    "raises": "print('theirs'); raise ValueError('boom')",
    "needs what is missing": "print('theirs')\nimport no_such_module_anywhere",
    "raises an ImportError without a name": "raise ImportError('boom')",
    "raises an ImportError of its own name": "raise ImportError('boom', name='sitecustomize')",
    "exits": "raise SystemExit(5)",
    "has a wrong syntax": "def",
}


@pytest.mark.parametrize("source", CUSTOM.values(), ids=CUSTOM.keys())
def test_the_users_sitecustomize_runs_as_without_us(source: str, tmp_path: Path) -> None:
    """Once, under its own name, with what it prints and raises shown as without us; it is the module of that name."""
    (tmp_path / "sitecustomize.py").write_text(source)
    code = "import sys; print(sys.path, getattr(sys, 'their_mark', 0)); module = sys.modules.get('sitecustomize'); "
    code += "print('theirs is loaded:', getattr(module, '__file__', None) == sys.argv[1])"
    arguments = ("-c", code, str(tmp_path / "sitecustomize.py"))
    booted, plain = (start(*arguments, path=(tmp_path,), boot=boot) for boot in (BOOT, None))
    if plain.returncode:  # it ends the interpreter: with a traceback, which has our frames too
        last = [done.stderr.splitlines()[-1] for done in (booted, plain)]
        assert (booted.returncode, booted.stdout, last[0]) == (plain.returncode, plain.stdout, last[1])
        return
    assert seen(booted) == seen(plain)
    assert start("-c", f"import sys; print({ON})", path=(tmp_path,)).stdout.endswith("True\n")


@pytest.mark.parametrize("python", OTHERS)
def test_another_python_starts_as_without_us(python: str) -> None:
    """Any Python from 2.7 on, without us installed, shows the same output, path and sitecustomize, and no stderr."""
    code = "import sys; m = sys.modules.get('sitecustomize'); print(sys.path); print(getattr(m, '__file__', None))"
    booted, plain = start("-c", code, python=python), start("-c", code, python=python, boot=None)
    if "None" in plain.stdout.splitlines()[-1]:  # no other: `site` keeps ours, as it keeps any
        assert booted.stdout.splitlines()[0] == plain.stdout.splitlines()[0]
        assert (booted.returncode, booted.stderr) == (0, "")
    else:
        assert seen(booted) == seen(plain)
        assert booted.returncode == 0


@pytest.mark.parametrize("python", OTHERS)
def test_a_failing_sitecustomize_fails_alike_everywhere(python: str, tmp_path: Path) -> None:
    """In each Python, a sitecustomize that raises shows the same lines as without us."""
    for name in ("raises", "needs what is missing"):
        folder = tmp_path / name.partition(" ")[0]
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(CUSTOM[name])
        booted = start("-c", "print('program')", python=python, path=(folder,))
        assert seen(booted) == seen(start("-c", "print('program')", python=python, path=(folder,), boot=None))


@based
def test_usercustomize_is_unaffected(tmp_path: Path) -> None:
    """A usercustomize runs once, after sitecustomize, as without us."""
    (tmp_path / "usercustomize.py").write_text("import sys; print('user', sys.path)")
    (tmp_path / "sitecustomize.py").write_text("print('site')")
    # A virtual environment has no user site; the base interpreter may have one, below PYTHONUSERBASE.
    booted, plain = (
        start("-c", "", python=str(BASE), path=(tmp_path, ROOT), boot=boot, PYTHONUSERBASE=str(tmp_path))
        for boot in (BOOT, None)
    )
    assert seen(booted) == seen(plain)
    assert plain.stdout.startswith("site\nuser")


def test_a_second_boot_does_nothing(tmp_path: Path) -> None:
    """The boot file run again, or `start` reloaded, adds no second finder."""
    code = (
        "import importlib, runpy, sys; runpy.run_path(sys.argv[1], run_name='sitecustomize'); "
        "from hexr_instrument import start; importlib.reload(start); start.start(); start.start(); "
        "print(sum(type(finder).__module__ == 'hexr_instrument.start' for finder in sys.meta_path))"
    )
    done = start("-c", code, str(Path(BOOT) / "sitecustomize.py"), cwd=tmp_path)
    assert seen(done) == (0, "1\n", "")


def test_two_boot_folders_boot_once(tmp_path: Path) -> None:
    """Two installations' boot folders on PYTHONPATH leave one finder, and the user's sitecustomize still runs."""
    second = tmp_path / "second"
    shutil.copytree(BOOT, second)
    (tmp_path / "sitecustomize.py").write_text("print('theirs')")
    code = (
        "import sys; print(sum(type(each).__module__ == 'hexr_instrument.start' for each in sys.meta_path), sys.path)"
    )
    plain = start("-c", code, boot=None, path=(tmp_path,))
    assert start("-c", code, path=(second, tmp_path)).stdout == plain.stdout.replace("\n0", "\n1")


SUBINTERPRETER = """
import sys
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
number = interpreters.create()
failed = interpreters.run_string(number, sys.argv[1])
interpreters.destroy(number)
print(failed)
"""


@pytest.mark.parametrize("python", [pytest.param(sys.executable, id="this"), *OTHERS])
def test_a_subinterpreter_is_silent(python: str, tmp_path: Path) -> None:
    """Recording starts in a subinterpreter too, and a provider imported there works, without a word on stderr."""
    if start("-c", "import sys; sys.exit(sys.version_info < (3, 10))", python=python, boot=None).returncode:
        pytest.skip("hexr-instrument needs Python 3.10")
    code = f"import sys; print({ON}, flush=True)"
    assert seen(start("-c", SUBINTERPRETER, code, python=python, path=(ROOT,))) == (0, "True\nNone\n", "")
    if start("-c", SUBINTERPRETER, "import hashlib", python=python, boot=None).returncode:
        pytest.skip("this Python crashes at the end of a subinterpreter that has imported hashlib")
    code = "import openai._base_client as base; print(base.SyncAPIClient().request(1, {}), flush=True)"
    done = start("-c", SUBINTERPRETER, code, python=python, path=(ROOT, sdk(tmp_path)))
    assert seen(done) == (0, "answered\nNone\n", "")


# -- faults of ours

PROGRAM = "import sys, openai._base_client as base; print(base.SyncAPIClient().request(str, {}), sys.argv)"
RUIN = {
    "no start.py": ("start.py", None),
    "no package": ("__init__.py", "raise ImportError('half installed')"),
    "no hub.py": ("hub.py", None),
    "no nouns": ("call/nouns.py", None),
    "no config.py": ("config.py", None),
    "wrong syntax in start": ("start.py", "def"),
    "wrong syntax in the engine": ("engine.py", "def"),
    "null bytes in the hub": ("hub.py", "\0"),
    "start exits": ("start.py", "raise SystemExit(9)"),
    "start recurses": ("start.py", "def start():\n    start()\n"),
    "start is out of memory": ("start.py", "def start():\n    raise MemoryError\n"),
    "start has nothing": ("start.py", ""),
    "the hub raises": ("hub.py", "def on_import(module):\n    raise RuntimeError('boom')\n"),
    "the hub recurses": ("hub.py", "def on_import(module):\n    on_import(module)\n"),
    "the engine is another's": ("engine.py", "patches = {}\n"),
}


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A copy of the package to be ruined."""
    ignore = shutil.ignore_patterns("__pycache__", "demo", "report")
    shutil.copytree(ROOT / "hexr_instrument", tmp_path / "copy" / "hexr_instrument", ignore=ignore)
    return tmp_path / "copy"


@pytest.mark.parametrize(("file", "source"), RUIN.values(), ids=RUIN.keys())
def test_a_half_installed_package_is_silent(file: str, source: str | None, broken: Path, tmp_path: Path) -> None:
    """Whatever of ours is missing, misspelt or raises at start or at a provider's import, the program runs, silent."""
    path = broken / "hexr_instrument" / file
    path.unlink()
    if source is not None:
        path.write_text(source)
    stand_in = sdk(tmp_path / "sdk")
    booted = start("-c", PROGRAM, "argument", path=(broken, stand_in))
    assert seen(booted) == seen(start("-c", PROGRAM, "argument", path=(stand_in,), boot=None))
    assert booted.returncode == 0
    told = start("-c", PROGRAM, "argument", path=(broken, stand_in), HEXR_DEBUG="1")
    assert (told.returncode, told.stdout) == (0, booted.stdout)
    assert "Traceback" in told.stderr


@based
def test_a_package_without_its_libraries_is_silent(tmp_path: Path) -> None:
    """Where wrapt or OpenTelemetry is missing, the program runs, silent, unpatched."""
    stand_in = sdk(tmp_path)
    booted = start("-c", PROGRAM, python=str(BASE), path=(ROOT, stand_in))
    assert seen(booted) == seen(start("-c", PROGRAM, python=str(BASE), path=(stand_in,), boot=None))
    assert booted.returncode == 0


# -- the finder


LOADER = """
import importlib.util, inspect, sys, types
import openai._base_client as base
spec = base.__spec__
print(type(base.__loader__), spec.loader is base.__loader__, vars(base.__loader__), spec.origin, spec.cached)
print(base.__file__, base.__cached__, inspect.getsource(base)[:40], spec.loader.get_data(base.__file__)[:40])
print(importlib.util.find_spec("openai._base_client") is spec, spec.loader.get_code(base.__name__))
print(inspect.getsource(base.SyncAPIClient), inspect.getsource(base.SyncAPIClient.request))
print(inspect.signature(base.SyncAPIClient.request), base.SyncAPIClient.request.__qualname__)
"""


def test_a_providers_module_is_left_as_its_loader_made_it(tmp_path: Path) -> None:
    """Loader, spec, code, data and source of a patched module are those of the plain run."""
    stand_in = sdk(tmp_path)
    booted, plain = (start("-c", LOADER, path=(stand_in,), boot=boot) for boot in (BOOT, None))
    without_ids = [done.stdout.partition(" at 0x")[0] for done in (booted, plain)]
    assert without_ids[0] == without_ids[1]
    assert (booted.returncode, booted.stderr) == (0, plain.stderr)
    code = f"import types, openai._base_client as base; print({PATCHED})"
    assert start("-c", code, path=(stand_in,)).stdout == "True\n"


def test_a_zipped_provider_is_patched_and_its_neighbours_load(tmp_path: Path) -> None:
    """A loader that serves many modules, as that of zip archives, still serves the others."""
    sdk(tmp_path)
    with zipfile.ZipFile(tmp_path / "sdk.zip", "w") as archive:
        for path in (tmp_path / "openai").iterdir():
            archive.write(path, f"openai/{path.name}")
        archive.writestr("openai/other.py", "here = True")
    code = (
        "import importlib.util, types, openai\nimportlib.util.find_spec('openai._base_client')\nimport openai.other\n"
    )
    code += "import openai._base_client as base\nprint(openai.other.here, base.__loader__ is openai.other.__loader__, "
    code += f"vars(base.__loader__).keys() & {{'exec_module'}}, {PATCHED})"
    done = start("-c", code, path=(tmp_path / "sdk.zip",))
    assert seen(done) == (0, "True True set() True\n", "")


LAZY = f"""
import importlib.util, sys, types
spec = importlib.util.find_spec("openai._base_client")
spec.loader = importlib.util.LazyLoader(spec.loader)
base = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = base
spec.loader.exec_module(base)
print("wrapt" in sys.modules)
print(base.SyncAPIClient().request(1, {{}}), {PATCHED}, type(base.__loader__).__name__)
"""


def test_a_lazy_module_is_patched_when_it_loads(tmp_path: Path) -> None:
    """`importlib.util.LazyLoader` delays us as it delays the module."""
    assert seen(start("-c", LAZY, path=(sdk(tmp_path),))) == (0, "False\nanswered True SourceFileLoader\n", "")


FAILING = {
    "a missing module": "import no_such_module_anywhere",
    "an ImportError": "raise ImportError('boom', name='x', path='y')",
    "another error": "raise ValueError('boom')",
    "a wrong syntax": "def",
    "an exit": "raise SystemExit(4)",
}


@pytest.mark.parametrize("source", FAILING.values(), ids=FAILING.keys())
def test_an_import_that_fails_fails_alike(source: str, tmp_path: Path) -> None:
    """Type, arguments, name, path, cause and context of the error are the plain run's; a later import works."""
    stand_in = sdk(
        tmp_path, f"import os\nif not os.environ.pop('WELL', ''):\n    {source}\n" if source != "def" else "def"
    )
    code = (
        "import os, sys, traceback\n"
        "for attempt in (1, 2):\n"
        "    try:\n"
        "        import openai._base_client\n"
        "    except BaseException as error:\n"
        "        frames = [f.filename for f in traceback.extract_tb(error.__traceback__) if f.filename[0] != '<']\n"
        "        print(type(error), error.args, getattr(error, 'name', 0), getattr(error, 'path', 0), end=' ')\n"
        "        print(error.__cause__, error.__context__, 'openai._base_client' in sys.modules, end=' ')\n"
        "        print([name for name in frames if 'hexr' not in name])\n"
        "        print(sum('hexr' in name for name in frames), file=sys.stderr)\n"
        "os.environ['WELL'] = '1'\n"
        f"if {source != 'def'}:\n"
        "    import openai._base_client as base\n"
        "    print(base.__name__)\n"
    )
    booted, plain = (start("-c", code, path=(stand_in,), boot=boot) for boot in (BOOT, None))
    assert seen(booted)[:2] == seen(plain)[:2]
    assert booted.returncode == 0
    assert set(booted.stderr.split()) <= {"0", "1"}  # at most one frame of ours


def test_a_provider_that_is_not_installed_is_missing_alike(tmp_path: Path) -> None:
    """The error for an absent SDK, and for an SDK without the module that we watch, is the plain run's."""
    (tmp_path / "openai").mkdir()
    (tmp_path / "openai" / "__init__.py").touch()
    code = (
        "import importlib.util\n"
        "for name in ('openai._base_client', 'anthropic_absent._base_client'):\n"
        "    try:\n"
        "        __import__(name)\n"
        "    except ImportError as error:\n"
        "        print(repr(error), error.name, error.path)\n"
        "print(importlib.util.find_spec('openai._base_client'))\n"
    )
    booted, plain = (start("-c", code, path=(tmp_path,), boot=boot) for boot in (BOOT, None))
    assert seen(booted) == seen(plain)
    assert booted.returncode == 0


FINDERS = {
    "a copy of sys.meta_path": ("sys.meta_path = list(sys.meta_path)", "True"),
    "another finder first": ("sys.meta_path.insert(0, Nothing())", "True"),
    "an old finder without find_spec": ("sys.meta_path.insert(0, Old())", "True"),
    "a finder that asks all others": ("sys.meta_path.insert(0, Asking())", "True"),
    "another copy of our finder": ("sys.meta_path.insert(0, type(sys.meta_path[0])())", "True"),
    "only Python's own finders": ("sys.meta_path = sys.meta_path[-3:]", "False"),
}


@pytest.mark.parametrize(("change", "patched"), FINDERS.values(), ids=FINDERS.keys())
def test_a_changed_meta_path_works_or_is_off(change: str, patched: str, tmp_path: Path) -> None:
    """Whatever the program does to sys.meta_path, its imports work; a later `instrument()` patches where we were lost."""
    code = f"""
import importlib.util, sys, types
class Nothing:
    def find_spec(self, name, path=None, target=None):
        return None
class Old:
    def find_module(self, name, path=None):
        return None
class Asking:
    busy = False
    def find_spec(self, name, path=None, target=None):
        if Asking.busy or not name.startswith("openai"):
            return None
        Asking.busy = True
        try:
            return importlib.util.find_spec(name)
        finally:
            Asking.busy = False
{change}
import openai._base_client as base
print({PATCHED})
import hexr_instrument
hexr_instrument.instrument()
print({PATCHED}, base.SyncAPIClient().request(1, {{}}))
"""
    assert seen(start("-c", code, path=(sdk(tmp_path),))) == (0, f"{patched}\nTrue answered\n", "")


def test_a_reload_of_a_provider_breaks_nothing(tmp_path: Path) -> None:
    """`importlib.reload` works, as often as one likes; the new functions are patched, and unpatched, as the first."""
    code = (
        "import importlib, types, openai._base_client as base\n"
        "for _ in range(3):\n"
        "    importlib.reload(base)\n"
        "    print(base.SyncAPIClient().request(1, {}), type(base.__loader__).__name__, type(base.__spec__.loader).__name__)\n"
        f"    print({PATCHED})\n"
        "import hexr_instrument; hexr_instrument.uninstrument()\n"
        f"print(base.SyncAPIClient().request(1, {{}}), {PATCHED})\n"
    )
    want = "answered SourceFileLoader SourceFileLoader\nTrue\n" * 3 + "answered False\n"
    assert seen(start("-c", code, path=(sdk(tmp_path),))) == (0, want, "")


def test_threads_may_import_a_provider_at_once(tmp_path: Path) -> None:
    """Sixteen threads that import the same provider get one whole, patched module."""
    code = (
        "import importlib, sys, threading, types\n"
        "barrier, got = threading.Barrier(16), []\n"
        "def load():\n"
        "    barrier.wait()\n"
        "    importlib.util.find_spec('openai._base_client')\n"
        "    base = importlib.import_module('openai._base_client')\n"
        f"    got.append((base, {PATCHED}))\n"
        "threads = [threading.Thread(target=load) for _ in range(16)]\n"
        "for thread in threads: thread.start()\n"
        "for thread in threads: thread.join()\n"
        "print(len(got), len(set(got)), got[0][1])\n"
    )
    slow = f"import time; time.sleep(0.05)\n{SDK}"
    done = start("-c", "import importlib.util\n" + code, path=(sdk(tmp_path, slow),))
    assert seen(done) == (0, "16 1 True\n", "")


# -- on, off, on again

STEPS = {
    "import": "import openai._base_client as base",
    "on": "hexr_instrument.instrument()",
    "off": "hexr_instrument.uninstrument()",
}


@pytest.mark.parametrize("boot", [BOOT, None], ids=["booted", "plain"])
@pytest.mark.parametrize("order", list(itertools.permutations(STEPS)), ids="-".join)
def test_on_and_off_in_every_order(order: tuple[str, ...], boot: str | None, tmp_path: Path) -> None:
    """The last of on and off decides whether a provider is patched; off restores the very same functions, each time."""
    lines = [
        "import types, hexr_instrument",
        "def functions():",
        "    kinds = (base.SyncAPIClient, 'request'), (base.AsyncAPIClient, 'request')",
        "    kinds += ((base.BaseClient, '_process_response_data'),)",
        "    return [vars(kind)[name] for kind, name in kinds]",
    ]
    for step in order:
        lines.append(STEPS[step])
        if step == "import":
            lines.append("first = [getattr(each, '__wrapped__', each) for each in functions()]")
    lines.append(f"print({PATCHED}, base.SyncAPIClient().request(1, {{}}))")
    for step in ("off", "off", "on", "on", "off"):
        lines.append(STEPS[step])
        lines.append("print(all(map(lambda one, other: one is other, functions(), first)))")
    done = start("-c", "\n".join(lines), path=(sdk(tmp_path),), boot=boot)
    last = [step for step in order if step != "import"][-1]
    assert seen(done) == (0, f"{last == 'on'} answered\nTrue\nTrue\nFalse\nFalse\nTrue\n", "")


RESTORES = """
import sys, types
import openai, openai._base_client, anthropic, anthropic._base_client, google.genai.models
import hexr_instrument
def members():
    return {
        (module.__name__, name, key): (kind, value)
        for module in (openai._base_client, anthropic._base_client, google.genai.models)
        for name, kind in [*vars(module).items(), ("", module)] if isinstance(kind, (type, types.ModuleType))
        for key, value in list(vars(kind).items())
    }
before = members()
hexr_instrument.instrument()
during = members()
hexr_instrument.uninstrument()
after = members()
changed = {place for place in before if during[place][1] is not before[place][1]}
print(sorted({place[0] for place in changed}))
print([place for place in before if after[place][1] is not before[place][1] and place[2] != "__abstractmethods__"])
print(before.keys() ^ after.keys())
"""


def test_uninstrument_restores_the_sdks_very_own_functions() -> None:
    """Of the three real SDKs, imported before us, every member is the same object after on and off."""
    for name in ("openai", "anthropic", "google.genai"):
        pytest.importorskip(name)
    done = start("-c", RESTORES, boot=None)
    places = ["anthropic._base_client", "google.genai.models", "openai._base_client"]
    assert seen(done) == (0, f"{places}\n[]\nset()\n", "")


# -- switched off

OFF = f"""
import sys, threading, types, openai, openai._base_client as base
print({ON}, {PATCHED}, threading.active_count(), "wrapt" in sys.modules)
print(sorted(name for name in sys.modules if name.startswith(("opentelemetry", "hexr_instrument"))))
"""


@pytest.mark.parametrize("variable", ["HEXR_DISABLED=1", "OTEL_SDK_DISABLED=TRUE"])
def test_switched_off_is_off(variable: str) -> None:
    """Where recording is switched off, a provider's import is not patched, starts no thread, and loads no library."""
    pytest.importorskip("openai")
    name, _, value = variable.partition("=")
    done = start("-c", OFF, **{name: value})
    rooms = ("config", "endpoints", "private", "start", "values")
    ours = ["hexr_instrument", *(f"hexr_instrument.{room}" for room in rooms)]
    assert seen(done) == (0, f"True False 1 False\n{ours}\n", "")


# -- the program's warnings

CALL = """
from openai import OpenAI
with OpenAI() as client:
    client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
"""


@pytest.mark.parametrize("flags", [("-W", "error"), ("-X", "dev", "-W", "always")], ids=" ".join)
def test_the_programs_warnings_are_its_own(flags: tuple[str, ...], run: Run, tmp_path: Path) -> None:
    """A program that shows or raises all warnings gets none of ours, and its call is recorded."""
    program = tmp_path / "call.py"
    program.write_text(CALL)
    command = [sys.executable, *flags, str(program)]
    plain, launched = run(command=command, bare=True), run(command=command)
    assert (launched.returncode, launched.err) == (plain.returncode, plain.err)
    assert plain.returncode == 0
    assert len(launched.calls) == 1


# -- stock opentelemetry-instrument

STOCK = Path(sys.executable).with_name("opentelemetry-instrument")
stock = pytest.mark.skipif(not STOCK.exists(), reason="opentelemetry-instrument is not installed")
STOCK_DISTRO = """
import os
from opentelemetry.instrumentation.distro import BaseDistro
from opentelemetry.sdk._configuration import _OTelSDKConfigurator
class Distro(BaseDistro):
    def _configure(self, **kwargs):
        os.environ.setdefault("OTEL_TRACES_EXPORTER", "otlp")
        os.environ.setdefault("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
class Configurator(_OTelSDKConfigurator):
    pass
"""
"""What the package opentelemetry-distro has in it."""


@pytest.fixture
def distro(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """Variables under which opentelemetry-instrument has no distro, or one like opentelemetry-distro."""
    off = {"OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none", "PYTHONPATH": str(tmp_path / "site")}
    if request.param == "without a distro":
        return off
    info = tmp_path / "site" / "stock_distro-1.0.dist-info"
    info.mkdir(parents=True)
    (info.parent / "stock_distro.py").write_text(STOCK_DISTRO)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stock-distro\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[opentelemetry_distro]\nstock = stock_distro:Distro\n"
        "[opentelemetry_configurator]\nstock = stock_distro:Configurator\n"
    )
    return off


@stock
@pytest.mark.parametrize(
    ("around", "distro"),
    [
        ("alone", "without a distro"),
        ("alone", "with a distro"),
        ("inside of ours", "with a distro"),
        ("around ours", "with a distro"),
        ("around ours", "without a distro"),
    ],
    indirect=["distro"],
)
def test_stock_opentelemetry_instrument_loads_us(
    around: str, distro: dict[str, str], run: Run, receiver: OtlpReceiver, tmp_path: Path
) -> None:
    """Under opentelemetry-instrument, alone or with our launcher around or inside: one span, and not a line of it."""
    pytest.importorskip("openai")
    program = tmp_path / "call.py"
    program.write_text(CALL)
    command = [sys.executable, str(program)]
    ours = [sys.executable, "-m", "hexr_instrument"]
    wrapped = {
        "alone": [str(STOCK), *command],
        "inside of ours": [*ours, str(STOCK), *command],
        "around ours": [str(STOCK), *ours, *command],
    }[around]
    done = run(command=wrapped, bare=True, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint, **distro)
    assert (done.returncode, done.err) == (0, "")
    spans = receiver.wait(1)
    assert [span.name for span in spans] == ["chat gpt-4o"]
    assert spans[0].attributes["gen_ai.response.model"] == "gpt-4o-2024-08-06"
    assert "hexr.llm.cost_usd" in spans[0].attributes


@stock
@pytest.mark.parametrize("distro", ["without a distro", "with a distro"], indirect=True)
def test_stock_opentelemetry_instrument_prints_a_call(distro: dict[str, str], run: Run, tmp_path: Path) -> None:
    """With OTEL_TRACES_EXPORTER=console, a call's span is printed once."""
    program = tmp_path / "call.py"
    program.write_text(CALL)
    command = [str(STOCK), sys.executable, str(program)]
    done = run(command=command, bare=True, OTEL_TRACES_EXPORTER="console", **distro)
    assert done.returncode == 0, done.err
    assert done.out.count('"name": "chat gpt-4o"') == 1


BEDROCK = """
import sys
import boto3
assert not [each for each in sys.path if "pkgs" in each]
boto3.client("s3")
assert "hexr_instrument.hub" not in sys.modules and not [each for each in sys.path if "pkgs" in each]
client = boto3.client("bedrock-runtime")
said = client.converse(modelId="meta.llama3-70b-instruct-v1:0", messages=[{"role": "user", "content": [{"text": "hi"}]}])
print(sorted(said["usage"]), "hexr_instrument.hub" in sys.modules)
"""


@pytest.mark.skipif(
    any(importlib.util.find_spec(each) is None for each in ("boto3", "opentelemetry.sdk")), reason="needs boto3"
)
def test_a_library_of_many_services_is_recorded_from_its_first_use_for_a_model(
    providers: ProviderServer, tmp_path: Path
) -> None:
    """An injected program that stores files imports nothing of ours; its first client of Bedrock reaches the image."""
    site, app, image = Path(sysconfig.get_path("purelib")), tmp_path / "app", tmp_path / "hexr"
    own = {"boto3", "botocore", "s3transfer", "jmespath", "dateutil", "python_dateutil", "six", "urllib3"}
    for folder in (app, image / "pkgs", image / "boot"):
        folder.mkdir(parents=True)
    for each in site.iterdir():
        if each.suffix in {"", ".py", ".dist-info", ".so"} and each.name != "__pycache__":
            name = each.name.partition("-")[0].removesuffix(".py")
            (app if name in own else image / "pkgs").joinpath(each.name).symlink_to(each)
    package = image / "pkgs" / "hexr_instrument"
    package.unlink(missing_ok=True)
    package.symlink_to(ROOT / "hexr_instrument")
    shutil.copy(ROOT / "sitecustomize" / "sitecustomize.py", image / "boot")
    (image / ".hexr-injected").touch()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"], check=True)
    for path in (image, image / "pkgs", image / "boot", image / "boot" / "sitecustomize.py"):
        path.chmod(0o755)
    environ = {
        **clean_environment(HEXR_DEBUG="1", HEXR_STORE=str(tmp_path / "store")),
        **providers.environment(),
        "PYTHONPATH": os.pathsep.join(map(str, (image / "boot", app))),
    }
    command = [tmp_path / "env" / "bin" / "python", "-c", BEDROCK]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "['inputTokens', 'outputTokens', 'totalTokens'] True\n"
    assert [each["provider"] for each in records(tmp_path / "store")] == ["aws.bedrock"]
