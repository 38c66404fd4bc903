"""From the start of a request to its record: ids, parent, caller, times, price; then the journal."""

from __future__ import annotations

import contextlib
import os
import secrets
import struct
import time
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

from opentelemetry import baggage, trace
from opentelemetry import context as otel
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from . import adopted, budgets, content, context, guard, health, names, pricing, private, telemetry
from .call import Call, Caller, Format, Request, Response
from .config import Config
from .guard import attempt, guarded, say
from .journal import Journal
from .live import CURRENT, Live
from .owed import Origin, Owed
from .redact import Redactor
from .settling import Settling
from .worker import Worker

RUN = secrets.token_hex(8)
"""This process's own run, where no launcher gave one."""

_NO_PROVIDER = trace.ProxyTracerProvider, trace.NoOpTracerProvider
"""A tuple: a union would be made anew at each call."""
_NO_CONTENT = (False, False)


class Recorder:
    """What all calls of this process share. One per process, made with the first provider or scope."""

    def __init__(self, config: Config) -> None:
        """Reads nothing and opens nothing; complaints of the configuration are said here, once."""
        self.config = config
        self.redact = Redactor(config.redact)
        self.budgets = guarded(budgets.of_setting, config.budget, str(config.store), config.run or RUN, say)
        pricing.configure(str(config.store), config.prices, dict(config.models), say)
        self.journal = Journal(config.store, self._header)
        self.worker = Worker(config, self.journal, self.resource)
        if self.budgets is not None:
            self.worker.metrics.budgets = self.budgets.used
        self.own_provider: Any = None
        """The lazy global provider, where the distro has set one."""
        self._settling = Settling(self, Owed(config.store))
        self._instance = secrets.token_hex(16)
        self._tracer: tuple[Any, trace.Tracer] | None = None
        self._nobody_set_one = False
        """Whether the API has been asked for the provider of the environment, and there is none."""

        @lru_cache(maxsize=512)
        def known(*fields: Any) -> Caller:
            return self.redact.caller(Caller(*fields))

        self._known: Callable[..., Caller] = known
        """The fields of a caller -> the caller: few different ones come again and again."""
        for complaint in config.complaints:
            say(complaint)
        guard.noted = self._note_fault

    def _note_fault(self, step: str, count: int) -> None:
        self._note("fault", step, count)

    def note_breaker(self, provider: str) -> None:
        """Leaves a note that a provider's SDK is left alone from here on."""
        self._note("breaker", provider, last=next(reversed(guard.faults), None))

    def _note(self, kind: str, reason: str, count: int = 1, **fields: Any) -> None:
        """A note for `doctor`, also where no call has made the store yet."""
        with contextlib.suppress(OSError):
            private.make(self.config.store)
        health.note(self.config.store, kind, reason, count, **fields)

    def _header(self) -> dict[str, Any]:
        config = self.config
        if config.keep:
            guarded(self._look_at_store)
        return {
            "v": 1,
            "kind": "segment",
            "pid": os.getpid(),
            "run": self.redact.word(config.run or RUN),
            "service": None if config.service is None else self.redact.identity(config.service),
            "resource": self.resource(),
            "prices": pricing.version(),
            "destination": config.destination,
            "keep": config.keep,
            "keep_for": int(config.keep_seconds),
        }

    def _look_at_store(self) -> None:
        """Says so if what is where the store should be is none: its calls wait in the journal."""
        try:
            with (self.config.store / "hexr.db").open("rb") as file:
                start = file.read(16)
        except OSError:
            return
        if start and start != b"SQLite format 3\0":
            say(
                f"{self.config.store / 'hexr.db'} is no store: move it away. Until then calls wait in "
                f"{self.journal.directory}"
            )

    def resource(self) -> dict[str, Any]:
        """The resource's attributes: the environment's, and an instance id of this very process."""
        return {
            **self.redact.resource(dict(self.config.resource)),
            "service.instance.id": f"{self._instance}-{os.getpid()}",
        }

    # -- where a span belongs

    def their_tracer(self) -> trace.Tracer | None:
        """Our tracer on the provider that the program itself has set, or None if it has set none."""
        # While none is set the API looks into the environment at each question, for half of what beginning a call takes.
        unset = getattr(trace, "_TRACER_PROVIDER", trace) is None
        if unset and self._nobody_set_one:
            return None
        provider = trace.get_tracer_provider()
        self._nobody_set_one = unset and isinstance(provider, trace.ProxyTracerProvider)
        if provider is self.own_provider or isinstance(provider, _NO_PROVIDER):
            return None
        if self._tracer is None or self._tracer[0] is not provider:
            tracer = provider.get_tracer(names.SCOPE, names.package_version(), names.SCHEMA_URL)
            self._tracer = (provider, tracer)
        return self._tracer[1]

    def shares_context(self) -> bool:
        """Whether our spans are current for the program: not in the embedded default, where no span leaves."""
        return self.own_provider is not None or self.their_tracer() is not None

    def parent(self, around: Span | None = None) -> tuple[int, int, bool] | None:
        """Trace id, span id and sampling of the span around this point, the program's own or an agent's.

        Args:
            around: OpenTelemetry's current span, where that is known already.
        """
        found = (around or trace.get_current_span()).get_span_context()
        if found.is_valid and self.shares_context():
            return found.trace_id, found.span_id, found.trace_flags.sampled
        scope = context.current()
        if scope is not None and scope.invocation is not None:
            return scope.invocation.span
        return (found.trace_id, found.span_id, found.trace_flags.sampled) if found.is_valid else None

    def sampled(self, trace_id: int, *, parent: bool | None) -> bool:
        """The decision of OTEL_TRACES_SAMPLER for a span that we export; records are kept whatever it is."""
        kind = self.config.sampler
        if parent is not None and kind.startswith("parentbased"):
            return parent
        if kind.endswith("traceidratio"):
            return (trace_id & 0xFFFFFFFFFFFFFFFF) < round(self.config.ratio * (1 << 64))
        return not kind.endswith("always_off")

    # -- one call

    def refusal(self, request: Request, registered: Caller | None) -> budgets.BudgetExceeded | None:
        """Why a request must not be sent, or None: a hard budget of its caller is spent."""
        if self.budgets is None or request.billing != "call":
            return None
        caller = self.caller(registered, context.current())
        refusal = self.budgets.refusal(caller)
        if refusal is not None:
            self.worker.metrics.measure({"kind": "refused", "budget": refusal.rule, **telemetry.of_caller(caller)})
        return refusal

    def begin(
        self, request: Request, registered: Caller | None, origin: Origin | None = None, start: int | None = None
    ) -> Live:
        """Starts a call.

        Args:
            request: What is asked.
            registered: The caller that the client was registered with.
            origin: Where the call belongs, if that is not here.
            start: When it started, in nanoseconds since the epoch, if that is not now.
        """
        if request.model is not None:
            request.model = self.redact.model(request.model)  # a span's name has it
        here = otel.get_current()
        if origin is None:
            current = trace.get_current_span(here)
            origin = self.here(request, registered, current)
            around = None
            theirs = current if request.billing == "call" and adopted.take(current, request.operation) else None
        else:
            theirs = None
            around = otel.Context()
            if origin.parent is not None:
                around = trace.set_span_in_context(ids_only(origin.parent), around)
        caller, parent = origin.caller, origin.parent
        # A call that an exporter makes is billed like any other, but a span of it would be exported by another call.
        suppressed = bool(here.get(_SUPPRESS_INSTRUMENTATION_KEY))
        tracer = None if suppressed or request.billing in ("quiet", "job", "owed") else self.their_tracer()
        span: Span | None = theirs
        start = start or time.time_ns()
        if theirs is not None:
            trace_id, span_id, sampled, parent = adopted.ids(theirs)
        elif tracer is not None:
            fields = {"kind": "call", "op": request.operation, "provider": request.provider, "model": request.model}
            fields |= {"host": request.host, "port": request.port, "stream": request.stream or None}
            fields |= telemetry.of_caller(caller)
            span = tracer.start_span(
                telemetry.span_name(fields),
                kind=SpanKind.CLIENT,
                attributes=telemetry.start_attributes(fields),
                start_time=start,
                context=around,
            )
            found = span.get_span_context()
            trace_id, span_id, sampled = found.trace_id, found.span_id, found.trace_flags.sampled
            if not span_id:  # a provider that hands out no ids
                trace_id, span_id = new_ids(parent[0] if parent else 0)
        else:
            trace_id, span_id = new_ids(parent[0] if parent else 0)
            sampled = not suppressed and self.sampled(trace_id, parent=parent[2] if parent else None)
        call = Call(request, caller, trace_id, span_id, parent[1] if parent else None, sampled, start)
        body, request.body = request.body, None
        live = Live(self, call, span, origin.invocation)
        live.adopted = theirs is not None
        if self.config.content != _NO_CONTENT and not live.quiet and self.captures(call, span):
            call.content = guarded(_asked, request.format, body, self.config.content_limit) or {}
        return live

    def here(self, request: Request, registered: Caller | None, around: Span | None = None) -> Origin:
        """Where a call that is made here belongs; `around` is as for `parent`."""
        scope = context.current()
        invocation = None if scope is None else scope.invocation
        if invocation is not None:
            invocation.turn(billed=request.billing == "call")
        return Origin(self.caller(registered, scope), self.parent(around), request.model, invocation)

    def enter(self, live: Live) -> None:
        """Makes a call the current one of this context, until `undo(live.entered)`."""
        live.entered.append((CURRENT.reset, CURRENT.set(live)))
        if not live.quiet and (live.span is not None or self.own_provider is not None):
            call = live.call
            span = live.span or ids_only((call.trace_id, call.span_id, call.sampled))
            live.entered.append((otel.detach, otel.attach(trace.set_span_in_context(span))))

    def caller(self, registered: Caller | None, scope: context.Scope | None) -> Caller:
        """Who makes a call here, field by field: registration, then scope, then framework, then environment."""
        config = self.config
        near = registered or context.NOBODY
        around = context.NOBODY if scope is None else scope.caller
        labels = around.labels
        if config.labels:
            labels = tuple(sorted({**dict(config.labels), **dict(around.labels)}.items()))
        return self._known(
            near.agent or around.agent or config.agent,
            near.role or around.role or context.running() or config.role,
            near.tenant or around.tenant or config.tenant or self._asking_tenant(),
            labels,
        )

    def _asking_tenant(self) -> str | None:
        """The tenant in the baggage that an instrumentation of a server has read from the request; who trusts it says so."""
        value = baggage.get_baggage(names.HEXR_TENANT) if self.config.trust_inbound else None
        return (value.strip()[: context.LIMIT] or None) if isinstance(value, str) else None

    def finish(self, live: Live, error: BaseException | None) -> None:
        """Reads what came back, prices it and keeps the record."""
        call = live.call
        wire = call.request.format
        if call.payload is not None and call.request.billing != "owed":
            self.read(live, call.payload)
        failed = isinstance(error, Exception)
        cancelled = error is not None and not failed
        # A body that was read byte by byte was never parsed: it has no usage, but it was not cut short.
        short = False
        if call.request.stream:
            short = live.unread if call.payload is None else not attempt(live.blame, wire.finished, call.payload)
        unanswered = cancelled and (call.payload is None or not call.request.stream)
        call.partial = call.partial or unanswered or short
        if error is not None and failed:
            code, status = guarded(wire.failed, error) or (None, None) if wire.failed is not None else (None, None)
            call.error = self.redact.code(code) if code else error_type(error)
            status = status or guarded(status_of, error)
            call.status_code = int(status) if isinstance(status, int) and 100 <= status < 600 else None
        held = call.payload is not None and guarded(self._settling.settle, live, failed=failed)
        if not held and not live.quiet:
            self.record(live)

    def read(self, live: Live, payload: Any) -> None:
        """Reads what came back for a call."""
        call = live.call
        response = attempt(live.blame, call.request.format.response, payload) or Response()
        response.service_tier = response.service_tier or call.request.tier
        response.model = response.model or call.request.served
        (size, quality), asked = response.grade, call.request.parameters
        response.grade = (size or asked.get("size"), quality or asked.get("quality"))
        call.response = response
        if response.error is not None:
            call.error = self.redact.code(response.error)

    def record(self, live: Live) -> None:
        """Prices a call whose answer has been read, and keeps its record."""
        call = live.call
        fetched = call.request.billing == "fetch"
        if not fetched:
            guarded(price, call)
        if call.content is not None:
            guarded(self._said, call)
        call.payload = call.heard = None
        record = self.redact.record(telemetry.of_call(call))
        if self.budgets is not None and not fetched and (over := guarded(self.budgets.spend, call.caller, call.cost)):
            record["over_budget"] = over
        texts = guarded(self._capture, record, live.span) if call.content else None
        if live.span is not None:
            record["span"] = "theirs"
        self.keep(record)
        self.worker.metrics.measure(record, live.gaps)
        if live.invocation is not None and not fetched:
            live.invocation.add(call)
        if live.span is not None and live.adopted:
            adopted.told(live.span, {**telemetry.attributes(record), **(texts or {})})
        elif live.span is not None:
            live.span.set_attributes({**telemetry.attributes(record), **(texts or {})})
            if call.error is not None:
                live.span.set_status(Status(StatusCode.ERROR))
            live.span.end(call.end)

    def foretell(self, live: Live) -> None:
        """Adds what a stream has come to to its adopted span, which may be ended before the stream has been read."""
        call = replace(live.call, end=live.call.start + time.perf_counter_ns() - live.clock)
        call.response = call.request.format.response(call.payload)
        call.response.service_tier = call.response.service_tier or call.request.tier
        price(call)
        if live.span is not None:
            adopted.told(live.span, telemetry.attributes(self.redact.record(telemetry.of_call(call))))

    # -- content, for those who ask for it

    def hear(self, told: Callable[[list[Any], Any, str], None], so_far: list[Any], given: Any, target: str) -> None:
        """Adds to what a conversation has been told, where content is asked for; `told` as `Provider` has it."""
        if self.config.content != _NO_CONTENT:
            told(so_far, content.plain(given), target)

    def captures(self, call: Call, span: Span | None) -> bool:
        """Whether prompt and answer of a call have a place to go: the local store is none."""
        on_spans, on_events = self.config.content
        if on_spans and (call.sampled if span is None and self.config.exporters else span and span.is_recording()):
            return True
        return on_events and bool(self.config.events or self._events().their_logger() is not None)

    def _events(self) -> Any:
        from . import events  # noqa: PLC0415  (the API's logs are loaded where content goes on events)

        return events

    def _said(self, call: Call) -> None:
        heard = call.heard if call.request.stream else call.payload
        said = None if heard is None else content.said(call.request.format, heard, self.config.content_limit)
        if said and call.content is not None:
            call.content["output"] = said

    def _capture(self, record: dict[str, Any], span: Span | None) -> dict[str, str]:
        """Sends content where the program's own pipelines take it, and notes in the record where the worker has to.

        Returns:
            What goes on the program's own span, as attributes.
        """
        on_spans, on_events = self.config.content
        ours = on_spans and span is None and record["sampled"] and bool(self.config.exporters)
        theirs = telemetry.content_texts(record) if on_spans and span is not None else {}
        if on_events:
            record["capture"] = "both"
            logger = self._events().their_logger()
            if logger is not None and telemetry.has_event(record):
                guarded(logger.emit, self._events().event_of(record))
                on_events = False
        on_events = on_events and bool(self.config.events)
        record["capture"] = "both" if ours and on_events else "span" if ours else "event" if on_events else ""
        if not record["capture"]:
            del record["capture"], record["content"]
        return theirs

    def keep(self, record: dict[str, Any]) -> None:
        """Appends a record to the journal and tells the worker."""
        self.worker.notify(self.journal.append(record))


def price(call: Call) -> None:
    """Sets a call's cost, its status and its source; an unknown price leaves no cost at all."""
    response = call.response
    spends = call.request.spends
    if spends is not None and call.error is None and (response is None or response.usage is None):
        response = call.response = replace(response or Response(), usage=spends)
        unpriced = pricing.of_response(response, call.request.provider, call.request.model, call.start)[0] is None
        if unpriced and spends.video_seconds is None:
            response.usage = None  # what the request states is not what this model is billed by
    if response is None or (response.usage is None and response.stated_cost is None):
        call.cost_status = "partial" if call.partial else "no_usage"
        return
    call.cost_status = "unpriced"  # also where the pricing itself fails
    request = call.request
    call.cost, call.cost_source = pricing.of_response(response, request.provider, request.model, call.start)
    if call.cost is not None:
        call.cost_status = "partial" if call.partial or response.lower_bound else "priced"


def _asked(wire: Format, body: Any, limit: int) -> dict[str, Any]:
    return content.asked(wire, body() if callable(body) else body, limit)


def error_type(error: BaseException) -> str:
    """`error.type`: the exception's class with its module, a builtin's name alone."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def status_of(error: BaseException) -> int | None:
    """The HTTP status that an SDK's exception says, or the response that it holds (httpx's and requests' errors)."""
    for place in (error, getattr(error, "response", None)):
        for name in ("status_code", "code", "status"):  # the last one is aiohttp's
            found = getattr(place, name, None)
            if isinstance(found, int) and 100 <= found < 600:
                return found
    return None


def new_ids(trace_id: int = 0) -> tuple[int, int]:
    """A trace id (the given one, if it is not 0) and a span id, from the system's randomness.

    Never from `random`: the program may have seeded it, and its sequence is the program's own.
    """
    high, low, span = _drawn(os.urandom(24))
    return trace_id or (high << 64 | low) or 1, span or 1


_drawn = struct.Struct("QQQ").unpack


def ids_only(span: tuple[int, int, bool]) -> Span:
    """A span that says where one is, for what is under it: trace id, span id, whether sampled."""
    flags = TraceFlags(TraceFlags.SAMPLED if span[2] else TraceFlags.DEFAULT)
    return NonRecordingSpan(SpanContext(span[0], span[1], is_remote=False, trace_flags=flags))
