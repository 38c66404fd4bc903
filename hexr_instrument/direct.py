"""The direct call: one question to a provider's own SDK, and its answer with usage and cost."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import os
import time
import weakref
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any

from . import pricing
from .call import USD, Direct, Provider, Question, Response, Usage
from .config import any_set, is_true, snapshot, value_of
from .context import LIMIT, Change, Entered
from .guard import guarded
from .providers import PROVIDERS
from .providers.hosts import provider_of

_BY_NAME = {provider.name: provider for provider in PROVIDERS if provider.direct is not None}
_ENVIRONMENTS = ("OPENAI_", "ANTHROPIC_", "GOOGLE_", "GEMINI_", "AZURE_", "AWS_", "OLLAMA_", "XAI_", "REPLICATE_", "MISTRAL_", "CO_",
                 "COHERE_", "VOYAGE_", "AI21_")  # fmt: skip


class HexrError(RuntimeError):
    """What was asked for cannot be done; the message names the thing and the mend."""


@dataclass(frozen=True, slots=True)
class LLMResponse:
    """One answer; `str()` of it is its text."""

    text: str
    model: str
    """As served, where the provider says so; else as asked."""
    provider: str
    usage: Usage | None
    """None where the provider sent none."""
    cost_usd: float | None
    """USD; None where the price or the usage is unknown, never 0 for unknown."""
    duration_ms: float
    raw: Any
    """The SDK's own response; for a stream, the list of its chunks."""

    def __str__(self) -> str:
        """The text."""
        return self.text


class Asked:
    """A direct call that is ready to be made: the SDK's method, its arguments, and how to read the answer."""

    def __init__(
        self,
        provider: str,
        model: str,
        messages: Sequence[Mapping[str, Any]],
        system: str | None,
        base_url: str | None,
        api_key: str | None,
        change: Change,
        options: Mapping[str, Any],
        *,
        stream: bool,
        twin: bool,
    ) -> None:
        self.change = change
        self.model = model
        self.table, direct = _direct(provider, base_url)
        self.provider = provider
        self.wire = direct.format
        self.stream = stream
        client = _client(self.table, direct, base_url, api_key, twin=twin)
        self.method: Any = client if direct.reach is None else partial(direct.reach, client)
        for step in () if direct.reach is not None else _path(direct, stream=stream, twin=twin).split("."):
            self.method = getattr(self.method, step)
        if twin and direct.threads:
            self.method = partial(asyncio.to_thread, self.method)
        if self.wire.ask is None:
            raise HexrError(f"provider {provider!r} has no direct call")
        self.arguments = self.wire.ask(Question(model, tuple(messages), system, stream, options))
        if not direct.client:
            self.arguments |= direct.options(base_url) | ({} if api_key is None else direct.key(api_key))
        self.clock = time.perf_counter_ns()
        said = None if direct.serves is None else guarded(direct.serves, self.arguments)
        self.served_by = said or guarded(_served_by, client, self.table) or provider

    def response(self, payload: Any, text: str, raw: Any) -> LLMResponse:
        """The answer with its usage and cost."""
        read = guarded(self.wire.response, payload) or Response()
        priced = guarded(pricing.of_response, read, self.served_by, self.model, time.time_ns())
        cost = priced[0] if priced else None
        return LLMResponse(
            text=text,
            model=read.model or self.model,
            provider=self.served_by,
            usage=read.usage,
            cost_usd=None if cost is None else cost / USD,
            duration_ms=(time.perf_counter_ns() - self.clock) / 1e6,
            raw=raw,
        )

    def chunks(self, raw: Any) -> Any:
        """The stream in what the method returned."""
        direct = self.table.direct
        return raw[direct.stream_part] if direct is not None and direct.stream_part is not None else raw

    def read(self, returned: Any) -> Any:
        """What the SDK has returned, or a chunk of it, as the format reads it."""
        read = None if self.table.direct is None else self.table.direct.read
        return returned if read is None else guarded(read, returned)

    def text(self, payload: Any) -> str:
        """The text of a payload or a chunk."""
        return (guarded(self.wire.answer, payload) if self.wire.answer is not None else None) or ""


def _direct(provider: str, base_url: str | None) -> tuple[Provider, Direct]:
    table = _BY_NAME.get(provider) or (_BY_NAME["openai"] if base_url else None)
    if table is None or table.direct is None:
        known = ", ".join(sorted(_BY_NAME))
        raise HexrError(
            f"unknown provider {provider!r}: use one of {known}, or give base_url= for an OpenAI-compatible endpoint"
        )
    return table, table.direct


def _path(direct: Direct, *, stream: bool, twin: bool) -> str:
    """The dotted path from the client to the method."""
    whole, streamed = direct.method, direct.stream_method
    if twin:
        whole, streamed = direct.amethod or whole, direct.astream_method or streamed
    return streamed if stream and streamed else whole


def _served_by(client: Any, table: Provider) -> str:
    if hasattr(client, "_api_client"):  # Google's
        return "gcp.vertex_ai" if client._api_client.vertexai else "gcp.gemini"
    url = getattr(client, "_base_url", None)
    name = table.name if table.direct is None else table.direct.served or table.name
    return provider_of(getattr(url, "host", None), getattr(url, "port", None), name)


_clients: dict[Any, Any] = {}
_loop_clients: weakref.WeakKeyDictionary[Any, dict[Any, Any]] = weakref.WeakKeyDictionary()


def _client(table: Provider, direct: Direct, base_url: str | None, api_key: str | None, *, twin: bool) -> Any:
    """The SDK's client, kept for the next call with the same settings (and, if async, in the same event loop)."""
    try:
        module = importlib.import_module(direct.module)
    except ModuleNotFoundError as error:
        if error.name and direct.module.startswith(error.name):
            raise HexrError(
                f"the SDK of provider {table.name!r} is not installed: pip install {direct.package}"
            ) from None
        raise
    key = api_key
    if direct.endpoint is not None:
        key = key or next((said for name in direct.keys if (said := value_of(name))), None)
        base_url = base_url or value_of(direct.endpoint)
        if base_url is None:
            raise HexrError(f"no endpoint for provider {table.name!r}: set {direct.endpoint}, or pass base_url=")
    if not direct.client:
        return module
    if key is None and direct.keys and not any_set(*direct.keys) and not (direct.keyless and is_true(direct.keyless)):
        if base_url is None:
            raise HexrError(f"no key for provider {table.name!r}: set {direct.keys[0]}, or pass api_key=")
        key = "none"  # a local endpoint takes any key, but the SDK insists on one
    cache = _loop_clients.setdefault(asyncio.get_running_loop(), {}) if twin else _clients
    name = (
        table.name,
        base_url,
        key,
        os.getpid(),
        snapshot(*_ENVIRONMENTS, *(each.partition("_")[0] for each in direct.keys)),
    )
    if name not in cache:
        where, _, named = (direct.aclient if twin else direct.client).rpartition(":")
        kind, _, inner = named.partition(".")
        module = importlib.import_module(where) if where else module
        options = direct.options(base_url)
        if not hasattr(module, kind):  # an older major, which has it at its root
            module = importlib.import_module(direct.module.partition(".")[0])
        client = getattr(module, kind)(**options, **({} if key is None else direct.key(key)))
        cache[name] = client if not inner else _Twin(client, getattr(client, inner))
    return cache[name]


class _Twin:
    """An SDK's asynchronous side together with the client that owns its transport."""

    def __init__(self, whole: Any, side: Any) -> None:
        self._whole = whole
        self._side = side

    def __getattr__(self, name: str) -> Any:
        return getattr(self._side, name)


class LLMStream(Iterator[str]):
    """Text pieces as they come; after the last one, `response` is the whole answer with its usage and cost."""

    def __init__(self, asked: Asked, chunks: Any) -> None:
        """Takes the SDK's stream."""
        self._asked = asked
        self._chunks = asked.chunks(chunks)
        self._iterator = iter(self._chunks)
        self._folded = _Folded(asked)
        self.response: LLMResponse | None = None
        """None until the stream has ended."""

    def __next__(self) -> str:
        """The next piece of text."""
        while True:
            try:
                with Entered(self._asked.change):
                    chunk = next(self._iterator)
            except StopIteration:
                self.response = self._folded.response()
                raise
            if piece := self._folded.take(chunk):
                return piece

    def close(self) -> None:
        """Closes the SDK's stream; what has come is in `response`."""
        _shut(self._chunks, "close")
        self.response = self.response or self._folded.response()

    def __enter__(self) -> LLMStream:
        """The stream itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Closes the stream."""
        self.close()


class AsyncLLMStream(AsyncIterator[str]):
    """The asynchronous twin of `LLMStream`."""

    def __init__(self, asked: Asked, chunks: Any) -> None:
        """Takes the SDK's stream."""
        self._asked = asked
        found = asked.chunks(chunks)
        self._chunks: Any = found if hasattr(found, "__aiter__") else _Threaded(found)
        self._iterator = aiter(self._chunks)
        self._folded = _Folded(asked)
        self.response: LLMResponse | None = None
        """None until the stream has ended."""

    async def __anext__(self) -> str:
        """The next piece of text."""
        while True:
            try:
                with Entered(self._asked.change):
                    chunk = await anext(self._iterator)
            except StopAsyncIteration:
                self.response = self._folded.response()
                raise
            if piece := self._folded.take(chunk):
                return piece

    async def aclose(self) -> None:
        """Closes the SDK's stream; what has come is in `response`."""
        shut = _shut(self._chunks, "aclose", "close")
        if inspect.isawaitable(shut):
            await shut
        self.response = self.response or self._folded.response()

    async def __aenter__(self) -> AsyncLLMStream:
        """The stream itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        """Closes the stream."""
        await self.aclose()


def _shut(stream: Any, *names: str) -> Any:
    """Closes a stream by the first of these methods that it has, or LiteLLM's by that of the stream inside of it."""
    for whole in (stream, getattr(stream, "completion_stream", None)):
        for name in names:
            if callable(method := getattr(whole, name, None)):
                return method()
    return None


class _Threaded(AsyncIterator[Any]):
    """The stream of an SDK that has no asynchronous client: each chunk is waited for in a thread."""

    def __init__(self, chunks: Any) -> None:
        self._chunks = chunks
        self._iterator = iter(chunks)

    async def __anext__(self) -> Any:
        chunk = await asyncio.to_thread(next, self._iterator, self)
        if chunk is self:
            raise StopAsyncIteration
        return chunk

    async def aclose(self) -> None:
        await asyncio.to_thread(self._chunks.close)


class _Folded:
    """The chunks of a direct stream, folded into the response that it would have been."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._payload: Any = None
        self._pieces: list[str] = []
        self._chunks: list[Any] = []

    def take(self, chunk: Any) -> str:
        self._chunks.append(chunk)
        chunk = self._asked.read(chunk)
        plain = chunk.model_dump(warnings=False) if hasattr(chunk, "model_dump") else chunk
        self._payload = guarded(self._asked.wire.fold, self._payload, plain)
        piece = self._asked.text(plain)
        self._pieces.append(piece)
        return piece

    def response(self) -> LLMResponse:
        return self._asked.response(self._payload, "".join(self._pieces), self._chunks)


def question_of(
    *,
    twin: bool,
    provider: str | None = None,
    model: str | None = None,
    prompt: str | None = None,
    role: str | None = None,
    agent: str | None = None,
    tenant: str | None = None,
    system: str | None = None,
    messages: Sequence[Mapping[str, Any]] | None = None,
    stream: bool = False,
    base_url: str | None = None,
    api_key: str | None = None,
    **options: Any,
) -> Asked:
    """What `hexr_llm(...)` was asked, ready to be made; raises HexrError for what cannot be done."""
    if not provider or not model:
        raise HexrError("give a client to register, or provider= and model= for a call")
    if (prompt is None) == (messages is None):
        raise HexrError("give prompt= or messages=, one of the two")
    said = [{"role": "user", "content": prompt}] if messages is None else messages
    change = Change(name_of("agent", agent), name_of("role", role), name_of("tenant", tenant), span=False)
    return Asked(provider, model, said, system, base_url, api_key, change, options, stream=stream, twin=twin)


def name_of(parameter: str, value: object) -> str | None:
    """An agent's, role's or tenant's name as it is recorded; raises HexrError if it is no text."""
    if value is not None and not isinstance(value, str):
        raise HexrError(f"{parameter}= takes a string, not {value!r}")
    return value.strip()[:LIMIT] or None if value else None
