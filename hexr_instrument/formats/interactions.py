"""Google's Interactions API: as wire JSON and as the SDK's objects, which spell their names alike."""

from __future__ import annotations

from typing import Any

from ..call import Format, Response, Usage, mapping, number, pick, sequence, sound, text, total
from ._json import numbers, strings, texts
from .gemini import modality
from .parts import interactions as parts

_PARAMETERS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "max_output_tokens": "max_tokens",
    "seed": "seed",
}
_FINISH_REASONS = {
    "completed": "stop",
    "requires_action": "tool_call",
    "incomplete": "length",
    "requires_continuation": "length",
    "failed": "error",
    "cancelled": "error",
}
_STATUSES = frozenset({"queued", "in_progress", "completed", "incomplete", "failed", "cancelled"})


def request(body: Any) -> dict[str, Any]:
    """Sampling parameters of an interaction's body."""
    config = pick(body, "generation_config")
    found = numbers(config, _PARAMETERS) | texts(config, {"thinking_level": "reasoning_level"})
    if stop := strings(pick(config, "stop_sequences")):
        found["stop_sequences"] = stop
    if before := text(body, "previous_interaction_id"):
        found["previous_response_id"] = before
    return found


def _usage(source: Any) -> Usage | None:
    """As with generateContent, tool use is billed as input, and thoughts as output; searches cost a fee."""
    asked, said = number(source, "total_input_tokens"), number(source, "total_output_tokens")
    if (asked is None and said is None) or not sound(source):
        return None
    thoughts = number(source, "total_thought_tokens")
    inputs: tuple[Any, ...] = (pick(source, "input_tokens_by_modality"),)
    if type(inputs[0]) is list:
        inputs += (pick(source, "tool_use_tokens_by_modality"),)
    answered = pick(source, "output_tokens_by_modality")
    return Usage(
        input=total(asked, number(source, "total_tool_use_tokens")),
        output=total(said, thoughts),
        cache_read=number(source, "total_cached_tokens"),
        reasoning=thoughts,
        input_audio=modality("AUDIO", *inputs),
        output_audio=modality("AUDIO", answered),
        cache_read_audio=modality("AUDIO", pick(source, "cached_tokens_by_modality")),
        input_image=modality("IMAGE", *inputs),
        output_image=modality("IMAGE", answered),
        input_video=modality("VIDEO", *inputs),
        output_video=modality("VIDEO", answered),
        web_searches=_grounded(source, "google_search"),
    )


def _grounded(source: Any, kind: str) -> int | None:
    counts = sequence(pick(source, "grounding_tool_count"))
    return total(*(number(each, "count") for each in counts if text(each, "type") == kind))


def response(payload: Any) -> Response:
    """An Interaction, or a stream folded into one; one that goes on in the background has no usage yet."""
    status = text(payload, "status")
    usage = _usage(pick(payload, "usage"))
    reason = _FINISH_REASONS.get(status or "")
    failed = text(pick(payload, "errors"), "code") or text(payload, "errors", 0, "code") or status
    return Response(
        id=text(payload, "id"),
        model=text(payload, "model"),
        finish_reasons=(reason,) if reason else (),
        usage=usage,
        service_tier=text(payload, "service_tier"),
        extras={"status": status} if status in _STATUSES else {},
        error=failed if status == "failed" else None,
        pending=usage is None and status in ("queued", "in_progress"),
        # Other sources than a search have fees that the table does not have.
        lower_bound=bool(_grounded(pick(payload, "usage"), "google_maps")),
    )


_LAST_WINS = ("id", "status", "model", "usage", "service_tier", "errors")


def fold(so_far: Any, chunk: Any) -> Any:
    """Events carry the interaction as it is by then: the last value of each field wins."""
    found: dict[str, Any] = dict(mapping(so_far))
    event = pick(chunk, "interaction")
    if event is not None:
        found |= {name: value for name in _LAST_WINS if (value := pick(event, name)) is not None}
    elif text(chunk, "event_type") == "error":
        found |= {"status": "failed", "errors": [{"code": text(chunk, "error", "code")}]}
    return found or so_far


def finished(payload: Any) -> bool:
    """Whether the interaction has come to an end of any kind."""
    return text(payload, "status") in _FINISH_REASONS


def substance(chunk: Any) -> bool:
    """Whether an event carries a piece of output."""
    return (text(chunk, "event_type") or "").endswith(".delta")


INTERACTIONS = Format(
    "interactions", "generate_content", request, response, fold, finished, substance, content=parts.INTERACTIONS
)
