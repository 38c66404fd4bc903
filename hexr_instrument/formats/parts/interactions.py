"""Content of Google's interactions: steps, whose content is texts, thoughts, media, tools and their results."""

from __future__ import annotations

from typing import Any

from ...call import Content, mapping, number, pick, sequence, text
from . import (
    Part,
    add,
    blob,
    definition,
    in_order,
    link,
    message,
    parts_of,
    reasoning,
    server_call,
    server_response,
    slot,
    texts,
    tool_call,
    tool_response,
)

_MEDIA = ("image", "audio", "video", "document")


def asked(body: Any) -> dict[str, list[Any]]:
    """Input, instruction and tools of an interaction's body."""
    return {
        "input": _messages(pick(body, "input")),
        "system": texts(pick(body, "system_instruction")),
        "tools": [
            definition(kind := text(tool, "type") or "function", pick(tool, "name") or kind)
            for tool in sequence(pick(body, "tools"))
        ],
    }


def _messages(given: Any) -> list[Any]:
    """A text, one content, a list of contents, or a list of steps or turns."""
    items = [given] if type(given) in (str, dict) else sequence(given)
    if not any("content" in mapping(each) or _is_step(each) for each in items):
        parts = parts_of(items, _part)
        return [message("user", parts)] if parts else []
    return [message(_role(each), _step(each)) for each in items]


def _is_step(item: Any) -> bool:
    kind = text(item, "type") or ""
    return kind in ("user_input", "model_output", "thought") or kind.endswith(("_call", "_result"))


def _role(step: Any) -> str:
    role, kind = text(step, "role"), text(step, "type") or ""
    if role is not None:
        return "assistant" if role == "model" else role
    return "tool" if kind == "function_result" else "user" if kind in ("user_input", "text", *_MEDIA) else "assistant"


def _step(step: Any) -> list[Part]:
    kind = text(step, "type") or ""
    if kind == "thought":
        return [part for each in sequence(pick(step, "summary")) for part in reasoning(pick(each, "text"))]
    if kind == "function_call":
        return [tool_call(pick(step, "name"), pick(step, "arguments"), pick(step, "id"))]
    if kind == "function_result":
        return [tool_response(pick(step, "result"), pick(step, "call_id"))]
    if kind.endswith("_call"):
        return [server_call(kind.removesuffix("_call"), pick(step, "id"), arguments=pick(step, "arguments"))]
    if kind.endswith("_result"):
        return [server_response(kind.removesuffix("_result"), pick(step, "call_id"), pick(step, "result"))]
    held = pick(step, "content")
    return parts_of([held] if type(held) is dict else held, _part) if "content" in mapping(step) else _part(step)


def _part(part: Any) -> list[Part]:
    kind = text(part, "type") or ""
    if kind in _MEDIA:
        mime = text(part, "mime_type")
        size = pick(part, "size")
        if (data := pick(part, "data") if size is None else size) is not None:
            return [blob(data, mime, kind)]
        uri = text(part, "uri")
        return [link(uri, kind, mime)] if uri else []
    if _is_step(part):
        return _step(part)
    return texts(pick(part, "text")) or ([{"type": kind}] if kind and kind != "text" else [])


def said(payload: Any) -> list[Any]:
    """One message of all steps that are the model's."""
    steps = sequence(pick(payload, "steps")) or sequence(pick(payload, "outputs")) or in_order(pick(payload, "items"))
    parts = [part for each in steps if text(each, "type") != "user_input" for part in _step(each)]
    return [message("assistant", parts)] if parts else []


def fold(so_far: Any, chunk: Any) -> Any:
    """Keeps steps and the pieces of unfinished ones, until the last event brings the whole interaction."""
    so_far = so_far or {"items": {}}
    if steps := sequence(pick(chunk, "interaction", "steps")):
        so_far["steps"] = steps
    if step := mapping(pick(chunk, "step") or pick(chunk, "content")):
        so_far["items"][number(chunk, "index") or 0] = {**step, "content": []}
    delta = pick(chunk, "delta")
    if delta is not None:
        _fold_piece(slot(so_far["items"], number(chunk, "index")), delta)
    return so_far


def _fold_piece(place: Part, delta: Any) -> None:
    kind = text(delta, "type") or ""
    if kind == "text":
        add(place, "content", pick(delta, "text"))
    elif kind == "thought_summary":
        place.setdefault("summary", []).append({"text": pick(delta, "content", "text")})
    elif kind == "arguments_delta":
        if type(place.get("arguments")) is not list:
            place["arguments"] = []
        add(place, "arguments", pick(delta, "arguments"))
    elif kind in _MEDIA and type(place.get("content")) is list:
        size = {"size": blob(pick(delta, "data"), None)["size"]} if pick(delta, "data") is not None else {}
        place["content"].append(
            {"type": kind, "mime_type": pick(delta, "mime_type"), "uri": pick(delta, "uri"), **size}
        )


INTERACTIONS = Content(asked, said, fold)
