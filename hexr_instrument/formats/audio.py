"""Speech to text and text to speech: billed by tokens, by seconds, or by characters, as the model has it."""

from __future__ import annotations

from typing import Any

from ..call import LARGEST_COUNT, Format, Response, Usage, number, pick, sound, text
from ._json import numbers
from .parts import media


def _transcription(body: Any) -> dict[str, Any]:
    return numbers(body, {"temperature": "temperature"}) | {"output_type": "text"}


def _seconds(value: Any) -> int | None:
    """A length in whole seconds, the nearest: that is how it is billed."""
    return round(value) if type(value) in (int, float) and 0 <= value < LARGEST_COUNT else None


def usage(payload: Any) -> Usage | None:
    """Tokens, or the length of the audio; `verbose_json` of older servers has the length alone."""
    spent = pick(payload, "usage")
    if number(spent, "input_tokens") is not None and sound(spent):
        return Usage(
            input=number(spent, "input_tokens"),
            output=number(spent, "output_tokens"),
            input_audio=number(spent, "input_token_details", "audio_tokens"),
        )
    length = _seconds(pick(spent, "seconds"))
    if length is None:
        length = _seconds(pick(payload, "duration"))
    return None if length is None else Usage(audio_seconds=length)


def response(payload: Any) -> Response:
    """A transcription as JSON, or the event that ends a stream; neither has an id, a model or a reason."""
    return Response(usage=usage(payload))


def fold(so_far: Any, chunk: Any) -> Any:
    """The last event has the usage, and the whole text, which is not kept."""
    done = (text(chunk, "type") or "").endswith((".done", ".completed"))
    return {"usage": pick(chunk, "usage"), "done": True} if done else so_far or {}


def finished(payload: Any) -> bool:
    """Whether a stream has come to its last event."""
    return pick(payload, "done") is True


def substance(chunk: Any) -> bool:
    """Whether an event carries text."""
    return (text(chunk, "type") or "").endswith((".delta", ".segment"))


def _speech(body: Any) -> dict[str, Any]:
    return {"output_type": "speech"}


def spoken(body: Any) -> Usage | None:
    """The characters of the text that is to be spoken: some models are billed by them."""
    said = text(body, "input")
    return None if said is None else Usage(input_characters=len(said))


def _sound(payload: Any) -> Response:
    return Response()


TRANSCRIPTIONS = Format(
    "transcriptions",
    "generate_content",
    _transcription,
    response,
    fold,
    finished,
    substance,
    content=media.TRANSCRIPTIONS,
)
SPEECH = Format(
    "speech", "generate_content", _speech, _sound, fold, finished, substance, spends=spoken, content=media.SPEECH
)
"""The answer is the sound itself: nothing of it is read, and it says nothing of what it cost."""
