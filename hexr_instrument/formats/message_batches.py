"""Anthropic's message batches: the batch itself, and its results line by line."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..call import Format, Part, Response, mapping, pick, sequence, text
from . import messages
from ._json import only, summed


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
    answers = [each for each in read if each.usage is not None]
    usages = [each.usage for each in answers if each.usage is not None]
    tiers = {"batch" if each.service_tier in (None, "standard") else each.service_tier for each in answers}
    surcharges = {each.surcharge for each in answers}
    return Response(
        model=only(each.model for each in answers),
        usage=summed(usages) if usages else None,
        parts=tuple(part for each in answers for part in _parts(each)),
        # Requests that were served in different ways have no price in common.
        service_tier=tiers.pop() if len(tiers) == 1 and len(surcharges) == 1 else "mixed",
        surcharge=max(surcharges, default=0),
        billed=bool(answers),
    )


def _parts(answer: Response) -> tuple[Part, ...]:
    if answer.usage is None:
        return ()
    if not answer.parts:
        return (Part(answer.model or "", answer.usage),)
    return tuple(replace(part, model=answer.model or "") if part.model is None else part for part in answer.parts)


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
