"""Who asks, from process to process: W3C trace context and baggage, written, read, and kept from LLM providers."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import quote, unquote_plus, urlsplit

from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState

from . import context, names, traceparent
from .call import Call
from .context import LIMIT, Invocation
from .live import CURRENT
from .providers import hosts
from .recorder import Recorder
from .traceparent import Span
from .wires import CHILD, PARENT

TRACEPARENT, TRACESTATE, BAGGAGE = "traceparent", "tracestate", "baggage"
FIELDS = {"tenant": names.HEXR_TENANT, "agent": names.HEXR_AGENT, "role": names.HEXR_ROLE}
"""Field of a Caller -> its baggage entry, what matters most first."""
LONGEST = 8192
"""Bytes of a baggage header, by the W3C's own limit: what is longer is neither sent nor read."""

APART: ContextVar[bool] = ContextVar("hexr_apart", default=False)
"""Whether the SDK of an LLM provider makes a request in this context that is no call."""


class Apart:
    """A request that an LLM provider's SDK makes and that is no call, such as a list of models: nothing of ours leaves."""

    __slots__ = ("_before",)

    def __enter__(self) -> None:
        self._before = APART.get()
        APART.set(True)

    def __exit__(self, *error: object) -> None:
        APART.set(self._before)  # no token: a coroutine may be closed from another context


# -- going out


def carrier(recorder: Recorder, url: str | None, *, traced: bool = True) -> dict[str, str]:
    """What a request carries to another agent: trace context; and baggage where HEXR_PROPAGATE allows the host.

    Args:
        recorder: Whose configuration decides.
        url: Where the request goes, or CHILD or PARENT; None where nobody knows: then it carries no baggage.
        traced: Whether trace context goes to hosts that get no baggage, too.
    """
    # A provider's SDK sends it, or its host is a provider's; or it is a request of telemetry itself.
    apart = CURRENT.get() is not None or APART.get() or otel.get_value(_SUPPRESS_INSTRUMENTATION_KEY)
    if apart or (url is not None and hosts.provider_of(*hosts.address(url), "")):
        return {}
    told = url in (CHILD, PARENT) or allowed(recorder.config.propagate, url)
    found: dict[str, str] = {}
    if (told or traced) and (span := recorder.parent()) is not None:
        found[TRACEPARENT] = traceparent.write(span)
        here = trace.get_current_span().get_span_context()
        if here.span_id == span[1] and here.trace_state:
            found[TRACESTATE] = here.trace_state.to_header()
    if told and (entries := identity(recorder)):
        found[BAGGAGE] = entries
    return found


def identity(recorder: Recorder) -> str:
    """Agent, tenant and role of a call that would be made here, as a baggage header; empty if there is none."""
    caller = recorder.caller(None, context.current())
    entries = ""
    for field, name in FIELDS.items():
        value = getattr(caller, field)
        entry = f"{',' if entries else ''}{name}={quote(value, safe='')}" if value else ""
        if len(entries) + len(entry) <= LONGEST:
            entries += entry
    return entries


def allowed(patterns: tuple[str, ...], url: str | None) -> bool:
    """Whether the host of a URL is one of those that are told who asks."""
    host = urlsplit(url or "").hostname if patterns else None
    return host is not None and any(fnmatchcase(host, pattern) for pattern in patterns)


def without_ours(around: otel.Context) -> otel.Context:
    """A context whose OpenTelemetry baggage has no entry of ours: what may leave with any request to any host."""
    from opentelemetry import baggage  # noqa: PLC0415  (where baggage is injected, it is loaded)

    for name in FIELDS.values():
        if baggage.get_baggage(name, around) is not None:
            around = baggage.remove_baggage(name, around)
    return around


# -- coming in


def remote_tenant(carried: Mapping[Any, Any]) -> str | None:
    """The tenant that a request says it is for; believe it only where that is asked for."""
    header = carried.get(BAGGAGE)
    if not isinstance(header, str) or len(header) > LONGEST:
        return None
    for entry in header.split(","):
        name, _, value = entry.partition("=")
        if name.strip() == names.HEXR_TENANT:
            return unquote_plus(value.partition(";")[0].strip())[:LIMIT].strip() or None
    return None


class Remote:
    """The span of the side that asked, where an agent's own would be: what is done for it here is under it."""

    def __init__(self, recorder: Recorder, span: Span, state: object, around: Invocation | None) -> None:
        """Knows that span; `enter` makes it the current one.

        Args:
            recorder: Where the calls are begun.
            span: The other side's.
            state: Its tracestate, as it came.
            around: The agent that serves, if it is entered around the server: its totals have the calls.
        """
        self.span = span
        self.entered: list[tuple[Any, Any]] = []
        self._around: Any = around
        self._recorder, self._state = recorder, state

    def enter(self) -> None:
        """Makes that span the current one of this context, if spans of ours share the program's."""
        here, span, state = trace.get_current_span().get_span_context(), self.span, self._state
        # A server span of another instrumentation is in that trace already, and nearer.
        if self._recorder.shares_context() and here.trace_id != span[0]:
            self.entered.append((otel.attach, otel.get_current()))
            states = TraceState.from_header([state]) if isinstance(state, str) else None
            flags = TraceFlags(TraceFlags.SAMPLED if span[2] else TraceFlags.DEFAULT)
            there = SpanContext(span[0], span[1], is_remote=True, trace_flags=flags, trace_state=states)
            otel.attach(trace.set_span_in_context(NonRecordingSpan(there)))

    def turn(self, *, billed: bool = False) -> None:
        """Rolls over where it runs."""

    def add(self, call: Call) -> None:
        """Counts one finished call where an agent of this process is around it."""
        if self._around is not None:
            self._around.add(call)

    def end(self, error: BaseException | None) -> None:
        """It is not ours to end."""
