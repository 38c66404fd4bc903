"""What an agent's own program says that it has spent: the result message of Claude Code, at the end of a turn.

Its total cost and its counts by model are those of the program's life so far; a turn is what came since the result
before. The `usage` beside them is the turn's own, but leaves out what subagents and helpers used.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..call import Format, Part, Response, Turn, Usage, mapping, number, pick, text, total
from . import messages
from ._json import dollars, summed

_ERROR = "api_error"


def request(body: Any) -> dict[str, Any]:
    """The program decides its parameters itself."""
    return {}


def turn(message: Any) -> Turn | None:
    """A result states what has been spent; where the conversation is reset, the counts begin anew."""
    kind = text(message, "type")
    if kind == "conversation_reset":
        return Turn(None, begins=True)
    return Turn(None, last=True, begins=False) if kind == "result" else None


def response(payload: Any) -> Response:
    """`now` and `before`: the result of this turn, and that of the turn before or None."""
    now, before = pick(payload, "now"), pick(payload, "before")
    models = mapping(pick(now, "modelUsage"))
    spent = {name: _used(now, before, name) for name in models}
    spent = {name: usage for name, usage in spent.items() if usage.total or usage.web_searches}
    found = messages.response(now)
    costs = {name: _cost(now, before, "modelUsage", name, "costUSD") or 0 for name in spent}
    return replace(
        found,
        id=text(now, "uuid"),
        model=max(costs, key=lambda name: costs[name], default=None),
        usage=summed(list(spent.values())) if spent else None if models else found.usage,
        parts=tuple(Part(name, usage) for name, usage in spent.items()) if len(spent) > 1 else (),
        stated_cost=_cost(now, before, "total_cost_usd") or None,  # a program that knows no price says 0
        error=_error(now),
    )


def _since(now: int | None, before: int | None) -> int | None:
    """A count that is smaller than it was has begun anew."""
    return now if now is None or before is None or now < before else now - before


def _cost(now: Any, before: Any, *path: str) -> int | None:
    return _since(dollars(pick(now, *path)), dollars(pick(before, *path)))


def _used(now: Any, before: Any, model: str) -> Usage:
    """Cached tokens are counted apart from `inputTokens`: the sum of all three is the input."""

    def count(name: str) -> int | None:
        return _since(number(now, "modelUsage", model, name), number(before, "modelUsage", model, name))

    read, write = count("cacheReadInputTokens"), count("cacheCreationInputTokens")
    return Usage(
        input=total(count("inputTokens"), read, write),
        output=count("outputTokens"),
        cache_read=read,
        cache_write=write,
        web_searches=count("webSearchRequests") or None,
    )


def _error(result: Any) -> str | None:
    if pick(result, "is_error") is not True:
        return None
    kind = text(result, "subtype")
    return kind if kind is not None and kind != "success" else _ERROR


def fold(so_far: Any, chunk: Any) -> Any:
    """A result comes whole."""
    return chunk if so_far is None else so_far


def finished(payload: Any) -> bool:
    """Whether there is a result at all."""
    return payload is not None


def substance(chunk: Any) -> bool:
    """Every result stands for output."""
    return chunk is not None


AGENT_RESULT = Format("agent_result", "chat", request, response, fold, finished, substance)
