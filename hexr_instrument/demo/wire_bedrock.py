"""Amazon Bedrock: Converse, and InvokeModel in each maker's own words; streams in AWS's binary frames."""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from zlib import crc32

from ..call import pick
from . import wire_anthropic, wire_openai
from .wire import JSON, Answer, Ask, Output, Prompt, Reply, Tokens, compact, compose, count, holds, items, pieces

_EXCEPTIONS: Mapping[int, str] = {
    400: "ValidationException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
}


def frame(event: Mapping[str, Any] | str) -> bytes:
    """One event: lengths, headers, its JSON, and two checksums.

    `{"contentBlockDelta": {...}}` is one of `converse-stream`, `{"exception": "throttlingException"}` ends a stream, and
    anything else is one of `invoke-with-response-stream`, which has it in base64.
    """
    name, content = "chunk", event
    if isinstance(event, Mapping) and len(event) == 1:
        ((name, content),) = event.items()
    if name == "exception":
        kind = {":exception-type": str(content), ":message-type": "exception"}
        payload = compact({"message": "The stream was ended."})
    else:
        kind = {":event-type": "chunk" if name not in _EVENTS else name, ":message-type": "event"}
        text = event if isinstance(event, str) else compact(event)
        wrapped = {"bytes": base64.b64encode(text.encode()).decode()}
        payload = compact(content if name in _EVENTS else wrapped)
    named = {**kind, ":content-type": "application/json"}
    headers = b"".join(_header(name, value) for name, value in named.items())
    prelude = struct.pack("!II", 16 + len(headers) + len(payload.encode()), len(headers))
    message = prelude + struct.pack("!I", crc32(prelude)) + headers + payload.encode()
    return message + struct.pack("!I", crc32(message))


_EVENTS = frozenset(
    {"messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata"}
)


def _header(name: str, value: str) -> bytes:
    """A header whose value is a string, which is type 7."""
    return struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", 7, len(value)) + value.encode()


def error(status: int, ask: Ask) -> JSON:
    """The body of an error."""
    return {"message": f"{_EXCEPTIONS.get(status, 'ServiceException')}: {ask.model}"}


def headers(status: int, number: int) -> dict[str, str]:
    """The headers by which AWS's answers are known."""
    kind = {} if status == 200 else {"x-amzn-errortype": _EXCEPTIONS.get(status, "ServiceException")}
    return {"x-amzn-requestid": f"00000000-0000-4000-8000-{number:012d}", **kind}


# ---- Converse ---------------------------------------------------------------------------------------------

_FINISH = {"stop": "end_turn", "length": "max_tokens", "tools": "tool_use"}


def converse(ask: Ask, reply: Reply) -> Answer:
    """POST /model/{id}/converse and /converse-stream; what is cached is read where the messages have a `cachePoint`."""
    output = compose(_prompt(ask), reply)
    usage = reply.usage if reply.usage is not None else _usage(ask, output.tokens)
    content: list[JSON] = [{"text": output.text}] if output.text or not output.calls else []
    content += [
        {"toolUse": {"toolUseId": f"tooluse_{ask.number:018d}{at:04d}", "name": name, "input": arguments}}
        for at, (name, arguments) in enumerate(output.calls)
    ]
    reason = reply.finish or _FINISH[output.stop]
    last: JSON = {"metrics": {"latencyMs": 12}, **({"usage": usage} if usage else {})}
    if tier := ask.body.get("serviceTier"):
        last["serviceTier"] = tier
    last |= reply.extra
    if not ask.stream:
        body = {"output": {"message": {"role": "assistant", "content": content}}, "stopReason": reason, **last}
        return Answer(body=body, usage=usage or None)
    events: list[JSON] = [{"messageStart": {"role": "assistant"}}]
    for index, block in enumerate(content):
        events += _block(index, block)
    events += [{"messageStop": {"stopReason": reason}}, {"metadata": last}]
    return Answer(
        events=events,
        usage=usage or None,
        usage_event=len(events) - 1,
        failure=lambda _sent: [{"exception": "throttlingException"}],
    )


def _block(index: int, block: JSON) -> list[JSON]:
    place: JSON = {"contentBlockIndex": index}
    stop: JSON = {"contentBlockStop": place}
    if (tool := block.get("toolUse")) is None:
        return [*({"contentBlockDelta": {"delta": {"text": each}, **place}} for each in pieces(block["text"])), stop]
    start = {name: tool[name] for name in ("toolUseId", "name")}
    parts = pieces(compact(tool["input"]))
    return [
        {"contentBlockStart": {"start": {"toolUse": start}, **place}},
        *({"contentBlockDelta": {"delta": {"toolUse": {"input": each}}, **place}} for each in parts),
        stop,
    ]


def _prompt(ask: Ask) -> Prompt:
    body = ask.body
    tools = [pick(each, "toolSpec") for each in items(body, "toolConfig", "tools") if pick(each, "toolSpec")]
    turns = items(body, "messages")
    limit = pick(body, "inferenceConfig", "maxTokens")
    return Prompt(
        turns=[*items(body, "system"), *turns],
        tools=[]
        if holds(turns, "toolResult")
        else [(tool["name"], pick(tool, "inputSchema", "json")) for tool in tools],
        declared=len(tools),
        limit=limit if isinstance(limit, int) else None,
    )


def _usage(ask: Ask, tokens: Tokens) -> JSON:
    """`TokenUsage`: what is cached stands beside the input, and is written by a request without an assistant's turn."""
    cached = tokens.cached if holds(ask.body, "cachePoint") else 0
    answered = any(pick(each, "role") == "assistant" for each in items(ask.body, "messages"))
    usage: JSON = {"inputTokens": tokens.input - cached, "outputTokens": tokens.output, "totalTokens": tokens.total}
    if cached:
        usage |= {"cacheReadInputTokens": cached * answered, "cacheWriteInputTokens": cached * (not answered)}
    return usage


# ---- InvokeModel ------------------------------------------------------------------------------------------

_METRICS = "amazon-bedrock-invocationMetrics"


def invoke(ask: Ask, reply: Reply) -> Answer:
    """POST /model/{id}/invoke and /invoke-with-response-stream, in the words of the model's maker."""
    model = ask.model.lower()
    if "anthropic_version" in ask.body:
        answer = wire_anthropic.messages(ask, reply)
        usage = answer.usage or {}
        tokens = Tokens(usage.get("input_tokens", 0), usage.get("output_tokens", 0))
        return _counted(answer, tokens) if usage else answer
    if "nova" in model:
        answer = converse(ask, reply)
        usage = answer.usage or {}
        tokens = Tokens(usage.get("inputTokens", 0), usage.get("outputTokens", 0))
        return _counted(answer, tokens) if usage else answer
    if "embed" in model:
        return _embedded(ask)
    said = ("prompt", "inputText", "message")
    output = compose(Prompt(turns=[ask.body.get(name) for name in said] + items(ask.body, "messages")), reply)
    whole, events = _spoken(model, output)
    answer = Answer(events=events, usage_event=len(events) - 1) if ask.stream else Answer(body=whole)
    # Makers without counts of their own are billed by Bedrock's.
    billed: JSON = {"input": output.tokens.input, "output": output.tokens.output}
    return replace(_counted(answer, output.tokens), usage=billed)


def _counted(answer: Answer, tokens: Tokens) -> Answer:
    """The answer with Bedrock's own counts: in the headers, or in the last event of a stream."""
    if answer.events is None:
        counts = {"input-token-count": tokens.input, "output-token-count": tokens.output}
        return replace(answer, headers={f"x-amzn-bedrock-{name}": str(count) for name, count in counts.items()})
    metrics = {"inputTokenCount": tokens.input, "outputTokenCount": tokens.output, "invocationLatency": 12}
    *events, last = answer.events
    events = [*events, {**(last if isinstance(last, dict) else {}), _METRICS: metrics}]
    # As texts, lest one of Nova's be framed as an event of Converse.
    return replace(answer, events=[compact(each) for each in events])


def _embedded(ask: Ask) -> Answer:
    texts = ask.body.get("texts") or [ask.body.get("inputText")]
    tokens = max(10, count(texts))
    vectors = [wire_openai.vector(each, 4) for each in texts]
    if "titan" in ask.model:
        body: JSON = {"embedding": vectors[0], "inputTextTokenCount": tokens}
    else:
        body = {"id": "e", "embeddings": vectors, "response_type": "embeddings_floats", "texts": texts}
    return Answer(body=body, usage={"input": tokens}, headers={"x-amzn-bedrock-input-token-count": str(tokens)})


def _spoken(model: str, output: Output) -> tuple[JSON, list[JSON]]:
    """The whole answer and the events of a stream of Llama, Titan, Cohere and Mistral."""
    text, tokens, parts = output.text, output.tokens, pieces(output.text)
    if "llama" in model:
        counts: JSON = {"prompt_token_count": tokens.input, "generation_token_count": tokens.output}
        events = [
            {
                "generation": part,
                "prompt_token_count": None if at else tokens.input,
                "generation_token_count": at + 1,
                "stop_reason": None,
            }
            for at, part in enumerate(parts)
        ]
        end: JSON = {"generation": "", "stop_reason": "stop", **counts, "prompt_token_count": None}
        return {"generation": text, "stop_reason": "stop", **counts}, [*events, end]
    if "titan" in model:
        result = {"tokenCount": tokens.output, "outputText": text, "completionReason": "FINISH"}
        said = [{"outputText": part, "index": 0, "completionReason": None} for part in parts]
        end = {"outputText": "", "index": 0, "completionReason": "FINISH"}
        totals = {"totalOutputTextTokenCount": tokens.output, "inputTextTokenCount": tokens.input}
        return {"inputTextTokenCount": tokens.input, "results": [result]}, [*said, end | totals]
    if "cohere" in model:
        whole: JSON = {"response_id": "r", "generation_id": "g", "text": text, "finish_reason": "COMPLETE"}
        said = [{"event_type": "text-generation", "is_finished": False, "text": part} for part in parts]
        return whole, [*said, {"event_type": "stream-end", "is_finished": True, "finish_reason": "COMPLETE"}]
    outputs = {"outputs": [{"text": text, "stop_reason": "stop"}]}
    said = [{"outputs": [{"text": part, "stop_reason": None}]} for part in parts]
    return outputs, [*said, {"outputs": [{"text": "", "stop_reason": "stop"}]}]
