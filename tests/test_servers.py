"""The servers that agents run in, for real: each finished call arrives, from the right process, whatever stops them."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support import clean_environment, records

from hexr_instrument.demo.providers import ProviderServer
from hexr_instrument.demo.receiver import OtlpReceiver

for server in ("gunicorn", "uvicorn", "celery"):
    pytest.importorskip(server)

APP = """
import os
from openai import OpenAI
client = OpenAI()
def call():
    client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
def wsgi(environ, start_response):
    if environ["PATH_INFO"] == "/call":
        call()
    start_response("200 OK", [("content-type", "text/plain")])
    return [str(os.getpid()).encode()]
async def asgi(scope, receive, send):
    if scope["type"] != "http":
        return
    if scope["path"] == "/call":
        call()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})
"""
TASKS = """
import os
from celery import Celery
from openai import OpenAI
here = os.path.dirname(os.path.abspath(__file__))
box = os.path.join(here, "box")
for folder in (box, box + ".control"):
    os.makedirs(folder, exist_ok=True)
app = Celery("tasks", broker="filesystem://")
app.conf.broker_transport_options = {
    "data_folder_in": box, "data_folder_out": box, "control_folder": box + ".control", "polling_interval": 0.1,
}
app.conf.worker_hijack_root_logger = False
app.conf.broker_connection_retry_on_startup = True
@app.task
def ask(n):
    OpenAI().chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": str(n)}])
    with open(os.path.join(here, f"done-{n}"), "w") as file:
        file.write(str(os.getpid()))
"""


def until(arrived: Callable[[], Any], what: str, timeout: float = 60) -> Any:
    """What `arrived()` gives, as soon as it gives something."""
    deadline = time.monotonic() + timeout
    while not (found := arrived()):
        assert time.monotonic() < deadline, f"{what} did not happen in {timeout} s"
        time.sleep(0.02)
    return found


def free_port() -> int:
    """A port of 127.0.0.1 that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def get(port: int, path: str) -> int | None:
    """The pid that answered, or None where nobody listens yet."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
            return int(answer.read())
    except OSError:
        return None


class Started:
    """A server that runs, under the launcher or bare."""

    def __init__(self, folder: Path, command: list[str], environ: dict[str, str], *, bare: bool) -> None:
        launcher = [] if bare else [sys.executable, "-m", "hexr_instrument"]
        self._log = folder / "log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*launcher, sys.executable, *command], env=environ, cwd=folder, stdout=log, stderr=log
            )

    def stop(self, number: int) -> int:
        """Its exit status after a signal."""
        self.process.send_signal(number)
        return self.process.wait(60)

    @property
    def log(self) -> str:
        """What it has printed."""
        return self._log.read_text()


@pytest.fixture
def start(tmp_path: Path, providers: ProviderServer, receiver: OtlpReceiver) -> Iterator[Callable[..., Any]]:
    """Starts a server in a folder with the programs above; it is killed at the end if it still runs."""
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "tasks.py").write_text(TASKS)
    environ = clean_environment(
        HEXR_STORE=str(tmp_path / "store"), HEXR_EXIT_TIMEOUT="30", **providers.environment(), **receiver.environment()
    )

    @contextmanager
    def begin(*command: str, bare: bool = False) -> Iterator[Started]:
        server = Started(tmp_path, list(command), environ, bare=bare)
        try:
            yield server
        finally:
            server.process.kill()
            server.process.wait()

    yield begin


WEB = {
    "gunicorn-sync": ["-m", "gunicorn", "--no-control-socket", "-w", "2", "-b", "127.0.0.1:{port}", "app:wsgi"],
    "gunicorn-preload-gthread": [
        *("-m", "gunicorn", "--no-control-socket", "--preload", "-k", "gthread", "--threads", "2"),
        *("-w", "2", "-b", "127.0.0.1:{port}", "app:wsgi"),
    ],
    "uvicorn": ["-m", "uvicorn", "--port", "{port}", "app:asgi"],
    "uvicorn-workers": ["-m", "uvicorn", "--workers", "2", "--port", "{port}", "app:asgi"],
}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("server", WEB)
def test_a_web_server_that_is_stopped_has_delivered_every_call(
    start: Any, receiver: OtlpReceiver, tmp_path: Path, server: str, number: int
) -> None:
    """Calls of all workers arrive before the server ends, each with its own process's id; its status is as without us."""
    port = free_port()
    command = [part.format(port=port) for part in WEB[server]]
    with start(*command, bare=True) as bare:
        until(lambda: get(port, "/"), f"{server}: {bare.log}")
        expected = bare.stop(number)
    with start(*command) as running:
        until(lambda: get(port, "/"), f"{server}: {running.log}")
        answered = [get(port, "/call") for _ in range(12)]
        assert None not in answered
        assert running.stop(number) == expected, running.log
    assert len(receiver.wait(12, timeout=5)) == 12, running.log
    pids = [span.resource["service.instance.id"].rpartition("-")[2] for span in receiver.spans]
    assert sorted(pids) == sorted(map(str, answered))
    assert records(tmp_path / "store") == []
    assert "hexr" not in running.log


CELERY = ["-m", "celery", "-A", "tasks", "worker", "-c", "2", "--without-gossip", "--without-mingle", "-l", "WARNING"]


def send_tasks(tmp_path: Path, count: int) -> None:
    """Puts tasks into the broker's folder, from a process of its own."""
    source = f"from tasks import ask\nfor n in range({count}): ask.delay(n)"
    subprocess.run([sys.executable, "-c", source], cwd=tmp_path, check=True, timeout=60)


@pytest.mark.parametrize("pool", ["prefork", "prefork-recycled", "threads"])
def test_a_celery_worker_that_is_stopped_has_delivered_every_call(
    start: Any, receiver: OtlpReceiver, tmp_path: Path, pool: str
) -> None:
    """Warm stop: the children of the pool leave by `os._exit`, after their calls have been sent."""
    options = ["-P", pool.partition("-")[0], *(["--max-tasks-per-child", "2"] if pool == "prefork-recycled" else [])]
    with start(*CELERY, *options) as worker:
        send_tasks(tmp_path, 8)
        until(lambda: len(list(tmp_path.glob("done-*"))) == 8, f"tasks: {worker.log}")
        worker.stop(signal.SIGTERM)
    assert len(receiver.wait(8, timeout=5)) == 8, worker.log
    assert len({span.span_id for span in receiver.spans}) == 8


def test_a_celery_worker_that_is_stopped_cold_keeps_every_call(
    start: Any, receiver: OtlpReceiver, tmp_path: Path
) -> None:
    """SIGQUIT kills the pool: what was not sent is on disk, whole, and leaves with the next process."""
    with start(*CELERY, "-P", "prefork") as worker:
        send_tasks(tmp_path, 6)
        until(lambda: len(list(tmp_path.glob("done-*"))) == 6, f"tasks: {worker.log}")
        worker.stop(signal.SIGQUIT)
    sent = {span.span_id for span in receiver.spans}
    kept = {record["id"] for record in records(tmp_path / "store")}
    assert len(sent | kept) == 6, worker.log
    with start("-c", APP + "\ncall()") as following:
        assert following.process.wait(60) == 0, following.log
    assert len({span.span_id for span in receiver.wait(7)}) == 7


def test_a_container_without_a_home_and_with_a_read_only_root_delivers(
    start: Any, receiver: OtlpReceiver, providers: ProviderServer, tmp_path: Path
) -> None:
    """No HOME, nowhere to write, process 1 of its own namespace: calls wait in memory and leave before the end."""
    enter = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c"]
    enter.append('mount --bind / / && mount -o remount,ro,bind / && exec "$@"')
    try:
        allowed = subprocess.run([*enter, "sh", "true"], capture_output=True, timeout=20, check=False).returncode == 0
    except OSError:
        allowed = False
    if not allowed:
        pytest.skip("needs the right to make namespaces")
    source = (
        "import os, signal, sys, time\n" + APP + "\n"
        "assert os.getpid() == 1\n"
        "assert not os.access('/tmp', os.W_OK)\n"
        "for _ in range(5): call()\n"
        "os.kill(1, signal.SIGTERM)\n"
        "call()\n"
        "print('alive', flush=True)\n"
        "sys.exit(3)\n"
    )
    environ = clean_environment(HEXR_EXIT_TIMEOUT="30", **providers.environment(), **receiver.environment())
    for name in ("HOME", "XDG_STATE_HOME", "TMPDIR"):
        environ.pop(name, None)
    done = subprocess.run(
        [*enter, "sh", sys.executable, "-m", "hexr_instrument", sys.executable, "-c", source],
        env=environ,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (3, "alive\n"), done.stderr
    (line,) = done.stderr.splitlines()
    assert "kept in memory only" in line
    assert len(receiver.wait(6, timeout=5)) == 6


@pytest.mark.parametrize("ending", ["returns", "is stopped"])
def test_process_1_ends_within_its_budget_while_the_collector_hangs(
    receiver: OtlpReceiver, providers: ProviderServer, tmp_path: Path, ending: str
) -> None:
    """A collector that takes the request and never answers: its status is the program's own, its calls stay on disk."""
    enter = ["unshare", "--pid", "--fork", "--mount", "--mount-proc", "--kill-child"]
    try:
        allowed = subprocess.run([*enter, "true"], capture_output=True, timeout=20, check=False).returncode == 0
    except OSError:
        allowed = False
    if not allowed:
        pytest.skip("needs the right to make namespaces")
    receiver.hang()
    source = (
        "import os, signal, sys\n" + APP + "\n"
        "assert os.getpid() == 1\n"
        + ("" if ending == "returns" else "signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))\n")
        + "for _ in range(5): call()\n"
        + ("sys.exit(3)\n" if ending == "returns" else "os.kill(1, signal.SIGTERM)\nsignal.pause()\n")
    )
    environ = clean_environment(
        HEXR_STORE=str(tmp_path / "store"), HEXR_EXIT_TIMEOUT="1", **providers.environment(), **receiver.environment()
    )
    done = subprocess.run(
        [*enter, sys.executable, "-m", "hexr_instrument", sys.executable, "-c", source],
        env=environ,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (3, "", "")
    assert len({record["id"] for record in records(tmp_path / "store")}) == 5
