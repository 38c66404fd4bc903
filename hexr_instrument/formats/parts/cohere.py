"""Content of Cohere's chat, v2 in messages and v1 in one message with its history, and of its completions."""

from __future__ import annotations

from typing import Any

from ...call import Content, mapping, number, pick, sequence, text
from . import (
    Part,
    add,
    definition,
    in_order,
    link,
    message,
    other,
    parts_of,
    reasoning,
    slot,
    texts,
    tool_call,
    tool_response,
)


def asked(body: Any) -> dict[str, list[Any]]:
    """Messages and tools of a v2 body; a system message stays where it stands."""
    return {
        "input": [_message(each) for each in sequence(pick(body, "messages"))],
        "tools": _tools(body),
    }


def _tools(body: Any) -> list[Any]:
    return [
        definition(text(tool, "type") or "function", pick(tool, "function", "name") or pick(tool, "name"))
        for tool in sequence(pick(body, "tools"))
    ]


def _message(source: Any) -> Part:
    role = (text(source, "role") or "user").lower()
    if role == "tool":
        content = pick(source, "content")
        answered = content if type(content) is str else parts_of(content, _part)
        return message(role, [tool_response(answered, pick(source, "tool_call_id"))])
    return message("assistant" if role == "chatbot" else role, _parts(source))


def _parts(source: Any) -> list[Part]:
    return [
        *reasoning(pick(source, "tool_plan")),
        *parts_of(in_order(pick(source, "content")) or pick(source, "content"), _part),
        *texts(pick(source, "message")),  # v1
        *(_call(call) for call in in_order(pick(source, "tool_calls"))),
    ]


def _call(call: Any) -> Part:
    function = pick(call, "function") or call
    return tool_call(
        pick(function, "name"), pick(function, "arguments") or pick(function, "parameters"), pick(call, "id")
    )


def _part(part: Any) -> list[Part]:
    found = [*reasoning(pick(part, "thinking")), *texts(pick(part, "text"))]
    if found or text(part, "type") in ("text", "thinking"):
        return found
    if url := text(part, "image_url", "url"):
        return [link(url, "image")]
    return [other(part)]


def said(payload: Any) -> list[Any]:
    """The one message of a v2 answer."""
    parts = _parts(pick(payload, "message"))
    return [message("assistant", parts)] if parts else []


def fold(so_far: Any, chunk: Any) -> Any:
    """Adds the piece of one v2 event to the message."""
    so_far = so_far or {"message": {"content": {}, "tool_calls": {}}}
    whole = so_far["message"]
    delta = pick(chunk, "delta", "message")
    index = number(chunk, "index")
    add(whole, "tool_plan", pick(delta, "tool_plan"))
    if piece := mapping(pick(delta, "content")):
        for name in ("text", "thinking"):
            add(slot(whole["content"], index), name, piece.get(name))
    if called := mapping(pick(delta, "tool_calls")):
        place = slot(whole["tool_calls"], index)
        if identity := text(called, "id"):
            place["id"] = identity
        inner = place.setdefault("function", {})
        if name := text(called, "function", "name"):
            inner["name"] = name
        add(inner, "arguments", pick(called, "function", "arguments"))
    return so_far


def _asked_1(body: Any) -> dict[str, list[Any]]:
    history = [_message(each) for each in sequence(pick(body, "chat_history"))]
    results = [
        message("tool", [tool_response(pick(each, "outputs"), None)]) for each in sequence(pick(body, "tool_results"))
    ]
    last = texts(pick(body, "message")) or texts(pick(body, "prompt"))
    return {
        "input": [*history, *results, *([message("user", last)] if last else [])],
        "system": texts(pick(body, "preamble")),
        "tools": _tools(body),
    }


def _said_1(payload: Any) -> list[Any]:
    made = sequence(pick(payload, "generations"))
    calls = [_call(call) for call in sequence(pick(payload, "tool_calls"))]
    found = [texts(pick(each, "text")) for each in made] or [[*texts(pick(payload, "text")), *calls]]
    return [message("assistant", parts) for parts in found if parts]


def _fold_1(so_far: Any, chunk: Any) -> Any:
    so_far = so_far or {}
    if text(chunk, "event_type") == "text-generation":
        add(so_far, "text", pick(chunk, "text"))
    elif text(chunk, "event_type") == "tool-calls-generation":
        so_far["tool_calls"] = pick(chunk, "tool_calls")
    return so_far


CHAT = Content(asked, said, fold)
CHAT_1 = GENERATE = Content(_asked_1, _said_1, _fold_1)
