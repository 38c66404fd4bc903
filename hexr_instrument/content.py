"""Prompts and answers, for those who ask for them: read without touching the program's objects, and kept within a bound.

What a format makes of them are the messages and parts of the OpenTelemetry GenAI conventions, as plain JSON values.
"""

from __future__ import annotations

import json
from enum import Enum
from math import isfinite
from types import FunctionType, MethodType
from typing import Any

from . import redact
from .call import Format, mapping

DEPTH = 24
"""Levels of nesting that are read; what is deeper is named by its type."""
LEAST = 64
"""Characters that every text keeps: roles, types and most ids are shorter."""

_LONGEST_KEY = 512
"""Characters of the longest key, or token, that is looked for where a text is cut."""
_ABSENT = ("NotGiven", "Omit", "Unset", "ellipsis")
"""What the SDKs' own defaults are: a field that is not sent."""


def plain(value: Any, depth: int = DEPTH) -> Any:
    """The value as JSON has it, with `bytes` kept as they are for whoever says how many there were.

    Exact dicts, lists, texts and numbers are read, and the fields of pydantic objects, as all SDKs have them. Anything
    else (a generator, a file, a subclass with ideas of its own) is named by its type and never called.
    """
    kind = _kind(value)
    if value is None or kind in (str, bool, bytes):
        return value
    if kind is int:
        return value if -(2**63) <= value < 2**63 else str(value)
    if kind is float:
        return value if isfinite(value) else str(value)
    if not depth:
        return _named(kind)
    if kind is dict:
        return {
            str(key): plain(each, depth - 1)
            for key, each in value.copy().items()
            if type(key) in (str, int) and type(each).__name__ not in _ABSENT
        }
    if kind in (list, tuple):
        return [plain(each, depth - 1) for each in tuple(value)]
    if any("__pydantic_validator__" in each.__dict__ for each in kind.__mro__):
        return plain({**_stored(value, "__dict__"), **_stored(value, "__pydantic_extra__")}, depth)
    if issubclass(kind, Enum):
        return plain(value._value_, 0)
    if kind in (FunctionType, MethodType):  # a tool, where an SDK takes functions for one
        return {"name": value.__name__}
    return _named(kind)


def _stored(value: Any, name: str) -> dict[str, Any]:
    """A dict that an object holds, past any `__getattr__` of its class."""
    try:
        found = object.__getattribute__(value, name)
    except AttributeError:
        return {}
    return mapping(found)


def _kind(value: object) -> type[Any]:
    return type(value)


def _named(kind: type[Any]) -> dict[str, str]:
    return {"type": kind.__name__}


def asked(wire: Format, body: Any, limit: int) -> dict[str, Any]:
    """What a request says: `input`, `system` and `tools`, each within `limit` bytes of JSON; without what is empty."""
    found = wire.content.asked(plain(body)) if wire.content is not None else {}
    return {name: fitted for name, each in found.items() if (fitted := fit(each, limit))}


def said(wire: Format, payload: Any, limit: int) -> list[Any]:
    """What an answer says, within `limit` bytes of JSON: one message for each choice."""
    return fit(wire.content.said(plain(payload)), limit) if wire.content is not None else []


def value(given: Any, limit: int) -> dict[str, Any]:
    """A tool's arguments or its result as an object, within `limit` bytes of JSON: what is none becomes its `value`."""
    read = plain(given)
    read = _parsed(read) if type(read) is str else read
    fitted = fit([read if type(read) is dict else {"value": read}], limit - 2)  # without the brackets around it
    return fitted[0] if fitted else {}


def encoded(value: Any) -> str:
    """The JSON text of a value."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def fit(items: list[Any], limit: int) -> list[Any]:
    """The items so that their JSON is at most `limit` bytes long: long texts are cut, then the oldest items go.

    A cut text ends with how many characters were left out; left-out items are counted in a part of type `omitted`.
    """
    cap = limit
    while True:
        cut = [_cut(each, cap) for each in items]
        if _size(cut) <= limit:
            return cut
        if cap // 2 < max(LEAST, min(1024, limit // 8)):
            break
        cap //= 2
    room = limit - 64  # for the part that counts what was left out
    kept: list[Any] = []
    for each in reversed(cut):
        room -= _size(each) + 1
        if room < 0:
            break
        kept.insert(0, each)
    return _counted(kept, cut, len(cut) - len(kept))


def _counted(kept: list[Any], items: list[Any], left: int) -> list[Any]:
    """The kept items with a part that counts the others, wherever the conventions have room for one."""
    omitted = {"type": "omitted", "count": left}
    if "parts" in items[-1]:
        first: dict[str, Any] = kept[0] if kept else {"role": items[-1]["role"], "parts": []}
        return [{**first, "parts": [omitted, *first["parts"]]}, *kept[1:]]
    if "name" in items[-1]:  # a tool's definition has to have a name
        omitted["name"] = "omitted"
    return [omitted, *kept] if "type" in items[-1] else kept


def _size(value: Any) -> int:
    return len(encoded(value).encode())


def _cut(value: Any, cap: int) -> Any:
    """A copy whose texts are at most `cap` characters long and can be sent: arguments in JSON become objects."""
    kind = _kind(value)
    if kind is str:
        text = redact.keys(value[: cap + _LONGEST_KEY])  # before it is cut: half a key is one, too
        text = text[:cap] if len(value) <= cap else f"{text[:cap]}…[{len(value) - cap} more]"
        return text.encode("utf-8", "replace").decode()  # half a surrogate pair cannot be sent
    if kind is bytes:
        return f"<{len(value)} bytes>"
    if kind is list:
        return [_cut(each, cap) for each in value]
    if kind is dict:
        if value.get("type") == "tool_call" and type(value.get("arguments")) is str:
            value = {**value, "arguments": _parsed(value["arguments"])}
        return {_cut(name, cap): _cut(each, cap) for name, each in value.items()}
    return value


def _parsed(text: str) -> Any:
    """The object that a JSON text says, or the text itself: a stream may have broken off in the middle of it."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return plain(found) if type(found) is dict else text
