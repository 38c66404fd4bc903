"""LiteLLM: every vendor behind one function, over the vendors' SDKs or its own HTTP client.

What is wrapped is the function inside of LiteLLM's own decorator: below its cache, once for each attempt of its retries,
and the same function for whoever has imported it before. Its call stands for those of other SDKs that it makes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..call import Direct, Format, Outcome, Provider, Request, Target, pick
from ..formats import litellm
from ._litellm import DIRECT, served

_FORMATS: dict[str, Format] = {
    "completion": litellm.CHAT,
    "acompletion": litellm.CHAT,
    "atext_completion": litellm.TEXT,
    "embedding": litellm.EMBEDDING,
    "aembedding": litellm.EMBEDDING,
    "responses": litellm.RESPONSES,
    "aresponses": litellm.RESPONSES,
}
_INSIDE = ("acompletion", "aembedding", "atext_completion", "aresponses")
"""Set in what an asynchronous function asks of its synchronous twin."""
_OTHERWISE = ("mock_response", "mock_tool_calls", "mock_timeout", "fallbacks", "model_list")
"""Nothing is sent, or calls of their own are made."""
_ASKED = frozenset(
    {"messages", "input", "prompt", "instructions", "tools", "functions", "temperature", "top_p", "max_tokens"}
    | {"max_completion_tokens", "max_output_tokens", "frequency_penalty", "presence_penalty", "seed", "n", "stop"}
    | {"response_format", "reasoning_effort", "reasoning", "service_tier", "dimensions", "encoding_format"}
)


def _request(_: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], target: str) -> Request | None:
    if any(kwargs.get(name) is True for name in _INSIDE) or any(kwargs.get(name) for name in _OTHERWISE):
        return None
    wire = _FORMATS.get(target)
    if wire is None:  # a step of a stream
        return None
    places = ("input", "model") if wire is litellm.RESPONSES else ("model", "messages")
    asked = dict(zip(places, args, strict=False)) | dict(kwargs)
    provider, model, host, port = served(asked)
    body = {name: asked[name] for name in _ASKED if name in asked}
    return Request(
        format=wire,
        provider=provider,
        model=model,
        operation=wire.operation,
        host=host,
        port=port,
        stream=asked.get("stream") is True,
        parameters=wire.request(body),
        gateway=True,
        body=body,
    )


def _outcome(result: Any) -> Outcome:
    stream = pick(result, "completion_stream") if type(result).__name__ == "TextCompletionStreamWrapper" else result
    kinds = {kind.__name__ for kind in type(stream).__mro__}
    if "CustomStreamWrapper" in kinds:  # its chunks have the usage, which is left out of what it returns
        return Outcome(steps=stream, kept="chunks")
    return Outcome(steps=stream) if "BaseResponsesAPIStreamingIterator" in kinds else Outcome(payload=result)


def _itself(client: Any) -> Any:
    """Functions have no client: nothing is registered."""
    return client


def _table(name: str, module: str, *targets: Target, direct: Direct | None = None) -> Provider:
    return Provider(name, module, targets, _request, _outcome, owner=_itself, handle=_itself, clients=(), direct=direct)


def _function(name: str, *, optional: bool = False) -> tuple[Target, Target]:
    """A function and its asynchronous twin, each where LiteLLM's decorator calls it."""
    return (
        Target(name, "call", within="original_function", optional=optional),
        Target(f"a{name}", "acall", within="original_function", optional=optional),
    )


def _steps(kind: str) -> tuple[Target, Target]:
    return Target(f"{kind}.__next__", "step", optional=True), Target(f"{kind}.__anext__", "astep", optional=True)


_ITERATORS = (
    "litellm.responses.streaming_iterator",
    "litellm.responses.litellm_completion_transformation.streaming_iterator",
)
TABLES = (
    _table(
        "litellm",
        "litellm.main",
        *_function("completion"),
        *_function("embedding"),
        Target("atext_completion", "acall", within="original_function", optional=True),
        *_steps("CustomStreamWrapper"),
        Target("CustomStreamWrapper.aclose", "ashut", optional=True),
        direct=DIRECT,
    ),
    _table("litellm-responses", "litellm.responses.main", *_function("responses")),
    _table(
        "litellm-responses-streams",
        _ITERATORS[0],
        *_steps("SyncResponsesAPIStreamingIterator"),
        *_steps("ResponsesAPIStreamingIterator"),
    ),
    _table("litellm-responses-bridge", _ITERATORS[1], *_steps("LiteLLMCompletionStreamingIterator")),
)
