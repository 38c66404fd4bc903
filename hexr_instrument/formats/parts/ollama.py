"""Content of Ollama's chat and generate."""

from __future__ import annotations

from typing import Any

from ...call import Content, mapping, pick, sequence, text
from . import Part, add, blob, definition, message, reasoning, texts, tool_call, tool_response


def _asked(body: Any) -> dict[str, list[Any]]:
    """Messages and tools of a chat; a system message stays where it stands."""
    return {"input": [_message(each) for each in sequence(pick(body, "messages"))], "tools": _tools(body)}


def _tools(body: Any) -> list[Part]:
    return [
        definition(text(each, "type") or "function", pick(each, "function", "name"))
        for each in sequence(pick(body, "tools"))
    ]


def _message(source: Any) -> Part:
    role = text(source, "role") or "user"
    if role == "tool":
        answered = tool_response(pick(source, "content"), pick(source, "tool_call_id"))
        return message(role, [answered], text(source, "tool_name"))
    return message(role, _parts(source))


def _parts(source: Any) -> list[Part]:
    return [
        *reasoning(pick(source, "thinking")),
        *texts(pick(source, "content")),
        *(_image(each) for each in sequence(pick(source, "images"))),
        *(
            tool_call(pick(each, "function", "name"), pick(each, "function", "arguments"), pick(each, "id"))
            for each in sequence(pick(source, "tool_calls"))
        ),
    ]


def _image(source: Any) -> Part:
    """An image: its base64, or the SDK's object around bytes or base64 (or a path, whose size nobody knows)."""
    value = pick(source, "value") if type(source) is dict else source
    return blob(value if type(value) in (bytes, str) else 0, None, "image")


def _said(payload: Any) -> list[Any]:
    return [message("assistant", _parts(pick(payload, "message")))]


def _fold(so_far: Any, chunk: Any) -> Any:
    """Adds the pieces of one chunk; tool calls come whole, several chunks may have some."""
    so_far = mapping(so_far) or {"message": {}}
    place = so_far["message"]
    for name in ("content", "thinking"):
        add(place, name, pick(chunk, "message", name))
    if calls := sequence(pick(chunk, "message", "tool_calls")):
        place["tool_calls"] = [*sequence(place.get("tool_calls")), *calls]
    return so_far


def _prompted(body: Any) -> dict[str, list[Any]]:
    images = [_image(each) for each in sequence(pick(body, "images"))]
    return {
        "input": [message("user", [*texts(pick(body, "prompt")), *images])],
        "system": texts(pick(body, "system")),
    }


def _completed(payload: Any) -> list[Any]:
    image = pick(payload, "image")
    made = [blob(image, None, "image")] if type(image) is str and image else []
    return [message("assistant", [*reasoning(pick(payload, "thinking")), *texts(pick(payload, "response")), *made])]


def _fold_completion(so_far: Any, chunk: Any) -> Any:
    so_far = mapping(so_far) or {}
    for name in ("response", "thinking"):
        add(so_far, name, pick(chunk, name))
    if image := text(chunk, "image"):
        so_far["image"] = image
    return so_far


CHAT = Content(_asked, _said, _fold)
GENERATE = Content(_prompted, _completed, _fold_completion)
