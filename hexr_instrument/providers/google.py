"""Google's google-genai SDK: the Gemini API and Vertex AI.

The private methods are the billed requests, one for one, in 1.10-3.4; the public ones hide the requests of automatic
function calling and of continuation, whose usage the returned object leaves out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..call import Direct, Format, Provider, Request, Target, pick, text
from ..formats.gemini import EMBED_CONTENT, GENERATE_CONTENT, get
from ..formats.google_media import IMAGES, VIDEOS, seconds
from . import _google

_FORMATS: dict[str, Format] = {
    "generate_content": GENERATE_CONTENT,
    "generate_content_stream": GENERATE_CONTENT,
    "embed_content": EMBED_CONTENT,
    "generate_images": IMAGES,
    "edit_image": IMAGES,
    "upscale_image": IMAGES,
    "recontext_image": IMAGES,
    "generate_videos": VIDEOS,
}
"""Method -> format. Segmentation, counting, files and caches are no calls of a model that is billed by its answer."""


def _targets(method: str) -> tuple[Target, ...]:
    """The billed request behind a public method: a private one, or in old versions the method itself."""
    drive = "stream" if method.endswith("_stream") else "call"
    optional = not method.startswith("generate_content")
    found: list[Target] = []
    for kind, drive_ in (("Models", drive), ("AsyncModels", f"a{drive}")):
        found.append(Target(f"{kind}._{method}", drive_, ("model",), optional=optional))
        if optional:
            found.append(Target(f"{kind}.{method}", drive_, ("model",), optional=True, instead_of=f"_{method}"))
    return tuple(found)


def _request(models: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], target: str) -> Request:
    method = target.rpartition(".")[2].removeprefix("_")
    wire = _FORMATS[method]
    config = kwargs.get("config")
    request = Request(
        format=wire,
        provider="",
        model=_google.short(text(kwargs, "model")),
        tier=text(get(config, "service_tier")),
        operation=wire.operation,
        stream=method.endswith("_stream"),
        parameters=wire.request(config),
        body=kwargs,
        spends=seconds(config) if wire is VIDEOS else None,
    )
    return _google.served(request, pick(models, "_api_client"), config)


def _options(base_url: str | None) -> dict[str, Any]:
    return {"http_options": {"base_url": base_url}} if base_url else {}


GOOGLE = Provider(
    name="google",
    module="google.genai.models",
    targets=tuple(target for method in _FORMATS for target in _targets(method)),
    request=_request,
    outcome=_google.outcome,
    owner=_google.owner,
    handle=_google.handle,
    clients=("Client", "AsyncClient"),
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
TABLES = (GOOGLE,)
