"""The sums of a group of calls, and how groups are put together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """The sums of one group of calls."""

    group: tuple[str | None, ...]
    """The values of the columns that the calls were grouped by; None is unknown."""
    first: int
    """When its first call started, in nanoseconds since the epoch."""
    calls: int = 0
    covered: int = 0
    """Calls whose cost is known: those that the sum is of."""
    priced: int = 0
    stated: int = 0
    """The priced calls whose cost the provider itself stated."""
    unpriced: int = 0
    """Calls whose usage is known and whose price is not."""
    no_usage: int = 0
    """Calls that succeeded without saying what they used; what a failed call did not use is not missing."""
    partial: int = 0
    """Calls that ended early: their cost is a lower bound."""
    failed: int = 0
    """Calls that ended with an error, whatever they cost."""
    unbilled: int = 0
    """The failed calls that used nothing."""
    cost: int | None = None
    """In 1e-12 USD; None if the cost of none of the calls is known."""
    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0
    unpriced_input: int = 0
    """Input tokens of the unpriced calls."""
    unpriced_output: int = 0


COUNTS = tuple(each.name for each in fields(Row) if each.name not in ("group", "first", "cost"))
"""The fields of a row that are plain sums."""


def fold(rows: Iterable[Row], regroup: Callable[[tuple[str | None, ...]], tuple[str | None, ...]]) -> list[Row]:
    """Rows whose groups become the same by `regroup` put together, the most expensive first, ties by name."""
    sums: dict[tuple[str | None, ...], dict[str, Any]] = {}
    for row in rows:
        group = regroup(row.group)
        into = sums.setdefault(group, dict.fromkeys(COUNTS, 0) | {"cost": None, "first": row.first})
        for name in COUNTS:
            into[name] += getattr(row, name)
        into["first"] = min(into["first"], row.first)
        if row.cost is not None:
            into["cost"] = (into["cost"] or 0) + row.cost
    folded = [Row(group=group, **values) for group, values in sums.items()]
    return sorted(folded, key=lambda row: (-(row.cost or 0), [each or "" for each in row.group]))
