"""Videos: work that is billed by the second when it is asked for; what is polled afterwards costs nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..call import Format, Response, Usage, text
from .parts import media


def request(body: Any) -> dict[str, Any]:
    """The size that is asked for; the conventions know no parameters of videos."""
    return {"size": size} if (size := text(body, "size")) else {}


def response(payload: Any) -> Response:
    """A video that has been queued, with the length that was asked for."""
    seconds = text(payload, "seconds") or ""
    failed = text(payload, "status") == "failed"
    return Response(
        id=text(payload, "id"),
        model=text(payload, "model"),
        grade=(text(payload, "size"), None),
        usage=Usage(video_seconds=int(seconds))
        if seconds.isascii() and seconds.isdigit() and len(seconds) < 10
        else None,
        error=(text(payload, "error", "code") or "_OTHER") if failed else None,
    )


def _extension(payload: Any) -> Response:
    return replace(response(payload), usage=None)


def fold(so_far: Any, chunk: Any) -> Any:
    """Videos are not streamed."""
    return chunk if so_far is None else so_far


def finished(payload: Any) -> bool:
    """Whether there is an answer at all."""
    return payload is not None


def substance(chunk: Any) -> bool:
    """Nothing is streamed."""
    return False


VIDEOS = Format("videos", "generate_content", request, response, fold, finished, substance, content=media.VIDEOS)
EXTENSIONS = replace(VIDEOS, response=_extension)
"""A longer version of a video: the answer has the length of the whole, not of what is new."""
