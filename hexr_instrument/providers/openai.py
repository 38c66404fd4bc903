"""OpenAI's SDK, and through its base URL the hosts that speak its language."""

from __future__ import annotations

from typing import Any

from ..call import Direct, Provider, text
from ..formats.chat import CHAT
from ..formats.completions import COMPLETIONS
from ..formats.embeddings import EMBEDDINGS
from ..formats.responses import RESPONSES
from . import _stainless, hosts
from ._handle import handle

ROUTES = {
    "/chat/completions": CHAT,
    "/responses": RESPONSES,
    "/completions": COMPLETIONS,
    "/embeddings": EMBEDDINGS,
}


def _provider(client: Any, host: str | None, port: int | None) -> str:
    kinds = {kind.__name__ for kind in type(client).__mro__}
    if "BaseAzureClient" in kinds:
        return "azure.ai.openai"
    runtime = text(client, "_provider_runtime", "name")
    if "BedrockOpenAI" in kinds or runtime == "bedrock":
        return "aws.bedrock"
    if runtime == "vertex":
        return "gcp.vertex_ai"
    return hosts.provider_of(host, port, "openai")


OPENAI = Provider(
    name="openai",
    module="openai._base_client",
    targets=_stainless.TARGETS,
    request=_stainless.requests(ROUTES, _provider),
    outcome=_stainless.outcome,
    owner=_stainless.owner,
    handle=handle,
    clients=("OpenAI", "AsyncOpenAI"),
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
