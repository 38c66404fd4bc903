"""Vertex AI's own SDK (google-cloud-aiplatform): generative models and text embeddings, over gRPC or REST.

The private methods are the billed requests, one for one; chats and automatic function calling go through them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..call import Direct, Outcome, Provider, Request, Target, pick, text
from ..formats.gemini import GENERATE_CONTENT as GENERATE_CONTENT_JSON
from ..formats.vertex import EMBEDDINGS, GENERATE_CONTENT
from . import _google


def _request(model: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], target: str) -> Request:
    embeds = "embeddings" in target
    wire = EMBEDDINGS if embeds else GENERATE_CONTENT
    config: Any = dict(kwargs) if embeds else kwargs.get("generation_config") or pick(model, "_generation_config")
    location = text(model, "_location") or text(model, "_endpoint", "location") or ""
    return Request(
        format=wire,
        provider="gcp.vertex_ai",
        model=_google.short(text(model, "_model_id" if embeds else "_model_name")),
        operation=wire.operation,
        host=f"{location}-aiplatform.googleapis.com" if location not in ("", "global") else "aiplatform.googleapis.com",
        port=443,
        stream="streaming" in target,
        parameters=wire.request(config.to_dict() if hasattr(config, "_raw_generation_config") else config),
        body={"contents": kwargs.get("contents", args[0] if args else None)},
    )


def _outcome(result: Any) -> Outcome:
    return Outcome(payload=result)


def _owner(model: Any) -> Any:
    return model


def _no_handle(model: Any) -> Any:
    """A model is no client: none is registered."""
    return model


def _table(name: str, module: str, *targets: Target) -> Provider:
    return Provider(
        name,
        module,
        targets,
        _request,
        _outcome,
        owner=_owner,
        handle=_no_handle,
        clients=(),
        package="google-cloud-aiplatform",
        direct=_DIRECT if name == "vertex" else None,
    )


_DIRECT = Direct(
    module="google.genai",  # which comes with this SDK, and takes the place of its generative models
    client="Client",
    aclient="Client.aio",
    method="models.generate_content",
    stream_method="models.generate_content_stream",
    format=GENERATE_CONTENT_JSON,
    keys=(),  # Google looks for credentials in many places
    keyless=None,
    package="google-genai",
    options=lambda url: {"vertexai": True} | ({"http_options": {"base_url": url}} if url else {}),
    served="gcp.vertex_ai",
)
TABLES = (
    _table(
        "vertex",
        "vertexai.generative_models._generative_models",
        Target("_GenerativeModel._generate_content", "call", ("contents",)),
        Target("_GenerativeModel._generate_content_async", "acall", ("contents",)),
        Target("_GenerativeModel._generate_content_streaming", "stream", ("contents",)),
        Target("_GenerativeModel._generate_content_streaming_async", "astream", ("contents",)),
    ),
    _table(
        "vertex-embeddings",
        "vertexai.language_models._language_models",
        Target("_TextEmbeddingModel.get_embeddings", "call", ("texts",)),
        Target("_TextEmbeddingModel.get_embeddings_async", "acall", ("texts",), optional=True),
    ),
)
