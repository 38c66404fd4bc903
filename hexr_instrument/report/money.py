"""Amounts as people read them: one number of decimals for a whole report, and printed parts that add up."""

from __future__ import annotations

from collections.abc import Sequence

USD_DIGITS = 12
"""Amounts are integers of 1e-12 USD."""
_EXACT = 6
_EXACT_SMALL = 9
_MOST = 8


def decimals(amounts: Sequence[int]) -> int:
    """How many decimals a report of these amounts (1e-12 USD) needs, at least 2.

    All that the amounts have, if that is no more than 6 (9 where the sum is below one dollar); else as many as the
    smallest amount needs to show two digits, at most 8.
    """
    for places in range(2, (_EXACT if sum(amounts) >= 10**USD_DIGITS else _EXACT_SMALL) + 1):
        if not any(amount % 10 ** (USD_DIGITS - places) for amount in amounts):
            return places
    smallest = min(abs(amount) for amount in amounts if amount)
    return min(max(2, USD_DIGITS + 2 - len(str(smallest))), _MOST)


def apportion(amounts: Sequence[int], places: int) -> tuple[list[int], int]:
    """Amounts (1e-12 USD) in units of the last decimal, made to add up to their rounded sum, and that sum.

    Each is rounded down; what is missing to the sum, rounded half up, goes to those that lost most.
    """
    unit = 10 ** (USD_DIGITS - places)
    whole = (sum(amounts) + unit // 2) // unit
    parts = [amount // unit for amount in amounts]
    losers = sorted(range(len(amounts)), key=lambda at: (-(amounts[at] % unit), at))
    for at in losers[: whole - sum(parts)]:
        parts[at] += 1
    return parts, whole


def dollars(units: int, places: int) -> str:
    """Units of the last decimal as `$1,234.56`."""
    whole, part = divmod(abs(units), 10**places)
    return f"{'-' if units < 0 else ''}${whole:,}.{part:0{places}}"


def exact(amount: int) -> str:
    """An amount of 1e-12 USD as an exact decimal, with two decimals or as many as it has."""
    whole, part = divmod(abs(amount), 10**USD_DIGITS)
    digits = f"{part:0{USD_DIGITS}}".rstrip("0").ljust(2, "0")
    return f"{'-' if amount < 0 else ''}{whole}.{digits}"
