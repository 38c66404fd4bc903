"""An agent that runs: its span, with the totals of the calls under it."""

from __future__ import annotations

import threading
import time
from typing import Any

from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from . import context, names, telemetry
from .call import Call, Caller
from .guard import guarded
from .recorder import Recorder, error_type, ids_only, new_ids


class Invocation:
    """A running agent: its span and the totals of the calls under it.

    Calls in threads and tasks are counted with it, those of an agent inside of it with that one, those of another
    process not at all. A call that ends after the agent has ended is no more in its totals; its own record is complete.

    One that runs longer than HEXR_AGENT_ROLLOVER goes on in a new span, linked to the one before: each has the totals
    of its own time, so that their sum is the agent's. It is looked at when a call or an agent starts inside.
    """

    def __init__(self, recorder: Recorder, caller: Caller) -> None:
        self._recorder = recorder
        self._caller = recorder.redact.caller(caller)
        self._lock = threading.RLock()
        self._generation = recorder.worker.generation
        self._ended = False
        self._past: set[int] = set()
        """Ids of its spans that have given way to the next."""
        scope = context.current()
        self._outer = None if scope is None else scope.invocation
        if self._outer is not None:
            self._outer.turn()
        self.entered: list[tuple[Any, Any]] = []
        """What puts back the context that it was entered in, whatever else fails."""
        self._open(recorder.parent(), None)

    def enter(self) -> None:
        """Makes its span the current one of this context, if spans of ours share the program's."""
        if self._recorder.shares_context():
            self.entered.append((otel.attach, otel.get_current()))
            otel.attach(self._around())

    def _open(self, parent: tuple[int, int, bool] | None, last: tuple[int, int, bool] | None) -> None:
        """Starts a span, with no totals yet.

        Args:
            parent: The span that it belongs under; None for a new trace.
            last: The span of this agent that it goes on from.
        """
        recorder = self._recorder
        self._start = time.time_ns()
        self._clock = time.perf_counter_ns()
        self._totals = [0, 0, 0]
        self._calls = self._priced = 0
        self._parent = parent
        self._last = last
        self._theirs: Span | None = None
        theirs = recorder.their_tracer()
        if theirs is not None:
            root = otel.Context()
            self._theirs = theirs.start_span(
                f"{names.INVOKE_AGENT} {self._caller.agent}",
                context=None if last is None else trace.set_span_in_context(ids_only(parent), root) if parent else root,
                kind=SpanKind.INTERNAL,
                attributes=telemetry.attributes(self._record(None)),
                links=None if last is None else [trace.Link(ids_only(last).get_span_context())],
            )
            found = self._theirs.get_span_context()
            self.span = (found.trace_id, found.span_id, found.trace_flags.sampled)
        else:
            trace_id, span_id = new_ids(parent[0] if parent else 0)
            self.span = (trace_id, span_id, recorder.sampled(trace_id, parent=parent[2] if parent else None))

    def _around(self) -> otel.Context:
        return trace.set_span_in_context(self._theirs or ids_only(self.span))

    def turn(self, *, billed: bool = False) -> None:
        """Lets a span that has lasted long enough give way to the next one, of the agents around it first."""
        if self._outer is not None:
            self._outer.turn(billed=billed)
        limit = self._recorder.config.rollover
        if limit is None:
            return
        with self._lock:
            lasted = time.perf_counter_ns() - self._clock
            if lasted >= limit * 1e9 and not self._ended and self._generation == self._recorder.worker.generation:
                self._close(None)
                self._past.add(self.span[1])
                self._open(None if self._outer is None else self._outer.span, self.span)
        # In contexts that were made before, what is started now would belong to a span that has ended.
        if self._past and not self._ended and trace.get_current_span().get_span_context().span_id in self._past:
            otel.attach(self._around())

    def add(self, call: Call) -> None:
        """Counts one finished call; a forked child's are not its parent's."""
        if self._generation != self._recorder.worker.generation:
            return
        usage = call.response.usage if call.response is not None else None
        with self._lock:
            self._calls += 1
            if usage is not None:
                self._totals[0] += usage.input or 0
                self._totals[1] += usage.output or 0
            if call.cost is not None:
                self._priced += 1
                self._totals[2] += call.cost

    def _record(self, error: BaseException | None) -> dict[str, Any]:
        inputs, outputs, cost = self._totals
        record: dict[str, Any] = {
            "kind": "agent",
            **telemetry.of_caller(self._caller),
            "start": self._start,
            "end": self._start + time.perf_counter_ns() - self._clock,
            "calls": self._calls,
            "cost": cost if self._priced else None,
            "input": inputs or None,
            "output": outputs or None,
            "error": None if error is None else error_type(error),
        }
        return {name: value for name, value in record.items() if value is not None}

    def end(self, error: BaseException | None) -> None:
        """Ends the agent's span with its totals."""
        guarded(self._end, error if isinstance(error, Exception) else None)

    def _end(self, error: BaseException | None) -> None:
        if self._generation != self._recorder.worker.generation:
            return  # a forked child left the scope: the span is its parent's
        with self._lock:
            if not self._ended:
                self._ended = True
                self._close(error)

    def _close(self, error: BaseException | None) -> None:
        record = self._record(error)
        trace_id, span_id, sampled = self.span
        ids: dict[str, Any] = {"id": f"{span_id:016x}", "trace": f"{trace_id:032x}", "sampled": sampled}
        self._recorder.worker.metrics.measure(record | ids)
        if self._theirs is not None:
            self._theirs.set_attributes(telemetry.attributes(record))
            if error is not None:
                self._theirs.set_status(Status(StatusCode.ERROR))
            self._theirs.end()
            return
        if self._parent is not None:
            ids["parent"] = f"{self._parent[1]:016x}"
        if self._last is not None:
            ids["link"] = [f"{self._last[0]:032x}", f"{self._last[1]:016x}"]
        self._recorder.keep(record | ids)
