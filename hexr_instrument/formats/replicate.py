"""Replicate's predictions: models of any kind, each with an input and an output of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..call import Content, Format, Response, Usage, mapping, number, parsed, pick, sequence, text
from ._json import numbers
from .parts import message, texts

_PARAMETERS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "max_tokens": "max_tokens",
    "max_new_tokens": "max_tokens",
    "seed": "seed",
}
_REASONS = {"succeeded": "stop", "failed": "error", "canceled": "error", "aborted": "error"}
"""How a prediction ended; in any other status it goes on."""


def request(body: Any) -> dict[str, Any]:
    """Sampling parameters, as models of language call them."""
    return numbers(mapping(pick(body, "input")), _PARAMETERS)


def response(payload: Any) -> Response:
    """A prediction, or what the events of its stream say; models of language count tokens, others only time."""
    status, counts = text(payload, "status"), mapping(pick(payload, "metrics"))
    asked, said = number(counts, "input_token_count"), number(counts, "output_token_count")
    reason = _REASONS.get(status or "")
    return Response(
        id=text(payload, "id"),
        model=text(payload, "model"),
        finish_reasons=(reason,) if reason else (),
        usage=None if asked is None and said is None else Usage(input=asked, output=said),
        error="_OTHER" if status == "failed" else None,
        pending=status is not None and reason is None,
    )


def _streamed(payload: Any) -> Response:
    return replace(response(payload), pending=False)


def fold(so_far: Any, chunk: Any) -> Any:
    """A stream's events: pieces of output, then `done`, which says what ended it; a prediction is what it is."""
    event, data = text(chunk, "event"), pick(chunk, "data")
    if event is None:
        return chunk if so_far is None else so_far
    folded: dict[str, Any] = mapping(so_far)
    if event == "output" and type(folded.get("output")) is list:
        folded["output"].append(data)
    elif event == "output":
        folded["output"] = [data]
    elif event == "error":
        folded["status"] = "failed"
    elif event == "done":
        why = text(parsed(data), "reason") if type(data) is str else None
        folded["status"] = folded.get("status") or _ENDS.get(why or "", "succeeded")
    return folded


_ENDS = {"canceled": "canceled", "error": "failed"}


def finished(payload: Any) -> bool:
    """Whether the provider has said how it ended."""
    return text(payload, "status") in _REASONS


def substance(chunk: Any) -> bool:
    """Whether it carries output."""
    return text(chunk, "event") == "output" and bool(pick(chunk, "data"))


def _asked(body: Any) -> dict[str, list[Any]]:
    given = mapping(pick(body, "input"))
    said = texts(pick(given, "prompt"))
    return {"input": [message("user", said)] if said else [], "system": texts(pick(given, "system_prompt"))}


def _said(payload: Any) -> list[Any]:
    """The output of models of language: a text or pieces of one; what others make is a link that is not touched."""
    output = pick(payload, "output")
    said = texts("".join(each for each in sequence(output) if type(each) is str) or output)
    return [message("assistant", said)] if said else []


PREDICTION = Format(
    "replicate",
    "generate_content",
    request,
    response,
    fold,
    finished,
    substance,
    content=Content(_asked, _said, fold),
)
STREAMED = replace(PREDICTION, response=_streamed)
"""Its output is read from an address of its own: what is known is known now."""
