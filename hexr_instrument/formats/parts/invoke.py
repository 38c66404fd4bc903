"""Content of Amazon Bedrock's InvokeModel: that of its maker's format, or a prompt and a text."""

from __future__ import annotations

from typing import Any

from ...call import Content, mapping, parsed, pick, sequence, text
from . import chat, converse, message, messages, texts

_CONTENTS = {"messages": messages.MESSAGES, "converse": converse.CONVERSE, "chat": chat.CHAT}
_TEXTS = ("generation", "outputText", "text", "completion")
_LISTS = ("outputs", "results", "generations")


def event(chunk: Any) -> Any:
    """What an event of a stream says, or None."""
    said = pick(chunk, "chunk", "bytes")
    return parsed(said) if type(said) in (bytes, str) else None


def shape(body: Any) -> str:
    """Whose words a body, whole or a piece, is in: `messages` (Claude), `converse` (Nova), `chat` (OpenAI's), or ""."""
    kind = text(body, "type") or ""
    if kind.startswith(("message", "content_block")) or kind == "ping":
        return "messages"
    names = mapping(body).keys()
    if "stopReason" in names or any(str(each).startswith(("messageSt", "contentBlock")) for each in names):
        return "converse"
    if "metadata" in names or pick(body, "output", "message") is not None:
        return "converse"
    return "chat" if pick(body, "choices") is not None else ""


def asked(body: Any) -> dict[str, list[Any]]:
    """Messages, system and tools of a request's body; a bare prompt is the user's message."""
    turns = sequence(pick(body, "messages"))
    if not turns:
        said = next((each for name in ("prompt", "inputText", "message") if (each := text(body, name))), None)
        return {"input": [message("user", texts(said))] if said else []}
    if pick(body, "anthropic_version") is not None:
        return messages.asked(body)
    blocks = [block for turn in turns for block in sequence(pick(turn, "content"))]
    if pick(body, "schemaVersion") is not None or (blocks and not any(text(each, "type") for each in blocks)):
        return converse.asked(body)
    return chat.asked(body)


def said(payload: Any) -> list[Any]:
    """The messages of an answer."""
    heard = pick(payload, "heard")
    body = pick(payload, "body") if heard is None else heard
    reader = _CONTENTS.get(shape(body) if heard is None else text(payload, "shape") or "")
    if reader is not None:
        return reader.said(body)
    found = [each for source in (body, *_choices(body)) for name in _TEXTS for each in texts(pick(source, name))]
    return [message("assistant", found)] if found else []


def _choices(body: Any) -> list[Any]:
    return [each for name in _LISTS for each in sequence(pick(body, name))]


def fold(so_far: Any, chunk: Any) -> Any:
    """Adds the piece of one event."""
    piece = mapping(event(chunk))
    if not piece:
        return so_far
    so_far = so_far or {"shape": shape(piece), "heard": {}}
    reader = _CONTENTS.get(so_far["shape"])
    if reader is not None:
        so_far["heard"] = reader.fold(so_far["heard"] or None, piece)
        return so_far
    sources: list[Any] = [piece, *_choices(piece)]
    for source in sources:
        for name in _TEXTS:
            if new := text(source, name):
                so_far["heard"]["text"] = (text(so_far, "heard", "text") or "") + new
    return so_far


INVOKE = Content(asked, said, fold)
