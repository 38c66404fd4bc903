"""Azure AI Inference's SDK: a client for each kind of model, whose one method is the billed request, retries included.

Its clients have defaults for what a call does not say. Its answers are models around the JSON (`_data`), with models in
it. A stream is read by its own `__next__`, which stops at `[DONE]` and leaves the response open.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from ..call import Format, Outcome, Provider, Request, Target, mapping, parsed, pick, sequence, text
from ..formats.chat import CHAT
from ..formats.embeddings import EMBEDDINGS
from . import hosts

_NAME = "azure.ai.inference"
_METHODS: dict[str, Format] = {
    "ChatCompletionsClient.complete": CHAT,
    "EmbeddingsClient.embed": EMBEDDINGS,
    "ImageEmbeddingsClient.embed": EMBEDDINGS,
}
_DEFAULTS = (
    *("model", "temperature", "top_p", "max_tokens", "frequency_penalty", "presence_penalty", "seed", "stop", "tools"),
    *("dimensions", "encoding_format", "model_extras"),
)


def _provider(url: str | None, host: str | None, port: int | None) -> str:
    """A resource of Foundry serves this API under `/models` and OpenAI's under `/openai`, on the same host."""
    if host is not None and host.endswith(".services.ai.azure.com") and "/openai" not in str(url):
        return hosts.named(host, port) or _NAME
    return hosts.provider_of(host, port, _NAME)


def _asked(client: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[Any, Any]:
    """The body as the SDK makes it: given whole, or of arguments and the client's defaults, with `model_extras` over all."""
    body = args[0] if args else kwargs.get("body")
    if type(body) is bytes:
        return mapping(parsed(body))
    if body is not None:
        return mapping(_data(body))
    said = {name: value for name, value in kwargs.items() if value is not None}
    usual = {name: value for name in _DEFAULTS if (value := getattr(client, f"_{name}", None)) is not None}
    output = said.pop("response_format", None)
    shape = output if type(output) is str else "json_schema"
    given = getattr(client, "_internal_response_format", None) if output is None else {"type": shape}
    asked = {**usual, **said, "response_format": _data(given)}
    return {**asked, **mapping(asked.pop("model_extras", None))}


def _data(value: Any) -> Any:
    """A model's own JSON, or the value itself."""
    return getattr(value, "_data", value)


def _plain(value: Any) -> Any:
    """Models, also those inside, as the JSON that they become."""
    value = _data(value)
    if type(value) is list:
        return [_plain(each) for each in sequence(value)]
    return {name: _plain(each) for name, each in mapping(value).items()} if type(value) is dict else value


def _request(client: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], target: str) -> Request:
    wire = _METHODS[target]
    asked = _asked(client, args, kwargs)
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
        body=lambda: _plain(asked),
        chunk=_plain,
    )


def _outcome(result: Any) -> Outcome:
    """A stream, or a typed answer; a stream of bytes, of a body that the SDK did not read, is neither."""
    if hasattr(result, "_deserialize_and_add_to_queue"):
        return Outcome(steps=result)
    data = mapping(pick(result, "_data"))
    return Outcome(
        payload=_plain(data) if "choices" in data else data or None
    )  # vectors are long, and stay where they are


def _owner(client: Any) -> Any:
    return client


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
    )
    for name, module, drive, stream in (
        (_NAME, "azure.ai.inference._patch", "", "_models.StreamingChatCompletions"),
        (f"{_NAME} aio", "azure.ai.inference.aio._patch", "a", "_models.AsyncStreamingChatCompletions"),
    )
)
