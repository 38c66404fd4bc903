"""OpenAI's Responses wire: the stored object and its event sequence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..call import pick
from .wire import (
    ANY_OBJECT,
    JSON,
    Answer,
    Ask,
    Output,
    Prompt,
    Reply,
    Tokens,
    compact,
    compose,
    holds,
    items,
    pieces,
)
from .wire_openai import functions, reasons, served_tier

Event = Mapping[str, Any] | str


def responses(ask: Ask, reply: Reply) -> Answer:
    """POST /responses."""
    prompt = _prompt(ask)
    output = compose(prompt, reply)
    usage = reply.usage if reply.usage is not None else response_usage(output.tokens)
    cut = output.stop == "length"
    status = "incomplete" if cut else "completed"
    done: JSON = {
        **_opened(ask),
        "status": status,
        "completed_at": None if cut else ask.now,
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "output": _output(ask, output, "incomplete" if cut else "completed"),
        "service_tier": served_tier(ask),
        "usage": usage or None,
        **reply.extra,
    }
    stored = None if ask.body.get("store") is False else done
    if ask.body.get("background") is True and not ask.stream:
        queued = {**_opened(ask), "status": "queued", **reply.extra}
        return Answer(body=queued, billed=False, stages=[{**queued, "status": "in_progress"}, done])
    if not ask.stream:
        return Answer(body=done, usage=usage or None, stored=stored)
    events = events_of({**_opened(ask), **reply.extra, "status": "in_progress"}, done)
    return Answer(
        events=events,
        usage=usage or None,
        usage_event=len(events) - 1,
        failure=lambda sent: _failure(ask, sent),
        stored=stored,
    )


def compact_response(ask: Ask, reply: Reply) -> Answer:
    """POST /responses/compact: the whole input becomes one item, which is told in ten words."""
    turns = items(ask.body, "input") or [ask.body.get("input")]
    output = compose(Prompt(turns=turns), Reply(text=" ".join(["word"] * 10)))
    usage = response_usage(output.tokens)
    item = {"id": f"cmp_{ask.number:048x}", "type": "compaction", "encrypted_content": "none"}
    head = {"id": f"resp_{ask.number:048x}", "object": "response.compaction", "created_at": ask.now}
    return Answer(body={**head, "output": [item], "usage": usage, **reply.extra}, usage=usage)


def decisions(ask: Ask, reply: Reply) -> Answer:
    """POST /decisions: the first of the choices."""
    output = compose(Prompt(turns=[ask.body.get("input")]), Reply(text="yes"))
    usage = response_usage(output.tokens)
    answer: JSON = {"type": "choice", "choice": "yes", "confidence": 0.9, "name": None, "probabilities": []}
    return Answer(body={"answers": [answer], "model": ask.served, "usage": usage, **reply.extra}, usage=usage)


def _prompt(ask: Ask) -> Prompt:
    body = ask.body
    tools = items(body, "tools")
    given = body.get("input")
    answered = holds(given, "type", "function_call_output") or body.get("tool_choice") == "none"
    kind = pick(body, "text", "format", "type")
    schema = ANY_OBJECT if kind == "json_object" else None
    return Prompt(
        turns=[body.get("instructions"), *(items(body, "input") or [given])],
        tools=[] if answered else functions(tools),
        declared=len(tools),
        schema=pick(body, "text", "format", "schema") or schema,
        limit=body.get("max_output_tokens"),
        thinks=reasons(ask.model, pick(body, "reasoning", "effort")),
    )


def response_usage(tokens: Tokens) -> JSON:
    """`ResponseUsage`."""
    return {
        "input_tokens": tokens.input,
        "input_tokens_details": {"cached_tokens": tokens.cached, "cache_write_tokens": 0},
        "output_tokens": tokens.output,
        "output_tokens_details": {"reasoning_tokens": tokens.reasoning},
        "total_tokens": tokens.total,
    }


def _opened(ask: Ask) -> JSON:
    body = ask.body

    def asked(name: str, default: Any = None) -> Any:
        return body[name] if body.get(name) is not None else default

    tools = items(body, "tools")
    return {
        "id": f"resp_{ask.number:048x}",
        "object": "response",
        "created_at": ask.now,
        "status": "queued",
        "background": asked("background", False),
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "instructions": asked("instructions"),
        "max_output_tokens": asked("max_output_tokens"),
        "max_tool_calls": asked("max_tool_calls"),
        "model": ask.served,
        "output": [],
        "parallel_tool_calls": asked("parallel_tool_calls", True),
        "previous_response_id": asked("previous_response_id"),
        "prompt_cache_key": asked("prompt_cache_key"),
        "reasoning": {"effort": None, "summary": None, **asked("reasoning", {})},
        "safety_identifier": asked("safety_identifier"),
        "service_tier": asked("service_tier", "auto"),
        "store": asked("store", True),
        "temperature": asked("temperature", 1.0),
        "text": {"format": {"type": "text"}, "verbosity": "medium", **asked("text", {})},
        "tool_choice": asked("tool_choice", "auto"),
        "tools": [{"strict": True, **tool} if pick(tool, "type") == "function" else tool for tool in tools],
        "top_logprobs": asked("top_logprobs", 0),
        "top_p": asked("top_p", 1.0),
        "truncation": asked("truncation", "disabled"),
        "usage": None,
        "user": asked("user"),
        "metadata": asked("metadata", {}),
    }


def _output(ask: Ask, output: Output, status: str) -> list[JSON]:
    """The output items: reasoning if there was any, then tool calls or the message."""
    found: list[JSON] = []
    if output.tokens.reasoning:
        asked = pick(ask.body, "reasoning", "summary")
        summary = [{"type": "summary_text", "text": "**Thinking it over**"}] if asked else []
        found.append({"id": f"rs_{ask.number:048x}", "type": "reasoning", "summary": summary})
    for at, (name, arguments) in enumerate(output.calls):
        found.append(
            {
                "id": f"fc_{ask.number:044x}{at:04x}",
                "type": "function_call",
                "status": "completed",
                "arguments": compact(arguments),
                "call_id": f"call_{ask.number:020x}{at:04x}",
                "name": name,
            }
        )
    if output.text or not output.calls:
        text: JSON = {"type": "output_text", "annotations": [], "logprobs": [], "text": output.text}
        found.append(
            {
                "id": f"msg_{ask.number:048x}",
                "type": "message",
                "status": status,
                "content": [text],
                "role": "assistant",
            }
        )
    return found


_BLANK: Mapping[str, JSON] = {
    "reasoning": {"summary": []},
    "function_call": {"status": "in_progress", "arguments": ""},
    "message": {"status": "in_progress", "content": []},
}
"""What differs in an item that has only been announced."""


def events_of(opened: Mapping[str, Any], done: Mapping[str, Any]) -> list[Event]:
    """The event sequence that ends in the response `done`."""
    events: list[tuple[str, JSON]] = [
        ("response.created", {"response": opened}),
        ("response.in_progress", {"response": opened}),
    ]
    for at, item in enumerate(items(done, "output")):
        added = {**item, **_BLANK[item["type"]]}
        events.append(("response.output_item.added", {"output_index": at, "item": added}))
        events += _inside(item, {"item_id": item["id"], "output_index": at})
        events.append(("response.output_item.done", {"output_index": at, "item": item}))
    events.append((f"response.{done['status']}", {"response": done}))
    return [{"type": name, "sequence_number": number, **data} for number, (name, data) in enumerate(events)]


def _inside(item: JSON, place: JSON) -> list[tuple[str, JSON]]:
    """The events between an item's `added` and `done`."""
    if item["type"] == "function_call":
        deltas = [{**place, "delta": piece} for piece in pieces(item["arguments"], 8)]
        whole = {**place, "name": item["name"], "arguments": item["arguments"]}
        return [
            *(("response.function_call_arguments.delta", each) for each in deltas),
            ("response.function_call_arguments.done", whole),
        ]
    if item["type"] == "reasoning":
        return [event for number, part in enumerate(item["summary"]) for event in _summary(part, place, number)]
    part = item["content"][0]
    here = {**place, "content_index": 0}
    return [
        ("response.content_part.added", {**here, "part": {**part, "text": ""}}),
        *(("response.output_text.delta", {**here, "delta": piece, "logprobs": []}) for piece in pieces(part["text"])),
        ("response.output_text.done", {**here, "text": part["text"], "logprobs": []}),
        ("response.content_part.done", {**here, "part": part}),
    ]


def _summary(part: JSON, place: JSON, number: int) -> list[tuple[str, JSON]]:
    here = {**place, "summary_index": number}
    return [
        ("response.reasoning_summary_part.added", {**here, "part": {**part, "text": ""}}),
        ("response.reasoning_summary_text.delta", {**here, "delta": part["text"]}),
        ("response.reasoning_summary_text.done", {**here, "text": part["text"]}),
        ("response.reasoning_summary_part.done", {**here, "part": part}),
    ]


def _failure(ask: Ask, sent: int) -> list[Event]:
    """As on the real wire: the SDKs raise at the first of the two events, other clients read the second."""
    fault = {"code": "server_error", "message": "The server had an error while processing your request."}
    failed = {**_opened(ask), "status": "failed", "error": fault}
    return [
        {"type": "error", "sequence_number": sent, "error": {"type": "server_error", **fault, "param": None}},
        {"type": "response.failed", "sequence_number": sent + 1, "response": failed},
    ]
