"""Images made from a prompt: tokens where the model counts them, else pieces."""

from __future__ import annotations

from typing import Any

from ..call import Format, Response, Usage, number, pick, sequence, sound, text
from ._json import numbers
from .parts import media

_WORD = 20
"""Characters of a size (`1024x1792`) or a quality; what is longer is none."""


def request(body: Any) -> dict[str, Any]:
    """Parameters of an images body; the output is an image whatever it says."""
    found = numbers(body, {"n": "choice_count"})
    if found.get("choice_count") == 1:
        del found["choice_count"]
    asked = {name: value for name in ("size", "quality") if (value := text(body, name)) and len(value) <= _WORD}
    return found | asked | {"output_type": "image"}


def usage(payload: Any) -> Usage | None:
    """Tokens by modality (GPT Image models), or the number of images (DALL-E)."""
    spent = pick(payload, "usage")
    if number(spent, "input_tokens") is None:
        made = len(sequence(pick(payload, "data")))
        return Usage(images=made) if made else None
    if not sound(spent):
        return None
    output = number(spent, "output_tokens")
    image = number(spent, "output_tokens_details", "image_tokens")
    return Usage(
        input=number(spent, "input_tokens"),
        output=output,
        input_image=number(spent, "input_tokens_details", "image_tokens"),
        # The event that ends a stream has no details: what it counts are the tokens of the image.
        output_image=output if image is None else image,
        cache_read=number(spent, "cached_tokens"),
        cache_read_image=number(spent, "cached_tokens_details", "cached_image_tokens"),
    )


def response(payload: Any) -> Response:
    """A whole images response, or the event that ends a stream; neither has an id, a model or a reason."""
    return Response(
        usage=usage(payload),
        grade=(text(payload, "size"), text(payload, "quality")),
        lower_bound=(number(payload, "svg_usage", "total_tokens") or 0) > 0,
    )


def fold(so_far: Any, chunk: Any) -> Any:
    """Partial images are passed over; the last event has the usage."""
    if not finished(chunk):
        return so_far or {}
    return {"type": text(chunk, "type"), "usage": pick(chunk, "usage"), "data": [None]}


def finished(payload: Any) -> bool:
    """Whether there is a whole response, or a stream has come to its last event."""
    return (text(payload, "type") or "").endswith(".completed") or pick(payload, "data") is not None


def substance(chunk: Any) -> bool:
    """Whether an event carries an image, also a partial one."""
    return pick(chunk, "b64_json") is not None


IMAGES = Format("images", "generate_content", request, response, fold, finished, substance, content=media.IMAGES)
