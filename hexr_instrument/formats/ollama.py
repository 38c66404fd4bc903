"""Ollama's own API: chat, generate and embeddings, whose counts and durations stand in the body itself."""

from __future__ import annotations

from typing import Any

from ..call import Format, Question, Response, Usage, mapping, number, pick, text
from ._json import numbers, strings
from .parts import ollama as parts

_PARAMETERS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "num_predict": "max_tokens",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "seed": "seed",
}


def request(body: Any) -> dict[str, Any]:
    """Sampling parameters, which Ollama takes as `options`; -1 tokens at most means that there is no limit."""
    options = pick(body, "options")
    found = numbers(options, _PARAMETERS)
    if found.get("max_tokens", 1) < 1:
        del found["max_tokens"]
    if stop := strings(pick(options, "stop")):
        found["stop_sequences"] = stop
    if pick(body, "format"):  # "json", or a schema
        found["output_type"] = "json"
    if level := text(body, "think"):
        found["reasoning_level"] = level
    return found


def embedding_request(body: Any) -> dict[str, Any]:
    """Parameters of a request for embeddings."""
    return numbers(body, {"dimensions": "dimension_count"})


def response(payload: Any) -> Response:
    """A whole answer, or a stream folded into one; it has no id."""
    asked, said = number(payload, "prompt_eval_count"), number(payload, "eval_count")
    reason = text(payload, "done_reason")
    return Response(
        model=text(payload, "model"),
        finish_reasons=() if reason is None else (reason,),
        usage=None if asked is None and said is None else Usage(input=asked, output=said),
        error="error" if text(payload, "error") else None,
    )


_LAST_WINS = ("model", "done", "done_reason", "prompt_eval_count", "eval_count")


def fold(so_far: Any, chunk: Any) -> Any:
    """Adds one chunk: the last one has the counts."""
    so_far = mapping(so_far) or {"done": False}
    for name in _LAST_WINS:
        if (value := pick(chunk, name)) is not None:
            so_far[name] = value
    return so_far


def finished(payload: Any) -> bool:
    """Whether the model said that it is done; embeddings come whole."""
    return pick(payload, "done") is True


def substance(chunk: Any) -> bool:
    """Whether a chunk carries text, thoughts, a tool call or an image."""
    if any(pick(chunk, "message", name) for name in ("content", "thinking", "tool_calls")):
        return True
    return any(pick(chunk, name) for name in ("response", "thinking", "image"))


def embedding_fold(so_far: Any, chunk: Any) -> Any:
    """Embeddings are not streamed: the first body is the response."""
    return chunk if so_far is None else so_far


def embedded(payload: Any) -> bool:
    """Whether there is a response at all."""
    return payload is not None


def ask(question: Question) -> dict[str, Any]:
    """Keyword arguments of `chat`."""
    system = [{"role": "system", "content": question.system}] if question.system else []
    asked: dict[str, Any] = {"model": question.model, "messages": [*system, *question.messages]}
    if question.stream:
        asked["stream"] = True
    return asked | dict(question.options)


def answer(payload: Any) -> str:
    """The text of an answer or a chunk."""
    return text(payload, "message", "content") or ""


CHAT = Format(
    "ollama_chat",
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
GENERATE = Format(
    "ollama_generate", "text_completion", request, response, fold, finished, substance, content=parts.GENERATE
)
EMBED = Format("ollama_embed", "embeddings", embedding_request, response, embedding_fold, embedded, embedded)
