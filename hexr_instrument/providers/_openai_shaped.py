"""SDKs of other providers that are generated as OpenAI's is and speak its language: each file is one `sdk(...)`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..call import Direct, Provider, Question
from ..formats import chat
from ..formats.audio import SPEECH, TRANSCRIPTIONS
from ..formats.chat import CHAT
from ..formats.completions import COMPLETIONS
from ..formats.embeddings import EMBEDDINGS
from ..formats.images import IMAGES
from ..formats.messages import MESSAGES
from ..formats.responses import RESPONSES
from . import _routes, _stainless, hosts
from ._handle import handle

ROUTES = {
    "/chat/completions": CHAT,
    "/responses": RESPONSES,
    "/completions": COMPLETIONS,
    "/embeddings": EMBEDDINGS,
    "/images/generations": IMAGES,
    "/audio/transcriptions": TRANSCRIPTIONS,
    "/audio/translations": TRANSCRIPTIONS,
    "/audio/speech": SPEECH,
    "/v1/messages": MESSAGES,
}


def _ask(question: Question) -> dict[str, Any]:
    """As OpenAI's, but a stream of theirs ends with its usage anyway, and some of these SDKs have no word for it."""
    asked = chat.ask(question)
    if "stream_options" not in question.options:
        asked.pop("stream_options", None)
    return asked


_ASKED = replace(CHAT, ask=_ask)


def sdk(name: str, client: str, *, package: str = "", module: str = "", serves: str = "") -> Provider:
    """The table of one SDK.

    Args:
        name: What the direct call calls it.
        client: Its synchronous client's class; the other's name is this one behind `Async`.
        package: Its distribution, where that is not its name.
        module: The package that is imported, where that is not its name.
        serves: The provider as `gen_ai.provider.name` spells it, where that is not its name.
    """
    module, serves = module or name, serves or name
    return Provider(
        name=name,
        module=f"{module}._base_client",
        targets=_stainless.TARGETS,
        request=_routes.requests(ROUTES, _provider_of(serves)),
        outcome=_stainless.outcome,
        owner=_stainless.owner,
        handle=handle,
        clients=("SyncAPIClient", "AsyncAPIClient"),
        amend=_stainless.amend,
        direct=Direct(
            module=module,
            client=client,
            aclient=f"Async{client}",
            method="chat.completions.create",
            stream_method=None,
            format=_ASKED,
            keys=(f"{name.upper()}_API_KEY",),
            keyless=None,
            package=package or name,
            options=lambda base_url: {"base_url": base_url} if base_url else {},
            served=serves,
        ),
    )


def _provider_of(serves: str) -> Callable[[Any, str | None, int | None], str]:
    return lambda client, host, port: hosts.provider_of(host, port, serves)
