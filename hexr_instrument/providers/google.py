"""Google's google-genai SDK: the Gemini API and Vertex AI.

The private methods are the billed requests, one for one, in 1.10-3.4; the public ones hide the requests of automatic
function calling and of continuation, whose usage the returned object leaves out.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ..call import Direct, Format, Outcome, Provider, Request, Target, pick, text
from ..formats.gemini import EMBED_CONTENT, GENERATE_CONTENT, get
from . import hosts

_MODEL = ("model",)
TARGETS = (
    Target("Models._generate_content", "call", _MODEL),
    Target("AsyncModels._generate_content", "acall", _MODEL),
    Target("Models._generate_content_stream", "stream", _MODEL),
    Target("AsyncModels._generate_content_stream", "astream", _MODEL),
    Target("Models._embed_content", "call", _MODEL, optional=True),
    Target("AsyncModels._embed_content", "acall", _MODEL, optional=True),
)


def _request(models: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], target: str) -> Request:
    wire: Format = EMBED_CONTENT if "embed" in target else GENERATE_CONTENT
    api = pick(models, "_api_client")
    config = kwargs.get("config")
    base = text(get(config, "http_options", "base_url")) or text(api, "_http_options", "base_url") or ""
    url = urlsplit(base)
    vertex = pick(api, "vertexai") is True
    model = text(kwargs, "model") or ""
    return Request(
        format=wire,
        provider="gcp.vertex_ai" if vertex else hosts.provider_of(url.hostname, url.port, "gcp.gemini"),
        # 'models/x' (Gemini API) and '[projects/p/locations/l/]publishers/google/models/x' (Vertex) are both x
        model=model.rpartition("models/")[2] or None,
        operation=wire.operation,
        host=url.hostname,
        port=(url.port or (80 if url.scheme == "http" else 443)) if url.hostname else None,
        stream="stream" in target,
        parameters=wire.request(config),
        body=kwargs,
    )


def _outcome(result: Any) -> Outcome:
    return Outcome(payload=result)


def _owner(models: Any) -> Any:
    return pick(models, "_api_client")


def _handle(client: Any) -> Any:
    """A second client on the same transport: every part that holds the API client gets a twin of it.

    The twins finalise nothing: the SDK's client closes its transport when it is dropped, a handle must not.
    """
    transport = client._api_client
    twin = _twin(transport)
    return _rebind(client, transport, twin)


def _leave_open(twin: Any) -> None:
    """A finaliser that finalises nothing."""


def _twin(whole: Any) -> Any:
    kind: Any = whole.__class__
    twin = copy.copy(whole)
    twin.__class__ = type(kind.__name__, (kind,), {"__del__": _leave_open, "__module__": kind.__module__})
    twin.__dict__["_hexr_origin"] = whole  # the transport lives as long as one of the two
    return twin


def _rebind(whole: Any, transport: Any, twin: Any) -> Any:
    made = _twin(whole)
    parts: dict[str, Any] = whole.__dict__
    for name, part in parts.items():
        if part is transport:
            setattr(made, name, twin)
        elif getattr(part, "_api_client", None) is transport:
            setattr(made, name, _rebind(part, transport, twin))
    return made


def _options(base_url: str | None) -> dict[str, Any]:
    return {"http_options": {"base_url": base_url}} if base_url else {}


GOOGLE = Provider(
    name="google",
    module="google.genai.models",
    targets=TARGETS,
    request=_request,
    outcome=_outcome,
    owner=_owner,
    handle=_handle,
    clients=("Client",),
    direct=Direct(
        module="google.genai",
        client="Client",
        aclient="Client.aio",
        method="models.generate_content",
        stream_method="models.generate_content_stream",
        format=GENERATE_CONTENT,
        keys=("GOOGLE_API_KEY", "GEMINI_API_KEY"),
        keyless="GOOGLE_GENAI_USE_VERTEXAI",
        package="google-genai",
        options=_options,
    ),
)
