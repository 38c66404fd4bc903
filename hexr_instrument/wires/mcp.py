"""MCP, the SDK 1.x and 2.x, over stdio and HTTP: what a request carries is its `_meta`.

2.x puts what OpenTelemetry propagates there itself, and on the other side takes up the trace but not the baggage.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..call import Target, pick
from .wire import CHILD, PARENT, Args, Carrier, Kwargs, Wire


def _put(dispatcher: Any, args: Args, kwargs: Kwargs, carrier: Carrier) -> tuple[Args, dict[str, Any]] | None:
    """2.x: `send_raw_request(method, params, opts)`."""
    if len(args) < 2:
        return None
    params: Any = args[1] or {}
    meta: dict[str, Any] = {**(params.get("_meta") or {}), **carrier}
    return (args[0], {**params, "_meta": meta}, *args[2:]), dict(kwargs)


def _stream(dispatcher: Any, args: Args, kwargs: Kwargs) -> Any:
    return pick(dispatcher, "_write_stream")


def _put_1(session: Any, args: Args, kwargs: Kwargs, carrier: Carrier) -> tuple[Args, dict[str, Any]] | None:
    """1.x: `send_request(request, result_type, ...)`, a pydantic model around the request of its kind."""
    request: Any = args[0] if args else kwargs.get("request")
    inner = pick(request, "root")
    params = pick(inner, "params")
    kind: Any = pick(type(params), "Meta")
    if kind is None:
        return None
    before: dict[str, Any] = params.meta.model_dump(by_alias=True, exclude_none=True) if params.meta is not None else {}
    params = params.model_copy(update={"meta": kind(**{**before, **carrier})})
    request = request.model_copy(update={"root": inner.model_copy(update={"params": params})})
    return ((request, *args[1:]), dict(kwargs)) if args else (args, {**kwargs, "request": request})


def _meta(middleware: Any, args: Args, kwargs: Kwargs) -> Mapping[Any, Any] | None:
    """2.x: `__call__(ctx, call_next)`."""
    return pick(args[0] if args else kwargs.get("ctx"), "meta")


def _no_request(middleware: Any, args: Args, kwargs: Kwargs) -> bool:
    return pick(args[0] if args else kwargs.get("ctx"), "request") is None


def _meta_1(server: Any, args: Args, kwargs: Kwargs) -> Mapping[Any, Any] | None:
    """1.x: `_handle_request(message, req, ...)`."""
    meta = pick(args[1] if len(args) > 1 else kwargs.get("req"), "params", "meta")
    return pick(meta, "model_extra")


def _no_request_1(server: Any, args: Args, kwargs: Kwargs) -> bool:
    message = args[0] if args else kwargs.get("message")
    return pick(message, "message_metadata", "request_context") is None


def _child(args: Args, kwargs: Kwargs) -> str:
    return CHILD


def _parent(args: Args, kwargs: Kwargs) -> str:
    return PARENT


def _url(args: Args, kwargs: Kwargs) -> str | None:
    url = args[0] if args else kwargs.get("url")
    return url if isinstance(url, str) else None


MCP = (
    Wire(
        "mcp client",
        "mcp.shared.jsonrpc_dispatcher",
        (Target("JSONRPCDispatcher.send_raw_request", "depart", ("method", "params")),),
        put=_put,
        peer=_stream,
    ),
    Wire(
        "mcp 1 client",
        "mcp.shared.session",
        (Target("BaseSession.send_request", "depart", ("request",), optional=True),),
        put=_put_1,
        peer=_stream,
    ),
    Wire(
        "mcp server",
        "mcp.server._otel",
        (Target("OpenTelemetryMiddleware.__call__", "arrive", ("ctx",)),),
        got=_meta,
        kin=_no_request,
    ),
    Wire(
        "mcp 1 server",
        "mcp.server.lowlevel.server",
        (Target("Server._handle_request", "arrive", ("message", "req"), optional=True),),
        got=_meta_1,
        kin=_no_request_1,
    ),
    Wire("mcp stdio client", "mcp.client.stdio", (Target("stdio_client", "link"),), leads=_child),
    Wire("mcp stdio server", "mcp.server.stdio", (Target("stdio_server", "link"),), leads=_parent),
    Wire("mcp sse client", "mcp.client.sse", (Target("sse_client", "link", ("url",), optional=True),), leads=_url),
    Wire(
        "mcp http client",
        "mcp.client.streamable_http",
        (
            Target("streamable_http_client", "link", ("url",), optional=True),
            Target("streamablehttp_client", "link", ("url",), optional=True),
        ),
        leads=_url,
    ),
)
