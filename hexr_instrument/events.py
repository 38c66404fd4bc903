"""The event of a call: a log record with the attributes of its span and structured content, for those who asked for it.

It knows the OpenTelemetry API alone: `export` sends events, or the logger provider that the program has set.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from opentelemetry import _logs, context, trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from . import names, telemetry


def their_logger() -> Any:
    """Our logger on the provider that the program itself has set, or None if it has set none."""
    provider = _logs.get_logger_provider()
    if isinstance(provider, _logs.NoOpLoggerProvider) or type(provider).__name__ == "ProxyLoggerProvider":
        return None
    return provider.get_logger(names.SCOPE, names.package_version(), names.SCHEMA_URL)


def event_of(record: Mapping[str, Any]) -> LogRecord:
    """A call's event, in the context of its span, at the time of its end."""
    flags = TraceFlags(TraceFlags.SAMPLED if record.get("sampled") else TraceFlags.DEFAULT)
    span = NonRecordingSpan(
        SpanContext(int(record["trace"], 16), int(record["id"], 16), is_remote=False, trace_flags=flags)
    )
    return LogRecord(
        timestamp=record["end"],
        observed_timestamp=time.time_ns(),
        context=trace.set_span_in_context(span, context.Context()),
        severity_number=SeverityNumber.DEBUG,
        severity_text="DEBUG",
        attributes={**telemetry.attributes(record), **telemetry.content(record)},
        event_name=names.DETAILS,
    )
