"""`costs --verify`: the same calls added up in three ways, which must agree."""

from __future__ import annotations

from collections.abc import Sequence
from operator import add
from typing import Any

from ..store import Row, Store
from . import Selection
from .money import exact
from .tree import counted

_SUMS = ("calls", "covered", "cost", "input", "output", "cache_read", "cache_write", "reasoning")
_LEAVES = ("agent", "tenant", "role", "provider", "model", "cost_status", "cost_source", "error")


def gather(stores: Sequence[Store], selection: Selection) -> dict[str, Any]:
    """The sums of the leaves, of the days and of the single calls, and whether they are the same.

    The leaves and days are what reports print, from the sums that the store keeps; the calls are read one by one.
    """
    only = selection.only
    ways = {
        "leaves": _of([row for store in stores for row in store.costs(_LEAVES, only, zone=selection.zone)]),
        "days": _of([row for store in stores for row in store.costs(("day",), only, zone=selection.zone)]),
        "total": _of([row for store in stores for row in store.costs((), only, zone=selection.zone)]),
        "calls": _one_by_one(stores, selection),
    }
    same = len(set(ways.values())) == 1
    return {name: dict(zip(_SUMS, sums, strict=True)) for name, sums in ways.items()} | {"same": same}


def _of(rows: Sequence[Row]) -> tuple[int, ...]:
    return tuple(sum(getattr(row, name) or 0 for row in rows) for name in _SUMS)


def _one_by_one(stores: Sequence[Store], selection: Selection) -> tuple[int, ...]:
    sums = [0] * len(_SUMS)
    for store in stores:
        for _, _, cost, *tokens in store.each(selection.only, "cost", *_SUMS[3:]):
            sums = list(map(add, sums, (1, cost is not None, cost or 0, *(each or 0 for each in tokens))))
    return tuple(sums)


def lines(found: dict[str, Any]) -> list[str]:
    """What was compared, and the verdict."""
    shown = [
        f"{name:<8} {counted(sums['calls'], 'call')}, ${exact(sums['cost'])}, {sums['input']:,} tokens in,"
        f" {sums['output']:,} out, {sums['cache_read']:,} read and {sums['cache_write']:,} written in caches,"
        f" {sums['reasoning']:,} reasoning"
        for name, sums in found.items()
        if name != "same"
    ]
    verdict = (
        "Verified: they are the same" if found["same"] else "Different: the store's sums are not those of its calls"
    )
    return [*shown, "", verdict]
