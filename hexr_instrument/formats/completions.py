"""OpenAI's legacy text completions: the usage and the choices of chat, without messages."""

from __future__ import annotations

from typing import Any

from ..call import Format, text
from . import chat
from .parts import chat as parts


def substance(chunk: Any) -> bool:
    """Whether a chunk carries text."""
    return text(chunk, "choices", 0, "text") is not None


COMPLETIONS = Format(
    "completions",
    "text_completion",
    chat.request,
    chat.response,
    chat.fold,
    chat.finished,
    substance,
    usage_request=chat.usage_request,
    usage_only=chat.usage_only,
    content=parts.COMPLETIONS,
)
