"""OpenAI's SDK, and through its base URL the hosts that speak its language."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from ..call import Direct, Provider, text
from ..formats.audio import SPEECH, TRANSCRIPTIONS
from ..formats.batches import BATCH_LIST, BATCH_OUTPUT, BATCHES
from ..formats.chat import CHAT
from ..formats.completions import COMPLETIONS
from ..formats.embeddings import EMBEDDINGS
from ..formats.images import IMAGES
from ..formats.responses import DECISIONS, RESPONSES
from ..formats.runs import RUNS
from ..formats.videos import EXTENSIONS, VIDEOS
from . import _routes, _stainless, hosts
from ._handle import handle
from ._routes import Route

ROUTES = {
    "/chat/completions": CHAT,
    "/responses": RESPONSES,
    "/responses/compact": RESPONSES,
    "/completions": COMPLETIONS,
    "/embeddings": EMBEDDINGS,
    "/decisions": DECISIONS,
    "/images/generations": IMAGES,
    "/images/edits": IMAGES,
    "/images/variations": IMAGES,
    "/audio/transcriptions": TRANSCRIPTIONS,
    "/audio/translations": TRANSCRIPTIONS,
    "/audio/speech": SPEECH,
    "/videos": VIDEOS,
    "/videos/edits": VIDEOS,
    "/remix": VIDEOS,
    "/videos/extensions": EXTENSIONS,
}
OTHERS = (
    Route("get", "/responses/([^/]+)", RESPONSES, "fetch"),
    Route("get", "/chat/completions/([^/]+)", CHAT, "fetch"),
    Route("post", "/responses/[^/]+/cancel", RESPONSES, "quiet"),
    Route("post", "/batches", BATCHES, "job", starts=True),
    Route("post", "/batches/[^/]+/cancel", BATCHES, "job"),
    Route("get", "/batches/[^/]+", BATCHES, "job"),
    Route("get", "/batches", BATCH_LIST, "owed"),
    Route("get", "/files/([^/]+)/content", BATCH_OUTPUT, "owed"),
    Route("post", "/threads(?:/[^/]+)?/runs", RUNS, "job", starts=True),
    Route("post", "/threads/[^/]+/runs/[^/]+/(?:submit_tool_outputs|cancel)", RUNS, "job"),
    Route("get", "/threads/[^/]+/runs/[^/]+", RUNS, "job"),
)


@lru_cache(maxsize=64)
def _kinds(client: type) -> frozenset[str]:
    return frozenset(kind.__name__ for kind in client.__mro__)


def provider_of(client: Any, host: str | None, port: int | None) -> str:
    """Who serves a client's calls: as the user names the host, else its platform, else its host."""
    if (own := hosts.named(host, port)) is not None:
        return own
    kinds = _kinds(client.__class__)
    if "BaseAzureClient" in kinds:
        return "azure.ai.openai"
    runtime = getattr(client, "_provider_runtime", None)
    runtime = None if runtime is None else text(runtime, "name")
    if "BedrockOpenAI" in kinds or runtime == "bedrock":
        return "aws.bedrock"
    if runtime == "vertex":
        return "gcp.vertex_ai"
    return hosts.provider_of(host, port, "openai")


OPENAI = Provider(
    name="openai",
    module="openai._base_client",
    targets=_stainless.TARGETS,
    request=_routes.requests(ROUTES, provider_of, OTHERS),
    outcome=_stainless.outcome,
    owner=_stainless.owner,
    handle=handle,
    clients=("SyncAPIClient", "AsyncAPIClient"),
    amend=_stainless.amend,
    direct=Direct(
        module="openai",
        client="OpenAI",
        aclient="AsyncOpenAI",
        method="chat.completions.create",
        stream_method=None,
        format=CHAT,
        keys=("OPENAI_API_KEY",),
        keyless=None,
        package="openai",
        options=lambda base_url: {"base_url": base_url} if base_url else {},
    ),
)
TABLES = (OPENAI,)
