"""IBM watsonx.ai: text generation and embeddings, whose results count their own tokens."""

from __future__ import annotations

from typing import Any

from ..call import Content, Format, Response, Usage, mapping, number, pick, sequence, text, total
from ._json import numbers
from .parts import message, texts

_PARAMETERS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "max_new_tokens": "max_tokens",
    "random_seed": "seed",
}
_REASONS = {"eos_token": "stop", "stop_sequence": "stop", "max_tokens": "length", "token_limit": "length"}


def request(body: Any) -> dict[str, Any]:
    """Sampling parameters."""
    return numbers(mapping(pick(body, "parameters")), _PARAMETERS)


def _generated(payload: Any) -> Response:
    results = sequence(pick(payload, "results"))
    asked = total(*(number(each, "input_token_count") for each in results))
    said = total(*(number(each, "generated_token_count") for each in results))
    reasons = [text(each, "stop_reason") for each in results]
    return Response(
        model=text(payload, "model_id"),
        finish_reasons=tuple(_REASONS.get(each, each) for each in reasons if each),
        usage=None if asked is None and said is None else Usage(input=asked, output=said),
        error=_refused(payload),
    )


def _embedded(payload: Any) -> Response:
    asked = number(payload, "input_token_count")
    return Response(
        model=text(payload, "model_id"),
        usage=None if asked is None else Usage(input=asked),
        error=_refused(payload),
    )


def _refused(payload: Any) -> str | None:
    """The first error's code: the SDK looks at the status after the request has come back."""
    return text(pick(payload, "errors"), 0, "code") if pick(payload, "errors") else None


def fold(so_far: Any, chunk: Any) -> Any:
    """These are not streamed."""
    return chunk if so_far is None else so_far


def finished(payload: Any) -> bool:
    """Whether there is an answer at all."""
    return payload is not None


def substance(chunk: Any) -> bool:
    """Nothing is streamed."""
    return False


def _asked(body: Any) -> dict[str, list[Any]]:
    said = texts(pick(body, "input"))
    return {"input": [message("user", said)] if said else []}


def _said(payload: Any) -> list[Any]:
    return [message("assistant", texts(pick(each, "generated_text"))) for each in sequence(pick(payload, "results"))]


GENERATION = Format(
    "watsonx_generation",
    "text_completion",
    request,
    _generated,
    fold,
    finished,
    substance,
    content=Content(_asked, _said, fold),
)
EMBEDDING = Format("watsonx_embedding", "embeddings", request, _embedded, fold, finished, substance)
