"""A price made ready for many calls: what is billed at which rate, in whole numbers, and what it takes to know it."""

from __future__ import annotations

from itertools import combinations, compress
from math import gcd, lcm
from typing import Any, NamedTuple

from ..call import UNITS, USD, Usage

Units = dict[str, tuple[int, frozenset[tuple[str, str]]]]
"""Name of a unit -> how many its price is for, and its dimensions in the table."""

_COUNTED = UNITS
"""The fields of `Usage`, by the names of their units in the table; a plan speaks of them by index."""

OWN_UNITS: Units = {
    "images": (1, frozenset({("family", "images")})),
    "video_seconds": (1, frozenset({("family", "videos")})),
    "search_units": (1, frozenset({("family", "rerankings")})),
}
"""Units that no price of the table speaks of: only the user's own prices do. USD for one."""

_PLACES = {name: index for index, name in enumerate((*_COUNTED, "cache_write_5m"))}
_FIVE_MINUTES = _PLACES["cache_write_5m"]
"""Behind the fields: `Usage` has all cache writes and the part that lives an hour; the rest lives five minutes."""
_WHOLE = frozenset(_PLACES[name] for name in ("input", "output", "audio_seconds", "input_characters", *OWN_UNITS))
"""The fields of which at least one must be known; the others are parts of them or come beside them."""

_EACH = range(len(_COUNTED))


class Plan(NamedTuple):
    """Everything about a price that does not depend on the usage; it holds from `since` until just before `until`."""

    since: int
    until: int
    provider: str | None = None
    model: str | None = None
    reason: str | None = None
    steps: tuple[tuple[int, tuple[int, ...]], ...] = ()
    """Priced fields, parts before wholes: (index in the usage, the earlier steps that are parts of this one)."""
    known: frozenset[int] = frozenset()
    """The indexes of these steps."""
    checks: tuple[tuple[str, int | None, tuple[int, ...], tuple[tuple[int, int], ...]], ...] = ()
    """(unit that is read, its index if it has one, its parts, pairs that meet in it): unknown is 0 without these."""
    unpriced: tuple[int, ...] = ()
    """Fields that nothing in the price covers."""
    per_request: bool = False
    starts: tuple[int, ...] = ()
    """Input tokens beyond which the next band of prices applies."""
    units: tuple[tuple[str, int], ...] = ()
    """(name, per) of each step, and of the request."""
    prices: tuple[tuple[str, ...], ...] = ()
    """Per band, per unit: USD for `per` units."""
    rates: tuple[tuple[int, ...], ...] = ()
    """The same as whole numbers of 1e-12 USD / `denominator` for one unit."""
    denominator: int = 1
    source: str = "table"
    """`custom` where the user's own prices or discounts had a part in it."""


def compiled(units: Units, since: int, until: int, provider: str, model: str, prices: dict[str, Any]) -> Plan:
    """The plan for a set of prices."""
    within = {name: dimensions for name, (_, dimensions) in units.items()}
    fields = [within[name] for name in _COUNTED]

    def parts(unit: str) -> tuple[int, ...]:
        return tuple(index for index, field in enumerate(fields) if within[unit] < field)

    def meeting(unit: str) -> tuple[tuple[int, int], ...]:
        # Counts of cached and of audio tokens do not say how many tokens are both.
        return tuple(
            (left, right)
            for left, right in combinations(range(len(fields)), 2)
            if (both := fields[left] | fields[right]) == within[unit] and both not in (fields[left], fields[right])
        )

    counts = sorted((name for name in prices if name != "requests"), key=lambda name: -len(within[name]))
    starts = sorted({start for price in prices.values() for start in _starts(price)})
    read = dict.fromkeys([*counts, "input"] if starts else counts, "")
    checks = [(name, _PLACES.get(name), parts(name), meeting(name)) for name in read]
    known = [name for name in counts if name in _PLACES]
    billed = [*known, "requests"] if "requests" in prices else known
    bands = [[_at(prices[name], start) for name in billed] for start in (0, *starts)]
    exact = [[_rate(price, units[name][0]) for name, price in zip(billed, band, strict=True)] for band in bands]
    denominator = lcm(*(bottom for band in exact for _, bottom in band))
    return Plan(
        since,
        until,
        provider,
        model,
        reason=None if billed else "the table has no price for what is counted",
        steps=tuple(
            (_PLACES[name], tuple(step for step, part in enumerate(known) if within[name] < within[part]))
            for name in known
        ),
        known=frozenset(_PLACES[name] for name in known),
        checks=tuple(check for check in checks if check[2] or check[3]),
        unpriced=tuple(
            index for index, field in enumerate(fields) if not any(within[name] <= field for name in counts)
        ),
        per_request=billed is not known,
        starts=tuple(starts),
        units=tuple((name, units[name][0]) for name in billed),
        prices=tuple(map(tuple, bands)),
        rates=tuple(tuple(top * (denominator // bottom) for top, bottom in band) for band in exact),
        denominator=denominator,
    )


def quantities(plan: Plan, usage: Usage) -> list[int] | str:
    """How much is billed at each price of the plan, nothing twice; or why that is not known."""
    values: tuple[int | None, ...] = usage.counts()
    counted = [index for index in _WHOLE if values[index] is not None]
    if not counted:
        return "no token counts"
    if plan.steps and plan.known.isdisjoint(counted):
        return "the table has no price for what is counted"
    some = set(compress(_EACH, values))
    if not some.isdisjoint(plan.unpriced):
        return f"no price for {_COUNTED[min(some.intersection(plan.unpriced))]}"
    for name, index, parts, pairs in plan.checks:
        if (index is None or values[index] is None) and (
            not some.isdisjoint(parts) or (pairs and any(left in some and right in some for left, right in pairs))
        ):
            return f"{name} is not known, and other counts say that there is some"
    billed: list[int] = []
    for index, parts in plan.steps:
        if index == _FIVE_MINUTES:
            quantity = (usage.cache_write or 0) - (usage.cache_write_1h or 0)
        else:
            quantity = values[index] or 0
        for part in parts:
            quantity -= billed[part]
        if quantity < 0:
            return f"the parts of {plan.units[len(billed)][0]} exceed it"
        billed.append(quantity)
    if plan.per_request:
        billed.append(1)
    return billed


def band(plan: Plan, usage: Usage) -> int:
    """Which of the plan's prices apply to an input of this length."""
    length = usage.input or 0
    return sum(length > start for start in plan.starts) if plan.starts else 0


def rounded(total: int, denominator: int) -> int:
    """The quotient, rounded half to even."""
    quotient, rest = divmod(total, denominator)
    return quotient + (2 * rest > denominator or (2 * rest == denominator and quotient % 2))


def times(price: str, factor: int, places: int) -> str:
    """A price text times `factor` / 10^`places`, exact."""
    whole, _, part = price.partition(".")
    places += len(part)
    text = f"{int(whole + part) * factor:0{places + 1}}"
    return f"{text[:-places]}.{text[-places:]}".rstrip("0").rstrip(".") if places else text


def _starts(price: Any) -> list[int]:
    """The numbers of input tokens beyond which the price changes."""
    return [] if type(price) is str else price[1::2]


def _at(price: Any, start: int) -> str:
    """The price for inputs of more tokens than `start`, up to the next step."""
    return price if type(price) is str else price[2 * sum(each <= start for each in price[1::2])]


def _rate(price: str, per: int) -> tuple[int, int]:
    """(numerator, denominator) of one unit's price in 1e-12 USD."""
    whole, _, part = price.partition(".")
    top, bottom = int(whole + part) * USD, 10 ** len(part) * per
    shared = gcd(top, bottom)
    return top // shared, bottom // shared
