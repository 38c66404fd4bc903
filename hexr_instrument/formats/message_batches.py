"""Anthropic's message batches: the batch itself, and its results line by line."""

from __future__ import annotations

from typing import Any

from ..call import Format, Response, mapping, pick, sequence, text
from . import messages
from ._answers import together
from ._json import only


def request(body: Any) -> dict[str, Any]:
    """A batch has no parameters of its own."""
    return {}


def model(body: Any) -> str | None:
    """The model that all requests of a batch ask for; None if there are several."""
    return only(text(each, "params", "model") for each in sequence(pick(body, "requests")))


def response(payload: Any) -> Response:
    """A batch, whose usage comes with its results; or those results, each billed with its own model and length."""
    read: list[Response] | None = mapping(payload).get("answers")
    if read is None:
        return Response(id=text(payload, "id"), pending=True)
    return together(read)


def fold(so_far: Any, chunk: Any) -> Any:
    """Each line is one answer; errors, cancelled and expired requests are not billed."""
    so_far = so_far or {"answers": []}
    message = pick(chunk, "result", "message")
    if message is not None:
        so_far["answers"].append(messages.response(message))
    return so_far


def finished(payload: Any) -> bool:
    """Never: a line does not say whether it is the last one."""
    return False


def substance(chunk: Any) -> bool:
    """Each line carries output."""
    return chunk is not None


MESSAGE_BATCHES = Format("message_batches", "chat", request, response, fold, finished, substance)
