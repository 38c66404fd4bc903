"""Content of Amazon Bedrock's Converse."""

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
    other,
    parts_of,
    present,
    reasoning,
    server_call,
    slot,
    texts,
    tool_call,
    tool_response,
)

_FILES = {"image": "image", "document": "document", "video": "video", "audio": "audio"}


def asked(body: Any) -> dict[str, list[Any]]:
    """Messages, system blocks and tools of a request."""
    tools = [mapping(each) for each in sequence(pick(body, "toolConfig", "tools"))]
    return {
        "input": [
            message(text(each, "role"), parts_of(pick(each, "content"), _block))
            for each in sequence(pick(body, "messages"))
        ],
        "system": parts_of(pick(body, "system"), _block),
        "tools": [
            definition("function" if kind == "toolSpec" else kind, pick(tool, kind, "name"))
            for tool in tools
            for kind in tool
            if kind != "cachePoint"
        ],
    }


def _block(block: Any) -> list[Part]:
    """The parts of one block, which has one key: what it is."""
    if "text" in mapping(block):
        return texts(pick(block, "text"))
    for kind, value in mapping(block).items():
        if kind == "reasoningContent":
            return reasoning(pick(value, "reasoningText", "text"))
        if kind == "toolUse":
            name, given, identity = pick(value, "name"), pick(value, "input"), pick(value, "toolUseId")
            server = text(value, "type") == "server_tool_use"
            return [server_call(name, identity, input=given) if server else tool_call(name, given, identity)]
        if kind == "toolResult":
            content = [pick(each, "json") or part for each in sequence(pick(value, "content")) for part in _block(each)]
            return [tool_response(content, pick(value, "toolUseId"))]
        if kind in _FILES:
            return [_file(value, _FILES[kind])]
        if kind == "guardContent":
            return texts(pick(value, "text", "text")) or [{"type": kind}]
        if kind == "citationsContent":
            return parts_of(pick(value, "content"), _block)
        if kind == "searchResult":
            return [present(type=kind, source=text(value, "source"), title=text(value, "title"))]
        if kind != "cachePoint":
            return [{"type": str(kind)}]
    return [] if mapping(block) else [other(block)]


def _file(value: Any, modality: str) -> Part:
    form = text(value, "format")
    mime = f"{modality if modality != 'document' else 'application'}/{form}" if form else None
    if uri := text(value, "source", "s3Location", "uri"):
        return link(uri, modality, mime)
    return blob(pick(value, "source", "bytes"), mime, modality)


def said(payload: Any) -> list[Any]:
    """The one message of an answer."""
    blocks = pick(payload, "output", "message", "content")
    parts = parts_of(in_order(pick(payload, "blocks")) if blocks is None else blocks, _block)
    return [message("assistant", parts)] if parts else []


def fold(so_far: Any, chunk: Any) -> Any:
    """Adds the piece of one event to its block."""
    so_far = so_far or {"blocks": {}}
    if started := mapping(pick(chunk, "contentBlockStart", "start")):
        index = number(chunk, "contentBlockStart", "contentBlockIndex")
        so_far["blocks"][index or 0] = {kind: {**mapping(value)} for kind, value in started.items()}
    delta = pick(chunk, "contentBlockDelta", "delta")
    if delta is not None:
        block = slot(so_far["blocks"], number(chunk, "contentBlockDelta", "contentBlockIndex"))
        add(block, "text", pick(delta, "text"))
        if arguments := text(delta, "toolUse", "input"):
            add(block.setdefault("toolUse", {}), "input", arguments)
        if thought := text(delta, "reasoningContent", "text"):
            add(block.setdefault("reasoningContent", {}).setdefault("reasoningText", {}), "text", thought)
    return so_far


CONVERSE = Content(asked, said, fold)
