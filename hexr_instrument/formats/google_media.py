"""Google's images and videos: billed by the piece and by the second."""

from __future__ import annotations

from typing import Any

from ..call import Format, Response, Usage, number, sequence, text
from .gemini import get
from .parts import media


def images(body: Any) -> dict[str, Any]:
    """Parameters of a `config` for images."""
    asked = number(get(body, "number_of_images"))
    size = text(get(body, "image_size"))
    found: dict[str, Any] = {"output_type": "image"} | ({} if size is None else {"size": size})
    return found if asked in (None, 1) else found | {"choice_count": asked}


def _made(payload: Any) -> Response:
    """What was filtered is in the list without a picture, and is not billed."""
    listed = get(payload, "generated_images")
    if type(listed) is not list:
        return Response()
    pictures = (get(each, "image") for each in sequence(listed))
    held = sum(get(each, "image_bytes") is not None or get(each, "gcs_uri") is not None for each in pictures)
    return Response(usage=Usage(images=held))


def videos(body: Any) -> dict[str, Any]:
    """Parameters of a `config` for videos."""
    asked, size = number(get(body, "number_of_videos")), text(get(body, "resolution"))
    found: dict[str, Any] = {} if size is None else {"size": size}
    return found if asked in (None, 1) else found | {"choice_count": asked}


def seconds(config: Any) -> Usage | None:
    """How long the videos that are asked for are in all; None where the request leaves it to the model."""
    each = number(get(config, "duration_seconds"))
    count = number(get(config, "number_of_videos"))
    return None if each is None else Usage(video_seconds=each * (1 if count is None else count))


def _started(payload: Any) -> Response:
    """The operation that makes a video: it is recorded when it starts, and polling it is nothing."""
    return Response()


def fold(so_far: Any, chunk: Any) -> Any:
    """Neither is streamed."""
    return chunk if so_far is None else so_far


def finished(payload: Any) -> bool:
    """Whether there is a response at all."""
    return payload is not None


IMAGES = Format("google_images", "generate_content", images, _made, fold, finished, finished, content=media.IMAGES)
VIDEOS = Format(
    "google_videos", "generate_content", videos, _started, fold, finished, finished, content=media.GOOGLE_VIDEOS
)
