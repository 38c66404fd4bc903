"""Content of images, sounds and videos: the words that ask for them or that they say; what is made by size or reference."""

from __future__ import annotations

from typing import Any

from ...call import Content, mapping, pick, sequence, text
from . import Part, add, blob, file, link, message, present, texts, words
from .gemini import get


def asked(body: Any) -> dict[str, list[Any]]:
    """The prompt, or the text that is to be spoken; a file that goes with it is not touched."""
    said = texts(pick(body, "prompt") or pick(body, "input") or pick(body, "source", "prompt"))
    pictures = [part for name in ("image", "video") for part in _picture(pick(body, name))]
    parts = [*said, *pictures]
    return {
        "input": [message("user", parts)] if parts else [],
        "system": texts(pick(body, "instructions")),
    }


def _picture(source: Any) -> list[Part]:
    """A picture or a video of Google's, by size or reference."""
    mime = text(get(source, "mime_type"))
    if data := get(source, "image_bytes") or get(source, "video_bytes"):
        return [blob(data, mime)]
    uri = text(get(source, "gcs_uri")) or text(get(source, "uri"))
    return [link(uri, "image" if "image" in (mime or "image") else "video", mime)] if uri else []


def images(payload: Any) -> list[Any]:
    """One message with all images of a response, or with that of a stream's end."""
    parts: list[Part] = []
    for each in sequence(pick(payload, "data")):
        if (data := pick(each, "b64_json")) is not None:
            parts.append(blob(data, None, "image"))
        elif uri := text(each, "url"):
            parts.append(link(uri, "image"))
    parts += [part for each in sequence(get(payload, "generated_images")) for part in _picture(get(each, "image"))]
    return [message("assistant", parts)] if parts else []


def fold_images(so_far: Any, chunk: Any) -> Any:
    """The whole images alone, each as its size."""
    so_far = so_far or {"data": []}
    if (text(chunk, "type") or "").endswith(".completed"):
        so_far["data"].append({"b64_json": blob(pick(chunk, "b64_json"), None)["size"]})
    return so_far


def transcript(payload: Any) -> list[Any]:
    """What was heard."""
    said = texts(pick(payload, "text") or pick(payload, "transcript"))
    return [message("assistant", said)] if said else []


def fold_transcript(so_far: Any, chunk: Any) -> Any:
    """Pieces, until the last event has the whole text."""
    so_far = so_far or {}
    if whole := words(pick(chunk, "text") or pick(chunk, "transcript")):
        if (text(chunk, "type") or "").endswith((".done", ".completed")):
            so_far["text"] = whole
    else:
        add(so_far, "text", pick(chunk, "delta"))
    return so_far


def video(payload: Any) -> list[Any]:
    """A video that is being made, by its id."""
    identity = text(payload, "id")
    return [message("assistant", [file(identity, "video")])] if identity else []


def nothing(payload: Any) -> list[Any]:
    """The answer is bytes, or comes later."""
    return []


def last(so_far: Any, chunk: Any) -> Any:
    """What is not streamed."""
    return present(**mapping(chunk)) if so_far is None else so_far


IMAGES = Content(asked, images, fold_images)
TRANSCRIPTIONS = Content(asked, transcript, fold_transcript)
SPEECH = Content(asked, nothing, last)
VIDEOS = Content(asked, video, last)
GOOGLE_VIDEOS = Content(asked, nothing, last)
