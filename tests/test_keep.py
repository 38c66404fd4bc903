"""No finished call is lost: the ways out of a process, many processes, and a collector that is not there."""

from __future__ import annotations

import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support import Run, clean_environment, records

from hexr_instrument.demo.providers import ProviderServer
from hexr_instrument.demo.receiver import OtlpReceiver
from hexr_instrument.store import Store

CALL = """
import os, signal, sys
from openai import OpenAI
client = OpenAI()
def call(n=1):
    for _ in range(n):
        client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
"""
WAYS_OUT = {
    "return": ("call()", 0),
    "sys.exit": ("call(); sys.exit(3)", 3),
    "exception": ("call(); raise ValueError", 1),
    "os._exit": ("call(); os._exit(4)", 4),
    "SIGTERM": ("call(); os.kill(os.getpid(), signal.SIGTERM)", -15),
    "SIGKILL": ("call(); os.kill(os.getpid(), signal.SIGKILL)", -9),
    "SIGINT": ("call(); os.kill(os.getpid(), signal.SIGINT)", -2),
    "execv": ("call(); os.execv(sys.executable, [sys.executable, '-c', 'raise SystemExit(5)'])", 5),
    "abort": ("call(); os.abort()", -6),
    "child": ("pid = os.fork()\nif not pid:\n    call()\n    os._exit(0)\nos.waitpid(pid, 0)", 0),
}


def collector_down() -> dict[str, str]:
    """The environment of an endpoint on a port where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{probe.getsockname()[1]}"
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "HEXR_EXIT_TIMEOUT": "1"}


@pytest.mark.parametrize("endpoint", [False, True], ids=["embedded", "collector-down"])
@pytest.mark.parametrize("way", WAYS_OUT)
def test_no_way_out_loses_a_finished_call(run: Run, way: str, endpoint: bool) -> None:
    """A process that ends in any way right after a call keeps it, and its exit status is as without us."""
    ending, status = WAYS_OUT[way]
    variables = collector_down() if endpoint else {}
    done = run(CALL + ending, **variables)
    assert done.returncode == status, done.err
    assert len(done.calls) == 1


def test_calls_that_waited_for_a_collector_are_sent_by_the_next_process(run: Run, receiver: OtlpReceiver) -> None:
    """Calls of a killed process arrive later with their own ids, times and service, once, at their own endpoint."""
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint}
    killed = run(CALL + "call(2); os.kill(os.getpid(), signal.SIGKILL)", OTEL_SERVICE_NAME="first", **variables)
    waiting = killed.calls
    assert len(waiting) == 2
    done = run(CALL + "call()", OTEL_SERVICE_NAME="second", **variables)
    assert done.returncode == 0
    spans = receiver.wait(3)
    late = {span.span_id: span for span in spans if span.resource["service.name"] == "first"}
    assert {span_id: span.start for span_id, span in late.items()} == {each["id"]: each["start"] for each in waiting}
    assert len(spans) == 3
    assert done.records == []


def test_calls_wait_for_their_own_endpoint_only(run: Run, receiver: OtlpReceiver) -> None:
    """What was meant for another endpoint, or for the local store, is never sent to this one."""
    run(CALL + "call(); os._exit(0)", **collector_down())
    run(CALL + "call(); os._exit(0)")
    done = run(CALL + "call()", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint)
    receiver.wait(1)
    assert len(receiver.spans) == 1
    assert len(done.calls) == 2


def test_sixteen_processes_write_the_same_store_without_a_loss(providers: ProviderServer, tmp_path: Path) -> None:
    """16 programs at once, the report reading along: every call of each is in the store, once."""
    program = tmp_path / "program.py"
    program.write_text(CALL + "call(20)")
    environ = clean_environment(HEXR_STORE=str(tmp_path / "store"), **providers.environment())
    command = [sys.executable, "-m", "hexr_instrument", sys.executable, str(program)]

    def one(_: int) -> int:
        return subprocess.run(command, env=environ, check=False, timeout=120).returncode

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(one, range(16))) == [0] * 16
    store = Store(tmp_path / "store")
    store.ingest_all()
    assert sum(row.calls for row in store.costs(by=("model",))) == 16 * 20
    assert records(tmp_path / "store") == []


def test_a_store_that_cannot_be_written_costs_the_record_and_never_the_call(run: Run, tmp_path: Path) -> None:
    """A path that is a file: the program runs on, and one line names the path and the mend."""
    (tmp_path / "file").write_text("")
    done = run(CALL + "call(3); print('done')", HEXR_STORE=str(tmp_path / "file" / "store"))
    assert done.returncode == 0
    assert done.out == "done\n"
    (line,) = done.err.splitlines()
    assert str(tmp_path / "file" / "store") in line
    assert "HEXR_STORE" in line


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_costs_the_record_and_never_the_call(run: Run) -> None:
    """A write that fails with ENOSPC is said in one line, and the program runs on."""
    source = """
import hexr_instrument.journal as journal, os
real = os.write
def full(file, data):
    if file > 2:
        raise OSError(28, "No space left on device")
    return real(file, data)
os.write = full
"""
    done = run(source + CALL + "call(2); print('done')")
    assert done.returncode == 0
    assert done.out == "done\n"
    assert "No space left on device" in done.err
    assert len(done.err.splitlines()) == 1


def test_calls_leave_the_store_after_the_time_that_their_program_said(run: Run) -> None:
    """HEXR_KEEP of the recording program bounds what stays, whoever reads; the report says what it covers."""
    import sqlite3
    from contextlib import closing

    store = Store(run(CALL + "call()", HEXR_KEEP="30d").store)
    store.ingest_all()
    with closing(sqlite3.connect(store.path)) as database, database:
        database.execute("UPDATE calls SET start = start - ?", (31 * 86_400 * 10**9,))
    run(CALL + "call()", HEXR_KEEP="30d")
    store.ingest_all()
    assert sum(row.calls for row in store.costs(by=("model",))) == 1
    assert store.state().covers_since is not None


def test_a_broken_store_is_said_once_and_costs_no_call(run: Run, tmp_path: Path) -> None:
    """A store file that is none: the program runs on, one line names it and the mend, and its calls wait."""
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "hexr.db").write_bytes(b"not a database, but longer than a header")
    done = run(CALL + "call(2); print('done')")
    assert (done.returncode, done.out) == (0, "done\n")
    (line,) = done.err.splitlines()
    assert "hexr.db is no store: move it away" in line
    assert len(done.calls) == 2


def test_calls_that_wait_for_an_endpoint_are_not_nothing(run: Run) -> None:
    """While the collector is down, `costs` says that calls wait, and how to see them here."""
    done = run(CALL + "call(2)", **collector_down())
    shown = subprocess.run(
        [sys.executable, "-m", "hexr_instrument", "costs", "--store", str(done.store)],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "2 calls wait" in shown.stdout
    assert "HEXR_KEEP" in shown.stdout
