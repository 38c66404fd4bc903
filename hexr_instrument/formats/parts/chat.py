"""Content of OpenAI chat completions, and of the completions before them."""

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
    slot,
    texts,
    tool_call,
    tool_response,
)


def asked(body: Any) -> dict[str, list[Any]]:
    """Messages and tools of a chat completions body; a system message stays where it stands."""
    return {
        "input": [_message(each) for each in sequence(pick(body, "messages"))],
        "tools": [
            definition(kind := text(tool, "type") or "function", pick(tool, kind, "name") or pick(tool, "name") or kind)
            for tool in [*sequence(pick(body, "tools")), *sequence(pick(body, "functions"))]
        ],
    }


def _message(source: Any) -> Part:
    role = text(source, "role") or "user"
    if role in ("tool", "function"):
        content = pick(source, "content")
        answered = content if type(content) is str else parts_of(content, _part)
        return message(role, [tool_response(answered, pick(source, "tool_call_id"))], text(source, "name"))
    return message(role, _parts(source), text(source, "name"))


def _parts(source: Any) -> list[Part]:
    """The parts of a message, asked or answered."""
    function = pick(source, "function_call")
    audio = pick(source, "audio")
    return [
        *reasoning(pick(source, "reasoning_content") or pick(source, "reasoning")),
        *parts_of(pick(source, "content"), _part),
        *([{"type": "refusal", "content": said[0]["content"]}] if (said := texts(pick(source, "refusal"))) else []),
        *([_audio(audio)] if audio else []),
        *(_call(call) for call in in_order(pick(source, "tool_calls"))),
        *([tool_call(pick(function, "name"), pick(function, "arguments"), None)] if function else []),
    ]


def _call(call: Any) -> Part:
    name = pick(call, "function", "name") or pick(call, "custom", "name")
    said = pick(call, "function", "arguments") or pick(call, "custom", "input")
    return tool_call(name, said, pick(call, "id"))


def _audio(audio: Any) -> Part:
    if (identity := text(audio, "id")) and not pick(audio, "data") and not pick(audio, "size"):
        return file(identity, "audio")
    made = blob(pick(audio, "size") or pick(audio, "data"), None, "audio")
    return {**made, "transcript": said[0]["content"]} if (said := texts(pick(audio, "transcript"))) else made


def parts_of_content(content: Any) -> list[Part]:
    """The parts of a message's content."""
    return parts_of(content, _part)


def _part(part: Any) -> list[Part]:
    kind = text(part, "type")
    if kind == "text":
        return texts(pick(part, "text"))
    if kind == "thinking":  # Mistral's, in parts of its own
        return reasoning([text(each, "text") or "" for each in sequence(pick(part, "thinking"))])
    if kind == "image_url" and (url := text(part, "image_url", "url") or text(part, "image_url")):
        return [link(url, "image")]
    if kind == "input_audio":
        form = text(part, "input_audio", "format")
        return [blob(pick(part, "input_audio", "data"), f"audio/{form}" if form else None, "audio")]
    if kind == "file" and (identity := text(part, "file", "file_id")):
        return [file(identity)]
    if kind == "file" and (data := text(part, "file", "file_data")):
        return [link(data, "document") if data.startswith("data:") else blob(data, None)]
    return [other(part, "refusal")]


def said(payload: Any) -> list[Any]:
    """One message for each choice."""
    return [message("assistant", _parts(pick(choice, "message"))) for choice in in_order(pick(payload, "choices"))]


def fold(so_far: Any, chunk: Any) -> Any:
    """Adds the pieces of one chunk to its choices."""
    so_far = so_far or {"choices": {}}
    for choice in sequence(pick(chunk, "choices")):
        place = slot(so_far["choices"], number(choice, "index")).setdefault("message", {})
        delta = pick(choice, "delta")
        for name in ("content", "refusal", "reasoning_content", "reasoning"):
            add(place, name, pick(delta, name))
        for part in sequence(pick(delta, "content")):  # Mistral's models that reason
            add(place, "content", pick(part, "text"))
            for thought in sequence(pick(part, "thinking")):
                add(place, "reasoning_content", pick(thought, "text"))
        for call in sequence(pick(delta, "tool_calls")):
            _fold_call(slot(place.setdefault("tool_calls", {}), number(call, "index")), call)
        if audio := mapping(pick(delta, "audio")):
            held = place.setdefault("audio", {"size": 0})
            held["size"] += blob(audio.get("data"), None)["size"]
            add(held, "transcript", audio.get("transcript"))
    return so_far


def _fold_call(place: Part, call: Any) -> None:
    if identity := text(call, "id"):
        place["id"] = identity
    for kind, said in (("function", "arguments"), ("custom", "input")):
        if pick(call, kind) is not None:
            inner = place.setdefault(kind, {})
            if name := text(call, kind, "name"):
                inner["name"] = name
            add(inner, said, pick(call, kind, said))


def _prompts(body: Any) -> dict[str, list[Any]]:
    prompt = pick(body, "prompt")
    prompts = sequence(prompt) or [prompt]
    if all(type(each) is int for each in prompts):
        return {"input": [message("user", [{"type": "tokens", "count": len(prompts)}])]}
    return {"input": [message("user", texts(each)) for each in prompts if type(each) is str]}


def _texts(payload: Any) -> list[Any]:
    return [message("assistant", texts(pick(choice, "text"))) for choice in in_order(pick(payload, "choices"))]


def _fold_texts(so_far: Any, chunk: Any) -> Any:
    so_far = so_far or {"choices": {}}
    for choice in sequence(pick(chunk, "choices")):
        add(slot(so_far["choices"], number(choice, "index")), "text", pick(choice, "text"))
    return so_far


CHAT = Content(asked, said, fold)
COMPLETIONS = Content(_prompts, _texts, _fold_texts)
