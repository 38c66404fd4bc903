"""OpenAI's wire: chat completions, legacy completions, embeddings, moderations; and its errors."""

from __future__ import annotations

import base64
import hashlib
import struct
from collections.abc import Iterator, Mapping
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
    always_reasons,
    compact,
    compose,
    count,
    holds,
    items,
    pieces,
)

_FINISH = {"stop": "stop", "length": "length", "tools": "tool_calls"}


# ---- Chat completions -------------------------------------------------------------------------------------


def chat(ask: Ask, reply: Reply) -> Answer:
    """POST /chat/completions."""
    prompt = _prompt(ask)
    output = compose(prompt, reply)
    usage = reply.usage if reply.usage is not None else chat_usage(output.tokens)
    head = _head(ask, reply, "chatcmpl")
    finish = reply.finish or _FINISH[output.stop]
    if ask.stream:
        include = pick(ask.body, "stream_options", "include_usage") is True and bool(usage)
        chunk: JSON = {**head, "object": "chat.completion.chunk", **({"usage": None} if include else {})}
        events: list[Mapping[str, Any] | str] = [
            {
                **chunk,
                "choices": [{"index": index, "delta": delta, "logprobs": None, "finish_reason": reason}],
            }
            for index in range(prompt.choices)
            for delta, reason in _deltas(ask, output, index, finish)
        ]
        if include:
            events.append({**chunk, "choices": [], "usage": usage})
        return Answer(
            events=[*events, "[DONE]"],
            usage=usage if include else None,
            usage_event=len(events) - 1,
            failure=_failure,
        )
    body: JSON = {
        **head,
        "object": "chat.completion",
        "choices": [
            {
                "index": index,
                "message": {**_message(ask, output, index), "refusal": None, "annotations": []},
                "logprobs": None,
                "finish_reason": finish,
            }
            for index in range(prompt.choices)
        ],
        **({"usage": usage} if usage else {}),
    }
    stored = body if ask.body.get("store") is True else None
    return Answer(body=body, usage=usage or None, stored=stored)


def _prompt(ask: Ask) -> Prompt:
    body = ask.body
    tools = items(body, "tools")
    answered = holds(body.get("messages"), "role", "tool") or body.get("tool_choice") == "none"
    kind = pick(body, "response_format", "type")
    schema = ANY_OBJECT if kind == "json_object" else None
    return Prompt(
        turns=items(body, "messages"),
        tools=[] if answered else functions(tools),
        declared=len(tools),
        schema=pick(body, "response_format", "json_schema", "schema") or schema,
        choices=body.get("n") or 1,
        limit=body.get("max_completion_tokens") or body.get("max_tokens"),
        thinks=reasons(ask.model, body.get("reasoning_effort")),
    )


def functions(tools: list[Any]) -> list[tuple[str, Any]]:
    """Name and schema of each function tool, in the shape of chat or of responses."""
    plain = [pick(tool, "function") or tool for tool in tools if pick(tool, "type") == "function"]
    return [(str(pick(each, "name")), pick(each, "parameters")) for each in plain]


def reasons(model: str, effort: Any) -> bool:
    """Whether the answer takes reasoning tokens."""
    return effort not in {"none", "minimal"} and (effort is not None or always_reasons(model))


def chat_usage(tokens: Tokens) -> JSON:
    """`CompletionUsage`."""
    return {
        "prompt_tokens": tokens.input,
        "completion_tokens": tokens.output,
        "total_tokens": tokens.total,
        "prompt_tokens_details": {"cached_tokens": tokens.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": tokens.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def served_tier(ask: Ask) -> str:
    """The service tier that a request is served with: what it names, except that `auto` is `default`."""
    tier = ask.body.get("service_tier")
    return tier if isinstance(tier, str) and tier != "auto" else "default"


def _head(ask: Ask, reply: Reply, prefix: str) -> JSON:
    return {
        "id": f"{prefix}-{ask.number:024d}",
        "created": ask.now,
        "model": ask.served,
        "service_tier": served_tier(ask),
        "system_fingerprint": "fp_hexr_demo",
        **reply.extra,
    }


def _call_id(ask: Ask, index: int, at: int) -> str:
    return f"call_{ask.number:016d}{index:04d}{at:04d}"


def _message(ask: Ask, output: Output, index: int) -> JSON:
    if not output.calls:
        return {"role": "assistant", "content": output.text}
    calls = [
        {
            "id": _call_id(ask, index, at),
            "type": "function",
            "function": {"name": name, "arguments": compact(arguments)},
        }
        for at, (name, arguments) in enumerate(output.calls)
    ]
    return {"role": "assistant", "content": output.text or None, "tool_calls": calls}


def _deltas(ask: Ask, output: Output, index: int, finish: str) -> Iterator[tuple[JSON, str | None]]:
    yield (
        {"role": "assistant", "content": "" if output.text or not output.calls else None, "refusal": None},
        None,
    )
    for piece in pieces(output.text):
        yield {"content": piece}, None
    for at, (name, arguments) in enumerate(output.calls):
        start = {"index": at, "id": _call_id(ask, index, at), "type": "function"}
        yield {"tool_calls": [{**start, "function": {"name": name, "arguments": ""}}]}, None
        for piece in pieces(compact(arguments), 8):
            yield {"tool_calls": [{"index": at, "function": {"arguments": piece}}]}, None
    yield {}, finish


# ---- Legacy completions -----------------------------------------------------------------------------------


def completions(ask: Ask, reply: Reply) -> Answer:
    """POST /completions."""
    body = ask.body
    turns = [body.get("prompt")]
    prompt = Prompt(turns=turns, choices=body.get("n") or 1, limit=body.get("max_tokens") or None)
    output = compose(prompt, reply)
    usage: Mapping[str, Any]
    if reply.usage is not None:
        usage = reply.usage
    else:
        usage = {name: value for name, value in chat_usage(output.tokens).items() if name.endswith("_tokens")}
    head = {**_head(ask, reply, "cmpl"), "object": "text_completion"}
    del head["service_tier"]
    finish = reply.finish or _FINISH[output.stop]
    indexes = range(prompt.choices)
    if ask.stream:
        include = pick(body, "stream_options", "include_usage") is True and bool(usage)
        chunk = {**head, **({"usage": None} if include else {})}
        parts = [(piece, None) for piece in pieces(output.text)] + [("", finish)]
        events: list[Mapping[str, Any] | str] = [
            {**chunk, "choices": [{"text": text, "index": index, "logprobs": None, "finish_reason": reason}]}
            for index in indexes
            for text, reason in parts
        ]
        if include:
            events.append({**chunk, "choices": [], "usage": usage})
        return Answer(
            events=[*events, "[DONE]"],
            usage=usage if include else None,
            usage_event=len(events) - 1,
            failure=_failure,
        )
    choice = {"text": output.text, "logprobs": None, "finish_reason": finish}
    choices = [{**choice, "index": at} for at in indexes]
    return Answer(body={**head, "choices": choices, **({"usage": usage} if usage else {})}, usage=usage or None)


# ---- Embeddings and moderations ---------------------------------------------------------------------------


def vector(value: Any, size: int) -> list[float]:
    """A fixed vector for `value`, exact in 32-bit floats."""
    digest = hashlib.shake_256(repr(value).encode()).digest(size)
    return [byte / 256 for byte in digest]


def embeddings(ask: Ask, reply: Reply) -> Answer:
    """POST /embeddings; eight dimensions unless the request says otherwise."""
    given = ask.body.get("input")
    # One text, or one text given as token numbers, is one input.
    inputs = items(ask.body, "input")
    if not inputs or type(inputs[0]) is int:
        inputs = [given]
    size = ask.body.get("dimensions") or 8
    vectors = [vector(each, size) for each in inputs]
    encoded = ask.body.get("encoding_format") == "base64"
    data = [base64.b64encode(struct.pack(f"<{size}f", *each)).decode() if encoded else each for each in vectors]
    tokens = max(10, count(inputs))
    usage = reply.usage if reply.usage is not None else {"prompt_tokens": tokens, "total_tokens": tokens}
    body: JSON = {
        "object": "list",
        "data": [{"object": "embedding", "index": at, "embedding": each} for at, each in enumerate(data)],
        "model": ask.served,
        **({"usage": usage} if usage else {}),
        **reply.extra,
    }
    return Answer(body=body, usage=usage or None)


_CATEGORIES = (  # noqa: SIM905  (thirteen lines otherwise)
    "harassment harassment/threatening hate hate/threatening illicit illicit/violent self-harm "
    "self-harm/intent self-harm/instructions sexual sexual/minors violence violence/graphic"
).split()


def moderations(ask: Ask, reply: Reply) -> Answer:
    """POST /moderations; nothing is ever flagged."""
    result = {
        "flagged": False,
        "categories": dict.fromkeys(_CATEGORIES, False),
        "category_scores": dict.fromkeys(_CATEGORIES, 0.0),
        "category_applied_input_types": {name: ["text"] for name in _CATEGORIES},
    }
    model = ask.served or "omni-moderation-latest"
    body = {"id": f"modr-{ask.number:012d}", "model": model, "results": [result], **reply.extra}
    return Answer(body=body, billed=False)


# ---- Errors and headers -----------------------------------------------------------------------------------

_ERRORS: Mapping[int, tuple[str, str | None, str]] = {
    400: ("invalid_request_error", None, "We could not parse the JSON body of your request."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided: {key}."),
    403: ("invalid_request_error", "unsupported_country_region_territory", "Country or region not supported"),
    404: (
        "invalid_request_error",
        "model_not_found",
        "The model `{model}` does not exist or you do not have access to it.",
    ),
    429: ("tokens", "rate_limit_exceeded", "Rate limit reached for {model} on tokens per min (TPM)."),
    500: ("server_error", None, "The server had an error while processing your request. Sorry about that!"),
    503: ("server_error", None, "The engine is currently overloaded, please try again later"),
}


def error(status: int, ask: Ask) -> JSON:
    """The body of an error; like the real one, a 401 repeats a part of the key."""
    kind, code, message = _ERRORS.get(status) or _ERRORS[400 if status < 500 else 500]
    key = ask.headers.get("authorization", "").removeprefix("Bearer ")
    text = message.format(model=ask.model, key=f"{key[:8]}{'*' * 8}{key[-4:]}")
    return {"error": {"message": text, "type": kind, "param": None, "code": code}}


def headers(status: int, number: int) -> dict[str, str]:
    """The headers by which OpenAI's answers are known."""
    return {
        "x-request-id": f"req_{number:032x}",
        "openai-processing-ms": "12",
        "openai-version": "2020-10-01",
        **retry_after(status),
    }


def retry_after(status: int) -> dict[str, str]:
    """How soon a client may try again; the SDKs prefer the milliseconds."""
    return {"retry-after": "1", "retry-after-ms": "20"} if status in {429, 503, 529} else {}


def _failure(_sent: int) -> list[Mapping[str, Any]]:
    kind, code, message = _ERRORS[500]
    return [{"error": {"message": message, "type": kind, "param": None, "code": code}}]
