"""Anthropic's SDK: its own API, and Claude on Bedrock, Vertex, Foundry and AWS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..call import Direct, Provider, Request, Target, pick, text
from ..formats import message_batches
from ..formats.message_batches import MESSAGE_BATCHES
from ..formats.messages import MESSAGES
from . import _routes, _stainless, hosts
from ._handle import handle
from ._routes import Route

ROUTES = {"/v1/messages": MESSAGES}
OTHERS = (
    Route("post", "/v1/messages/batches", MESSAGE_BATCHES, "job", starts=True),
    Route("get", "/v1/messages/batches/([^/]+)/results", MESSAGE_BATCHES, "job"),
)
_PLATFORMS = {
    "AnthropicBedrock": "aws.bedrock",
    "AnthropicVertex": "gcp.vertex_ai",
    "AnthropicFoundry": "azure.ai.inference",
    # Anthropic's own platform, behind a cloud's account and bill
    "AnthropicAWS": "anthropic",
    "AnthropicGoogleCloud": "anthropic",
}


def _provider(client: Any, host: str | None, port: int | None) -> str:
    if (own := hosts.named(host, port)) is not None:
        return own
    for kind in type(client).__mro__:
        for name, provider in _PLATFORMS.items():
            if kind.__name__.removeprefix("Async").startswith(name):
                return provider
    stated = text(type(client), "_gen_ai_provider_name")
    return hosts.provider_of(host, port, stated or "anthropic")


_routed = _routes.requests(ROUTES, _provider, OTHERS)


def _request(client: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], target: str) -> Request | None:
    """What is posted; and the results of a batch, line by line, which have the usage that the batch is billed by."""
    found = _routed(client, args, kwargs, target)
    if found is not None and found.format is MESSAGE_BATCHES:
        options = kwargs.get("options") or (args[1] if len(args) > 1 else None)
        found.model = message_batches.model(pick(options, "json_data"))
        found.stream = found.response_id is not None
    return found


ANTHROPIC = Provider(
    name="anthropic",
    module="anthropic._base_client",
    targets=(
        *_stainless.TARGETS,
        # From 1.14 on the SDK emits a span with the same tokens, and a traceparent header, for each request.
        Target("start_api_call_span", "mute", optional=True),
    ),
    request=_request,
    outcome=_stainless.outcome,
    owner=_stainless.owner,
    handle=handle,
    clients=("SyncAPIClient", "AsyncAPIClient"),
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
TABLES = (ANTHROPIC,)
