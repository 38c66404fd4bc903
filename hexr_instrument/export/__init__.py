"""Records as finished spans, and the official exporters that send them. Loads the OpenTelemetry SDK."""

from __future__ import annotations

import contextlib
import logging
import random
import secrets
import sys
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

from opentelemetry import context as otel
from opentelemetry.context import _SUPPRESS_HTTP_INSTRUMENTATION_KEY, _SUPPRESS_INSTRUMENTATION_KEY
from opentelemetry.sdk import resources
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.sdk.version import __version__ as sdk_version
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from .. import events, names, telemetry
from ..config import Config
from ..guard import guarded, say
from ..recorder import Recorder
from .answer import Answer, Outcome, Sink

EVENTS_SECONDS = 30.0
"""How long an endpoint of events that is down is left alone, while spans go on."""


def resource_of(attributes: Mapping[str, Any]) -> Resource:
    """The resource that a segment's header describes, with the SDK's own attributes; reads no environment."""
    return Resource(
        {
            "telemetry.sdk.language": "python",
            "telemetry.sdk.name": "opentelemetry",
            "telemetry.sdk.version": sdk_version,
            "telemetry.distro.name": "hexr-instrument",
            "telemetry.distro.version": names.package_version(),
            "service.name": "unknown_service",
            **attributes,
        }
    )


def span_of(record: Mapping[str, Any], resource: Resource, scope: InstrumentationScope) -> ReadableSpan:
    """A finished span with the record's own ids and times."""
    flags = TraceFlags(TraceFlags.SAMPLED)
    trace_id = int(record["trace"], 16)
    parent = record.get("parent")
    return ReadableSpan(
        name=telemetry.span_name(record),
        context=SpanContext(trace_id, int(record["id"], 16), is_remote=False, trace_flags=flags),
        parent=None if parent is None else SpanContext(trace_id, int(parent, 16), is_remote=False, trace_flags=flags),
        resource=resource,
        attributes={
            **telemetry.attributes(record),
            **(telemetry.content_texts(record) if record.get("capture") in ("span", "both") else {}),
        },
        links=[
            Link(SpanContext(int(trace, 16), int(span, 16), is_remote=False, trace_flags=flags))
            for trace, span in ([record["link"]] if "link" in record else ())
        ],
        kind=SpanKind.CLIENT if record["kind"] == "call" else SpanKind.INTERNAL,
        # No description: a provider's message may echo a key or a prompt.
        status=Status(StatusCode.ERROR) if record.get("error") else Status(StatusCode.UNSET),
        start_time=record["start"],
        end_time=record["end"],
        instrumentation_scope=scope,
    )


class Exporter:
    """The exporters that the environment names, and how records become their spans."""

    def __init__(self, config: Config) -> None:
        """Makes the exporters."""
        self._config = config
        # A backend may ask to wait, the console never does: last, it prints nothing twice.
        self._sinks = [_SINKS[name](config) for name in sorted(config.exporters, key=lambda each: each == "console")]
        self._events = _events_of(config)
        self._events_at = 0.0
        """When the endpoint of events may be asked again."""
        self._resources: dict[str, Resource] = {}
        self._thread = 0
        keep_random_alone()

    def begin(self) -> None:
        """Takes up work in this thread, whose requests are nobody's telemetry."""
        self._thread = threading.get_ident()
        self.quiet()
        otel.attach(otel.set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
        otel.attach(otel.set_value(_SUPPRESS_HTTP_INSTRUMENTATION_KEY, True))

    def quiet(self) -> None:
        """Keeps the exporters' warnings of this thread out of the program's log: a collector that is down is normal."""
        for name in list(logging.root.manager.loggerDict):
            if name.startswith(("opentelemetry.exporter", "urllib3")):
                logging.getLogger(name).addFilter(self._foreign)

    def _foreign(self, entry: logging.LogRecord) -> bool:
        return entry.thread != self._thread

    def records(self, batch: Sequence[Mapping[str, Any]], header: Mapping[str, Any] | None) -> Outcome:
        """Exports what of `batch` is sampled and not already delivered by the program's own pipeline.

        Args:
            batch: Records of the journal, of one segment.
            header: That segment's header; None for records that never reached the disk.
        """
        resource, scope = self._origin(header)
        spans = [
            span
            for record in batch
            if record.get("sampled")
            and record.get("kind") in ("call", "agent", "tool")
            and record.get("span") != "theirs"
            if (span := guarded(span_of, record, resource, scope)) is not None
        ]
        outcome = self.spans(spans)
        if self._events is None or not outcome.delivered:
            return outcome
        if not self._sinks:
            return self.events(batch, header)
        # The spans are taken: to wait with an endpoint that takes no events would send them again.
        told = self.events(batch, header) if time.monotonic() >= self._events_at else Outcome(delivered=False)
        if not told.delivered:
            outcome.aside = [each for each in batch if telemetry.has_event(each)]
        for reason, count in told.lost.items():
            outcome.lose(reason if reason.startswith("events") else f"events: {reason}", count)
        return outcome

    def events(self, batch: Sequence[Mapping[str, Any]], header: Mapping[str, Any] | None) -> Outcome:
        """Exports the events of `batch`; their endpoint is asked again half a minute after it asked to wait."""
        told = Outcome()
        if self._events is not None:
            resource, scope = self._origin(header)
            made = [
                event for each in batch if (event := guarded(self._events.record, each, resource, scope)) is not None
            ]
            deliver(self._events.sinks, made, told)
            self._events_at = 0.0 if told.delivered else time.monotonic() + max(told.wait, EVENTS_SECONDS)
        return told

    def _origin(self, header: Mapping[str, Any] | None) -> tuple[Resource, InstrumentationScope]:
        """Resource and scope of a segment's records."""
        described: Mapping[str, Any] = header or {"resource": dict(self._config.resource)}
        prices = str(described.get("prices") or "")
        scope = InstrumentationScope(
            names.SCOPE, names.package_version(), names.SCHEMA_URL, {names.PRICES_VERSION: prices} if prices else None
        )
        return self._resource(described.get("resource") or {}), scope

    def _resource(self, attributes: Mapping[str, Any]) -> Resource:
        key = repr(sorted(attributes.items()))
        if key not in self._resources:
            self._resources = {key: resource_of(attributes)}
        return self._resources[key]

    def spans(self, batch: Sequence[ReadableSpan]) -> Outcome:
        """Exports finished spans to every exporter; a request that is too large for a backend goes in halves."""
        outcome = Outcome()
        deliver(self._sinks, batch, outcome)
        return outcome

    def rest(self) -> None:
        """Gives up this thread, and what would run or hold on without it; `begin` takes up work again."""
        self._thread = 0
        for sink in self._all():
            guarded(sink.rest)

    def shutdown(self) -> None:
        """Ends the exporters."""
        for sink in self._all():
            guarded(sink.shutdown)

    def _all(self) -> list[Sink]:
        return [*self._sinks, *(self._events.sinks if self._events is not None else ())]


def deliver(sinks: Sequence[Sink], batch: Sequence[Any], outcome: Outcome) -> None:
    """Sends a batch to every sink, up to one that asks to wait; what became of it is in `outcome`."""
    for sink in sinks if batch else ():
        _deliver(sink, batch, outcome)
        if not outcome.delivered:
            break


def _deliver(sink: Sink, batch: Sequence[Any], outcome: Outcome) -> None:
    answer = guarded(sink.send, batch) or Answer("large", "cannot be encoded")
    if answer.verdict == "large" and len(batch) > 1:
        middle = len(batch) // 2
        for half in (batch[:middle], batch[middle:]):
            if outcome.delivered:
                _deliver(sink, half, outcome)
    elif answer.verdict == "later":
        outcome.delivered, outcome.reason, outcome.wait = False, answer.reason, answer.wait
    elif answer.verdict == "taken":
        outcome.lose("partial success", answer.rejected)
    else:
        outcome.lose(answer.reason, len(batch))


def keep_random_alone() -> None:
    """Gives the official exporters a source of jitter of their own: theirs draws from the program's `random`."""
    for name, module in list(sys.modules.items()):
        if name.startswith("opentelemetry.exporter.") and getattr(module, "random", None) is random:
            vars(module)["random"] = random.Random()  # noqa: S311  (jitter)


class _Console:
    def __init__(self, exporter: Any) -> None:
        self._exporter = exporter

    def send(self, batch: Sequence[Any]) -> Answer:
        self._exporter.export(batch)
        return Answer("taken")

    def rest(self) -> None:
        """Nothing runs."""

    def shutdown(self) -> None:
        self._exporter.shutdown()


def _console(config: Config) -> Sink:
    return _Console(ConsoleSpanExporter())


def _otlp(config: Config) -> Sink:
    if config.protocol == "grpc":
        from .grpc import Grpc, OTLPSpanExporter  # noqa: PLC0415  (grpc is loaded only where it is asked for)

        return Grpc(OTLPSpanExporter)
    from . import http  # noqa: PLC0415  (and requests likewise)

    return http.Http(config, http.OTLPSpanExporter)


def _otlp_events(config: Config) -> Sink:
    if config.logs_protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc import _log_exporter as grpc_logs  # noqa: PLC0415

        from .grpc import Grpc  # noqa: PLC0415

        return Grpc(grpc_logs.OTLPLogExporter)
    from opentelemetry.exporter.otlp.proto.http import _log_exporter as http_logs  # noqa: PLC0415

    from .http import Http  # noqa: PLC0415

    return Http(config, http_logs.OTLPLogExporter)


def _console_events(config: Config) -> Sink:
    from opentelemetry.sdk._logs import export  # noqa: PLC0415

    return _Console(export.ConsoleLogRecordExporter())


_SINKS: dict[str, Callable[[Config], Sink]] = {"otlp": _otlp, "console": _console}
_EVENT_SINKS: dict[str, Callable[[Config], Sink]] = {"otlp": _otlp_events, "console": _console_events}


@contextlib.contextmanager
def _without_pool() -> Generator[None]:
    """Lets this thread import the SDK's logs at the interpreter's exit, too.

    Their import makes a resource that nobody uses, by a thread pool, and from 3.12 on Python starts no thread then.
    """
    mine, original = threading.get_ident(), resources.get_aggregated_resources

    def aggregated(detectors: Any, initial_resource: Any = None, *args: Any, **kwargs: Any) -> Resource:
        if threading.get_ident() == mine:
            return initial_resource or Resource({})
        return original(detectors, initial_resource, *args, **kwargs)

    resources.get_aggregated_resources = aggregated
    try:
        yield
    finally:
        resources.get_aggregated_resources = original


class _Events:
    """The exporters of events, and how records become their log records."""

    def __init__(self, config: Config) -> None:
        """Makes the exporters; raises ImportError where the installed SDK is older than events are (1.39)."""
        with _without_pool():
            from opentelemetry.sdk._logs import ReadableLogRecord  # noqa: PLC0415  (only where events are asked for)

        self._made = ReadableLogRecord
        self.sinks = [_EVENT_SINKS[name](config) for name in config.events]

    def record(self, record: Mapping[str, Any], resource: Resource, scope: InstrumentationScope) -> Any:
        """A record's event, or None if it has none."""
        if not telemetry.has_event(record):
            return None
        return self._made(log_record=events.event_of(record), resource=resource, instrumentation_scope=scope)


def _events_of(config: Config) -> _Events | None:
    if not config.events:
        return None
    try:
        return _Events(config)
    except ImportError as error:
        say(f"content on events needs a newer opentelemetry-sdk and is lost ({error})")
        return None


class _Ids(IdGenerator):
    """Ids from the system's randomness: the SDK's draws from `random`, whose sequence is the program's own."""

    def generate_span_id(self) -> int:
        return secrets.randbits(64) or 1

    def generate_trace_id(self) -> int:
        return secrets.randbits(128) or 1

    def is_trace_id_random(self) -> bool:
        return True


class _ToWorker(SpanProcessor):
    """Hands the program's own finished spans to the worker, which sends them with ours."""

    def __init__(self, recorder: Recorder) -> None:
        self._worker = recorder.worker

    def on_end(self, span: ReadableSpan) -> None:
        if span.context is not None and span.context.trace_flags.sampled:
            self._worker.submit(span)

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self._worker.flush(timeout_millis / 1000)


def make_provider(recorder: Recorder) -> TracerProvider:
    """The SDK provider behind the lazy global one; its spans wait and leave with our records."""
    resource = resource_of(recorder.resource())
    provider = TracerProvider(resource=resource, shutdown_on_exit=False, id_generator=_Ids())
    provider.add_span_processor(_ToWorker(recorder))
    return provider
