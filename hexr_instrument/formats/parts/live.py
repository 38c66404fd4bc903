"""Content of Google's live sessions: what was sent since the last answer, and the answer."""

from __future__ import annotations

from typing import Any

from ...call import Content, pick, sequence, text
from . import Part, heard, message, texts
from .gemini import asked as configured
from .gemini import contents, get
from .gemini import said as candidates


def told(so_far: list[Part], given: Any, target: str) -> None:
    """Adds what a method of the session sends: turns, results of tools, text; of sound and pictures their size alone."""
    sent = pick(given, "kwargs")
    so_far += contents(get(sent, "turns"))
    results = get(sent, "function_responses")
    for each in sequence(results) or ([results] if results else []):
        so_far += contents({"role": "user", "parts": [{"function_response": each}]})
    for name in ("media", "audio", "video"):
        if (source := get(sent, name)) is not None:
            heard(so_far, get(source, "data"), name if name != "media" else None, text(get(source, "mime_type")))
    if words := texts(get(sent, "text")):
        so_far.append(message("user", words))


def asked(body: Any) -> dict[str, list[Any]]:
    """What was told; instruction and tools are those that the session was opened with."""
    config = {"config": pick(body, "session", "config")}
    return {**configured(config), "input": sequence(pick(body, "told"))}


def fold(so_far: Any, chunk: Any) -> Any:
    """Adds what the model says, the words of what it speaks, and the tools that it calls."""
    held: Part = so_far or {"candidates": [{"content": {"parts": []}}]}
    parts: list[Any] = held["candidates"][0]["content"]["parts"]
    content = get(chunk, "server_content")
    parts += sequence(get(get(content, "model_turn"), "parts"))
    if words := text(get(get(content, "output_transcription"), "text")):
        parts.append({"text": words})
    parts += [{"function_call": each} for each in sequence(get(get(chunk, "tool_call"), "function_calls"))]
    return held


def said(payload: Any) -> list[Any]:
    """One message of what was said in the turn, or none."""
    return [each for each in candidates(payload) if each["parts"]]


LIVE = Content(asked, said, fold)
