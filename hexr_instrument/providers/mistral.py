"""Mistral's SDK, 1.x (`mistralai`) and since 2.x (`mistralai.client`).

The typed methods are the billed requests, one for one: `parse` and `parse_stream` call `complete` and `stream`, the
loops of `conversations.run_async` call `start` and `append`. A client loads the module of a part at its first use.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from ..call import Direct, Format, Outcome, Provider, Request, Target, pick, text
from ..formats.conversations import CONVERSATIONS
from ..formats.embeddings import EMBEDDINGS
from ..formats.mistral import CHAT, FIM, RESPONSES
from . import hosts

_PARTS: dict[str, tuple[str, tuple[str, ...], Format]] = {
    "chat": ("Chat", ("complete", "stream"), CHAT),
    "agents": ("Agents", ("complete", "stream"), CHAT),
    "fim": ("Fim", ("complete", "stream"), FIM),
    "embeddings": ("Embeddings", ("create",), EMBEDDINGS),
    "conversations": (
        "Conversations",
        ("start", "append", "restart", "start_stream", "append_stream", "restart_stream"),
        CONVERSATIONS,
    ),
    "responses": ("Responses", ("create",), RESPONSES),
}
"""Module -> its class, the methods that ask a model, and their format."""


def _requests(wire: Format) -> Any:
    def request(part: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], target: str) -> Request:
        url = text(kwargs, "server_url") or text(part, "sdk_configuration", "server_url") or "https://api.mistral.ai"
        host, port = hosts.address(url)
        return Request(
            format=wire,
            provider=hosts.provider_of(host, port, "mistral_ai"),
            model=text(kwargs, "model"),
            tier=text(kwargs, "service_tier"),
            operation=wire.operation,
            host=host,
            port=port,
            stream="stream" in target or (kwargs.get("stream") is True and wire is RESPONSES),
            parameters=wire.request(kwargs),
            body=kwargs,
        )

    return request


def _outcome(result: Any) -> Outcome:
    """A stream of events on an open response, or a typed answer."""
    if hasattr(result, "generator") and hasattr(result, "response"):
        return Outcome(body=result.response, chunks="generator")
    return Outcome(payload=result)


def _owner(part: Any) -> Any:
    """All parts of a client share its configuration."""
    return pick(part, "sdk_configuration")


def _handle(client: Any) -> Any:
    """A second client on the same transport, which it keeps open as long as it lives; it makes parts of its own."""
    kind: Any = client.__class__
    made: Any = object.__new__(kind)
    made.__dict__ |= {name: part for name, part in client.__dict__.items() if not hasattr(part, "sdk_configuration")}
    made.sdk_configuration = copy.copy(client.sdk_configuration)
    made.parent_ref = made
    made.__dict__["_hexr_origin"] = client
    return made


_DIRECT = Direct(
    module="mistralai.client",
    client="Mistral",
    aclient="Mistral",
    method="chat.complete",
    stream_method="chat.stream",
    amethod="chat.complete_async",
    astream_method="chat.stream_async",
    served="mistral_ai",
    format=CHAT,
    keys=("MISTRAL_API_KEY",),
    keyless=None,
    package="mistralai",
    options=lambda base_url: {"server_url": base_url} if base_url else {},
)


def _table(name: str, module: str, part: str, direct: Direct | None = None) -> Provider:
    kind, methods, wire = _PARTS[part]
    return Provider(
        name=name,
        module=f"{module}.{part}",
        targets=tuple(
            Target(f"{kind}.{method}{twin}", drive, optional=part in ("conversations", "responses"))
            for method in methods
            for twin, drive in (("", "call"), ("_async", "acall"))
        ),
        request=_requests(wire),
        outcome=_outcome,
        owner=_owner,
        handle=_handle,
        clients=("Mistral",),
        direct=direct,
    )


TABLES = (
    _table("mistral", "mistralai.client", "chat", _DIRECT),
    *(_table(f"mistral.{part}", "mistralai.client", part) for part in _PARTS if part != "chat"),
    *(_table(f"mistral.1.{part}", "mistralai", part) for part in _PARTS if part != "responses"),
)
