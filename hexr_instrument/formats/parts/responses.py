"""Content of OpenAI responses."""

from __future__ import annotations

from typing import Any

from ...call import Content, mapping, number, pick, sequence, text
from . import (
    Part,
    add,
    blob,
    definition,
    file,
    in_order,
    link,
    message,
    other,
    parts_of,
    reasoning,
    server_call,
    slot,
    texts,
    tool_call,
    tool_response,
)

_SERVER = frozenset(
    {"web_search_call", "file_search_call", "code_interpreter_call", "image_generation_call", "mcp_call"}
)


_TEXTS = frozenset(
    {
        "response.output_text.delta",
        "response.refusal.delta",
        # voice agents: what is said, and before their general availability
        "response.output_audio_transcript.delta",
        "response.text.delta",
        "response.audio_transcript.delta",
    }
)


def asked(body: Any) -> dict[str, list[Any]]:
    """Input items, instructions and tools of a responses body."""
    given = pick(body, "input")
    items = [{"role": "user", "content": given}] if type(given) is str else sequence(given)
    return {
        "input": [item_message(item) for item in items],
        "system": texts(pick(body, "instructions")),
        "tools": definitions(pick(body, "tools")),
    }


def definitions(tools: Any) -> list[Part]:
    """The tools that the model may use."""
    return [
        definition(kind := text(tool, "type") or "function", pick(tool, "name") or pick(tool, "server_label") or kind)
        for tool in sequence(tools)
    ]


def item_message(item: Any) -> Part:
    """The message that an item of a conversation is."""
    return message(_role(item), _item(item))


def _role(item: Any) -> str:
    if role := text(item, "role"):
        return role
    kind = text(item, "type") or ""
    return "tool" if kind.endswith("_output") else "assistant"


def _item(item: Any) -> list[Part]:
    """The parts of one item, asked or answered."""
    kind = text(item, "type") or "message"
    if kind == "message":
        return parts_of(pick(item, "content"), _part)
    if kind == "reasoning":
        thoughts = [*sequence(pick(item, "content")), *sequence(pick(item, "summary"))]
        return [part for thought in thoughts for part in reasoning(pick(thought, "text"))]
    identity = pick(item, "call_id") or pick(item, "id")
    if kind in ("function_call", "custom_tool_call"):
        return [tool_call(pick(item, "name"), pick(item, "arguments") or pick(item, "input"), identity)]
    if kind in _SERVER:
        details = {name: pick(item, name) for name in ("action", "queries", "code", "arguments", "output", "status")}
        return [server_call(pick(item, "name") or kind.removesuffix("_call"), identity, **details)]
    if kind.endswith("_call"):
        return [tool_call(kind.removesuffix("_call"), pick(item, "action") or pick(item, "operation"), identity)]
    if kind.endswith("_call_output"):
        output = pick(item, "output")
        return [tool_response(parts_of(output, _part) if type(output) is list else output, identity)]
    if kind == "compaction":
        return [other(item, "id")]
    return [other(item, "id", "name")]


def _part(part: Any) -> list[Part]:
    kind = text(part, "type") or ""
    if kind in ("input_text", "output_text", "text", "summary_text"):
        return texts(pick(part, "text"))
    if kind in ("input_audio", "audio", "output_audio"):
        form, data = text(part, "input_audio", "format"), pick(part, "input_audio", "data") or pick(part, "audio")
        sound = [blob(data, f"audio/{form}" if form else None, "audio")] if data is not None else []
        return [*texts(pick(part, "transcript")), *sound]
    modality = "document" if "file" in kind else "image"
    if identity := text(part, "file_id"):
        return [file(identity, modality)]
    for name in ("image_url", "file_url", "file_data"):
        if uri := text(part, name):
            return [blob(uri, None) if name == "file_data" and not uri.startswith("data:") else link(uri, modality)]
    return [other(part, "refusal")]


def said(payload: Any) -> list[Any]:
    """One message of all output items: a response is one choice."""
    items = sequence(pick(payload, "output")) or in_order(pick(payload, "items"))
    parts = [part for item in items for part in _item(item)]
    return [message("assistant", parts)] if parts else []


def fold(so_far: Any, chunk: Any) -> Any:
    """Keeps finished items and the pieces of unfinished ones, until the last event brings the whole response."""
    so_far = so_far or {"items": {}}
    kind = text(chunk, "type") or ""
    if output := pick(chunk, "response", "output"):
        so_far["output"] = output
    index = number(chunk, "output_index")
    if kind in ("response.output_item.added", "response.output_item.done"):
        so_far["items"][index or 0] = {**mapping(pick(chunk, "item"))}
    elif kind in _TEXTS:
        place = slot(so_far["items"], index)
        add(place, "content", pick(chunk, "delta"))
    elif kind in ("response.function_call_arguments.delta", "response.custom_tool_call_input.delta"):
        add(slot(so_far["items"], index), "arguments", pick(chunk, "delta"))
    elif kind in ("response.reasoning_summary_text.delta", "response.reasoning_text.delta"):
        place = slot(so_far["items"], index)
        thoughts = place.setdefault("summary", [])
        if not sequence(thoughts):
            thoughts.append({})
        add(thoughts[-1], "text", pick(chunk, "delta"))
    return so_far


RESPONSES = Content(asked, said, fold)
