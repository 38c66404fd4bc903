"""Anthropic's SDK: its own API, and Claude on Bedrock, Vertex, Foundry and AWS."""

from __future__ import annotations

from typing import Any

from ..call import Direct, Provider, Target, text
from ..formats.messages import MESSAGES
from . import _routes, _stainless, hosts
from ._handle import handle

ROUTES = {"/v1/messages": MESSAGES}
_PLATFORMS = {
    "AnthropicBedrock": "aws.bedrock",
    "AnthropicVertex": "gcp.vertex_ai",
    "AnthropicFoundry": "azure.ai.inference",
    # Anthropic's own platform, behind a cloud's account and bill
    "AnthropicAWS": "anthropic",
    "AnthropicGoogleCloud": "anthropic",
}


def _provider(client: Any, host: str | None, port: int | None) -> str:
    for kind in type(client).__mro__:
        for name, provider in _PLATFORMS.items():
            if kind.__name__.removeprefix("Async").startswith(name):
                return provider
    stated = text(type(client), "_gen_ai_provider_name")
    return hosts.provider_of(host, port, stated or "anthropic")


ANTHROPIC = Provider(
    name="anthropic",
    module="anthropic._base_client",
    targets=(
        *_stainless.TARGETS,
        # From 1.14 on the SDK emits a span with the same tokens, and a traceparent header, for each request.
        Target("start_api_call_span", "mute", optional=True),
    ),
    request=_routes.requests(ROUTES, _provider),
    outcome=_stainless.outcome,
    owner=_stainless.owner,
    handle=handle,
    clients=("Anthropic", "AsyncAnthropic"),
    direct=Direct(
        module="anthropic",
        client="Anthropic",
        aclient="AsyncAnthropic",
        method="messages.create",
        stream_method=None,
        format=MESSAGES,
        keys=("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"),
        keyless=None,
        package="anthropic",
        options=lambda base_url: {"base_url": base_url} if base_url else {},
    ),
)
