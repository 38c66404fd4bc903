"""The W3C's traceparent: a span's ids as one line, on its way to another process."""

from __future__ import annotations

import re

Span = tuple[int, int, bool]
"""Trace id, span id, whether it is sampled."""

_LINE = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")


def write(span: Span) -> str:
    """The line."""
    return f"00-{span[0]:032x}-{span[1]:016x}-{span[2]:02x}"


def read(line: object) -> Span | None:
    """The span of a line, also of versions to come; None for anything else, and for ids that are all zero."""
    match = _LINE.fullmatch(line.strip()) if isinstance(line, str) else None
    if match is None:
        return None
    trace_id, span_id = int(match[1], 16), int(match[2], 16)
    return (trace_id, span_id, bool(int(match[3], 16) & 1)) if trace_id and span_id else None
