"""What reports ask of the store: sums of calls in groups."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, time, timedelta, timezone, tzinfo
from typing import Any

from .file import DAY, SPLIT
from .filter import COSTS, FACET_COLUMNS, FOREVER, MISMATCHED, SEGMENT_COLUMNS, TIMES, Filter, facets_of, last_run
from .lines import TOKEN_FIELDS, Facet, texts
from .rows import Row, fold

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
_BY_FACET = f"SELECT {_SUMS} FROM {COSTS} WHERE facet = ? AND start >= ? AND start < ?"  # noqa: S608


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
        source = f"{source} {MISMATCHED} AND"
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
