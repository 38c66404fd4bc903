"""Voyage's embeddings and rerankings, as its SDK hands them on: sums over what the API has said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..call import Format, Response, Usage, number, pick
from . import embeddings
from ._json import numbers, texts


def request(body: Any) -> dict[str, Any]:
    """Parameters of an embedding."""
    return numbers(body, {"output_dimension": "dimension_count"}) | texts(body, {"output_dtype": "encoding_format"})


def response(payload: Any) -> Response:
    """Tokens in all; of pictures and films the text's alone, as their pixels have a price of their own."""
    source = payload if pick(payload, "usage") is None else pick(payload, "usage")
    shown = (number(source, "image_pixels") or 0) + (number(source, "video_pixels") or 0)
    spent = number(source, "text_tokens" if shown else "total_tokens")
    return Response(usage=None if spent is None else Usage(input=spent), lower_bound=shown > 0)


EMBED = Format(
    "voyage_embed", "embeddings", request, response, embeddings.fold, embeddings.finished, embeddings.substance
)
RERANK = replace(EMBED, name="voyage_rerank", operation="rerank")
