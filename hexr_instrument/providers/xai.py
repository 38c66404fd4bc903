"""xAI's own SDK, from 1.4 on: chats over gRPC, whose methods are the billed requests; deferred ones are asked for until they are there.

The SDK traces each of them by itself, too: where a call is recorded, its span is left out.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Mapping
from typing import Any

from ..call import Direct, Outcome, Provider, Request, Target, pick, sequence, text
from ..formats import xai
from ..formats.xai import XAI

_WHOLE = ("sample", "sample_batch", "parse", "_defer", "compact")
_STREAMED = ("stream", "stream_batch")


def _request(source: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], target: str) -> Request:
    proto = pick(source, "_proto")
    body = xai.parameters(proto)
    return Request(
        format=XAI,
        provider="x_ai",
        model=text(proto, "model") or text(kwargs, "model") or (args[0] if args and type(args[0]) is str else None),
        tier=text(body, "service_tier"),
        stream=target.rpartition(".")[2] in _STREAMED,
        parameters=XAI.request(body),
        body=lambda: xai.asked(proto),
        chunk=_chunk,
    )


def _first(source: Any) -> Any:
    """One of several choices, or of an answer and what was made of it: they all hold the same message."""
    return found[0] if (found := sequence(source)) else source


def _outcome(result: Any) -> Outcome:
    found = _first(result)
    return Outcome(payload=xai.answered(pick(found, "_proto") or found))


def _chunk(pair: Any) -> Any:
    """A stream gives pairs: the response so far, and the chunk; several of both where several were asked for."""
    chunk = _first(pick(pair, 1))
    return xai.answered(pick(chunk, "_proto"), "delta")


def _owner(source: Any) -> Any:
    """What all chats of a client hold: its stub."""
    return pick(source, "chat", "_stub") or pick(source, "_stub")


def _handle(client: Any) -> Any:
    made = copy.copy(client)
    made.chat = copy.copy(client.chat)
    made.chat._stub = copy.copy(client.chat._stub)
    return made


def _said(client: Any, /, messages: list[dict[str, Any]], *, stream: bool = False, **asked: Any) -> Any:
    """A chat; its SDK takes messages as protobuf's, made by a function for each role."""
    words: Any = sys.modules["xai_sdk.chat"]
    told = [getattr(words, each["role"])(each["content"]) for each in messages]
    chat = client.chat.create(messages=told, **asked)
    return chat.stream() if stream else chat.sample()


def _read(returned: Any) -> Any:
    return _chunk(returned) if type(returned) is tuple else _outcome(returned).payload


_DIRECT = Direct(
    module="xai_sdk",
    client="Client",
    aclient="AsyncClient",
    method="chat.create",
    stream_method=None,
    format=XAI,
    keys=("XAI_API_KEY",),
    keyless=None,
    package="xai-sdk",
    options=lambda base_url: {"api_host": base_url} if base_url else {},
    served="x_ai",
    reach=_said,
    read=_read,
)


def _table(kind: str) -> Provider:
    drive = "a" if kind == "aio" else ""
    targets = [Target(f"Chat.{name}", f"{drive}call", optional=True) for name in _WHOLE]
    targets += [Target(f"Chat.{name}", "late" if drive else "stream", optional=True) for name in _STREAMED]
    return Provider(
        name="xai" if kind == "sync" else "xai aio",
        module=f"xai_sdk.{kind}.chat",
        targets=(
            *targets,
            Target("Client.compact_context", f"{drive}call", optional=True),
            Target("tracer.start_as_current_span", "unspan", optional=True),
        ),
        request=_request,
        outcome=_outcome,
        owner=_owner,
        handle=_handle,
        clients=("Client",),
        direct=_DIRECT if kind == "sync" else None,
    )


TABLES = (_table("sync"), _table("aio"))
