"""What LiteLLM makes of every vendor's answer: OpenAI's shapes, as its own objects, with the others' counts added."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..call import Response, Usage, number, pick, text
from . import chat, responses
from .chat import fold as fold_chat
from .completions import COMPLETIONS
from .embeddings import EMBEDDINGS

_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")


def _usage(source: Any) -> Usage | None:
    """LiteLLM's `usage`: cached tokens are inside the prompt's; all counts are 0 where the vendor sent none."""
    found = chat.usage(source)
    if found is None or not (found.input or found.output):
        return None
    asked = pick(source, "prompt_tokens_details")
    if found.cache_write is None:
        written = number(asked, "cache_creation_tokens")
        found.cache_write = written if written is not None else number(source, "cache_creation_input_tokens")
    found.cache_write_1h = number(asked, "cache_creation_token_details", "ephemeral_1h_input_tokens")
    searches = number(source, "server_tool_use", "web_search_requests")
    found.web_searches = searches if searches is not None else number(asked, "web_search_requests")
    found.input_video = number(asked, "video_tokens")
    found.output_image = number(source, "completion_tokens_details", "image_tokens")
    return found


def _response(payload: Any) -> Response:
    """A ModelResponse, or a stream folded into one."""
    found = chat.response(payload)
    front = text(payload, "_hidden_params", "custom_llm_provider")
    if found.model is not None and front is not None:  # some versions put it in front of the model that served
        found.model = found.model.removeprefix(f"{front}/")
    found.usage = _usage(pick(payload, "usage"))
    if found.usage is None or found.stated_total == 0:
        found.stated_total = None
    return found


def _fold(so_far: Any, chunk: Any) -> Any:
    """The last count that is not 0 of each kind wins: Anthropic's prompt comes first and its answer last."""
    before = pick(so_far, "usage")
    folded = fold_chat(so_far, chunk)
    now = pick(chunk, "usage")
    if before is None or now is None:
        return folded
    merged: dict[str, Any] = {name: number(now, name) or number(before, name) for name in _COUNTS[:2]}
    merged["total_tokens"] = sum(value or 0 for value in merged.values())
    for name in ("prompt_tokens_details", "completion_tokens_details", "server_tool_use", "cost", "cost_details"):
        value = pick(now, name)
        merged[name] = pick(before, name) if value is None else value
    folded["usage"] = merged
    return folded


def _fold_events(so_far: Any, chunk: Any) -> Any:
    """Each lifecycle event carries the whole response so far; the last one wins."""
    return pick(chunk, "response") or so_far


CHAT = replace(chat.CHAT, response=_response, fold=_fold, usage_request=None, usage_only=None)
TEXT = replace(COMPLETIONS, response=_response, fold=_fold, usage_request=None, usage_only=None)
RESPONSES = replace(responses.RESPONSES, fold=_fold_events)
EMBEDDING = EMBEDDINGS
