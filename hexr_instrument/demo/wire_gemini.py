"""Google's wire: generateContent, its stream, and embeddings, on the Gemini API and on Vertex AI."""

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
    always_reasons,
    compact,
    compose,
    count,
    holds,
    items,
    pieces,
)
from .wire_openai import retry_after, vector

_FINISH = {"stop": "STOP", "length": "MAX_TOKENS", "tools": "STOP"}


def generate(ask: Ask, reply: Reply) -> Answer:
    """POST models/X:generateContent and :streamGenerateContent (with `alt=sse`, or as a JSON array)."""
    prompt = _prompt(ask)
    output = compose(prompt, reply)
    usage = reply.usage if reply.usage is not None else usage_metadata(ask, output.tokens)
    finish = reply.finish or _FINISH[output.stop]
    tail = {"modelVersion": ask.served, "responseId": f"hexr{ask.number:020d}", **reply.extra}

    def chunk(parts: list[JSON], usage: Mapping[str, Any], finish: str | None = None) -> JSON:
        candidates = [
            {
                "content": {"parts": parts, "role": "model"},
                **({"finishReason": finish} if finish else {}),
                "index": index,
            }
            for index in range(prompt.choices)
        ]
        return {"candidates": candidates, **({"usageMetadata": usage} if usage else {}), **tail}

    if not ask.stream:
        parts = [*_thought(ask, prompt), *_parts(output, [output.text])]
        return Answer(body=chunk(parts, usage, finish), usage=usage or None)
    # Each chunk states the usage so far; only the last one is the bill.
    heads = [chunk([part], _so_far(usage)) for part in _thought(ask, prompt)]
    said = [chunk([part], _so_far(usage)) for part in _parts(output, pieces(output.text))]
    last = said.pop() if said else chunk([], usage)
    events: list[Mapping[str, Any] | str] = [
        *heads,
        *said,
        chunk(items(last, "candidates", 0, "content", "parts"), usage, finish),
    ]
    if "alt=sse" not in ask.path:
        return Answer(body=events, usage=usage or None)
    return Answer(
        events=events,
        usage=usage or None,
        usage_event=len(events) - 1,
        failure=lambda _sent: [error(503, ask)],
    )


def _prompt(ask: Ask) -> Prompt:
    body = ask.body
    declared = [each for tool in items(body, "tools") for each in items(tool, "functionDeclarations")]
    callable_tools = [(str(pick(each, "name")), _schema(each)) for each in declared]
    forbidden = pick(body, "toolConfig", "functionCallingConfig", "mode") == "NONE"
    contents = items(body, "contents")
    config = body.get("generationConfig")
    schema = pick(config, "responseJsonSchema") or pick(config, "responseSchema")
    if schema is None and pick(config, "responseMimeType") == "application/json":
        schema = ANY_OBJECT
    budget = pick(config, "thinkingConfig", "thinkingBudget")
    return Prompt(
        turns=[body["systemInstruction"], *contents] if body.get("systemInstruction") else contents,
        tools=[] if forbidden or holds(contents, "functionResponse") else callable_tools,
        declared=len(declared),
        schema=schema,
        choices=pick(config, "candidateCount") or 1,
        limit=pick(config, "maxOutputTokens"),
        thinks=budget != 0 and (bool(pick(config, "thinkingConfig")) or always_reasons(ask.model)),
    )


def _schema(declaration: Any) -> Any:
    # The SDK spells one of them in snake case; the API takes both spellings of every field.
    names = ("parametersJsonSchema", "parameters_json_schema", "parameters")
    return next((found for name in names if (found := pick(declaration, name))), {"type": "object"})


def usage_metadata(ask: Ask, tokens: Tokens) -> JSON:
    """`usageMetadata`; here the candidates leave out the thoughts."""
    cached = {
        "cachedContentTokenCount": tokens.cached,
        "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": tokens.cached}],
    }
    return {
        "promptTokenCount": tokens.input,
        "candidatesTokenCount": tokens.output - tokens.reasoning,
        "totalTokenCount": tokens.total,
        **(cached if tokens.cached else {}),
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens.input}],
        **({"thoughtsTokenCount": tokens.reasoning} if tokens.reasoning else {}),
        **({"trafficType": "ON_DEMAND"} if "/publishers/" in ask.path else {}),
    }


def _so_far(usage: Mapping[str, Any]) -> JSON:
    said = usage.get("candidatesTokenCount")
    if type(said) is not int or said < 1:
        return dict(usage)
    so_far = {**usage, "candidatesTokenCount": 1}
    if type(total := usage.get("totalTokenCount")) is int:
        so_far["totalTokenCount"] = total - said + 1
    return so_far


def _thought(ask: Ask, prompt: Prompt) -> list[JSON]:
    shown = prompt.thinks and pick(ask.body, "generationConfig", "thinkingConfig", "includeThoughts")
    return [{"text": "Let me think this over.", "thought": True}] if shown else []


def _parts(output: Output, texts: list[str]) -> list[JSON]:
    calls = [{"functionCall": {"name": name, "args": arguments}} for name, arguments in output.calls]
    return [*({"text": text} for text in texts if text), *calls]


# ---- Counting and embeddings ------------------------------------------------------------------------------


def count_tokens(ask: Ask, reply: Reply) -> Answer:
    """POST models/X:countTokens."""
    tokens = max(10, count(items(ask.body, "contents")))
    return Answer(body={"totalTokens": tokens, **(reply.usage or {}), **reply.extra}, billed=False)


def embed(ask: Ask, reply: Reply) -> Answer:
    """POST models/X:embedContent and :batchEmbedContents."""
    batch = ask.route == ":batchEmbedContents"
    requests = items(ask.body, "requests") if batch else [ask.body]
    found = [{"values": vector(pick(each, "content"), _size(each))} for each in requests]
    tokens = max(10, sum(count(pick(each, "content")) for each in requests))
    details = [{"modality": "TEXT", "tokenCount": tokens}]
    counted = {"promptTokenCount": tokens, "promptTokensDetails": details}
    usage = reply.usage if reply.usage is not None else counted
    body: JSON = {"embeddings": found} if batch else {"embedding": found[0]}
    body = {**body, **({"usageMetadata": usage} if usage else {}), **reply.extra}
    return Answer(body=body, usage=usage or None)


def predict(ask: Ask, reply: Reply) -> Answer:
    """POST .../models/X:predict, how Vertex AI serves its text embeddings."""
    instances = items(ask.body, "instances")
    size = pick(ask.body, "parameters", "outputDimensionality") or 8
    counts = [max(10, count(pick(each, "content"))) for each in instances]
    statistics = [{"token_count": tokens, "truncated": False} for tokens in counts]
    predictions = [
        {"embeddings": {"values": vector(each, size), "statistics": counted}}
        for each, counted in zip(instances, statistics, strict=True)
    ]
    characters = sum(len(compact(pick(each, "content"))) - 2 for each in instances)
    body = {"predictions": predictions, "metadata": {"billableCharacterCount": characters}, **reply.extra}
    return Answer(body=body, usage={"token_count": sum(counts)})


def _size(request: Any) -> int:
    config = pick(request, "embedContentConfig", "outputDimensionality")
    return pick(request, "outputDimensionality") or config or 8


# ---- Errors and headers -----------------------------------------------------------------------------------

_ERRORS: Mapping[int, tuple[str, str]] = {
    400: ("INVALID_ARGUMENT", "Request contains an invalid argument."),
    401: ("UNAUTHENTICATED", "Request had invalid authentication credentials."),
    403: ("PERMISSION_DENIED", "The caller does not have permission"),
    404: ("NOT_FOUND", "models/{model} is not found for API version v1, or is not supported."),
    429: ("RESOURCE_EXHAUSTED", "You exceeded your current quota."),
    500: ("INTERNAL", "An internal error has occurred. Please retry or report it."),
    503: ("UNAVAILABLE", "The model is overloaded. Please try again later."),
}


def error(status: int, ask: Ask) -> JSON:
    """The body of an error, which is also the event that ends a broken stream."""
    name, message = _ERRORS.get(status) or _ERRORS[400 if status < 500 else 503]
    fault: JSON = {"code": status, "message": message.format(model=ask.model), "status": name}
    if status == 429:
        fault["details"] = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1s"}]
    return {"error": fault}


def headers(status: int, _number: int) -> dict[str, str]:
    """The headers by which Google's answers are known; there is no request id."""
    return {"server-timing": "gfet4t7; dur=12", **retry_after(status)}


def frame(event: Mapping[str, Any] | str) -> bytes:
    """A server-sent event with carriage returns."""
    return f"data: {event if isinstance(event, str) else compact(event)}\r\n\r\n".encode()
