"""The span that somebody else has made for the same request: it becomes the call's own, and there is no second one.

Agent frameworks and other instrumentations start a span of the GenAI conventions around their request to a model. Where
such a span goes the way that ours would go, the call takes its ids, and its attributes are added to it.
"""

from __future__ import annotations

import weakref
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import Span, SpanContext

from . import names

_taken: weakref.WeakSet[Span] = weakref.WeakSet()
"""A second request inside of one span has a span of its own."""


def take(span: Any, operation: str) -> bool:
    """Whether an open span of another hand stands for the request that starts in it, and for no other; from now on it does.

    Args:
        span: OpenTelemetry's current one.
        operation: What the request asks for, as `gen_ai.operation.name`.
    """
    if not span.is_recording() or span in _taken:
        return False
    if getattr(getattr(span, "instrumentation_scope", None), "name", None) == names.SCOPE:
        return False
    attributes: Any = getattr(span, "attributes", None) or {}
    said = attributes.get(names.OPERATION)
    if said != operation and not (said in names.INFERENCE and operation in names.INFERENCE):
        return False
    # A framework may have a pipeline to a vendor of its own, where our attributes would be of no use to anybody.
    resource: Any = getattr(trace.get_tracer_provider(), "resource", None)
    if resource is None or getattr(span, "resource", None) is not resource:
        return False
    _taken.add(span)
    return True


def ids(span: Span) -> tuple[int, int, bool, tuple[int, int, bool] | None]:
    """Trace id, span id and sampling of an adopted span, and the three of its parent, if it has one."""
    here = span.get_span_context()
    above: SpanContext | None = getattr(span, "parent", None)
    parent = None if above is None else (above.trace_id, above.span_id, above.trace_flags.sampled)
    return here.trace_id, here.span_id, here.trace_flags.sampled, parent


def told(span: Span, attributes: dict[str, Any]) -> None:
    """Adds what is known of the call; the one whose span it is ends it, and may have done so before a stream was read."""
    if span.is_recording():
        span.set_attributes(attributes)
