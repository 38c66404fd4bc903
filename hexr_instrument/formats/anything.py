"""A response of whichever known shape, for clients that no table knows: it is told by where its usage stands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..call import Format, Response, Usage, number, pick, text, total
from .chat import CHAT
from .gemini import GENERATE_CONTENT
from .messages import MESSAGES
from .responses import RESPONSES

SHAPES = (CHAT, MESSAGES, RESPONSES, GENERATE_CONTENT)
"""The wires that are tried, in this order; what differs between two of them is asked by `_is`."""
_INPUTS = ("input", "input_tokens", "prompt_tokens", "inputTokens", "prompt_eval_count", "tokens_in")
_OUTPUTS = ("output", "output_tokens", "completion_tokens", "outputTokens", "eval_count", "tokens_out")


@dataclass(slots=True)
class Heard:
    """What a stranger's method returned, or put out piece by piece."""

    response: Response
    whole: bool
    """Whether a stream was read to its end; always true for what came at once."""
    said: bool = False
    """Whether the newest piece carries anything."""


def read(payload: Any) -> Response:
    """The response, by the shape in which its usage is known; one without usage where it is known in none."""
    for wire in SHAPES:
        if _is(wire, payload):
            found = wire.response(payload)
            if found.usage is not None or found.stated_cost is not None:
                return found
    return Response(id=text(payload, "id"), model=text(payload, "model"), usage=_plain(payload))


def _is(wire: Format, payload: Any) -> bool:
    """Messages counts cached tokens beside the input, Responses within it: the names alone would not tell."""
    if wire is MESSAGES:
        return text(payload, "type") == "message" or number(payload, "usage", "cache_read_input_tokens") is not None
    if wire is GENERATE_CONTENT:
        return pick(payload, "usage_metadata") is not None or pick(payload, "usageMetadata") is not None
    return pick(payload, "usage") is not None


def _plain(payload: Any) -> Usage | None:
    """Counts by any of their usual names: in `usage`, `token_usage` or `meta.tokens`, or in the payload itself."""
    for path in (("usage",), ("token_usage",), ("meta", "tokens"), ()):
        source = pick(payload, *path)
        inputs = next((each for name in _INPUTS if (each := number(source, name)) is not None), None)
        outputs = next((each for name in _OUTPUTS if (each := number(source, name)) is not None), None)
        if total(inputs, outputs) is not None:
            return Usage(
                input=inputs,
                output=outputs,
                cache_read=number(source, "cache_read") or number(source, "cached_tokens"),
                reasoning=number(source, "reasoning") or number(source, "reasoning_tokens"),
            )
    return None


def folds() -> list[tuple[Format, Any]]:
    """What a stream is folded into before its shape is known: every known one."""
    return [(wire, None) for wire in SHAPES]


def _whole(payload: Any) -> bool:
    return payload.whole


def _nothing(body: Any) -> dict[str, Any]:
    return {}


def _said(chunk: Any) -> bool:
    return bool(chunk.said)


def _last(so_far: Any, chunk: Any) -> Any:
    return chunk


_response: Callable[[Any], Response] = lambda payload: payload.response  # noqa: E731  (a reader as short as it is)

ANYTHING = Format("anything", "chat", _nothing, _response, _last, _whole, _said)
"""Its payloads and chunks are `Heard`."""
