"""The a2a-sdk 0.3, which some frameworks still pin: JSON-RPC and REST."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..call import Target, pick
from .a2a import SERVER, served
from .wire import Args, Carrier, Kwargs, Wire


def _put_03(transport: Any, args: Args, kwargs: Kwargs, carrier: Carrier) -> tuple[Args, dict[str, Any]] | None:
    """`_apply_interceptors(..., http_kwargs, context)`: the last but one."""
    if len(args) < 3:
        return None
    given: Any = args[-2] or {}
    sent: dict[str, Any] = {**given, "headers": {**(given.get("headers") or {}), **carrier}}
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
    replace(
        SERVER,
        name="a2a 0.3 server",  # and the handler of 1.x that was before its own second one
        module="a2a.server.request_handlers.default_request_handler",
        targets=(*served("DefaultRequestHandler"), *served("LegacyRequestHandler")),
    ),
)
