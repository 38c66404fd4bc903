"""Any HTTP client, at the narrowest point that knows the host, one hop of a redirect after the other.

What OpenTelemetry's instrumentations put into a request is put in before, so that this is what leaves.
"""

from __future__ import annotations

from copy import copy
from typing import Any

from ..call import Target, pick
from .wire import Args, Carrier, Kwargs, Wire


def joined(headers: Any, carrier: Carrier) -> dict[str, str]:
    """What to set: a traceparent that is there stays, the program's own baggage stays before ours."""
    found = {name: value for name, value in carrier.items() if name != "traceparent" or name not in headers}
    before = headers.get("baggage")
    if before and "baggage" in found:
        ours = {entry.partition("=")[0] for entry in found["baggage"].split(",")}
        kept = [each for each in before.split(",") if each.partition("=")[0].strip() not in ours]
        found["baggage"] = ",".join([*kept, found["baggage"]])
    return found


def _pool_put(pool: Any, args: Args, kwargs: Kwargs, carrier: Carrier) -> tuple[Args, dict[str, Any]] | None:
    """Httpcore's `handle_request(request)`: its headers are a list of pairs of bytes."""
    request: Any = args[0] if args else kwargs.get("request")
    before = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in pick(request, "headers") or ()}
    new = joined(before, carrier)
    request = copy(request)
    request.headers = [pair for pair in request.headers if pair[0].decode("latin-1").lower() not in new]
    request.headers += [(name.encode(), value.encode("latin-1")) for name, value in new.items()]
    return (request,), {}


def _pool_peer(pool: Any, args: Args, kwargs: Kwargs) -> str | None:
    url = pick(args[0] if args else kwargs.get("request"), "url")
    host = pick(url, "host")
    return _url(host.decode("latin-1"), pick(url, "port")) if type(host) is bytes else None


def _urllib3_put(pool: Any, args: Args, kwargs: Kwargs, carrier: Carrier) -> tuple[Args, dict[str, Any]] | None:
    """`urlopen(method, url, body=None, headers=None, ...)`."""
    given = args[3] if len(args) > 3 else kwargs.get("headers")
    before = pool.headers if given is None else given
    # A mapping's own copy: requests' headers share their store with what the module `copy` makes of them.
    headers: Any = before.copy() if hasattr(before, "copy") else dict(before)
    lower = {name.lower(): value for name, value in headers.items()}
    for name, value in joined(lower, carrier).items():
        for each in [each for each in headers if each.lower() == name]:
            del headers[each]
        headers[name] = value
    if len(args) > 3:
        return (*args[:3], headers, *args[4:]), dict(kwargs)
    return args, {**kwargs, "headers": headers}


def _urllib3_peer(pool: Any, args: Args, kwargs: Kwargs) -> str | None:
    return _url(pick(pool, "host"), pick(pool, "port"))


def _aiohttp_put(request: Any, args: Args, kwargs: Kwargs, carrier: Carrier) -> tuple[Args, dict[str, Any]] | None:
    """`ClientRequest.send(connection)`: the request is aiohttp's own, made for this hop."""
    for name, value in joined(request.headers, carrier).items():
        request.headers[name] = value
    return args, dict(kwargs)


def _aiohttp_peer(request: Any, args: Args, kwargs: Kwargs) -> str | None:
    return _url(pick(request, "url", "host"), pick(request, "url", "port"))


def _url(host: Any, port: Any) -> str | None:
    shown = f"[{host}]" if ":" in str(host) else host
    return None if not host else f"//{shown}:{port}" if port else f"//{shown}"


def _pool(module: str, target: str) -> Wire:
    return Wire(
        module.partition(".")[0] + module.partition(".")[2].partition(".")[0],
        module,
        (Target(target, "send", ("request",), optional=True),),
        put=_pool_put,
        peer=_pool_peer,
    )


HTTP = (
    *(_pool(f"{name}._sync.connection_pool", "ConnectionPool.handle_request") for name in ("httpcore", "httpcore2")),
    *(
        _pool(f"{name}._async.connection_pool", "AsyncConnectionPool.handle_async_request")
        for name in ("httpcore", "httpcore2")
    ),
    Wire(
        "urllib3",
        "urllib3.connectionpool",
        (Target("HTTPConnectionPool.urlopen", "send", ("headers",), optional=True),),
        put=_urllib3_put,
        peer=_urllib3_peer,
    ),
    Wire(
        "aiohttp",
        "aiohttp.client_reqrep",
        (Target("ClientRequest.send", "send", optional=True),),
        put=_aiohttp_put,
        peer=_aiohttp_peer,
    ),
)
BAGGAGE = Wire(
    "baggage",
    "opentelemetry.baggage.propagation",
    (Target("W3CBaggagePropagator.inject", "withhold", ("carrier", "context", "setter")),),
)
