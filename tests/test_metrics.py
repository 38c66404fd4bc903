"""Metrics: what a call is counted as, with which labels, on whose provider, and where it goes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support import Run

from hexr_instrument import names
from hexr_instrument.config import Config
from hexr_instrument.demo.otlp import Point
from hexr_instrument.demo.providers import ProviderServer
from hexr_instrument.demo.receiver import OtlpReceiver
from hexr_instrument.journal import Journal
from hexr_instrument.metrics import points
from hexr_instrument.values import METRIC_LABELS
from hexr_instrument.worker import Worker

CREW = """
import contextlib
from openai import OpenAI
from hexr import hexr_agent, hexr_labels, hexr_role
client = OpenAI(max_retries=0)
def ask(model="gpt-4o", **more):
    return client.chat.completions.create(model=model, messages=[{"role": "user", "content": "hi"}], **more)
with hexr_agent(name="crew", tenant="acme"), hexr_labels(team="search"):
    with contextlib.suppress(Exception):
        ask("missing-model")
    with hexr_role("writer"):
        ask(), ask(), ask("nobody-prices-this")
        for chunk in ask(stream=True, stream_options={"include_usage": True}): pass
    client.embeddings.create(model="text-embedding-3-small", input="x")
"""


def last(found: list[Point], name: str) -> list[Point]:
    """The newest point of each series of a metric."""
    series: dict[Any, Point] = {}
    for point in found:
        if point.name == name:
            series[(point.resource["service.instance.id"], *sorted(point.attributes.items()))] = point
    return list(series.values())


def total(found: list[Point], name: str, **labels: str) -> float:
    """The sum of a metric over its series; of a histogram, how many measurements there were."""
    wanted = {key.replace("__", "."): value for key, value in labels.items()}
    return sum(
        (point.count if point.value is None else point.value) or 0
        for point in last(found, name)
        if wanted.items() <= point.attributes.items()
    )


@pytest.mark.parametrize("transport", ["http", "grpc"])
def test_calls_arrive_as_metrics_that_agree_with_their_spans(
    run: Run, providers: ProviderServer, transport: str
) -> None:
    """Under the launcher: calls, cost, tokens, durations and chunks, by who and what; exemplars name their traces."""
    providers.reply(status=404)
    with OtlpReceiver(http=transport == "http", grpc=transport == "grpc") as receiver:
        done = run(
            CREW,
            HEXR_METRIC_LABELS="response_model,request_model,server,tenant,agent,role,label.team",
            **receiver.environment(),
        )
        assert (done.returncode, done.err) == (0, "")
        spans, found = receiver.spans, receiver.points
    calls = [span for span in spans if span.kind == "CLIENT"]
    assert len(calls) == 6
    assert total(found, "hexr.llm.calls") == 6
    assert total(found, "hexr.llm.calls", hexr__llm__cost__status="priced") == 4
    assert total(found, "hexr.llm.calls", hexr__llm__cost__status="unpriced") == 1
    assert total(found, "hexr.llm.calls", error__type="openai.NotFoundError") == 1
    assert total(found, "hexr.llm.calls", hexr__agent__role="writer") == 4
    cost = sum(span.attributes.get("hexr.llm.cost_usd", 0) for span in calls)
    assert total(found, "hexr.llm.cost_usd") == pytest.approx(cost) and cost > 0
    for kind in ("input", "output"):
        mine = [p for p in last(found, "gen_ai.client.token.usage") if p.attributes["gen_ai.token.type"] == kind]
        counted = sum(span.attributes.get(f"gen_ai.usage.{kind}_tokens", 0) for span in calls)
        assert sum(point.sum or 0 for point in mine) == counted > 0
    (streamed,) = [span for span in calls if "gen_ai.response.time_to_first_chunk" in span.attributes]
    (first,) = last(found, "gen_ai.client.operation.time_to_first_chunk")
    assert first.sum == pytest.approx(streamed.attributes["gen_ai.response.time_to_first_chunk"])
    assert total(found, "gen_ai.client.operation.time_per_output_chunk") > 1
    duration = sum(point.sum or 0 for point in last(found, "gen_ai.client.operation.duration"))
    assert duration == pytest.approx(sum((span.end - span.start) / 1e9 for span in calls))
    (agent,) = last(found, "gen_ai.invoke_agent.inference_calls")
    assert (agent.sum, agent.attributes["gen_ai.agent.name"]) == (6, "crew")
    for point in last(found, "hexr.llm.calls"):
        assert point.attributes["hexr.agent.tenant"] == "acme" and point.attributes["hexr.label.team"] == "search"
    remembered = {each.trace_id for point in found for each in point.exemplars}
    assert remembered == {calls[0].trace_id}
    assert {point.resource["service.instance.id"] for point in found} == {calls[0].resource["service.instance.id"]}


# -- one process, by hand


def record(number: int = 1, **fields: Any) -> dict[str, Any]:
    """A finished call, as the worker gets it."""
    start = time.time_ns()
    return {
        "kind": "call",
        "id": f"{number:016x}",
        "trace": f"{number:032x}",
        "sampled": True,
        "start": start,
        "end": start + 1_000_000,
        "op": "chat",
        "provider": "openai",
        "model": "gpt-4o",
        "served": "gpt-4o-2024-08-06",
        "host": "api.openai.com",
        "port": 443,
        "usage": {"input": 10, "output": 5},
        "cost": 75_000_000,
        "cost_status": "priced",
        "cost_source": "table",
        "finish": ["stop"],
        "response_id": "r1",
        **fields,
    }


@contextmanager
def measuring(
    monkeypatch: pytest.MonkeyPatch, store: Path, receiver: OtlpReceiver, **variables: str
) -> Iterator[Worker]:
    """A worker of this process whose metrics go to `receiver` when it is flushed, and when it ends."""
    for name in list(os.environ):
        if name.startswith(("OTEL_", "HEXR_")):
            monkeypatch.delenv(name)
    for name, value in {**receiver.environment(), "HEXR_STORE": str(store), **variables}.items():
        monkeypatch.setenv(name, value)
    config = Config.from_env()
    journal = Journal(config.store, lambda: {"v": 1, "kind": "segment", "destination": config.destination})
    worker = Worker(config, journal, lambda: {"service.instance.id": "one"})
    try:
        yield worker
    finally:
        worker.finish()


def test_a_new_series_starts_at_zero(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, receiver: OtlpReceiver) -> None:
    """Its first value comes with the zero it was at the collection before: `increase()` counts what is between."""
    with measuring(monkeypatch, tmp_path, receiver) as worker:
        worker.metrics.measure(record(1))
        assert worker.flush(20)
        worker.metrics.measure(record(2))
        worker.metrics.measure(record(3, model="gpt-4o-mini"))
        assert worker.flush(20)
    old, new = (
        [
            point
            for point in receiver.points
            if point.name == "hexr.llm.calls" and point.attributes["gen_ai.request.model"] == model
        ]
        for model in ("gpt-4o", "gpt-4o-mini")
    )
    assert [point.value for point in old] == [0, 1, 2]
    assert [point.value for point in new] == [0, 1]
    for series in (old, new):
        assert series[0].start <= series[0].time <= series[1].time - 1_000_000
    histogram = [point for point in receiver.points if point.name == "gen_ai.client.operation.duration"]
    assert (histogram[0].count, histogram[0].sum, sum(histogram[0].buckets)) == (0, 0, 0)
    assert len(receiver.requests) == 4, "nothing is new at the end, so nothing more is sent"


@pytest.mark.parametrize("preference", ["cumulative", "delta"])
def test_no_count_is_lost_while_a_backend_is_down(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, preference: str
) -> None:
    """503 for a while: afterwards the sum over all points (delta) or the newest (cumulative) is every call."""
    with OtlpReceiver(http=False, grpc=True) as receiver:
        receiver.fail(503, times=2)
        variables = {"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": preference}
        with measuring(monkeypatch, tmp_path, receiver, **variables) as worker:
            for number in range(4):
                worker.metrics.measure(record(number + 1))
                assert worker.flush(20)
        found = [point for point in receiver.points if point.name == "hexr.llm.calls"]
    assert {point.temporality for point in found} == {preference.upper()}
    assert (sum(point.value or 0 for point in found) if preference == "delta" else found[-1].value) == 4


def test_a_backend_that_takes_no_metrics_is_noted_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, receiver: OtlpReceiver, capfd: pytest.CaptureFixture[str]
) -> None:
    """404 at /v1/metrics: one note for `doctor`, no line on stderr, no harm to spans."""
    from test_delivery import reasons

    receiver.fail(404, times=None, signal="metrics")
    with measuring(monkeypatch, tmp_path, receiver) as worker:
        for number in range(3):
            worker.notify(worker._journal.append(record(number + 1)))
            worker.metrics.measure(record(number + 1))
            assert worker.flush(20)
    assert len(receiver.spans) == 3
    assert reasons(tmp_path) == {("metrics", "HTTP 404"): 1}
    assert capfd.readouterr().err == ""


def test_what_earlier_processes_left_is_not_counted_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, receiver: OtlpReceiver
) -> None:
    """Calls from the outbox are delivered as spans; metrics are of this process's own calls alone."""
    with measuring(monkeypatch, tmp_path, receiver) as worker:
        left = Journal(tmp_path, lambda: {"v": 1, "kind": "segment", "destination": worker._config.destination})
        for number in range(5):
            left.append(record(100 + number))
        ended = left.rotate()
        assert ended is not None
        ended.close()
        worker.notify(worker._journal.append(record(1)))
        worker.metrics.measure(record(1))
        receiver_had = worker.flush(20)
    assert receiver_had
    assert len(receiver.spans) == 6
    assert total(receiver.points, "hexr.llm.calls") == 1


def test_each_signal_has_its_own_endpoint(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, receiver: OtlpReceiver
) -> None:
    """An endpoint for metrics alone gets no span, and the calls stay in the local store; one for spans no metrics."""
    alone = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "",
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": receiver.endpoint + "/v1/metrics",
    }
    with measuring(monkeypatch, tmp_path, receiver, **alone) as worker:
        assert (worker._config.exports, worker._config.keep, worker._config.destination) == (False, True, None)
        worker.notify(worker._journal.append(record(1)))
        worker.metrics.measure(record(1))
        assert worker.flush(20)
    assert {each.signal for each in receiver.requests} == {"metrics"}
    assert len(list((tmp_path / "journal").glob("*.jsonl"))) == 1
    receiver.clear()
    alone = {"OTEL_EXPORTER_OTLP_ENDPOINT": "", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": receiver.endpoint + "/v1/traces"}
    with measuring(monkeypatch, tmp_path, receiver, **alone) as worker:
        worker.notify(worker._journal.append(record(2)))
        worker.metrics.measure(record(2))
        assert worker.flush(20)
    assert {each.signal for each in receiver.requests} == {"traces"}


def test_budgets_and_folded_labels_are_counted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, receiver: OtlpReceiver
) -> None:
    """Calls beyond a soft budget, calls that a hard one refused, and values beyond the 200th of a label."""
    with measuring(monkeypatch, tmp_path, receiver) as worker:
        worker.metrics.measure(record(1, over_budget=["tenant=acme 5.00/day"]))
        worker.metrics.measure({"kind": "refused", "budget": "total 9.00/day", "tenant": "acme"})
        for number in range(points.VALUES + 3):
            worker.metrics.measure(record(number + 2, tenant=f"t{number}"))
        assert worker.flush(60)
    found = receiver.points
    assert total(found, "hexr.llm.budget.exceeded", hexr__llm__budget__name="tenant=acme 5.00/day") == 1
    assert total(found, "hexr.llm.budget.refused", hexr__agent__tenant="acme") == 1
    assert len({p.attributes.get("hexr.agent.tenant") for p in last(found, "hexr.llm.calls")}) == points.VALUES + 1
    other = total(found, "hexr.llm.calls", hexr__agent__tenant=points.OTHER)
    assert other == 4  # `acme` was the first of the 200
    per_call = 5  # duration, two of tokens, calls, cost
    assert total(found, "hexr.metric.folded", hexr__metric__label="hexr.agent.tenant") == other * per_call
    assert max(each.size for each in receiver.requests) < 1 << 20


# -- what a record measures


def measured(*records: Mapping[str, Any], labels: Any = METRIC_LABELS, version: str = "default") -> list[Any]:
    """The measurements of records, in one process."""
    made = points.Points(labels, version)
    return [each for one in records for each in made.of(one)]


def test_the_labels_are_those_that_are_chosen() -> None:
    """HEXR_METRIC_LABELS names them; operation and provider are always there, an unknown one is absent."""
    one = record(tenant="acme", agent="crew", labels={"team": "search", "env": "prod"})
    (labels,) = {tuple(sorted(each[2])) for each in measured(one, labels=("tenant", "label.team")) if each[0] == "cost"}
    assert labels == ("gen_ai.operation.name", "gen_ai.provider.name", "hexr.agent.tenant", "hexr.label.team")
    everything = {name for each in measured(record()) for name in each[2]}
    assert not {"hexr.agent.role", "hexr.agent.name", "hexr.label.env"} & everything
    assert set(names.METRIC_LABELS) == set(METRIC_LABELS)


def test_an_instrument_has_so_many_series_and_no_more() -> None:
    """200 tenants, 6 agents, 10 models: beyond its cap an instrument folds every label, and says how often."""
    made = points.Points(METRIC_LABELS, "default")
    series: dict[str, set[Any]] = {}
    count = 0
    for number in range(12_000):
        one = record(1, tenant=f"t{number % 200}", agent=f"a{number // 200 % 6}", model=f"m{number // 1200}")
        for metric, value, attributes in made.of(one):
            series.setdefault(metric, set()).add(tuple(attributes.items()))
            count += value if metric == "calls" else 0
    assert max(len(each) for each in series.values()) <= points.SETS
    assert made.folded["series"] > 0
    assert count == 12_000


def test_attributes_are_made_once() -> None:
    """Two calls of the same caller and model share their labels: none is built anew for each."""
    made = points.Points(METRIC_LABELS, "default")
    first, second = (list(made.of(record(number))) for number in (1, 2))
    assert all(one[2] is other[2] for one, other in zip(first, second, strict=True))


def test_the_names_to_come_know_modalities_and_operations() -> None:
    """`HEXR_SEMCONV=latest`: counters by modality where it is told, and a duration of its own for what is no inference."""
    usage = {"input": 100, "output": 20, "input_audio": 60, "cache_read": 30, "reasoning": 5, "cache_write": 0}
    found = measured(record(usage=usage), record(op="embeddings", usage={"input": 7}), version="latest")
    by_modality = {
        (each[0], each[2].get("gen_ai.token.modality")): each[1] for each in found if each[0].endswith("_usage")
    }
    assert by_modality == {
        ("input_usage", "audio"): 60,
        ("input_usage", "text"): 40,
        ("output_usage", "unknown"): 20,
        ("cache_read_usage", "unknown"): 30,
        ("reasoning_usage", "unknown"): 5,
    }
    assert [each[0] for each in found if each[2]["gen_ai.operation.name"] == "embeddings"] == [
        "other_duration",
        "calls",
        "cost",
    ]


def test_a_fetched_response_is_no_call() -> None:
    """Fetching what was billed before has a duration and is counted nowhere else."""
    fetched = record(op="fetch_response", usage={}, cost_status=None, stream=True, first_chunk=5)
    del fetched["cost"]
    assert [each[0] for each in measured(fetched)] == ["duration"]


# -- the program's own providers, forks, consoles


THEIRS = """
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
reader = InMemoryMetricReader()
theirs = MeterProvider([reader])
"""
CALLS = """
from opentelemetry import metrics
early = metrics.get_meter("app").create_counter("early")
{before}from openai import OpenAI
{after}client = OpenAI()
client.chat.completions.create(model="gpt-4o", messages=[{{"role": "user", "content": "hi"}}])
early.add(3, {{"who": "me"}})
assert metrics.get_meter_provider() is theirs
found = {{}}
from hexr_instrument import flush
{flush}
for resource in reader.get_metrics_data().resource_metrics:
    for scope in resource.scope_metrics:
        for metric in scope.metrics:
            for point in metric.data.data_points:
                found[metric.name] = found.get(metric.name, 0) + getattr(point, "value", getattr(point, "count", 0))
print(found["early"], found["hexr.llm.calls"], found["gen_ai.client.operation.duration"])
"""
SET = "metrics.set_meter_provider(theirs)\n"


@pytest.mark.parametrize("endpoint", [False, True], ids=["embedded", "endpoint"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_the_programs_own_meter_provider_gets_our_metrics(
    run: Run, receiver: OtlpReceiver, when: str, endpoint: bool
) -> None:
    """A provider that the program sets, before or after us, is the global one and alone has our metrics and its own."""
    source = THEIRS + CALLS.format(
        before=SET if when == "before" else "", after=SET if when == "after" else "", flush="assert flush(20)"
    )
    done = run(source, **(receiver.environment() if endpoint else {}))
    assert (done.returncode, done.out, done.err) == (0, "3 1 1\n", "")
    assert receiver.points == []


def test_api_only_instruments_are_exported_and_move_to_a_later_provider(run: Run, receiver: OtlpReceiver) -> None:
    """A program that only uses the metrics API has its measurements exported; a provider set later takes them over."""
    source = (
        """
from opentelemetry import metrics
early = metrics.get_meter("app").create_counter("early")
from openai import OpenAI
meter = metrics.get_meter("app", "1.0")
late = meter.create_histogram("late", "s")
meter.create_observable_gauge("asked", [lambda options: [metrics.Observation(7, {"of": "me"})]])
early.add(2, {"who": "me"})
early.add(1, {"who": "me"})
late.record(0.25)
assert metrics.get_meter_provider().force_flush()
"""
        + THEIRS
        + """
metrics.set_meter_provider(theirs)
early.add(5)
late.record(0.5)
from hexr_instrument import flush
import time
names = lambda: {metric.name for each in reader.get_metrics_data().resource_metrics for scope in each.scope_metrics for metric in scope.metrics}
print(sorted(names()))
"""
    )
    done = run(source, **receiver.environment())
    assert (done.returncode, done.out, done.err) == (0, "['early', 'late']\n", ""), done.err
    found = {point.name: point for point in receiver.points}
    assert (found["early"].value, found["late"].sum, found["asked"].value) == (3, 0.25, 7)
    assert found["early"].attributes == {"who": "me"} and found["early"].scope.name == "app"


def test_the_embedded_default_loads_no_metrics(run: Run) -> None:
    """Without an endpoint neither the SDK's metrics nor the API's are loaded, and nobody's provider is set."""
    done = run(
        "import sys\nfrom openai import OpenAI\n"
        "OpenAI().chat.completions.create(model='gpt-4o', messages=[{'role': 'user', 'content': 'hi'}])\n"
        "print([name for name in sys.modules if name.startswith(('opentelemetry.metrics', 'opentelemetry.sdk'))])"
    )
    assert done.out == "[]\n", done.err


FORKS = """
import os
from openai import OpenAI
from hexr_instrument import flush
client = OpenAI()
def call(times):
    for _ in range(times):
        client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
call(3)
assert flush(20)
call(1)  # still waits to be counted at the fork: the parent's, not the children's
children = []
for _ in range(3):
    child = os.fork()
    if not child:
        client = OpenAI()
        call(2)
        flush(20)
        os._exit(0)
    children.append(child)
print([os.waitpid(child, 0)[1] for child in children])
call(1)
"""


def test_the_sum_over_forked_processes_is_right(run: Run, receiver: OtlpReceiver) -> None:
    """Each process counts its own calls from zero, as an instance of its own; none inherits its parent's."""
    done = run(FORKS, **receiver.environment())
    assert (done.returncode, done.out) == (0, "[0, 0, 0]\n"), done.err
    counted = {point.resource["service.instance.id"]: point.value for point in last(receiver.points, "hexr.llm.calls")}
    assert sorted(counted.values()) == [2, 2, 2, 5]
    assert total(receiver.points, "hexr.llm.cost_usd") == pytest.approx(
        sum(span.attributes["hexr.llm.cost_usd"] for span in receiver.spans)
    )


LOCKED = """
import gc, os, threading
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
reader = InMemoryMetricReader()
metrics.set_meter_provider(MeterProvider([reader]))
from openai import OpenAI
from hexr_instrument import flush
def call():
    OpenAI().chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
call()
flush(20)
reader.get_metrics_data()
kinds = (type(threading.Lock()), type(threading.RLock()))
locks = [
    value
    for each in gc.get_objects()
    if str(type(each).__module__).startswith("opentelemetry.sdk.metrics") and hasattr(each, "__dict__")
    for value in vars(each).values()
    if isinstance(value, kinds)
]
held, free = threading.Event(), threading.Event()
def hold():
    for lock in locks:
        lock.acquire()
    held.set()
    free.wait()
    for lock in locks:
        lock.release()
thread = threading.Thread(target=hold)
thread.start()
held.wait()
call()
child = os.fork()
if not child:
    call()
    os._exit(7)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
call()
free.set()
thread.join()
flush(20)
data = reader.get_metrics_data().resource_metrics[0].scope_metrics
(calls,) = (metric for scope in data for metric in scope.metrics if metric.name == "hexr.llm.calls")
print(len(locks) > 3, status, sum(point.value for point in calls.data.data_points))
"""


def test_no_lock_of_the_metrics_sdk_is_taken_by_a_call_or_a_fork(run: Run) -> None:
    """While a thread holds each of them, calls return, a fork too, and a call in the child; all are counted afterwards."""
    done = run(LOCKED)
    assert (done.returncode, done.out) == (0, "True 7 3\n"), done.err
    assert len(done.calls) == 4


def test_the_console_prints_metrics(run: Run) -> None:
    """OTEL_METRICS_EXPORTER=console prints them at the end, and the calls stay in the local store."""
    done = run(CREW, OTEL_METRICS_EXPORTER="console")
    assert '"name": "hexr.llm.cost_usd"' in done.out
    assert len(done.calls) == 6


SCRAPED = """
import socket, urllib.request
from openai import OpenAI
OpenAI().chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
from hexr_instrument import flush
assert flush(20)
import os
port = os.environ["OTEL_EXPORTER_PROMETHEUS_PORT"]
for _ in range(2):
    OpenAI().chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
    page = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
print("\\n".join(line for line in page.splitlines() if line.startswith("hexr_llm")))
"""


def test_prometheus_can_scrape(run: Run) -> None:
    """OTEL_METRICS_EXPORTER=prometheus serves a page that has each finished call at once, by the expected names."""
    pytest.importorskip("prometheus_client")
    port = _free_port()
    where = {"OTEL_EXPORTER_PROMETHEUS_HOST": "127.0.0.1", "OTEL_EXPORTER_PROMETHEUS_PORT": str(port)}
    done = run(SCRAPED, OTEL_METRICS_EXPORTER="prometheus", **where)
    assert (done.returncode, done.err) == (0, "")
    calls, cost = sorted(done.out.splitlines())
    assert calls.startswith("hexr_llm_calls_total{") and calls.endswith(" 3.0")
    assert cost.startswith("hexr_llm_cost_usd_total{") and 'gen_ai_request_model="gpt-4o"' in cost
    assert len(done.calls) == 3


WORKERS = """
import os, urllib.request
from openai import OpenAI
from hexr_instrument import flush
def call():
    OpenAI().chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
call()
flush(20)
for number in range(2):
    if not os.fork():
        os.environ["OTEL_EXPORTER_PROMETHEUS_PORT"] = "0"  # too late: it is read when a program starts
        call()
        flush(20)
        os._exit(0)
for number in range(2):
    os.wait()
port = os.environ["OTEL_EXPORTER_PROMETHEUS_PORT"]
page = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
print(*(line.rpartition(" ")[2] for line in page.splitlines() if line.startswith("hexr_llm_calls_total")))
"""


def test_of_forked_workers_one_serves_the_page(run: Run) -> None:
    """The others say so, a line each, and record as before; the page goes on, with what its own process did."""
    pytest.importorskip("prometheus_client")
    where = {"OTEL_EXPORTER_PROMETHEUS_HOST": "127.0.0.1", "OTEL_EXPORTER_PROMETHEUS_PORT": str(_free_port())}
    done = run(WORKERS, OTEL_METRICS_EXPORTER="prometheus", **where)
    assert (done.returncode, done.out) == (0, "1.0\n"), done.err
    assert [line.count("export by OTLP") for line in done.err.splitlines()] == [1, 1]
    assert len(done.calls) == 3


@pytest.mark.parametrize("trouble", ["package", "port"])
def test_a_page_that_cannot_be_served_is_one_line(run: Run, trouble: str) -> None:
    """Without the package, or with the port taken: one line that names the mend, and the program goes on."""
    blocked = "import sys\nsys.modules['prometheus_client'] = None\n" if trouble == "package" else ""
    if not blocked:
        pytest.importorskip("prometheus_client")
    with _taken_port() as port:
        done = run(
            blocked + CREW + "from hexr_instrument import flush\nflush(20)\n",
            OTEL_METRICS_EXPORTER="prometheus",
            OTEL_EXPORTER_PROMETHEUS_HOST="127.0.0.1",
            OTEL_EXPORTER_PROMETHEUS_PORT=str(port),
        )
    assert done.returncode == 0
    (line,) = done.err.splitlines()
    mend = "pip install opentelemetry-exporter-prometheus" if blocked else "OTEL_EXPORTER_PROMETHEUS_PORT"
    assert mend in line
    assert len(done.calls) == 6


def _free_port() -> int:
    with _taken_port() as port:
        return port


@contextmanager
def _taken_port() -> Iterator[int]:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]
