"""Google's batch jobs: the answers that a job holds, or its file, each billed by its own length; a bucket's are not read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..call import Format, Part, Response, Usage, mapping, number, sequence, text
from . import gemini
from ._answers import lines, together
from ._json import only, summed
from .gemini import get

_OVER = frozenset({"JOB_STATE_SUCCEEDED", "JOB_STATE_PARTIALLY_SUCCEEDED"})
_UNBILLED = frozenset({"JOB_STATE_FAILED", "JOB_STATE_CANCELLED", "JOB_STATE_EXPIRED"})


def request(config: Any) -> dict[str, Any]:
    """A job has no parameters of its own."""
    return {}


def response(payload: Any) -> Response:
    """A job: its usage is known once it has succeeded, if its answers are in it."""
    state = text(get(payload, "state"))
    destination = get(payload, "dest")
    answered = sequence(get(destination, "inlined_responses"))
    embedded = sequence(get(destination, "inlined_embed_content_responses"))
    answers = [gemini.response(get(each, "response")) for each in answered]
    parts = [Part(each.model, each.usage) for each in answers if each.usage is not None]
    for each in embedded:
        spent = number(get(each, "response", "token_count"))
        if spent is not None:
            parts.append(Part(None, Usage(input=spent)))
    return Response(
        id=text(get(payload, "name")),
        model=only(each.model for each in answers if each.usage is not None),
        usage=summed([part.usage for part in parts]) if parts else None,
        parts=tuple(parts),
        service_tier="batch",
        pending=state not in _OVER and state not in _UNBILLED,
        billed=state not in _UNBILLED,
        lower_bound=any(each.lower_bound for each in answers),
        operation="embeddings" if embedded else None,
        output=None if parts or state not in _OVER else short(text(get(destination, "file_name"))),
    )


def short(file: Any) -> str | None:
    """The name of a file of Google's, from its name with the folder, its address, or the object that has one of them."""
    for each in (file, get(file, "name"), get(file, "download_uri"), get(file, "uri")):
        if name := text(each):
            return name.rpartition("files/")[2].partition(":")[0].partition("?")[0] or None
    return None


def listed(payload: Any) -> list[tuple[str | None, Any]]:
    """The jobs of a page."""
    return [(text(get(each, "name")), each) for each in sequence(get(payload, "batch_jobs"))]


def answers(payload: Any) -> Response:
    """A file of answers, one to a line, as the wire spells them."""
    read: list[Response] = []
    embedded = False
    for each in lines(payload):
        answer = get(each, "response")
        if (spent := number(get(answer, "token_count"))) is not None or "embedding" in mapping(answer):
            embedded = True
            read.append(Response(usage=None if spent is None else Usage(input=spent)))
        elif answer is not None:
            read.append(gemini.response(answer))
    return replace(together(read), operation="embeddings" if embedded else None)


def fold(so_far: Any, chunk: Any) -> Any:
    """A job is not streamed."""
    return chunk if so_far is None else so_far


def finished(payload: Any) -> bool:
    """Whether there is a job at all."""
    return payload is not None


GOOGLE_BATCHES = Format("google_batches", "generate_content", request, response, fold, finished, finished)
JOB_LIST = replace(GOOGLE_BATCHES, works=listed)
JOB_OUTPUT = replace(GOOGLE_BATCHES, response=answers)
