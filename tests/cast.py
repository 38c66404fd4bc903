"""Real servers in processes of their own, recorded or bare, against the loopback provider."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from support import clean_environment, records

from hexr_instrument.demo.providers import ProviderServer

HERE = Path(__file__).parent / "wires"


class Cast:
    """Programs that share a store and a provider; each is recorded as an agent of its own."""

    def __init__(self, store: Path, providers: ProviderServer, recorded: bool = True) -> None:
        self.store = store
        self.recorded = recorded
        self._environment = providers.environment()
        self._stack = contextlib.ExitStack()

    def _command(
        self, program: str, agent: str | None, args: tuple[str, ...], variables: dict[str, str]
    ) -> dict[str, Any]:
        own = {"HEXR_AGENT_NAME": agent} if agent else {}
        off = {} if self.recorded else {"HEXR_DISABLED": "1"}
        launcher = ["-m", "hexr_instrument", sys.executable] if self.recorded else []
        environ = clean_environment(HEXR_STORE=str(self.store), HEXR_EXIT_TIMEOUT="30", **self._environment)
        return {
            "args": [sys.executable, *launcher, str(HERE / program), *args],
            "env": environ | own | off | variables,
            "cwd": HERE,
        }

    def serve(self, program: str, *args: str, agent: str | None = None, **variables: str) -> int:
        """Starts a server whose program takes a listening socket for `{fd}`; its port."""
        listening = self._stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        listening.set_inheritable(True)
        port = listening.getsockname()[1]
        filled = tuple(each.format(fd=listening.fileno()) for each in args)
        self._start(program, agent, filled, variables, pass_fds=(listening.fileno(),))
        return port

    def serve_port(self, program: str, *args: str, agent: str | None = None, **variables: str) -> int:
        """Starts a server whose program takes a `{port}` and says that it is ready."""
        with socket.socket() as held:
            held.bind(("127.0.0.1", 0))
            port = held.getsockname()[1]
        filled = tuple(each.format(port=port) for each in args)
        process = self._start(program, agent, filled, variables, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return port

    def _start(
        self, program: str, agent: str | None, args: tuple[str, ...], variables: dict[str, str], **how: Any
    ) -> subprocess.Popen[Any]:
        process = subprocess.Popen(**self._command(program, agent, args, variables), **how)
        self._stack.enter_context(process)
        self._stack.callback(process.terminate)
        return process

    def run(self, program: str, *args: str, agent: str | None = None, **variables: str) -> str:
        """Runs a program to its end; what it said."""
        command = self._command(program, agent, args, variables)
        done = subprocess.run(**command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def end(self) -> list[dict[str, Any]]:
        """Ends the servers; all records in order of their start."""
        self._stack.close()
        return sorted(records(self.store), key=lambda record: record["start"])

    def costs(self) -> dict[str, Any]:
        """What `hexr-instrument costs --json` says."""
        command = [sys.executable, "-m", "hexr_instrument", "costs", "--json", "--store", str(self.store)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=clean_environment())
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)
