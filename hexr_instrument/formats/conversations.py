"""Mistral's conversations: a stored dialogue with a model or an agent, which may run the provider's tools between."""

from __future__ import annotations

from typing import Any

from ..call import Format, Response, Usage, mapping, number, pick, sequence, text, total
from ._json import only
from .mistral import event
from .mistral import request as parameters
from .parts import conversations as parts


def request(body: Any) -> dict[str, Any]:
    """Sampling parameters, and which conversation goes on."""
    found = parameters(pick(body, "completion_args"))
    if conversation := text(body, "conversation_id"):
        found["conversation_id"] = conversation
    return found


def _count(source: Any, name: str) -> tuple[int | None, bool]:
    """A count, and whether it is sound; one that the SDK marks as not sent is none."""
    value = pick(source, name)
    if value is None or type(value).__name__ == "Unset":
        return None, True
    found = number(value)
    return found, found is not None


def _usage(source: Any) -> Usage | None:
    """What connectors (searches, code, documents) put into the prompt is counted apart, and billed as input."""
    counts = [_count(source, f"{kind}_tokens") for kind in ("prompt", "connector", "completion", "total")]
    (asked, _), (connected, _), (said, _), _ = counts
    if asked is None or not all(sound for _, sound in counts):
        return None
    return Usage(input=total(asked, connected), output=said)


def response(payload: Any) -> Response:
    """A ConversationResponse, or a stream folded into one; a conversation's entries say which model made them."""
    entries = sequence(pick(payload, "outputs"))
    spent = pick(payload, "usage")
    connectors: Any = pick(spent, "connectors")
    reasons = [reason for each in entries[-1:] if (reason := _REASONS.get(text(each, "type") or ""))]
    return Response(
        id=next((found for each in reversed(entries) if (found := text(each, "id"))), None),
        model=only(found for each in entries if (found := text(each, "model"))),
        finish_reasons=tuple(reasons),
        usage=_usage(spent),
        stated_total=number(spent, "total_tokens"),
        error=text(payload, "error"),
        # Each run of a connector has a fee that the table does not have.
        lower_bound=bool(mapping(connectors) or getattr(connectors, "__dict__", None)),
    )


_REASONS = {"message.output": "stop", "function.call": "tool_call"}


def fold(so_far: Any, chunk: Any) -> Any:
    """Adds one event: what each entry is, then the usage of all."""
    found: dict[str, Any] = mapping(so_far) or {"outputs": []}
    data = event(chunk)
    kind = text(data, "type") or ""
    if kind.startswith(("message.output", "function.call")):
        entry = {"type": kind.removesuffix(".delta"), "id": text(data, "id"), "model": text(data, "model")}
        if entry not in found["outputs"] and len(found["outputs"]) < 1024:
            found["outputs"].append(entry)
    elif kind == "conversation.response.done":
        found["usage"] = pick(data, "usage")
        found["done"] = True
    elif kind == "conversation.response.error":
        found["error"] = str(number(data, "code") or "error")
        found["done"] = True
    return found


def finished(payload: Any) -> bool:
    """Whether the provider said that the response is done; one that is not streamed always is."""
    return pick(payload, "done") is True or pick(payload, "conversation_id") is not None


def substance(chunk: Any) -> bool:
    """Whether an event carries a piece of output."""
    return (text(event(chunk), "type") or "").endswith(".delta")


CONVERSATIONS = Format(
    "conversations", "chat", request, response, fold, finished, substance, content=parts.CONVERSATIONS
)
