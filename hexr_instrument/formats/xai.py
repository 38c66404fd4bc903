"""xAI's protobuf messages, put as the chat completions that its HTTP API makes of them: then that format reads them.

A field that protobuf leaves out reads as 0 or "": none of them is a count or a text that somebody stated.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..call import number, pick, sequence, text
from .chat import CHAT, ask_plainly

_ROLES = {1: "user", 2: "assistant", 3: "system", 4: "function", 5: "tool", 6: "developer"}
_REASONS = {1: "length", 2: "length", 3: "stop", 4: "tool_calls", 5: "time_limit"}
_TIERS = {1: "default", 2: "priority"}
_OUTPUTS = {1: "text", 2: "json_object", 3: "json_schema"}
_EFFORTS = {1: "low", 2: "medium", 3: "high", 4: "none", 5: "xhigh"}
_NUMBERS = ("n", "max_tokens", "seed", "temperature", "top_p", "frequency_penalty", "presence_penalty")


def items(source: Any, name: str) -> list[Any]:
    """The items of a repeated field; a list where it is one."""
    found = pick(source, name)
    return list(found) if "Repeated" in type(found).__name__ else sequence(found)


def _has(source: Any, name: str) -> bool:
    """Whether a field is set; older versions lack some, and asking for one of those is an error."""
    return hasattr(source, "HasField") and hasattr(source, name) and source.HasField(name)


def parameters(proto: Any) -> dict[str, Any]:
    """What a `GetCompletionsRequest` sets of the sampling, without its messages."""
    body: dict[str, Any] = {name: round(getattr(proto, name), 6) for name in _NUMBERS if _has(proto, name)}
    if stop := items(proto, "stop"):
        body["stop"] = stop
    if _has(proto, "reasoning_effort"):
        body["reasoning_effort"] = _EFFORTS.get(proto.reasoning_effort)
    if _has(proto, "response_format"):
        body["response_format"] = {"type": _OUTPUTS.get(proto.response_format.format_type)}
    if tier := _TIERS.get(pick(proto, "service_tier")):
        body["service_tier"] = tier
    return body


def asked(proto: Any) -> dict[str, Any]:
    """The messages and tools of a request."""
    return {
        "messages": [_message(each) for each in items(proto, "messages") or items(proto, "input")],
        "tools": [{"function": {"name": text(each, "function", "name")}} for each in items(proto, "tools")],
    }


def _message(proto: Any) -> dict[str, Any]:
    parts: list[dict[str, Any]] = []
    for part in items(proto, "content"):
        if said := text(part, "text"):
            parts.append({"type": "text", "text": said})
        elif url := text(part, "image_url", "image_url"):
            parts.append({"type": "image_url", "image_url": {"url": url}})
        else:
            parts.append({"type": "file", "file": {"file_id": text(part, "file", "file_id")}})
    return {
        "role": _ROLES.get(pick(proto, "role"), "user"),
        "content": parts,
        "reasoning_content": text(proto, "reasoning_content"),
        "tool_calls": [_call(each) for each in items(proto, "tool_calls")],
        "tool_call_id": text(proto, "tool_call_id"),
    }


def _call(proto: Any) -> dict[str, Any]:
    function = {"name": text(proto, "function", "name"), "arguments": text(proto, "function", "arguments")}
    return {"id": text(proto, "id"), "function": function}


def answered(proto: Any, said: str = "message") -> dict[str, Any]:
    """A response as a chat completion; with `delta` a chunk as one of its chunks.

    Tools that ran at xAI have outputs of their own, of which only the last one has a reason to end.
    """
    choices = [_choice(each, said) for each in items(proto, "outputs")]
    if said == "message":
        choices = [each for each in choices if each["finish_reason"]] or choices
    return {
        "id": text(proto, "id"),
        "model": text(proto, "model"),
        "system_fingerprint": text(proto, "system_fingerprint"),
        "choices": choices,
        "usage": _usage(pick(proto, "usage")),
        "service_tier": _TIERS.get(pick(proto, "service_tier")),
    }


def _choice(proto: Any, said: str) -> dict[str, Any]:
    message = pick(proto, said)
    calls = [{**_call(each), "index": index} for index, each in enumerate(items(message, "tool_calls"))]
    held = {"content": text(message, "content"), "reasoning_content": text(message, "reasoning_content")}
    reason = _REASONS.get(pick(proto, "finish_reason"))
    return {"index": number(proto, "index") or 0, "finish_reason": reason, said: {**held, "tool_calls": calls}}


def _usage(proto: Any) -> dict[str, Any] | None:
    if not number(proto, "total_tokens") and not number(proto, "prompt_tokens"):
        return None
    return {
        "prompt_tokens": number(proto, "prompt_tokens"),
        "completion_tokens": number(proto, "completion_tokens"),
        "total_tokens": number(proto, "total_tokens"),
        "prompt_tokens_details": {
            "cached_tokens": number(proto, "cached_prompt_text_tokens"),
            "image_tokens": number(proto, "prompt_image_tokens"),
        },
        "completion_tokens_details": {"reasoning_tokens": number(proto, "reasoning_tokens")},
        # More digits than a count of tokens may have: a call of seven dollars is 7e10 ticks.
        "cost_in_usd_ticks": pick(proto, "cost_in_usd_ticks") if _has(proto, "cost_in_usd_ticks") else None,
    }


XAI = replace(CHAT, name="xai", usage_request=None, usage_only=None, ask=ask_plainly)
