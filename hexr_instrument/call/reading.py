"""Reading what a provider sent: dicts, lists and an SDK's objects alike, and nothing that is not what it should be."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from types import MappingProxyType
from typing import Any

LARGEST_COUNT = 1 << 36
"""No request has more tokens; below it, sums of a hundred million calls stay inside SQLite's 64 bits."""


def pick(source: Any, *path: str | int) -> Any:
    """The value at `path` in nested dicts, lists and plain objects, or None where a step is missing."""
    for step in path:
        if type(source) is dict:  # pyright: ignore[reportUnknownArgumentType]
            source = source.get(step)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        elif isinstance(step, str):
            source = getattr(source, step, None)  # pyright: ignore[reportUnknownArgumentType]
        else:
            items = sequence(source)
            source = items[step] if -len(items) <= step < len(items) else None
        if source is None:
            return None
    return source  # pyright: ignore[reportUnknownVariableType]


_NOTHING: Callable[[str], Any] = MappingProxyType[str, Any]({}).get


DICT: Any = dict
LIST: Any = list
"""What `type(value)` is compared with where each chunk comes by: a type checker then leaves the value as it is."""


def getter(source: Any) -> Callable[[str], Any]:
    """What gives the value of a name in a dict or a plain object: for whoever reads many of one, or one of many."""
    if source is None:
        return _NOTHING
    return source.get if type(source) is dict else lambda name: getattr(source, name, None)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType, reportUnknownLambdaType, reportUnknownArgumentType]


def mapping(source: Any) -> dict[Any, Any]:
    """The dict itself, or an empty one for anything else (a subclass may have side effects: it is not touched)."""
    return source if type(source) is dict else {}  # pyright: ignore[reportUnknownVariableType]


def sequence(source: Any) -> list[Any]:
    """The items of an exact list or tuple, or none for anything else: a generator is not consumed."""
    return list(source) if type(source) is tuple else source if type(source) is list else []  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def number(source: Any, *path: str | int) -> int | None:
    """The whole number at `path`, or None: a provider's "n/a", true, a negative or an absurd count is not a number."""
    value = pick(source, *path) if path else source
    if value is None:
        return None
    if type(value) is int:
        return value if 0 <= value < LARGEST_COUNT else None
    return number(int(value)) if type(value) is float and value.is_integer() else None


def parsed(source: str | bytes) -> Any:
    """What the JSON says, or None where it is none: a body that was read raw may be anything."""
    try:
        return json.loads(source)
    except (ValueError, RecursionError):  # RecursionError: a body of nothing but brackets
        return None


_COUNTS = ("tokens", "count", "requests")
_BREAKDOWNS = ("details", "creation", "iterations", "by_modality", "server_tool_use")


def sound(usage: Any, depth: int = 4) -> bool:
    """Whether each count that a usage object states is one; a bill with one wrong number is no bill."""
    fields: Any = getattr(usage, "__dict__", usage)
    if type(fields) is not dict or depth == 0:
        return False
    stated: dict[Any, Any] = fields  # pyright: ignore[reportUnknownVariableType]
    for name, value in stated.items():
        if value is None or (counts := _counts(name)) is None:
            continue
        if counts and type(value) is int:
            if not 0 <= value < LARGEST_COUNT:
                return False
        elif type(value) in (list, tuple):
            if not all(sound(each, depth - 1) for each in sequence(value)):
                return False
        elif counts:
            if number(value) is None:
                return False
        elif not sound(value, depth - 1):
            return False
    return True


@lru_cache(maxsize=512)
def _counts(name: Any) -> bool | None:
    """Whether a field of that name is a count, or else a breakdown of some; None for what is neither."""
    kind = str(name).lower()
    return True if kind.endswith(_COUNTS) else False if kind.endswith(_BREAKDOWNS) else None


def text(source: Any, *path: str | int) -> str | None:
    """The non-empty string at `path`, or None; an enum counts as its string value."""
    value = pick(source, *path) if path else source
    if value is None:
        return None
    if type(value) is not str:
        value = getattr(value, "value", None)
    return value if type(value) is str and value else None


def total(*counts: int | None) -> int | None:
    """The sum of the counts that are known, or None if none is."""
    found = None
    for count in counts:
        if count is not None:
            found = count if found is None else found + count
    return found
