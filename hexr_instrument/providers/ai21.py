"""AI21's SDK: chat completions, of its own host and, by clients of their own, of three clouds."""

from __future__ import annotations

import copy
import sys
from collections.abc import Mapping
from typing import Any

from ..call import Direct, Outcome, Provider, Request, Target, pick, text
from ..formats.ai21 import CHAT
from . import hosts

_CLIENTS = ("http_client.AI21HTTPClient", "async_http_client.AsyncAI21HTTPClient")
_CLOUDS = {"Bedrock": "aws.bedrock", "Azure": "azure.ai.inference", "Vertex": "gcp.vertex_ai"}


def _request(part: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], target: str) -> Request:
    client = _owner(part)
    kind = type(client).__name__
    host, port = hosts.address(text(client, "_base_url"))
    asked = {**dict(zip(("messages", "model"), args, strict=False)), **kwargs}
    return Request(
        format=CHAT,
        provider=next((served for name, served in _CLOUDS.items() if name in kind), "ai21"),
        model=text(asked, "model"),
        operation=CHAT.operation,
        host=host,
        port=port,
        stream=asked.get("stream") is True,
        parameters=CHAT.request(asked),
        body=asked,
    )


def _outcome(result: Any) -> Outcome:
    """A stream on an open response, or a typed answer."""
    if hasattr(result, "_iterator"):
        return Outcome(body=pick(result, "response"), chunks="_iterator")
    return Outcome(payload=result)


def _owner(part: Any) -> Any:
    """The client; a part of it knows it by the name by which it knows its own transport."""
    return part if hasattr(part, "execute_http_request") else pick(part, "_client")


def _handle(client: Any) -> Any:
    """A second client on the same transport, with parts of its own."""
    made: Any = copy.copy(client)
    made.__dict__ |= {name: _copied(value, client, made) for name, value in client.__dict__.items()}
    return made


def _copied(value: Any, client: Any, made: Any) -> Any:
    if value is client:
        return made
    if not type(value).__module__.startswith("ai21.clients.") or not hasattr(value, "__dict__"):
        return value
    part = copy.copy(value)
    part.__dict__ |= {name: _copied(each, client, made) for name, each in value.__dict__.items()}
    return part


def _said(client: Any, /, messages: list[dict[str, Any]], **asked: Any) -> Any:
    """A chat; its SDK takes messages as objects of its own."""
    message: Any = sys.modules["ai21.models.chat"].ChatMessage
    return client.chat.completions.create(messages=[message(**each) for each in messages], **asked)


_DIRECT = Direct(
    module="ai21",
    client="AI21Client",
    aclient="AsyncAI21Client",
    method="chat.completions.create",
    stream_method=None,
    format=CHAT,
    keys=("AI21_API_KEY",),
    keyless=None,
    package="ai21",
    options=lambda base_url: {"api_host": base_url} if base_url else {},
    reach=_said,
)

TABLES = tuple(
    Provider(
        name=name,
        module=f"ai21.clients.studio.resources.chat.{module}",
        targets=(Target(f"{kind}.create", drive, ("messages", "model")),),
        request=_request,
        outcome=_outcome,
        owner=_owner,
        handle=_handle,
        clients=tuple(f"ai21.http_client.{client}" for client in _CLIENTS),
        direct=direct,
    )
    for name, module, kind, drive, direct in (
        ("ai21", "chat_completions", "ChatCompletions", "call", _DIRECT),
        ("ai21.async", "async_chat_completions", "AsyncChatCompletions", "acall", None),
    )
)
