"""Google's generateContent and embedContent, as wire JSON (camelCase) and as the SDK's objects (snake_case)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from ..call import Format, Question, Response, Usage, mapping, number, parsed, pick, sequence, sound, text, total
from ._json import numbers, strings
from .parts import gemini as parts


@lru_cache(maxsize=256)
def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


def get(source: Any, *path: str | int) -> Any:
    """`pick` by snake_case names, which also finds a dict's camelCase keys."""
    for step in path:
        if source is None:
            return None
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


def modality(name: str, *breakdowns: Any) -> int | None:
    """How many tokens of one modality there are in all; None where no breakdown is given.

    A breakdown without this modality says that there was none of it. Documents are billed as images.
    """
    names = ("IMAGE", "DOCUMENT") if name == "IMAGE" else (name,)
    found: int | None = None
    for each in breakdowns:
        if type(each) is list:
            parts = (item for item in sequence(each) if (text(get(item, "modality")) or "").upper() in names)
            found = total(found, 0, *(number(get(part, "token_count") or get(part, "tokens")) for part in parts))
    return found


def _usage(source: Any) -> Usage | None:
    """Tool-use prompts are billed as input and thoughts as output; neither is in the count that its name suggests.

    A turn of a live session spells its answer `response` where generateContent says `candidates`.
    """
    prompt = number(get(source, "prompt_token_count"))
    if prompt is None or not sound(source):
        return None
    thoughts = number(get(source, "thoughts_token_count"))
    asked: tuple[Any, ...] = (get(source, "prompt_tokens_details"),)
    if type(asked[0]) is list:
        asked += (get(source, "tool_use_prompt_tokens_details"),)
    cached = get(source, "cache_tokens_details")
    answered = get(source, "candidates_tokens_details") or get(source, "response_tokens_details")
    said = number(get(source, "candidates_token_count"))
    return Usage(
        input=total(prompt, number(get(source, "tool_use_prompt_token_count"))),
        output=total(number(get(source, "response_token_count")) if said is None else said, thoughts),
        cache_read=number(get(source, "cached_content_token_count")),
        reasoning=thoughts,
        input_audio=modality("AUDIO", *asked),
        output_audio=modality("AUDIO", answered),
        cache_read_audio=modality("AUDIO", cached),
        input_image=modality("IMAGE", *asked),
        output_image=modality("IMAGE", answered),
        input_video=modality("VIDEO", *asked),
        output_video=modality("VIDEO", answered),
    )


_BY_PROMPT = re.compile(r"gemini-(live-)?[12]\b")
"""Models whose grounding costs a fee for the prompt, however many searches it takes; later ones pay for each search."""


def _grounding(payload: Any) -> list[Any]:
    """What each candidate says that it is grounded on."""
    found = (get(each, "grounding_metadata") for each in sequence(get(payload, "candidates")))
    return [each for each in found if each is not None]


def _searches(payload: Any) -> int | None:
    """How many searches an answer is grounded on that are billed beside the tokens."""
    queries = [
        query
        for each in sequence(get(payload, "grounding"))
        for name in ("web_search_queries", "image_search_queries")
        for query in strings(get(each, name)) or ()
        if query
    ]
    by_prompt = _BY_PROMPT.match(text(get(payload, "model_version")) or "") is not None
    return (1 if by_prompt else len(queries)) if queries else None


def _maps(payload: Any) -> bool:
    """Whether an answer is grounded on Google Maps, whose fee the table does not have."""
    chunks = (
        chunk for each in sequence(get(payload, "grounding")) for chunk in sequence(get(each, "grounding_chunks"))
    )
    return any(get(chunk, "maps") is not None for chunk in chunks)


def _body(payload: Any) -> Any:
    """The payload, or the JSON of the raw body where the user asked the SDK for nothing else."""
    raw = pick(payload, "sdk_http_response", "body")
    if type(raw) is str and get(payload, "usage_metadata") is None:
        return parsed(raw)
    return payload


def response(payload: Any) -> Response:
    """A GenerateContentResponse, or a stream folded into its last chunk."""
    payload = _body(payload)
    if type(payload) is not dict or "grounding" not in payload:
        payload = fold(None, payload)
    usage = _usage(get(payload, "usage_metadata"))
    if usage is not None:
        usage.web_searches = _searches(payload)
    reasons = [text(get(each, "finish_reason")) for each in sequence(get(payload, "candidates"))]
    return Response(
        id=text(get(payload, "response_id")),
        model=text(get(payload, "model_version")),
        finish_reasons=tuple(_FINISH_REASONS.get(reason or "", (reason or "error").lower()) for reason in reasons),
        usage=usage,
        service_tier=_tier(payload),
        lower_bound=_maps(payload),
        stated_total=number(get(payload, "usage_metadata", "total_token_count")),
    )


def _tier(payload: Any) -> str | None:
    """Vertex AI says how the call was paid for, the Gemini API which tier served it, in the body or in a header."""
    stated = get(payload, "usage_metadata")
    headers = get(payload, "sdk_http_response", "headers")
    return (
        text(get(stated, "traffic_type"))
        or text(get(stated, "service_tier"))
        or next((value for name, value in mapping(headers).items() if str(name).lower() == _TIER and text(value)), None)
    )


_TIER = "x-gemini-service-tier"
_LAST_WINS = (
    "candidates",
    "usage_metadata",
    "model_version",
    "response_id",
    "prompt_feedback",
    "sdk_http_response",
)


def fold(so_far: Any, chunk: Any) -> Any:
    """Each chunk carries the counts so far: the last value of each field wins, nothing is summed.

    What it is grounded on may come with any chunk, and stays.
    """
    so_far = so_far or {}
    if grounded := _grounding(chunk):
        so_far["grounding"] = grounded
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
    "generate_content",
    "generate_content",
    request,
    response,
    fold,
    finished,
    substance,
    ask=ask,
    answer=answer,
    content=parts.GENERATE_CONTENT,
)
EMBED_CONTENT = Format(
    "embed_content", "embeddings", request, _embedding, fold, lambda payload: payload is not None, substance
)
