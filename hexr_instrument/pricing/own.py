"""The user's own prices and discounts, as looked up for a call. What a file says is read in `file`."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import NamedTuple

Grade = tuple["str | None", "str | None"]
"""Size and quality of an image or a video; None is not said."""
UNGRADED: Grade = (None, None)


class PricesError(ValueError):
    """A file of prices that cannot be used; the message is one line that names the file and the place in it."""


class Entry(NamedTuple):
    """One entry of the file: prices of a model, or a discount."""

    provider: str | None
    """As `gen_ai.provider.name` or the table spells it, in lower case; None is every one."""
    model: str
    """In lower case; a `*` at the end stands for any rest."""
    tier: str | None
    """Only calls that this tier served; None is the ordinary one for prices, and every one for discounts."""
    since: int
    """From when on it holds, in nanoseconds since the epoch."""
    until: int
    prices: Mapping[str, str] | None
    """Unit -> USD for as many as the unit's price is for, as decimal text; None for a discount."""
    kept: tuple[int, int] | None
    """(n, k): n / 10^k of the listed price is what is left of it; None for prices."""
    grade: Grade
    """Only pieces of this size and of this quality; None is any."""
    days: tuple[str, ...]
    """The days on which it begins and ends, as the table writes them."""

    def holds(self, providers: AbstractSet[str], model: str, when: int) -> bool:
        """Whether it is about these calls."""
        if self.provider is not None and self.provider not in providers:
            return False
        fits = model.startswith(self.model[:-1]) if self.model.endswith("*") else model == self.model
        return fits and self.since <= when < self.until


class Own:
    """What `HEXR_PRICES` says."""

    __slots__ = ("_days", "_entries", "version")

    def __init__(self, entries: tuple[Entry, ...], mark: str) -> None:
        """Takes the entries, of which the first that fits holds, and a mark of the file's content."""
        self._entries = entries
        self._days: list[str | None] = [day for entry in entries for day in entry.days]
        self.version = f" + own {mark}" if mark else ""

    def days(self) -> list[str | None]:
        """The days on which something changes."""
        return self._days

    def prices(
        self, providers: AbstractSet[str], model: str, when: int, tier: str | None, grade: Grade
    ) -> Mapping[str, str] | None:
        """The prices of a model, or None if the user has none of it."""
        for entry in self._entries:
            if (
                entry.prices is not None
                and entry.tier == tier
                and all(wanted in (None, each) for wanted, each in zip(entry.grade, grade, strict=True))
                and entry.holds(providers, model, when)
            ):
                return entry.prices
        return None

    def kept(self, providers: AbstractSet[str], model: str, when: int, tier: str | None) -> tuple[int, int] | None:
        """What a discount leaves of a listed price, as an `Entry` has it; None without a discount."""
        for entry in self._entries:
            if (
                entry.kept is not None
                and entry.tier in (None, tier or "default")
                and entry.holds(providers, model, when)
            ):
                return entry.kept
        return None


NOTHING = Own((), "")
