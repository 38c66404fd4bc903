"""google-genai's batch jobs: billed once, when a job is seen to be over, to whoever created it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..call import Provider, Request, Target, pick, text
from ..formats.google_batches import GOOGLE_BATCHES as FORMAT
from . import _google


def _request(batches: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], target: str) -> Request:
    request = Request(
        format=FORMAT,
        provider="",
        model=_google.short(text(kwargs, "model")),
        operation="embeddings" if "embeddings" in target else FORMAT.operation,
        billing="job",
    )
    return _google.served(request, pick(batches, "_api_client"), kwargs.get("config"))


GOOGLE_BATCHES = Provider(
    name="google.batches",
    module="google.genai.batches",
    targets=tuple(
        Target(f"{kind}.{method}", drive, parameters, optional=True)
        for kind, drive in (("Batches", "call"), ("AsyncBatches", "acall"))
        for method, parameters in (("_create", ("src",)), ("_create_embeddings", ("src",)), ("get", ("name",)))
    ),
    request=_request,
    outcome=_google.outcome,
    owner=_google.owner,
    handle=_google.handle,
    clients=(),
)
