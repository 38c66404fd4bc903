"""What several JSON formats share: reading parameters by name, and stated costs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite
from typing import Any

from ..call import USD, Usage, getter, number, pick, text, total


def numbers(body: Any, names: dict[str, str]) -> dict[str, Any]:
    """`{neutral name: value}` for the wire names present in `body` with a number that 64 bits can hold."""
    found: dict[str, Any] = {}
    get = getter(body)
    for wire, neutral in names.items():
        value = get(wire)
        if value is None:
            continue
        if (type(value) is int and -(2**63) <= value < 2**63) or (type(value) is float and isfinite(value)):
            found[neutral] = value
    return found


def texts(body: Any, names: dict[str, str]) -> dict[str, Any]:
    """`{neutral name: value}` for the wire names present in `body` with a text."""
    get = getter(body)
    return {
        neutral: value
        for wire, neutral in names.items()
        if (found := get(wire)) is not None and (value := text(found)) is not None
    }


def strings(value: Any) -> list[str] | None:
    """A string or a list of strings as a list of strings, or None for anything else."""
    if type(value) is str:
        return [value]
    if type(value) in (list, tuple) and value and all(type(each) is str for each in value):
        return list(value)
    return None


_TICK = USD // 10**10
"""xAI's unit of `cost_in_usd_ticks` (docs.x.ai/developers/cost-tracking)."""


def stated_cost(usage: Any) -> int | None:
    """What a `usage` object says that the call cost, in 1e-12 USD; None if it says nothing, or nothing whole.

    xAI states ticks, Perplexity the parts and their `total_cost`, OpenRouter what it charges: with a key of one's own
    (`is_byok`) that is only its fee, and the model's provider charges the upstream cost besides.
    """
    get = getter(usage)
    ticks = number(get("cost_in_usd_ticks"))
    if ticks is not None:
        return ticks * _TICK if ticks < 10**16 else None
    charged = get("cost")
    cost = dollars(charged if type(charged) is not dict else pick(charged, "total_cost"))
    if cost is not None and get("is_byok") is True:
        upstream = dollars(pick(get("cost_details"), "upstream_inference_cost"))
        return None if upstream is None else cost + upstream
    return cost


def dollars(value: Any) -> int | None:
    """An amount in USD as 1e-12 USD; None for what is no amount of a call."""
    if value is not None and type(value) in (int, float) and 0 <= value < 1_000_000:
        return round(value * USD)
    return None


def summed(usages: Sequence[Usage]) -> Usage:
    """What was used in all; a count that none of them knows stays unknown."""
    return Usage(*(total(*counts) for counts in zip(*(usage.counts() for usage in usages), strict=True)))


def only(values: Iterable[str | None]) -> str | None:
    """The one value that all of them are, or None."""
    found = set(values)
    return found.pop() if len(found) == 1 else None
