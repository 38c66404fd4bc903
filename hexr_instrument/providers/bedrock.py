"""Amazon Bedrock through boto3 and aiobotocore: Converse and InvokeModel, whole and streamed.

All AWS services share the one method through which botocore's clients call; the clients of `bedrock-runtime` are told by
the name of their generated class.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from ..call import Direct, Outcome, Provider, Request, Target, parsed, pick, text
from ..formats.converse import CONVERSE, short
from ..formats.invoke import INVOKE, INVOKE_OTHER, operation, whole
from . import hosts

_CLIENT = "BedrockRuntime"
_WHOLE, _STREAMED = ("Converse", "InvokeModel"), ("ConverseStream", "InvokeModelWithResponseStream")
_OPERATIONS = {**dict.fromkeys(_WHOLE, False), **dict.fromkeys(_STREAMED, True)}
"""What makes a call -> whether it is streamed. Counting tokens and guardrails are none."""


def _request(client: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], target: str) -> Request | None:
    name = args[0] if args else kwargs.get("operation_name")
    stream = _OPERATIONS.get(str(name))
    if stream is None:
        return None
    asked = args[1] if len(args) > 1 else kwargs.get("api_params")
    model = short(text(asked, "modelId"))
    body, wire, kind = asked, CONVERSE, "chat"
    if str(name).startswith("Invoke"):
        given = pick(asked, "body")
        body = parsed(given) if type(given) in (bytes, bytearray, str) else None
        kind = operation(model, body)
        wire = INVOKE_OTHER if kind in ("embeddings", "rerank") else INVOKE
    host, port = hosts.address(text(client, "meta", "endpoint_url"))
    parameters = wire.request(body)
    if guardrail := text(asked, "guardrailIdentifier"):
        parameters["guardrail"] = guardrail
    # What is asked for by its own name serves; a router says whom it chose, a profile of the account's does not.
    served = None if "/" in (model or "") else model
    found = Request(wire, "aws.bedrock", model, operation=kind, host=host, port=port, stream=stream, served=served)
    found.parameters, found.body = parameters, body
    return found


def _outcome(result: Any) -> Outcome:
    """A stream is in `stream` or `body`, a body that is still to be read in `body`; Converse's answer is the result."""
    body, stream = pick(result, "body"), pick(result, "stream")
    known = {
        "headers": pick(result, "ResponseMetadata", "HTTPHeaders"),
        "serviceTier": text(result, "serviceTier"),
        "latency": text(result, "performanceConfigLatency"),
    }
    if stream is not None:
        return _streamed(stream, {"ResponseMetadata": pick(result, "ResponseMetadata")})
    if body is None:
        return Outcome(payload=result)
    if hasattr(body, "_event_generator"):
        return _streamed(body, known)
    raw = pick(body, "_raw_stream")
    if raw is None:  # the body of an aiobotocore before 3, which is a proxy: the headers have the counts
        return Outcome(payload=known)
    # urllib3's response sees every way of reading, aiohttp's cannot be listened to.
    heard = body if hasattr(body, "__aiter__") else raw
    length = pick(body, "_content_length")
    whole_length = int(length) if type(length) is str and length.isdigit() else None
    return Outcome(body=heard, read=heard, payload=known, late=partial(whole, known), length=whole_length)


def _streamed(stream: Any, known: dict[str, Any]) -> Outcome:
    raw = pick(stream, "_raw_stream")
    return Outcome(body=raw, stream=stream, chunks="_event_generator", parser="_parser", payload=known)


def _handle(client: Any) -> Any:
    """A copy with the same endpoint, which is the transport."""
    kind: Any = client.__class__
    made: Any = object.__new__(kind)  # `copy` would ask the empty copy for attributes, which asks for itself
    made.__dict__.update(client.__dict__)
    return made


def _table(name: str, module: str, kind: str, drive: str, direct: Direct | None = None) -> Provider:
    return Provider(
        name=name,
        module=module,
        targets=(Target(f"{kind}._make_api_call", drive, ("operation_name", "api_params"), only=_CLIENT),),
        request=_request,
        outcome=_outcome,
        owner=lambda client: client,
        handle=_handle,
        clients=(_CLIENT,),
        direct=direct,
    )


_SERVICE = {"service_name": "bedrock-runtime"}
DIRECT = Direct(
    module="boto3",
    client="client",
    aclient="client",
    method="converse",
    stream_method="converse_stream",
    format=CONVERSE,
    keys=(),  # AWS looks for credentials in many places
    keyless=None,
    package="boto3",
    options=lambda base_url: _SERVICE | ({"endpoint_url": base_url} if base_url else {}),
    served="aws.bedrock",
    stream_part="stream",
    threads=True,
)
BEDROCK = _table("bedrock", "botocore.client", "BaseClient", "call", DIRECT)
AIOBEDROCK = _table("bedrock aio", "aiobotocore.client", "AioBaseClient", "acall")
TABLES = (BEDROCK, AIOBEDROCK)
