"""The command: launches a program with recording on, or runs one of the tools.

Launching imports no library, and of Python's own next to nothing: it stands before every start of the program.
"""

from __future__ import annotations

import errno
import os
import sys

from .boot import boot_directory, environment, refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, NoReturn

__all__ = ["boot_directory", "environment", "main"]

USAGE = """\
usage: hexr-instrument [--agent NAME] [--tenant NAME] [--role NAME] [--store PATH]
                       [--report] [--] COMMAND [ARG ...]
       hexr-instrument TOOL [--help] ...

Runs COMMAND, unchanged, with every LLM call recorded: tokens, latency, cost in
USD, and who spent it. Calls go to the endpoint that OTEL_EXPORTER_OTLP_ENDPOINT
names; without one, to a local store.

options:
  --agent NAME    agent of calls for which the program names none
  --tenant NAME   tenant of calls for which the program names none
  --role NAME     role of calls for which nothing else names one
  --store PATH    directory of the local store; keeps the calls there also
                  where an endpoint is set
  --report        print the cost tree of this run to stderr at the end
  --              what follows is COMMAND, even if it is named like a tool
  --version       print the version
  -h, --help      print this help

tools:
  costs           who spent what: agent (tenant) > role > model
  calls           the latest calls, one line each; --follow: live
  dashboard       the same as a page in the browser, on this machine alone
  grafana DIR     the dashboard for Grafana, alert rules, and a compose file
  prices MODEL    what a model costs
  doctor          what is recorded, where it goes, what was or will be lost
  purge           remove calls from the local store, for good
  demo            a content crew on a local provider server: no key, no network
  env             print the environment that switches recording on:
                  eval "$(hexr-instrument env)"

exit status: that of COMMAND; 127 if it is not found, 126 if it cannot be
executed, 2 if the options are not usable.
"""
TOOLS = ("costs", "calls", "dashboard", "grafana", "prices", "doctor", "purge", "demo")
_SETTINGS = {
    "--agent": "HEXR_AGENT_NAME",
    "--tenant": "HEXR_AGENT_TENANT",
    "--role": "HEXR_AGENT_ROLE",
    "--store": "HEXR_STORE",
}


class UsageError(Exception):
    """The command line is not usable; the message says why and what would do."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns the exit status; launching a program does not return."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        if arguments and arguments[0] in TOOLS:
            from . import tools  # noqa: PLC0415  (argparse, sqlite3 and rich are for the tools alone)

            return tools.run(arguments)
        return _launch(arguments)
    except UsageError as error:
        return _complain(str(error), 2)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `hexr-instrument calls | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _complain(line: str, status: int) -> int:
    sys.stderr.write(f"hexr-instrument: {line}\n")
    return status


def _launch(arguments: list[str]) -> int:
    settings: dict[str, str] = {}
    report = literal = False
    while arguments and arguments[0].startswith("-"):
        option, equals, value = arguments.pop(0).partition("=")
        if option == "--":
            literal = True
            break
        if option in ("-h", "--help"):
            sys.stdout.write(USAGE)
            return 0
        if option == "--version":
            from .names import package_version  # noqa: PLC0415  (only this option needs it)

            sys.stdout.write(f"hexr-instrument {package_version()}\n")
            return 0
        if option == "--report" and not equals:
            report = True
        elif option in _SETTINGS:
            if not equals:
                if not arguments or arguments[0].startswith("-"):
                    raise UsageError(f"{option} needs a value: {option} VALUE, or {option}=VALUE")
                value = arguments.pop(0)
            if option == "--store" and value:
                value = os.path.abspath(os.path.expanduser(value))
            settings[_SETTINGS[option]] = value
        else:
            raise UsageError(f"unknown option {option}; see hexr-instrument --help, or put -- before the command")
    if not arguments:
        raise UsageError("no command to run: hexr-instrument python my_agent.py (or see --help)")
    if ("HEXR_STORE" in settings or report) and not os.environ.get("HEXR_KEEP"):
        settings["HEXR_KEEP"] = "90d"
    if arguments == ["env"] and not literal:
        return _print_environment(settings)
    if arguments in (["env", "-h"], ["env", "--help"]) and not literal:
        sys.stdout.write(USAGE)
        return 0
    environ = environment(_given(os.environ), settings)
    environ.setdefault("HEXR_RUN", os.urandom(8).hex())
    path, status = _find(arguments[0], environ)
    if path is None:
        if arguments[0] in TOOLS and not literal:
            raise UsageError(f"options of a tool come after its name: hexr-instrument {arguments[0]} --help")
        reason = "command not found" if status == 127 else "cannot be executed"
        return _complain(f"{arguments[0]}: {reason}", status)
    if (why := refusal()) is not None:
        _complain(why, 0)
    _warn_of_stranger(arguments[0], path)
    if report or os.name == "nt":
        return _run_child(path, arguments, environ, report=report)
    _execute(path, arguments, environ)


def _given(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment as this process was given it: in the C locale, Python has set LC_CTYPE by itself (PEP 538)."""
    given = dict(environ)
    if "LC_CTYPE" in given:
        try:
            with open("/proc/self/environ", "rb") as file:
                block = file.read()
            if not any(each.startswith(b"LC_CTYPE=") for each in block.split(b"\0")):
                del given["LC_CTYPE"]
        except OSError:
            pass
    return given


def _print_environment(settings: Mapping[str, str]) -> int:
    import shlex  # noqa: PLC0415  (not for a launch)

    changed = {**settings, "PYTHONPATH": environment(os.environ, {})["PYTHONPATH"]}
    for name, value in sorted(changed.items()):
        sys.stdout.write(f"export {name}={shlex.quote(value)}\n")
    return 0


def _find(command: str, environ: Mapping[str, str]) -> tuple[str | None, int]:
    """The path that a shell would execute, or None with the status that it would exit with."""
    if os.name == "nt":
        import shutil  # noqa: PLC0415  (knows of PATHEXT)

        path = shutil.which(command, path=environ.get("PATH"))
        return path, 0 if path else 127
    if os.path.dirname(command):
        candidates = [command]
    else:
        candidates = [os.path.join(folder, command) for folder in environ.get("PATH", os.defpath).split(os.pathsep)]
    for path in candidates:
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path, 0
    there = os.path.exists if os.path.dirname(command) else os.path.isfile
    return None, 126 if any(map(there, candidates)) else 127


def _warn_of_stranger(command: str, path: str) -> None:
    """Says so if `python` is an interpreter that cannot load us: its calls would silently not be recorded."""
    if os.path.basename(command).rstrip(".0123456789") != "python":
        return
    if os.path.dirname(os.path.abspath(path)) == os.path.dirname(os.path.abspath(sys.executable)):
        return
    import subprocess  # noqa: PLC0415  (only for an interpreter of another environment)

    # `-c` puts the working directory first on sys.path: nothing may be imported from there.
    probe = "import sys; sys.path[:1] == [''] and sys.path.pop(0); import importlib.util as u; "
    probe += "sys.exit(3 if u.find_spec('hexr_instrument') is None else 0)"
    try:
        done = subprocess.run(  # noqa: S603
            [path, "-c", probe], stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return
    if done.returncode in (1, 3):  # 1: a Python 2, which has no importlib.util
        _complain(
            f"{path} does not have hexr-instrument, so nothing will be recorded; activate its environment or use "
            f"{sys.executable}",
            0,
        )


def _execute(path: str, arguments: list[str], environ: dict[str, str]) -> NoReturn:
    """Becomes the program: same process, same signals, same streams."""
    sys.stdout.flush()
    sys.stderr.flush()
    signal: Any = __import__("_signal")  # what `signal` is made of, without its enumerations
    for name in ("SIGPIPE", "SIGXFSZ"):  # Python ignores these, and what is ignored stays so in the program
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
    try:
        try:
            os.execve(path, arguments, environ)
        except OSError as error:
            if error.errno != errno.ENOEXEC:
                raise
            os.execve("/bin/sh", ["sh", path, *arguments[1:]], environ)  # no first line: as a shell does
    except OSError as error:
        sys.exit(_complain(_refusal(path, error), 126))


def _refusal(path: str, error: OSError) -> str:
    if error.errno == errno.ENOENT and os.path.exists(path):
        return f"{path}: cannot be executed: the interpreter that its first line names does not exist"
    return f"{path}: cannot be executed: {error.strerror}"


def _run_child(path: str, arguments: list[str], environ: dict[str, str], *, report: bool) -> int:
    """Runs the program as a child: for the report at its end, and where there is no exec."""
    import signal  # noqa: PLC0415  (likewise)
    import subprocess  # noqa: PLC0415  (only the report needs a child)

    child: subprocess.Popen[bytes] | None = None
    early: list[int] = []

    def forward(number: int, frame: object) -> None:
        if child is None:
            early.append(number)
        elif number not in typed:
            child.send_signal(number)

    # What is typed at a terminal reaches the child without us.
    typed = {signal.SIGINT, getattr(signal, "SIGQUIT", None)} if _at_terminal() else set[int]()
    for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # what nohup ignores stays ignored
            signal.signal(number, forward)
    # Descriptors that this process was given are the program's: `3>log`, `<(command)`, socket activation.
    try:
        try:
            child = subprocess.Popen(arguments, executable=path, env=environ, close_fds=False)  # noqa: S603
        except OSError as error:
            if error.errno != errno.ENOEXEC:
                raise
            child = subprocess.Popen(  # noqa: S603
                ["sh", path, *arguments[1:]], executable="/bin/sh", env=environ, close_fds=False
            )
    except OSError as error:
        return _complain(_refusal(path, error), 126)
    for number in early:
        child.send_signal(number)
    status = child.wait()
    if not report:
        _end_as(status)
    reported = False
    try:
        from . import tools  # noqa: PLC0415  (sqlite3 and rich are for the tools alone)

        tools.report(environ["HEXR_RUN"], environ)
        reported = True
    finally:  # whatever becomes of the report, the end is the program's
        if not reported:
            _complain("the report failed; hexr-instrument costs --run last makes it again", 0)
        _end_as(status)


def _end_as(status: int) -> NoReturn:
    """Ends with a child's status; killed by the same signal, if that is how it ended."""
    import signal  # noqa: PLC0415  (likewise)

    sys.stdout.flush()
    if status < 0:
        try:
            signal.signal(-status, signal.SIG_DFL)
        except (OSError, ValueError):  # SIGKILL has no handler to put back
            pass
        os.kill(os.getpid(), -status)
        status = 128 - status
    sys.exit(status)


def _at_terminal() -> bool:
    """Whether this process is in the foreground of a terminal, whose Ctrl-C goes to all of its processes."""
    if os.name == "nt":
        return True
    try:
        with open("/dev/tty", "rb") as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False
