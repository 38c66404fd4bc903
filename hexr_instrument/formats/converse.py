"""Amazon Bedrock's Converse, whole and streamed; Amazon's own models answer InvokeModel in the same words."""

from __future__ import annotations

from typing import Any

from ..call import Format, Question, Response, Usage, mapping, number, pick, sequence, sound, text, total
from ._json import numbers, strings
from .parts import converse as parts

_PARAMETERS = {"temperature": "temperature", "topP": "top_p", "topK": "top_k", "maxTokens": "max_tokens"}
_ADDED = {"top_k": "top_k", "topK": "top_k"}
_FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_call",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "malformed_model_output": "error",
    "malformed_tool_use": "error",
}


def request(body: Any) -> dict[str, Any]:
    """Sampling parameters of a Converse request."""
    asked = pick(body, "inferenceConfig")
    found = numbers(pick(body, "additionalModelRequestFields"), _ADDED) | numbers(asked, _PARAMETERS)
    if stop := strings(pick(asked, "stopSequences")):
        found["stop_sequences"] = stop
    if text(body, "outputConfig", "textFormat", "type") == "json_schema":
        found["output_type"] = "json"
    if level := text(body, "outputConfig", "effort"):
        found["reasoning_level"] = level
    if guardrail := text(body, "guardrailConfig", "guardrailIdentifier"):
        found["guardrail"] = guardrail
    return found


def short(model: str | None) -> str | None:
    """The name in an ARN: 'arn:aws:bedrock:us-east-1:1:inference-profile/us.x' is us.x.

    What is the account's own (a profile, a provisioned or an imported model, a router) keeps its kind before its name.
    """
    if model is None or not model.startswith("arn:"):
        return model
    kind, _, name = model.split(":", 5)[-1].partition("/")
    return name if name and kind in ("foundation-model", "inference-profile") else f"{kind}/{name}".strip("/")


def usage(source: Any) -> Usage | None:
    """Cached tokens stand beside `inputTokens`: the sum of all three is the input."""
    asked = number(source, "inputTokens")
    if asked is None or not sound(source):
        return None
    read = _either(source, "cacheReadInputTokens", "cacheReadInputTokenCount")
    write = _either(source, "cacheWriteInputTokens", "cacheWriteInputTokenCount")
    lives = sequence(pick(source, "cacheDetails"))
    hour = total(*(number(each, "inputTokens") for each in lives if text(each, "ttl") == "1h"))
    return Usage(
        input=total(asked, read, write),
        output=number(source, "outputTokens"),
        cache_read=read,
        cache_write=write,
        cache_write_1h=0 if hour is None and lives else hour,
    )


def _either(source: Any, *names: str) -> int | None:
    return next((count for name in names if (count := number(source, name)) is not None), None)


def response(payload: Any) -> Response:
    """A whole answer, or a stream folded into one."""
    reason = text(payload, "stopReason")
    return Response(
        id=text(payload, "ResponseMetadata", "RequestId"),
        model=short(text(payload, "trace", "promptRouter", "invokedModelId")),
        finish_reasons=(_FINISH_REASONS.get(reason, reason),) if reason else (),
        usage=usage(pick(payload, "usage")),
        service_tier=tier(text(payload, "performanceConfig", "latency"), text(payload, "serviceTier", "type")),
        stated_total=_total(pick(payload, "usage")),
        error=text(payload, "error"),
    )


def _total(source: Any) -> int | None:
    """The stated total; none where it leaves out what was cached, as some models' does."""
    stated, bare = number(source, "totalTokens"), total(number(source, "inputTokens"), number(source, "outputTokens"))
    return None if stated == bare else stated


def tier(latency: str | None, served: str | None) -> str | None:
    """What the price depends on beside the model: optimized latency, else the tier of capacity."""
    return "latency:optimized" if latency == "optimized" else served


_LAST_WINS = ("usage", "trace", "serviceTier", "performanceConfig")


def fold(so_far: Any, chunk: Any) -> Any:
    """`messageStop` has the reason, `metadata` the rest; an exception ends the stream."""
    so_far = so_far or {}
    if reason := text(chunk, "messageStop", "stopReason"):
        so_far["stopReason"] = reason
    metadata = pick(chunk, "metadata")
    for name in _LAST_WINS:
        if value := pick(metadata, name):
            so_far[name] = value
    if fault := text(chunk, "Error", "Code"):
        so_far["error"] = fault
    if "ResponseMetadata" not in so_far and text(chunk, "ResponseMetadata", "RequestId"):
        so_far["ResponseMetadata"] = pick(chunk, "ResponseMetadata")
    return so_far


def finished(payload: Any) -> bool:
    """Whether there is a reason, and the usage that comes after it."""
    return text(payload, "stopReason") is not None and pick(payload, "usage") is not None


def substance(chunk: Any) -> bool:
    """Whether an event carries a piece of output."""
    return pick(chunk, "contentBlockDelta") is not None


def failed(error: Any) -> tuple[str | None, int | None]:
    """The code and the status of a `ClientError`."""
    answer = pick(error, "response")
    return text(answer, "Error", "Code"), number(answer, "ResponseMetadata", "HTTPStatusCode")


def ask(question: Question) -> dict[str, Any]:
    """Keyword arguments of `converse` and `converse_stream`; sampling parameters may be given by their plain names."""
    options = dict(question.options)
    asked: dict[str, Any] = {
        "modelId": question.model,
        "messages": [{**each, "content": _blocks(each.get("content"))} for each in question.messages],
    }
    if question.system:
        asked["system"] = [{"text": question.system}]
    config = {wire: options.pop(plain) for plain, wire in _PLAIN.items() if plain in options}
    if config:
        asked["inferenceConfig"] = {**mapping(options.pop("inferenceConfig", None)), **config}
    return asked | options


_PLAIN = {"temperature": "temperature", "top_p": "topP", "max_tokens": "maxTokens", "stop_sequences": "stopSequences"}


def _blocks(content: Any) -> list[Any]:
    return [{"text": content}] if type(content) is str else list(content or ())


def answer(payload: Any) -> str:
    """The text of an answer's blocks, or of one piece of a stream."""
    blocks = sequence(pick(payload, "output", "message", "content"))
    return text(payload, "contentBlockDelta", "delta", "text") or "".join(text(each, "text") or "" for each in blocks)


CONVERSE = Format(
    "converse",
    "chat",
    request,
    response,
    fold,
    finished,
    substance,
    ask=ask,
    answer=answer,
    content=parts.CONVERSE,
    failed=failed,
)
