"""The launcher: what a program sees of it, which is nothing, and what the command line takes."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
import zipapp
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from support import ROOT, Run, clean_environment

from hexr_instrument.cli import boot_directory

posix = pytest.mark.skipif(os.name == "nt", reason="there is no exec and no signal on Windows")
SCRIPT = Path(sysconfig.get_path("scripts")) / "hexr-instrument"
LAUNCHER = [str(SCRIPT)] if SCRIPT.exists() else [sys.executable, "-m", "hexr_instrument"]
ON = "any(type(finder).__module__ == 'hexr_instrument.start' for finder in sys.meta_path)"
"""Whether recording is on, as an expression."""
SHOW = """
import json, os, sys
print(json.dumps({
    "argv": sys.argv, "orig_argv": sys.orig_argv, "path": sys.path, "name": __name__, "cwd": os.getcwd(),
    "file": globals().get("__file__"), "flags": repr(sys.flags), "executable": sys.executable,
    "stdin": sys.stdin.read(), "encoding": sys.stdout.encoding,
}))
print("to stderr", file=sys.stderr)
"""
"""A program that prints what it was started with."""
STORY = """
import os, signal, sys
print("out", flush=True)
print("err", file=sys.stderr, flush=True)
"""


def start(
    command: list[str],
    *,
    options: tuple[str, ...] = (),
    bare: bool = False,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    given: str = "",
) -> subprocess.CompletedProcess[str]:
    """Runs a command under the launcher, or bare."""
    environ = clean_environment() if env is None else env
    launcher = [] if bare else [*LAUNCHER, *options]
    return subprocess.run(
        [*launcher, *command], cwd=cwd, env=environ, input=given, capture_output=True, text=True, timeout=60
    )


def seen(done: subprocess.CompletedProcess[str]) -> tuple[int, str, str]:
    """What a caller sees of a program."""
    return done.returncode, done.stdout, done.stderr


def alike(command: list[str], **kwargs: Any) -> subprocess.CompletedProcess[str]:
    """Asserts that a command shows the same under the launcher as without, and returns the run under it."""
    launched = start(command, **kwargs)
    kwargs.pop("options", None)
    assert seen(launched) == seen(start(command, bare=True, **kwargs))
    return launched


def script(path: Path, text: str, mode: int = 0o755) -> Path:
    """An executable file."""
    path.write_text(text)
    path.chmod(mode)
    return path


# -- what the program sees


def ways(folder: Path) -> dict[str, list[str]]:
    """The ways to start a Python program that prints what it was started with."""
    (folder / "show.py").write_text(SHOW)
    package = folder / "package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(SHOW)
    source = folder / "source"
    source.mkdir()
    (source / "__main__.py").write_text(SHOW)
    zipapp.create_archive(source, folder / "show.pyz")
    script(folder / "shebang", f"#!{sys.executable}\n{SHOW}")
    return {
        "file": [sys.executable, "show.py", "a b", "--report", "--", "-x"],
        "absolute": [sys.executable, str(folder / "show.py")],
        "module": [sys.executable, "-m", "package", "--agent", "x"],
        "submodule": [sys.executable, "-m", "package.__main__"],
        "code": [sys.executable, "-c", SHOW, "", "é", "-h"],
        "stdin": [sys.executable, "-", "argument"],
        "zipapp": [sys.executable, "show.pyz", "argument"],
        "optimized": [sys.executable, "-OO", "show.py"],
        "developer": [sys.executable, "-X", "dev", "show.py"],
        "no user site": [sys.executable, "-s", "show.py"],
        "unbuffered": [sys.executable, "-u", "show.py"],
        "shebang": ["./shebang", "argument"],
        "shell": ["sh", "-c", f"exec {shlex.quote(sys.executable)} show.py 'from a shell'"],
    }


@posix
@pytest.mark.parametrize(
    "way",
    ["file", "absolute", "module", "submodule", "code", "stdin", "zipapp", "optimized", "developer", "no user site"]
    + ["unbuffered", "shebang", "shell"],
)
def test_a_program_sees_no_launcher(way: str, tmp_path: Path) -> None:
    """argv, sys.path, __main__, cwd, flags, stdin, stdout, stderr and exit status are those of the plain run."""
    command = ways(tmp_path)[way]
    given = SHOW.replace("sys.stdin.read()", "None") if way == "stdin" else "a line\n"
    done = alike(command, cwd=tmp_path, given=given)
    assert done.returncode == 0, done.stderr
    assert str(boot_directory()) not in json.loads(done.stdout)["path"]


@pytest.mark.parametrize(
    "before", [None, "", "one", "one:two", ":one", "one:", "one::two", ":", "two:one:two", "."], ids=repr
)
def test_the_users_pythonpath_stays(before: str | None, tmp_path: Path) -> None:
    """sys.path is that of the plain run for any PYTHONPATH, with empty entries (the working directory) too."""
    environ = clean_environment()
    if before is not None:
        environ["PYTHONPATH"] = before.replace(":", os.pathsep)
    alike([sys.executable, "-c", "import sys; print(sys.path)"], cwd=tmp_path, env=environ)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="safe paths are of Python 3.11")
@pytest.mark.parametrize("how", ["flag", "variable"])
def test_a_safe_path_stays_safe(how: str, tmp_path: Path) -> None:
    """Under -P or PYTHONSAFEPATH, the working directory is not importable, and recording is on."""
    (tmp_path / "here.py").touch()
    environ = clean_environment()
    if how == "variable":
        environ["PYTHONSAFEPATH"] = "1"
    flags = ["-P"] if how == "flag" else []
    code = f"import importlib.util, sys; print(importlib.util.find_spec('here'), {ON})"
    assert start([sys.executable, *flags, "-c", code], cwd=tmp_path, env=environ).stdout == "None True\n"


@posix
@pytest.mark.parametrize("options", [(), ("--report",)], ids=["exec", "report"])
@pytest.mark.parametrize(
    ("end", "status"),
    [
        ("", 0),
        ("sys.exit(3)", 3),
        ("sys.exit('a message')", 1),
        ("raise ValueError('é')", 1),
        ("raise KeyboardInterrupt", -signal.SIGINT),
        ("os._exit(5)", 5),
        ("os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
        ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
    ],
)
def test_the_end_of_a_program_is_its_own(end: str, status: int, options: tuple[str, ...], tmp_path: Path) -> None:
    """Exit status, wait status and output of a program are those of the plain run; --report adds to stderr alone."""
    (tmp_path / "program.py").write_text(STORY + end)
    command = [sys.executable, "program.py"]
    environ = clean_environment(HEXR_STORE=str(tmp_path / "store"))
    plain = start(command, bare=True, cwd=tmp_path, env=environ)
    done = start(command, options=options, cwd=tmp_path, env=environ)
    assert (done.returncode, done.stdout) == (plain.returncode, plain.stdout) == (status, "out\n")
    assert done.stderr == plain.stderr if not options else done.stderr.startswith(plain.stderr)


@posix
def test_a_script_runs_as_from_a_shell(tmp_path: Path) -> None:
    """A shell script with or without a first line, with arguments that need quotes, runs and is recorded."""
    text = f"""echo "$0" "$#" "$2"; cat; {shlex.quote(sys.executable)} -c "import sys; print({ON})"; exit 4\n"""
    for name, first in (("with", "#!/bin/sh\n"), ("without", "")):
        path = script(tmp_path / name, first + text)
        done = start([str(path), "a b", "'\"$HOME\\"], given="given\n")
        assert seen(done) == (4, f"{path} 2 '\"$HOME\\\ngiven\nTrue\n", "")
        reported = start([str(path), "a b", "'\"$HOME\\"], options=("--report",), given="given\n")
        assert seen(reported)[:2] == seen(done)[:2]


@posix
def test_a_command_is_looked_up_on_the_path(tmp_path: Path) -> None:
    """A name without a slash is found through PATH, and is argv[0] as it was typed."""
    script(tmp_path / "agent", "#!/bin/sh\necho found\n")
    environ = clean_environment(PATH=os.pathsep.join([str(tmp_path), os.environ["PATH"]]))
    assert start(["agent"], env=environ).stdout == "found\n"
    done = start(["sh", "-c", "tr '\\0' '\\n' </proc/$$/cmdline"]) if Path("/proc/self/cmdline").exists() else None
    assert done is None or done.stdout.startswith("sh\n-c\n")


@posix
def test_signals_that_python_ignores_are_as_before() -> None:
    """A program under the launcher dies of SIGPIPE as it would without: Python's own SIG_IGN does not leak."""
    alike(["sh", "-c", "yes | head -n 1; yes 2>&1 | head -n 1 >/dev/null; echo end"])


@posix
@pytest.mark.parametrize("options", [(), ("--report",)], ids=["exec", "report"])
def test_an_empty_environment_stays_empty(options: tuple[str, ...], tmp_path: Path) -> None:
    """A program gets the environment that it was given, PYTHONPATH and HEXR_* apart: no LC_CTYPE of Python's."""
    if not Path("/proc/self/environ").exists():
        pytest.skip("only Linux shows what Python itself has added")
    env = shutil.which("env")
    assert env is not None
    environ = {"PATH": os.environ["PATH"], "HEXR_STORE": str(tmp_path / "store")}
    lines = start([env], options=options, env=environ).stdout.splitlines()
    extra = {line.partition("=")[0] for line in lines} - set(environ)
    assert extra == {"PYTHONPATH", "HEXR_RUN", *(["HEXR_KEEP"] if options else [])}
    code = "import locale, sys; print(sys.flags.utf8_mode, sys.stdin.errors, locale.setlocale(locale.LC_CTYPE))"
    assert start([sys.executable, "-c", code], options=options, env=environ).stdout == (
        start([sys.executable, "-c", code], bare=True, env=environ).stdout
    )
    assert "LC_CTYPE=C.UTF-8" in start([env], options=options, env={**environ, "LC_CTYPE": "C.UTF-8"}).stdout


@posix
@pytest.mark.parametrize("options", [(), ("--report",)], ids=["exec", "report"])
def test_open_descriptors_reach_the_program(options: tuple[str, ...], tmp_path: Path) -> None:
    """A descriptor that the launcher was given (`3>log`, socket activation) is the program's."""
    reader, writer = os.pipe()
    with os.fdopen(reader) as end:
        code = f"import os; os.write({writer}, b'written')"
        environ = clean_environment(HEXR_STORE=str(tmp_path / "store"))
        command = [*LAUNCHER, *options, sys.executable, "-c", code]
        done = subprocess.run(command, env=environ, pass_fds=[writer], capture_output=True, timeout=60)
        os.close(writer)
        assert (done.returncode, end.read()) == (0, "written")


# -- signals

WAITS = """
import os, signal, sys, time
def handler(number, frame):
    os.write(1, signal.Signals(number).name.encode() + b"\\n")  # print() may be interrupted by the next signal
    if number == signal.SIGTERM:
        sys.exit(7)
for name in ("SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGINT", "SIGQUIT"):
    signal.signal(getattr(signal, name), handler)
print(os.getpid(), flush=True)
while True:
    time.sleep(60)
"""


@posix
@pytest.mark.parametrize("options", [(), ("--report",)], ids=["exec", "report"])
def test_signals_reach_the_program(options: tuple[str, ...], tmp_path: Path) -> None:
    """Each signal sent to the launcher's pid arrives once; without --report, that pid is the program's own."""
    command = [*LAUNCHER, *options, sys.executable, "-c", WAITS]
    environ = clean_environment(HEXR_STORE=str(tmp_path / "store"))
    with subprocess.Popen(
        command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert (int(process.stdout.readline()) == process.pid) is not bool(options)
        for name in ("SIGHUP", "SIGUSR1", "SIGUSR2", "SIGINT", "SIGQUIT", "SIGTERM"):
            process.send_signal(getattr(signal, name))
            assert process.stdout.readline() == f"{name}\n"
        assert process.stdout.read() == ""
        assert process.wait(60) == 7


@posix
def test_ctrl_c_reaches_the_program_once(tmp_path: Path) -> None:
    """At a terminal, which sends Ctrl-C to all processes, --report does not send it a second time."""
    program = """
import os, signal, sys, time
hits = []
def interrupted(number, frame):
    hits.append(number)
    os.write(1, b"hit ")
def ended(number, frame):
    os.write(1, f"hits: {len(hits)}".encode())
    sys.exit(0)
signal.signal(signal.SIGINT, interrupted)
signal.signal(signal.SIGTERM, ended)
os.write(1, b"ready")
while True:
    time.sleep(60)
"""
    # The launcher is stopped while Ctrl-C is typed, so that what it would forward comes later, and before its SIGTERM.
    driver = """
import os, pty, signal, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
def interrupt():
    os.kill(pid, signal.SIGSTOP)
    os.waitpid(pid, os.WUNTRACED)
    os.write(terminal, bytes([3]))
def end():
    os.kill(pid, signal.SIGTERM)
    os.kill(pid, signal.SIGCONT)
out, steps = b"", [(b"ready", interrupt), (b"hit ", end)]
while True:
    try:
        data = os.read(terminal, 1024)
    except OSError:
        break
    out += data
    if steps and steps[0][0] in out:
        steps.pop(0)[1]()
    if not data:
        break
print(out.decode(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    environ = clean_environment(HEXR_STORE=str(tmp_path / "store"))
    command = [*LAUNCHER, "--report", sys.executable, "-c", program]
    done = start([sys.executable, "-c", driver, *command], bare=True, env=environ)
    assert "hits: 1" in done.stdout, done
    assert done.stdout.split()[-1] == "0"


@posix
def test_what_nohup_ignores_stays_ignored(tmp_path: Path) -> None:
    """A signal that the launcher was started with as ignored is ignored by the program, with --report too."""
    code = "import signal; print(signal.getsignal(signal.SIGHUP) is signal.SIG_IGN)"
    for report in ("", "--report "):
        line = f"trap '' HUP; exec {shlex.join(LAUNCHER)} {report}{shlex.join([sys.executable, '-c', code])}"
        environ = clean_environment(HEXR_STORE=str(tmp_path / "store"))
        assert start(["sh", "-c", line], bare=True, env=environ).stdout == "True\n"


@posix
@pytest.mark.parametrize("fault", ["the store is a file", "a library is broken"])
def test_a_report_that_fails_does_not_change_the_status(fault: str, tmp_path: Path) -> None:
    """Where no report can be made, stderr says so and the status is the program's."""
    store = tmp_path / "store"
    environ = clean_environment(HEXR_STORE=str(store))
    if fault == "the store is a file":
        store.write_text("not a folder")
    else:
        (tmp_path / "sqlite3.py").write_text("raise RuntimeError('broken')")
        environ["PYTHONPATH"] = str(tmp_path)
    for end, status in (("sys.exit(3)", 3), ("os.kill(os.getpid(), 15)", -15)):
        done = start([sys.executable, "-c", f"import os, sys; {end}"], options=("--report",), env=environ)
        assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (status, "", 1), done.stderr


# -- the command line

SETTINGS = "echo $HEXR_AGENT_NAME,$HEXR_AGENT_TENANT,$HEXR_AGENT_ROLE,$HEXR_STORE,$HEXR_KEEP"


@posix
def test_options_become_the_environment(tmp_path: Path) -> None:
    """`--opt value` and `--opt=value` are the same; a relative --store is made absolute and keeps the calls."""
    want = f"a b,t,r=1,{tmp_path / 'here'},90d\n"
    spaced = ("--agent", "a b", "--tenant", "t", "--role", "r=1", "--store", "here")
    joined = ("--agent=a b", "--tenant=t", "--role=r=1", "--store=here", "--")
    for options in (spaced, joined):
        assert start(["sh", "-c", SETTINGS], options=options, cwd=tmp_path).stdout == want
    assert start(["sh", "-c", SETTINGS], options=("--role=-x",)).stdout == ",,-x,,\n"
    environ = clean_environment(HEXR_AGENT_NAME="theirs", HEXR_KEEP="1d", HOME=str(tmp_path))
    done = start(["sh", "-c", SETTINGS], options=("--store=~/kept",), env=environ)
    assert done.stdout == f"theirs,,,{tmp_path / 'kept'},1d\n"


@posix
def test_a_double_dash_ends_our_options(tmp_path: Path) -> None:
    """What follows `--` is a command, even one named like a tool or like an option; ours do not look further."""
    for name in ("costs", "env", "--agent"):
        script(tmp_path / name, f'#!/bin/sh\necho program {name} "$@"\n')
    environ = clean_environment(PATH=os.pathsep.join([str(tmp_path), os.environ["PATH"]]))
    for name in ("costs", "env", "--agent"):
        done = start([name], options=("--",), env=environ)
        assert seen(done) == (0, f"program {name}\n", "")
    assert start(["sh", "-c", 'echo "$@"', "--report", "--", "--agent"]).stdout == "-- --agent\n"


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ([], "no command"),
        (["--"], "no command"),
        (["--report"], "no command"),
        (["--agent"], "--agent needs a value"),
        (["--agent", "--report", "true"], "--agent needs a value"),
        (["--nonsense", "true"], "unknown option --nonsense"),
        (["--report=yes", "true"], "unknown option --report"),
        (["-x"], "unknown option -x"),
        (["--store", "here", "costs"], "hexr-instrument costs --help"),
    ],
)
def test_a_wrong_command_line_is_one_line(arguments: list[str], word: str) -> None:
    """Status 2, and one line on stderr that names the fault."""
    done = start(arguments)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert done.stderr.startswith("hexr-instrument: ")
    assert word in done.stderr


@posix
def test_what_cannot_run_is_one_line(tmp_path: Path) -> None:
    """Status 127 for an unknown command and 126 for what cannot be executed, as in a shell, with one line."""
    (tmp_path / "folder").mkdir()
    script(tmp_path / "plain", "no program", mode=0o644)
    script(tmp_path / "orphan", "#!/nowhere/interpreter\n")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    environ = clean_environment(
        PATH=os.pathsep.join([str(tmp_path), os.environ["PATH"]]), HEXR_STORE=str(tmp_path / "s")
    )
    cases = {
        "no-such-command": 127,
        "./no-such-file": 127,
        "./folder/nothing": 127,
        "./dangling": 127,
        "": 127,
        "folder": 127,  # a shell looks for files only
        "plain": 126,
        "./plain": 126,
        "./folder": 126,
        "./orphan": 126,
    }
    for options in ((), ("--report",)):
        for command, status in cases.items():
            done = start([command], options=options, cwd=tmp_path, env=environ)
            assert (done.returncode, done.stdout) == (status, ""), command
            assert done.stderr.startswith(f"hexr-instrument: {command}")
            assert len(done.stderr.splitlines()) == 1, done.stderr


def test_help_and_version_are_on_stdout() -> None:
    """--help and --version print to stdout and start nothing."""
    assert start(["--help"]).stdout.startswith("usage: hexr-instrument")
    assert start(["--agent=a", "-h", "no-such-command"]).returncode == 0
    assert start(["env", "--help"]).stdout == start(["--help"]).stdout
    assert start(["--version"]).stdout.startswith("hexr-instrument 0.")


# -- other interpreters, nesting, children


@posix
def test_a_python_without_us_is_said_once(tmp_path: Path) -> None:
    """One line on stderr if `python` is another environment's and would not record; stdin and status are its own."""
    base = Path(sys.base_prefix) / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "python3.999").symlink_to(base)
    code = "import sys; print(sys.stdin.read()); sys.exit(3)"
    environ = clean_environment(PATH=str(folder))
    if not base.exists() or start([str(base), "-c", "import hexr_instrument"], bare=True, cwd=tmp_path).returncode == 0:
        pytest.skip("the interpreter below this environment has us")
    (tmp_path / "importlib.py").write_text("raise SystemExit(0)")  # the working directory is not looked at
    done = start(["python3.999", "-c", code], given="given", env=environ, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (3, "given\n")
    assert "does not have hexr-instrument" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    script(
        folder / "python3.998", f"#!/bin/sh\nexec {shlex.quote(str(base))} -c 'import sys; print(sys.stdin.read())'\n"
    )
    assert start(["python3.998"], given="given", env=environ).stdout == "given\n"  # looking at it has read nothing


@posix
def test_a_launcher_within_a_launcher_changes_nothing() -> None:
    """Nested launches keep one entry on PYTHONPATH, one finder, and the run of the outermost."""
    code = (
        "import os, sys; print(os.environ['PYTHONPATH'], os.environ['HEXR_RUN'], "
        "sum(type(finder).__module__ == 'hexr_instrument.start' for finder in sys.meta_path))"
    )
    environ = clean_environment(HEXR_RUN="outermost", PYTHONPATH="theirs")
    once = start([sys.executable, "-c", code], env=environ)
    thrice = start([*LAUNCHER, *LAUNCHER, "--agent=inner", sys.executable, "-c", code], env=environ)
    assert seen(once) == seen(thrice)
    assert once.stdout.endswith("theirs outermost 1\n")
    fresh = start([*LAUNCHER, "sh", "-c", "echo $HEXR_RUN"], options=("--role=r",))
    assert len(fresh.stdout.strip()) == 16


CHILDREN = f"""
import multiprocessing, os, subprocess, sys
def on():
    return {ON}
def tell(pipe):
    pipe.send(on())
def main():
    code = "import sys; print({ON})"
    print(on())
    print(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip())
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    worker = context.Process(target=tell, args=(theirs,))
    worker.start()
    print(ours.recv())
    worker.join()
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-c", code])
if __name__ == "__main__":
    main()
"""


def test_children_of_the_program_are_recorded(tmp_path: Path) -> None:
    """Recording is on in subprocesses, in spawned workers and after exec."""
    (tmp_path / "program.py").write_text(CHILDREN)
    done = start([sys.executable, "program.py"], cwd=tmp_path)
    assert seen(done) == (0, "True\n" * 4, "")


CALL = """
from openai import OpenAI
OpenAI().chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
"""


@posix
def test_calls_of_a_shell_scripts_children_are_recorded(run: Run, tmp_path: Path) -> None:
    """Each process of a launched shell script leaves its record, under the one run of the launch."""
    (tmp_path / "call.py").write_text(CALL)
    python = shlex.quote(sys.executable)
    done = run(command=["sh", "-c", f"{python} call.py; {python} call.py"], options=("--agent=crew",))
    assert (done.returncode, done.err) == (0, "")
    assert [call["agent"] for call in done.calls] == ["crew", "crew"]
    headers = [json.loads(path.read_text().splitlines()[0]) for path in (done.store / "journal").glob("*.jsonl")]
    assert len({header["run"] for header in headers}) == 1
    assert len({header["pid"] for header in headers}) == 2


# -- hexr-instrument env


def copy_of_the_package(folder: Path) -> Path:
    """The package and its boot file as a copy of their own in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "hexr_instrument", folder / "hexr_instrument", ignore=ignore)
    shutil.copytree(ROOT / "sitecustomize", folder / "hexr_instrument" / "_boot", ignore=ignore)
    return folder


@posix
def test_env_switches_recording_on_in_a_shell(tmp_path: Path) -> None:
    """What `hexr-instrument env` prints, evaluated by sh, switches recording on: with blanks and quotes in it too."""
    home = copy_of_the_package(tmp_path / 'it\'s a "$HOME" `x`')
    theirs = tmp_path / "their folder"
    environ = clean_environment(PYTHONPATH=os.pathsep.join([str(home), str(theirs)]))
    command = [sys.executable, "-m", "hexr_instrument", "--agent=O'Neil & $co", "--store=a b", "env"]
    printed = start(command, bare=True, env=environ, cwd=tmp_path)
    assert (printed.returncode, printed.stderr) == (0, "")
    names = [line.partition("=")[0] for line in printed.stdout.splitlines()]
    assert names == ["export HEXR_AGENT_NAME", "export HEXR_KEEP", "export HEXR_STORE", "export PYTHONPATH"]
    code = f"import hexr_instrument, os, sys; print({ON}); print(os.environ['HEXR_AGENT_NAME']); "
    code += "print(hexr_instrument.__file__); print(os.environ['HEXR_STORE']); print(sys.path[1:])"
    python = shlex.join([sys.executable, "-c", code])
    line = f'eval "$({shlex.join(command)})"; eval "$({shlex.join(command)})"; {python}'
    done = start(["sh", "-c", line], bare=True, env=environ, cwd=tmp_path)
    plain = start([sys.executable, "-c", "import sys; print(sys.path[1:])"], bare=True, env=environ, cwd=tmp_path)
    want = ["True", "O'Neil & $co", f"{home / 'hexr_instrument' / '__init__.py'}", str(tmp_path / "a b")]
    assert seen(done) == (0, "\n".join([*want, plain.stdout]), "")


@posix
def test_env_alone_sets_one_variable() -> None:
    """Without options, PYTHONPATH is all that is needed, and it has one entry."""
    assert start(["env"]).stdout == f"export PYTHONPATH={shlex.quote(str(boot_directory()))}\n"
