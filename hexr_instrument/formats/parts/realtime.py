"""Content of OpenAI's voice agents: what was put into the conversation since the last answer, and the answer."""

from __future__ import annotations

from typing import Any

from ...call import Content, pick, sequence, text
from . import Part, heard, texts
from . import responses as items


def told(so_far: list[Part], given: Any, target: str) -> None:
    """Adds what a message of the client puts into the conversation; of sound its size alone."""
    event = pick(given, "args", 0) or pick(given, "kwargs", "event")
    kind = text(event, "type")
    if kind == "conversation.item.create":
        so_far.append(items.item_message(pick(event, "item")))
    elif kind == "input_audio_buffer.append":
        heard(so_far, pick(event, "audio"), "audio")


def asked(body: Any) -> dict[str, list[Any]]:
    """What was told, and what the request for an answer adds; instructions and tools are the session's or its own."""
    own, session = pick(body, "asked", "response"), pick(body, "session")
    given = [items.item_message(each) for each in sequence(pick(own, "input"))]
    return {
        "input": [*sequence(pick(body, "told")), *given],
        "system": texts(pick(own, "instructions") or pick(session, "instructions")),
        "tools": items.definitions(pick(own, "tools") or pick(session, "tools")),
    }


def said(payload: Any) -> list[Any]:
    """One message of all output items."""
    return items.said(payload)


def transcribed(body: Any) -> dict[str, list[Any]]:
    """What was said is sound, and told with the answer to it."""
    return {}


REALTIME = Content(asked, said, items.fold)
