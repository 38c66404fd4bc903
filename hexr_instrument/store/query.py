"""What reports ask of the store: calls in groups, and single calls."""

from __future__ import annotations

import heapq
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, time, timedelta, tzinfo
from typing import Any

from .lines import TOKEN_FIELDS, VALUE_COLUMNS, Facet

FACET_COLUMNS = (
    "agent",
    "tenant",
    "role",
    "provider",
    "model",
    "requested",
    "operation",
    "cost_status",
    "cost_source",
    "error",
)
SEGMENT_COLUMNS = ("run", "service")
COLUMNS = (*FACET_COLUMNS, *SEGMENT_COLUMNS, "day")
"""What calls can be grouped by, beside the names of labels and of resource attributes."""
FOREVER = (1 << 63) - 1
_SPLIT = 1_000_000_000
_SECOND = 1_000_000_000
# A sum of costs passes 64 bits at 9.2 million USD; a sum of quotients and a sum of remainders do not.
_SUMS = ", ".join(
    [
        "count(*)",
        "min(start)",
        f"sum(cost / {_SPLIT})",
        f"sum(cost % {_SPLIT})",
        *(f"sum({name})" for name in TOKEN_FIELDS),
    ]
)
_COSTS = "calls INDEXED BY calls_costs"
_BY_FACET = f"SELECT {_SUMS} FROM {_COSTS} WHERE facet = ? AND start >= ? AND start < ?"  # noqa: S608


@dataclass(frozen=True, slots=True)
class Filter:
    """Which calls count; an empty tuple is no condition, an empty name in one stands for 'unknown'."""

    since: int = 0
    """Nanoseconds since the epoch, inclusive."""
    until: int = FOREVER
    """Nanoseconds since the epoch, exclusive."""
    agent: tuple[str, ...] = ()
    tenant: tuple[str, ...] = ()
    role: tuple[str, ...] = ()
    model: tuple[str, ...] = ()
    """As served or as requested."""
    provider: tuple[str, ...] = ()
    run: str | None = None
    """The id of a run, or `last`: the one that started last among those that made a call."""

    def admits(self, facet: Facet) -> bool:
        """Whether calls of this facet count."""
        for name in ("agent", "tenant", "role", "provider"):
            wanted: tuple[str, ...] = getattr(self, name)
            if wanted and (getattr(facet, name) or "") not in wanted:
                return False
        return not self.model or (facet.served or facet.requested or "") in self.model or facet.requested in self.model


@dataclass(frozen=True, slots=True)
class Row:
    """The sums of one group of calls."""

    group: tuple[str | None, ...]
    """The values of the columns that the calls were grouped by; None is unknown."""
    first: int
    """When its first call started, in nanoseconds since the epoch."""
    calls: int = 0
    priced: int = 0
    unpriced: int = 0
    """Calls whose usage is known and whose price is not."""
    no_usage: int = 0
    """Calls that succeeded without saying what they used; what a failed call did not use is not missing."""
    partial: int = 0
    """Calls that ended early: their cost is a lower bound."""
    failed: int = 0
    """Calls that ended with an error, whatever they cost."""
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


@dataclass(frozen=True, slots=True)
class Record:
    """One call as it was recorded; None is unknown. Times are nanoseconds, amounts 1e-12 USD."""

    id: str
    trace: str | None
    parent: str | None
    sampled: bool
    start: int
    duration: int | None
    first_chunk: int | None
    facet: Facet
    cost: int | None
    usage: dict[str, int]
    labels: dict[str, str]
    finish: list[str]
    response_id: str | None
    status: int | None
    stream: bool
    run: str | None
    service: str | None


def costs(connection: sqlite3.Connection, by: Sequence[str], only: Filter, zone: tzinfo) -> list[Row]:
    """Calls in groups, the most expensive first; see `Store.costs`."""
    return fold(_rows(connection, by, only, zone), lambda group: group)


def _rows(connection: sqlite3.Connection, by: Sequence[str], only: Filter, zone: tzinfo) -> Iterator[Row]:
    facets = _facets(connection, only)
    slow = [name for name in by if name not in FACET_COLUMNS and name != "day"]
    run = last_run(connection) if only.run == "last" else only.run
    windows: Iterable[tuple[str | None, int, int]] = [(None, only.since, only.until)]
    if "day" in by:
        windows = _days(connection, only, zone)
    for day, since, until in windows:
        if slow or run is not None:
            sums = _sums_by_segment(connection, slow, run, since, until)
        else:
            sums = _sums_by_facet(connection, facets, since, until)
        for number, about, values in sums:
            if (facet := facets.get(number)) is not None:
                group = tuple(day if n == "day" else about.get(n) if n in slow else getattr(facet, n) for n in by)
                yield _row(group, facet, values)


_Sums = Iterator[tuple[int, dict[str, str | None], Sequence[Any]]]
"""The number of a facet, what else the calls have in common, and the values of _SUMS."""


def _row(group: tuple[str | None, ...], facet: Facet, values: Sequence[Any]) -> Row:
    calls, first, quotient, remainder, *tokens = values
    counts = dict(zip(TOKEN_FIELDS, (each or 0 for each in tokens), strict=True))
    unpriced = facet.cost_status == "unpriced"
    return Row(
        group=group,
        first=first,
        calls=calls,
        priced=calls if facet.cost_status == "priced" else 0,
        unpriced=calls if unpriced else 0,
        no_usage=calls if facet.cost_status == "no_usage" and facet.error is None else 0,
        partial=calls if facet.cost_status == "partial" else 0,
        failed=calls if facet.error is not None else 0,
        cost=None if quotient is None else quotient * _SPLIT + remainder,
        unpriced_input=counts["input"] if unpriced else 0,
        unpriced_output=counts["output"] if unpriced else 0,
        **counts,
    )


def _facets(connection: sqlite3.Connection, only: Filter) -> dict[int, Facet]:
    rows = connection.execute(f"SELECT id, {', '.join(Facet._fields)} FROM facets")  # noqa: S608
    facets = {row[0]: Facet(*row[1:]) for row in rows}
    return {key: facet for key, facet in facets.items() if only.admits(facet)}


def _sums_by_facet(connection: sqlite3.Connection, facets: Iterable[int], since: int, until: int) -> _Sums:
    """One range of the covering index for each facet: no grouping, no sorting, no look at the table."""
    for facet in facets:
        row = connection.execute(_BY_FACET, (facet, since, until)).fetchone()
        if row[0]:
            yield facet, {}, row


def _sums_by_segment(
    connection: sqlite3.Connection, by: Sequence[str], run: str | None, since: int, until: int
) -> _Sums:
    """Grouped by what the covering index lacks: a run's calls by its segments, or a range of the table."""
    segment = "segment" if by else "NULL"
    labels = "calls.labels" if any(name not in SEGMENT_COLUMNS for name in by) else "NULL"
    source = "calls INDEXED BY calls_start WHERE" if since > 0 or until < FOREVER else "calls NOT INDEXED WHERE"
    bounds: tuple[Any, ...] = (since, until)
    if run is not None:
        source = "segments CROSS JOIN calls INDEXED BY calls_segment ON segment = segments.id WHERE run = ? AND"
        bounds = (run, *bounds)
    segments: dict[int, dict[str, str | None]] = {}
    if by:
        for number, resource, *values in connection.execute("SELECT id, resource, run, service FROM segments"):
            segments[number] = texts(resource) | dict(zip(SEGMENT_COLUMNS, values, strict=True))
    columns = f"facet, {segment}, {labels}, {_SUMS}"
    query = f"SELECT {columns} FROM {source} start >= ? AND start < ? GROUP BY 1, 2, 3"  # noqa: S608
    sums = connection.execute(query, bounds)
    for facet, number, text, *values in sums:
        about = segments.get(number, {})
        yield facet, about | texts(text) | {name: about.get(name) for name in SEGMENT_COLUMNS}, values


def _days(connection: sqlite3.Connection, only: Filter, zone: tzinfo) -> Iterator[tuple[str, int, int]]:
    """The days that have calls, each with its bounds; days without are jumped over, however many they are."""
    at = only.since
    while at < only.until:
        (first,) = connection.execute("SELECT min(start) FROM calls WHERE start >= ?", (at,)).fetchone()
        if first is None or first >= only.until:
            return
        day = datetime.fromtimestamp(first // _SECOND, zone).date()
        # The next midnight, not 24 hours on: days have 23 or 25 hours when the clocks change.
        midnight = int(datetime.combine(day + timedelta(days=1), time(), zone).timestamp()) * _SECOND
        end = min(max(midnight, first + 1), only.until)
        yield day.isoformat(), first, end
        at = end


def last_run(connection: sqlite3.Connection) -> str:
    """The run that started last among those that made a call; empty if there is none."""
    row = connection.execute(
        "SELECT run FROM segments"
        " WHERE run IS NOT NULL AND EXISTS (SELECT 1 FROM calls WHERE segment = segments.id)"
        " GROUP BY run ORDER BY min(started) DESC, run LIMIT 1"
    ).fetchone()
    return row[0] if row else ""


def records(connection: sqlite3.Connection, limit: int, only: Filter) -> list[Record]:
    """The newest calls, the newest first; see `Store.calls`."""
    facets = _facets(connection, only)
    run = last_run(connection) if only.run == "last" else only.run
    condition, values = "start >= ? AND start < ?", (only.since, only.until)
    if run is None:
        # The newest of each facet, then the newest of these: quick however rare the wanted calls are.
        newest = heapq.nlargest(limit, _newest(connection, facets, limit, only))
        condition, values = f"calls.rowid IN ({', '.join(str(rowid) for _, rowid in newest)})", ()
    else:
        condition += f" AND run = ? AND facet IN ({', '.join(map(str, facets))})"
        values = (*values, run)
    columns = ", ".join(f"calls.{name}" for name in VALUE_COLUMNS)
    rows = connection.execute(
        f"SELECT calls.id, facet, run, service, {columns} FROM calls"  # noqa: S608
        f" JOIN segments ON segments.id = segment WHERE {condition}"
        " ORDER BY start DESC, calls.rowid DESC LIMIT ?",
        (*values, limit),
    )
    return [
        _record(facets[facet], key, run, service, dict(zip(VALUE_COLUMNS, rest, strict=True)))
        for key, facet, run, service, *rest in rows
    ]


def _newest(
    connection: sqlite3.Connection, facets: Iterable[int], limit: int, only: Filter
) -> Iterator[tuple[int, int]]:
    condition = "facet = ? AND start >= ? AND start < ?"
    query = f"SELECT start, rowid FROM {_COSTS} WHERE {condition} ORDER BY start DESC LIMIT ?"  # noqa: S608
    for facet in facets:
        yield from connection.execute(query, (facet, only.since, only.until, limit))


def _record(facet: Facet, key: bytes, run: str | None, service: str | None, values: dict[str, Any]) -> Record:
    tokens = {name: values[name] for name in TOKEN_FIELDS if values[name] is not None}
    return Record(
        id=key.hex(),
        trace=values["trace"].hex() if values["trace"] else None,
        parent=values["parent"].hex() if values["parent"] else None,
        sampled=bool(values["sampled"]),
        start=values["start"],
        duration=values["duration"],
        first_chunk=values["first_chunk"],
        facet=facet,
        cost=values["cost"],
        usage=tokens | json.loads(values["usage"] or "{}"),
        labels=texts(values["labels"]),
        finish=json.loads(values["finish"] or "[]"),
        response_id=values["response"],
        status=values["status"],
        stream=bool(values["stream"]),
        run=run,
        service=service,
    )


def texts(column: str | None) -> dict[str, str]:
    """The texts in a column of names and values."""
    return {name: value for name, value in json.loads(column or "{}").items() if isinstance(value, str)}
