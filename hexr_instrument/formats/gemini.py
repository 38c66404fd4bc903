"""Google's generateContent and embedContent, as wire JSON (camelCase) and as the SDK's objects (snake_case)."""

from __future__ import annotations

from typing import Any

from ..call import Format, Question, Response, Usage, number, parsed, pick, sequence, sound, text, total
from ._json import numbers, strings


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


def get(source: Any, *path: str | int) -> Any:
    """`pick` by snake_case names, which also finds a dict's camelCase keys."""
    for step in path:
        wire = isinstance(step, str) and type(source) is dict and step not in source
        source = pick(source, _camel(str(step)) if wire else step)
    return source


_PARAMETERS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "max_output_tokens": "max_tokens",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "seed": "seed",
    "candidate_count": "choice_count",
    "output_dimensionality": "dimension_count",
}
_FINISH_REASONS = {
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "BLOCKLIST": "content_filter",
    "SPII": "content_filter",
}


def request(body: Any) -> dict[str, Any]:
    """Sampling parameters of a `config`, which may be a dict in either spelling or the SDK's object."""
    found = numbers({name: get(body, name) for name in _PARAMETERS}, _PARAMETERS)
    if type(top_k := found.get("top_k")) is float and top_k.is_integer():
        found["top_k"] = int(top_k)
    if stop := strings(get(body, "stop_sequences")):
        found["stop_sequences"] = stop
    if found.get("choice_count") == 1:
        del found["choice_count"]
    if (mime := text(get(body, "response_mime_type"))) is not None:
        found["output_type"] = "json" if mime == "application/json" else "text"
    if level := text(get(body, "thinking_config", "thinking_level")):
        found["reasoning_level"] = level.lower()
    return found


def _modality(details: Any, name: str) -> int | None:
    if type(details) is not list:
        return None
    # A breakdown without this modality says that there was none of it.
    items = sequence(details)
    return total(0, *(number(get(each, "token_count")) for each in items if text(get(each, "modality")) == name))


def _usage(source: Any) -> Usage | None:
    """Tool-use prompts are billed as input and thoughts as output; neither is in the count that its name suggests."""
    prompt = number(get(source, "prompt_token_count"))
    if prompt is None or not sound(source):
        return None
    thoughts = number(get(source, "thoughts_token_count"))
    details = get(source, "prompt_tokens_details")
    answered = get(source, "candidates_tokens_details")
    return Usage(
        input=total(prompt, number(get(source, "tool_use_prompt_token_count"))),
        output=total(number(get(source, "candidates_token_count")), thoughts),
        cache_read=number(get(source, "cached_content_token_count")),
        reasoning=thoughts,
        input_audio=_modality(details, "AUDIO"),
        output_audio=_modality(answered, "AUDIO"),
        cache_read_audio=_modality(get(source, "cache_tokens_details"), "AUDIO"),
        input_image=_modality(details, "IMAGE"),
        output_image=_modality(answered, "IMAGE"),
    )


def _body(payload: Any) -> Any:
    """The payload, or the JSON of the raw body where the user asked the SDK for nothing else."""
    raw = pick(payload, "sdk_http_response", "body")
    if type(raw) is str and get(payload, "usage_metadata") is None:
        return parsed(raw)
    return payload


def response(payload: Any) -> Response:
    """A GenerateContentResponse, or a stream folded into its last chunk."""
    payload = _body(payload)
    reasons = [text(get(each, "finish_reason")) for each in sequence(get(payload, "candidates"))]
    return Response(
        id=text(get(payload, "response_id")),
        model=text(get(payload, "model_version")),
        finish_reasons=tuple(_FINISH_REASONS.get(reason or "", (reason or "error").lower()) for reason in reasons),
        usage=_usage(get(payload, "usage_metadata")),
        # Vertex AI says how the call was paid for, the Gemini API which tier served it.
        service_tier=text(get(payload, "usage_metadata", "traffic_type"))
        or text(get(payload, "usage_metadata", "service_tier")),
    )


_LAST_WINS = ("candidates", "usage_metadata", "model_version", "response_id", "prompt_feedback")


def fold(so_far: Any, chunk: Any) -> Any:
    """Each chunk carries the counts so far: the last value of each field wins, nothing is summed."""
    so_far = so_far or {}
    for name in _LAST_WINS:
        if value := get(chunk, name):
            so_far[name] = value
    return so_far


def finished(payload: Any) -> bool:
    """Whether the first candidate has its finish reason, or the prompt was blocked."""
    return text(get(payload, "candidates", 0, "finish_reason")) is not None or (
        get(payload, "prompt_feedback", "block_reason") is not None
    )


def substance(chunk: Any) -> bool:
    """Whether a chunk carries a part."""
    return bool(get(chunk, "candidates", 0, "content", "parts"))


def ask(question: Question) -> dict[str, Any]:
    """Keyword arguments of `models.generate_content`; options are its `config`."""
    contents = [
        {"role": "model" if each.get("role") == "assistant" else "user", "parts": _parts(each.get("content"))}
        for each in question.messages
    ]
    config = dict(question.options)
    if question.system:
        config["system_instruction"] = question.system
    return {"model": question.model, "contents": contents, "config": config or None}


def _parts(content: Any) -> list[Any]:
    return [{"text": content}] if type(content) is str else list(content or ())


def answer(payload: Any) -> str:
    """The text of the first candidate's parts, thoughts left out."""
    parts = sequence(get(payload, "candidates", 0, "content", "parts"))
    return "".join(text(part, "text") or "" for part in parts if not pick(part, "thought"))


def _embedding(payload: Any) -> Response:
    spent = number(get(payload, "usage_metadata", "prompt_token_count"))
    if spent is None:  # Vertex counts each embedding's tokens
        counts = [number(get(each, "statistics", "token_count")) for each in sequence(get(payload, "embeddings"))]
        spent = None if None in counts else total(*counts)
    return Response(usage=None if spent is None else Usage(input=spent))


GENERATE_CONTENT = Format(
    "generate_content", "generate_content", request, response, fold, finished, substance, ask=ask, answer=answer
)
EMBED_CONTENT = Format(
    "embed_content", "embeddings", request, _embedding, fold, lambda payload: payload is not None, substance
)
