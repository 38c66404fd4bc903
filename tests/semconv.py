"""The conventions as data, and content checked against their JSON Schemas: no more of JSON Schema than these use."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SCHEMAS: dict[str, Any] = json.loads((HERE / "semconv_content.json").read_text())
_TYPES = {"string": str, "object": dict, "array": list, "null": type(None)}


def faults(name: str, value: Any) -> list[str]:
    """What a content attribute's structured value has against its schema, one line each."""
    schema = SCHEMAS[name]
    return [f"{name}{fault}" for fault in _faults(value, schema, schema.get("$defs", {}))]


def _faults(value: Any, schema: Mapping[str, Any], named: Mapping[str, Any]) -> Iterator[str]:
    if "$ref" in schema:
        reference = schema["$ref"].rpartition("/")[2]
        if reference in named:
            yield from _faults(value, named[reference], named)
        elif not isinstance(value, dict | bool):
            yield f" {value!r} is no JSON Schema"
        return
    if "anyOf" in schema:
        options = [list(_faults(value, each, named)) for each in _fitting(value, schema["anyOf"], named)]
        if all(options):
            yield from options[0]
        return
    kind = _TYPES.get(schema.get("type", ""))
    if kind is not None and type(value) is not kind:
        yield f" is {value!r}, no {schema['type']}"
    elif "const" in schema and value != schema["const"]:
        yield f" is {value!r}, not {schema['const']!r}"
    elif "enum" in schema and value not in schema["enum"]:
        yield f" is {value!r}, none of {schema['enum']}"
    elif kind is dict:
        yield from (f" has no {each!r}: {value}" for each in schema.get("required", ()) if each not in value)
        for each, inner in schema.get("properties", {}).items():
            if each in value:
                yield from (f".{each}{fault}" for fault in _faults(value[each], inner, named))
    elif kind is list:
        for index, each in enumerate(value):
            yield from (f"[{index}]{fault}" for fault in _faults(each, schema.get("items", {}), named))


def _fitting(value: Any, options: list[Any], named: Mapping[str, Any]) -> list[Any]:
    """The options for a part: a type that has a schema of its own must follow that one, not the generic one."""
    if type(value) is not dict:
        return options
    kinds = {
        named.get(each.get("$ref", "").rpartition("/")[2], {}).get("properties", {}).get("type", {}).get("const"): each
        for each in options
    }
    own = kinds.get(value.get("type"))
    return [own] if own is not None and value.get("type") else options
