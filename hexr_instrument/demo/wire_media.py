"""OpenAI's images, sounds and videos, and the multipart forms in which files are sent."""

from __future__ import annotations

import base64
from email import message_from_bytes
from typing import Any

from ..call import pick
from .wire import JSON, Answer, Ask, Reply, count, frame_typed, pieces

_PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"hexr" * 6).decode()
_WORDS = "The quick brown fox jumps over the lazy dog."
"""What every sound says."""
_SECONDS = 9
"""How long every sound is."""


def form(raw: bytes, kind: str) -> JSON | None:
    """The fields of a multipart form, files by their name and size; None for anything else."""
    if not kind.startswith("multipart/form-data"):
        return None
    found: JSON = {}
    for part in message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + raw).walk():
        name = part.get_param("name", header="content-disposition")
        if name is not None:
            content: Any = part.get_payload(decode=True) or b""
            file = part.get_filename()
            found[str(name)] = {"filename": file} if file else _value(bytes(content).decode())
    return found


def _value(text: str) -> Any:
    return {"true": True, "false": False}.get(text, int(text) if text.isdigit() else text)


def images(ask: Ask, reply: Reply) -> Answer:
    """POST /images/generations, /images/edits and /images/variations."""
    body, model = ask.body, ask.model or "dall-e-2"
    made = int(body.get("n") or 1)
    head = {"created": ask.now, "data": [{"b64_json": _PIXEL}] * made}
    if model.startswith("dall-e"):
        return Answer(body={**head, **reply.extra})
    looks = {"background": "opaque", "output_format": "png", "quality": "medium", "size": "1024x1024"}
    seen = 100 * sum(name.startswith("image") for name in body)
    said, drawn = max(10, count(body.get("prompt"))), 1000 * made
    usage = reply.usage or {
        "input_tokens": said + seen,
        "input_tokens_details": {"image_tokens": seen, "text_tokens": said},
        "output_tokens": drawn,
        "output_tokens_details": {"image_tokens": drawn, "text_tokens": 0},
        "total_tokens": said + seen + drawn,
    }
    if not ask.stream:
        return Answer(body={**head, **looks, "usage": usage, **reply.extra}, usage=usage)
    kind = "image_edit" if ask.route.endswith("edits") else "image_generation"
    event = {**looks, "b64_json": _PIXEL, "created_at": ask.now}
    partial = [
        {"type": f"{kind}.partial_image", **event, "partial_image_index": at}
        for at in range(int(body.get("partial_images") or 0))
    ]
    usage = {name: value for name, value in usage.items() if name != "output_tokens_details"}
    events = [*partial, {"type": f"{kind}.completed", **event, "usage": usage}]
    return Answer(events=[frame_typed(each) for each in events], usage=usage, usage_event=len(partial))


def transcriptions(ask: Ask, reply: Reply) -> Answer:
    """POST /audio/transcriptions and /audio/translations."""
    heard, said = 10 * _SECONDS, 10 * len(_WORDS.split())
    tokens = {
        "type": "tokens",
        "input_tokens": heard + 10,
        "input_token_details": {"audio_tokens": heard, "text_tokens": 10},
        "output_tokens": said,
        "total_tokens": heard + 10 + said,
    }
    by_time = {"type": "duration", "seconds": _SECONDS}
    usage = reply.usage if reply.usage is not None else by_time if ask.model.startswith("whisper") else tokens
    form = ask.body.get("response_format") or "json"
    if form not in ("json", "verbose_json", "diarized_json"):
        return Answer(body=f"{_WORDS}\n".encode(), kind="text/plain; charset=utf-8")
    if ask.stream:
        told = [{"type": "transcript.text.delta", "delta": piece} for piece in pieces(_WORDS)]
        done = {"type": "transcript.text.done", "text": _WORDS, **({"usage": usage} if usage else {})}
        return Answer(events=[frame_typed(each) for each in (*told, done)], usage=usage or None, usage_event=len(told))
    body: JSON = {"text": _WORDS}
    if form == "verbose_json":
        body |= {"task": "transcribe", "language": "english", "duration": float(_SECONDS), "segments": []}
    if usage and not ask.route.endswith("translations"):
        body["usage"] = usage
    return Answer(body=body, usage=pick(body, "usage"))


def speech(ask: Ask, reply: Reply) -> Answer:
    """POST /audio/speech: the sound itself."""
    return Answer(body=b"ID3" + bytes(61), kind="audio/mpeg")


def videos(ask: Ask, reply: Reply) -> Answer:
    """POST /videos: it is queued, and has been made when it is next asked for."""
    queued: JSON = {
        "id": f"video_{ask.number:048x}",
        "object": "video",
        "created_at": ask.now,
        "model": ask.model or "sora-2",
        "progress": 0,
        "seconds": str(ask.body.get("seconds") or 4),
        "size": "720x1280",
        "status": "queued",
        **reply.extra,
    }
    return Answer(body=queued, stages=[{**queued, "status": "completed", "progress": 100}])
