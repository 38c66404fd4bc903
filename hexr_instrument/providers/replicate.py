"""Replicate's SDK: predictions of any model, 0.34 and 1.x.

A prediction is made by one request and goes on at Replicate, unless that request waits for it; `run` and `wait` ask for
it until it is done. It is one call, recorded when the program sees how it ended. A stream is read from an address of
its own and says no usage.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any

from ..call import Outcome, Provider, Request, Target, mapping, parsed, text
from ..formats.replicate import PREDICTION, STREAMED
from . import hosts

_MADE = re.compile(r"/v1/(?:(?:models|deployments)/([^/]+/[^/]+)/)?predictions$")
_FETCHED = re.compile(r"/v1/predictions/([^/]+)(?:/cancel)?$")
_STREAMS = ("Client.stream", "Client.async_stream")


def _request(client: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], target: str) -> Request | None:
    if target in _STREAMS:
        ref = args[0] if args else kwargs.get("ref")
        given = kwargs.get("input") or (args[1] if len(args) > 1 else None)
        found = _read(client, {"input": given, "stream": True}, ref if type(ref) is str else text(ref, "id"))
        found.stream = found.gateway = True  # the prediction is made within
        return found
    method, path = (*args, kwargs.get("method"), kwargs.get("path"))[:2]
    if type(path) is not str:
        return None
    if method == "POST" and (made := _MADE.search(path)):
        body = mapping(kwargs.get("json"))
        return _read(client, body, made[1] or text(body, "version"))
    if fetched := _FETCHED.search(path):
        found = _read(client, {}, None)
        found.billing, found.response_id = "quiet", fetched[1]
        return found
    return None


def _read(client: Any, body: dict[str, Any], model: str | None) -> Request:
    host, port = hosts.address(text(client, "_base_url") or "https://api.replicate.com")
    streamed = body.get("stream") is True
    return Request(
        format=STREAMED if streamed else PREDICTION,
        provider=hosts.provider_of(host, port, "replicate"),
        model=model,
        operation=PREDICTION.operation,
        host=host,
        port=port,
        parameters=PREDICTION.request(body),
        background=not streamed,
        body=body,
    )


def _outcome(result: Any) -> Outcome:
    """An HTTP response that has been read."""
    return Outcome(payload=parsed(result.content))


def _owner(client: Any) -> Any:
    return client


TABLES = (
    Provider(
        name="replicate",
        module="replicate.client",
        targets=(
            Target("Client._request", "call", ("method", "path")),
            Target("Client._async_request", "acall", ("method", "path")),
            Target("Client.stream", "stream", ("ref",)),
            Target("Client.async_stream", "late", ("ref",)),
        ),
        request=_request,
        outcome=_outcome,
        owner=_owner,
        handle=copy.copy,
        clients=("Client",),
    ),
)
