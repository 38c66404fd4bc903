"""Anthropic messages."""

from __future__ import annotations

from typing import Any

from ..call import Format, Question, Response, Usage, mapping, number, pick, sequence, sound, text, total
from ._json import numbers, strings, texts

_PARAMETERS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "max_tokens": "max_tokens",
}
_FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_call",
    "refusal": "content_filter",
}


def request(body: Any) -> dict[str, Any]:
    """Sampling parameters of a messages body."""
    found = numbers(body, _PARAMETERS) | texts(body, {"service_tier": "service_tier"})
    if stop := strings(pick(body, "stop_sequences")):
        found["stop_sequences"] = stop
    if level := text(body, "output_config", "effort"):
        found["reasoning_level"] = level
    if text(body, "output_config", "format", "type") == "json_schema":
        found["output_type"] = "json"
    return found


def _usage(source: Any) -> Usage | None:
    """Anthropic counts cached tokens apart from `input_tokens`: the sum of all three is the input.

    What it took to compact the context is billed too, but only the list of iterations has it.
    """
    if number(source, "input_tokens") is None or not sound(source):
        return None
    parts = [source, *(each for each in sequence(pick(source, "iterations")) if text(each, "type") == "compaction")]
    read = total(*(number(part, "cache_read_input_tokens") for part in parts))
    write = total(*(_written(part) for part in parts))
    return Usage(
        input=total(*(number(part, "input_tokens") for part in parts), read, write),
        output=total(*(number(part, "output_tokens") for part in parts)),
        cache_read=read,
        cache_write=write,
        cache_write_1h=total(*(number(part, "cache_creation", "ephemeral_1h_input_tokens") for part in parts)),
        reasoning=number(source, "output_tokens_details", "thinking_tokens"),
        web_searches=number(source, "server_tool_use", "web_search_requests"),
    )


def _written(part: Any) -> int | None:
    """Tokens written to a cache, whatever their lifetime."""
    whole = number(part, "cache_creation_input_tokens")
    if whole is not None:
        return whole
    lives = ("ephemeral_1h_input_tokens", "ephemeral_5m_input_tokens")
    return total(*(number(part, "cache_creation", name) for name in lives))


def response(payload: Any) -> Response:
    """A whole message, or a stream folded into one."""
    reason = text(payload, "stop_reason")
    return Response(
        id=text(payload, "id"),
        model=text(payload, "model"),
        finish_reasons=(_FINISH_REASONS.get(reason, reason),) if reason else (),
        usage=_usage(pick(payload, "usage")),
        # Fast mode is a price of its own, beside the tiers of capacity.
        service_tier="fast" if text(payload, "usage", "speed") == "fast" else text(payload, "usage", "service_tier"),
    )


def fold(so_far: Any, chunk: Any) -> Any:
    """`message_start` carries the message; each `message_delta` brings counts that replace the earlier ones."""
    kind = text(chunk, "type")
    if kind == "message_start":
        message = mapping(pick(chunk, "message"))
        # `output_tokens` here is a placeholder (1) until the first delta: it is not what was billed.
        return {**message, "usage": {**mapping(message.get("usage")), "output_tokens": None}}
    if kind == "message_delta" and so_far is not None:
        if reason := text(chunk, "delta", "stop_reason"):
            so_far["stop_reason"] = reason
        counts = mapping(pick(chunk, "usage"))
        so_far["usage"].update({name: value for name, value in counts.items() if value is not None})
    return so_far


def finished(payload: Any) -> bool:
    """Whether the message has its stop reason."""
    return text(payload, "stop_reason") is not None


def substance(chunk: Any) -> bool:
    """Whether an event carries a piece of output."""
    return text(chunk, "type") == "content_block_delta"


def ask(question: Question) -> dict[str, Any]:
    """Keyword arguments of `messages.create`; the API requires `max_tokens`, so 1,024 is asked where none is."""
    asked: dict[str, Any] = {"model": question.model, "messages": list(question.messages), "max_tokens": 1024}
    if question.system:
        asked["system"] = question.system
    if question.stream:
        asked["stream"] = True
    return asked | dict(question.options)


def answer(payload: Any) -> str:
    """The text of a message's blocks, or of one delta."""
    if text(payload, "type") == "content_block_delta":
        return text(payload, "delta", "text") or ""
    return "".join(text(block, "text") or "" for block in sequence(pick(payload, "content")))


MESSAGES = Format("messages", "chat", request, response, fold, finished, substance, ask=ask, answer=answer)
