"""The door that openai, anthropic, groq, together and other generated SDKs share.

One call of `request` is one logical LLM call with all its retries; `_process_response_data` sees the raw dict of every
parsed body and of every SSE event. Both are unchanged over openai 1.40-3.54 and anthropic 0.40-2.12.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from ..call import Outcome, Request, Target, mapping, parsed, pick

TARGETS = (
    Target("SyncAPIClient.request", "call", ("cast_to", "options")),
    Target("AsyncAPIClient.request", "acall", ("cast_to", "options")),
    Target("BaseClient._process_response_data", "feed", ("data", "response")),
)


def amend(
    args: tuple[Any, ...], kwargs: Mapping[str, Any], request: Request
) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    """Arguments whose copy of the options asks for usage; None where the body is read raw or asks already."""
    options = kwargs.get("options") or args[1]
    headers = mapping(pick(options, "headers"))
    if request.format.usage_request is None or pick(options, "extra_json"):
        return None
    if any(str(name).lower() == "x-stainless-raw-response" for name in headers):
        return None
    body = request.format.usage_request(pick(options, "json_data"))
    if body is None:
        return None
    asking = copy.copy(options)
    asking.json_data = body
    if "options" in kwargs:
        return args, {**kwargs, "options": asking}
    return (args[0], asking, *args[2:]), dict(kwargs)


def outcome(result: Any) -> Outcome:
    """A raw response (read or open), a stream on an open one, or a parsed object whose body was fed before."""
    kind: Any = result.__class__
    if _is_parsed(kind):
        return _FED
    raw = getattr(result, "http_response", None)
    if raw is None and (hasattr(kind, "_iterator") or "_iterator" in getattr(result, "__dict__", {})):
        raw = getattr(result, "response", None)
        return Outcome(body=raw)
    if raw is None:  # a parsed object, or a file that has been read whole
        return Outcome(payload=result if kind.__name__ == "HttpxBinaryResponseContent" else None)
    if hasattr(result, "_iterator"):  # lines of JSON, which the SDK parses by itself
        return Outcome(body=raw, chunks="_iterator")
    if not getattr(raw, "is_closed", True):
        return Outcome(body=raw, late=_json)
    return Outcome(payload=_json(raw))


_FED = Outcome()
"""A parsed object: its body was fed before it was made."""


@lru_cache(maxsize=64)
def _is_parsed(kind: type) -> bool:
    """Whether it is a model of pydantic: to ask one for what it has not takes longer than all else that is done here."""
    return any(each.__name__ == "BaseModel" for each in kind.__mro__)


def _json(raw: Any) -> Any:
    """The body of a response that has been read whole and is kept; what was passed on in pieces is gone."""
    kept = hasattr(raw, "_content") and "json" in raw.headers.get("content-type", "")
    return parsed(raw.content) if kept else None


def owner(client: Any) -> Any:
    """The client itself carries a registration."""
    return client
