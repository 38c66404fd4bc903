"""Runs of OpenAI's Assistants: billed once, when the run has come to its end and its usage is known."""

from __future__ import annotations

from typing import Any

from ..call import Format, Response, Usage, mapping, number, pick, sound, text
from . import chat

_REASONS = {"completed": "stop", "incomplete": "length"}


def response(payload: Any) -> Response:
    """A run; one that failed or was cancelled costs what it used, if that is known."""
    spent = pick(payload, "usage")
    asked = number(spent, "prompt_tokens")
    usage = None
    if asked is not None and sound(spent):
        usage = Usage(
            input=asked,
            output=number(spent, "completion_tokens"),
            cache_read=number(spent, "prompt_token_details", "cached_tokens"),
        )
    status = text(payload, "status") or ""
    reason = _REASONS.get(status, "error")
    return Response(
        id=text(payload, "id"),
        model=text(payload, "model"),
        finish_reasons=(reason,) if finished(payload) else (),
        usage=usage,
        error=text(payload, "last_error", "code") if status == "failed" else None,
        billed=usage is not None or status == "completed",
        pending=not finished(payload),
    )


def fold(so_far: Any, chunk: Any) -> Any:
    """The events of a run carry the whole run; the last one wins."""
    data = pick(chunk, "data")
    return mapping(data) if text(data, "object") == "thread.run" else so_far or {}


def finished(payload: Any) -> bool:
    """Whether the run has come to its end; one that waits for a tool's output has not."""
    return text(payload, "status") in ("completed", "incomplete", "failed", "cancelled", "expired")


def substance(chunk: Any) -> bool:
    """Whether an event carries a piece of a message."""
    return text(chunk, "event") == "thread.message.delta"


RUNS = Format("runs", "chat", chat.request, response, fold, finished, substance)
