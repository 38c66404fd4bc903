"""Batches: billed as one, when their usage is known, at the batch tier: by themselves, or by the file of their answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..call import Format, Response, Usage, mapping, number, pick, sequence, sound, text
from . import chat, completions, embeddings, images, responses
from ._answers import lines, together
from .videos import fold, request, substance

_OPERATIONS = {
    "/v1/embeddings": "embeddings",
    "/v1/completions": "text_completion",
    "/v1/images/generations": "generate_content",
    "/v1/images/edits": "generate_content",
    "/v1/videos": "generate_content",
}


def response(payload: Any) -> Response:
    """A batch; one that failed, expired or was cancelled costs what it used, if that is known."""
    spent = pick(payload, "usage")
    status = text(payload, "status")
    usage = None
    if number(spent, "total_tokens") and sound(spent):  # zeros stand for what is not known yet
        usage = Usage(
            input=number(spent, "input_tokens"),
            output=number(spent, "output_tokens"),
            cache_read=number(spent, "input_tokens_details", "cached_tokens"),
            reasoning=number(spent, "output_tokens_details", "reasoning_tokens"),
        )
    endpoint = text(payload, "endpoint") or ""
    moderated = endpoint == "/v1/moderations"
    output = text(payload, "output_file_id") if usage is None and finished(payload) and not moderated else None
    return Response(
        id=text(payload, "id"),
        model=text(payload, "model"),
        usage=usage,
        service_tier="batch",
        billed=not moderated and (usage is not None or output is not None or status == "completed"),
        pending=not finished(payload),
        operation=_OPERATIONS.get(endpoint),
        output=output,
    )


def finished(payload: Any) -> bool:
    """Whether the batch has come to its end."""
    return text(payload, "status") in ("completed", "failed", "expired", "cancelled")


def listed(payload: Any) -> list[tuple[str | None, Any]]:
    """The batches of a page."""
    return [(text(each, "id"), each) for each in sequence(pick(payload, "data"))]


_READERS = {
    "chat.completion": (chat.response, None),
    "response": (responses.response, None),
    "text_completion": (completions.COMPLETIONS.response, "text_completion"),
    "list": (embeddings.response, "embeddings"),
}
"""`object` of an answer -> its reader, and its operation where that is not chat."""


def answers(payload: Any) -> Response:
    """A file of answers, one to a line; errors are in a file of their own and not billed."""
    bodies = [pick(each, "response", "body") for each in lines(pick(payload, "content"))]
    kinds = [_READERS.get(text(each, "object") or "") for each in bodies]
    read = [
        (images.response if kind is None else kind[0])(body)
        for body, kind in zip(bodies, kinds, strict=True)
        if "usage" in mapping(body)
    ]
    operations = {"generate_content" if kind is None else kind[1] for kind in kinds}
    return replace(together(read), operation=operations.pop() if len(operations) == 1 else None)


def _read(payload: Any) -> bool:
    return payload is not None


BATCHES = Format("batches", "chat", request, response, fold, finished, substance)
BATCH_LIST = replace(BATCHES, works=listed)
BATCH_OUTPUT = replace(BATCHES, response=answers, finished=_read)
