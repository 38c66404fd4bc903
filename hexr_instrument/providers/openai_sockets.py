"""OpenAI's websockets: voice agents and responses. Their modules are loaded when they are first used.

An SDK that lacks one of them never imports its module, and an older one lacks some of a module's targets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ..call import Format, Outcome, Provider, Request, Target, Turn, pick, text
from ..formats.realtime import (
    REALTIME,
    RESPONSES_SOCKET,
    TRANSCRIBED,
    TRANSCRIBED_SPEECH,
    response_turn,
    told,
    transcriber,
    turn,
)
from ._handle import handle
from ._routes import address
from .openai import provider_of


def _targets(name: str) -> tuple[Target, ...]:
    found: list[Target] = []
    for kind in (name, f"Async{name}"):
        enter = "__enter__" if kind == name else "__aenter__"
        found += [
            Target(f"{kind}Manager.{enter}", "open", optional=True),
            Target(f"{kind}Manager.enter", "open", optional=True),
            Target(f"{kind}.send", "ask", ("event",), optional=True),
            Target(f"{kind}.parse_event", "receive", ("data",), optional=True),
            Target(f"{kind}.recv", "watch", optional=True),
            Target(f"{kind}.close", "leave", optional=True),
        ]
    return tuple(found)


def _client(opener: Any) -> Any:
    """The client of what opens a connection: its private attribute, under the name that Python gives it."""
    return pick(opener, f"_{type(opener).__name__}__client")


def _requests(wire: Format) -> Callable[[Any, tuple[Any, ...], Mapping[str, Any], str], Request | None]:
    def request(connection: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], target: str) -> Request | None:
        message: Any = args[0] if args else kwargs.get("event")
        kind = text(message, "type")
        sent = target.endswith(".send")
        if sent and kind != "response.create":
            return None
        session = kwargs.get("state")
        opened = urlsplit(text(connection, "_connection", "request", "path") or "")
        query = parse_qs(opened.query)
        asked = next(iter(query.get("model") or query.get("deployment") or ()), None)
        spoken = kind == TRANSCRIBED
        model = transcriber(session) if spoken else text(message, "model") or asked or text(session, "model")
        client = pick(connection, "_hexr_session", "owner")
        host, port = address(client)
        used = TRANSCRIBED_SPEECH if spoken else wire
        return Request(
            format=used,
            provider=provider_of(client, host, port),
            model=model,
            operation=used.operation,
            host=host,
            port=port,
            stream=True,
            parameters=wire.request(message) if sent else {},
            body=message if sent else None,
            lane=text(message, "stream_id") or "",
        )

    return request


def _outcome(result: Any) -> Outcome:
    return Outcome()


def _table(name: str, module: str, wire: Format, connection: str, turn: Callable[[Any], Turn | None]) -> Provider:
    return Provider(
        name=name,
        module=module,
        targets=_targets(connection),
        request=_requests(wire),
        outcome=_outcome,
        owner=_client,
        handle=handle,
        clients=(),
        turn=turn,
        told=told if wire is REALTIME else None,
    )


_ROOMS = "openai.resources"
TABLES = (
    _table("openai realtime", f"{_ROOMS}.realtime.realtime", REALTIME, "RealtimeConnection", turn),
    _table("openai beta realtime", f"{_ROOMS}.beta.realtime.realtime", REALTIME, "RealtimeConnection", turn),
    _table("openai responses", f"{_ROOMS}.responses.responses", RESPONSES_SOCKET, "ResponsesConnection", response_turn),
    _table(
        "openai beta responses",
        f"{_ROOMS}.beta.responses.responses",
        RESPONSES_SOCKET,
        "ResponsesConnection",
        response_turn,
    ),
)
