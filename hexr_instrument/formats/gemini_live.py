"""Google's live sessions: one call is what the model says until it has said how much that took."""

from __future__ import annotations

from typing import Any

from ..call import Format, Turn, pick
from . import gemini
from .gemini import get
from .parts import live


def turn(message: Any) -> Turn | None:
    """Each message with content or a tool's call belongs to the call under way, the one with its usage ends it.

    Usage comes with the end of a turn, with a tool's call, or in a message of its own; beside further content it is
    what was used so far.
    """
    content, usage = get(message, "server_content"), get(message, "usage_metadata")
    calls = get(message, "tool_call")
    if content is None and usage is None and calls is None:
        return None
    return Turn("turn", last=usage is not None and _over(content))


def _over(content: Any) -> bool:
    return content is None or get(content, "turn_complete") is True


def fold(so_far: Any, chunk: Any) -> Any:
    """The last usage wins; what the answer is grounded on stays."""
    so_far = so_far or {"grounding": []}
    grounded = get(chunk, "server_content", "grounding_metadata")
    if grounded is not None:
        so_far["grounding"] = [grounded]
    if (usage := get(chunk, "usage_metadata")) is not None:
        so_far["usage_metadata"] = usage
        so_far["over"] = _over(get(chunk, "server_content"))
    return so_far


def finished(payload: Any) -> bool:
    """Whether the last usage has come."""
    return pick(payload, "over") is True


def substance(chunk: Any) -> bool:
    """No message tells how long the answer took to begin: its call is known from its first message on."""
    return False


GEMINI_LIVE = Format(
    "gemini_live", "generate_content", gemini.request, gemini.response, fold, finished, substance, content=live.LIVE
)
told = live.told
