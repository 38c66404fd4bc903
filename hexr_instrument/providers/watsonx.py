"""IBM's SDK (ibm-watsonx-ai): chats, text generation and embeddings of watsonx.ai, 1.3 on.

Chats are recorded where the program asks for them, of models and deployments alike. A list of prompts or texts goes out
as many requests: each is recorded where it is sent. What the SDK sends again by itself is the same call.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from ..call import Format, Outcome, Provider, Request, Target, mapping, parsed, pick, text
from ..formats.chat import CHAT
from ..formats.watsonx import EMBEDDING, GENERATION
from . import hosts

_MODELS = "ibm_watsonx_ai.foundation_models"
_ASKED = ("messages", "params")
_SENT = ("generate_url",)


def _given(source: Any) -> dict[str, Any]:
    """Parameters: a dict, or an object of the SDK's."""
    return mapping(source) or {
        name: value for name, value in getattr(source, "__dict__", {}).items() if value is not None
    }


def _chat(instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], target: str) -> Request | None:
    given = dict(zip(("messages", "params", "tools"), args, strict=False)) | dict(kwargs)
    body = {**_given(getattr(instance, "params", None)), **_given(given.get("params"))}
    body |= {"messages": given.get("messages"), "tools": given.get("tools")}
    return _read(instance, CHAT, body, stream=target.endswith("_stream"))


def _generation(instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], target: str) -> Request | None:
    sent = kwargs.get("payload", args[0] if args else None)
    if body := mapping(sent):
        return _read(instance, GENERATION, body)
    prompt = kwargs.get("prompt", args[0] if args else None)
    return _read(instance, GENERATION, {"input": prompt, "parameters": _given(kwargs.get("params"))})


def _embedding(instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], target: str) -> Request | None:
    return _read(instance, EMBEDDING, {"input": kwargs.get("inputs", args[1] if len(args) > 1 else None)})


def _read(instance: Any, wire: Format, body: dict[str, Any], *, stream: bool = False) -> Request:
    host, port = hosts.address(text(instance, "_client", "credentials", "url"))
    return Request(
        format=wire,
        provider=hosts.provider_of(host, port, "ibm.watsonx.ai"),
        model=text(getattr(instance, "model_id", None)),
        operation=wire.operation,
        host=host,
        port=port,
        stream=stream,
        parameters=wire.request(body),
        body=body,
    )


def _outcome(result: Any) -> Outcome:
    """The parsed answer, or the HTTP response that the SDK parses and checks afterwards."""
    return Outcome(payload=result if type(result) is dict else parsed(pick(result, "content") or b""))


def _owner(instance: Any) -> Any:
    return instance


TABLES = tuple(
    Provider(
        name=name,
        module=f"{_MODELS}.{module}",
        targets=targets,
        request=request,
        outcome=_outcome,
        owner=_owner,
        handle=copy.copy,
        clients=clients,
        package="ibm-watsonx-ai",
    )
    for name, module, request, clients, targets in (
        (
            "watsonx",
            "inference.model_inference",
            _chat,
            ("ModelInference",),
            (
                Target("ModelInference.chat", "call", _ASKED),
                Target("ModelInference.achat", "acall", _ASKED),
                Target("ModelInference.chat_stream", "stream", _ASKED),
                Target("ModelInference.achat_stream", "late", _ASKED),
            ),
        ),
        (
            "watsonx generation",
            "inference.base_model_inference",
            _generation,
            (),
            (
                Target("BaseModelInference._send_inference_payload_raw", "call", _SENT),
                Target("BaseModelInference._asend_inference_payload", "acall", _SENT),
            ),
        ),
        (
            "watsonx embeddings",
            "embeddings.embeddings",
            _embedding,
            ("Embeddings",),
            (
                Target("Embeddings._generate_raw_response", "call", ("inputs",)),
                Target("Embeddings._agenerate_raw_response", "acall", ("inputs",)),
            ),
        ),
    )
)
