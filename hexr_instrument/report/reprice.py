"""`costs --reprice`: what is stored without a price, priced by the table and the user's prices of today."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from .. import pricing
from ..call import Part, Response, Usage, mapping, number, pick, sequence, text
from ..store import Change, Facet, Store
from . import Selection, plain
from .money import apportion, decimals, dollars, exact
from .tree import counted

_COUNTS = frozenset(each.name for each in fields(Usage))


def gather(stores: Sequence[Store], selection: Selection, *, everything: bool, apply: bool) -> list[Change]:
    """Prices calls anew.

    Args:
        stores: Where they are.
        selection: Which of them.
        everything: Whether those that have a price get the one of today's table; a cost that the provider stated stays.
        apply: Whether the stores are changed.
    """
    table = pricing.version()
    return [
        change
        for store in stores
        for change in store.reprice(selection.only, _price, everything=everything, table=table, apply=apply)
    ]


def _price(
    facet: Facet, usage: dict[str, int], start: int, tier: str | None, bill: dict[str, Any]
) -> tuple[int | None, str | None]:
    if type(bill.get("parts")) is int:  # too many to be listed: their sum has no price
        return None, None
    parts = tuple(Part(pick(part, 0), _usage(mapping(pick(part, 1)))) for part in sequence(bill.get("parts")))
    response = Response(
        model=facet.served,
        usage=_usage(usage),
        service_tier=tier,
        parts=parts,
        surcharge=number(bill, "surcharge") or 0,
        grade=(text(bill, "grade", 0), text(bill, "grade", 1)),
    )
    return pricing.of_response(response, facet.provider or "", facet.requested, start)


def _usage(counts: dict[str, int]) -> Usage:
    return Usage(**{name: count for name, count in counts.items() if name in _COUNTS})


def lines(changes: Sequence[Change], *, apply: bool) -> list[str]:
    """What changed, or what would."""
    if not changes:
        return [f"Nothing to price anew by {pricing.version()}"]
    places = decimals([each for change in changes for each in (change.before, change.after)])
    before, before_sum = apportion([change.before for change in changes], places)
    after, after_sum = apportion([change.after for change in changes], places)
    shown = [
        f"{plain(change.provider)} {plain(change.model)}: {dollars(old, places)} -> {dollars(new, places)}"
        f" ({counted(change.calls, 'call')})"
        for change, old, new in zip(changes, before, after, strict=True)
    ]
    count = counted(sum(change.calls for change in changes), "call")
    done = "Priced anew" if apply else "Would be priced anew (--dry-run: nothing was changed)"
    whole = f"{dollars(before_sum, places)} -> {dollars(after_sum, places)}"
    return [*shown, "", f"{done}: {count}, {whole}, by {pricing.version()}"]


def as_data(changes: Sequence[Change], *, apply: bool) -> dict[str, Any]:
    """The same for JSON."""
    return {
        "applied": apply,
        "prices": pricing.version(),
        "changes": [
            {
                "provider": change.provider,
                "model": change.model,
                "calls": change.calls,
                "before_usd": exact(change.before),
                "after_usd": exact(change.after),
            }
            for change in changes
        ],
    }
