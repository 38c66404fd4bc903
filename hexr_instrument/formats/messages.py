"""Anthropic messages."""

from __future__ import annotations

from typing import Any

from ..call import (
    DICT,
    Format,
    Part,
    Question,
    Response,
    Usage,
    getter,
    mapping,
    number,
    pick,
    sequence,
    sound,
    text,
    total,
)
from ._json import numbers, strings, summed, texts
from .parts import messages as parts

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


_EVERYWHERE = frozenset({"global", "not_available"})
"""Where inference ran without anybody's wish: at the standard price."""


def _usage(source: Any) -> tuple[Usage | None, tuple[Part, ...]]:
    """What was used in all, and by which sampling, where there were several.

    The top of the usage leaves out what it took to compact the context, to ask an advisor, and what another model did
    before it declined: the list of iterations has all of it, each with its own model, and that is what is billed.
    """
    if number(source, "input_tokens") is None or not sound(source):
        return None, ()
    iterations = sequence(pick(source, "iterations"))
    kinds = {text(each, "type") for each in iterations}
    sampled = [each for each in iterations if number(each, "input_tokens") is not None]
    if not kinds & {"message", "fallback_message"}:  # the message's own sampling is only at the top
        sampled.insert(0, source)
    # Where another model took over, the model of what went before it is not the response's.
    nameless = "" if "fallback_message" in kinds else None
    parts = [Part(text(each, "model") or nameless, _sampling(each)) for each in sampled]
    alone = len(parts) == 1 and not parts[0].model
    found = parts[0].usage if alone else summed([part.usage for part in parts])
    found.reasoning = number(source, "output_tokens_details", "thinking_tokens")
    found.web_searches = number(source, "server_tool_use", "web_search_requests")
    if alone:
        return found, ()
    parts[-1].usage.web_searches = found.web_searches
    return found, tuple(parts)


def _sampling(part: Any) -> Usage:
    """Anthropic counts cached tokens apart from `input_tokens`: the sum of all three is the input."""
    get = getter(part)
    read, write = number(get("cache_read_input_tokens")), _written(part)
    return Usage(
        input=total(number(get("input_tokens")), read, write),
        output=number(get("output_tokens")),
        cache_read=read,
        cache_write=write,
        cache_write_1h=number(get("cache_creation"), "ephemeral_1h_input_tokens"),
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
    get = getter(payload)
    reason, spent = text(get("stop_reason")), get("usage")
    usage, parts = _usage(spent)
    return Response(
        id=text(get("id")),
        model=text(get("model")),
        finish_reasons=(_FINISH_REASONS.get(reason, reason),) if reason else (),
        usage=usage,
        parts=parts,
        service_tier=_tier(spent),
        surcharge=10 if text(spent, "inference_geo") == "us" else 0,
    )


def _tier(usage: Any) -> str | None:
    """What the price depends on beside the model: the tier of capacity, fast mode, where it ran, a credit's reprice.

    A place or a reprice that has no known price is a tier without one: the cost is then unknown, not the standard one.
    """
    if text(usage, "fallback_credit", "status", "type") == "redeemed":
        return "fallback_credit"
    place = text(usage, "inference_geo")
    if place is not None and place != "us" and place not in _EVERYWHERE:
        return f"inference_geo:{place}"
    return "fast" if text(usage, "speed") == "fast" else text(usage, "service_tier")


def fold(so_far: Any, chunk: Any) -> Any:
    """`message_start` carries the message; each `message_delta` brings counts that replace the earlier ones."""
    kind: Any = chunk.get("type") if type(chunk) is DICT else pick(chunk, "type")
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


MESSAGES = Format(
    "messages", "chat", request, response, fold, finished, substance, ask=ask, answer=answer, content=parts.MESSAGES
)
