"""What all tables of the google-genai SDK share: who serves a client's calls, its registration, its handles."""

from __future__ import annotations

import copy
from typing import Any

from ..call import Outcome, Request, pick, text
from ..formats.gemini import get
from . import hosts


def served(request: Request, api: Any, config: Any = None) -> Request:
    """The request, with who serves it and where.

    Args:
        request: What is asked.
        api: The SDK's API client.
        config: The call's own `config`, which may name another address.
    """
    base = text(get(config, "http_options", "base_url")) or text(api, "_http_options", "base_url") or ""
    request.host, request.port = hosts.address(base)
    vertex = pick(api, "vertexai") is True
    request.provider = "gcp.vertex_ai" if vertex else hosts.provider_of(request.host, request.port, "gcp.gemini")
    return request


def short(model: str | None) -> str | None:
    """'models/x' (Gemini API) and '[projects/p/locations/l/]publishers/google/models/x' (Vertex AI) are both x."""
    return (model or "").rpartition("models/")[2] or None


def outcome(result: Any) -> Outcome:
    """What a target returns is the whole payload."""
    return Outcome(payload=result)


def owner(part: Any) -> Any:
    """The API client carries a registration."""
    return pick(part, "_api_client")


def handle(client: Any) -> Any:
    """A second client on the same transport: every part that holds the API client gets a twin of it.

    The twins finalise nothing: the SDK's client closes its transport when it is dropped, a handle must not.
    """
    transport = client._api_client
    twin = _twin(transport)
    return _rebind(client, transport, twin)


def _leave_open(twin: Any) -> None:
    """A finaliser that finalises nothing."""


def _twin(whole: Any) -> Any:
    kind: Any = whole.__class__
    twin = copy.copy(whole)
    members: dict[str, Any] = {"__del__": _leave_open, "__module__": kind.__module__}
    if hasattr(kind, "interactions"):
        members["interactions"] = property(_interactions)
        twin.__dict__["_interactions"] = None  # made at its first use, for whom it is then
    twin.__class__ = type(kind.__name__, (kind,), members)
    twin.__dict__["_hexr_origin"] = whole  # the transport lives as long as one of the two
    return twin


def _interactions(client: Any) -> Any:
    """The interactions of a handle know it; of themselves they only have its transport."""
    kinds: tuple[type[Any], ...] = type(client).__mro__
    found: list[Any] = [vars(kind)["interactions"].fget for kind in kinds if "interactions" in vars(kind)]
    made: Any = next(get for get in found if get is not _interactions)(client)
    made.__dict__.setdefault("_api_client", client._api_client)
    return made


def _rebind(whole: Any, transport: Any, twin: Any) -> Any:
    made = _twin(whole)
    parts: dict[str, Any] = whole.__dict__
    for name, part in parts.items():
        if part is transport:
            setattr(made, name, twin)
        elif getattr(part, "_api_client", None) is transport:
            setattr(made, name, _rebind(part, transport, twin))
    return made
