"""What the provider wires share: the scripted reply, the derived answer, and the rule for its tokens.

The rule, where a reply does not state its own usage: **ten tokens for every word**.
- Input: each word of instructions and messages; 100 for an image or file; 50 for a tool; at least 10.
- Output: each word of the answer; 50 for a tool call; 100 for reasoning; all of it once per choice.
- Reasoning: where the request asks for it or the model always reasons, unless the request forbids it.
- Cached: the whole hundreds of the input before the last message, if they reach 1000 (as with real caches).
- A limit on output tokens cuts the answer and its count (`length`, `max_tokens`, `incomplete`).
So a request of 15 words and an answer of 40 are 150 and 400 tokens, and their costs are short decimals.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ..call import pick

JSON = dict[str, Any]
NO_USAGE: Mapping[str, Any] = {}
"""`Reply(usage=NO_USAGE)`: the answer carries no usage at all."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One scripted answer; whatever is left out is derived from the request."""

    text: str | None = None
    tool_calls: Sequence[tuple[str, Mapping[str, Any]]] = ()
    """Names and arguments of the tools that the model calls."""
    usage: Mapping[str, Any] | None = None
    """The usage as this provider spells it, sent as it is; an empty one (`NO_USAGE`) sends none."""
    model: str | None = None
    """The model that served the call."""
    finish: str | None = None
    """The finish reason as this provider spells it."""
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Further top-level fields of the answer (and of each chat chunk), such as `service_tier`."""
    status: int = 200
    """An error status is answered with the body that this provider sends for it."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    delay: float = 0.0
    """Seconds before the first byte."""
    pause: float = 0.0
    """Seconds before each event of a stream."""
    gate: threading.Event | None = None
    """Waited for before event number `gate_after` of a stream, or before a whole answer."""
    gate_after: int = 0
    cut_after: int | None = None
    """The connection is closed after this many events of a stream, or bytes of a whole answer."""
    error_after: int | None = None
    """This many events of a stream are followed by this provider's error event, and no more."""
    chunks: Sequence[bytes | str | Mapping[str, Any]] | None = None
    """The events of the stream instead: objects and strings are framed, bytes are sent as they are."""
    body: bytes | str | Mapping[str, Any] | None = None
    """The whole answer instead."""

    @property
    def raw(self) -> bool:
        """Whether the reply says literally what is sent."""
        return self.body is not None or self.chunks is not None


@dataclass(frozen=True, slots=True)
class Ask:
    """One request as a wire sees it."""

    path: str
    route: str
    body: JSON
    headers: Mapping[str, str]
    model: str
    """As requested."""
    served: str
    number: int
    """Counts the requests of this server; ids are made of it."""
    now: int

    @property
    def stream(self) -> bool:
        """Whether the answer is a stream."""
        return self.body.get("stream") is True or self.route.startswith(":stream") or self.route.endswith("-stream")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a wire answers: a whole body, or the events of a stream."""

    body: Any = None
    events: Sequence[Mapping[str, Any] | str | bytes] | None = None
    usage: Mapping[str, Any] | None = None
    """As sent; None where the answer carries none."""
    usage_event: int = 0
    """The event that carries the final usage."""
    failure: Callable[[int], Sequence[Mapping[str, Any] | str]] | None = None
    """The error events that end the stream after that many events."""
    billed: bool = True
    stored: JSON | None = None
    """What a later GET of its `id` returns."""
    stages: Sequence[JSON] = ()
    """What later GETs of it return, one after the other; the last one stays, and is billed when it is first sent."""
    kind: str = "application/json"
    """The content type."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """Beside those of the wire."""


@dataclass(frozen=True, slots=True)
class Wire:
    """One provider's protocol."""

    frame: Callable[[Mapping[str, Any] | str], bytes]
    """One event of a stream, framed."""
    error: Callable[[int, Ask], JSON]
    """The body that goes with an error status."""
    headers: Callable[[int, int], dict[str, str]]
    """(status, number of the request) -> headers."""
    routes: Mapping[str, Callable[[Ask, Reply], Answer]]
    """End of the path -> how it is answered; the first that fits."""
    stream_type: str = "text/event-stream; charset=utf-8"
    """The content type of a stream."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a request asks for, in neutral terms."""

    turns: Sequence[Any]
    """Instructions and messages in order, as they are on the wire."""
    tools: Sequence[tuple[str, Any]] = ()
    """Callable tools: name and JSON schema of the arguments; none once a result is among the turns."""
    declared: int = 0
    """How many tools the request declares."""
    schema: Any = None
    """The JSON schema that the answer must follow, or None."""
    choices: int = 1
    limit: int | None = None
    """Most output tokens of one choice."""
    thinks: bool = False


@dataclass(frozen=True, slots=True)
class Tokens:
    """What an answer costs, in neutral terms; `output` includes `reasoning`, `input` includes `cached`."""

    input: int
    output: int
    cached: int = 0
    reasoning: int = 0

    @property
    def total(self) -> int:
        """Input and output."""
        return self.input + self.output


@dataclass(frozen=True, slots=True)
class Output:
    """What the model says."""

    text: str
    calls: Sequence[tuple[str, Mapping[str, Any]]]
    stop: Literal["stop", "length", "tools"]
    tokens: Tokens


def compose(prompt: Prompt, reply: Reply) -> Output:
    """The model's answer to `prompt` where `reply` does not give it, and its tokens by the rule."""
    calls = reply.tool_calls
    if not calls and reply.text is None and prompt.tools:
        name, schema = prompt.tools[0]
        calls = ((name, example(schema)),)
    text = "" if calls and reply.text is None else _text(prompt, reply)
    sizes = [count(turn) for turn in prompt.turns]
    before_last = sum(sizes[:-1]) + 50 * prompt.declared
    reasoning = 100 if prompt.thinks else 0
    said = 50 * len(calls) + 10 * len(text.split())
    stop = "tools" if calls else "stop"
    if prompt.limit is not None and not calls and said + reasoning > prompt.limit:
        stop = "length"
        reasoning = min(reasoning, prompt.limit)
        said = prompt.limit - reasoning
        text = text[: len(text) * said // max(10, 10 * len(text.split()))].rstrip()
    tokens = Tokens(
        input=max(10, before_last + sum(sizes[-1:])),
        output=(said + reasoning) * prompt.choices,
        cached=before_last // 100 * 100 if before_last >= 1000 else 0,
        reasoning=reasoning * prompt.choices,
    )
    return Output(text, calls, stop, tokens)


def _text(prompt: Prompt, reply: Reply) -> str:
    if reply.text is not None:
        return reply.text
    if prompt.schema is not None:
        return json.dumps(example(prompt.schema))
    seed = int.from_bytes(hashlib.sha256(" ".join(prose(prompt.turns)).encode()).digest()[:4], "big")
    sentences = (_SENTENCES[(seed + 5 * at) % len(_SENTENCES)] for at in range(3 + seed % 4))
    return " ".join(sentences)


_SENTENCES = (
    "Start with the smallest version that works.",
    "Measure first, then change one thing at a time.",
    "Most of the cost comes from a few long prompts.",
    "A clear owner matters more than a clever tool.",
    "Write down what you expect before you look.",
    "What is visible every day gets better every week.",
    "The second attempt is usually half as long.",
    "Ask who pays, and the design becomes simpler.",
    "Good defaults save more than good intentions.",
    "Keep what is used, and remove the rest.",
    "Fast feedback beats a perfect plan.",
    "Plain words travel further.",
)
"""What the model says where nobody scripted it: three to six of these, chosen by the request."""


# ---- Reading a request ------------------------------------------------------------------------------------

_NOT_PROSE = frozenset(
    (  # noqa: SIM905  (thirty lines otherwise)
        "type role id name status url data signature image_url file_id file_data filename detail format source "
        "inlineData inline_data fileData mimeType mime_type cache_control tool_call_id tool_use_id call_id "
        "encrypted_content thoughtSignature thought_signature model metadata taskType"
    ).split()
)
_MEDIA = frozenset({"image", "image_url", "input_image", "document", "file", "input_file", "input_audio"})


def prose(value: Any) -> list[str]:
    """Every text in `value`, in order; identifiers, addresses and binary data are not text."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list | tuple):
        return [text for each in _items(value) for text in prose(each)]
    if isinstance(value, dict):
        return [text for key, each in _pairs(value) if key not in _NOT_PROSE for text in prose(each)]
    return []


def count(value: Any) -> int:
    """The tokens of `value` by the rule; a bare number is a token that the caller has encoded itself."""
    if isinstance(value, str):
        return 10 * len(value.split())
    if isinstance(value, list | tuple):
        return sum(1 if type(each) is int else count(each) for each in _items(value))
    if isinstance(value, dict):
        media = pick(value, "type") in _MEDIA or "inlineData" in value or "fileData" in value
        return 100 * media + sum(count(each) for key, each in _pairs(value) if key not in _NOT_PROSE)
    return 0


def _items(value: Any) -> list[Any]:
    return list(value)


def _pairs(value: Any) -> list[tuple[str, Any]]:
    return list(value.items())


def items(source: Any, *path: str | int) -> list[Any]:
    """The list at `path`, or an empty one."""
    found = pick(source, *path)
    return _items(found) if isinstance(found, list) else []


def holds(value: Any, key: str, wanted: Any = None) -> bool:
    """Whether `key` (with the value `wanted`, if given) is anywhere in `value`."""
    if isinstance(value, list):
        return any(holds(each, key, wanted) for each in _items(value))
    if isinstance(value, dict):
        pairs = _pairs(value)
        return any((k == key and wanted in (None, v)) or holds(v, key, wanted) for k, v in pairs)
    return False


def always_reasons(model: str) -> bool:
    """Whether models of this name reason without being asked."""
    return re.match(r"(.*/)?(o\d|gpt-[5-9]|gemini-(2\.5|[3-9]))", model) is not None


# ---- Writing an answer ------------------------------------------------------------------------------------

ANY_OBJECT: JSON = {"properties": {"answer": {"type": "string"}}}
"""The schema of an answer that must be JSON, whatever it says."""


def example(schema: Any, root: Any = None) -> Any:
    """The simplest value that a JSON schema (or a Gemini schema with upper-case types) allows."""
    root = schema if root is None else root
    if isinstance(reference := pick(schema, "$ref"), str):
        return example(pick(root, *reference.removeprefix("#/").split("/")), root)
    for name in ("anyOf", "oneOf", "allOf", "any_of"):
        if options := items(schema, name):
            return example(options[0], root)
    if isinstance(schema, dict) and "const" in schema:
        return pick(schema, "const")
    if options := items(schema, "enum"):
        return options[0]
    kinds = pick(schema, "type") or ("object" if pick(schema, "properties") else "string")
    kind = str(kinds if isinstance(kinds, str) else _items(kinds)[0]).lower()
    if kind == "object":
        properties = pick(schema, "properties")
        return {name: example(each, root) for name, each in _pairs(properties or {})}
    if kind == "array":
        return [example(pick(schema, "items"), root)] * max(1, int(pick(schema, "minItems") or 1))
    if kind in {"integer", "number"}:
        return int(pick(schema, "minimum") or 1)
    if kind == "string":
        formats = {"date": "2026-01-31", "date-time": "2026-01-31T12:00:00Z", "uri": "https://example.com"}
        return formats.get(str(pick(schema, "format")), "example")
    return True if kind == "boolean" else None


def pieces(text: str, size: int = 24) -> list[str]:
    """`text` as a stream brings it."""
    return [text[at : at + size] for at in range(0, len(text), size)]


def compact(value: Any) -> str:
    """JSON as providers send it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def frame_data(event: Mapping[str, Any] | str) -> bytes:
    """A server-sent event with nothing but data."""
    return f"data: {event if isinstance(event, str) else compact(event)}\n\n".encode()


def frame_typed(event: Mapping[str, Any] | str) -> bytes:
    """A server-sent event named after the `type` of its data."""
    if isinstance(event, str):
        return frame_data(event)
    return f"event: {event.get('type')}\ndata: {compact(event)}\n\n".encode()
