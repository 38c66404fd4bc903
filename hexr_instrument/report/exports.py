"""Providers' own exports as lines that can be compared: OpenAI, Anthropic, Google Cloud; JSON, JSON lines or CSV."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, cast

from ..call import USD
from . import UsageError, zone_of

_LARGEST = 256 << 20
_NOT_THEIRS = ("gcp.gemini", "gcp.vertex_ai", "gcp.gen_ai")
_ZONES = {"google": "America/Los_Angeles"}
"""Where a provider's days are not UTC."""
PROVIDERS: dict[str, tuple[str, ...]] = {"openai": ("openai",), "anthropic": ("anthropic",), "google": _NOT_THEIRS}
"""Whose export it is -> the providers of our calls."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an export; None is not said."""

    day: str
    model: str | None
    """Without a date; None for what is no model: tax, credits, storage."""
    project: str | None = None
    key: str | None = None
    """A hash of what the export says of the key."""
    calls: int | None = None
    input: int | None = None
    """All input tokens, cached ones too."""
    output: int | None = None
    cost: int | None = None
    """In 1e-12 USD; None also in another currency."""
    currency: str = "USD"
    batch: bool = False


@dataclass(frozen=True, slots=True)
class Export:
    """What a provider says."""

    provider: str
    zone: tzinfo
    lines: tuple[Line, ...]


def read(path: Path, zone: tzinfo | None) -> Export:
    """The export in a file.

    Args:
        path: JSON (one page, a list of pages, or one page a line) or CSV.
        zone: The zone of its days; the provider's own by default.

    Raises:
        UsageError: it cannot be read, or is none of the exports that are known.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise UsageError(f"--reconcile: {path} cannot be read ({error.strerror}); name an export's file") from None
    if len(data) > _LARGEST:
        raise UsageError(f"--reconcile: {path} is larger than {_LARGEST >> 20} MiB; export fewer days at once")
    text = data.decode("utf-8-sig", "replace").strip()
    try:
        rows = _of_json(text) if text[:1] in ("{", "[") else _of_csv(text)
        found = [(provider, row) for provider, row in map(_known, rows) if provider is not None]
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError) as error:
        raise UsageError(f"--reconcile: {path} cannot be read ({error}); name an export as it was downloaded") from None
    if not found:
        raise UsageError(
            f"--reconcile: {path} is no export that is known; use OpenAI's or Anthropic's usage or cost, or Google's"
            " billing export"
        )
    provider = found[0][0]
    own = zone or zone_of(_ZONES.get(provider))
    try:
        lines = tuple(_line(row, own) for name, row in found if name == provider)
    except (ValueError, TypeError, ArithmeticError, AttributeError) as error:
        raise UsageError(f"--reconcile: {path} cannot be read ({error}); name an export as it was downloaded") from None
    return Export(provider, own, lines)


_Row = Mapping[str, Any]


def _of_json(text: str) -> Iterator[_Row]:
    try:
        pages: Any = json.loads(text, parse_float=Decimal)
    except ValueError:
        pages = [json.loads(line, parse_float=Decimal) for line in text.splitlines() if line.strip()]
    for page in cast("list[Any]", pages) if type(pages) is list else [pages]:
        buckets: Any = page.get("data", [page])
        for bucket in buckets:
            for result in bucket.get("results", [bucket]):
                yield _flat({**{key: bucket[key] for key in bucket if key != "results"}, **result})


def _of_csv(text: str) -> Iterator[_Row]:
    for row in csv.DictReader(io.StringIO(text)):
        yield {_column(name): value for name, value in row.items() if name and value not in (None, "")}


def _column(name: str) -> str:
    """`Unrounded Cost ($)` is `unrounded_cost`."""
    return re.sub(r"[^a-z0-9]+", "_", re.sub(r"\(.*?\)", "", name.lower())).strip("_")


def _flat(row: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in row.items():
        if type(value) is dict:
            found |= _flat(cast("dict[str, Any]", value), f"{prefix}{name}_")
        elif value is not None:
            found[prefix + name] = value
    return found


_USAGE = {"uncached_input_tokens", "usage_input_tokens_no_cache"}


def _known(row: _Row) -> tuple[str | None, _Row]:
    """Whose line it is."""
    names = row.keys()
    if str(row.get("object", "")).startswith("organization.") or names & {"num_model_requests", "line_item"}:
        return "openai", row
    if names & {*_USAGE, "usage_date_utc"} or ("starting_at" in names and "amount" in names):
        return "anthropic", row
    if names & {"sku_description", "sku_id"} and names & {"cost", "unrounded_cost"}:
        return "google", row
    return None, row


_INPUTS = (
    "uncached_input_tokens",
    "cache_read_input_tokens",
    "cache_creation_ephemeral_5m_input_tokens",
    "cache_creation_ephemeral_1h_input_tokens",
    "usage_input_tokens_no_cache",
    "usage_input_tokens_cache_read",
    "usage_input_tokens_cache_write_5m",
    "usage_input_tokens_cache_write_1h",
)
"""Anthropic's parts of the input, in its API's and its console's names; OpenAI's `input_tokens` is the whole."""


def _line(row: _Row, zone: tzinfo) -> Line:
    parts = [_count(row[name]) for name in _INPUTS if name in row]
    key = _first(row, "api_key_id", "api_key")
    return Line(
        day=_day(
            _first(row, "start_time", "starting_at", "usage_date_utc", "usage_start_time", "usage_start_date"), zone
        ),
        model=_model(row),
        project=_first(row, "project_name", "project_id", "workspace", "workspace_id"),
        key=None if key is None else hashed(key),
        calls=_whole(row, "num_model_requests", "request_count"),
        input=sum(parts) if parts else _whole(row, "input_tokens"),
        output=_whole(row, "output_tokens", "usage_output_tokens"),
        cost=_cost(row),
        currency=(_first(row, "amount_currency", "currency") or "USD").upper(),
        batch=str(row.get("batch", row.get("service_tier", row.get("usage_type", "")))).lower() in ("true", "batch"),
    )


def hashed(key: str) -> str:
    """What is shown of a key's id."""
    return hashlib.sha256(key.encode()).hexdigest()[:8]


def _first(row: _Row, *names: str) -> str | None:
    return next((str(row[name]) for name in names if row.get(name) not in (None, "")), None)


def _whole(row: _Row, *names: str) -> int | None:
    found = _first(row, *names)
    return None if found is None else _count(found)


def _count(value: Any) -> int:
    return int(Decimal(str(value).replace(",", "")))


def _cost(row: _Row) -> int | None:
    """The amount in 1e-12 USD; Anthropic's API states cents, Google its credits apart."""
    if (_first(row, "amount_currency", "currency") or "USD").upper() != "USD":
        return None
    found = _first(row, "amount_value", "unrounded_cost", "cost_usd", "cost", "amount")
    if found is None:
        return None
    try:
        amount = Decimal(found.replace(",", "").replace("$", ""))
    except InvalidOperation:
        raise ValueError(f"{found!r} is no amount") from None
    if "amount" in row and "starting_at" in row:
        amount /= 100
    credits_given: Any = row.get("credits")
    if type(credits_given) is list:
        amount += sum(Decimal(str(each.get("amount", 0))) for each in cast("list[Any]", credits_given))
    return int((amount * USD).to_integral_value())


def _day(text: str | None, zone: tzinfo) -> str:
    if text is None:
        raise ValueError("a line has no day")
    if re.fullmatch(r"\d{9,11}(\.0)?", text):
        return datetime.fromtimestamp(int(float(text)), zone).date().isoformat()
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        return text
    moment = datetime.fromisoformat(re.sub(r"\s*(Z|UTC)$", "+00:00", text))
    return (moment.astimezone(zone) if moment.tzinfo else moment).date().isoformat()


def _model(row: _Row) -> str | None:
    """The model's name without its date; None for what is no model."""
    name = _first(row, "model", "model_version", "line_item")
    if name is not None:
        return undated(name.partition(",")[0].strip())
    # Google has the model within a description: Generate content input token count gemini 2.5 flash ...
    sku = (_first(row, "sku_description") or "").lower()
    found = re.search(r"gemini[ -](\d+(?:\.\d+)?)[ -](pro|flash[ -]lite|flash|ultra)", sku)
    return f"gemini-{found[1]}-{found[2].replace(' ', '-')}" if found else None


def undated(model: str) -> str:
    """`gpt-4o-2024-08-06` is `gpt-4o`: exports and responses date the same model differently."""
    return re.sub(r"[-@](20\d\d-\d\d-\d\d|20\d{6})$", "", model.lower())


def added(lines: Iterable[Line], name: str) -> int | None:
    """The sum of what lines say of one thing; None if none says it."""
    known = [value for line in lines if (value := getattr(line, name)) is not None]
    return sum(known) if known else None
