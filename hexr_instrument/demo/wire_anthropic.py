"""Anthropic's wire: messages and token counting, and what its errors look like.

Tokens are cached here only where the request says `cache_control`: what the rule calls cached is written by a
request without an assistant turn, and read by one with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..call import pick
from .wire import (
    JSON,
    Answer,
    Ask,
    Output,
    Prompt,
    Reply,
    Tokens,
    compact,
    compose,
    count,
    holds,
    items,
    pieces,
)
from .wire_openai import retry_after

_FINISH = {"stop": "end_turn", "length": "max_tokens", "tools": "tool_use"}


def messages(ask: Ask, reply: Reply) -> Answer:
    """POST /v1/messages."""
    prompt = _prompt(ask)
    output = compose(prompt, reply)
    usage = reply.usage if reply.usage is not None else message_usage(ask, output.tokens)
    finish = reply.finish or _FINISH[output.stop]
    head: JSON = {
        "id": f"msg_{ask.number:024d}",
        "type": "message",
        "role": "assistant",
        "model": ask.served,
        **reply.extra,
    }
    content = _content(ask, prompt, output)
    if not ask.stream:
        body = {**head, "content": content, "stop_reason": finish, "stop_sequence": None}
        return Answer(body={**body, **({"usage": usage} if usage else {})}, usage=usage or None)
    # The first event knows the input; its output is a placeholder. The last usage is cumulative.
    first = {**usage, "output_tokens": 1} if usage else {}
    first.pop("output_tokens_details", None)
    last = {name: value for name, value in usage.items() if name not in _ONLY_FIRST}
    empty: JSON = {**head, "content": [], "stop_reason": None, "stop_sequence": None, "usage": first}
    events: list[Mapping[str, Any] | str] = [{"type": "message_start", "message": empty}]
    for index, block in enumerate(content):
        events += _block(index, block)
        if index == 0:
            events.insert(2, {"type": "ping"})
    ended = {"stop_reason": finish, "stop_sequence": None}
    events.append({"type": "message_delta", "delta": ended, "usage": last})
    events.append({"type": "message_stop"})
    return Answer(
        events=events,
        usage=usage or None,
        usage_event=len(events) - 2,
        failure=lambda _sent: [error(529, ask)],
    )


_ONLY_FIRST = frozenset({"service_tier", "cache_creation", "inference_geo"})


def _prompt(ask: Ask) -> Prompt:
    body = ask.body
    tools = items(body, "tools")
    # Server tools such as web_search have no schema: the provider runs them itself.
    own = [tool for tool in tools if pick(tool, "input_schema")]
    turns = items(body, "messages")
    answered = holds(turns, "type", "tool_result") or pick(body, "tool_choice", "type") == "none"
    output_format = pick(body, "output_config", "format") or body.get("output_format")
    return Prompt(
        turns=[body["system"], *turns] if body.get("system") else turns,
        tools=[] if answered else [(str(pick(tool, "name")), pick(tool, "input_schema")) for tool in own],
        declared=len(tools),
        schema=pick(output_format, "schema"),
        limit=body.get("max_tokens"),
        thinks=pick(body, "thinking", "type") in {"enabled", "adaptive"},
    )


def message_usage(ask: Ask, tokens: Tokens) -> JSON:
    """`Usage`; here the input leaves out what was read from or written to a cache."""
    marked = tokens.cached if holds(ask.body, "cache_control") else 0
    later = holds(ask.body.get("messages"), "role", "assistant")
    read, written = (marked, 0) if later else (0, marked)
    hour = written if holds(ask.body, "ttl", "1h") else 0
    return {
        "input_tokens": tokens.input - marked,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "cache_creation": {"ephemeral_5m_input_tokens": written - hour, "ephemeral_1h_input_tokens": hour},
        "output_tokens": tokens.output,
        "output_tokens_details": {"thinking_tokens": tokens.reasoning},
        "service_tier": "standard",
        "inference_geo": "global",
    }


def _content(ask: Ask, prompt: Prompt, output: Output) -> list[JSON]:
    blocks: list[JSON] = []
    if prompt.thinks:
        thought = "Let me think this over."
        blocks.append({"type": "thinking", "thinking": thought, "signature": "c2lnbmF0dXJl"})
    if output.text or not output.calls:
        blocks.append({"type": "text", "text": output.text})
    for at, (name, arguments) in enumerate(output.calls):
        identifier = f"toolu_{ask.number:020d}{at:04d}"
        blocks.append({"type": "tool_use", "id": identifier, "name": name, "input": arguments})
    return blocks


def _block(index: int, block: JSON) -> Iterator[JSON]:
    empty: JSON
    deltas: list[JSON]
    if block["type"] == "text":
        empty = {**block, "text": ""}
        deltas = [{"type": "text_delta", "text": piece} for piece in pieces(block["text"])]
    elif block["type"] == "thinking":
        empty = {**block, "thinking": "", "signature": ""}
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces(block["thinking"])]
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
    else:
        empty = {**block, "input": {}}
        parts = ["", *pieces(compact(block["input"]), 8)]
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in parts]
    yield {"type": "content_block_start", "index": index, "content_block": empty}
    for delta in deltas:
        yield {"type": "content_block_delta", "index": index, "delta": delta}
    yield {"type": "content_block_stop", "index": index}


def count_tokens(ask: Ask, reply: Reply) -> Answer:
    """POST /v1/messages/count_tokens."""
    prompt = _prompt(ask)
    tokens = max(10, 50 * prompt.declared + sum(count(turn) for turn in prompt.turns))
    return Answer(body={"input_tokens": tokens, **(reply.usage or {}), **reply.extra}, billed=False)


_ERRORS: Mapping[int, tuple[str, str]] = {
    400: ("invalid_request_error", "messages: at least one message is required"),
    401: ("authentication_error", "invalid x-api-key"),
    403: ("permission_error", "Your API key does not have permission to use the specified resource."),
    404: ("not_found_error", "model: {model}"),
    413: ("request_too_large", "Request exceeds the maximum size"),
    429: ("rate_limit_error", "This request would exceed your organization's rate limit."),
    500: ("api_error", "Internal server error"),
    529: ("overloaded_error", "Overloaded"),
}


def error(status: int, ask: Ask) -> JSON:
    """The body of an error, which is also the event that ends a broken stream."""
    kind, message = _ERRORS.get(status) or _ERRORS[400 if status < 500 else 500]
    fault = {"details": None, "type": kind, "message": message.format(model=ask.model)}
    return {"type": "error", "error": fault, "request_id": f"req_{ask.number:024d}"}


def headers(status: int, number: int) -> dict[str, str]:
    """The headers by which Anthropic's answers are known."""
    return {
        "request-id": f"req_{number:024d}",
        "anthropic-organization-id": "00000000-0000-4000-8000-000000000000",
        **retry_after(status),
    }
