"""Prices what is in the store anew. The only thing that ever changes a call that was taken in."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from .filter import Filter
from .lines import TOKEN_FIELDS, Facet
from .records import amounts
from .write import facet_number, transaction

Pricing = Callable[[Facet, dict[str, int], int, "str | None", dict[str, Any]], "tuple[int | None, str | None]"]
"""(facet, usage, start, tier, `parts` and `surcharge` of the record) -> cost in 1e-12 USD and its source, or None twice."""
_BATCH = 5000
"""Calls that one transaction changes; who records waits for no more."""


@dataclass(frozen=True, slots=True)
class Change:
    """What pricing anew does to the calls of one model."""

    provider: str | None
    model: str | None
    calls: int
    """Calls whose cost changes; those that are still without one are not among them."""
    before: int
    """The sum of their known costs in 1e-12 USD."""
    after: int


def reprice(
    connection: sqlite3.Connection, only: Filter, pricing: Pricing, *, everything: bool, table: str, apply: bool
) -> list[Change]:
    """Prices calls anew; see `Store.reprice`."""
    sums: dict[tuple[str | None, str | None], Change] = {}
    batch: list[tuple[int, Facet, int]] = []
    names = ("cost", "start", "tier", "bill", *TOKEN_FIELDS, "usage")
    # The list first: what a statement reads must not be changed under it.
    wanted = [row for row in amounts(connection, only, *names) if _may_change(row[1], row[2], everything=everything)]
    for number, facet, cost, start, tier, bill, *tokens, rest in wanted:
        usage = {name: count for name, count in zip(TOKEN_FIELDS, tokens, strict=True) if count is not None}
        found, source = pricing(facet, usage | json.loads(rest or "{}"), start, tier, json.loads(bill or "{}"))
        if found is None or found == cost:
            continue  # a known cost never becomes an unknown one
        key = (facet.provider, facet.model)
        so_far = sums.get(key) or Change(*key, 0, 0, 0)
        sums[key] = replace(
            so_far, calls=so_far.calls + 1, before=so_far.before + (cost or 0), after=so_far.after + found
        )
        status = "partial" if facet.cost_status == "partial" else "priced"
        batch.append((number, facet._replace(cost_status=status, cost_source=source), found))
        if apply and len(batch) == _BATCH:
            _write(connection, batch, table)
            batch.clear()
    if apply:
        _write(connection, batch, table)
    return sorted(sums.values(), key=lambda change: (-abs(change.after - change.before), change.model or ""))


def _may_change(facet: Facet, cost: Any, *, everything: bool) -> bool:
    if facet.cost_source == "provider" or facet.cost_status == "no_usage":
        return False
    return everything or cost is None


def _write(connection: sqlite3.Connection, batch: list[tuple[int, Facet, int]], table: str) -> None:
    numbers: dict[Facet, int | None] = {}
    with transaction(connection):
        for number, facet, cost in batch:
            if facet not in numbers:
                numbers[facet] = facet_number(connection, facet)
            connection.execute(
                "UPDATE calls SET cost = ?, facet = ?, repriced = ? WHERE rowid = ?",
                (cost, numbers[facet], table, number),
            )
