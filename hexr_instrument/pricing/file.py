"""Reads `HEXR_PRICES`: own models, overrides, discounts, as TOML or JSON; every mistake is one line with its place.

```toml
[[price]]                      # a model of your own, or another price for one of the table
provider = "vllm"              # as the reports show it; left out: every provider
model = "llama-3-70b*"         # a * at the end stands for any rest
input = "0.20"                 # USD per million tokens
output = 0.60
cache_read = 0.02

[[price]]                      # what you negotiated: percent off the listed price
provider = "azure.ai.openai"
model = "*"
discount = 12.5
from = "2026-04-01"            # UTC days; `until` is the first day on which it no longer holds
```
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any, cast

from .. import settings
from .own import Entry, Own, PricesError
from .plan import OWN_UNITS

_MOST = 10_000
_MEANING = frozenset({"provider", "model", "tier", "size", "quality", "discount", "from", "until"})
_DAY = 86_400 * 10**9


def read(path: str, units: Mapping[str, Any]) -> Own:
    """What the file says.

    Args:
        path: A `.json` file, or one of TOML.
        units: The units of the table: name -> (per, dimensions).

    Raises:
        PricesError: it cannot be read, or says something that cannot be meant.
    """
    shown = os.path.basename(path)
    try:
        content, text = settings.read(path, "HEXR_PRICES")
    except settings.SettingsError as error:
        raise PricesError(str(error)) from None
    listed: Any = content.pop("price", None)
    if content or type(listed) is not list:
        odd = ", ".join(map(repr, content)) or "no list"
        raise PricesError(f"{shown}: the file is a list of [[price]] entries, and has {odd}")
    entries = cast("list[Any]", listed)
    if len(entries) > _MOST:
        raise PricesError(f"{shown}: more than {_MOST} entries")
    mark = hashlib.sha256(text.encode()).hexdigest()[:8]
    units = {**units, **{name: (per, dict(dimensions)) for name, (per, dimensions) in OWN_UNITS.items()}}
    return Own(tuple(_Reader(shown, text, number, units).entry(each) for number, each in enumerate(entries)), mark)


class _Reader:
    """One entry of the file, and where it is."""

    def __init__(self, shown: str, text: str, number: int, units: Mapping[str, Any]) -> None:
        self._shown, self._text, self._number, self._units = shown, text, number, units

    def _wrong(self, key: str | None, what: str) -> PricesError:
        """The error, with the line of the key (or of the entry's head) where the text shows it."""
        named = f"entry {self._number + 1}" + (f", {key}" if key else "")
        return PricesError(f"{settings.place(self._shown, self._text, 'price', self._number, key)}: {what} ({named})")

    def entry(self, content: Any) -> Entry:
        """The entry.

        Raises:
            PricesError: it says something that cannot be meant.
        """
        if type(content) is not dict:
            raise self._wrong(None, "an entry is a table of names and values")
        said = cast("dict[str, Any]", content)
        model = self._name(said, "model")
        if model is None:
            raise self._wrong(None, 'an entry needs a model; "*" is every one')
        if "*" in model[:-1]:
            raise self._wrong("model", "a * may only be the last character")
        prices = {name: self._price(said, name) for name in said if name not in _MEANING}
        kept = None
        if "discount" in said:
            if prices:
                raise self._wrong("discount", "an entry has prices or a discount, not both")
            value = self._number_of(said, "discount")
            if value > 100:
                raise self._wrong("discount", "a discount is at most 100 percent")
            exponent = cast("int", value.as_tuple().exponent)
            places = 2 - min(0, exponent)
            kept = (int((100 - value).scaleb(places - 2)), places)
        elif not prices:
            raise self._wrong(None, f"an entry needs prices ({', '.join(list(self._units)[:3])}, ...) or a discount")
        else:
            self._complete(prices)
        since, until = self._day(said, "from"), self._day(said, "until")
        if since is not None and until is not None and since >= until:
            raise self._wrong("until", "it ends before it begins")
        return Entry(
            self._name(said, "provider"),
            model,
            self._name(said, "tier"),
            _midnight(since) if since else -(2**63),
            _midnight(until) if until else 2**63,
            prices or None,
            kept,
            (self._name(said, "size"), self._name(said, "quality")),
            tuple(each.isoformat() for each in (since, until) if each),
        )

    def _name(self, said: dict[str, Any], key: str) -> str | None:
        value = said.get(key)
        if value is None:
            return None
        if type(value) is not str or not value.strip():
            raise self._wrong(key, f"{key} is a name in quotes")
        return value.strip().lower()

    def _day(self, said: dict[str, Any], key: str) -> date | None:
        value = said.get(key)
        if value is None or type(value) is date:
            return value
        try:
            return date.fromisoformat(value)
        except (TypeError, ValueError):
            raise self._wrong(key, f"{key} is a day such as 2026-04-01") from None

    def _price(self, said: dict[str, Any], key: str) -> str:
        if key not in self._units:
            raise self._wrong(key, f"{key!r} is no unit; the units are {', '.join(self._units)}")
        return format(self._number_of(said, key), "f")

    def _number_of(self, said: dict[str, Any], key: str) -> Decimal:
        value = settings.decimal(said[key])
        if value is None:
            raise self._wrong(key, f"{str(said[key])[:40]!r} is no amount; write one such as 2.50")
        return value

    def _complete(self, prices: Mapping[str, str]) -> None:
        """Refuses prices of a part without one of its whole: what is left of the whole would be free."""
        within = {name: frozenset(dimensions.items()) for name, (_, dimensions) in self._units.items()}
        for name in prices:
            for whole in ("input", "output"):
                if within[whole] < within[name] and whole not in prices:
                    raise self._wrong(name, f"a price of {name} needs one of {whole}, whose part it is")
            for other in prices:
                both = within[name] | within[other]
                if name < other and both not in (within[name], within[other]):
                    missing = [each for each, dimensions in within.items() if dimensions == both and each not in prices]
                    if missing:
                        raise self._wrong(other, f"prices of {name} and {other} need one of {missing[0]}")


def _midnight(day: date) -> int:
    return (day - date(1970, 1, 1)).days * _DAY
