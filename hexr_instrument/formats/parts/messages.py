"""Content of Anthropic messages."""

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
    server_response,
    slot,
    texts,
    tool_call,
    tool_response,
    words,
)

_PIECES = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "input_json_delta": "partial_json",
    "compaction_delta": "content",
}
"""Kind of a delta -> the name of its piece of text."""


def asked(body: Any) -> dict[str, list[Any]]:
    """Messages, system blocks and tools of a messages body."""
    return {
        "input": [message(text(one, "role"), parts_of(pick(one, "content"), _block)) for one in _messages(body)],
        "system": parts_of(pick(body, "system"), _block),
        "tools": [
            definition("function" if kind == "custom" else kind, pick(tool, "name") or kind)
            for tool in sequence(pick(body, "tools"))
            for kind in [text(tool, "type") or "custom"]
        ],
    }


def _messages(body: Any) -> list[Any]:
    return sequence(pick(body, "messages"))


def _block(block: Any) -> list[Part]:
    """The parts of one content block, asked or answered."""
    kind = text(block, "type") or "text"
    identity = pick(block, "id") or pick(block, "tool_use_id")
    if kind == "text":
        return texts(pick(block, "text"))
    if kind == "thinking":
        return reasoning(pick(block, "thinking"))
    if kind == "tool_use":
        return [tool_call(pick(block, "name"), _input(block), identity)]
    if kind == "tool_result":
        content = pick(block, "content")
        return [tool_response(parts_of(content, _block) if type(content) is list else content, identity)]
    if kind in ("server_tool_use", "mcp_tool_use"):
        return [server_call(pick(block, "name"), identity, input=_input(block))]
    if kind.endswith("_tool_result"):
        content = pick(block, "content")
        return [server_response(kind, identity, [_result(one) for one in sequence(content)] or _result(content))]
    if kind in ("image", "document"):
        return [_source(pick(block, "source"), kind)]
    if kind == "compaction":
        return [{"type": "compaction", "content": words(pick(block, "content"))}]
    if kind == "container_upload" and (name := text(block, "file_id")):
        return [file(name)]
    return [other(block, "title", "source", "name")]  # a redacted thought has nothing to read


def _input(block: Any) -> Any:
    return pick(block, "partial_json") or pick(block, "input")


def _result(item: Any) -> Any:
    """What a server tool found, without the encrypted pages of it."""
    return {name: value for name, value in mapping(item).items() if not name.startswith("encrypted")} or item


def _source(source: Any, kind: str) -> Part:
    mime = text(source, "media_type")
    if url := text(source, "url"):
        return link(url, kind, mime)
    if name := text(source, "file_id"):
        return file(name, kind, mime)
    if text(source, "type") in ("text", "content"):
        return {"type": "text", "content": words(pick(source, "data")) or words(pick(source, "content"))}
    return blob(pick(source, "data"), mime, kind)


def said(payload: Any) -> list[Any]:
    """The one message of an answer."""
    parts = parts_of(in_order(pick(payload, "content")), _block)
    return [message("assistant", parts)] if parts else []


def fold(so_far: Any, chunk: Any) -> Any:
    """Adds the pieces of one event to its block."""
    so_far = so_far or {"content": {}}
    kind, index = text(chunk, "type"), number(chunk, "index")
    if kind == "content_block_start":
        so_far["content"][index or 0] = {**mapping(pick(chunk, "content_block"))}
    elif kind == "content_block_delta" and (name := _PIECES.get(text(chunk, "delta", "type") or "")):
        add(slot(so_far["content"], index), name, pick(chunk, "delta", name))
    return so_far


MESSAGES = Content(asked, said, fold)
