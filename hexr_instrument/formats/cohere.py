"""Cohere's chat (v2 and v1), generate, embed and rerank. What is billed is said beside what was counted, and is less."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..call import Format, Question, Response, Usage, mapping, number, pick, sequence, sound, text
from ._json import numbers, strings, texts
from .parts import cohere as parts

_PARAMETERS = {
    "temperature": "temperature",
    "p": "top_p",
    "k": "top_k",
    "max_tokens": "max_tokens",
    "seed": "seed",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "num_generations": "choice_count",
    "output_dimension": "dimension_count",
}
_OUTPUT_TYPES = {"json_object": "json", "text": "text"}
_FINISH_REASONS = {
    "complete": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_call": "tool_call",
    "error_toxic": "content_filter",
}


def request(body: Any) -> dict[str, Any]:
    """Sampling parameters of a body."""
    found = numbers(body, _PARAMETERS) | texts(body, {"conversation_id": "conversation_id"})
    if type(top_k := found.get("top_k")) is float and top_k.is_integer():
        found["top_k"] = int(top_k)
    if stop := strings(pick(body, "stop_sequences")):
        found["stop_sequences"] = stop
    if found.get("choice_count") == 1:
        del found["choice_count"]
    if output := _OUTPUT_TYPES.get(text(body, "response_format", "type") or ""):
        found["output_type"] = output
    return found


def usage(source: Any) -> Usage | None:
    """The billed units of `usage` (v2) or `meta` (v1); what was counted, where nothing is said to be billed.

    Counted tokens include a prompt of Cohere's own around the user's, which is not billed; so may the cached ones.
    """
    billed, counted = pick(source, "billed_units"), pick(source, "tokens")
    cached = number(source, "cached_tokens")
    if not all(part is None or sound(part) for part in (billed, counted)):
        return None
    if cached is None and pick(source, "cached_tokens") is not None:
        return None
    units = billed if number(billed, "input_tokens") is not None else counted
    asked, said = number(units, "input_tokens"), number(units, "output_tokens")
    searches = number(billed, "search_units")
    images, shown = number(billed, "images"), number(billed, "image_tokens")
    if asked is None and said is None and searches is None and images is None and shown is None:
        return None
    return Usage(
        input=asked,
        output=said,
        cache_read=cached if cached is not None and cached <= (asked or 0) else None,
        search_units=searches,
        images=images or None,
        input_image=shown if shown is not None and shown <= (asked or 0) else None,
    )


def _reasons(*sources: Any) -> tuple[str, ...]:
    found = [reason.lower() for each in sources if (reason := text(each, "finish_reason"))]
    return tuple(_FINISH_REASONS.get(reason, "error" if reason.startswith("error") else reason) for reason in found)


def response(payload: Any) -> Response:
    """A whole answer of any kind, or a stream folded into one; none of them names the model that served."""
    spent = pick(payload, "usage")
    return Response(
        id=text(payload, "id") or text(payload, "response_id") or text(payload, "generation_id"),
        finish_reasons=_reasons(payload) or _reasons(*sequence(pick(payload, "generations"))),
        usage=usage(pick(payload, "meta") if spent is None else spent),
        error="error" if text(payload, "error") else None,
    )


def _anonymous(payload: Any) -> Response:
    """Embeddings and rerankings: the conventions give them no id."""
    return replace(response(payload), id=None)


def fold(so_far: Any, chunk: Any) -> Any:
    """Adds one event: the first has the id, the last one all else, by itself (v2) or as a whole answer (v1)."""
    found: dict[str, Any] = mapping(so_far) or {"id": None}
    found["id"] = text(chunk, "id") or text(chunk, "generation_id") or found.get("id")
    kind = text(chunk, "type") or text(chunk, "event_type")
    if kind == "message-end":
        found["finish_reason"] = text(chunk, "delta", "finish_reason")
        found["usage"] = pick(chunk, "delta", "usage")
        found["error"] = pick(chunk, "delta", "error")
        found["done"] = True
    elif kind == "stream-end":
        whole = pick(chunk, "response")
        found["id"] = text(whole, "response_id") or text(whole, "id") or found["id"]
        found["finish_reason"] = text(chunk, "finish_reason") or text(whole, "finish_reason")
        found["meta"] = pick(whole, "meta")
        found["done"] = True
    elif kind == "stream-error":
        found["error"] = "error"
        found["done"] = True
    return found


def finished(payload: Any) -> bool:
    """Whether the provider said that the answer is at its end."""
    return pick(payload, "done") is True


def substance(chunk: Any) -> bool:
    """Whether an event carries a piece of output."""
    kind = text(chunk, "type") or text(chunk, "event_type") or ""
    return kind.endswith(("-delta", "tool-call-start", "-generation", "tool-calls-chunk"))


def ask(question: Question) -> dict[str, Any]:
    """Keyword arguments of `ClientV2.chat` and `chat_stream`."""
    system = [{"role": "system", "content": question.system}] if question.system else []
    return {"model": question.model, "messages": [*system, *question.messages], **question.options}


def answer(payload: Any) -> str:
    """The text of an answer or an event, thoughts left out."""
    content = sequence(pick(payload, "message", "content"))
    whole = "".join(text(each, "text") or "" for each in content)
    return whole or text(payload, "delta", "message", "content", "text") or ""


CHAT = Format(
    "cohere_chat",
    "chat",
    request,
    response,
    fold,
    finished,
    substance,
    ask=ask,
    answer=answer,
    content=parts.CHAT,
)
CHAT_1 = Format("cohere_chat_1", "chat", request, response, fold, finished, substance, content=parts.CHAT_1)
GENERATE = Format(
    "cohere_generate", "text_completion", request, response, fold, finished, substance, content=parts.GENERATE
)
EMBED = Format("cohere_embed", "embeddings", request, _anonymous, fold, finished, substance)
RERANK = Format("cohere_rerank", "rerank", request, _anonymous, fold, finished, substance)
