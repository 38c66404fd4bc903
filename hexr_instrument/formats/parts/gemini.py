"""Content of Google's generateContent, by the names of the wire and by those of the SDK."""

from __future__ import annotations

import json
from typing import Any

from ...call import Content, mapping, pick, sequence, text
from . import (
    Part,
    blob,
    definition,
    link,
    message,
    modality_of,
    present,
    reasoning,
    server_call,
    server_response,
    texts,
    tool_call,
    tool_response,
)


def get(source: Any, name: str) -> Any:
    """A value by its snake_case name, or by the camelCase name that the wire has for it."""
    held = mapping(source)
    head, *rest = name.split("_")
    return held[name] if name in held else held.get(head + "".join(word.capitalize() for word in rest))


def asked(arguments: Any) -> dict[str, list[Any]]:
    """Contents, system instruction and tools of the SDK's method (`contents`, `config`)."""
    config = pick(arguments, "config")
    instruction = get(config, "system_instruction")
    return {
        "input": contents(pick(arguments, "contents")),
        "system": [part for each in contents(instruction) for part in each["parts"]],
        "tools": [each for tool in sequence(get(config, "tools")) for each in _tools(tool)],
    }


def contents(source: Any) -> list[Part]:
    """Messages of a text, a content, a part, or a list of those; loose parts beside each other are one message."""
    found: list[Part] = []
    loose = False
    for item in sequence(source) or ([] if source is None else [source]):
        if "parts" in mapping(item) or "role" in mapping(item):
            role = text(item, "role") or "user"
            parts = [part for each in sequence(get(item, "parts")) for part in _part(each)]
            found.append(message("assistant" if role == "model" else role, parts))
            loose = False
            continue
        parts = texts(item) or _part(item)
        if loose:
            found[-1]["parts"].extend(parts)
        else:
            found.append(message("user", parts))
        loose = True
    return found


def _part(part: Any) -> list[Part]:
    """A part as the conventions have it; a thought is reasoning."""
    if said := words_of(part):
        return reasoning(said) if get(part, "thought") else texts(said)
    if data := get(part, "inline_data"):
        return [blob(get(data, "data"), text(get(data, "mime_type")))]
    mime = text(get(part, "mime_type"))
    for place in (get(part, "file_data"), part):
        if uri := text(get(place, "file_uri")) or text(get(place, "uri")):
            kind = text(get(place, "mime_type")) or mime
            return [link(uri, modality_of(kind), kind)]
    if call := get(part, "function_call"):
        return [tool_call(get(call, "name"), get(call, "args"), get(call, "id"))]
    if answer := get(part, "function_response"):
        made = tool_response(get(answer, "response"), get(answer, "id"))
        return [made | present(name=text(get(answer, "name")))]
    if code := get(part, "executable_code"):
        return [server_call("code_execution", None, code=get(code, "code"), language=text(get(code, "language")))]
    if result := get(part, "code_execution_result"):
        return [server_response("code_execution", None, get(result, "output"))]
    # An image object, or a part that is newer than this table.
    return [{"type": text(part, "type") or "unknown"}] if part else []


def words_of(part: Any) -> str | None:
    """The text of a part."""
    return text(get(part, "text"))


def _tools(tool: Any) -> list[Part]:
    """A tool is functions, one function of Python, or a tool of Google's own."""
    if functions := sequence(get(tool, "function_declarations")):
        return [definition("function", get(each, "name")) for each in functions]
    if name := text(get(tool, "name")):
        return [definition("function", name)]
    return [definition(name, name) for name, value in mapping(tool).items() if value is not None]


def said(payload: Any) -> list[Any]:
    """One message for each candidate."""
    raw = pick(payload, "sdk_http_response", "body")  # where the user asked the SDK for nothing else
    if type(raw) is str and not get(payload, "candidates"):
        payload = json.loads(raw)
    found = sequence(get(payload, "candidates"))
    return [
        message(
            "assistant", _merged([part for each in sequence(get(get(one, "content"), "parts")) for part in _part(each)])
        )
        for one in found
    ]


def _merged(parts: list[Part]) -> list[Part]:
    """The pieces of a stream's texts beside each other as one part."""
    found: list[Part] = []
    for part in parts:
        if found and part["type"] in ("text", "reasoning") and found[-1]["type"] == part["type"]:
            found[-1] = {**part, "content": found[-1]["content"] + part["content"]}
        else:
            found.append(part)
    return found


def fold(so_far: Any, chunk: Any) -> Any:
    """Adds the parts of each candidate."""
    so_far = so_far or {"candidates": []}
    for place, one in enumerate(sequence(get(chunk, "candidates"))):
        while len(so_far["candidates"]) <= place:
            so_far["candidates"].append({"content": {"parts": []}})
        so_far["candidates"][place]["content"]["parts"] += sequence(get(get(one, "content"), "parts"))
    return so_far


GENERATE_CONTENT = Content(asked, said, fold)
