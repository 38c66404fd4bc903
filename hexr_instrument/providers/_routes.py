"""Reading the requests of generated SDKs: method and path say which format it is, and whether it is billed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ..call import Format, Request, getter, mapping, text


class Route(NamedTuple):
    """A request that is no call of its own: it fetches, starts or polls one."""

    method: str
    path: str
    """A pattern that the end of the path matches; its group, if it has one, is the id of what is fetched."""
    format: Format
    billing: str
    """As `Request.billing` has it."""
    starts: bool = False
    """As `Request.starts` has it."""


def requests(
    routes: Mapping[str, Format],
    provider_of: Callable[[Any, str | None, int | None], str],
    others: Sequence[Route] = (),
) -> Callable[[Any, tuple[Any, ...], Mapping[str, Any], str], Request | None]:
    """The provider's reader of `request(cast_to, options, ...)`.

    Args:
        routes: The end of a path that is posted to -> its format. Longer ends come first.
        provider_of: (client, host, port) -> who serves it.
        others: What is no call of its own.
    """
    other = [(each, re.compile(f"(?:{each.path})$")) for each in others]

    def found(method: str, path: str) -> tuple[Route, str | None] | None:
        if method == "post":
            wire = next((each for end, each in routes.items() if path.endswith(end)), None)
            if wire is not None:
                return Route(method, path, wire, "call"), None
        for route, pattern in other:
            if route.method == method and (match := pattern.search(path)) is not None:
                return route, match[1] if pattern.groups else None
        return None

    def request(client: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], target: str) -> Request | None:
        options = kwargs.get("options") or (args[1] if len(args) > 1 else None)
        get = getter(options)
        path = (text(get("url")) or "").partition("?")[0]
        known = found((text(get("method")) or "").lower(), path)
        if known is None:
            return None
        route, fetched = known
        wire, billing = route.format, route.billing
        body: dict[str, Any] = {}
        for part in (get("json_data"), get("extra_json")):
            if type(part) is dict:
                body |= part
        host, port = address(client)
        query = mapping(get("params")) if billing == "fetch" else body
        return Request(
            format=wire,
            provider=provider_of(client, host, port),
            model=text(body.get("model")),
            operation="fetch_response" if billing == "fetch" else wire.operation,
            host=host,
            port=port,
            stream=query.get("stream") is True,
            parameters=_cursor(query) if billing == "fetch" else wire.request(body),
            starts=route.starts,
            background=body.get("background") is True,
            body=body,
            billing=billing,
            response_id=fetched,
            spends=None if wire.spends is None else wire.spends(body),
        )

    return request


def _cursor(query: Mapping[str, Any]) -> dict[str, Any]:
    """Where a stream that is fetched goes on."""
    after = query.get("starting_after")
    return {"stream_cursor": str(after)} if type(after) is int else {}


def address(client: Any) -> tuple[str | None, int | None]:
    """Host and port of the client's base URL; both httpx generations have them as attributes."""
    url = getattr(client, "_base_url", None)
    host, port = getattr(url, "host", None), getattr(url, "port", None)
    if type(host) is not str:
        return None, None
    if type(port) is not int or not 0 < port < 1 << 16:
        port = 80 if getattr(url, "scheme", None) == "http" else 443
    return host, port
