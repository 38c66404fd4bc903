"""Voice agents over a websocket: each answer is a call, and so is each transcription of what was said to it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..call import Format, Response, Turn, Usage, number, pick, sequence, sound, text
from . import audio, responses
from .parts import media
from .parts import realtime as parts

TRANSCRIBED = "conversation.item.input_audio_transcription.completed"
_DONE = ("response.completed", "response.done", "response.failed", "response.incomplete")
_BEGINS = ("response.created", *_DONE)
_FAULTS = ("active_response", "response_create")


def request(body: Any) -> dict[str, Any]:
    """Sampling parameters of what a `response.create` event asks for."""
    asked = pick(body, "response")
    return responses.request(asked) if asked is not None else {}


def _usage(payload: Any) -> Usage | None:
    spent = pick(payload, "usage")
    if number(spent, "input_tokens") is None or not sound(spent):
        return None
    return Usage(
        input=number(spent, "input_tokens"),
        output=number(spent, "output_tokens"),
        cache_read=number(spent, "input_token_details", "cached_tokens"),
        input_audio=number(spent, "input_token_details", "audio_tokens"),
        output_audio=number(spent, "output_token_details", "audio_tokens"),
        cache_read_audio=number(spent, "input_token_details", "cached_tokens_details", "audio_tokens"),
        input_image=number(spent, "input_token_details", "image_tokens"),
        cache_read_image=number(spent, "input_token_details", "cached_tokens_details", "image_tokens"),
    )


def _reason(payload: Any) -> str | None:
    status = text(payload, "status")
    reason = text(payload, "status_details", "reason")
    if status == "incomplete":
        return "content_filter" if reason == "content_filter" else "length"
    if status in ("failed", "cancelled"):
        return "error"
    if status != "completed":
        return None
    called = any(text(each, "type") == "function_call" for each in sequence(pick(payload, "output")))
    return "tool_call" if called else "stop"


def response(payload: Any) -> Response:
    """An answer, or the error that refuses one; an answer that was talked over is billed and is no error."""
    if (refused := pick(payload, "refused")) is not None:
        return Response(error=text(refused, "code") or text(refused, "type") or "_OTHER")
    failed = text(payload, "status") == "failed"
    reason = _reason(payload)
    return Response(
        id=text(payload, "id"),
        finish_reasons=(reason,) if reason else (),
        usage=_usage(payload),
        error=(text(payload, "status_details", "error", "code") or "_OTHER") if failed else None,
    )


def fold(so_far: Any, message: Any) -> Any:
    """The last message of an answer has all of it; an error that refuses it takes its place."""
    if text(message, "type") == "error":
        return {"refused": pick(message, "error"), "status": "failed"}
    return pick(message, "response") or so_far


def finished(payload: Any) -> bool:
    """Whether the answer has come to its end."""
    return text(payload, "status") in ("completed", "cancelled", "failed", "incomplete")


def turn(message: Any) -> Turn | None:
    """The answer or transcription that a message of the server belongs to."""
    kind = text(message, "type") or ""
    if kind in ("session.created", "session.updated"):
        return Turn(None, state=pick(message, "session"))
    if kind == TRANSCRIBED:
        return Turn(text(message, "item_id"), last=True, asked=False)
    if kind == "error":
        about = f"{text(message, 'error', 'code')} {text(message, 'error', 'param')}"
        refuses = any(fault in about for fault in _FAULTS) or " response" in about
        return Turn(None, last=True) if refuses else None
    if not kind.startswith("response."):
        return None
    key = text(message, "response_id") or text(message, "response", "id")
    return None if key is None else Turn(key, last=kind in _DONE, begins=kind in _BEGINS)


def response_turn(message: Any) -> Turn | None:
    """The same for responses over a websocket, whose events name a lane instead of the response."""
    kind = text(message, "type") or ""
    lane = text(message, "stream_id") or ""
    if kind == "error":  # a numbered one is followed by the response that has failed
        return Turn(lane, last=number(message, "sequence_number") is None, begins=False)
    if not kind.startswith("response.") or kind.startswith("response.steer"):
        return None
    return Turn(lane, last=kind in _DONE, begins=kind in _BEGINS)


def transcriber(session: Any) -> str | None:
    """The model that transcribes what is said in a session."""
    return text(session, "audio", "input", "transcription", "model") or text(
        session, "input_audio_transcription", "model"
    )


def _response(payload: Any) -> Response:
    return response(payload) if pick(payload, "refused") is not None else responses.response(payload)


REALTIME = Format("realtime", "chat", request, response, fold, finished, responses.substance, content=parts.REALTIME)
told = parts.told
RESPONSES_SOCKET = replace(responses.RESPONSES, response=_response, fold=fold)
"""Responses over a websocket: their events are the same, but a refusal is an event, too."""
TRANSCRIBED_SPEECH = replace(
    audio.TRANSCRIPTIONS, request=request, content=replace(media.TRANSCRIPTIONS, asked=parts.transcribed)
)
