"""What reports ask of the store: calls in groups, and single calls."""

from __future__ import annotations

import heapq
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, time, timedelta, timezone, tzinfo
from typing import Any

from .file import DAY, SPLIT, columns
from .lines import MISMATCH, TOKEN_FIELDS, VALUE_COLUMNS, Facet

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
TIMES = ("day", "hour")
COLUMNS = (*FACET_COLUMNS, *SEGMENT_COLUMNS, *TIMES)
"""What calls can be grouped by, beside the names of labels and of resource attributes."""
FOREVER = (1 << 63) - 1
_SECOND = 1_000_000_000
_SUMS = ", ".join(
    [
        "count(*)",
        "count(cost)",
        "min(start)",
        f"sum(cost / {SPLIT})",
        f"sum(cost % {SPLIT})",
        *(f"sum({name})" for name in TOKEN_FIELDS),
    ]
)
_MISMATCHED = f"instr(usage, '{MISMATCH}') > 0"
_COSTS = "calls INDEXED BY calls_costs"
_STATUSES: dict[str, Callable[[Facet], bool]] = {
    "priced": lambda facet: facet.cost_status == "priced",
    "stated": lambda facet: facet.cost_status == "priced" and facet.cost_source == "provider",
    "unpriced": lambda facet: facet.cost_status == "unpriced",
    "no_usage": lambda facet: facet.cost_status == "no_usage" and facet.error is None,
    "partial": lambda facet: facet.cost_status == "partial",
    "failed": lambda facet: facet.error is not None,
}
STATUSES = tuple(_STATUSES)
"""What a filter can ask of a call's cost: the counts of a `Row`."""
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

    status: tuple[str, ...] = ()
    """Names from `STATUSES`."""
    where: tuple[tuple[str, str], ...] = ()
    """(name, value) of a column, a label or a resource attribute; several values of one name are alternatives."""
    mismatched: bool = False
    """Whether only calls count whose tokens do not add up to the provider's own total."""
    trace: str | None = None
    """32 hexadecimal digits; for single calls only. There is no index: bounds of time make it quick."""

    def wanted(self) -> dict[str, tuple[str, ...]]:
        """The values of `where`, by name."""
        return {name: tuple(value for each, value in self.where if each == name) for name, _ in self.where}

    def slow(self) -> dict[str, tuple[str, ...]]:
        """What of `where` no facet knows."""
        return {name: values for name, values in self.wanted().items() if name not in FACET_COLUMNS}

    def admits(self, facet: Facet) -> bool:
        """Whether calls of this facet count, as far as the facet knows."""
        if self.status and not any(_STATUSES[name](facet) for name in self.status):
            return False
        for name, values in self.wanted().items():
            if name in FACET_COLUMNS and (getattr(facet, name) or "") not in values:
                return False
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
    tier: str | None
    """The service tier that served the call, where the provider says it."""
    prices: str | None
    """The price table at the time of the call, or the one by which it was priced anew."""
    run: str | None
    service: str | None


def costs(connection: sqlite3.Connection, by: Sequence[str], only: Filter, zone: tzinfo) -> list[Row]:
    """Calls in groups, the most expensive first; see `Store.costs`."""
    return fold(_rows(connection, by, only, zone), lambda group: group)


def _rows(connection: sqlite3.Connection, by: Sequence[str], only: Filter, zone: tzinfo) -> Iterator[Row]:
    facets = facets_of(connection, only)
    wanted = only.slow()
    slow = [name for name in dict.fromkeys((*by, *wanted)) if name not in FACET_COLUMNS and name not in TIMES]
    run = last_run(connection) if only.run == "last" else only.run
    if not slow and run is None and not only.mismatched and _has_days(connection, by, zone):
        for facet, times, values in _sums_by_day(connection, facets, by, only):
            yield _row(tuple(times[n] if n in times else getattr(facet, n) for n in by), facet, values)
        return
    for times, since, until in _windows(connection, by, only, zone):
        if slow or run is not None or only.mismatched:
            sums = _sums_by_segment(connection, slow, run, since, until, mismatched=only.mismatched)
        else:
            sums = _sums_by_facet(connection, facets, since, until)
        for number, about, values in sums:
            facet = facets.get(number)
            if facet is not None and all((about.get(name) or "") in each for name, each in wanted.items()):
                known = about | times
                yield _row(tuple(known[n] if n in known else getattr(facet, n, None) for n in by), facet, values)


_Sums = Iterator[tuple[int, dict[str, str | None], Sequence[Any]]]
"""The number of a facet, what else the calls have in common, and the values of _SUMS."""


def _row(group: tuple[str | None, ...], facet: Facet, values: Sequence[Any]) -> Row:
    calls, covered, first, quotient, remainder, *tokens = values
    counts = dict(zip(TOKEN_FIELDS, (each or 0 for each in tokens), strict=True))
    unpriced = facet.cost_status == "unpriced"
    return Row(
        group=group,
        first=first,
        calls=calls,
        covered=covered,
        priced=calls if facet.cost_status == "priced" else 0,
        stated=calls if facet.cost_status == "priced" and facet.cost_source == "provider" else 0,
        unpriced=calls if unpriced else 0,
        no_usage=calls if facet.cost_status == "no_usage" and facet.error is None else 0,
        partial=calls if facet.cost_status == "partial" else 0,
        failed=calls if facet.error is not None else 0,
        unbilled=calls if facet.error is not None and facet.cost_status == "no_usage" else 0,
        cost=None if not covered else quotient * SPLIT + remainder,
        unpriced_input=counts["input"] if unpriced else 0,
        unpriced_output=counts["output"] if unpriced else 0,
        **counts,
    )


def facets_of(connection: sqlite3.Connection, only: Filter) -> dict[int, Facet]:
    """The facets whose calls a filter admits, as far as they know."""
    rows = connection.execute(f"SELECT id, {', '.join(Facet._fields)} FROM facets")  # noqa: S608
    facets = {row[0]: Facet(*row[1:]) for row in rows}
    return {key: facet for key, facet in facets.items() if only.admits(facet)}


_FROM_DAYS = ", ".join(
    ["sum(calls)", "sum(covered)", "min(first)", "sum(cost_quotient)", "sum(cost_remainder)"]
    + [f"sum({name})" for name in TOKEN_FIELDS]
)


def _has_days(connection: sqlite3.Connection, by: Sequence[str], zone: tzinfo) -> bool:
    """Whether the sums of UTC days answer: they are there, and nobody asks for hours or for days elsewhere."""
    if "hour" in by or ("day" in by and str(zone) != "UTC"):
        return False
    return has(connection, "daily")


def has(connection: sqlite3.Connection, name: str) -> bool:
    """Whether the store has this table or index: one that was last written by an earlier version may lack it."""
    return bool(connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (name,)).fetchone())


def _sums_by_day(
    connection: sqlite3.Connection, facets: dict[int, Facet], by: Sequence[str], only: Filter
) -> Iterator[tuple[Facet, dict[str, str | None], Sequence[Any]]]:
    """Whole UTC days from their sums, and the parts of days before and behind them from the calls.

    Facets that end in one row are added up by SQLite; one of them stands for all.
    """
    first, last = -(-only.since // DAY), only.until // DAY
    edges = [(only.since, min(first * DAY, only.until)), (max(last, first) * DAY, only.until)]
    if first > last:  # both ends are within one day
        edges = [(only.since, only.until)]
    alike: dict[tuple[Any, ...], int] = {}
    pairs: list[str] = []
    for number, facet in facets.items():
        key = (*(getattr(facet, n, None) for n in by), facet.cost_status, facet.cost_source, facet.error is None)
        pairs.append(f"({number}, {alike.setdefault(key, number)})")
    if pairs:
        day = "day" if "day" in by else "NULL"
        query = (
            f"WITH alike (facet, one) AS (VALUES {', '.join(pairs)}) SELECT one, {day}, {_FROM_DAYS} FROM daily"  # noqa: S608
            " JOIN alike USING (facet) WHERE day >= ? AND day < ? GROUP BY 1, 2"
        )
        for one, number, *values in connection.execute(query, (first, last)):
            yield facets[one], {"day": None if number is None else _date(number * DAY)}, values
    for since, until in edges:
        if since < until < FOREVER or (until == FOREVER and first > last):
            for facet, _, values in _sums_by_facet(connection, facets, since, until):
                yield facets[facet], {"day": _date(since)}, values


def _date(nanoseconds: int) -> str:
    return datetime.fromtimestamp(nanoseconds // _SECOND, timezone.utc).date().isoformat()


def _sums_by_facet(connection: sqlite3.Connection, facets: Iterable[int], since: int, until: int) -> _Sums:
    """One range of the covering index for each facet: no grouping, no sorting, no look at the table."""
    for facet in facets:
        row = connection.execute(_BY_FACET, (facet, since, until)).fetchone()
        if row[0]:
            yield facet, {}, row


def _sums_by_segment(
    connection: sqlite3.Connection, by: Sequence[str], run: str | None, since: int, until: int, *, mismatched: bool
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
    chosen = f"facet, {segment}, {labels}, {_SUMS}"
    if mismatched:
        if run is None and has(connection, "calls_mismatched"):
            source = "calls INDEXED BY calls_mismatched WHERE"
        source = f"{source} {_MISMATCHED} AND"
    query = f"SELECT {chosen} FROM {source} start >= ? AND start < ? GROUP BY 1, 2, 3"  # noqa: S608
    sums = connection.execute(query, bounds)
    for facet, number, text, *values in sums:
        about = segments.get(number, {})
        known = about | texts(text) | {name: about.get(name) for name in SEGMENT_COLUMNS}
        yield facet, {name: known.get(name) for name in by}, values


def _windows(
    connection: sqlite3.Connection, by: Sequence[str], only: Filter, zone: tzinfo
) -> Iterator[tuple[dict[str, str | None], int, int]]:
    """(day and hour, bounds) of the stretches of time that have calls; those without are jumped over."""
    if not set(by) & set(TIMES):
        yield {}, only.since, only.until
        return
    at = only.since
    while at < only.until:
        (first,) = connection.execute("SELECT min(start) FROM calls WHERE start >= ?", (at,)).fetchone()
        if first is None or first >= only.until:
            return
        moment = datetime.fromtimestamp(first // _SECOND, zone)
        # The next midnight, not 24 hours on: days have 23 or 25 hours when the clocks change.
        end = int(datetime.combine(moment.date() + timedelta(days=1), time(), zone).timestamp())
        times: dict[str, str | None] = {"day": moment.date().isoformat()}
        if "hour" in by:
            whole = first // _SECOND - moment.minute * 60 - moment.second
            end = min(end, whole + 3600)
            times["hour"] = datetime.fromtimestamp(whole, zone).isoformat(timespec="minutes")
        at = min(max(end * _SECOND, first + 1), only.until)
        yield times, first, at


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
    facets = facets_of(connection, only)
    if only.run is None and only.trace is None and not only.mismatched and not only.slow():
        # The newest of each facet, then the newest of these: quick however rare the wanted calls are.
        newest = heapq.nlargest(limit, _newest(connection, facets, limit, only))
        condition, values = f"calls.rowid IN ({', '.join(str(rowid) for _, rowid in newest)})", list[Any]()
    else:
        condition, values = _condition(connection, facets, only)
    names = (*VALUE_COLUMNS, "repriced")
    there = columns(connection)
    chosen = ", ".join(f"calls.{name}" if name in there else "NULL" for name in names)
    rows = connection.execute(
        f"SELECT calls.id, facet, run, service, segments.prices, {chosen} FROM calls"  # noqa: S608
        f" JOIN segments ON segments.id = segment WHERE {condition}"
        " ORDER BY start DESC, calls.rowid DESC LIMIT ?",
        (*values, limit),
    )
    return [
        _record(facets[facet], key, run, service, prices, dict(zip(names, rest, strict=True)))
        for key, facet, run, service, prices, *rest in rows
    ]


def amounts(connection: sqlite3.Connection, only: Filter, *names: str) -> Iterator[tuple[Any, ...]]:
    """One tuple for each call, in no order: its rowid, its facet, then the columns of these names; see `Store.each`."""
    facets = facets_of(connection, only)
    there = columns(connection)
    chosen = ", ".join(f"calls.{name}" if name in there else "NULL" for name in names)
    if only == Filter():
        source, values = "calls NOT INDEXED", list[Any]()
    else:
        condition, values = _condition(connection, facets, only)
        source = f"calls JOIN segments ON segments.id = segment WHERE {condition}"
    rows = connection.execute(f"SELECT calls.rowid, facet, {chosen} FROM {source}", values)  # noqa: S608
    for number, facet, *rest in rows:
        if facet in facets:
            yield (number, facets[facet], *rest)


def _condition(connection: sqlite3.Connection, facets: Iterable[int], only: Filter) -> tuple[str, list[Any]]:
    """The SQL for what a filter admits, over calls joined with their segments, and its values."""
    parts = ["start >= ? AND start < ?", f"facet IN ({', '.join(map(str, facets))})"]
    bound: list[Any] = [only.since, only.until]
    if only.run is not None:
        parts.append("run = ?")
        bound.append(last_run(connection) if only.run == "last" else only.run)
    for name, wanted in only.slow().items():
        column, path = name, list[Any]()
        if name not in SEGMENT_COLUMNS:
            column = "coalesce(json_extract(calls.labels, ?), json_extract(segments.resource, ?), '')"
            path = ['$."' + name.replace('"', "") + '"'] * 2
        parts.append(f"coalesce({column}, '') IN ({', '.join('?' * len(wanted))})")
        bound += [*path, *wanted]
    if only.trace is not None:
        parts.append("calls.trace = ?")
        bound.append(bytes.fromhex(only.trace))
    if only.mismatched:
        parts.append(_MISMATCHED)
    return " AND ".join(parts), bound


def _newest(
    connection: sqlite3.Connection, facets: Iterable[int], limit: int, only: Filter
) -> Iterator[tuple[int, int]]:
    condition = "facet = ? AND start >= ? AND start < ?"
    query = f"SELECT start, rowid FROM {_COSTS} WHERE {condition} ORDER BY start DESC LIMIT ?"  # noqa: S608
    for facet in facets:
        yield from connection.execute(query, (facet, only.since, only.until, limit))


def _record(
    facet: Facet, key: bytes, run: str | None, service: str | None, prices: str | None, values: dict[str, Any]
) -> Record:
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
        tier=values["tier"],
        prices=values["repriced"] or prices,
        run=run,
        service=service,
    )


def texts(column: str | None) -> dict[str, str]:
    """The texts in a column of names and values."""
    return {name: value for name, value in json.loads(column or "{}").items() if isinstance(value, str)}
