"""The command: launches a program with recording on, or runs one of the tools. Launching imports no library."""

from __future__ import annotations

import errno
import os
import secrets
import shlex
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

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
  calls           the latest calls, one line each
  prices MODEL    what a model costs
  demo            a content crew on a local provider server: no key, no network
  env             print the environment that switches recording on:
                  eval "$(hexr-instrument env)"

exit status: that of COMMAND; 127 if it is not found, 126 if it cannot be
executed, 2 if the options are not usable.
"""
TOOLS = ("costs", "calls", "prices", "demo")
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
    report = False
    while arguments and arguments[0].startswith("-"):
        option, equals, value = arguments.pop(0).partition("=")
        if option == "--":
            break
        if option in ("-h", "--help"):
            sys.stdout.write(USAGE)
            return 0
        if option == "--version":
            from .recorder import package_version  # noqa: PLC0415  (only this option needs it)

            sys.stdout.write(f"hexr-instrument {package_version()}\n")
            return 0
        if option == "--report":
            report = True
        elif option in _SETTINGS:
            if not equals:
                if not arguments:
                    raise UsageError(f"{option} needs a value: {option} NAME")
                value = arguments.pop(0)
            settings[_SETTINGS[option]] = os.path.abspath(value) if option == "--store" else value
        else:
            raise UsageError(f"unknown option {option}; see hexr-instrument --help, or put -- before the command")
    if not arguments:
        raise UsageError("no command to run: hexr-instrument python my_agent.py (or see --help)")
    if ("HEXR_STORE" in settings or report) and not os.environ.get("HEXR_KEEP"):
        settings["HEXR_KEEP"] = "90d"
    if arguments[0] == "env" and len(arguments) == 1:
        return _print_environment(settings)
    environ = environment(os.environ, settings)
    environ.setdefault("HEXR_RUN", secrets.token_hex(8))
    path, status = _find(arguments[0], environ)
    if path is None:
        reason = "command not found" if status == 127 else "cannot be executed"
        return _complain(f"{arguments[0]}: {reason}", status)
    _warn_of_stranger(arguments[0], path)
    if report or os.name == "nt":
        return _run_child(path, arguments, environ, report=report)
    _execute(path, arguments, environ)


def boot_directory() -> Path:
    """The folder that holds our sitecustomize.py, and nothing else."""
    package = Path(__file__).resolve().parent
    boot = package / "_boot"
    return boot if (boot / "sitecustomize.py").exists() else package.parent / "sitecustomize"


def environment(environ: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, str]:
    """The environment of a recorded program: our folder first on PYTHONPATH, and the settings."""
    boot = str(boot_directory())
    rest = [entry for entry in environ.get("PYTHONPATH", "").split(os.pathsep) if entry not in ("", boot)]
    return {**environ, **settings, "PYTHONPATH": os.pathsep.join([boot, *rest])}


def _print_environment(settings: Mapping[str, str]) -> int:
    changed = {**settings, "PYTHONPATH": environment(os.environ, {})["PYTHONPATH"]}
    for name, value in sorted(changed.items()):
        sys.stdout.write(f"export {name}={shlex.quote(value)}\n")
    return 0


def _find(command: str, environ: Mapping[str, str]) -> tuple[str | None, int]:
    """The path that a shell would execute, or None with the status that it would exit with."""
    if path := shutil.which(command, path=environ.get("PATH")):
        return path, 0
    if os.path.dirname(command):
        return None, 126 if os.path.exists(command) else 127
    folders = environ.get("PATH", os.defpath).split(os.pathsep)
    found = any(os.path.exists(os.path.join(folder, command)) for folder in folders if folder)
    return None, 126 if found else 127


def _warn_of_stranger(command: str, path: str) -> None:
    """Says so if `python` is an interpreter that cannot load us: its calls would silently not be recorded."""
    if not os.path.basename(command).startswith("python"):
        return
    if os.path.dirname(os.path.abspath(path)) == os.path.dirname(os.path.abspath(sys.executable)):
        return
    import subprocess  # noqa: PLC0415  (only for an interpreter of another environment)

    probe = [path, "-c", "import importlib.util as u, sys; sys.exit(u.find_spec('hexr_instrument') is None)"]
    done = subprocess.run(probe, capture_output=True, timeout=20, check=False, cwd=os.sep)  # noqa: S603
    if done.returncode:
        _complain(
            f"{path} does not have hexr-instrument, so nothing will be recorded; activate its environment or use "
            f"{sys.executable}",
            0,
        )


def _execute(path: str, arguments: list[str], environ: dict[str, str]) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execve(path, arguments, environ)
    except OSError as error:
        if error.errno == errno.ENOEXEC:  # a script without a first line: a shell would run it with sh
            os.execve("/bin/sh", ["sh", path, *arguments[1:]], environ)
        _complain(f"{arguments[0]}: {error.strerror}", 126)
        sys.exit(126)


def _run_child(path: str, arguments: list[str], environ: dict[str, str], *, report: bool) -> int:
    """Runs the program as a child: for the report at its end, and where there is no exec."""
    import subprocess  # noqa: PLC0415  (only the report needs a child)

    child = subprocess.Popen(arguments, executable=path, env=environ)  # noqa: S603
    for number in (signal.SIGTERM, getattr(signal, "SIGHUP", None), getattr(signal, "SIGQUIT", None)):
        if number is not None:
            signal.signal(number, lambda sent, frame: child.send_signal(sent))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to the child as well
    status = child.wait()
    if report:
        from . import tools  # noqa: PLC0415  (sqlite3 and rich are for the tools alone)

        tools.report(environ["HEXR_RUN"], environ)
    if status < 0:  # killed by a signal: so are we, and the caller sees the same wait status
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    return status
