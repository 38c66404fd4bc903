"""`costs --diff 24h`: what changed against the span before, split into parts that add up to the change exactly.

The split of one group goes step by step from the earlier span to the later one, and what a step adds is its part:

1. calls: all of its models are called as much more (or less) as the group is.
2. models: the calls move to the later span's shares of models; one that is new comes at its own cost per call.
3. tokens: each model's calls get the later span's input and output tokens, at the earlier share of cached ones.
4. cache: the share of cached tokens in the input becomes that of the later span.
5. price: what is left. A price that changed, another tier, calls that were unpriced before, and whatever else costs.

Steps 3 and 4 weigh tokens by the price table's prices at the earlier span's end, scaled so that they give what the
calls of that span really cost: a discount or a stated cost stays in. A model without prices there has no such weights;
its whole change per call is in the last part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, TextIO

from .. import pricing
from ..call import Usage
from ..store import Row, Store, fold
from . import Selection, iso, plain
from .money import USD_DIGITS, decimals, dollars, exact
from .table import as_csv, table

PARTS = ("calls", "models", "tokens", "cache", "price")
GROUPS = ("agent", "tenant", "role", "provider", "model")
_NOTHING = Row(group=(), first=0)


@dataclass(frozen=True, slots=True)
class Difference:
    """How the cost of one group changed; amounts are 1e-12 USD, and `parts` add up to `after - before`."""

    group: tuple[str | None, ...]
    before: int
    after: int
    calls_before: int
    calls_after: int
    parts: dict[str, int]

    @property
    def change(self) -> int:
        """What it costs more (or less) now."""
        return self.after - self.before


def gather(
    stores: Sequence[Store], by: Sequence[str], selection: Selection, span: int, end: int
) -> tuple[list[Difference], dict[str, str | None]]:
    """What changed in the span until `end` against the span of the same length before it.

    Args:
        stores: Where the calls are.
        by: The groups.
        selection: Which calls count; its times do not.
        span: In nanoseconds.
        end: Nanoseconds since the epoch.

    Returns:
        The groups, the largest change first, and the bounds of both spans.
    """
    middle, start = end - span, end - 2 * span
    before = _rows(stores, by, selection, start, middle)
    after = _rows(stores, by, selection, middle, end)
    found = [
        _difference(group, before.get(group, {}), after.get(group, {}), middle)
        for group in dict.fromkeys([*before, *after])
    ]
    found.sort(key=lambda each: (-abs(each.change), [name or "" for name in each.group]))
    return found, {"from": iso(start), "middle": iso(middle), "to": iso(end)}


_Models = Mapping[tuple[str | None, ...], Row]
"""(provider, model) -> the sums of its calls."""


def _rows(
    stores: Sequence[Store], by: Sequence[str], selection: Selection, since: int, until: int
) -> Mapping[tuple[str | None, ...], _Models]:
    only = replace(selection.only, since=since, until=until)
    finest = (*by, "provider", "model")
    rows = [row for store in stores for row in store.costs(finest, only, zone=selection.zone)]
    groups: dict[tuple[str | None, ...], dict[tuple[str | None, ...], Row]] = {}
    for row in fold(rows, lambda group: group):
        groups.setdefault(row.group[: len(by)], {})[row.group[len(by) :]] = row
    return groups


def _difference(group: tuple[str | None, ...], before: _Models, after: _Models, when: int) -> Difference:
    old, new = sum(row.calls for row in before.values()), sum(row.calls for row in after.values())
    spent, spends = (sum(row.cost or 0 for row in rows.values()) for rows in (before, after))
    steps = dict.fromkeys(PARTS, Fraction(0))
    steps["calls"] = Fraction(spent) * (new - old) / old if old else Fraction(spends)
    if old and new:
        for model in dict.fromkeys([*before, *after]):
            was, now = before.get(model, _NOTHING), after.get(model, _NOTHING)
            each = Fraction(was.cost or 0, was.calls) if was.calls else Fraction(now.cost or 0, now.calls)
            steps["models"] += (now.calls - Fraction(was.calls * new, old)) * each
            if was.calls and now.calls:
                tokens, cache = _per_call(model, was, now, when)
                steps["tokens"] += now.calls * tokens
                steps["cache"] += now.calls * cache
    parts = {name: round(steps[name]) for name in PARTS[:-1]}
    parts["price"] = spends - spent - sum(parts.values())
    return Difference(group, spent, spends, old, new, parts)


def _per_call(model: tuple[str | None, ...], was: Row, now: Row, when: int) -> tuple[Fraction, Fraction]:
    """What the later span's tokens, and then its share of cached ones, add to the cost of one call."""
    provider, name = model
    listed = pricing.explain(Usage(input=0, output=0), provider or "", name, when)
    prices = {each.unit: Fraction(each.price) / each.per for each in listed.buckets}
    if "input" not in prices or not was.cost:
        return Fraction(0), Fraction(0)
    fresh, made = prices["input"], prices.get("output", Fraction(0))
    cached = prices.get("cache_read", fresh)

    def cost(source: Row, share: Fraction) -> Fraction:
        put, got = Fraction(source.input, source.calls), Fraction(source.output, source.calls)
        return put * (1 - share) * fresh + put * share * cached + got * made

    before, after = (Fraction(row.cache_read, row.input) if row.input else Fraction(0) for row in (was, now))
    listed_cost = cost(was, before)
    if not listed_cost:
        return Fraction(0), Fraction(0)
    scale = Fraction(was.cost, was.calls) / listed_cost
    return (cost(now, before) - listed_cost) * scale, (cost(now, after) - cost(now, before)) * scale


def lines(by: Sequence[str], found: Sequence[Difference], stdout: TextIO, *, colours: bool) -> list[str]:
    """The table and the sum; printed parts add up to the printed change of their line."""
    places = decimals([abs(each.change) for each in found if each.change]) if found else 2
    places = max(2, min(places, 6))
    whole = _whole(found)
    cells = [[*map(plain, each.group), *_cells(each, places)] for each in [*found]]
    total = ["Total", *[""] * (len(by) - 1), *_cells(whole, places)]
    return table(by, ["before", "after", "change", *PARTS], [*cells, total], stdout, colours=colours)


def _whole(found: Sequence[Difference]) -> Difference:
    return Difference(
        (),
        sum(each.before for each in found),
        sum(each.after for each in found),
        sum(each.calls_before for each in found),
        sum(each.calls_after for each in found),
        {name: sum(each.parts[name] for each in found) for name in PARTS},
    )


def _cells(each: Difference, places: int) -> list[str]:
    unit = 10 ** (USD_DIGITS - places)
    before, after = _rounded(each.before, unit), _rounded(each.after, unit)
    parts = [_rounded(each.parts[name], unit) for name in PARTS]
    # What rounding leaves goes to the largest part.
    largest = max(range(len(parts)), key=lambda at: abs(parts[at]))
    parts[largest] += after - before - sum(parts)
    signed = [f"{'+' if part > 0 else ''}{dollars(part, places)}" for part in (after - before, *parts)]
    return [dollars(before, places), dollars(after, places), *signed]


def _rounded(amount: int, unit: int) -> int:
    return (amount + unit // 2) // unit


def csv_lines(by: Sequence[str], found: Sequence[Difference]) -> list[str]:
    """The same as CSV."""
    header = [*by, "calls_before", "calls_after", "before_usd", "after_usd", "change_usd", *(f"{n}_usd" for n in PARTS)]
    rows = [
        [
            *("" if name is None else plain(name) for name in each.group),
            str(each.calls_before),
            str(each.calls_after),
            *map(exact, (each.before, each.after, each.change, *(each.parts[name] for name in PARTS))),
        ]
        for each in found
    ]
    return as_csv(header, rows, len(by))


def as_data(by: Sequence[str], found: Sequence[Difference], bounds: dict[str, str | None]) -> dict[str, Any]:
    """The same for JSON: exact decimals."""

    def one(each: Difference) -> dict[str, Any]:
        return {
            "calls_before": each.calls_before,
            "calls_after": each.calls_after,
            "before_usd": exact(each.before),
            "after_usd": exact(each.after),
            "change_usd": exact(each.change),
            "parts_usd": {name: exact(each.parts[name]) for name in PARTS},
        }

    rows = [dict(zip(by, each.group, strict=True)) | one(each) for each in found]
    return {"total": one(_whole(found)), "rows": rows, "by": list(by), **bounds}
