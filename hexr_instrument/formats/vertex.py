"""What the SDK of Vertex AI returns: generateContent as protobuf messages in objects of its own; embeddings in a list."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..call import Response, Usage, number, sequence, total
from . import gemini


def _plain(answer: Any) -> Any:
    """The answer as the JSON that it is on the wire, by the SDK's own method."""
    return answer.to_dict()


def _embedding(payload: Any) -> Response:
    """A list of embeddings; each counts its own tokens."""
    counts = [number(each, "statistics", "token_count") for each in sequence(payload)]
    spent = None if None in counts else total(*counts)
    return Response(usage=None if spent is None else Usage(input=spent))


GENERATE_CONTENT = replace(gemini.GENERATE_CONTENT, plain=_plain)
EMBEDDINGS = replace(gemini.EMBED_CONTENT, response=_embedding)
