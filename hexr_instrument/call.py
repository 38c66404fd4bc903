"""The nouns: what was asked, what came back, what it used, who asked; and the tables that say how to read it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, cast

USD = 10**12
"""One US dollar in the unit of every amount in records, sums and the store: 1e-12 USD, an integer."""

LARGEST_COUNT = 1 << 36
"""No request has more tokens; below it, sums of a hundred million calls stay inside SQLite's 64 bits."""

REGISTRATION = "_hexr_caller"
"""The attribute of a client (of its `owner`) that holds the Caller which `hexr_llm(client, ...)` gave it."""


def pick(source: Any, *path: str | int) -> Any:
    """The value at `path` in nested dicts, lists and plain objects, or None where a step is missing."""
    for step in path:
        if type(source) is dict:
            source = mapping(source).get(step)
        elif isinstance(step, str):
            source = getattr(source, step, None)
        else:
            items = sequence(source)
            source = items[step] if -len(items) <= step < len(items) else None
        if source is None:
            return None
    return source


def mapping(source: Any) -> dict[Any, Any]:
    """The dict itself, or an empty one for anything else (a subclass may have side effects: it is not touched)."""
    return source if type(source) is dict else {}  # pyright: ignore[reportUnknownVariableType]


def sequence(source: Any) -> list[Any]:
    """The items of an exact list or tuple, or none for anything else: a generator is not consumed."""
    return list(source) if type(source) is tuple else source if type(source) is list else []  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def number(source: Any, *path: str | int) -> int | None:
    """The whole number at `path`, or None: a provider's "n/a", true, a negative or an absurd count is not a number."""
    value = pick(source, *path)
    if type(value) is float and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value < LARGEST_COUNT else None


def parsed(source: str | bytes) -> Any:
    """What the JSON says, or None where it is none: a body that was read raw may be anything."""
    try:
        return json.loads(source)
    except (ValueError, RecursionError):  # RecursionError: a body of nothing but brackets
        return None


_COUNTS = ("tokens", "count", "requests")
_BREAKDOWNS = ("details", "creation", "iterations", "by_modality", "server_tool_use")


def sound(usage: Any, depth: int = 4) -> bool:
    """Whether each count that a usage object states is one; a bill with one wrong number is no bill."""
    fields: Any = getattr(usage, "__dict__", usage)
    if type(fields) is not dict or depth == 0:
        return False
    for name, value in mapping(cast("Any", fields)).items():
        kind = str(name).lower()
        if value is None or not kind.endswith((*_COUNTS, *_BREAKDOWNS)):
            continue
        if type(value) in (list, tuple):
            if not all(sound(each, depth - 1) for each in sequence(value)):
                return False
        elif kind.endswith(_COUNTS):
            if number(value) is None:
                return False
        elif not sound(value, depth - 1):
            return False
    return True


def text(source: Any, *path: str | int) -> str | None:
    """The non-empty string at `path`, or None; an enum counts as its string value."""
    value = pick(source, *path)
    value = getattr(value, "value", value)
    return value if type(value) is str and value else None


def total(*counts: int | None) -> int | None:
    """The sum of the counts that are known, or None if none is."""
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


@dataclass(slots=True)
class Usage:
    """Billed units of one request; None is unknown, 0 is known to be none.

    `input` includes cached and audio and image tokens, `output` includes reasoning tokens (the OpenTelemetry GenAI
    meaning); every other token field is a subset of one of these two.
    """

    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    """All tokens written to a cache, whatever their lifetime."""
    cache_write_1h: int | None = None
    """The part of `cache_write` that lives for an hour (Anthropic); the rest lives for five minutes."""
    reasoning: int | None = None
    input_audio: int | None = None
    output_audio: int | None = None
    cache_read_audio: int | None = None
    input_image: int | None = None
    output_image: int | None = None
    cache_read_image: int | None = None
    input_video: int | None = None
    output_video: int | None = None
    web_searches: int | None = None
    storage_searches: int | None = None
    """Searches of stored files, where each has a fee."""
    audio_seconds: int | None = None
    """Length of the audio, where it is billed by time; providers count whole seconds."""
    input_characters: int | None = None
    """Length of the text to be spoken, where that is what is billed."""
    images: int | None = None
    """Images made, where they are billed by the piece."""
    video_seconds: int | None = None

    @property
    def total(self) -> int | None:
        """Input plus output tokens, or None if neither is known."""
        return total(self.input, self.output)

    def known(self) -> dict[str, int]:
        """The fields that are known, by name."""
        return {name: value for name in _USAGE_FIELDS if (value := getattr(self, name)) is not None}


_USAGE_FIELDS = tuple(each.name for each in fields(Usage))


@dataclass(frozen=True, slots=True)
class Part:
    """One of the samplings behind a response, where each is billed for itself."""

    model: str | None
    """Its own model; None for the response's, "" for one that nobody names."""
    usage: Usage


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a call; each field is None where nobody said."""

    agent: str | None = None
    role: str | None = None
    tenant: str | None = None
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Request:
    """What is asked of a provider, read from the SDK's own request before it is sent."""

    format: Format
    provider: str
    """Who serves the call, as `gen_ai.provider.name` spells it."""
    model: str | None = None
    tier: str | None = None
    """The tier that was asked for: the one that served, where the response does not say."""
    operation: str = "chat"
    host: str | None = None
    port: int | None = None
    stream: bool = False
    parameters: dict[str, Any] = field(default_factory=dict[str, Any])
    """Sampling parameters by their neutral names (`temperature`, `max_tokens`, ...), never content."""
    billing: str = "call"
    """`call`: this request is what is billed. `fetch`: it fetches a stored response, a span that costs nothing; what
    an earlier call of this process left open is billed with it, once. `quiet`: the same without a span. `job`: no span
    either; it starts or polls work that is billed once, when its usage is known, to whoever started it. `owed`: the
    same for what may show such work (a list, a file of answers) and is not read unless it does."""
    response_id: str | None = None
    """The stored response that is fetched."""
    spends: Usage | None = None
    """Billed units that the request itself states; they count where the response states none."""
    served: str | None = None
    """The model that serves it, where the connection says so and the response does not."""
    lane: str = ""
    """Which of several lanes of one long connection the answer comes on."""
    starts: bool = False
    """Whether it starts the work that is billed later, and does not ask for it or change it."""
    background: bool = False
    """Whether the answer is to be fetched later: the call is recorded when its usage is known."""
    body: Any = None
    """The wire body (or the arguments that become it), only until the call has begun: what content is read from."""


@dataclass(slots=True)
class Response:
    """What came back, read from the wire by a format."""

    id: str | None = None
    model: str | None = None
    finish_reasons: tuple[str, ...] = ()
    usage: Usage | None = None
    service_tier: str | None = None
    parts: tuple[Part, ...] = ()
    """What `usage` is the sum of, where its parts differ in model or in length; empty where it is billed as a whole."""
    grade: tuple[str | None, str | None] = (None, None)
    """Size and quality of images or videos, by which a piece has its price; None where nobody says it."""
    surcharge: int = 0
    """Percent that the provider adds to the price of every token, such as 10 for a place where it must be served."""
    stated_cost: int | None = None
    """What the provider says that the call cost, in 1e-12 USD."""
    stated_total: int | None = None
    """The provider's own total of the tokens; not looked at but to find counts that do not add up to it."""
    extras: dict[str, Any] = field(default_factory=dict[str, Any])
    """Other facts of the response by their neutral names (`system_fingerprint`, ...), never content."""
    error: str | None = None
    """The provider's error code where a response with status 200 says that the request failed."""
    billed: bool = True
    """Whether it costs anything; a batch that was refused does not."""
    lower_bound: bool = False
    """Whether something was billed beside `usage` that it does not count."""
    pending: bool = False
    """Whether the work goes on at the provider, so that its usage comes with a later request."""
    operation: str | None = None
    """The operation, where only the response says it (a batch of embeddings)."""
    output: str | None = None
    """The file that has the answers of completed work, where the usage is known from them alone."""

    def mismatch(self) -> dict[str, int]:
        """`{"stated_total": n}` if the provider's own total is another than input plus output; otherwise nothing."""
        if self.usage is None or self.usage.total is None or self.stated_total in (None, self.usage.total):
            return {}
        return {"stated_total": self.stated_total or 0}


@dataclass(frozen=True, slots=True)
class Question:
    """What the direct call asks, before a format puts it in a provider's words."""

    model: str
    messages: tuple[Mapping[str, Any], ...]
    """`role` and `content`, as most providers spell them; passed on as they are."""
    system: str | None
    stream: bool
    options: Mapping[str, Any]
    """Further keyword arguments of the SDK's method, as the user gave them."""


@dataclass(frozen=True, slots=True)
class Content:
    """How prompts and answers are read, as messages and parts of the conventions; the sources are plain JSON values."""

    asked: Callable[[Any], dict[str, list[Any]]]
    """Request body -> `input` (messages), `system` (parts) and `tools` (definitions)."""
    said: Callable[[Any], list[Any]]
    """Whole payload, or what `fold` made of a stream -> one message for each choice."""
    fold: Callable[[Any, Any], Any]
    """(so far or None, chunk) -> what `said` reads; texts may be lists of pieces."""


@dataclass(frozen=True, slots=True)
class Format:
    """One wire format, as pure functions over plain dicts or the SDK's objects."""

    name: str
    operation: str
    request: Callable[[Any], dict[str, Any]]
    """Wire body -> sampling parameters by neutral names."""
    response: Callable[[Any], Response]
    """Whole payload -> Response."""
    fold: Callable[[Any, Any], Any]
    """(payload so far or None, chunk) -> the payload that the stream would have been."""
    finished: Callable[[Any], bool]
    """Folded payload -> whether the provider said that the response is complete."""
    substance: Callable[[Any], bool]
    """Chunk -> whether it carries output (for the time to first chunk)."""
    usage_request: Callable[[Any], dict[str, Any] | None] | None = None
    """Streamed body -> the same body that also asks for usage; None if it asks already. Only for a wire on which a
    stream carries no usage unless asked."""
    usage_only: Callable[[Any], bool] | None = None
    """Chunk -> whether it is there only because usage was asked for."""
    spends: Callable[[Any], Usage | None] | None = None
    """Body -> the billed units that it states itself."""
    ask: Callable[[Question], dict[str, Any]] | None = None
    """Question -> keyword arguments of the SDK's method, for the direct call."""
    answer: Callable[[Any], str] | None = None
    """Whole payload or chunk -> its text, for the direct call."""
    content: Content | None = None
    """None where the conventions define no content for the operation."""
    works: Callable[[Any], list[tuple[str | None, Any]]] | None = None
    """Payload that lists works -> the id and the payload of each."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a target returned, as far as the record is concerned."""

    payload: Any = None
    """The whole payload, where the result holds it."""
    body: Any = None
    """An open HTTP response whose body has not been read yet: the call goes on until it is closed."""
    chunks: str | None = None
    """The attribute of the result that holds its parsed events, where no `feed` target sees them."""
    late: Callable[[Any], Any] | None = None
    """That response, once closed -> its payload, if the program has read it whole; None if not."""


@dataclass(frozen=True, slots=True)
class Target:
    """One attribute to wrap: where it is and how the engine drives it."""

    name: str
    """Dotted path inside the provider's module, such as `SyncAPIClient.request`."""
    drive: str
    """`call`, `acall`, `stream`, `astream` (the billed request), `feed` (a parsed body or event), `mute` (a span that
    the SDK emits for the same request), `tool` (a run of a tool, sync or async alike), `untraced` (a span that the SDK
    emits for such a run), `role` (a run of an agent by a framework, of any kind of function). Of a long connection (`sessions.py`), sync or async alike: `open` (returns it),
    `connect` (returns a context manager of `contextlib` that enters it), `ask` (sends a message), `receive` (returns a message), `watch` (waits for one), `leave` (closes it).
    Of a program that calls the models itself (`accounts.py`): `order` (sends it a message, awaited), `statements`
    (returns its messages as an asynchronous iterator)."""
    parameters: tuple[str, ...] = ()
    """Names that the signature must have; otherwise the target stays as it is, and its patch says why."""
    optional: bool = False
    """Whether some supported versions of the SDK lack it."""
    instead_of: str = ""
    """The name beside it that is wrapped wherever it exists: then this one is left alone."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Where a message of a long connection belongs."""

    key: str | None
    """Which of the calls under way (or its lane); None is the oldest one that was asked for and not answered."""
    last: bool = False
    """Whether the call ends with it."""
    begins: bool = True
    """Whether it begins a call where none of that key is under way."""
    asked: bool = True
    """Whether a call that it begins may be one that was asked for."""
    state: Any = None
    """What the message says of the connection as a whole, for the requests that are read later; it is no call's. Its
    `model`, if it has one, serves the answers that the program asks for."""


@dataclass(frozen=True, slots=True)
class Direct:
    """How the direct call `hexr_llm(provider=...)` reaches the provider's own SDK."""

    module: str
    client: str
    aclient: str
    """Names in `module` of the sync and the async client class (for one class with both: the path to the twin)."""
    method: str
    """Dotted path from the client to the method, such as `chat.completions.create`."""
    stream_method: str | None
    """Where streaming is a method of its own rather than `stream=True`."""
    format: Format
    keys: tuple[str, ...]
    """Environment variables of which one must hold the key."""
    keyless: str | None
    """An environment variable under which no key is needed."""
    package: str
    """The PyPI distribution that provides `module`."""
    options: Callable[[str | None], dict[str, Any]]
    """Base URL or None -> keyword arguments of the client class."""
    serves: str = ""
    """The provider as `gen_ai.provider.name` spells it, where that is not the table's name."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that an SDK runs because a model called it."""

    name: str
    call_id: str | None = None
    """The model's id of the call."""
    description: str | None = None
    arguments: Any = None
    """As the SDK hands them over; read only where content is asked for."""


@dataclass(frozen=True, slots=True)
class Tools:
    """How an SDK's runs of tools are read."""

    tool: Callable[[Any, tuple[Any, ...], Mapping[str, Any]], Tool | None]
    """(instance, args, kwargs) of a `tool` target -> what is run, or None for what is no run of a tool."""
    result: Callable[[Any], tuple[Any, str | None]]
    """What the target returned -> the tool's result, and `error.type` where the SDK made an answer of its failure."""


@dataclass(frozen=True, slots=True)
class Provider:
    """One SDK as a table: what to patch and how to read its requests."""

    name: str
    module: str
    """The module that defines the targets; importing it triggers the patch."""
    targets: tuple[Target, ...]
    request: Callable[[Any, tuple[Any, ...], Mapping[str, Any], str], Request | None]
    """(instance, args, kwargs, target's name) -> the Request, or None for what is not a billed call."""
    outcome: Callable[[Any], Outcome]
    """What a target returned -> what it means for the record."""
    owner: Callable[[Any], Any]
    """Instance of a target -> the object that carries a registration made by `hexr_llm(client, ...)`."""
    handle: Callable[[Any], Any]
    """Client -> a second client of the same kind on the same transport."""
    clients: tuple[str, ...]
    """Names of the client classes (anywhere in the MRO) that `hexr_llm(client)` accepts."""
    amend: (
        Callable[[tuple[Any, ...], Mapping[str, Any], Request], tuple[tuple[Any, ...], dict[str, Any]] | None] | None
    ) = None
    """(args, kwargs, Request) of a streamed call -> arguments whose copy of the body asks for usage, or None for what
    must stay as it is (asked already, or read raw)."""
    direct: Direct | None = None
    turn: Callable[[Any], Turn | None] | None = None
    """Message received on a long connection -> the call it belongs to, or None. `request` then reads a message that is
    sent (None if it asks for nothing) or the first one received of a call that nobody asked for. Of a program that
    calls the models itself: `last` for a statement of what it has spent, `begins` where it counts anew, or None."""
    told: Callable[[list[Any], Any, str], None] | None = None
    """(messages so far, `{"args", "kwargs"}` of what is sent on a long connection and asks for nothing by itself, the
    target's name): adds what that tells the model, for the content of the next answer's request."""
    role: Callable[[Any], str | None] | None = None
    """Program -> the name of the agent that it runs, for calls without a role."""
    tools: Tools | None = None
    """For a table whose targets run tools."""


@dataclass(frozen=True, slots=True)
class Framework:
    """One agent framework as a table: what it calls the agent that is running now.

    It says so in one or both of two ways: `agent` names the agent that a target runs, for as long as that target runs;
    `running` asks the framework itself at the moment of a provider's call.
    """

    name: str
    module: str
    """The module that defines the targets, or what is asked; importing it triggers the patch."""
    package: str
    """The PyPI distribution of the framework."""
    targets: tuple[Target, ...] = ()
    """Functions and methods that run an agent: sync, async, generators or async generators. Their drive is `role`."""
    agent: Callable[[Any, tuple[Any, ...], Mapping[str, Any], str], str | None] | None = None
    """(instance, args, kwargs, target's name) -> the agent's name before anything is interpolated into it; None for
    what is not an agent of its own."""
    source: str = ""
    """The name in the module of what knows which agent is running: a function or a context variable."""
    running: Callable[[Any], tuple[str | None, object] | None] | None = None
    """What `source` names -> name of the agent that is running in this context, and what tells its run from another
    one's of that name (compared with `==`); None if none is running."""


@dataclass(slots=True)
class Call:
    """One billed request as it is recorded: everything known, independent of sampling."""

    request: Request
    caller: Caller
    trace_id: int
    span_id: int
    parent_id: int | None
    sampled: bool
    start: int
    """Nanoseconds since the epoch."""
    end: int | None = None
    first_chunk: int | None = None
    """Nanoseconds from the start of the request to the first chunk with output; None if not streamed."""
    payload: Any = None
    response: Response | None = None
    error: str | None = None
    status_code: int | None = None
    partial: bool = False
    content: dict[str, Any] | None = None
    """Prompt and answer as `content` reads them; None where nobody asked for them."""
    heard: Any = None
    """The answer's content of a stream so far."""
    cost: int | None = None
    """In 1e-12 USD; None if unknown."""
    cost_status: str = "no_usage"
    cost_source: str | None = None
