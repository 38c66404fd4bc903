"""Agent2Agent, the a2a-sdk 1.x: JSON-RPC, REST and gRPC. It propagates nothing itself."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..call import Target, pick
from .wire import Args, Carrier, Kwargs, Wire


def _put(client: Any, args: Args, kwargs: Kwargs, carrier: Carrier) -> tuple[Args, dict[str, Any]] | None:
    """`_intercept_before(args)`: its call context becomes headers (JSON-RPC, REST) or metadata (gRPC)."""
    asked = args[0] if args else kwargs.get("args")
    kind: Any = pick(sys.modules.get("a2a.client.client"), "ClientCallContext")
    given = pick(asked, "context")
    if given is None and kind is None:
        return None
    before: Any = pick(given, "service_parameters") or {}
    context: Any = (given or kind()).model_copy(update={"service_parameters": {**before, **carrier}})
    # The SDK reads the context from this very object again.
    asked.context = context
    return args, dict(kwargs)


def _peer(client: Any, args: Args, kwargs: Kwargs) -> str | None:
    """Of the transport, or of the one inside of it that adds a tenant."""
    transport = pick(client, "_transport")
    transport = pick(transport, "_base") or transport
    return pick(transport, "url") or _target(pick(transport, "channel"))


def _target(channel: Any) -> str | None:
    """A channel's own; what an interceptor or another library wraps has none that is known."""
    target = pick(channel, "_channel", "target")
    return f"//{target.decode().rpartition('/')[2]}" if type(target) is bytes else None


def _headers(server: Any, args: Args, kwargs: Kwargs) -> Mapping[Any, Any] | None:
    """`handle_requests(request)`: Starlette's headers are a mapping."""
    return pick(args[0] if args else kwargs.get("request"), "headers")


def _metadata(server: Any, args: Args, kwargs: Kwargs) -> Mapping[Any, Any] | None:
    """`_handle_unary(request, context, ...)`, and the methods of 0.3 alike."""
    context = args[1] if len(args) > 1 else kwargs.get("context")
    return dict(context.invocation_metadata() or ()) if context is not None else None


def _serves(name: str) -> Target:
    return Target(name, "arrive", ("request",), optional=True)


_CLIENT = Wire(
    "a2a client",
    "a2a.client.base_client",
    (Target("BaseClient._intercept_before", "depart", ("args",), optional=True),),
    put=_put,
    peer=_peer,
)
_JSON = Wire(
    "a2a server (JSON-RPC)",
    "a2a.server.routes.jsonrpc_dispatcher",
    (_serves("JsonRpcDispatcher.handle_requests"),),
    got=_headers,
)
_GRPC = Wire(
    "a2a server (gRPC)",
    "a2a.server.request_handlers.grpc_handler",
    (
        Target("GrpcHandler._handle_unary", "arrive", ("context",), optional=True),
        Target("GrpcHandler._handle_stream", "arrivals", ("context",), optional=True),
    ),
    got=_metadata,
)
A2A = (
    _CLIENT,
    _JSON,
    replace(
        _JSON,
        name="a2a server (REST)",
        module="a2a.server.routes.rest_dispatcher",
        targets=(_serves("RestDispatcher._handle_non_streaming"), _serves("RestDispatcher._handle_streaming")),
    ),
    _GRPC,
    Wire("a2a tracing", "a2a.utils.telemetry", (Target("trace", "silence", optional=True),)),
)
