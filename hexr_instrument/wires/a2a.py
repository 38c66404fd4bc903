"""Agent2Agent, the a2a-sdk 1.x: JSON-RPC, REST and gRPC. It propagates nothing itself."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from ..call import Target, pick
from .wire import Args, Carrier, Kwargs, Wire


def _put(client: Any, args: Args, kwargs: Kwargs, carrier: Carrier) -> tuple[Args, dict[str, Any]] | None:
    """`_intercept_before(args)`: its call context becomes headers (JSON-RPC, REST) or metadata (gRPC)."""
    asked: Any = args[0] if args else kwargs.get("args")
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


def _got(handler: Any, args: Args, kwargs: Kwargs) -> Mapping[Any, Any] | None:
    """`on_message_send(params, context)`: the SDK keeps a request's headers there, or the call of gRPC."""
    state = pick(args[1] if len(args) > 1 else kwargs.get("context"), "state")
    call: Any = pick(state, "grpc_context")
    return pick(state, "headers") if call is None else dict(call.invocation_metadata() or ())


def served(handler: str) -> tuple[Target, Target]:
    """The messages that a handler is sent; a stream goes on after the dispatcher of its request has returned."""
    parameters = ("params", "context")
    return (
        Target(f"{handler}.on_message_send", "arrive", parameters, optional=True),
        Target(f"{handler}.on_message_send_stream", "arrivals", parameters, optional=True),
    )


SERVER = Wire(
    "a2a server",
    "a2a.server.request_handlers.default_request_handler_v2",
    served("DefaultRequestHandlerV2"),
    got=_got,
    agent=True,
)

A2A = (
    Wire(
        "a2a client",
        "a2a.client.base_client",
        (Target("BaseClient._intercept_before", "depart", ("args",), optional=True),),
        put=_put,
        peer=_peer,
    ),
    SERVER,
    Wire("a2a tracing", "a2a.utils.telemetry", (Target("trace", "silence", optional=True),)),
)
