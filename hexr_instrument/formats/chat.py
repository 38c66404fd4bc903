"""OpenAI chat completions, which a dozen other hosts speak too."""

from __future__ import annotations

from typing import Any

from ..call import DICT, LIST, Format, Question, Response, Usage, getter, mapping, number, pick, sequence, sound, text
from ._json import numbers, stated_cost, strings, texts
from .parts import chat as parts

_PARAMETERS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "max_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "seed": "seed",
    "n": "choice_count",
}
_TEXTS = {"reasoning_effort": "reasoning_level", "service_tier": "service_tier"}
OUTPUT_TYPES = {"json_object": "json", "json_schema": "json", "text": "text"}


def request(body: Any) -> dict[str, Any]:
    """Sampling parameters of a chat completions body."""
    found = numbers(body, _PARAMETERS) | texts(body, _TEXTS)
    get = getter(body)
    if stop := strings(get("stop")):
        found["stop_sequences"] = stop
    if found.get("choice_count") == 1:
        del found["choice_count"]
    if (shape := get("response_format")) is not None and (output := OUTPUT_TYPES.get(text(shape, "type") or "")):
        found["output_type"] = output
    return found


def usage(source: Any) -> Usage | None:
    """A chat completions `usage` object; cached tokens are a subset of the prompt's."""
    get = getter(source)
    asked = number(get("prompt_tokens"))
    if asked is None or not sound(source):
        return None
    said, whole = number(get("completion_tokens")), number(get("total_tokens"))
    if said is not None and whole is not None and whole > asked + said:
        said = whole - asked  # xAI and Gemini leave reasoning out of `completion_tokens`, but not out of the total
    found = Usage(input=asked, output=said)
    if (details := get("prompt_tokens_details")) is not None:
        prompt = getter(details)
        found.cache_read = number(prompt("cached_tokens"))
        found.cache_write = number(prompt("cache_write_tokens"))
        found.input_audio = number(prompt("audio_tokens"))
        found.input_image = number(prompt("image_tokens"))
    if (details := get("completion_tokens_details")) is not None:
        completion = getter(details)
        found.reasoning = number(completion("reasoning_tokens"))
        found.output_audio = number(completion("audio_tokens"))
    for name in ("prompt_cache_hit_tokens", "cached_tokens"):  # DeepSeek and Moonshot state them beside the others
        if found.cache_read is None and (cached := get(name)) is not None:
            found.cache_read = number(cached)
    return found


def response(payload: Any) -> Response:
    """A whole chat completion, or a stream folded into one."""
    get = getter(payload)
    reasons = [text(getter(each)("finish_reason")) or "error" for each in sequence(get("choices"))]
    spent, fingerprint = get("usage"), text(get("system_fingerprint"))
    return Response(
        id=text(get("id")),
        model=text(get("model")),
        finish_reasons=tuple(reasons),
        usage=usage(spent),
        service_tier=text(get("service_tier")),
        stated_cost=stated_cost(spent),
        stated_total=number(getter(spent)("total_tokens")),
        extras={} if fingerprint is None else {"system_fingerprint": fingerprint},
    )


_LAST_WINS = ("id", "model", "usage", "service_tier", "system_fingerprint")


def fold(so_far: Any, chunk: Any) -> Any:
    """Adds one chunk: the last value of each field that says something wins, finish reasons are kept per choice."""
    if so_far is None:
        so_far = {"choices": []}
    elif type(chunk) is DICT:
        # Nearly all chunks are but one more piece of the text: there is nothing in them to fold.
        pieces = chunk.get("choices")
        if type(pieces) is LIST and len(pieces) == 1 and not chunk.get("usage") and "id" in so_far:
            piece = pieces[0]
            said = type(piece) is not DICT or piece.get("finish_reason") or "usage" in piece
            if not said and piece.get("index") == 0 and so_far["choices"]:
                return so_far
    get = getter(chunk)
    for name in _LAST_WINS:
        if value := get(name):  # Azure's last chunks have the id "" and the model ""
            so_far[name] = value
    if spent := pick(get("x_groq"), "usage"):  # Groq's streams have it under a name of their own
        so_far["usage"] = spent
    for place, choice in enumerate(sequence(get("choices"))):
        get = getter(choice)
        index = number(get("index"))
        if index is None:  # some hosts with one choice leave it out
            index = place
        if index > 1024:
            continue
        while len(so_far["choices"]) <= index:
            so_far["choices"].append({})
        if (reason := text(get("finish_reason"))) is not None:
            so_far["choices"][index]["finish_reason"] = reason
        if spent := get("usage"):  # Moonshot's streams have it in the choice
            so_far.setdefault("usage", spent)
    return so_far


def finished(payload: Any) -> bool:
    """Whether every choice has its finish reason."""
    choices = sequence(pick(payload, "choices"))
    return bool(choices) and all(text(each, "finish_reason") for each in choices)


def substance(chunk: Any) -> bool:
    """Whether a chunk carries text, a tool call, a refusal or audio."""
    get = getter(pick(chunk, "choices", 0, "delta"))
    return bool(get("content") or get("tool_calls") or get("refusal") or get("audio") or get("reasoning_content"))


def usage_request(body: Any) -> dict[str, Any] | None:
    """The body with `stream_options.include_usage`, unless it says something about that itself."""
    options = pick(body, "stream_options")
    if options is not None and (type(options) is not dict or "include_usage" in options):
        return None
    return {**body, "stream_options": {**mapping(options), "include_usage": True}}


def usage_only(chunk: Any) -> bool:
    """Whether a chunk has usage and no choice: the one that OpenAI adds at the end where usage was asked for."""
    get = getter(chunk)
    return get("choices") == [] and get("usage") is not None


def ask(question: Question) -> dict[str, Any]:
    """Keyword arguments of `chat.completions.create`."""
    system = [{"role": "system", "content": question.system}] if question.system else []
    asked: dict[str, Any] = {"model": question.model, "messages": [*system, *question.messages]}
    if question.stream:
        asked |= {"stream": True, "stream_options": {"include_usage": True}}
    return asked | dict(question.options)


def ask_plainly(question: Question) -> dict[str, Any]:
    """The same for a host whose streams have usage without being asked."""
    return {name: value for name, value in ask(question).items() if name != "stream_options"}


def answer(payload: Any) -> str:
    """The text of a completion's or a chunk's first choice."""
    return text(payload, "choices", 0, "message", "content") or text(payload, "choices", 0, "delta", "content") or ""


CHAT = Format(
    "chat_completions",
    "chat",
    request,
    response,
    fold,
    finished,
    substance,
    usage_request=usage_request,
    usage_only=usage_only,
    ask=ask,
    answer=answer,
    content=parts.CHAT,
)
