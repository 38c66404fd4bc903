"""An agent that runs: its span, with the totals of the calls under it."""

from __future__ import annotations

import threading
import time
from typing import Any

from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from . import names, telemetry
from .call import Call, Caller
from .guard import guarded
from .recorder import Recorder, error_type, ids_only, new_ids


class Invocation:
    """A running agent: its span and the totals of the calls under it."""

    def __init__(self, recorder: Recorder, caller: Caller) -> None:
        self._recorder = recorder
        self._caller = caller = recorder.redact.caller(caller)
        self._lock = threading.RLock()
        self._generation = recorder.worker.generation
        self._start = time.time_ns()
        self._clock = time.perf_counter_ns()
        self._totals = [0, 0, 0]
        self._calls = self._priced = 0
        before = otel.get_current()
        self.entered: list[tuple[Any, Any]] = []
        """What puts back the context that it was entered in, whatever else fails."""
        self._parent = recorder.parent()
        self._theirs: Span | None = None
        theirs = recorder.their_tracer()
        if theirs is not None:
            self._theirs = theirs.start_span(
                f"{names.INVOKE_AGENT} {caller.agent}",
                kind=SpanKind.INTERNAL,
                attributes=telemetry.attributes(self._record(None)),
            )
            found = self._theirs.get_span_context()
            self.span = (found.trace_id, found.span_id, found.trace_flags.sampled)
        else:
            trace_id, parent_id, sampled = self._parent or (0, None, None)
            trace_id, span_id = new_ids(trace_id)
            self.span = (trace_id, span_id, recorder.sampled(trace_id, parent=sampled))
            self._parent_id = parent_id
        if recorder.shares_context():
            self.entered.append((otel.attach, before))
            otel.attach(trace.set_span_in_context(self._theirs or ids_only(self.span)))

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
        record = self._record(error)
        if self._theirs is not None:
            self._theirs.set_attributes(telemetry.attributes(record))
            if error is not None:
                self._theirs.set_status(Status(StatusCode.ERROR))
            self._theirs.end()
            return
        trace_id, span_id, sampled = self.span
        ids = {"id": f"{span_id:016x}", "trace": f"{trace_id:032x}", "sampled": sampled}
        if self._parent_id is not None:
            ids["parent"] = f"{self._parent_id:016x}"
        self._recorder.keep(record | ids)
