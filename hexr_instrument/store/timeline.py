"""What charts ask of the store: sums and latencies in steps of time."""

from __future__ import annotations

import sqlite3
from array import array
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from .file import DAY, SPLIT
from .filter import Filter, facets_of
from .query import has


@dataclass(frozen=True, slots=True)
class Point:
    """The sums of one step of time."""

    start: int
    """Nanoseconds since the epoch."""
    calls: int
    failed: int
    cost: int
    """In 1e-12 USD, of the calls whose cost is known."""
    input: int
    output: int


def timeline(connection: sqlite3.Connection, only: Filter, step: int) -> Iterator[Point]:
    """The steps that have calls, in order.

    Args:
        connection: The store's.
        only: Which calls count; no run, no label and no status of tokens.
        step: The length of a step in nanoseconds, counted from the epoch; whole days are answered from their sums.
    """
    facets = facets_of(connection, only)
    failed = ", ".join(str(number) for number, facet in facets.items() if facet.error is not None)
    chosen = ", ".join(map(str, facets))
    costs = f"sum(cost / {SPLIT}), sum(cost % {SPLIT})"
    source, at, calls = "calls INDEXED BY calls_costs", "start", "1"
    bounds = [only.since, only.until]
    if step % DAY == 0 and only.since % DAY == 0 and has(connection, "daily"):
        source, at, calls = "daily", f"day * {DAY}", "calls"
        costs = "sum(cost_quotient), sum(cost_remainder)"
    query = (
        f"SELECT {at} / {step}, sum({calls}), sum(CASE WHEN facet IN ({failed}) THEN {calls} ELSE 0 END), {costs},"  # noqa: S608
        f" sum(input), sum(output) FROM {source} WHERE facet IN ({chosen}) AND {at} >= ? AND {at} < ?"
        " GROUP BY 1 ORDER BY 1"
    )
    for number, count, errors, quotient, remainder, given, made in connection.execute(query, bounds):
        cost = (quotient or 0) * SPLIT + (remainder or 0)
        yield Point(number * step, count, errors, cost, given or 0, made or 0)


def latencies(connection: sqlite3.Connection, only: Filter, step: int) -> dict[int, array[int]]:
    """The durations of the calls that succeeded, in no order, by the start of the step; all in nanoseconds."""
    facets = [number for number, facet in facets_of(connection, only).items() if facet.error is None]
    # Of nearly all calls, the table from end to end is quicker than an index into it.
    source = "calls NOT INDEXED" if only.since == 0 else "calls INDEXED BY calls_start"
    query = (
        f"SELECT start / {step} * {step}, duration FROM {source}"  # noqa: S608
        f" WHERE start >= ? AND start < ? AND duration IS NOT NULL AND facet IN ({', '.join(map(str, facets))})"
    )
    found: defaultdict[int, array[int]] = defaultdict(lambda: array("q"))
    for start, duration in connection.execute(query, (only.since, only.until)):
        found[start].append(duration)
    return dict(found)
