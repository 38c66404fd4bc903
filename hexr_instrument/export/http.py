"""The official OTLP/HTTP exporters, told to send once: what waits is on disk, and the worker decides when to go on.

Its own retries would hold the exit for seconds and take no notice of what is queued behind. So the session's adapters
note what the backend said and show the exporter only answers after which it gives up.
"""

from __future__ import annotations

import contextlib
import email.utils
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from typing import Any

import requests
from google.protobuf.message import DecodeError
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from requests.adapters import BaseAdapter

from ..config import Config
from ..guard import guarded
from .answer import Answer

__all__ = ["Http", "OTLPSpanExporter"]
_GIVES_UP = 400
"""A status that every version of the official exporter takes as final."""
_LATER = {408, 429}
"""Statuses below 500 after which a request may be sent again (OTLP specification, and RFC 9110 for 408)."""
_NEVER = {501, 505}
"""Statuses from 500 on after which it is of no use."""


class Http:
    """The OTLP/HTTP exporter of one signal that the standard environment variables describe."""

    def __init__(self, config: Config, kind: Any) -> None:
        """Makes an exporter of class `kind`, which reads `OTEL_EXPORTER_OTLP_*`; connects to nothing yet."""
        self._answer: Answer | None = None
        session = _session(config.credential_provider)
        for prefix, adapter in list(session.adapters.items()):
            session.mount(prefix, _Once(adapter, self))
        self.exporter = kind(session=session)

    def send(self, batch: Sequence[Any]) -> Answer:
        """Sends one request, once."""
        self._answer = None
        with contextlib.suppress(_Unreachable):  # older exporters let it through; the answer is known
            self.exporter.export(batch)
        # No request was made: the batch is beyond the exporter's own limit, or one of its spans cannot be encoded.
        return self._answer or Answer("large", "cannot be encoded")

    def note(self, answer: Answer) -> None:
        """Remembers what the backend said."""
        self._answer = answer

    def rest(self) -> None:
        """Nothing runs between two requests."""

    def shutdown(self) -> None:
        """Closes the connections."""
        self.exporter.shutdown()


class _Unreachable(Exception):  # noqa: N818  (never shown)
    """A connection that failed, as no exporter knows it: it does not try again."""


class _Once(BaseAdapter):
    def __init__(self, adapter: BaseAdapter, sink: Http) -> None:
        super().__init__()
        self._adapter = adapter
        self._sink = sink

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        try:
            response = self._adapter.send(request, *args, **kwargs)
            body = response.content
        except (OSError, ValueError) as error:  # what requests raises; a header that no request can have
            self._sink.note(Answer("later", f"no connection: {type(error).__name__}"))
            raise _Unreachable from None
        self._sink.note(_answer(response.status_code, response.headers, body))
        if not response.ok or response.is_redirect:
            response.status_code = _GIVES_UP  # also keeps `requests` from following a redirect with our credentials
        return response

    def close(self) -> None:
        self._adapter.close()


def _answer(status: int, headers: Mapping[str, str], body: bytes) -> Answer:
    if status < 300:
        return Answer("taken", rejected=_rejected(body))
    reason = f"HTTP {status}"
    if status == 413:
        return Answer("large", reason)
    if status in _LATER or (status >= 500 and status not in _NEVER):
        return Answer("later", reason, guarded(_seconds, headers.get("Retry-After") or "0") or 0.0)
    return Answer("refused", reason)


def _rejected(body: bytes) -> int:
    """How many items were not taken; the answers of all signals say it in the same field."""
    try:
        return ExportTraceServiceResponse.FromString(body).partial_success.rejected_spans
    except DecodeError:  # some backends say `OK`, or `{}`
        return 0


def _seconds(retry_after: str) -> float:
    """`Retry-After` in seconds, given as such or as a date."""
    if retry_after.strip().isdigit():
        return float(retry_after)
    return max(0.0, email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time())


def _session(provider: str | None) -> requests.Session:
    """A session of the credential provider that the environment names, as the official exporter would make it."""
    for entry in entry_points(group="opentelemetry_otlp_credential_provider", name=provider) if provider else ():
        made = entry.load()()
        if isinstance(made, requests.Session):
            return made
    return requests.Session()
