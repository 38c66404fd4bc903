"""The report as data: what `costs --json` prints and `hexr_instrument.costs()` returns."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from ..config import default_store
from ..store import COLUMNS, Filter, Row, Store, fold
from . import Options, Selection, UsageError, chosen, covered, iso, take_in
from .money import exact

TREE = ("agent", "tenant", "role", "model")
"""The groups of the tree."""
FIELDS = (
    "calls",
    "covered",
    "priced",
    "stated",
    "unpriced",
    "no_usage",
    "partial",
    "failed",
    "input",
    "output",
    "cache_read",
    "cache_write",
    "reasoning",
)
"""The counts of a row in JSON and CSV, beside its groups and its cost."""
KINDS = ("priced", "custom", "stated", "partial", "unpriced", "no_usage", "failed")
"""How the cost of a call is known or not; each call is of one kind.

By the shipped table; by the user's own prices; stated by the provider; a lower bound; unknown price; unknown usage;
failed without any usage.
"""
_KINDS_BY = ("cost_status", "cost_source", "error")


@dataclass(frozen=True, slots=True)
class CostRow:
    """The sums of one group of calls."""

    group: dict[str, str | None]
    """Name of the group -> its value; None is unknown."""
    cost: int | None
    """In 1e-12 USD, exact; None if the cost of none of the calls is known."""
    calls: int
    covered: int
    """Calls whose cost is in the sum."""
    priced: int
    stated: int
    """Of the priced ones, those whose cost the provider itself stated."""
    unpriced: int
    no_usage: int
    partial: int
    failed: int
    input: int
    """Tokens, of all calls."""
    output: int
    cache_read: int
    cache_write: int
    reasoning: int

    @property
    def cost_usd(self) -> Decimal | None:
        """The cost in USD, exact; None if unknown."""
        return None if self.cost is None else Decimal(exact(self.cost))

    def as_dict(self) -> dict[str, Any]:
        """The row as JSON has it."""
        cost = {"cost_usd": None if self.cost is None else exact(self.cost), "cost": self.cost}
        return self.group | cost | {name: getattr(self, name) for name in FIELDS}


@dataclass(frozen=True, slots=True)
class CostReport:
    """What was spent, and what the sum does not cover. Times are ISO 8601 in UTC."""

    total: CostRow
    rows: tuple[CostRow, ...]
    """The most expensive first, or in the order of time where that is among the groups."""
    by: tuple[str, ...]
    since: str | None
    until: str | None
    covers_since: str | None
    """Calls before this time were removed; None if none ever were."""
    kinds: tuple[CostRow, ...]
    """The same calls by how their cost is known: `priced`, `custom`, `stated`, `partial`, `unpriced`, `no_usage`,
    `failed`; each call is in one of them."""
    coverage: float | None
    """The share of billed calls that the total covers, 0 to 1; None if there are none."""
    mismatched: int
    """Calls whose counts do not add up to the provider's own total."""
    unpriced: tuple[CostRow, ...]
    """The models without a price."""
    prices: tuple[str, ...]
    """The price tables by which the calls were priced."""
    skipped_lines: int
    hidden: int = 0
    """Groups that `top` left out of `rows`; the total has them."""

    @property
    def cost_usd(self) -> Decimal | None:
        """The total in USD, exact; None if no cost is known."""
        return self.total.cost_usd

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON has it."""
        return {
            "total": self.total.as_dict(),
            "rows": [row.as_dict() for row in self.rows],
            "by": list(self.by),
            "since": self.since,
            "until": self.until,
            "covers_since": self.covers_since,
            "kinds": [row.as_dict() for row in self.kinds],
            "coverage": self.coverage,
            "mismatched": self.mismatched,
            "unpriced": [
                {"model": row.group["model"], "calls": row.unpriced, "input": row.input, "output": row.output}
                for row in self.unpriced
            ],
            "prices": list(self.prices),
            "skipped_lines": self.skipped_lines,
            "hidden": self.hidden,
        }


def costs(
    by: Sequence[str] | str = TREE,
    *,
    since: str | None = None,
    until: str | None = None,
    tz: str | None = None,
    run: str | None = None,
    agent: str | Sequence[str] = (),
    tenant: str | Sequence[str] = (),
    role: str | Sequence[str] = (),
    provider: str | Sequence[str] = (),
    model: str | Sequence[str] = (),
    status: str | Sequence[str] = (),
    where: Sequence[str] = (),
    top: int | None = None,
    store: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
) -> CostReport:
    """What was spent, as `hexr-instrument costs` reports it: for notebooks and for CI.

    Example:
        ```python
        report = hexr_instrument.costs(by="tenant,model", since="7d")
        for row in report.rows:
            print(row.group["tenant"], row.group["model"], row.cost_usd, row.calls)
        ```

    Args:
        by: Groups: agent, tenant, role, provider, model, day, hour, ..., or names of labels.
        since: Only calls from then on: an age such as `24h`, or an ISO date.
        until: Only calls before then.
        tz: The zone of days and dates; UTC by default.
        run: Only calls of this run; `last` is the one that started last.
        agent: Only these agents; "" is a call without one.
        tenant: Only these tenants.
        role: Only these roles.
        provider: Only these providers.
        model: Only these models.
        status: Only calls whose cost is so known: `priced`, `stated`, `custom`, `unpriced`, `no_usage`, `partial`, `failed`,
            `mismatched`.
        where: Only calls with this value of a column or label: `team=search`.
        top: Only the most expensive groups, as many as this.
        store: The store's directory, or several; the default one if not given.

    Returns:
        The report; amounts are exact.

    Raises:
        ValueError: an argument cannot be used; the message says what would do.
        OSError: the store cannot be read.
    """
    names = tuple(name.strip() for name in by.split(",")) if isinstance(by, str) else tuple(by)
    options = Options(
        since=since,
        until=until,
        tz=tz,
        run=run,
        agent=_several(agent),
        tenant=_several(tenant),
        role=_several(role),
        provider=_several(provider),
        model=_several(model),
        status=_several(status),
        where=tuple(where),
    )
    paths = (store,) if isinstance(store, str | os.PathLike) else tuple(store)
    stores = [Store(Path(path)) for path in paths] or [Store(default_store(os.environ))]
    for each in stores:
        take_in(each, "costs")
    return gather(stores, checked(names), chosen(options), top)[1]


def _several(value: str | Sequence[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def checked(names: Sequence[str]) -> tuple[str, ...]:
    """The groups, each once.

    Raises:
        UsageError: one of them is no group.
    """
    for name in names:
        if not name:
            raise UsageError(f"--by: {','.join(names)!r} has an empty name; use names such as {','.join(TREE)}")
        if name in (*FIELDS, "cost", "cost_usd"):
            raise UsageError(f"--by: {name} is a sum, not a group; use {', '.join(COLUMNS)}, or the name of a label")
    return tuple(dict.fromkeys(names))


def gather(
    stores: Sequence[Store], by: Sequence[str], selection: Selection, top: int | None = None
) -> tuple[Sums, CostReport]:
    """The report on these stores, as sums and as data.

    Args:
        stores: Where the calls are.
        by: The groups, as `checked` gives them.
        selection: Which calls count.
        top: How many groups at most; all by default.

    Raises:
        UsageError: a group is neither a column nor a label of any of the calls.
        StoreError: a store cannot be read.
    """
    only = selection.only
    found = [row for store in stores for row in store.costs(by, only, zone=selection.zone)]
    rows = fold(found, lambda group: group) if len(stores) > 1 else found
    _check_labels(by, rows)
    for name in ("hour", "day"):
        if name in by:
            at = by.index(name)
            rows.sort(key=lambda row: row.group[at] or "")
    apart = [row for store in stores for row in store.costs(("model", *_KINDS_BY), only)]
    kinds = fold(apart, lambda group: (_kind(*group[1:]),))
    models = [row for row in fold(apart, lambda group: group[:2]) if row.group[1] == "unpriced"]
    states = [store.state() for store in stores]
    total = next(iter(fold(rows, lambda _: ())), Row(group=(), first=0, cost=0))
    billed = total.calls - total.unbilled
    shown = rows if top is None else sorted(rows, key=lambda row: -(row.cost or 0))[:top]
    others = fold([row for row in rows if row not in shown], lambda _: ()) if len(shown) < len(rows) else []
    kinds.sort(key=lambda row: KINDS.index(row.group[0] or ""))
    models.sort(key=lambda row: (-row.calls, row.group[0] or ""))
    report = CostReport(
        total=_row((), total),
        rows=tuple(_row(by, row) for row in shown),
        by=tuple(by),
        since=iso(only.since) if only.since else None,
        until=iso(only.until) if only.until != Filter().until else None,
        covers_since=iso(covered(stores)),
        kinds=tuple(_row(("kind",), row) for row in kinds),
        coverage=total.covered / billed if billed else None,
        mismatched=sum(store.mismatched(only) for store in stores),
        unpriced=tuple(_row(("model",), row) for row in models),
        prices=tuple(sorted({table for state in states for table in state.prices})),
        skipped_lines=sum(state.skipped for state in states),
        hidden=len(rows) - len(shown),
    )
    return Sums(shown, others, total, kinds, models), report


@dataclass(frozen=True, slots=True)
class Sums:
    """What a report prints, as the store has it."""

    rows: list[Row]
    others: list[Row]
    """The groups that `top` left out, as one; empty if there are none."""
    total: Row
    kinds: list[Row]
    models: list[Row]
    """The unpriced models."""


def _kind(status: str | None, source: str | None, error: str | None) -> str:
    if status == "priced":
        return {"provider": "stated", "custom": "custom"}.get(source or "", "priced")
    return "failed" if status == "no_usage" and error is not None else status or ""


def _check_labels(by: Sequence[str], rows: Sequence[Row]) -> None:
    """A misspelt group must not look like calls of which nothing is known."""
    for at, name in enumerate(by):
        if name not in COLUMNS and rows and all(row.group[at] is None for row in rows):
            raise UsageError(f"--by: no call has a label {name!r}; the groups are {', '.join(COLUMNS)}, and labels")


def _row(by: Sequence[str], row: Row) -> CostRow:
    values = {name: getattr(row, name) for name in FIELDS}
    return CostRow(group=dict(zip(by, row.group, strict=False)), cost=row.cost, **values)
