"""`costs --compare`: models side by side, for one agent or role or for whatever else was chosen."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, TextIO

from ..call import USD
from ..store import Facet, Row, Store, fold
from . import Selection, plain, tokens
from .money import exact
from .table import as_csv, table
from .tree import percent

FIELDS = (
    "calls",
    "p50_ms",
    "p95_ms",
    "input",
    "output",
    "cost_usd",
    "cost_per_call_usd",
    "cost_per_1k_output_usd",
    "error_rate",
)
_PLACES = 8
"""Decimals of a quotient of amounts; sums are exact."""
_SHORT = Decimal("0.0001")
"""Quotients from here on are shown to six decimals."""


def gather(stores: Sequence[Store], selection: Selection) -> list[dict[str, Any]]:
    """One object for each provider and model, those with most calls first; None is unknown.

    Latency is that of the calls that succeeded, by nearest rank; costs are of the calls whose cost is known (and their
    output tokens); the error rate is of all calls.
    """
    by = ("provider", "model", "cost_status")
    found = fold([row for store in stores for row in store.costs(by, selection.only)], lambda group: group)
    groups: dict[tuple[str | None, ...], list[Row]] = {}
    for row in found:
        groups.setdefault(row.group[:2], []).append(row)
    durations: dict[tuple[str | None, ...], array[int]] = {}
    for store in stores:
        for _, facet, duration in store.each(selection.only, "duration"):
            if duration is not None and facet.error is None:
                durations.setdefault(_group(facet), array("q")).append(duration)
    rows = [_row(group, rows, sorted(durations.get(group, ()))) for group, rows in groups.items()]
    return sorted(rows, key=lambda row: (-row["calls"], row["provider"] or "", row["model"] or ""))


def _group(facet: Facet) -> tuple[str | None, ...]:
    return facet.provider, facet.model


def _row(group: tuple[str | None, ...], rows: Sequence[Row], durations: Sequence[int]) -> dict[str, Any]:
    (whole,) = fold(rows, lambda _: ())
    # A row is of one status: either all of its calls have a cost, or (partial ones apart) none.
    known = [row for row in rows if row.covered == row.calls]
    output = sum(row.output for row in known)
    cost = sum(row.cost or 0 for row in known)
    return {
        "provider": group[0],
        "model": group[1],
        "calls": whole.calls,
        "p50_ms": _rank(durations, 50),
        "p95_ms": _rank(durations, 95),
        "input": whole.input,
        "output": whole.output,
        "cost_usd": None if whole.cost is None else exact(whole.cost),
        "cost_per_call_usd": _quotient(whole.cost, whole.covered),
        "cost_per_1k_output_usd": _quotient(cost * 1000, output) if known else None,
        "error_rate": whole.failed / whole.calls,
    }


def _rank(durations: Sequence[int], percentile: int) -> float | None:
    """The nearest-rank percentile in milliseconds."""
    return durations[-(-len(durations) * percentile // 100) - 1] / 1e6 if durations else None


def _quotient(amount: int | None, count: int) -> str | None:
    if amount is None or not count:
        return None
    unit = USD // 10**_PLACES
    return exact(round(amount / (count * unit)) * unit)


def lines(rows: Sequence[dict[str, Any]], stdout: TextIO, *, colours: bool) -> list[str]:
    """The table."""
    cells = [
        [
            f"{plain(row['provider'])} {plain(row['model'])}",
            f"{row['calls']:,}",
            _time(row["p50_ms"]),
            _time(row["p95_ms"]),
            tokens(row["input"], row["output"]),
            _dollars(row["cost_per_call_usd"]),
            _dollars(row["cost_per_1k_output_usd"]),
            percent(row["error_rate"]),
        ]
        for row in rows
    ]
    numbers = ("calls", "p50", "p95", "tokens in/out", "$/call", "$/1k output", "errors")
    return table(["model"], numbers, cells, stdout, colours=colours)


def csv_lines(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The same as CSV."""
    header = ("provider", "model", *FIELDS)
    return as_csv(header, [["" if row[name] is None else str(row[name]) for name in header] for row in rows], 2)


def _time(milliseconds: float | None) -> str:
    if milliseconds is None:
        return "-"
    return f"{milliseconds:.0f}ms" if milliseconds < 1000 else f"{milliseconds / 1000:.2f}s"


def _dollars(amount: str | None) -> str:
    if amount is None:
        return "-"
    known = Decimal(amount)
    return f"${exact(int(round(known, 6) * USD)) if known >= _SHORT else amount}"
