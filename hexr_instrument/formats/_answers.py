"""Many answers that are billed as one: those of a batch, wherever they were found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ..call import Part, Response, parsed
from ._json import only, summed

_STANDARD = (None, "standard", "default")


def together(read: Iterable[Response]) -> Response:
    """One response with the usage of all, each billed with its own model and length; those without usage cost nothing."""
    answers = [each for each in read if each.usage is not None]
    usages = [each.usage for each in answers if each.usage is not None]
    tiers = {"batch" if each.service_tier in _STANDARD else each.service_tier for each in answers}
    surcharges = {each.surcharge for each in answers}
    return Response(
        model=only(each.model for each in answers),
        usage=summed(usages) if usages else None,
        parts=tuple(part for each in answers for part in _parts(each)),
        # Requests that were served in different ways have no price in common.
        service_tier=tiers.pop() if len(tiers) == 1 and len(surcharges) == 1 else "mixed",
        surcharge=max(surcharges, default=0),
        lower_bound=any(each.lower_bound for each in answers),
        billed=bool(answers),
    )


def _parts(answer: Response) -> tuple[Part, ...]:
    if answer.usage is None:
        return ()
    if not answer.parts:
        return (Part(answer.model or "", answer.usage),)
    return tuple(Part(answer.model or "", part.usage) if part.model is None else part for part in answer.parts)


def lines(content: Any) -> Iterator[Any]:
    """What each line of a file of JSON lines says; nothing of what is no file."""
    for line in content.splitlines() if type(content) is bytes else ():
        yield parsed(line)
