"""The rules of the price data: which names a model's rule takes, and when a price holds."""

from __future__ import annotations

import re
from typing import Any

ALWAYS = (-(2**63), 2**63)
"""The widest span of nanoseconds since the epoch."""
_DAY = 86_400 * 10**9


def matches(rule: str | list[Any] | dict[str, Any], name: str) -> bool:
    """Whether a rule of the table takes a lower-case name."""
    if isinstance(rule, str):
        return rule == name
    if isinstance(rule, list):
        return any(matches(each, name) for each in rule)
    ((kind, text),) = rule.items()
    if kind == "starts_with":
        return name.startswith(text)
    if kind == "ends_with":
        return name.endswith(text)
    if kind == "contains":
        return text in name
    if kind == "regex":
        return re.search(text, name) is not None
    return all(matches(each, name) for each in text)


DATE = r"-(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)"


def dashed(match: re.Match[str]) -> str:
    """`-20251211` as `-2025-12-11`, if there is such a day."""
    from datetime import date  # noqa: PLC0415  (a millisecond that most programs never need)

    try:
        return f"-{date(*map(int, match.groups())).isoformat()}"
    except ValueError:
        return match.group()


def midnight(day: str) -> int:
    """The first moment of a day, in nanoseconds since the epoch."""
    from datetime import date  # noqa: PLC0415  (a millisecond that most programs never need)

    return (date.fromisoformat(day) - date(1970, 1, 1)).days * _DAY


def _daily(span: str) -> tuple[int, int]:
    """(start, end) of a daily span, in nanoseconds since midnight."""
    start, end = (
        (int(hours) * 3600 + int(minutes) * 60 + int(seconds)) * 10**9
        for hours, minutes, seconds in (each.split(":") for each in span.split("-"))
    )
    return start, end


def active(constraint: str | None, when: int) -> bool:
    """Whether the moment is on or after the constraint's day, or within its daily span."""
    if constraint is None:
        return True
    if ":" not in constraint:
        return when >= midnight(constraint)
    start, end = _daily(constraint)
    time = when % _DAY
    return start <= time < end if start <= end else time >= start or time < end


def window(constraints: list[str | None], when: int) -> tuple[int, int]:
    """The longest span around the moment in which none of the constraints changes."""
    edges = [*ALWAYS]
    for constraint in filter(None, constraints):
        if ":" in constraint:
            begun = when - when % _DAY
            edges += [begun, begun + _DAY, *(begun + each for each in _daily(constraint))]
        else:
            edges.append(midnight(constraint))
    return max(edge for edge in edges if edge <= when), min(edge for edge in edges if edge > when)
