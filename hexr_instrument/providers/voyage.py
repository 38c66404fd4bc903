"""Voyage's SDK: each method is one request, with its retries. Models that run in the program itself cost nothing."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from ..call import Format, Outcome, Provider, Request, Target, mapping, text
from ..formats.voyage import EMBED, RERANK
from . import hosts

_METHODS: dict[str, tuple[Format, int]] = {
    "embed": (EMBED, 1),
    "contextualized_embed": (EMBED, 1),
    "multimodal_embed": (EMBED, 1),
    "rerank": (RERANK, 2),
}
"""Method -> its format, and which argument the model is."""


def _request(client: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], target: str) -> Request | None:
    wire, place = _METHODS[target.rpartition(".")[2]]
    model = text(kwargs, "model") or text(args[place] if len(args) > place else None)
    if model is not None and model.endswith("-nano"):
        return None
    url = text(mapping(getattr(client, "_params", None)), "base_url")
    host, port = hosts.address(url or "https://api.voyageai.com")
    return Request(
        format=wire,
        provider="voyage_ai",
        model=model,
        operation=wire.operation,
        host=host,
        port=port,
        parameters=wire.request(kwargs),
    )


def _outcome(result: Any) -> Outcome:
    return Outcome(payload=result)


def _owner(client: Any) -> Any:
    return client


TABLES = tuple(
    Provider(
        name=name,
        module=module,
        targets=tuple(Target(f"{kind}.{method}", drive, ("model",), optional=True) for method in _METHODS),
        request=_request,
        outcome=_outcome,
        owner=_owner,
        handle=copy.copy,
        clients=(kind,),
    )
    for name, module, kind, drive in (
        ("voyage", "voyageai.client", "Client", "call"),
        ("voyage.async", "voyageai.client_async", "AsyncClient", "acall"),
    )
)
