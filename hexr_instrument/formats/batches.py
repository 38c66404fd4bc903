"""Batches: billed as one, when their usage is known, at the batch tier."""

from __future__ import annotations

from typing import Any

from ..call import Format, Response, Usage, number, pick, sound, text
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
    return Response(
        id=text(payload, "id"),
        model=text(payload, "model"),
        usage=usage,
        service_tier="batch",
        billed=endpoint != "/v1/moderations" and (usage is not None or status == "completed"),
        pending=not finished(payload),
        operation=_OPERATIONS.get(endpoint),
    )


def finished(payload: Any) -> bool:
    """Whether the batch has come to its end."""
    return text(payload, "status") in ("completed", "failed", "expired", "cancelled")


BATCHES = Format("batches", "chat", request, response, fold, finished, substance)
