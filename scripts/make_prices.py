"""Write `hexr_instrument/prices.json` from the data of the installed genai-prices package (MIT).

    python scripts/make_prices.py [--released YYYY-MM-DD] [--check]

The same genai-prices version always gives the same bytes: nothing is read but the installed package and its release
day, which the package does not hold (`RELEASED` below, or `--released` for another version). `--check` writes
nothing and exits with 1 if the file would change.

The file, with one model per line so that a change of price is a change of one line:

    source, version, released, license   where the data is from
    units       {unit: [per, {dimension: value}]}: a price is USD per `per` units; a unit is part of every unit whose
                dimensions it includes (`cache_read` is part of `input`)
    providers   {id: {"match": RULE?, "fallback": [id ...]?, "models": [MODEL ...]}}, in the order of the data, which
                is the order in which rules are tried
    MODEL       [id, RULE, PRICES] or [id, RULE, PRICES, VARIANTS]
    RULE        "name" is equality, a list is 'any of', and {"starts_with" | "ends_with" | "contains" | "regex": text}
                or {"and": [RULE ...]}; all texts but regular expressions are lower case, as the names they meet
    PRICES      {unit: PRICE}, or [[WHEN, {unit: PRICE}] ...] of which the last active one holds (if none, the first)
    WHEN        null for always, "2026-03-13" for from that day on, "00:30:00-16:30:00" for daily within; all UTC
    PRICE       "2.5", exact decimal text, or ["1.25", 200000, "2.5" ...]: the price of every token once the input has
                more tokens than that
    VARIANTS    [[{key: value}, WHEN, {unit: PRICE}] ...]: prices that replace the standard ones for requests with
                these properties (`processing`: batch; `service_tier`; `speed` ...); the first active one wins by unit

Names, descriptions, extraction rules, comments, and units that no model prices and `Usage` cannot hold are left out.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from datetime import date, timezone
from decimal import Decimal
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from genai_prices.data import providers
from genai_prices.data_units import unit_data
from genai_prices.types import (
    ClauseAnd,
    ClauseContains,
    ClauseEndsWith,
    ClauseEquals,
    ClauseOr,
    ClauseRegex,
    ClauseStartsWith,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    Provider,
    StartDateConstraint,
    TieredPrices,
    TimeOfDateConstraint,
)
from genai_prices.units import UnitRegistry
from genai_prices.validation import validate_model_price

RELEASED = {"0.2.3": "2026-11-10"}
"""The day on which a version was uploaded to PyPI: how fresh its prices are."""

PATH = Path(__file__).parent.parent / "hexr_instrument" / "prices.json"

COUNTED = {
    "input", "output", "cache_read", "cache_write", "cache_write_5m", "cache_write_1h", "reasoning", "input_audio",
    "output_audio", "cache_read_audio", "input_image", "output_image", "input_video", "output_video", "web_searches",
}  # fmt: skip
"""Units that `Usage` can hold: listed even where no model prices them, for their place among the priced ones."""


def unit_name(key: str) -> str:
    """Our name of a genai-prices usage key: `cache_audio_read_tokens` is `cache_read_audio`."""
    name = key.removesuffix("_tokens")
    if name == "output_reasoning":
        return "reasoning"
    return re.sub(r"^cache_(text|audio|image|video)_(read|write)", r"cache_\2_\1", name)


UNITS = {unit["price_key"]: unit_name(key) for key, unit in unit_data.items()}


def rule(clause: Any) -> Any:
    """A match clause as data."""
    match clause:
        case ClauseEquals():
            return clause.equals.lower()
        case ClauseOr():
            rules: list[Any] = []
            for each in map(rule, clause.or_):
                rules.extend(each if isinstance(each, list) else [each])
            # Names that differ in case only are one rule here.
            return [each for index, each in enumerate(rules) if each not in rules[:index]]
        case ClauseAnd():
            return {"and": [rule(each) for each in clause.and_]}
        case ClauseStartsWith():
            return {"starts_with": clause.starts_with.lower()}
        case ClauseEndsWith():
            return {"ends_with": clause.ends_with.lower()}
        case ClauseContains():
            return {"contains": clause.contains.lower()}
        case ClauseRegex():
            re.compile(clause.regex)
            return {"regex": clause.regex}
        case _:
            raise TypeError(f"a clause of an unknown kind: {clause!r}")


def when(constraint: Any) -> str | None:
    """A constraint as text; times are converted to UTC."""
    match constraint:
        case None:
            return None
        case StartDateConstraint():
            if type(constraint.start_date) is not date:
                raise TypeError(f"not a plain date: {constraint!r}")
            return constraint.start_date.isoformat()
        case TimeOfDateConstraint():
            ends = (constraint.start_time, constraint.end_time)
            if any(end.tzinfo not in (None, timezone.utc) or end.microsecond for end in ends):
                raise ValueError(f"not whole seconds of UTC: {constraint!r}")
            return "-".join(end.strftime("%H:%M:%S") for end in ends)
        case _:
            raise TypeError(f"a constraint of an unknown kind: {constraint!r}")


def amount(value: Decimal) -> str:
    """A price as the shortest decimal text that is exactly it."""
    return format(value.normalize(), "f")


def price(value: Decimal | TieredPrices) -> Any:
    """A price as text, or base and steps."""
    if isinstance(value, Decimal):
        return amount(value)
    steps: list[Any] = [amount(value.base)]
    for tier in value.tiers:
        steps += [tier.start, amount(tier.price)]
    return steps


def prices(value: ModelPrice) -> dict[str, Any]:
    """The prices by unit, in the order of the units."""
    known = {key: each for key, each in vars(value).items() if each is not None}
    unknown = known.keys() - UNITS.keys()
    if unknown:
        raise ValueError(f"prices of unknown units: {sorted(unknown)}")
    return {UNITS[key]: price(known[key]) for key in UNITS if key in known}


def validate(model: ModelInfo, registry: UnitRegistry) -> None:
    """Raise ValueError unless genai-prices accepts each price and each variant over each price.

    The reader of the table then has no need to check again that a priced part has a priced whole.
    """
    standard = [each.prices for each in model.prices] if isinstance(model.prices, list) else [model.prices]
    variants = model.price_variants or []
    for base in standard:
        keys = {key for key, value in vars(base).items() if value is not None}
        validate_model_price(keys, registry)
        for variant in variants:
            validate_model_price(keys | {k for k, v in vars(variant.prices).items() if v is not None}, registry)


def model(value: ModelInfo) -> list[Any]:
    """One line of the table."""
    standard: Any
    if isinstance(value.prices, ModelPrice):
        standard = prices(value.prices)
    else:
        conditional: list[ConditionalPrice] = value.prices
        standard = [[when(each.constraint), prices(each.prices)] for each in conditional]
    line = [value.id, rule(value.match), standard]
    if value.price_variants:
        line.append(
            [
                [dict(sorted(each.when.items())), when(each.constraint), prices(each.prices)]
                for each in value.price_variants
            ]
        )
    return line


def provider(value: Provider) -> dict[str, Any]:
    """One provider of the table."""
    result: dict[str, Any] = {}
    if value.provider_match is not None:
        result["match"] = rule(value.provider_match)
    if value.fallback_model_providers:
        result["fallback"] = list(value.fallback_model_providers)
    result["models"] = [model(each) for each in value.models]
    return result


def table(released: str) -> dict[str, Any]:
    """The whole table, as the file holds it.

    Args:
        released: The day on which the installed genai-prices was released.

    Raises:
        TypeError, ValueError: The data has a rule, constraint or unit that the format cannot hold.
    """
    package = distribution("genai-prices")
    registry = UnitRegistry(unit_data)
    for each in providers:
        for info in each.models:
            validate(info, registry)
    data = {each.id: provider(each) for each in providers}
    priced = {
        unit
        for each in data.values()
        for line in each["models"]
        for group in (
            *([line[2]] if isinstance(line[2], dict) else [pair[1] for pair in line[2]]),
            *(variant[2] for variant in (line[3] if len(line) > 3 else [])),
        )
        for unit in group
    }
    return {
        "source": "genai-prices",
        "version": package.version,
        "released": released,
        "license": (package.read_text("licenses/LICENSE") or "").strip(),
        "units": {
            name: [unit["per"], dict(sorted(unit["dimensions"].items()))]
            for key, unit in unit_data.items()
            if (name := unit_name(key)) in priced | COUNTED
        },
        "providers": data,
    }


def render(data: dict[str, Any]) -> str:
    """The text of the file: compact, one unit and one model per line."""

    def compact(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    head = [f"{compact(key)}:{compact(data[key])}" for key in ("source", "version", "released", "license")]
    units = ",\n".join(f"{compact(name)}:{compact(unit)}" for name, unit in data["units"].items())
    sections: list[str] = []
    for name, each in data["providers"].items():
        rest = "".join(f"{compact(key)}:{compact(each[key])}," for key in ("match", "fallback") if key in each)
        lines = ",\n".join(map(compact, each["models"]))
        sections.append(f'{compact(name)}:{{{rest}"models":[\n{lines}\n]}}')
    return "{" + ",\n".join([*head, f'"units":{{\n{units}\n}}', '"providers":{\n' + ",\n".join(sections)]) + "\n}}\n"


def main() -> int:
    """Write or check the file; the exit status is 1 if `--check` finds a difference."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--released", type=lambda text: date.fromisoformat(text).isoformat(), metavar="YYYY-MM-DD")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if the file would change")
    arguments = parser.parse_args()
    version = distribution("genai-prices").version
    released = arguments.released or RELEASED.get(version)
    if released is None:
        parser.error(f"when was genai-prices {version} released? Add it to RELEASED, or pass --released")
    text = render(table(released))
    if arguments.check:
        return int(not PATH.exists() or PATH.read_text(encoding="utf-8") != text)
    PATH.write_text(text, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
