"""What a call cost: by what its provider states, else by the price table with the user's own prices; else unknown.

A cost goes by the model that served. Where the response names one that has no price, the call is unpriced: the price of
the model that was asked for is another model's, unless the served name is that very name with a date behind it, or the
user maps it (`HEXR_MODEL_MAP`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from ..call import Response, Usage
from .own import NOTHING, Own, PricesError
from .plan import rounded
from .table import PROVIDERS, Bucket, Explanation, Table

__all__ = [
    "PROVIDERS",
    "UPDATED",
    "Bucket",
    "Explanation",
    "Own",
    "PricesError",
    "Table",
    "configure",
    "cost",
    "current",
    "explain",
    "of_response",
    "released",
    "shipped_data",
    "stale_days",
    "version",
]

UPDATED = "prices.json"
"""The file in the store's directory that `prices update` writes."""
STALE = 90
"""Days after which a table is called stale: providers change a price about that often."""
_LARGEST = 8 << 20
"""Bytes of a table; the shipped one has a third of a million."""
_DATED = re.compile(r"[-@](?:20\d\d-\d\d-\d\d|20\d{6}|\d{3,4})")


def configure(
    directory: str | None, own: str | None, models: Mapping[str, str], say: Callable[[str], None] | None = None
) -> None:
    """Says where prices come from beside the shipped table; nothing is read before the first price is asked for.

    Args:
        directory: The store's, where `prices update` puts a newer table.
        own: The file of the user's own prices (`HEXR_PRICES`).
        models: Other names of models (`HEXR_MODEL_MAP`).
        say: Takes one line for each of the two that cannot be used; the shipped table is used instead.
    """
    global _settings, _shipped
    _settings = (directory, own, {name.lower(): model.lower() for name, model in models.items()}, say)
    _shipped = None


def cost(usage: Usage, provider: str, model: str | None, when: int, *, tier: str | None = None) -> int | None:
    """What the usage costs in 1e-12 USD, or None if that is not known.

    It is None for an unknown provider or model, a tier without a price, usage without token counts, a count that
    nothing in the model's price covers, parts that exceed their whole, and a part whose whole is unknown. If only one
    of input and output is known, the other counts as none, as in genai-prices.

    Args:
        usage: The billed units of one request.
        provider: Who served it, as `gen_ai.provider.name` spells it.
        model: The model's name as served (or as asked where the response has none), without a `models/` prefix.
        when: Nanoseconds since the epoch; the prices of that moment apply.
        tier: The tier that served the request, such as `flex` or `batch`; None for the standard price.

    Returns:
        The exact cost, rounded once, half to even.
    """
    return (_shipped or current()).cost(usage, provider, model, when, tier=tier)


def of_response(response: Response, provider: str, asked: str | None, when: int) -> tuple[int | None, str | None]:
    """What a response cost, and who says so.

    Args:
        response: What came back.
        provider: As for `cost`.
        asked: The model that was asked for.
        when: As for `cost`.

    Returns:
        The cost in 1e-12 USD and its source (`provider`, `table`, or `custom` for the user's own prices), or None
        twice.
    """
    if response.stated_cost is not None:
        return response.stated_cost, "provider"
    if response.usage is None:
        return None, None
    names = _names(response, provider, asked)
    total, custom = 0, False
    for model, usage in [(part.model, part.usage) for part in response.parts] or [(None, response.usage)]:
        for name in names if model is None else (model,):
            found, source = _surcharged(usage, response, provider, name, when)
            if found is not None:
                total += found
                custom |= source == "custom"
                break
        else:
            return None, None
    return total, "custom" if custom else "table"


def _names(response: Response, provider: str, asked: str | None) -> Sequence[str | None]:
    """The names by which the price of a response goes, the surest first."""
    served = response.model or asked
    if asked is None or served == asked:
        return (served,)
    # Only the name that was asked says whether Bedrock's price is the regional or the global one, and whose the price of
    # Hugging Face's router is.
    if provider == "aws.bedrock" or (provider == "huggingface" and ":" in asked):
        return (asked, served)
    if _is_dated(served, asked) or (_shipped or current()).mapped(provider, asked):
        return (served, asked)
    return (served,)


def _surcharged(
    usage: Usage, response: Response, provider: str, model: str | None, when: int
) -> tuple[int | None, str]:
    """The cost of one sampling, with what the provider adds for tokens (fees of tools stay as they are)."""
    prices, tier = _shipped or current(), response.service_tier
    found, source = prices.price(usage, provider, model, when, tier, response.grade)
    if found is None or not response.surcharge:
        return found, source
    of_tokens = prices.price(
        replace(usage, web_searches=None, storage_searches=None), provider, model, when, tier, response.grade
    )[0]
    return None if of_tokens is None else found + rounded(of_tokens * response.surcharge, 100), source


@lru_cache(maxsize=512)
def _is_dated(served: str | None, asked: str) -> bool:
    """Whether the served name is the asked one with a date (or a revision's number) behind it."""
    name = (served or "").lower()
    return name.startswith(asked.lower()) and _DATED.fullmatch(name[len(asked) :]) is not None


def explain(usage: Usage, provider: str, model: str | None, when: int, *, tier: str | None = None) -> Explanation:
    """How `cost` comes to its answer: what matched, each unit with its price, or the reason for None.

    Args:
        usage: As for `cost`; `Usage(input=0, output=0)` lists the prices.
        provider: As for `cost`.
        model: As for `cost`.
        when: As for `cost`.
        tier: As for `cost`.

    Returns:
        The steps, whose `cost` is what `cost` returns.
    """
    return (_shipped or current()).explain(usage, provider, model, when, tier=tier)


def version() -> str:
    """The data of the table, such as `genai-prices 0.2.3 (2026-11-10)`, and a mark of the user's own prices."""
    return (_shipped or current()).version


def released() -> str:
    """The day of the table's data, as an ISO date."""
    return (_shipped or current()).released


def stale_days(when: int) -> int | None:
    """How old the table is in days, if it is so old that prices have surely changed; otherwise None.

    Args:
        when: Nanoseconds since the epoch.
    """
    from datetime import date, datetime, timezone  # noqa: PLC0415  (a millisecond that no recorded call needs)

    age = (datetime.fromtimestamp(when // 10**9, timezone.utc).date() - date.fromisoformat(released())).days
    return age if age > STALE else None


_shipped: Table | None = None
_settings: tuple[str | None, str | None, dict[str, str], Callable[[str], None] | None] = (None, None, {}, None)


def current() -> Table:
    """The table, read at the first use: most programs that import us never ask for a price.

    Raises:
        OSError, ValueError, KeyError: The installation is damaged.
    """
    global _shipped
    if _shipped is None:
        # Two threads at once read it twice, harmlessly.
        directory, own, models, say = _settings
        data = shipped_data()
        if directory is not None and (newer := _updated(os.path.join(directory, UPDATED), say)) is not None:
            data = newer if newer["released"] > data["released"] else data
        _shipped = Table(data, _own(own, data, say), models)
    return _shipped


def shipped_data() -> dict[str, Any]:
    """The content of the table in this package."""
    import json  # noqa: PLC0415

    # Through the loader, since a package may live in a zip file.
    path = os.path.join(os.path.dirname(os.path.dirname(__file__)), "prices.json")
    text: bytes = __spec__.loader.get_data(path)
    return json.loads(text)


def _updated(path: str, say: Callable[[str], None] | None) -> dict[str, Any] | None:
    """The table that `prices update` left, or None if there is none that can be used."""
    import json  # noqa: PLC0415

    try:
        with open(path, "rb") as file:
            text = file.read(_LARGEST + 1)
        data: dict[str, Any] = json.loads(text)
        Table(data)
        if data["released"] != str(data["released"])[:10]:
            raise ValueError("no release day")
        return data
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        if say is not None:
            say(f"{path} cannot be used; the shipped prices are: remove it, or run hexr-instrument prices update")
        return None


def _own(path: str | None, data: dict[str, Any], say: Callable[[str], None] | None) -> Own:
    if path is None:
        return NOTHING
    from .file import read  # noqa: PLC0415  (a parser that only own prices need)

    try:
        return read(path, data["units"])
    except PricesError as error:
        if say is not None:
            say(f"{error}; your own prices are not used")
        return NOTHING
