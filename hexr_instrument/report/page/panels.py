"""What the page shows, as data: the same sums as `costs --json`, and what they are over time."""

from __future__ import annotations

import time
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from ...store import Filter, Row, Store, fold
from .. import Options, Selection, UsageError, chosen, iso
from ..calls import as_data
from ..data import TREE, gather
from ..money import exact

_SECOND = 10**9
_DAY = 86400 * _SECOND
STEPS = tuple(seconds * _SECOND for seconds in (60, 300, 900, 3600, 3 * 3600, 86400, 7 * 86400, 28 * 86400))
"""Lengths of the steps that a chart may have, in nanoseconds."""
POINTS = 100
"""How many steps a chart has at most."""
PERCENTILES = (50, 95, 99)
NAMES = ("tenant", "agent", "role", "provider", "model")
"""What calls can be filtered by; also the order of the filters on the page."""
PAGE_OF_CALLS = 50
WATERFALL = 500
"""How many calls of one trace are shown at most."""

Query = Mapping[str, Sequence[str]]
"""The query of a URL, as `urllib.parse.parse_qs` reads it."""


def names(stores: Sequence[Store]) -> dict[str, list[str]]:
    """Every tenant, agent, role, provider and model in the stores; "" stands for unknown."""
    rows = [row for store in stores for row in store.costs(NAMES)]
    return {name: sorted({row.group[at] or "" for row in rows}) for at, name in enumerate(NAMES)}


def selection_of(query: Query, now: int | None = None) -> Selection:
    """Which calls a URL asks for.

    Args:
        query: `since`, `until`, `tenant`, `agent`, `role`, `provider`, `model`, `trace`.
        now: Nanoseconds since the epoch from which ages count.

    Raises:
        UsageError: one of them cannot be read.
    """
    wanted: dict[str, Any] = {name: tuple(query.get(name, ())) for name in NAMES}
    selection = chosen(Options(since=_one(query, "since"), until=_one(query, "until"), **wanted), now)
    if (identity := _one(query, "trace")) is not None:
        if len(identity) != 32 or not set(identity) <= set("0123456789abcdef"):
            raise UsageError("trace: a trace id has 32 hexadecimal digits")
        return replace(selection, only=replace(selection.only, trace=identity))
    return selection


def _one(query: Query, name: str) -> str | None:
    return query[name][0] if query.get(name) else None


def panels(stores: Sequence[Store], query: Query, now: int | None = None) -> dict[str, Any]:
    """Everything on the page but latencies and single calls.

    The window begins with a whole step, so that each chart and the sums are of the same calls.

    Raises:
        UsageError: a part of the query cannot be read.
        StoreError: a store cannot be read.
    """
    selection, step = _window(stores, selection_of(query, now), now)
    only = selection.only
    points: dict[int, list[int]] = {}
    for store in stores:
        for each in store.timeline(only, step):
            into = points.setdefault(each.start, [0, 0, 0, 0, 0])
            for at, value in enumerate((each.calls, each.failed, each.cost, each.input, each.output)):
                into[at] += value
    _, report = gather(stores, TREE, selection)
    return {
        "report": report.as_dict(),
        "tenants": _groups(stores, only, "tenant"),
        "models": _groups(stores, only, "model"),
        "providers": _groups(stores, only, "provider"),
        "since": iso(only.since),
        "until": iso(min(only.until, _now(now))),
        "step_ms": step // 10**6,
        "points": [
            {
                "start": iso(start),
                "calls": calls,
                "failed": failed,
                "cost_usd": exact(cost),
                "input": given,
                "output": made,
            }
            for start, (calls, failed, cost, given, made) in sorted(points.items())
        ],
    }


def latency(stores: Sequence[Store], query: Query, now: int | None = None) -> dict[str, Any]:
    """Percentiles of the calls that succeeded, by nearest rank, in milliseconds; for each step and for all.

    Raises:
        UsageError: a part of the query cannot be read.
        StoreError: a store cannot be read.
    """
    selection, step = _window(stores, selection_of(query, now), now)
    steps: dict[int, array[int]] = {}
    for store in stores:
        for start, durations in store.latencies(selection.only, step).items():
            steps.setdefault(start, array("q")).extend(durations)
    whole = sorted(value for durations in steps.values() for value in durations)
    return {
        "step_ms": step // 10**6,
        "all": _percentiles(whole),
        "points": [
            {"start": iso(start), **_percentiles(sorted(durations))} for start, durations in sorted(steps.items())
        ],
    }


def calls(stores: Sequence[Store], query: Query) -> dict[str, Any]:
    """The newest calls; or, of one trace, the first ones.

    Raises:
        UsageError: a part of the query cannot be read.
        StoreError: a store cannot be read.
    """
    only = selection_of(query).only
    limit = PAGE_OF_CALLS if only.trace is None else WATERFALL
    found = [record for store in stores for record in store.calls(limit + 1, only)]
    found = sorted(found, key=lambda record: -record.start)
    more = len(found) > limit
    shown = found[:limit]
    # The next page begins with the last start that is shown: calls that start together stay together.
    until = None
    if more and only.trace is None:
        later, earlier = next(
            ((one.start, two.start) for one, two in reversed(list(pairwise(found))) if one.start != two.start),
            (shown[-1].start, shown[-1].start),
        )
        shown = [record for record in shown if record.start >= later]
        until = iso(earlier + 10**6)
    return {"calls": [as_data(record) for record in shown], "more": more, "until": until}


def _window(stores: Sequence[Store], selection: Selection, now: int | None) -> tuple[Selection, int]:
    """The selection from a whole step on, and the length of a step."""
    only = selection.only
    until = min(only.until, _now(now))
    since = only.since
    if since == 0:
        firsts = [row.first for store in stores for row in store.costs((), only)]
        since = min(firsts, default=until - _DAY)
    step = next((each for each in STEPS if (until - since) / each < POINTS), STEPS[-1])
    return replace(selection, only=replace(only, since=since // step * step)), step


def _now(now: int | None) -> int:
    return time.time_ns() if now is None else now


def _groups(stores: Sequence[Store], only: Filter, name: str) -> list[dict[str, Any]]:
    """Calls by one name, the most expensive first."""
    rows: list[Row] = [row for store in stores for row in store.costs((name,), only)]
    return [
        {
            "name": row.group[0],
            "calls": row.calls,
            "failed": row.failed,
            "cost_usd": None if row.cost is None else exact(row.cost),
            "input": row.input,
            "output": row.output,
        }
        for row in fold(rows, lambda group: group)
    ]


def _percentiles(ordered: Sequence[int]) -> dict[str, float | None]:
    count = len(ordered)
    return {f"p{each}": ordered[-(-count * each // 100) - 1] / 1e6 if count else None for each in PERCENTILES} | {
        "calls": count
    }
