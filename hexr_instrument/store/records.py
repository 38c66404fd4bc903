"""Single calls, as reports ask the store for them."""

from __future__ import annotations

import heapq
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .file import columns
from .filter import COSTS, MISMATCHED, SEGMENT_COLUMNS, Filter, facets_of, last_run
from .lines import TOKEN_FIELDS, VALUE_COLUMNS, Facet, texts


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


def records(connection: sqlite3.Connection, limit: int, only: Filter) -> list[Record]:
    """The newest calls, the newest first; see `Store.calls`."""
    facets = facets_of(connection, only)
    if only.run is None and only.trace is None and not only.mismatched and not only.slow():
        # The newest of each facet, then the newest of these: quick however rare the wanted calls are.
        found = heapq.nlargest(limit, _newest(connection, facets, limit, only))
        condition, values = f"calls.rowid IN ({', '.join(str(rowid) for _, rowid in found)})", list[Any]()
    else:
        condition, values = _condition(connection, facets, only)
    return _read(connection, facets, f"{condition} ORDER BY start DESC, calls.rowid DESC LIMIT ?", (*values, limit))


def newest(connection: sqlite3.Connection) -> str | None:
    """The id of the call that was taken in last; None where there is none."""
    row = connection.execute("SELECT id FROM calls ORDER BY rowid DESC LIMIT 1").fetchone()
    return row[0].hex() if row else None


def later(connection: sqlite3.Connection, mark: str | None, only: Filter) -> list[Record]:
    """The calls that were taken in after the one with the id `mark`, in that order; see `Store.later`."""
    row = None if mark is None else connection.execute("SELECT rowid FROM calls WHERE id = ?", (bytes.fromhex(mark),))
    row = (0,) if row is None else row.fetchone()
    if row is None:  # it was removed: the next call is asked for with a new mark
        return []
    facets = facets_of(connection, only)
    condition, values = _condition(connection, facets, only)
    # From the mark on, and by no index: what is new is little, whatever the filter says.
    calls = "calls NOT INDEXED CROSS JOIN"
    return _read(connection, facets, f"{condition} AND calls.rowid > ? ORDER BY calls.rowid", (*values, row[0]), calls)


def _read(
    connection: sqlite3.Connection,
    facets: Mapping[int, Facet],
    condition: str,
    values: Sequence[Any],
    calls: str = "calls JOIN",
) -> list[Record]:
    names = (*VALUE_COLUMNS, "repriced")
    there = columns(connection)
    chosen = ", ".join(f"calls.{name}" if name in there else "NULL" for name in names)
    rows = connection.execute(
        f"SELECT calls.id, facet, run, service, segments.prices, {chosen} FROM {calls}"  # noqa: S608
        f" segments ON segments.id = segment WHERE {condition}",
        values,
    )
    return [
        _record(facets[facet], key, run, service, prices, dict(zip(names, rest, strict=True)))
        for key, facet, run, service, prices, *rest in rows
    ]


def amounts(connection: sqlite3.Connection, only: Filter, *names: str) -> Iterator[tuple[Any, ...]]:
    """One tuple for each call, in no order: its rowid, its facet, then the columns of these names; see `Store.each`."""
    facets = facets_of(connection, only)
    there = columns(connection)
    chosen = ", ".join(["calls.rowid", "facet", *(f"calls.{name}" if name in there else "NULL" for name in names)])
    if only == Filter():
        source, values = "calls NOT INDEXED", list[Any]()
    else:
        condition, values = _condition(connection, facets, only)
        source = f"calls JOIN segments ON segments.id = segment WHERE {condition}"
    rows = connection.execute(f"SELECT {chosen} FROM {source}", values)  # noqa: S608
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
        parts.append(MISMATCHED)
    return " AND ".join(parts), bound


def _newest(
    connection: sqlite3.Connection, facets: Iterable[int], limit: int, only: Filter
) -> Iterator[tuple[int, int]]:
    condition = "facet = ? AND start >= ? AND start < ?"
    query = f"SELECT start, rowid FROM {COSTS} WHERE {condition} ORDER BY start DESC LIMIT ?"  # noqa: S608
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
