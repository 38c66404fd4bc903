"""Hugging Face's SDK (huggingface_hub): chats and embeddings of its inference clients, 0.x to 2.x.

Every task of a client is one `_inner_post(request_parameters, stream=)` with the URL and the body that are sent: it
returns the bytes of the answer or, of a stream, its lines, and the SDK makes its own objects of them afterwards.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ..call import Direct, Outcome, Provider, Request, Target, mapping, parsed, pick, text
from ..formats.chat import CHAT
from ..formats.embeddings import EMBEDDINGS
from . import hosts

_TASKS = {"conversational": CHAT, "feature-extraction": EMBEDDINGS}
_ROUTER = "router.huggingface.co"
_VENDORS = {
    "auto": "huggingface",
    "hf-inference": "huggingface",
    "openai": "openai",
    "together": "together_ai",
    "v1": "huggingface",  # the router itself chooses who serves
    "zai-org": "z_ai",
}
"""How the SDK and its router's paths name who serves -> the provider; others differ by their dashes alone."""
_NOBODY = ("dummy", "tgi")
"""What the SDK asks a server of the user's own for, where the program has named no model."""


def _vendor(name: str) -> str:
    return _VENDORS.get(name) or name.replace("-", "_")


def served(url: str, chosen: str | None) -> str:
    """Who serves a URL; `chosen` is the client's own `provider`, for a host that is not known."""
    host, port = hosts.address(url)
    if host == _ROUTER and hosts.named(host, port) is None:
        return _vendor(urlsplit(url).path.split("/")[1] if "/" in urlsplit(url).path else "v1")
    return hosts.provider_of(host, port, _vendor(chosen or "auto"))


def _request(client: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], target: str) -> Request | None:
    asked = args[0] if args else kwargs.get("request_parameters")
    wire = _TASKS.get(text(asked, "task") or "")
    url = text(asked, "url")
    if wire is None or url is None:
        return None
    body = mapping(pick(asked, "json"))
    model = text(body, "model") or text(asked, "model")
    if model in _NOBODY or (model or "").startswith(("http://", "https://")):
        model = None
    host, port = hosts.address(url)
    if wire is EMBEDDINGS:
        body = {**body, "input": body.get("input", body.get("inputs"))}
    return Request(
        format=wire,
        provider=served(url, text(client, "provider")),
        model=model,
        operation=wire.operation,
        host=host,
        port=port,
        stream=bool(kwargs.get("stream")),
        parameters=wire.request(body),
        body=body,
        chunk=_chunk,
    )


def _chunk(line: Any) -> Any:
    """What a line of a stream says; comments, blank lines and its end say nothing. Some versions leave lines as bytes."""
    said = line.decode("utf-8", "replace") if type(line) is bytes else line
    return mapping(parsed(said[5:])) if type(said) is str and said.startswith("data:") else {}


def _outcome(result: Any) -> Outcome:
    """The bytes of an answer; bare lists of embeddings, which state no usage, are not parsed a second time."""
    return Outcome(payload=parsed(result) if type(result) is bytes and result.lstrip()[:1] == b"{" else None)


def _owner(client: Any) -> Any:
    return client


_DIRECT = Direct(
    module="huggingface_hub",
    client="InferenceClient",
    aclient="AsyncInferenceClient",
    method="chat_completion",
    stream_method=None,
    format=CHAT,
    keys=("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"),
    keyless=None,
    package="huggingface_hub",
    options=lambda base_url: {"base_url": base_url} if base_url else {},
)

TABLES = tuple(
    Provider(
        name=name,
        module=f"huggingface_hub.inference.{module}",
        targets=(Target(f"{kind}._inner_post", "flow", ("request_parameters", "stream")),),
        request=_request,
        outcome=_outcome,
        owner=_owner,
        handle=copy.copy,
        clients=(kind,),
        direct=direct,
    )
    for name, module, kind, direct in (
        ("huggingface", "_client", "InferenceClient", _DIRECT),
        ("huggingface.async", "_generated._async_client", "AsyncInferenceClient", None),
    )
)
