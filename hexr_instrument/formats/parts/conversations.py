"""Content of Mistral's conversations: entries, which are messages, calls of functions, their results, and tools' runs."""

from __future__ import annotations

from typing import Any

from ...call import Content, mapping, pick, sequence, text
from . import Part, add, chat, definition, in_order, message, server_call, texts, tool_call, tool_response


def asked(body: Any) -> dict[str, list[Any]]:
    """Inputs, instructions and tools of a conversation's request."""
    inputs = pick(body, "inputs")
    return {
        "input": [message("user", texts(inputs))]
        if type(inputs) is str
        else [_entry(each) for each in sequence(inputs)],
        "system": texts(pick(body, "instructions")),
        "tools": [
            definition(kind := text(tool, "type") or "function", text(tool, "function", "name") or kind)
            for tool in sequence(pick(body, "tools"))
        ],
    }


def _entry(entry: Any) -> Part:
    kind = text(entry, "type")
    if kind == "function.result":
        return message("tool", [tool_response(pick(entry, "result"), pick(entry, "tool_call_id"))])
    if kind == "message.input" or text(entry, "role") == "user":
        return message("user", chat.parts_of_content(pick(entry, "content")))
    return message("assistant", _made(entry))


def _made(entry: Any) -> list[Part]:
    kind = text(entry, "type")
    if kind == "function.call":
        return [tool_call(pick(entry, "name"), pick(entry, "arguments"), pick(entry, "tool_call_id"))]
    if kind == "tool.execution":
        return [server_call(pick(entry, "name"), pick(entry, "id"))]
    return chat.parts_of_content(pick(entry, "content"))


def said(payload: Any) -> list[Any]:
    """One message of all that was made for an answer."""
    parts = [part for entry in in_order(pick(payload, "outputs")) for part in _made(entry)]
    return [message("assistant", parts)] if parts else []


def fold(so_far: Any, chunk: Any) -> Any:
    """Adds a piece to the entry of its id."""
    so_far = so_far or {"outputs": []}
    data = pick(chunk, "data") or chunk
    kind = text(data, "type") or ""
    if not kind.endswith(".delta"):
        return so_far
    entries: list[Part] = so_far["outputs"]
    at = next((each for each in entries if each["id"] == pick(data, "id")), None)
    if at is None:
        at = {name: value for name in ("id", "name", "tool_call_id") if (value := pick(data, name)) or name == "id"}
        at["type"] = kind.removesuffix(".delta")
        entries.append(at)
    name = "arguments" if at["type"] == "function.call" else "content"
    piece = pick(data, name)
    add(at, name, text(piece, "text") if mapping(piece) else piece)
    return so_far


CONVERSATIONS = Content(asked, said, fold)
