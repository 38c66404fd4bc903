"""A real OTLP receiver on loopback: HTTP with protobuf, and gRPC where asked for; it decodes what it gets.

It needs `opentelemetry-proto`, and `grpcio` for gRPC, but never the OpenTelemetry SDK.
"""

from __future__ import annotations

import gzip
import importlib
import threading
import zlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from . import otlp
from .loopback import LoopbackHandler, LoopbackServer
from .otlp import Log, Point, Span

Signal = Literal["traces", "metrics", "logs"]

_PATHS: Mapping[str, Signal] = {"/v1/traces": "traces", "/v1/metrics": "metrics", "/v1/logs": "logs"}
_SERVICES: Mapping[str, Signal] = {
    "opentelemetry.proto.collector.trace.v1.TraceService": "traces",
    "opentelemetry.proto.collector.metrics.v1.MetricsService": "metrics",
    "opentelemetry.proto.collector.logs.v1.LogsService": "logs",
}
_CODES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    413: "RESOURCE_EXHAUSTED",
    429: "RESOURCE_EXHAUSTED",
}
"""The gRPC status that stands for an HTTP status; any other is UNAVAILABLE."""


@dataclass(frozen=True, slots=True)
class Request:
    """One export request."""

    signal: Signal
    path: str
    """Of the URL, or of the gRPC method."""
    headers: Mapping[str, str]
    """Headers or gRPC metadata by lower-case name."""
    size: int
    """Bytes of the body as received, that is compressed."""
    status: int
    """How it was answered, as an HTTP status."""


@dataclass(slots=True)
class _Fault:
    status: int
    left: int | None
    retry_after: float | None
    signal: Signal | None


@dataclass(slots=True)
class _Partial:
    rejected: int
    message: str
    left: int | None
    signal: Signal | None


class OtlpReceiver:
    """Receives on free ports of 127.0.0.1 from construction to `close()`."""

    def __init__(self, *, http: bool = True, grpc: bool = False) -> None:
        """Listen for OTLP/HTTP, OTLP/gRPC or both."""
        self._changed = threading.Condition()
        self._spans: list[Span] = []
        self._points: list[Point] = []
        self._logs: list[Log] = []
        self._requests: list[Request] = []
        self._bytes: dict[Signal, int] = dict.fromkeys(_PATHS.values(), 0)
        self._faults: list[_Fault] = []
        self._partials: list[_Partial] = []
        self._largest: int | None = None
        self._hanging = 0
        self._going = threading.Event()
        self._going.set()
        self._closed = False
        receiver = self

        class Handler(_HttpHandler):
            receiver_of = receiver

        self._http = LoopbackServer(Handler) if http else None
        self._grpc, self._grpc_port = _serve_grpc(self) if grpc else (None, 0)

    @property
    def endpoint(self) -> str:
        """The base URL for OTLP/HTTP, to which exporters add `/v1/traces` and so on."""
        if self._http is None:
            raise RuntimeError("this receiver was made with http=False")
        return self._http.url

    @property
    def grpc_endpoint(self) -> str:
        """The URL for OTLP/gRPC, without TLS."""
        if self._grpc is None:
            raise RuntimeError("this receiver was made without grpc=True")
        return f"http://127.0.0.1:{self._grpc_port}"

    def environment(self) -> dict[str, str]:
        """The standard variables that send all signals here, by HTTP if it listens for it."""
        protocol = "grpc" if self._http is None else "http/protobuf"
        endpoint = self.grpc_endpoint if self._http is None else self.endpoint
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}

    # ---- What arrived -------------------------------------------------------------------------------------

    @property
    def spans(self) -> list[Span]:
        """All accepted spans, in order of arrival."""
        with self._changed:
            return list(self._spans)

    @property
    def points(self) -> list[Point]:
        """All accepted metric points, in order of arrival."""
        with self._changed:
            return list(self._points)

    @property
    def logs(self) -> list[Log]:
        """All accepted log records, in order of arrival."""
        with self._changed:
            return list(self._logs)

    @property
    def requests(self) -> list[Request]:
        """All answered export requests, refused ones too; a hanging request is not among them."""
        with self._changed:
            return list(self._requests)

    @property
    def hanging(self) -> int:
        """How many requests have been taken and not answered yet."""
        with self._changed:
            return self._hanging

    @property
    def bytes(self) -> dict[Signal, int]:
        """Bytes received per signal, as compressed on the wire, refused ones too."""
        with self._changed:
            return dict(self._bytes)

    def clear(self) -> None:
        """Forget what arrived; faults stay."""
        with self._changed:
            for each in (self._spans, self._points, self._logs, self._requests):
                each.clear()
            self._bytes = dict.fromkeys(_PATHS.values(), 0)

    def wait(
        self,
        spans: int = 0,
        timeout: float = 10.0,
        *,
        points: int = 0,
        logs: int = 0,
        requests: int = 0,
        hanging: int = 0,
    ) -> list[Span]:
        """The spans, as soon as at least this much has arrived.

        Args:
            spans: How many spans to wait for.
            timeout: Seconds.
            points: How many metric points.
            logs: How many log records.
            requests: How many answered requests.
            hanging: How many unanswered ones.

        Raises:
            TimeoutError: It has not arrived in time.
        """

        def arrived() -> bool:
            return (
                len(self._spans) >= spans
                and len(self._points) >= points
                and len(self._logs) >= logs
                and len(self._requests) >= requests
                and self._hanging >= hanging
            )

        self.wait_for(arrived, timeout)
        return self.spans

    def wait_for(self, arrived: Callable[[], Any], timeout: float = 10.0) -> None:
        """Wait until `arrived()` is true; it is asked after every request.

        Raises:
            TimeoutError: It is not true in time.
        """
        with self._changed:
            if not self._changed.wait_for(arrived, timeout):
                have = f"{len(self._spans)} spans, {len(self._points)} points, {len(self._logs)} logs"
                raise TimeoutError(f"after {timeout} s: {have} in {len(self._requests)} requests")

    # ---- Faults -------------------------------------------------------------------------------------------

    def fail(
        self,
        status: int = 503,
        times: int | None = 1,
        retry_after: float | None = None,
        signal: Signal | None = None,
    ) -> None:
        """Refuse the next `times` requests (None: all) with an HTTP status, or what it means in gRPC."""
        with self._changed:
            self._faults.append(_Fault(status, times, retry_after, signal))

    def partial_success(
        self, rejected: int, message: str = "", times: int | None = 1, signal: Signal | None = None
    ) -> None:
        """Accept the next `times` requests, but say that `rejected` of their items were refused."""
        with self._changed:
            self._partials.append(_Partial(rejected, message, times, signal))

    def hang(self) -> None:
        """Take requests and do not answer them until `recover()` or `close()`."""
        self._going.clear()

    def limit(self, size: int) -> None:
        """Refuse requests of more than `size` bytes, before compression, as a body that is too large."""
        with self._changed:
            self._largest = size

    def recover(self) -> None:
        """Take back all faults; hanging requests are answered now."""
        with self._changed:
            self._largest = None
            self._faults.clear()
            self._partials.clear()
        self._going.set()

    def close(self) -> None:
        """Stop; requests that hang are dropped unanswered."""
        self._closed = True
        self._going.set()
        if self._http is not None:
            self._http.close()
        if self._grpc is not None:
            self._grpc.stop(None).wait()

    def __enter__(self) -> OtlpReceiver:
        """The receiver itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    # ---- For the two transports ---------------------------------------------------------------------------

    def take(
        self, signal: Signal, path: str, headers: Mapping[str, str], body: bytes, size: int
    ) -> tuple[int, float | None, bytes] | None:
        """Take one request: status, seconds until a retry, response message; None is no answer at all."""
        with self._changed:
            self._bytes[signal] += size
            self._hanging += 1
            self._changed.notify_all()
        self._going.wait()
        with self._changed:
            self._hanging -= 1
            if self._closed:
                return None
            fault = _next(self._faults, signal)
            if fault is None and self._largest is not None and len(body) > self._largest:
                fault = _Fault(413, None, None, None)
            status, message = (fault.status, b"") if fault else self._accept(signal, body)
            self._requests.append(Request(signal, path, headers, size, status))
            self._changed.notify_all()
        return status, fault.retry_after if fault else None, message

    def _accept(self, signal: Signal, body: bytes) -> tuple[int, bytes]:
        try:
            if signal == "traces":
                self._spans += otlp.spans(body)
            elif signal == "metrics":
                self._points += otlp.points(body)
            else:
                self._logs += otlp.logs(body)
        except DecodeError:
            return 400, b""
        partial = _next(self._partials, signal)
        return 200, _response(signal, partial.rejected, partial.message) if partial else b""


def _next(scripted: list[Any], signal: Signal) -> Any:
    """The first fault that applies to `signal`, counted down; None if there is none."""
    for each in scripted:
        if each.signal in {None, signal}:
            if each.left is not None:
                each.left -= 1
                if each.left <= 0:
                    scripted.remove(each)
            return each
    return None


def _response(signal: Signal, rejected: int, message: str) -> bytes:
    if signal == "traces":
        traces = ExportTraceServiceResponse()
        traces.partial_success.rejected_spans = rejected
        traces.partial_success.error_message = message
        return traces.SerializeToString()
    if signal == "metrics":
        metrics = ExportMetricsServiceResponse()
        metrics.partial_success.rejected_data_points = rejected
        metrics.partial_success.error_message = message
        return metrics.SerializeToString()
    logs = ExportLogsServiceResponse()
    logs.partial_success.rejected_log_records = rejected
    logs.partial_success.error_message = message
    return logs.SerializeToString()


class _HttpHandler(LoopbackHandler):
    receiver_of: OtlpReceiver

    def do_POST(self) -> None:
        """One export request."""
        raw = self.read_body()
        headers = self.lower_headers()
        path = self.path.partition("?")[0]
        signal = _PATHS.get(path)
        if signal is None:
            self.send_whole(404, {"content-type": "text/plain"}, b"no such path")
            return
        if headers.get("content-type", "").partition(";")[0] != "application/x-protobuf":
            self.send_whole(415, {"content-type": "text/plain"}, b"only application/x-protobuf")
            return
        try:
            body = _decompressed(raw, headers.get("content-encoding", "identity"))
        except (OSError, EOFError, zlib.error):
            self.send_whole(400, {"content-type": "text/plain"}, b"broken content-encoding")
            return
        taken = self.receiver_of.take(signal, path, headers, body, len(raw))
        if taken is None:
            self.close_connection = True
            return
        status, retry_after, message = taken
        wait = {} if retry_after is None else {"retry-after": f"{retry_after:g}"}
        self.send_whole(status, {"content-type": "application/x-protobuf", **wait}, message)


def _decompressed(raw: bytes, encoding: str) -> bytes:
    if encoding == "gzip":
        return gzip.decompress(raw)
    return zlib.decompress(raw) if encoding == "deflate" else raw


def _serve_grpc(receiver: OtlpReceiver) -> tuple[Any, int]:
    """A gRPC server for the three services, and its port; messages stay bytes: one decoder serves both."""
    grpc: Any = importlib.import_module("grpc")

    def method(service: str, signal: Signal) -> Any:
        path = f"/{service}/Export"

        def export(body: bytes, context: Any) -> bytes:
            metadata = {str(key): value for key, value in context.invocation_metadata()}
            taken = receiver.take(signal, path, metadata, body, len(body))
            if taken is None:
                context.abort(grpc.StatusCode.UNAVAILABLE, "closed")
                return b""
            status, retry_after, message = taken
            if status != 200:
                if retry_after is not None or status == 429:  # without it, the code means a request too large
                    context.set_trailing_metadata([_retry_info(retry_after or 0.0)])
                code = getattr(grpc.StatusCode, _CODES.get(status, "UNAVAILABLE"))
                context.abort(code, f"scripted fault {status}")
            return message

        return grpc.unary_unary_rpc_method_handler(export)

    # Threads enough for requests that hang.
    server = grpc.server(ThreadPoolExecutor(max_workers=16, thread_name_prefix="otlp-grpc"))
    server.add_generic_rpc_handlers(
        tuple(
            grpc.method_handlers_generic_handler(service, {"Export": method(service, signal)})
            for service, signal in _SERVICES.items()
        )
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port


def _retry_info(seconds: float) -> tuple[str, bytes]:
    """How the official exporters find the delay: a `RetryInfo` in the trailing metadata."""
    details: Any = importlib.import_module("google.rpc.error_details_pb2")
    info = details.RetryInfo()
    info.retry_delay.FromNanoseconds(int(seconds * 1e9))
    return "google.rpc.retryinfo-bin", info.SerializeToString()
