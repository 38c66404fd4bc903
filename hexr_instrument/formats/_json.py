"""What several JSON formats share: reading parameters by name, and stated costs."""

from __future__ import annotations

from typing import Any

from ..call import USD, pick

_SCALARS = (str, int, float, bool)


def scalars(body: Any, names: dict[str, str]) -> dict[str, Any]:
    """`{neutral name: value}` for the wire names present in `body` with a plain scalar value."""
    found: dict[str, Any] = {}
    for wire, neutral in names.items():
        value = pick(body, wire)
        value = getattr(value, "value", value)  # an enum counts as its value
        if type(value) in _SCALARS:
            found[neutral] = value
    return found


def strings(value: Any) -> list[str] | None:
    """A string or a list of strings as a list of strings, or None for anything else."""
    if type(value) is str:
        return [value]
    if type(value) in (list, tuple) and value and all(type(each) is str for each in value):
        return list(value)
    return None


def stated_cost(value: Any) -> int | None:
    """A cost in USD that a provider states, as 1e-12 USD; None for anything that is not a plain amount."""
    if type(value) in (int, float) and 0 <= value < 1_000_000:
        return round(value * USD)
    return None
