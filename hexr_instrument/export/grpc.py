"""The official OTLP/gRPC exporters, told to send once, like their HTTP twins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc
from google.rpc.error_details_pb2 import RetryInfo
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

from .. import forks
from ..guard import guarded
from .answer import Answer

__all__ = ["Grpc", "OTLPSpanExporter"]

_THREADS = {"event_engine", "grpc_global_tim", "lifeguard"}
"""What gRPC calls its threads, as far as the operating system keeps the name."""
_RETRY_INFO = "google.rpc.retryinfo-bin"
_LATER = {
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DATA_LOSS,
}
"""Codes after which a request may be sent again (OTLP specification); RESOURCE_EXHAUSTED only with a RetryInfo."""


class Grpc:
    """The OTLP/gRPC exporter of one signal that the standard environment variables describe."""

    def __init__(self, kind: Any) -> None:
        """Makes an exporter of class `kind`, which reads `OTEL_EXPORTER_OTLP_*`; connects to nothing yet."""
        self._kind = kind
        self._answer: Answer | None = None
        self._others = _threads()
        self.exporter: Any = self._made()

    def _made(self) -> Any:
        exporter: Any = self._kind()
        exporter._client = _Once(exporter._client, self)
        return exporter

    def send(self, batch: Sequence[Any]) -> Answer:
        """Sends one request, once."""
        self._answer = None
        if self.exporter is None:
            self.exporter = self._made()
        self.exporter.export(batch)
        answer = self._answer or Answer("large", "cannot be encoded")
        if answer.reason == grpc.StatusCode.UNAVAILABLE.name:
            # A channel waits up to two minutes before it connects again; a new one does so at the next request.
            self.shutdown()
        return answer

    def note(self, answer: Answer) -> None:
        """Remembers what the backend said."""
        self._answer = answer

    def rest(self) -> None:
        """Closes the channel, and waits until the threads of the last one are gone."""
        self.shutdown()
        if not self._others:
            forks.until(lambda: not _threads())

    def shutdown(self) -> None:
        """Closes the channel."""
        if self.exporter is not None:
            self.exporter.shutdown()
            self.exporter = None


def _threads() -> bool:
    """Whether gRPC runs threads in this process."""
    return not _THREADS.isdisjoint(forks.names())


class _Refused(grpc.RpcError):
    """A failure as the exporter sees it: one after which it gives up."""

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.INVALID_ARGUMENT

    def details(self) -> str:
        return ""

    def trailing_metadata(self) -> tuple[Any, ...]:
        return ()


class _Once:
    def __init__(self, stub: Any, sink: Grpc) -> None:
        self._stub = stub
        self._sink = sink

    def Export(self, *args: Any, **kwargs: Any) -> Any:  # noqa: N802  (the name of the service's method)
        try:
            response = self._stub.Export(*args, **kwargs)
        except grpc.RpcError as error:
            self._sink.note(_answer(error))
            raise _Refused from None
        except ValueError:  # no request was made: somebody has closed the channel, or a header is no metadata
            self._sink.note(Answer("later", grpc.StatusCode.UNAVAILABLE.name))
            raise _Refused from None
        self._sink.note(Answer("taken", rejected=_rejected(response)))
        return response


def _rejected(response: Any) -> int:
    """How many items were not taken; the answers of all signals say it in the first field."""
    return next((value for field, value in response.partial_success.ListFields() if field.number == 1), 0)


def _answer(error: Any) -> Answer:
    code: grpc.StatusCode = error.code()
    wait = guarded(_seconds, error)
    if code in _LATER or (code is grpc.StatusCode.RESOURCE_EXHAUSTED and wait is not None):
        return Answer("later", code.name, wait or 0.0)
    # Without a RetryInfo it means that the request is larger than the server takes: 4 MiB unless told otherwise.
    return Answer("large" if code is grpc.StatusCode.RESOURCE_EXHAUSTED else "refused", code.name)


def _seconds(error: Any) -> float | None:
    """How long the server asks to be left alone, in seconds, if it says so."""
    for key, value in error.trailing_metadata() or ():
        if key == _RETRY_INFO:
            delay = RetryInfo.FromString(value).retry_delay
            return delay.seconds + delay.nanos / 1e9
    return None
