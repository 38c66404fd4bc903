"""The a2a-sdk 0.3, which some frameworks still pin: JSON-RPC and REST."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..call import Target, pick
from .wire import Args, Carrier, Kwargs, Wire


def _state(handler: Any, args: Args, kwargs: Kwargs) -> Mapping[Any, Any] | None:
    """`on_message_send(params, context)`: 0.3 answers a stream after its dispatcher has returned."""
    return pick(args[1] if len(args) > 1 else kwargs.get("context"), "state", "headers")


def _put_03(transport: Any, args: Args, kwargs: Kwargs, carrier: Carrier) -> tuple[Args, dict[str, Any]] | None:
    """`_apply_interceptors(..., http_kwargs, context)`: the last but one."""
    if len(args) < 3:
        return None
    given: Any = args[-2] or {}
    sent = {**given, "headers": {**(given.get("headers") or {}), **carrier}}
    return (*args[:-2], sent, args[-1]), dict(kwargs)


def _peer_03(transport: Any, args: Args, kwargs: Kwargs) -> str | None:
    return pick(transport, "url")


_CLIENT_03 = Wire(
    "a2a 0.3 client (JSON-RPC)",
    "a2a.client.transports.jsonrpc",
    (Target("JsonRpcTransport._apply_interceptors", "depart", ("http_kwargs", "context"), optional=True),),
    put=_put_03,
    peer=_peer_03,
)

A2A_03 = (
    _CLIENT_03,
    replace(
        _CLIENT_03,
        name="a2a 0.3 client (REST)",
        module="a2a.client.transports.rest",
        targets=(Target("RestTransport._apply_interceptors", "depart", ("http_kwargs", "context"), optional=True),),
    ),
    Wire(
        "a2a 0.3 server",
        "a2a.server.request_handlers.default_request_handler",
        (
            Target("DefaultRequestHandler.on_message_send", "arrive", ("params", "context"), optional=True),
            Target("DefaultRequestHandler.on_message_send_stream", "arrivals", ("params", "context"), optional=True),
        ),
        got=_state,
    ),
)
