"""google-genai's live sessions: each turn on the websocket is a call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..call import Provider, Request, Target, pick, text
from ..formats.gemini_live import GEMINI_LIVE, told, turn
from . import _google

_SENDS = ("_client_content", "_realtime_input", "_tool_response")


def _request(session: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], target: str) -> Request | None:
    """The first message of an answer: what was asked was decided when the session was opened."""
    if not target.endswith("_receive"):
        return None
    asked = kwargs.get("state")
    config = pick(asked, "config")
    request = Request(
        format=GEMINI_LIVE,
        provider="",
        model=_google.short(text(asked, "model")),
        operation=GEMINI_LIVE.operation,
        stream=True,
        parameters=GEMINI_LIVE.request(config),
    )
    return _google.served(request, pick(session, "_api_client"), config)


GOOGLE_LIVE = Provider(
    name="google.live",
    module="google.genai.live",
    targets=(
        Target("AsyncLive.connect", "connect", ("model",)),
        *(Target(f"AsyncSession.send{what}", "ask", optional=True) for what in _SENDS),
        Target("AsyncSession._receive", "watch"),
        Target("AsyncSession._receive", "receive"),
        Target("AsyncSession.close", "leave", optional=True),
    ),
    request=_request,
    outcome=_google.outcome,
    owner=_google.owner,
    handle=_google.handle,
    clients=(),
    turn=turn,
    told=told,
)
TABLES = (GOOGLE_LIVE,)
