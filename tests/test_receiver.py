"""The loopback OTLP receiver against the official exporters, by HTTP and by gRPC."""

from __future__ import annotations

import gzip
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpanExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.metrics import Counter, MeterProvider
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    MetricReader,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter

from hexr_instrument.demo.receiver import OtlpReceiver

RESOURCE = Resource({"service.name": "crew", "deployment.environment.name": "test"})


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    """HTTP only."""
    with OtlpReceiver() as server:
        yield server


def trace_two_spans(exporter: SpanExporter) -> None:
    """A parent with an event and attributes of every type, and a child that links to it and fails."""
    provider = TracerProvider(resource=RESOURCE)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("crew.test", "1.2", "https://example.com/schema", {"prices": "2026-11"})
    attributes: dict[str, Any] = {"text": "x", "whole": 7, "part": 0.5, "yes": True, "many": ["a", "b"]}
    with tracer.start_as_current_span("parent", kind=trace.SpanKind.CLIENT, attributes=attributes) as parent:
        parent.add_event("happened", {"n": 1}, timestamp=5)
        link = trace.Link(parent.get_span_context(), {"why": "because"})
        with tracer.start_as_current_span("child", links=[link]) as child:
            child.set_status(trace.StatusCode.ERROR, "no luck")
    provider.shutdown()


def post(url: str, body: bytes, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Status, lower-case headers and body of the answer to an export request."""
    given = {"content-type": "application/x-protobuf"} | {k.replace("_", "-"): v for k, v in headers.items()}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, given)) as response:
            return response.status, {k.lower(): v for k, v in response.headers.items()}, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, {k.lower(): v for k, v in error.headers.items()}, error.read()


@pytest.mark.parametrize("transport", ["http", "http+gzip", "grpc"])
def test_spans_arrive_whole(transport: str) -> None:
    """Ids, parent, times, attributes, status, events, links, resource and scope, by each transport."""
    with OtlpReceiver(http=transport != "grpc", grpc=transport == "grpc") as receiver:
        if transport == "grpc":
            exporter: SpanExporter = GrpcSpanExporter(endpoint=receiver.grpc_endpoint, headers={"x-mine": "1"})
        else:
            compression = Compression.Gzip if "gzip" in transport else Compression.NoCompression
            endpoint = f"{receiver.endpoint}/v1/traces"
            exporter = OTLPSpanExporter(endpoint=endpoint, compression=compression, headers={"x-mine": "1"})
        trace_two_spans(exporter)
        child, parent = receiver.wait(2)
    assert (parent.name, parent.kind, parent.status, parent.parent_id) == ("parent", "CLIENT", "UNSET", None)
    assert (child.kind, child.status, child.message) == ("INTERNAL", "ERROR", "no luck")
    assert (child.parent_id, child.trace_id) == (parent.span_id, parent.trace_id)
    assert (len(parent.trace_id), len(parent.span_id)) == (32, 16)
    assert parent.start <= child.start <= child.end <= parent.end
    assert parent.attributes == {"text": "x", "whole": 7, "part": 0.5, "yes": True, "many": ["a", "b"]}
    assert [(event.name, event.time, event.attributes) for event in parent.events] == [("happened", 5, {"n": 1})]
    assert [(link.span_id, link.attributes) for link in child.links] == [(parent.span_id, {"why": "because"})]
    assert parent.resource == {"service.name": "crew", "deployment.environment.name": "test"}
    scope = parent.scope
    assert (scope.name, scope.version, scope.schema_url) == ("crew.test", "1.2", "https://example.com/schema")
    assert scope.attributes == {"prices": "2026-11"}
    assert {request.signal for request in receiver.requests} == {"traces"}
    assert all(request.headers["x-mine"] == "1" for request in receiver.requests)
    assert receiver.bytes["traces"] == sum(request.size for request in receiver.requests) > 0
    assert receiver.bytes["metrics"] == 0


def metrics_to(receiver: OtlpReceiver, *readers: MetricReader) -> MeterProvider:
    """A meter provider that exports when told to."""
    exporter = OTLPMetricExporter(
        endpoint=f"{receiver.endpoint}/v1/metrics",
        preferred_temporality={Counter: AggregationTemporality.DELTA},
    )
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=float("inf"))
    return MeterProvider(metric_readers=[reader, *readers], resource=RESOURCE)


def test_metric_points_arrive_flat(receiver: OtlpReceiver) -> None:
    """A sum, a gauge and a histogram: one point each, with the metric's own fields repeated."""
    provider = metrics_to(receiver)
    meter = provider.get_meter("crew.meter", "3")
    meter.create_counter("cost", unit="{USD}", description="spent").add(0.25, {"role": "writer"})
    meter.create_gauge("depth").set(7)
    histogram = meter.create_histogram("tokens", unit="{token}", explicit_bucket_boundaries_advisory=[10, 100])
    histogram.record(5)
    histogram.record(50)
    provider.force_flush()
    provider.shutdown()
    receiver.wait(points=3)
    cost, depth, tokens = sorted(receiver.points, key=lambda point: point.name)
    assert (cost.kind, cost.unit, cost.description, cost.value) == ("sum", "{USD}", "spent", 0.25)
    assert (cost.monotonic, cost.temporality, cost.attributes) == (True, "DELTA", {"role": "writer"})
    assert (depth.kind, depth.value, depth.temporality) == ("gauge", 7, None)
    assert (tokens.kind, tokens.temporality, tokens.value) == ("histogram", "CUMULATIVE", None)
    assert (tokens.count, tokens.sum, tokens.min, tokens.max) == (2, 55, 5, 50)
    assert (tokens.bounds, tokens.buckets) == ((10, 100), (1, 1, 0))
    assert cost.resource["service.name"] == "crew"
    assert (cost.scope.name, cost.scope.version) == ("crew.meter", "3")
    assert 0 < cost.start <= cost.time


def test_exemplars_point_to_their_span(receiver: OtlpReceiver) -> None:
    """A measurement inside a sampled span is remembered with the span's ids."""
    provider = metrics_to(receiver)
    counter = provider.get_meter("m").create_counter("calls")
    with TracerProvider().get_tracer("t").start_as_current_span("s") as span:
        counter.add(3)
    provider.force_flush()
    provider.shutdown()
    receiver.wait(points=1)
    (exemplar,) = receiver.points[0].exemplars
    context = span.get_span_context()
    assert (exemplar.value, exemplar.span_id) == (3, f"{context.span_id:016x}")
    assert exemplar.trace_id == f"{context.trace_id:032x}"


def test_log_records_arrive(receiver: OtlpReceiver) -> None:
    """Events with a structured body, and the span that they belong to."""
    from opentelemetry._logs import LogRecord, SeverityNumber
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor

    provider = LoggerProvider(resource=RESOURCE)
    provider.add_log_record_processor(
        SimpleLogRecordProcessor(OTLPLogExporter(endpoint=f"{receiver.endpoint}/v1/logs"))
    )
    with TracerProvider().get_tracer("t").start_as_current_span("s") as span:
        record = LogRecord(
            timestamp=11,
            severity_number=SeverityNumber.INFO,
            severity_text="INFO",
            body={"messages": [{"role": "user", "n": 1}]},
            attributes={"a": 1},
            event_name="gen_ai.client.inference.operation.details",
        )
        provider.get_logger("crew.log").emit(record)
    provider.shutdown()
    receiver.wait(logs=1)
    (log,) = receiver.logs
    assert (log.time, log.severity, log.severity_number, log.attributes) == (11, "INFO", 9, {"a": 1})
    assert log.event_name == "gen_ai.client.inference.operation.details"
    assert log.body == {"messages": [{"role": "user", "n": 1}]}
    assert log.span_id == f"{span.get_span_context().span_id:016x}"
    assert (log.scope.name, log.resource["service.name"]) == ("crew.log", "crew")


def test_faults_refuse_and_end(receiver: OtlpReceiver) -> None:
    """Refused requests are counted but not kept; a fault may be for one signal; then all is well again."""
    receiver.fail(503, times=2, retry_after=7)
    receiver.fail(413, signal="metrics")
    url = f"{receiver.endpoint}/v1/traces"
    answers = [post(url, b"") for _ in range(3)]
    assert [(status, headers.get("retry-after")) for status, headers, _ in answers] == [
        (503, "7"),
        (503, "7"),
        (200, None),
    ]
    assert post(f"{receiver.endpoint}/v1/metrics", b"")[0] == 413
    assert [request.status for request in receiver.requests] == [503, 503, 200, 413]
    receiver.fail(429, times=None)
    assert {post(url, b"")[0] for _ in range(3)} == {429}
    receiver.recover()
    assert post(url, b"")[0] == 200


def test_a_grpc_exporter_retries_after_the_delay_it_is_told() -> None:
    """UNAVAILABLE with RetryInfo is understood by the official exporter, and the spans arrive once."""
    with OtlpReceiver(http=False, grpc=True) as receiver:
        receiver.fail(503, times=1, retry_after=0.001)
        exporter = GrpcSpanExporter(endpoint=receiver.grpc_endpoint, insecure=True)
        trace_two_spans(exporter)
        assert [span.name for span in receiver.spans] == ["child", "parent"]
        assert [request.status for request in receiver.requests] == [503, 200, 200]
        assert receiver.environment()["OTEL_EXPORTER_OTLP_PROTOCOL"] == "grpc"


def test_partial_success_is_said(receiver: OtlpReceiver) -> None:
    """The answer is 200 and states how many items were refused, once."""
    receiver.partial_success(2, "too many attributes")
    url = f"{receiver.endpoint}/v1/traces"
    status, _, body = post(url, b"")
    partial = ExportTraceServiceResponse.FromString(body).partial_success
    assert (status, partial.rejected_spans, partial.error_message) == (200, 2, "too many attributes")
    assert post(url, b"")[2] == b""


def test_a_hanging_receiver_answers_when_it_recovers(receiver: OtlpReceiver) -> None:
    """Requests wait, arrive byte for byte, and are answered later."""
    receiver.hang()
    statuses: list[int] = []
    thread = threading.Thread(
        target=lambda: statuses.append(post(f"{receiver.endpoint}/v1/traces", b"")[0]), daemon=True
    )
    thread.start()
    receiver.wait(hanging=1)
    assert (receiver.requests, statuses) == ([], [])
    receiver.recover()
    thread.join()
    assert statuses == [200]


@pytest.mark.parametrize("grpc", [False, True])
def test_closing_drops_hanging_requests(grpc: bool) -> None:
    """A client of a receiver that goes away is not left waiting."""
    receiver = OtlpReceiver(http=not grpc, grpc=grpc)
    receiver.hang()
    ended = threading.Event()

    def call() -> None:
        try:
            if grpc:
                from grpc import insecure_channel

                path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
                with insecure_channel(receiver.grpc_endpoint.removeprefix("http://")) as channel:
                    channel.unary_unary(path)(b"")
            else:
                post(f"{receiver.endpoint}/v1/traces", b"")
        except Exception:
            ended.set()

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    receiver.wait(hanging=1)
    receiver.close()
    thread.join()
    assert ended.is_set()


def test_what_is_no_otlp_is_refused(receiver: OtlpReceiver) -> None:
    """Broken protobuf or compression is 400, another content type 415, another path 404; nothing is kept."""
    url = f"{receiver.endpoint}/v1/traces"
    assert post(url, b"\xff\xff")[0] == 400
    assert post(url, b"no gzip", content_encoding="gzip")[0] == 400
    assert post(url, b"{}", content_type="application/json")[0] == 415
    assert post(f"{receiver.endpoint}/v1/nothing", b"")[0] == 404
    assert post(url, gzip.compress(ExportTraceServiceRequest().SerializeToString()), content_encoding="gzip")[0] == 200
    assert receiver.spans == []


def test_waiting_says_what_is_missing(receiver: OtlpReceiver) -> None:
    """A wait that fails names what did arrive."""
    post(f"{receiver.endpoint}/v1/traces", b"")
    receiver.wait(requests=1)
    with pytest.raises(TimeoutError, match="0 spans, 0 points, 0 logs in 1 requests"):
        receiver.wait(1, timeout=0)
    receiver.clear()
    assert (receiver.requests, receiver.bytes["traces"]) == ([], 0)


def test_the_endpoints_are_of_the_transports_asked_for() -> None:
    """Asking for a transport that does not listen is an error; the variables name the one that does."""
    with OtlpReceiver() as http, OtlpReceiver(http=False, grpc=True) as grpc:
        assert http.environment() == {
            "OTEL_EXPORTER_OTLP_ENDPOINT": http.endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        }
        with pytest.raises(RuntimeError, match="grpc=True"):
            _ = http.grpc_endpoint
        with pytest.raises(RuntimeError, match="http=False"):
            _ = grpc.endpoint


def test_the_receiver_needs_neither_the_sdk_nor_grpc() -> None:
    """Importing and running it over HTTP loads no part of the OpenTelemetry SDK, and no grpc."""
    program = """
import sys
from hexr_instrument.demo.receiver import OtlpReceiver
OtlpReceiver().close()
assert not [name for name in sys.modules if name.startswith(("opentelemetry.sdk", "grpc", "openai"))]
"""
    root = Path(__file__).resolve().parent.parent
    subprocess.run([sys.executable, "-c", program], check=True, cwd=root)
