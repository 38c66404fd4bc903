"""OpenAI embeddings."""

from __future__ import annotations

from typing import Any

from ..call import Format, Response, Usage, number, pick, sound, text
from ._json import numbers, stated_cost, texts


def request(body: Any) -> dict[str, Any]:
    """Parameters of an embeddings body."""
    return numbers(body, {"dimensions": "dimension_count"}) | texts(body, {"encoding_format": "encoding_format"})


def response(payload: Any) -> Response:
    """An embeddings response; it has no id and no finish reason."""
    spent = number(payload, "usage", "prompt_tokens")
    return Response(
        model=text(payload, "model"),
        usage=None if spent is None or not sound(pick(payload, "usage")) else Usage(input=spent),
        stated_cost=stated_cost(pick(payload, "usage")),
        stated_total=number(payload, "usage", "total_tokens"),
    )


def fold(so_far: Any, chunk: Any) -> Any:
    """Embeddings are not streamed: the last body is the response."""
    return chunk if so_far is None else so_far


def finished(payload: Any) -> bool:
    """Whether there is a response at all."""
    return payload is not None


def substance(chunk: Any) -> bool:
    """Every body carries output."""
    return chunk is not None


EMBEDDINGS = Format("embeddings", "embeddings", request, response, fold, finished, substance)
