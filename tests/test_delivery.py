"""What becomes of calls while a backend is down, slow, hanging, refusing or picky: nothing is lost in silence."""

from __future__ import annotations

import contextvars
import http.server
import json
import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support import Run

from hexr_instrument import guard, health, outbox
from hexr_instrument.config import Config
from hexr_instrument.demo.receiver import OtlpReceiver
from hexr_instrument.journal import Journal
from hexr_instrument.report import doctor
from hexr_instrument.store import Store
from hexr_instrument.worker import Worker

CALL = """
import os, random, signal, sys, time
from openai import OpenAI
client = OpenAI()
def call(n=1):
    for _ in range(n):
        client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
"""


@pytest.fixture(params=["http", "grpc"])
def backend(request: pytest.FixtureRequest) -> Iterator[OtlpReceiver]:
    """A receiver over each of the two transports."""
    grpc = request.param == "grpc"
    with OtlpReceiver(http=not grpc, grpc=grpc) as server:
        yield server


@contextmanager
def delivering(monkeypatch: pytest.MonkeyPatch, store: Path, backend: OtlpReceiver, **variables: str) -> Iterator[Any]:
    """A journal and a worker of this process, as `append(n)`; what it writes is sent to `backend`."""
    for name in list(os.environ):
        if name.startswith(("OTEL_", "HEXR_")):
            monkeypatch.delenv(name)
    for name, value in {**backend.environment(), "HEXR_STORE": str(store), **variables}.items():
        monkeypatch.setenv(name, value)
    config = Config.from_env()
    header = {"v": 1, "kind": "segment", "destination": config.destination, "keep": config.keep, "resource": {}}
    journal = Journal(config.store, lambda: header)
    worker = Worker(config, journal)
    made = 0

    def append(count: int, **fields: Any) -> None:
        nonlocal made
        for _ in range(count):
            made += 1
            worker.notify(journal.append(record(made) | fields))

    append.worker, append.journal = worker, journal  # type: ignore[attr-defined]
    try:
        yield append
    finally:
        worker.finish()


def record(number: int) -> dict[str, Any]:
    """A finished call, as the journal has it."""
    start = time.time_ns()
    return {
        "kind": "call",
        "id": f"{number:016x}",
        "trace": f"{number:032x}",
        "sampled": True,
        "start": start,
        "end": start + 1_000_000,
        "op": "chat",
        "format": "chat",
        "provider": "openai",
        "model": "gpt-4o",
    }


def reasons(store: Path) -> dict[tuple[str, str], int]:
    """What a store's notes say was lost: kind and reason, and how many."""
    found: dict[tuple[str, str], int] = {}
    for note in health.notes(store):
        key = (note["kind"], note["reason"])
        found[key] = found.get(key, 0) + note["count"]
    return found


@pytest.mark.parametrize("status", [429, 503])
def test_what_a_backend_refuses_for_now_waits_and_is_sent_later(
    backend: OtlpReceiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """429 and 503: nothing is dropped, and the same ids arrive once it takes them."""
    backend.fail(status)
    with delivering(monkeypatch, tmp_path, backend) as append:
        append(3)
        backend.wait(requests=1)
        assert append.worker.flush(20)
    assert sorted(span.span_id for span in backend.spans) == [f"{number:016x}" for number in (1, 2, 3)]
    assert reasons(tmp_path) == {}


def test_a_backend_that_asks_for_time_is_left_alone(
    backend: OtlpReceiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`Retry-After` holds for a flush and for the exit as well: the calls wait on disk."""
    backend.fail(429, times=None, retry_after=600)
    with delivering(monkeypatch, tmp_path, backend) as append:
        append(3)
        backend.wait(requests=1)
        assert not append.worker.flush(20)
    assert len(backend.requests) == 1
    (segment,) = (tmp_path / "journal").glob("*.jsonl")
    assert len(segment.read_text().splitlines()) == 1 + 3


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_what_a_backend_never_takes_is_dropped_counted_and_said(
    backend: OtlpReceiver,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    status: int,
) -> None:
    """A 4xx: no endless retry; the number and the answer are noted for `doctor`, and one line says so."""
    if status == 404 and backend._grpc is not None:
        pytest.skip("gRPC has no such answer")
    monkeypatch.setattr(guard, "_said", set())
    backend.fail(status, times=None)
    with delivering(monkeypatch, tmp_path, backend) as append:
        append(5)
        assert append.worker.flush(20)
    assert backend.spans == []
    ((kind, reason),) = reasons(tmp_path)
    assert (kind, reasons(tmp_path)[kind, reason]) == ("refused", 5)
    line = capsys.readouterr().err
    assert reason in line
    assert "doctor" in line
    assert list((tmp_path / "journal").iterdir()) == []


def test_a_request_that_is_too_large_goes_in_parts(
    backend: OtlpReceiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """413, or gRPC's RESOURCE_EXHAUSTED: halves, until each is taken; a single call that is too large is dropped."""
    backend.limit(8_000)
    with delivering(monkeypatch, tmp_path, backend) as append:
        append.worker._delay = 0.2
        append(64)
        append(1, model="m" * 9_000)
        append(64)
        assert append.worker.flush(30)
    assert len({span.span_id for span in backend.spans}) == 128
    assert len(backend.spans) == 128
    ((kind, _),) = reasons(tmp_path)
    assert kind == "refused"
    assert list(reasons(tmp_path).values()) == [1]


def test_partial_success_is_counted(backend: OtlpReceiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend that takes a request but not all of its spans: not sent again, and the difference is noted."""
    backend.partial_success(2, "two of them are odd")
    with delivering(monkeypatch, tmp_path, backend) as append:
        append(5)
        assert append.worker.flush(20)
    assert len(backend.spans) == 5
    assert reasons(tmp_path) == {("refused", "partial success"): 2}


def test_a_record_that_cannot_be_encoded_costs_itself_only(
    backend: OtlpReceiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One damaged record among good ones: the good ones arrive."""
    monkeypatch.setattr(guard, "faults", {})
    with delivering(monkeypatch, tmp_path, backend) as append:
        append(3)
        append(1, start=-5)
        append(3)
        assert append.worker.flush(20)
    assert len(backend.spans) == 6


def test_a_channel_that_somebody_closes_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """GRPC's own hooks of a fork close every channel: what is sent then waits, and goes over a new one."""
    monkeypatch.setattr(guard, "faults", {})
    with OtlpReceiver(http=False, grpc=True) as backend, delivering(monkeypatch, tmp_path, backend) as append:
        append(1)
        assert append.worker.flush(20)
        append.worker._delivery._exporter._sinks[0].exporter._channel.close()
        append(1)
        assert not append.worker.flush(20)
        assert append.worker.flush(20)
        assert len({span.span_id for span in backend.wait(spans=2)}) == 2
    assert (guard.faults, reasons(tmp_path)) == ({}, {})


def test_calls_wait_while_the_headers_are_such_that_no_request_can_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A header in another alphabet, which HTTP cannot send: the calls are kept, and the screen says what is wrong."""
    monkeypatch.setattr(guard, "faults", {})
    headers = {"OTEL_EXPORTER_OTLP_HEADERS": "x-team=%E4%B8%AD"}
    with OtlpReceiver() as backend:
        with delivering(monkeypatch, tmp_path, backend, **headers) as append:
            append(3)
            assert not append.worker.flush(20)
        (segment,) = (tmp_path / "journal").glob("*.jsonl")
        assert len(segment.read_text().splitlines()) == 1 + 3
        assert (backend.requests, guard.faults, reasons(tmp_path)) == ([], {}, {})
        found, _ = doctor.delivery.telemetry(Config.from_env(), os.environ, quick=False).findings
        assert (found.level, "cannot be asked" in found.text) == ("problem", True)


def test_a_backend_that_answers_in_another_language_has_taken_the_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`OK` instead of an empty message, as small receivers say: delivered, and no fault of ours."""
    monkeypatch.setattr(guard, "faults", {})

    class Plain(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"OK")

        def log_message(self, *args: Any) -> None:
            """Says nothing."""

    with OtlpReceiver() as backend, http.server.HTTPServer(("127.0.0.1", 0), Plain) as plain:
        threading.Thread(target=plain.serve_forever, daemon=True).start()
        where = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{plain.server_port}"}
        with delivering(monkeypatch, tmp_path, backend, **where) as append:
            append(3)
            assert append.worker.flush(20)
        plain.shutdown()
    assert (guard.faults, reasons(tmp_path)) == ({}, {})


def test_what_waits_is_bounded_in_size(backend: OtlpReceiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the backend down, the oldest segments give way, and their calls are counted."""
    from hexr_instrument import journal

    backend.fail(503, times=None)
    monkeypatch.setattr(outbox, "WAITING_BYTES", 200_000)
    monkeypatch.setattr(journal, "ROTATE_BYTES", 50_000)
    with delivering(monkeypatch, tmp_path, backend) as append:
        total = 0
        while ("dropped", "more than 0 MiB waited") not in reasons(tmp_path):
            append(200)
            total += 200
            append.worker._delivery.retry_at = append.worker._delivery.orphans_at = 0.0
            append.worker._wake.put(None)
            assert total < 50_000
        backend.recover()
        append.worker._delivery.not_before = 0.0
        directory, destination = append.journal.directory, Config.from_env().destination
        while not append.worker.flush(10) or any(outbox.closed(directory, destination)):
            append.worker._delivery.orphans_at = 0.0  # a slow machine may not come to all of it within an exit's budget
    dropped = reasons(tmp_path)["dropped", "more than 0 MiB waited"]
    assert len({span.span_id for span in backend.spans}) + dropped == total


def test_what_waits_is_bounded_in_age(tmp_path: Path) -> None:
    """After 48 hours a segment is dropped, whichever endpoint it was meant for, and its undelivered calls counted."""
    for name, sent in (("a", 0), ("b", 1)):
        journal = Journal(tmp_path, lambda: {"v": 1, "kind": "segment", "destination": "gone"})
        sizes = [journal.append(record(number)) for number in range(4)]
        ended = journal.rotate()
        assert ended is not None
        ended.close()
        if sent:
            outbox.mark(ended.path, sizes[2])
        os.utime(ended.path, (time.time() - 49 * 3600,) * 2)
        assert name
    outbox.bound(tmp_path, tmp_path / "journal", lambda path: False)
    assert list((tmp_path / "journal").iterdir()) == []
    assert reasons(tmp_path) == {("dropped", "waited longer than 48 h"): 4 + 1}


def test_damaged_lines_of_what_waits_are_counted(
    backend: OtlpReceiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line that a fault of the disk has damaged, and one that a crash has cut: the others are sent, `doctor` says it."""
    with delivering(monkeypatch, tmp_path, backend, HEXR_EXIT_TIMEOUT="30") as append:
        dead = Journal(tmp_path, append.journal._header)
        for number in range(90, 95):
            dead.append(record(number))
        ended = dead.rotate()
        assert ended is not None
        text = ended.path.read_text().splitlines(keepends=True)
        ended.path.write_text("".join([*text[:2], "\0\0\n", *text[3:5], text[5][:40]]))
        ended.close()
        append(1)
    assert len(backend.spans) == 1 + 3
    assert reasons(tmp_path) == {("dropped", "damaged line in the journal"): 2}
    assert not ended.path.exists()
    (finding,) = doctor.delivery.losses(Store(tmp_path)).findings
    assert finding.text.startswith("calls dropped: damaged line in the journal (2,")


def test_kept_calls_of_an_endpoint_that_is_gone_stay_in_the_store(
    backend: OtlpReceiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With HEXR_KEEP an undelivered segment gives way on disk only once the local store has its calls."""
    from hexr_instrument.store import Store

    with delivering(monkeypatch, tmp_path, backend, HEXR_KEEP="30d") as append:
        journal = Journal(tmp_path, lambda: {"v": 1, "kind": "segment", "destination": "gone", "keep": True})
        journal.append(record(77))
        ended = journal.rotate()
        assert ended is not None
        ended.close()
        os.utime(ended.path, (time.time() - 49 * 3600,) * 2)
        append.worker._delivery.look_after(deliver=False)
    assert not ended.path.exists()
    assert sum(row.calls for row in Store(tmp_path).costs(by=("model",))) == 1


@pytest.mark.parametrize("trouble", ["refused", "hang", "503", "401", "redirect", "slow answer"])
def test_a_program_ends_within_its_budget_whatever_the_collector_does(run: Run, trouble: str) -> None:
    """The program's output, its exit status and its budget hold; what was not delivered waits on disk."""
    with OtlpReceiver() as receiver:
        endpoint = receiver.endpoint
        if trouble in ("hang", "slow answer"):
            receiver.hang()
        elif trouble in ("503", "401"):
            receiver.fail(int(trouble), times=None)
        elif trouble == "redirect":
            receiver.fail(307, times=None)
        else:
            receiver.close()
        source = CALL + "call(20); print('answered', flush=True); sys.exit(7)"
        done = run(source, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, HEXR_EXIT_TIMEOUT="1")
        assert (done.returncode, done.out) == (7, "answered\n")
        if trouble in ("401", "redirect"):
            assert len(done.err.splitlines()) == 1
            assert [count for (kind, _), count in reasons(done.store).items() if kind == "refused"] == [20]
        else:
            assert done.err == ""
            assert len(done.calls) == 20


def test_processes_share_one_exit_budget(run: Run, receiver: OtlpReceiver) -> None:
    """Where one has waited in vain, those that end after it leave their calls at once; an answer ends that."""
    receiver.hang()
    where = receiver.environment()
    source = CALL + "call()\nwhile not hub.recorder().worker._delivery.begun: time.sleep(0.01)"
    source = "from hexr_instrument import hub\nimport time\n" + source
    run(source, HEXR_EXIT_TIMEOUT="1", **where)
    (noted,) = (run(source, HEXR_EXIT_TIMEOUT="1000", **where).store / "journal").glob("*.hangs")
    receiver.recover()
    done = run(source + "\nhub.flush(20)", **where)
    assert not noted.exists()
    assert (done.err, done.calls) == ("", [])
    assert len({span.span_id for span in receiver.spans}) == 3


def test_a_redirect_is_not_followed(run: Run, receiver: OtlpReceiver) -> None:
    """A collector that points elsewhere gets no second request there: our headers hold credentials."""
    seen: list[str] = []

    class Elsewhere(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(self.path)
            self.send_response(307)
            self.send_header("Location", receiver.endpoint + "/v1/traces")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Elsewhere)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        done = run(
            CALL + "call()",
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{server.server_port}",
            OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer secret",
        )
    finally:
        server.shutdown()
        server.server_close()
    assert sorted(seen) == ["/v1/metrics", "/v1/traces"]
    assert receiver.requests == []
    assert reasons(done.store) == {("refused", "HTTP 307"): 1, ("metrics", "HTTP 307"): 1}


@pytest.mark.parametrize("status", [200, 503])
def test_delivery_leaves_the_programs_random_alone(run: Run, backend: OtlpReceiver, status: int) -> None:
    """`random.seed(42)` gives the same sequence while the worker sends, in vain or not."""
    if status != 200:
        backend.fail(status, times=None)
    source = CALL + (
        "random.seed(42)\ncall()\nfrom hexr_instrument import flush\nflush(20)\nprint([random.random() for _ in range(5)])"
    )
    random.seed(42)
    expected = [random.random() for _ in range(5)]
    done = run(source, **backend.environment())
    assert json.loads(done.out) == expected
    assert backend.requests


def test_a_backlog_is_drained_oldest_first_by_one_process_each(
    backend: OtlpReceiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an outage two workers share what waits: each segment is sent by one of them, whole, in order."""
    destination = None
    with delivering(monkeypatch, tmp_path, backend) as first:
        destination = first.worker._config.destination
        for segment in range(12):
            journal = Journal(tmp_path, lambda: {"v": 1, "kind": "segment", "destination": destination, "resource": {}})
            for number in range(10):
                journal.append(record(1_000 + segment * 10 + number))
            ended = journal.rotate()
            assert ended is not None
            ended.close()
        second = Worker(first.worker._config, Journal(tmp_path, lambda: {"destination": destination}))
        threads = [threading.Thread(target=each._run) for each in (first.worker, second)]
        for each in threads:
            each.start()
        backend.wait(120, timeout=30)
        second.finish()
    ids = [span.span_id for span in backend.spans]
    assert sorted(ids) == [f"{1_000 + number:016x}" for number in range(120)]
    assert list((tmp_path / "journal").iterdir()) == []


def test_a_failing_backend_is_asked_less_and_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, receiver: OtlpReceiver
) -> None:
    """Each failure in a row doubles the pause, up to a minute; a success ends it."""
    receiver.fail(503, times=None)
    with delivering(monkeypatch, tmp_path, receiver) as append:
        worker = append.worker
        worker._thread = threading.current_thread()  # this test is the worker
        own = contextvars.copy_context()  # what a worker's thread is told not to trace, this one still is
        append(1)
        pauses = []
        for _ in range(7):
            worker._delivery.retry_at = 0.0
            own.run(worker._cycle)
            pauses.append(worker._delivery.retry_at - time.monotonic())
        receiver.recover()
        worker._delivery.retry_at = 0.0
        own.run(worker._cycle)
        assert (worker._delivery.retry_at, worker._delivery.failures) == (0.0, 0)
        worker._thread = None
    for pause, expected in zip(pauses, (5, 10, 20, 40, 60, 60, 60), strict=True):
        assert 0.7 * expected < pause <= 1.2 * expected


def test_a_store_that_is_removed_under_a_program_is_made_again(run: Run, receiver: OtlpReceiver) -> None:
    """`rm -rf` of the store between two calls: what follows is kept, and delivered, as if it had not been."""
    source = CALL + (
        "import shutil\ncall(2)\nfrom hexr_instrument import flush\nflush(20)\n"
        "shutil.rmtree(os.environ['HEXR_STORE'])\ncall(3)\n"
    )
    embedded = run(source)
    assert (embedded.returncode, embedded.err, len(embedded.calls)) == (0, "", 3)
    done = run(source, **receiver.environment())
    assert (done.returncode, done.err) == (0, "")
    assert len(receiver.wait(5)) == 5


def test_a_descriptor_that_the_program_closes_and_uses_again_is_the_programs(run: Run, tmp_path: Path) -> None:
    """After `os.closerange`, a file of the program's own has our segment's number: no record is written into it."""
    source = CALL + (
        "call()\nclient.close()\nos.closerange(3, 64)\n"
        "mine = [open(f'mine-{n}', 'w') for n in range(20)]\nclient = OpenAI()\n"
        "client.chat.completions.create(model='gpt-4o', messages=[{'role': 'user', 'content': 'hi'}])\n"
        "print([os.stat(f'mine-{n}').st_size for n in range(20)])\n"
    )
    done = run(source)
    assert (done.returncode, done.out) == (0, f"{[0] * 20}\n"), done.err
    assert len(done.calls) == 2


@pytest.mark.parametrize("same", [True, False])
def test_calls_wait_for_their_own_account(run: Run, receiver: OtlpReceiver, same: bool) -> None:
    """One URL, two API keys: calls go with the headers they were made under, however the URL is spelt; with no others."""
    receiver.fail(503, times=None)
    headers = {"OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=a"}
    run(CALL + "call(2)", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint, **headers)
    receiver.recover()
    where = (
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{receiver.endpoint}/v1/traces"}
        if same
        else {"OTEL_EXPORTER_OTLP_ENDPOINT": f"{receiver.endpoint}/"}
    )
    done = run(CALL + "call()", **where, **(headers if same else {"OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=b"}))
    assert len(receiver.wait(3 if same else 1)) == (3 if same else 1)
    assert len(done.calls) == (0 if same else 2)
