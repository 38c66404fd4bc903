"""A newer table, as somebody hands it over: our own file, or the data that genai-prices publishes. Pure: text in."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, cast

from ..call import Usage, mapping, pick, sequence
from .own import PricesError
from .table import Table

LARGEST = 8 << 20
"""Bytes of a table."""
_CLAUSES = ("equals", "starts_with", "ends_with", "contains", "regex")
_PER = {"_mtok": "", "_kcount": "", "_mchars": "_characters", "_hours": "_seconds", "_kpages": "_pages"}
"""The ends of genai-prices' names of prices, and those of our units."""
_PRICE = re.compile(r"\d{1,9}(\.\d{1,30})?")


def read(text: bytes, day: str, shipped: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """The table in our format.

    Args:
        text: A file as `scripts/make_prices.py` writes it, or genai-prices' `data.json`.
        day: The day of the data, for a text that does not say it.
        shipped: The content of the shipped table, whose units are those that can be counted.

    Returns:
        The table, and how many models were left out because they are priced by units that this version cannot count.

    Raises:
        PricesError: it is no such text, or a part of it is not as it must be.
    """
    if len(text) > LARGEST:
        raise PricesError(f"it is larger than {LARGEST >> 20} MiB")
    try:
        content: Any = json.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        raise PricesError(f"it is no JSON ({error})") from None
    left_out = 0
    if type(content) is list:
        content, left_out = _converted(cast("list[Any]", content), day, shipped)
    if type(content) is not dict:
        raise PricesError("it is no table of prices")
    table = cast("dict[str, Any]", content)
    check(table)
    return table, left_out


def check(data: Mapping[str, Any]) -> None:
    """Refuses what `Table` could not use.

    Raises:
        PricesError: it names the first part that is not as it must be.
    """
    for name in ("source", "version", "released"):
        if type(data.get(name)) is not str:
            raise PricesError(f"{name}: it is missing")
    try:
        date.fromisoformat(data["released"])
    except ValueError:
        raise PricesError("released: it is no day") from None
    units, providers = data.get("units"), data.get("providers")
    if type(units) is not dict or type(providers) is not dict or not providers or "input" not in units:
        raise PricesError("it has no units or no providers")
    for name, each in mapping(providers).items():
        provider = mapping(each)
        if type(provider.get("models")) is not list:
            raise PricesError(f"{name}: it has no models")
        if "match" in provider:
            _check_rule(provider["match"], name)
        for model in sequence(provider["models"]):
            line = sequence(model)
            if len(line) not in (3, 4) or type(line[0]) is not str:
                raise PricesError(f"{name}: a model is no list of name, rule and prices")
            where = f"{name}, {line[0]}"
            _check_rule(line[1], where)
            groups: list[Any] = [line[2]] if type(line[2]) is dict else [pick(pair, 1) for pair in sequence(line[2])]
            groups += [pick(variant, 2) for variant in sequence(line[3] if len(line) > 3 else None)]
            for group in groups:
                _check_prices(group, mapping(units), where)
    try:
        table = Table(data)
        for name, each in mapping(providers).items():
            for line in sequence(each["models"]):
                table.cost(Usage(input=1, output=1), name, line[0], 0)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise PricesError(f"it cannot be used ({type(error).__name__}: {error})") from None


def _check_rule(rule: Any, where: str) -> None:
    if type(rule) is str:
        return
    if type(rule) is list:
        for each in cast("list[Any]", rule):
            _check_rule(each, where)
        return
    pairs = list(cast("dict[str, Any]", rule).items()) if type(rule) is dict else []
    if len(pairs) != 1:
        raise PricesError(f"{where}: a rule is not understood")
    ((kind, value),) = pairs
    if kind == "and" and type(value) is list:
        _check_rule(value, where)
        return
    if kind not in _CLAUSES or type(value) is not str:
        raise PricesError(f"{where}: a rule is not understood")
    if kind == "regex":
        try:
            re.compile(value)
        except re.error:
            raise PricesError(f"{where}: a rule is no regular expression") from None


def _check_prices(group: Any, units: Mapping[str, Any], where: str) -> None:
    if type(group) is not dict:
        raise PricesError(f"{where}: its prices are none")
    for unit, price in cast("dict[str, Any]", group).items():
        if unit not in units:
            raise PricesError(f"{where}: {unit!r} is no unit")
        steps = cast("list[Any]", price) if type(price) is list else [price]
        texts, starts = steps[::2], steps[1::2]
        if len(steps) % 2 == 0 or not all(type(each) is str and _PRICE.fullmatch(each) for each in texts):
            raise PricesError(f"{where}: the price of {unit} is none")
        if not all(type(each) is int and each >= 0 for each in starts) or starts != sorted(starts):
            raise PricesError(f"{where}: the steps of {unit} are none")


def _converted(providers: list[Any], day: str, shipped: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """genai-prices' own data in our format, see `scripts/make_prices.py`."""
    units: Mapping[str, Any] = shipped["units"]
    found: dict[str, Any] = {}
    left_out = 0
    for each in providers:
        try:
            provider: dict[str, Any] = {}
            if each.get("provider_match") is not None:
                provider["match"] = _rule(each["provider_match"])
            if each.get("fallback_model_providers"):
                provider["fallback"] = list(each["fallback_model_providers"])
            models = [_model(line, units) for line in each.get("models", ())]
            provider["models"] = [line for line in models if line is not None]
            left_out += models.count(None)
            found[each["id"]] = provider
        except (LookupError, TypeError, ValueError, AttributeError, InvalidOperation) as error:
            raise PricesError(f"it is no data of genai-prices ({type(error).__name__}: {error})") from None
    head = {"source": "genai-prices", "version": f"data of {day}", "released": day}
    return {**head, "license": shipped.get("license", ""), "units": dict(units), "providers": found}, left_out


def _model(line: Mapping[str, Any], units: Mapping[str, Any]) -> list[Any] | None:
    """One line of the table, or None if it has a price of something that cannot be counted."""
    standard: Any = line["prices"]
    if type(standard) is list:
        standard = [[_when(each.get("constraint")), _prices(each["prices"])] for each in cast("list[Any]", standard)]
        groups = [pair[1] for pair in standard]
    else:
        standard = _prices(standard)
        groups = [standard]
    made: list[Any] = [line["id"], _rule(line["match"]), standard]
    if line.get("price_variants"):
        made.append(
            [
                [dict(sorted(each["when"].items())), _when(each.get("constraint")), _prices(each["prices"])]
                for each in line["price_variants"]
            ]
        )
        groups += [variant[2] for variant in made[3]]
    return made if all(unit in units for group in groups for unit in group) else None


def _rule(clause: Mapping[str, Any]) -> Any:
    if "or" in clause:
        rules: list[Any] = []
        for each in map(_rule, clause["or"]):
            rules += cast("list[Any]", each) if type(each) is list else [each]
        return [each for index, each in enumerate(rules) if each not in rules[:index]]
    if "and" in clause:
        return {"and": [_rule(each) for each in clause["and"]]}
    if "equals" in clause:
        return str(clause["equals"]).lower()
    kind = next(name for name in _CLAUSES if name in clause)
    return {kind: clause[kind] if kind == "regex" else str(clause[kind]).lower()}


def _when(constraint: Mapping[str, Any] | None) -> str | None:
    if constraint is None:
        return None
    if "start_date" in constraint:
        return date.fromisoformat(constraint["start_date"]).isoformat()
    ends = (constraint["start_time"], constraint["end_time"])
    return "-".join(re.sub(r"(Z|\+00:00)$", "", end)[:8] for end in ends)


def _prices(group: Mapping[str, Any]) -> dict[str, Any]:
    return {_unit(key): _price(value) for key, value in group.items() if value is not None}


def _unit(key: str) -> str:
    """`cache_audio_read_mtok` is `cache_read_audio`."""
    end = next((each for each in _PER if key.endswith(each)), "")
    name = key.removesuffix(end) + _PER.get(end, "")
    name = re.sub(r"^cache_(text|audio|image|video)_(read|write)", r"cache_\2_\1", name)
    return "reasoning" if name == "output_reasoning" else name


def _price(value: Any) -> Any:
    if type(value) is not dict:
        return format(Decimal(value).normalize(), "f")
    tiers = cast("dict[str, Any]", value)
    steps: list[Any] = [_price(tiers["base"])]
    for tier in sorted(tiers["tiers"], key=lambda each: each["start"]):
        steps += [tier["start"], _price(tier["price"])]
    return steps
