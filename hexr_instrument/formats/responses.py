"""OpenAI responses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..call import Format, Question, Response, Usage, getter, mapping, number, pick, sequence, sound, text
from ._json import numbers, stated_cost, texts
from .chat import OUTPUT_TYPES
from .parts import responses as parts

_PARAMETERS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "max_output_tokens": "max_tokens",
}
_TEXTS = {"service_tier": "service_tier", "previous_response_id": "previous_response_id"}


def request(body: Any) -> dict[str, Any]:
    """Sampling parameters of a responses body."""
    found = numbers(body, _PARAMETERS) | texts(body, _TEXTS)
    if level := text(body, "reasoning", "effort"):
        found["reasoning_level"] = level
    if output := OUTPUT_TYPES.get(text(body, "text", "format", "type") or ""):
        found["output_type"] = output
    conversation = pick(body, "conversation")
    if identity := text(conversation, "id") or text(body, "conversation"):
        found["conversation_id"] = identity
    return found


def _usage(payload: Any) -> Usage | None:
    source = pick(payload, "usage")
    get = getter(source)
    asked = number(get("input_tokens"))
    if asked is None or not sound(source):
        return None
    inputs = getter(get("input_tokens_details"))
    searches = number(payload, "tool_usage", "web_search", "num_requests")
    return Usage(
        input=asked,
        output=number(get("output_tokens")),
        cache_read=number(inputs("cached_tokens")),
        cache_write=number(inputs("cache_write_tokens")),
        reasoning=number(get("output_tokens_details"), "reasoning_tokens"),
        web_searches=_fees(payload, "web_search_call") if searches is None else searches,
        storage_searches=_fees(payload, "file_search_call"),
    )


def _fees(payload: Any, kind: str) -> int | None:
    """How many calls of a tool with a fee each the output lists; pages that are opened after a search have none."""
    calls = [each for each in sequence(pick(payload, "output")) if text(each, "type") == kind]
    return sum(text(each, "action", "type") in (None, "search") for each in calls) or None


_CALLS = frozenset(
    {"function_call", "custom_tool_call", "computer_call", "shell_call", "local_shell_call", "apply_patch_call"}
)
"""Output items that the client has to carry out; searches and interpreters run at the provider."""


def _finish_reason(payload: Any) -> str | None:
    status = text(payload, "status")
    if status == "incomplete":
        reason = text(payload, "incomplete_details", "reason")
        return "length" if reason == "max_output_tokens" else reason or "length"
    if status in ("failed", "cancelled"):
        return "error"
    if status != "completed":
        return None
    called = any(text(each, "type") in _CALLS for each in sequence(pick(payload, "output")))
    return "tool_call" if called else "stop"


def response(payload: Any) -> Response:
    """A whole response object, or a stream folded into one."""
    get = getter(payload)
    status, spent = text(get("status")), get("usage")
    failed = status == "failed"
    reason = _finish_reason(payload)
    return Response(
        id=text(get("id")),
        model=text(get("model")),
        finish_reasons=(reason,) if reason else (),
        usage=_usage(payload),
        service_tier=text(get("service_tier")),
        stated_cost=stated_cost(spent),
        stated_total=number(spent, "total_tokens"),
        error=(text(get("error"), "code") or "_OTHER") if failed else None,
        extras=texts(payload, {"status": "status"}),
        # Images and containers of an interpreter are billed apart, by what is not said here.
        lower_bound=(number(get("tool_usage"), "image_gen", "total_tokens") or 0) > 0
        or any(text(each, "type") == "code_interpreter_call" for each in sequence(get("output"))),
        pending=status in ("queued", "in_progress"),
    )


def fold(so_far: Any, chunk: Any) -> Any:
    """Each lifecycle event carries the whole response so far; the last one wins."""
    return mapping(pick(chunk, "response")) or so_far


def finished(payload: Any) -> bool:
    """Whether the response has reached a final status (a background one has not)."""
    return text(payload, "status") in ("completed", "incomplete", "failed", "cancelled")


def substance(chunk: Any) -> bool:
    """Whether an event carries a piece of output."""
    return (text(chunk, "type") or "").endswith(".delta")


def ask(question: Question) -> dict[str, Any]:
    """Keyword arguments of `responses.create`."""
    asked: dict[str, Any] = {"model": question.model, "input": list(question.messages)}
    if question.system:
        asked["instructions"] = question.system
    if question.stream:
        asked["stream"] = True
    return asked | dict(question.options)


def answer(payload: Any) -> str:
    """The text of a response, or of one of its delta events."""
    if text(payload, "type") == "response.output_text.delta":
        return text(payload, "delta") or ""
    return text(payload, "output_text") or ""


RESPONSES = Format(
    "responses", "chat", request, response, fold, finished, substance, ask=ask, answer=answer, content=parts.RESPONSES
)
DECISIONS = replace(RESPONSES, name="decisions")
"""Questions with a fixed set of answers: the usage of responses, and no status."""
