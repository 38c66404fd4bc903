"""Mistral's chat and fill-in-the-middle completions: OpenAI's words, with an envelope around each chunk of a stream."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..call import Content, Question, Response, pick, sequence, text
from . import chat, responses
from ._json import numbers
from .parts import chat as parts
from .parts import responses as responses_parts


def event(chunk: Any) -> Any:
    """What a server-sent event says: the SDK gives it with an envelope, the wire without."""
    data = pick(chunk, "data")
    return chunk if data is None else data


def request(body: Any) -> dict[str, Any]:
    """Sampling parameters of a completion's body."""
    return chat.request(body) | numbers(body, {"random_seed": "seed"})


def response(payload: Any) -> Response:
    """A whole completion, or a stream folded into one; the tier that served it is among the usage."""
    read = chat.response(payload)
    read.service_tier = text(payload, "usage", "service_tier") or read.service_tier
    return read


def fold(so_far: Any, chunk: Any) -> Any:
    """Adds one event."""
    return chat.fold(so_far, event(chunk))


def substance(chunk: Any) -> bool:
    """Whether an event carries output."""
    return chat.substance(event(chunk))


def ask(question: Question) -> dict[str, Any]:
    """Keyword arguments of `chat.complete` and `chat.stream`."""
    return chat.ask(replace(question, stream=False))


def answer(payload: Any) -> str:
    """The text of a completion's or an event's first choice, thoughts left out."""
    choice = pick(event(payload), "choices", 0)
    content = pick(choice, "message", "content") or pick(choice, "delta", "content")
    return text(content) or "".join(text(each, "text") or "" for each in sequence(content))


def _folded(so_far: Any, chunk: Any) -> Any:
    return parts.fold(so_far, event(chunk))


def _created(so_far: Any, chunk: Any) -> Any:
    return responses.RESPONSES.fold(so_far, event(chunk))


def _created_substance(chunk: Any) -> bool:
    return responses.RESPONSES.substance(event(chunk))


def _created_content(content: Content) -> Content:
    def folded(so_far: Any, chunk: Any) -> Any:
        return content.fold(so_far, event(chunk))

    return replace(content, fold=folded)


CHAT = replace(
    chat.CHAT,
    name="mistral_chat",
    request=request,
    response=response,
    fold=fold,
    substance=substance,
    usage_request=None,
    usage_only=None,
    ask=ask,
    answer=answer,
    content=replace(parts.CHAT, fold=_folded),
)
FIM = replace(
    CHAT,
    name="fim",
    operation="text_completion",
    ask=None,
    content=Content(parts.COMPLETIONS.asked, parts.CHAT.said, _folded),
)
RESPONSES = replace(
    responses.RESPONSES,
    fold=_created,
    substance=_created_substance,
    content=_created_content(responses_parts.RESPONSES),
)
"""As OpenAI's, but for the envelope."""
