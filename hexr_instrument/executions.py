"""A tool that an SDK runs: a span under the agent's or whatever is around it, where spans leave; it costs nothing."""

from __future__ import annotations

import time
from contextvars import ContextVar
from typing import Any

from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from . import content, context, names, telemetry
from .call import Tool
from .guard import guarded
from .recorder import Recorder, error_type, ids_only, new_ids

RUNNING: ContextVar[str | None] = ContextVar("hexr_tool", default=None)
"""The tool that runs in this context, by name."""


class Execution:
    """A run of a tool that has started; its span is the current one until it ends."""

    def __init__(self, recorder: Recorder, tool: Tool) -> None:
        """Starts now."""
        self._recorder = recorder
        self._record: dict[str, Any] = {
            "kind": "tool",
            "op": names.EXECUTE_TOOL,
            "tool": tool.name,
            "call_id": tool.call_id,
            **telemetry.of_caller(recorder.caller(None, context.current())),
            "start": time.time_ns(),
        }
        self._clock = time.perf_counter_ns()
        parent = recorder.parent()
        tracer = recorder.their_tracer()
        self._span: Span | None = None
        if tracer is not None:
            self._span = tracer.start_span(
                telemetry.span_name(self._record),
                kind=SpanKind.INTERNAL,
                attributes=telemetry.attributes(self._record),
                start_time=self._record["start"],
            )
            sampled = self._span.is_recording()
            current: Span = self._span
        else:
            trace_id, span_id = new_ids(parent[0] if parent else 0)
            sampled = recorder.sampled(trace_id, parent=parent[2] if parent else None)
            self._record |= {"id": f"{span_id:016x}", "trace": f"{trace_id:032x}", "sampled": sampled}
            if parent is not None:
                self._record["parent"] = f"{parent[1]:016x}"
            current = ids_only((trace_id, span_id, sampled))
        self._content: dict[str, Any] | None = None
        if recorder.config.content[0] and sampled:
            self._record["description"] = tool.description
            self._content = {}
            guarded(self._note, "arguments", tool.arguments)
        self._current, self._name = current, tool.name
        self.entered: list[tuple[Any, Any]] = []
        """What puts the context back."""

    def enter(self) -> None:
        """Makes the run the current span of this context, until `undo(execution.entered)`."""
        self.entered.append((RUNNING.reset, RUNNING.set(self._name)))
        self.entered.append((otel.detach, otel.attach(trace.set_span_in_context(self._current))))

    def _note(self, name: str, value: Any) -> None:
        if self._content is not None and value is not None:
            self._content[name] = content.value(value, self._recorder.config.content_limit)

    def end(self, result: Any, error: BaseException | str | None) -> None:
        """Ends the run with its result, or with what went wrong (`error.type` or the exception itself)."""
        record = self._record
        record["end"] = record["start"] + time.perf_counter_ns() - self._clock
        if isinstance(error, Exception):
            record["error"] = error_type(error)
        elif isinstance(error, str):
            record["error"] = error
        guarded(self._note, "result", result)
        if self._content:
            record |= {"content": self._content, "capture": "span"}
        self._recorder.worker.metrics.measure(record)
        if self._span is not None:
            self._span.set_attributes({**telemetry.attributes(record), **telemetry.content_texts(record)})
            if "error" in record:
                self._span.set_status(Status(StatusCode.ERROR))
            self._span.end(record["end"])
            return
        self._recorder.keep({name: value for name, value in record.items() if value is not None})
