"""Ollama's SDK, 0.4 to 0.6: models on the user's own machines, or on ollama.com.

All methods of a client, and the module's functions that are bound to a client of its own at import, go through
`_request(cls, method, url, json=, stream=)`.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from ..call import Direct, Format, Outcome, Provider, Request, Target, mapping, pick, text
from ..formats.ollama import CHAT, EMBED, GENERATE
from ..formats.responses import DECISIONS
from . import _routes

_FORMATS: dict[str, tuple[Format, str]] = {
    "/api/chat": (CHAT, "messages"),
    "/api/generate": (GENERATE, "prompt"),
    "/api/embed": (EMBED, "input"),
    "/api/embeddings": (EMBED, "prompt"),
    "/v1/systemone": (DECISIONS, "questions"),
}
"""Path -> format, and what a request asks: without it the server only loads the model."""


def _request(client: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], target: str) -> Request | None:
    body = kwargs.get("json")
    wire, question = _FORMATS.get(args[2] if len(args) > 2 and type(args[2]) is str else "", (None, ""))
    if wire is None or not mapping(body).get(question):
        return None
    host, port = _routes.address(pick(client, "_client"))
    return Request(
        format=wire,
        provider="ollama",
        model=text(body, "model"),
        operation=wire.operation,
        host=host,
        port=port,
        stream=bool(kwargs.get("stream")),
        parameters=wire.request(body),
        body=body,
    )


def _outcome(result: Any) -> Outcome:
    return Outcome(payload=result)


def _owner(client: Any) -> Any:
    return client


def _key(key: str) -> dict[str, Any]:
    return {"headers": {"Authorization": f"Bearer {key}"}}


OLLAMA = Provider(
    name="ollama",
    module="ollama._client",
    targets=(
        Target("Client._request", "reply", ("cls", "stream")),
        Target("AsyncClient._request", "reply", ("cls", "stream")),
    ),
    request=_request,
    outcome=_outcome,
    owner=_owner,
    handle=copy.copy,
    clients=("Client", "AsyncClient"),
    direct=Direct(
        module="ollama",
        client="Client",
        aclient="AsyncClient",
        method="chat",
        stream_method=None,
        format=CHAT,
        keys=(),
        keyless=None,
        package="ollama",
        options=lambda base_url: {"host": base_url} if base_url else {},
        key=_key,
    ),
)
TABLES = (OLLAMA,)
