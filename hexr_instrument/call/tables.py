"""The tables that say what to patch and how to read it: wire formats, SDKs, agent frameworks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .nouns import Request, Response, Usage

REGISTRATION = "_hexr_caller"
"""The attribute of a client (of its `owner`) that holds the Caller which `hexr_llm(client, ...)` gave it."""


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
    plain: Callable[[Any], Any] | None = None
    """Whole payload or chunk -> what the other functions read, where the SDK's objects hold it another way."""
    content: Content | None = None
    """None where the conventions define no content for the operation."""
    works: Callable[[Any], list[tuple[str | None, Any]]] | None = None
    """Payload that lists works -> the id and the payload of each."""
    failed: Callable[[Any], tuple[str | None, int | None]] | None = None
    """Exception -> the provider's code and the HTTP status, where the SDK's exception has them in places of its own."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a target returned, as far as the record is concerned."""

    payload: Any = None
    """The whole payload, where the result holds it."""
    body: Any = None
    """An open HTTP response whose body has not been read yet: the call goes on until it is closed."""
    chunks: str | None = None
    """The attribute of the result that holds its parsed events, where no `feed` target sees them."""
    steps: Any = None
    """A stream whose class has `step` targets, if the result is one: the call goes on until it has been read."""
    kept: str | None = None
    """The attribute of such a stream that is the list of its chunks so far, where they say more than what it returns."""
    late: Callable[[Any], Any] | None = None
    """That response, once closed -> its payload, if the program has read it whole; None if not."""
    read: Any = None
    """What the program reads the bytes of `body` from, by methods named `read...`; `late` then takes all of them, and
    `payload` is what is known before."""
    length: int | None = None
    """How many bytes these are, where that is known."""
    stream: Any = None
    """The stream with the `chunks`, where it is not the result but a part of it."""
    parser: str | None = None
    """The attribute of that stream whose `parse` makes its events; then they are fed from there."""


@dataclass(frozen=True, slots=True)
class Target:
    """One attribute to wrap: where it is and how the engine drives it."""

    name: str
    """Dotted path inside the provider's module, such as `SyncAPIClient.request`."""
    drive: str
    """`call`, `acall`, `stream`, `astream` (the billed request), `reply` (it is whole or, with `stream=True`, a generator
    that sends nothing before its first chunk is asked for; sync or async alike), `flow` (the same, but sent at once: an
    iterator), `late` (an asynchronous generator
    function, or a coroutine function that returns such a generator: the same), `enter` (a context manager of
    `contextlib`, sync or async alike, that sends the request when it is entered), `feed` (a parsed body or event), `step`,
    `astep` (a stream's own `__next__`), `shut`, `ashut` (its `close`), `mute`
    (a span that the SDK emits for the same request), `idle` (a function that starts such a span, whose first two
    `parameters` are its switch and its tracer), `unspan` (starts such a span as the current one), `tool` (a run of a tool, sync or async alike), `untraced` (a span that the SDK
    emits for such a run), `role` (a run of an agent by a framework, of any kind of function). Of a long connection (`sessions.py`), sync or async alike: `open` (returns it),
    `connect` (returns a context manager of `contextlib` that enters it), `ask` (sends a message), `receive` (returns a message), `watch` (waits for one), `leave` (closes it).
    Of a program that calls the models itself (`accounts.py`): `order` (sends it a message, awaited), `statements`
    (returns its messages as an asynchronous iterator)."""
    parameters: tuple[str, ...] = ()
    """Names that the signature must have; otherwise the target stays as it is, and its patch says why."""
    optional: bool = False
    """Whether some supported versions of the SDK lack it."""
    within: str = ""
    """The variable of that function's closure that is wrapped instead: what a decorator stands in front of, once for
    each attempt, and for whoever has imported the function long before."""
    instead_of: str = ""
    """The name beside it that is wrapped wherever it exists: then this one is left alone."""
    only: str = ""
    """The name of the one class whose instances make calls, of a method that many other classes share."""


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
    """Names in `module` of the sync and the async client class (for one class with both: the path to the twin; behind a
    colon where its module is another one; empty where the methods are functions of the module)."""
    method: str
    """Dotted path from the client to the method, such as `chat.completions.create`."""
    stream_method: str | None
    """Where streaming is a method of its own rather than `stream=True`."""
    format: Format
    keys: tuple[str, ...]
    """Environment variables of which one must hold the key; none where it needs no key."""
    keyless: str | None
    """An environment variable under which no key is needed."""
    package: str
    """The PyPI distribution that provides `module`."""
    options: Callable[[str | None], dict[str, Any]]
    """Base URL or None -> keyword arguments of the client class."""
    key: Callable[[str], dict[str, Any]] = lambda key: {"api_key": key}
    """The key that the call was given -> keyword arguments of the client class."""
    amethod: str | None = None
    astream_method: str | None = None
    """The asynchronous twins, where they have names of their own."""
    served: str | None = None
    """Who serves it, as `gen_ai.provider.name` spells it, where that is not the name of the table."""
    stream_part: str | None = None
    """The key of the result under which the stream is, where the result is not the stream."""
    threads: bool = False
    """Whether the SDK has no asynchronous client: its method and its stream then wait in a thread."""
    endpoint: str | None = None
    """The variable that its users keep the base URL in, where the SDK itself reads neither this one nor the key's."""
    reach: Callable[..., Any] | None = None
    """(client, **arguments) -> what the SDK returns, where it takes messages as objects of its own alone."""
    read: Callable[[Any], Any] | None = None
    """What it has returned, or one chunk of it -> what the format reads, where that is something else."""
    serves: Callable[[Mapping[str, Any]], str | None] | None = None
    """Arguments -> who serves it, where these say it."""


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
    """Names of the client classes (anywhere in the MRO) that `hexr_llm(client)` accepts; with their modules where these
    are not near the targets'."""
    amend: (
        Callable[[tuple[Any, ...], Mapping[str, Any], Request], tuple[tuple[Any, ...], dict[str, Any]] | None] | None
    ) = None
    """(args, kwargs, Request) of a streamed call -> arguments whose copy of the body asks for usage, or None for what
    must stay as it is (asked already, or read raw)."""
    direct: Direct | None = None
    package: str | None = None
    """The PyPI distribution, where no `direct` of the SDK says it and it is not called as its module's first name."""
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
