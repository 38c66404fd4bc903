"""Journal lines as the store keeps them. Pure: bytes in, typed values out, whatever somebody wrote there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from ..call import LARGEST_COUNT, number, text

VERSION = 1
"""The journal format that this module reads; a newer one is left to a newer hexr-instrument."""
MISMATCH = "stated_total"
"""The count in a call's usage that is there only where the provider's own total is another than input plus output."""
TOKEN_FIELDS = ("input", "output", "cache_read", "cache_write", "reasoning")
"""The usage fields that have a column of their own; the others are kept as JSON."""
_LONGEST_NAME = 512
_LARGEST_INTEGER = (1 << 63) - 1


class Facet(NamedTuple):
    """What many calls have in common and reports group by; stored once and referred to by number."""

    agent: str | None
    tenant: str | None
    role: str | None
    provider: str | None
    requested: str | None
    served: str | None
    operation: str | None
    cost_status: str
    cost_source: str | None
    error: str | None

    @property
    def model(self) -> str | None:
        """The model that reports name: as served if that is known, else as requested."""
        return self.served or self.requested


@dataclass(frozen=True, slots=True)
class Entry:
    """One call as it goes into the store."""

    id: bytes
    facet: Facet
    values: tuple[Any, ...]
    """The values of `VALUE_COLUMNS`."""


VALUE_COLUMNS = (
    "trace",
    "parent",
    "sampled",
    "start",
    "duration",
    "first_chunk",
    "cost",
    *TOKEN_FIELDS,
    "usage",
    "labels",
    "finish",
    "response",
    "status",
    "stream",
    "tier",
    "bill",
)
"""The columns of `calls` that are copied from a line, beside `id`, `facet` and `segment`."""


@dataclass(frozen=True, slots=True)
class Header:
    """The first line of a segment: what its calls have in common."""

    version: int = VERSION
    run: str | None = None
    service: str | None = None
    resource: str | None = None
    """JSON object of the resource attributes."""
    prices: str | None = None
    destination: str | None = None
    keep: bool = True


def read_header(line: bytes) -> Header | None:
    """The header in a segment's first line, or None if that line is something else or damaged."""
    fields = _object(line)
    if fields is None or fields.get("kind") != "segment":
        return None
    return Header(
        version=number(fields, "v") or VERSION,
        run=_name(fields, "run"),
        service=_name(fields, "service"),
        resource=_json(fields.get("resource"), dict),
        prices=_name(fields, "prices"),
        destination=_name(fields, "destination"),
        keep=fields.get("keep") is not False,
    )


def read_entry(line: bytes) -> Entry | None:
    """The call in one line, or None for a line that is whole but not a billed call.

    Raises:
        ValueError: the line is damaged: no JSON object, or a call without an id or a time.
    """
    fields = _object(line)
    if fields is None:
        raise ValueError("not a JSON object")
    if fields.get("kind") != "call" or fields.get("op") == "fetch_response":
        return None
    key, start = _binary(fields, "id", 8), _integer(fields, "start")
    if key is None or start is None or start < 0:
        raise ValueError("a call without an id or a time")
    cost, end = _integer(fields, "cost"), _integer(fields, "end")
    counts = _items(fields.get("usage"))
    usage: dict[str, int] = {name: count for name, count in counts if _is_count(count)}
    labels = {name: _clean(value) for name, value in _items(fields.get("labels")) if type(value) is str}
    rest = {name: count for name, count in usage.items() if name not in TOKEN_FIELDS}
    values = (
        _binary(fields, "trace", 16),
        _binary(fields, "parent", 8),
        int(fields.get("sampled") is True),
        start,
        end - start if end is not None and end >= start else None,
        _integer(fields, "first_chunk"),
        cost,
        *(usage.get(name) for name in TOKEN_FIELDS),
        _json(rest, dict),
        _json(labels, dict),
        _json(fields.get("finish"), list),
        _name(fields, "response_id"),
        _integer(fields, "status"),
        int(fields.get("stream") is True),
        _name(fields, "tier"),
        _json({name: fields[name] for name in ("parts", "surcharge", "grade") if name in fields}, dict),
    )
    facet = Facet(
        agent=_name(fields, "agent"),
        tenant=_name(fields, "tenant"),
        role=_name(fields, "role"),
        provider=_name(fields, "provider"),
        requested=_name(fields, "model"),
        served=_name(fields, "served"),
        operation=_name(fields, "op"),
        cost_status=_cost_status(fields, cost, known=bool(usage)),
        cost_source=_name(fields, "cost_source"),
        error=_name(fields, "error"),
    )
    return Entry(key, facet, values)


def _cost_status(fields: dict[str, Any], cost: int | None, *, known: bool) -> str:
    """The status as stated, unless the record's cost contradicts it: an unknown cost is never `priced`."""
    stated = fields.get("cost_status")
    if stated == "partial":
        return "partial"
    if cost is not None:
        return "priced"
    if stated in ("unpriced", "no_usage"):
        return stated
    return "unpriced" if known else "no_usage"


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):  # RecursionError: a line of nothing but brackets
        return None
    return value if type(value) is dict else None  # pyright: ignore[reportUnknownVariableType]


def _items(value: Any) -> list[tuple[str, Any]]:
    return [(_clean(name), each) for name, each in cast("dict[str, Any]", value).items()] if type(value) is dict else []


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < LARGEST_COUNT


def _name(fields: dict[str, Any], key: str) -> str | None:
    value = text(fields, key)
    return _clean(value) if value is not None else None


def _clean(value: str) -> str:
    """The text without lone surrogates, which SQLite cannot take, and not longer than a name should be."""
    return value[:_LONGEST_NAME].encode("utf-8", "replace").decode()


def _integer(fields: dict[str, Any], key: str) -> int | None:
    value = fields.get(key)
    return value if type(value) is int and -_LARGEST_INTEGER <= value <= _LARGEST_INTEGER else None


def _binary(fields: dict[str, Any], key: str, length: int) -> bytes | None:
    try:
        value = bytes.fromhex(fields[key])
    except (KeyError, TypeError, ValueError):
        return None
    return value if len(value) == length else None


def _json(value: Any, kind: type) -> str | None:
    if type(value) is not kind or not value:
        return None
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def texts(column: str | None) -> dict[str, str]:
    """The texts in a column of names and values."""
    return {name: value for name, value in json.loads(column or "{}").items() if isinstance(value, str)}
