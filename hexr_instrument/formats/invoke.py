"""Amazon Bedrock's InvokeModel: each maker's own body; told by its shape, since a profile's name need not say whose it is.

A whole payload is `{"headers", "serviceTier", "latency", "body"}`; an event of a stream has its JSON in `chunk.bytes`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..call import Format, Response, Usage, mapping, number, parsed, pick, sequence, text, total
from . import chat, converse, messages
from ._json import numbers, strings
from .parts import invoke as parts
from .parts.invoke import event, shape

_PARAMETERS = {
    "temperature": "temperature",
    "topP": "top_p",
    "top_p": "top_p",
    "p": "top_p",
    "topK": "top_k",
    "top_k": "top_k",
    "k": "top_k",
    "maxTokens": "max_tokens",
    "max_tokens": "max_tokens",
    "max_new_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
    "max_gen_len": "max_tokens",
    "maxTokenCount": "max_tokens",
    "dimensions": "dimension_count",
    "output_dimension": "dimension_count",
}
_CONFIGS = ((), ("inferenceConfig",), ("textGenerationConfig",))
_STOPS = ("stop_sequences", "stopSequences", "stop")
_READERS = {"messages": messages, "converse": converse, "chat": chat}
_METRICS = "amazon-bedrock-invocationMetrics"
_INPUTS = ("prompt_token_count", "inputTextTokenCount", "inputTokenCount", "x-amzn-bedrock-input-token-count")
_OUTPUTS = (
    "generation_token_count",
    "totalOutputTextTokenCount",
    "outputTokenCount",
    "x-amzn-bedrock-output-token-count",
)
_FINISH_REASONS = {
    "finish": "stop",
    "complete": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_calls": "tool_call",
    "content_filtered": "content_filter",
    "error_toxic": "content_filter",
}


def request(body: Any) -> dict[str, Any]:
    """Sampling parameters of any maker's body."""
    found: dict[str, Any] = {}
    for path in _CONFIGS:
        config = pick(body, *path)
        found |= numbers(config, _PARAMETERS)
        for name in _STOPS:
            if stop := strings(pick(config, name)):
                found["stop_sequences"] = stop
    if type(size := found.get("dimension_count")) is not int:
        found.pop("dimension_count", size)
    return found


def operation(model: str | None, body: Any) -> str:
    """What is asked for: the model's name tells, or else the body."""
    name = (model or "").lower()
    task = (text(body, "taskType") or "").lower()
    if "embed" in name or "embedding" in task or pick(body, "input_type") or pick(body, "embeddingTypes"):
        return "embeddings"
    if "rerank" in name or (pick(body, "query") and pick(body, "documents")):
        return "rerank"
    if task or "stability." in name:
        return "generate_content"
    return "chat" if pick(body, "messages") or pick(body, "message") else "text_completion"


def response(payload: Any) -> Response:
    """A whole answer, or a stream folded into one; counts that its body lacks are in the headers, or in its last event."""
    body = pick(payload, "body")
    reader = _READERS.get(shape(body))
    read = Response() if reader is None else reader.response(body)
    stated = _plain(body) if read.usage is None else None
    return replace(
        read,
        id=read.id or text(body, "generation_id") or text(payload, "headers", "x-amzn-requestid"),
        finish_reasons=_reasons(body) or (() if reader is chat else read.finish_reasons),
        usage=read.usage or _merged(stated, _counted(payload)),
        service_tier=converse.tier(text(payload, "latency"), text(payload, "serviceTier")) or read.service_tier,
        error=text(payload, "error"),
    )


def _merged(stated: Usage | None, counted: Usage | None) -> Usage | None:
    """What the body states, with what only the metrics or headers know."""
    if stated is None or counted is None:
        return stated or counted
    if stated.input is None or (stated.output is None and counted.output is not None):
        return replace(counted, images=stated.images)
    return stated


def _plain(body: Any) -> Usage | None:
    """Counts by the names of Llama and Titan; images by the piece."""
    asked, said = _first(body, _INPUTS), _first(body, _OUTPUTS)
    if said is None:
        said = total(*(number(each, "tokenCount") for each in sequence(pick(body, "results"))))
    made = len(sequence(pick(body, "images"))) or None
    return None if total(asked, said, made) is None else Usage(input=asked, output=said, images=made)


def _counted(payload: Any) -> Usage | None:
    """Counts of Bedrock itself, for every maker: in the last event of a stream, or in the headers as texts."""
    for source in (pick(payload, "metrics"), _numbers(mapping(pick(payload, "headers")))):
        asked, said = _first(source, _INPUTS), _first(source, _OUTPUTS)
        if total(asked, said) is not None:
            read, write = number(source, "cacheReadInputTokenCount"), number(source, "cacheWriteInputTokenCount")
            return Usage(input=total(asked, read, write), output=said, cache_read=read, cache_write=write)
    return None


def _numbers(headers: dict[Any, Any]) -> dict[Any, Any]:
    return {
        name.lower(): int(value)
        for name, value in headers.items()
        if type(name) is str and type(value) is str and value.isascii() and value.isdigit() and len(value) < 12
    }


def _first(source: Any, names: tuple[str, ...]) -> int | None:
    return next((count for name in names if (count := number(source, name)) is not None), None)


def _reasons(body: Any) -> tuple[str, ...]:
    """Why each choice ended, in whatever place and by whatever name; Claude's and Nova's are read by their formats."""
    if shape(body) in ("messages", "converse"):
        return ()
    found: list[str] = []
    for choice in (
        body,
        *(each for name in ("choices", "outputs", "results", "generations") for each in _list(body, name)),
    ):
        reason = next((word for name in _REASONS if (word := text(choice, name))), None)
        if reason is not None:
            found.append(_FINISH_REASONS.get(reason.lower(), reason.lower()))
    return tuple(found)


_REASONS = ("stop_reason", "finish_reason", "completionReason")


def _list(body: Any, name: str) -> list[Any]:
    return sequence(pick(body, name))


def fold(so_far: Any, chunk: Any) -> Any:
    """Adds one event by its own maker's rules; of makers without any, the last value of each field wins."""
    so_far = so_far or {"body": None}
    for name in ("headers", "serviceTier", "latency"):
        if value := pick(chunk, name):
            so_far[name] = value
    if fault := text(chunk, "Error", "Code"):
        so_far["error"] = fault
    said = mapping(event(chunk))
    if not said:
        return so_far
    if metrics := pick(said, _METRICS):
        so_far["metrics"] = metrics
    kind = so_far.get("shape")
    if kind is None:
        kind = so_far["shape"] = shape(said)
    reader = _READERS.get(kind)
    if reader is None:
        body = so_far["body"] = mapping(so_far.get("body"))
        body.update({name: value for name, value in said.items() if type(value) in (int, str) and name not in _TEXTS})
        for name in ("outputs", "results"):
            if any(text(each, reason) for each in _list(said, name) for reason in _REASONS):
                body[name] = said[name]
        return so_far
    if reader is chat:
        choices = [{"finish_reason": text(each, "stop_reason"), **mapping(each)} for each in _list(said, "choices")]
        said = {**said, "choices": choices}
    so_far["body"] = reader.fold(so_far.get("body"), said)
    return so_far


_TEXTS = frozenset({"generation", "outputText", "text", "completion", "event_type"})


def finished(payload: Any) -> bool:
    """Whether there is a whole answer: of a stream, its last event has Bedrock's own counts."""
    if pick(payload, "metrics") is not None:
        return True
    reader = _READERS.get(shape(pick(payload, "body")))
    if reader is not None:
        return reader.finished(pick(payload, "body"))
    return bool(_reasons(pick(payload, "body")))


def substance(chunk: Any) -> bool:
    """Whether an event carries a piece of output."""
    said = event(chunk)
    reader = _READERS.get(shape(said))
    if reader is not None:
        return reader.substance(said)
    return any(text(said, name) for name in _TEXTS - {"event_type"}) or any(
        text(each, "text") for each in _list(said, "outputs")
    )


def whole(so_far: Any, body: bytes) -> Any:
    """The payload, once the body is known."""
    return {**mapping(so_far), "body": parsed(body)}


INVOKE = Format(
    "invoke_model",
    "chat",
    request,
    response,
    fold,
    finished,
    substance,
    content=parts.INVOKE,
    failed=converse.failed,
)
INVOKE_OTHER = replace(INVOKE, name="invoke_model_other", content=None)
"""Embeddings and rankings: the conventions have no content for them."""
