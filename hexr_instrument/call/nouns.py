"""A request, what came back, what it used, who asked: and all of it as one call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from .reading import total

if TYPE_CHECKING:
    from .tables import Format

USD = 10**12
"""One US dollar in the unit of every amount in records, sums and the store: 1e-12 USD, an integer."""


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
    search_units: int | None = None
    """Searches that a reranking is billed by, where it is not billed by tokens."""

    @property
    def total(self) -> int | None:
        """Input plus output tokens, or None if neither is known."""
        return total(self.input, self.output)

    def counts(self) -> tuple[int | None, ...]:
        """All fields, in their order; spelt out, which takes a third of what asking for each by name does."""
        return (
            *(self.input, self.output, self.cache_read, self.cache_write, self.cache_write_1h, self.reasoning),
            *(self.input_audio, self.output_audio, self.cache_read_audio),
            *(self.input_image, self.output_image, self.cache_read_image, self.input_video, self.output_video),
            *(self.web_searches, self.storage_searches, self.audio_seconds, self.input_characters),
            *(self.images, self.video_seconds, self.search_units),
        )

    def known(self) -> dict[str, int]:
        """The fields that are known, by name."""
        return {name: count for name, count in zip(UNITS, self.counts(), strict=True) if count is not None}


UNITS = tuple(each.name for each in fields(Usage))
"""The fields of `Usage`, in their order."""


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
    gateway: bool = False
    """Whether other SDKs may make this very request: what they would record of it is recorded here."""
    background: bool = False
    """Whether the answer is to be fetched later: the call is recorded when its usage is known."""
    body: Any = None
    """The wire body (or the arguments that become it, or a function that makes it where content is asked for), only
    until the call has begun: what content is read from."""
    chunk: Callable[[Any], Any] | None = None
    """What a stream hands to the program -> the chunk of the format, where they differ."""


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
        if self.stated_total is None or self.usage is None or self.usage.total in (None, self.stated_total):
            return {}
        return {"stated_total": self.stated_total}


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
