"""Cohere's SDK since 5.x, v1 and v2: the raw clients, to which every method of every client delegates, once a request.

A client keeps copies of some of its own methods, made when it was: a class of clients that is patched later misses them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..call import Direct, Format, Outcome, Provider, Request, Target, pick, sequence, text
from ..formats.cohere import CHAT, CHAT_1, EMBED, GENERATE, RERANK
from . import hosts
from ._cohere import handle, owner

_V2: dict[str, Format] = {"chat": CHAT, "chat_stream": CHAT, "embed": EMBED, "rerank": RERANK}
_V1: dict[str, Format] = {
    "chat": CHAT_1,
    "chat_stream": CHAT_1,
    "generate": GENERATE,
    "generate_stream": GENERATE,
    "embed": EMBED,
    "rerank": RERANK,
}
_CLOUDS = {"cohere.aws_client": "aws.bedrock", "cohere.oci_client": "oci"}
"""The SDK's clients of clouds rewrite each request in a hook of their HTTP client."""


def _cloud(wrapper: Any) -> str | None:
    hooks: Any = pick(wrapper, "httpx_client", "httpx_client", "_event_hooks", "request")
    found = (_CLOUDS.get(text(each, "__module__") or "") for each in sequence(hooks))
    return next((each for each in found if each), None)


def _requests(formats: Mapping[str, Format]) -> Any:
    def request(raw: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], target: str) -> Request:
        method = target.rpartition(".")[2]
        wire = formats[method]
        wrapper = owner(raw)
        cloud = _cloud(wrapper)
        host, port = hosts.address(None if cloud else text(wrapper, "_base_url"))
        return Request(
            format=wire,
            provider=cloud or hosts.provider_of(host, port, "cohere"),
            model=text(kwargs, "model"),
            operation=wire.operation,
            host=host,
            port=port,
            stream=method.endswith("_stream"),
            parameters=wire.request(kwargs),
            body=kwargs,
        )

    return request


def _outcome(result: Any) -> Outcome:
    """What a raw client returns holds the payload; of a stream, its events."""
    return Outcome(payload=pick(result, "data"), chunks="_data")


def _table(name: str, module: str, kind: str, formats: Mapping[str, Format], direct: Direct | None) -> Provider:
    return Provider(
        name=name,
        module=module,
        targets=tuple(
            Target(f"{twin}{kind}.{method}", "enter" if method.endswith("_stream") else drive, optional=True)
            for method in formats
            for twin, drive in (("", "call"), ("Async", "acall"))
        ),
        request=_requests(formats),
        outcome=_outcome,
        owner=owner,
        handle=handle,
        clients=("BaseCohere", "AsyncBaseCohere", "V2Client", "AsyncV2Client"),
        direct=direct,
    )


COHERE = _table(
    "cohere",
    "cohere.v2.raw_client",
    "RawV2Client",
    _V2,
    Direct(
        module="cohere",
        client="ClientV2",
        aclient="AsyncClientV2",
        method="chat",
        stream_method="chat_stream",
        format=CHAT,
        keys=("CO_API_KEY",),
        keyless=None,
        package="cohere",
        options=lambda base_url: {"base_url": base_url} if base_url else {},
    ),
)
COHERE_1 = _table("cohere.1", "cohere.raw_base_client", "RawBaseCohere", _V1, None)
TABLES = (COHERE, COHERE_1)
