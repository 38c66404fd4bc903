"""Azure AI Inference's SDK: a client for each kind of model, whose one method is the billed request, retries included.

Its clients have defaults for what a call does not say. Its answers are models around the JSON (`_data`), with models in
it. A stream is read by its own `__next__`, which stops at `[DONE]` and leaves the response open.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Mapping
from typing import Any

from ..call import Direct, Format, Outcome, Provider, Request, Target, mapping, pick, text
from ..formats.chat import CHAT
from ..formats.embeddings import EMBEDDINGS
from . import hosts
from ._azure import asked_of, plain

_NAME = "azure.ai.inference"
_METHODS: dict[str, Format] = {
    "ChatCompletionsClient.complete": CHAT,
    "EmbeddingsClient.embed": EMBEDDINGS,
    "ImageEmbeddingsClient.embed": EMBEDDINGS,
}


def _provider(url: str | None, host: str | None, port: int | None) -> str:
    """A resource of Foundry serves this API under `/models` and OpenAI's under `/openai`, on the same host."""
    if host is not None and host.endswith(".services.ai.azure.com") and "/openai" not in str(url):
        return hosts.named(host, port) or _NAME
    return hosts.provider_of(host, port, _NAME)


def _request(client: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], target: str) -> Request | None:
    wire = _METHODS.get(target)
    if wire is None:  # a step of a stream
        return None
    asked = asked_of(client, args, kwargs)
    url = text(client, "_config", "endpoint")
    host, port = hosts.address(url)
    return Request(
        format=wire,
        provider=_provider(url, host, port),
        model=text(asked, "model"),
        operation=wire.operation,
        host=host,
        port=port,
        stream=wire is CHAT and asked.get("stream") is True,
        parameters=wire.request(asked),
        body=lambda: plain(asked),
        chunk=plain,
    )


def _outcome(result: Any) -> Outcome:
    """A stream, or a typed answer; a stream of bytes, of a body that the SDK did not read, is neither."""
    if hasattr(result, "_deserialize_and_add_to_queue"):
        return Outcome(steps=result)
    data = mapping(pick(result, "_data"))
    return Outcome(
        payload=plain(data) if "choices" in data else data or None
    )  # vectors are long, and stay where they are


def _owner(client: Any) -> Any:
    return client


def _said(client: Any, /, *, stream_options: Any = None, **asked: Any) -> Any:
    """A chat; what its SDK has no argument for goes into `model_extras`."""
    return client.complete(**asked, **({"model_extras": {"stream_options": stream_options}} if stream_options else {}))


def _key(key: str) -> dict[str, Any]:
    kind: Any = sys.modules["azure.core.credentials"].AzureKeyCredential
    return {"credential": kind(key)}


_DIRECT = Direct(
    module="azure.ai.inference",
    client="ChatCompletionsClient",
    aclient="azure.ai.inference.aio:ChatCompletionsClient",
    method="complete",
    stream_method=None,
    format=CHAT,
    keys=("AZURE_AI_CHAT_KEY",),
    keyless=None,
    package="azure-ai-inference",
    options=lambda base_url: {"endpoint": base_url},
    key=_key,
    endpoint="AZURE_AI_CHAT_ENDPOINT",
    reach=_said,
    read=plain,
)

TABLES = tuple(
    Provider(
        name=name,
        module=module,
        package="azure-ai-inference",
        targets=(
            *(Target(method, f"{drive}call", optional=method.startswith("Image")) for method in _METHODS),
            Target(f"{stream}.__{drive}next__", f"{drive}step"),
            Target(f"{stream}.{drive}close", f"{drive}shut", optional=True),
        ),
        request=_request,
        outcome=_outcome,
        owner=_owner,
        handle=copy.copy,
        clients=("ChatCompletionsClient", "EmbeddingsClient", "ImageEmbeddingsClient"),
        direct=direct,
    )
    for name, module, drive, stream, direct in (
        (_NAME, "azure.ai.inference._patch", "", "_models.StreamingChatCompletions", _DIRECT),
        (f"{_NAME} aio", "azure.ai.inference.aio._patch", "a", "_models.AsyncStreamingChatCompletions", None),
    )
)
