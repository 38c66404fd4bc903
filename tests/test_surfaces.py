"""Every surface of the real SDKs, in this process, against the loopback server: what is recorded, and what is not changed.

Each surface runs twice: bare, and recorded. What the caller gets and what goes over the wire must be the same both
times; the record must say what the server sent. Faults of ours are raised here, not swallowed.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import inspect
import json
import re
import sys
import threading
import time
import warnings
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from typing import Any

import pytest
from opentelemetry import trace
from support import clean_environment, wire

from hexr_instrument import context, engine, guard, hexr_role, hub
from hexr_instrument.demo.providers import ProviderServer, Sent
from hexr_instrument.recorder import Recorder, error_type

pytestmark = pytest.mark.filterwarnings(
    "ignore:The model .* is deprecated:DeprecationWarning",
    "ignore:The 'output_format' parameter is deprecated:DeprecationWarning",
)

PROMPT = "Say hello to everybody."
HI = [{"role": "user", "content": PROMPT}]
ASK = {"include_usage": True}
CHAT = {"model": "gpt-4o", "messages": HI}
TEXT = {"model": "gpt-3.5-turbo-instruct", "prompt": PROMPT}
RESPONSE = {"model": "gpt-5", "input": PROMPT}
EMBED = {"model": "text-embedding-3-small", "input": PROMPT}
MESSAGE = {"model": "claude-sonnet-5", "max_tokens": 900, "messages": HI}
BEDROCK = {**MESSAGE, "model": "us.anthropic.claude-sonnet-5"}
GEMINI = {"model": "gemini-2.5-flash", "contents": PROMPT}
CHAT_TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
RESPONSE_TOOL = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}
MESSAGE_TOOL = {"name": "weather", "input_schema": {"type": "object", "properties": {}}}

# Per token, in 1e-12 USD: input, output.
PRICES = {
    "gpt-4o-2024-08-06": (2_500_000, 10_000_000),
    "gpt-4o-mini-2024-07-18": (150_000, 600_000),
    "gpt-5-2025-08-07": (1_250_000, 10_000_000),
    "gpt-3.5-turbo-instruct": (1_500_000, 2_000_000),
    "text-embedding-3-small": (20_000, 0),
    "claude-sonnet-5": (2_000_000, 10_000_000),
    "us.anthropic.claude-sonnet-5": (2_200_000, 11_000_000),  # as asked: in a region of Bedrock
    "gemini-2.5-flash": (300_000, 2_500_000),
    "gemini-embedding-001": (150_000, 0),
}


def tokens(sent: Sent) -> tuple[int | None, int | None]:
    """Input and output of an answer, as the provider that sent it defines them."""
    usage = sent.usage
    if usage is None:
        return None, None

    def summed(*names: str) -> int | None:
        found = [usage[name] for name in names if name in usage]
        return sum(found) if found else None

    if "messages" in sent.route or "invoke" in sent.route:
        cached = ("cache_read_input_tokens", "cache_creation_input_tokens")
        return summed("input_tokens", *cached), summed("output_tokens")
    return (
        summed("prompt_tokens", "input_tokens", "promptTokenCount", "toolUsePromptTokenCount", "token_count"),
        summed("completion_tokens", "output_tokens", "candidatesTokenCount", "thoughtsTokenCount"),
    )


# ---- The bench ----------------------------------------------------------------------------------------------------


def platforms(url: str) -> dict[str, tuple[str, dict[str, Any]]]:
    """The classes of anthropic's clients for clouds, and what each takes here; AWS's requests are signed for real."""
    aws = {"aws_region": "us-east-1", "aws_access_key": "AKIAFAKE", "aws_secret_key": "fake", "base_url": url}
    return {
        "bedrock": ("AnthropicBedrock", aws),
        "mantle": ("AnthropicBedrockMantle", {**aws, "base_url": url + "/anthropic"}),
        "foundry": ("AnthropicFoundry", {"api_key": "fake", "base_url": url + "/anthropic/"}),
        "aws": ("AnthropicAWS", {**aws, "workspace_id": "wrkspc_1"}),
        "google cloud": (
            "AnthropicGoogleCloud",
            {"base_url": url, "token_provider": lambda: "fake", "workspace_id": "wrkspc_1"},
        ),
    }


def pair(sdk: Any, name: str, options: dict[str, Any]) -> tuple[Any, Any]:
    """Both clients of that name, or two nothings where this version of the SDK lacks them or what they need."""
    if not hasattr(sdk, name) or ("aws_region" in options and find_spec("botocore") is None):
        return None, None
    return getattr(sdk, name)(**options), getattr(sdk, f"Async{name}")(**options)


class Bench:
    """The SDKs' clients, the server that they talk to, and what has been recorded of it."""

    def __init__(self, server: ProviderServer, recorder: Recorder) -> None:
        """Makes the clients; they are shared by all tests, as in a program."""
        import anthropic  # noqa: PLC0415  (seconds each: only where these tests run)
        import openai  # noqa: PLC0415
        from google import genai  # noqa: PLC0415
        from google.oauth2.credentials import Credentials

        self.server = server
        self.recorder = recorder
        self.records: list[dict[str, Any]] = []
        self.loop = asyncio.new_event_loop()
        azure = {"azure_endpoint": server.url, "api_key": "none", "api_version": "2024-10-21", "max_retries": 0}
        google = genai.Client(http_options={"base_url": server.google})
        vertex = genai.Client(
            vertexai=True,
            project="p",
            location="us-central1",
            credentials=Credentials(token="none"),
            http_options={"base_url": server.google},
        )
        claude = {"region": "us-east5", "project_id": "p", "access_token": "none", "base_url": server.url + "/v1"}
        self.clients: dict[str, tuple[Any, Any]] = {
            "openai": (openai.OpenAI(max_retries=0), openai.AsyncOpenAI(max_retries=0)),
            "module": (openai, None),
            "azure": (openai.AzureOpenAI(**azure), openai.AsyncAzureOpenAI(**azure)),
            "anthropic": (anthropic.Anthropic(max_retries=0), anthropic.AsyncAnthropic(max_retries=0)),
            "vertex claude": (anthropic.AnthropicVertex(**claude), anthropic.AsyncAnthropicVertex(**claude)),
            **{name: pair(anthropic, *kind) for name, kind in platforms(server.url).items()},
            "google": (google, google.aio),
            "vertex": (vertex, vertex.aio),
        }

    def close(self) -> None:
        """Closes the clients and the loop."""
        import openai  # noqa: PLC0415

        openai._reset_client()  # the module keeps a client of its own, with the URL of this bench's server
        for name in ("openai", "azure", "anthropic", "vertex claude", *platforms("")):
            client, aclient = self.clients[name]
            if client is not None:
                client.close()
                self.run(aclient.close())
        for name in ("google", "vertex"):
            google, aio = self.clients[name]
            if hasattr(google, "close"):  # from 1.4x on
                self.run(aio.aclose())
                google.close()
        self.run(self.loop.shutdown_asyncgens())
        self.loop.close()

    def run(self, awaitable: Awaitable[Any]) -> Any:
        """Runs a coroutine in the one loop of these tests."""

        async def main() -> Any:
            return await awaitable

        return self.loop.run_until_complete(main())

    def clear(self) -> None:
        """Forgets what was sent and recorded."""
        gc.collect()
        gc.freeze()  # the SDKs are half a million objects: what is collected next is only what comes from here on
        self.server.clear()
        self.records.clear()

    @contextlib.contextmanager
    def bare(self) -> Iterator[None]:
        """Without us."""
        engine.unpatch()
        try:
            yield
        finally:
            engine.patch_loaded(self.recorder)

    def one(self) -> dict[str, Any]:
        """The one record that there is; a dropped stream needs the collector, and its loop, to be ended."""
        limit = time.monotonic() + 5
        gc.collect()
        while not self.records and time.monotonic() < limit:
            self.run(asyncio.sleep(0))
            gc.collect()
        self.run(asyncio.sleep(0))
        (record,) = self.records
        return record


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One bench for all tests of a process, with a store of its own."""
    path = list(sys.meta_path)
    before = (hub._recorder, hub._off, context.invoke)
    with pytest.MonkeyPatch.context() as patch, ProviderServer() as server:
        kept = clean_environment()
        for name in set(hub.start.os.environ) - set(kept):
            patch.delenv(name)
        for name, value in server.environment().items():
            patch.setenv(name, value)
        patch.setenv("HEXR_STORE", str(tmp_path_factory.mktemp("store")))
        patch.setattr(guard, "strict", True)
        hub._recorder, hub._off = None, False
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import anthropic  # noqa: F401, PLC0415
            import google.genai  # noqa: F401, PLC0415
            import openai  # noqa: F401, PLC0415
        hub.instrument()
        recorder = hub.recorder()
        assert recorder is not None
        bench = Bench(server, recorder)
        keep = recorder.keep

        def note(record: dict[str, Any]) -> None:
            bench.records.append(record)
            keep(record)

        recorder.keep = note  # type: ignore[method-assign]
        try:
            yield bench
        finally:
            gc.unfreeze()
            bench.close()
            hub.uninstrument()
            hub._recorder, hub._off, context.invoke = before
            sys.meta_path[:] = path


@pytest.fixture
def bench(shared: Bench, request: pytest.FixtureRequest) -> Iterator[Bench]:
    """The bench, with nothing sent and nothing recorded yet, and no fault of ours at the end."""
    if "responses" in request.node.name and not hasattr(shared.clients["openai"][0], "responses"):
        pytest.skip("this version of openai has no responses")
    shared.clear()
    yield shared
    shared.clear()
    assert not guard.faults


# ---- How a surface is used ----------------------------------------------------------------------------------------

Seen = list[Any]
"""What the caller got to see: results, and each piece of a stream."""


def value(found: Any) -> Seen:
    return [found]


async def avalue(found: Any) -> Seen:
    return [await found]


def each(stream: Any) -> Seen:
    return [stream, *stream]


async def aeach(opening: Any) -> Seen:
    stream = await opening if inspect.isawaitable(opening) else opening
    return [stream, *[item async for item in stream]]


def helper(manager: Any) -> Seen:
    with manager as stream:
        return [manager, *each(stream)]


async def ahelper(manager: Any) -> Seen:
    async with manager as stream:
        return [manager, *await aeach(stream)]


def parsed(raw: Any) -> Seen:
    return [raw, raw.parse()]


async def aparsed(opening: Any) -> Seen:
    raw = await opening if inspect.isawaitable(opening) else opening
    found = raw.parse()
    return [raw, await found if inspect.isawaitable(found) else found]


def parsed_each(raw: Any) -> Seen:
    return [raw, *each(raw.parse())]


async def aparsed_each(opening: Any) -> Seen:
    raw, stream = await aparsed(opening)
    return [raw, *await aeach(stream)]


def turns(runner: Any) -> Seen:
    return [runner, *[piece for stream in runner for piece in each(stream)]]


async def aturns(runner: Any) -> Seen:
    return [runner, *[piece async for stream in runner for piece in await aeach(stream)]]


def within(use: Callable[[Any], Seen]) -> Callable[[Any], Seen]:
    def inside(manager: Any) -> Seen:
        with manager as raw:
            return use(raw)

    return inside


def awithin(use: Callable[[Any], Awaitable[Seen]]) -> Callable[[Any], Awaitable[Seen]]:
    async def inside(manager: Any) -> Seen:
        async with manager as raw:
            return await use(raw)

    return inside


def nothing(raw: Any) -> Seen:
    return [raw]


async def anothing(raw: Any) -> Seen:
    return [raw]


def lines(raw: Any) -> Seen:
    return [raw, *raw.iter_lines()]


async def alines(raw: Any) -> Seen:
    return [raw, *[line async for line in raw.iter_lines()]]


def whole(raw: Any) -> Seen:
    return [raw, type(b"".join(raw.iter_bytes()))]


async def awhole(raw: Any) -> Seen:
    return [raw, type(b"".join([piece async for piece in raw.iter_bytes()]))]


USES: dict[str, tuple[Callable[[Any], Seen], Callable[[Any], Awaitable[Seen]]]] = {
    "value": (value, avalue),
    "each": (each, aeach),
    "helper": (helper, ahelper),
    "turns": (turns, aturns),
    "parsed": (parsed, aparsed),
    "parsed each": (parsed_each, aparsed_each),
    "inside parsed": (within(parsed), awithin(aparsed)),
    "inside parsed each": (within(parsed_each), awithin(aparsed_each)),
    "inside nothing": (within(nothing), awithin(anothing)),
    "inside lines": (within(lines), awithin(alines)),
    "inside bytes": (within(whole), awithin(awhole)),
}


@dataclass(frozen=True)
class Surface:
    """One way to make a call."""

    name: str
    use: str
    make: Callable[[Any], Any]
    """Client -> what the SDK's method returns."""
    client: str = "openai"
    finish: Any = ("stop",)
    """The finish reasons of each call; None for a call that has none."""
    provider: str = ""
    calls: int = 1
    read: bool = True
    """Whether the SDK parses the body; what it does not parse has no usage."""
    modes: tuple[str, ...] = ("sync", "async")

    def run(self, bench: Bench, mode: str) -> Seen:
        """Does it."""
        client, aclient = bench.clients[self.client]
        use, ause = USES[self.use]
        if mode == "sync":
            return use(self.make(client))

        async def main() -> Seen:
            return await ause(self.make(aclient))

        return bench.run(main())


@functools.cache
def schema() -> Any:
    """A model for structured output."""
    from pydantic import BaseModel  # noqa: PLC0415  (comes with each of the SDKs)

    class Greeting(BaseModel):
        """What to say."""

        word: str

    return Greeting


def forecast(city: str) -> str:
    """The weather of a city.

    Args:
        city: Its name.
    """
    return f"Sunny in {city}."


async def aforecast(city: str) -> str:
    """The weather of a city.

    Args:
        city: Its name.
    """
    return f"Sunny in {city}."


def tool(client: Any) -> Any:
    """The tool as anthropic's runner takes it."""
    import anthropic  # noqa: PLC0415

    is_async = type(client).__name__.startswith("Async")
    return anthropic.beta_async_tool(aforecast) if is_async else anthropic.beta_tool(forecast)


def config(**fields: Any) -> Any:
    """Google's own object."""
    from google.genai import types  # noqa: PLC0415

    return types.GenerateContentConfig(**fields)


def cast() -> Any:
    """What a chat completion is cast to."""
    from openai.types.chat import ChatCompletion  # noqa: PLC0415

    return ChatCompletion


# fmt: off
SURFACES = [
    Surface("chat create", "value", lambda c: c.chat.completions.create(**CHAT)),
    Surface("chat parse", "value", lambda c: c.chat.completions.parse(**CHAT, response_format=schema())),
    Surface("chat stream", "each", lambda c: c.chat.completions.create(**CHAT, stream=True, stream_options=ASK)),
    Surface("chat stream without usage", "each", lambda c: c.chat.completions.create(**CHAT, stream=True)),
    Surface("chat stream helper", "helper", lambda c: c.chat.completions.stream(**CHAT, stream_options=ASK)),
    Surface("chat raw", "parsed", lambda c: c.chat.completions.with_raw_response.create(**CHAT)),
    Surface("chat raw, never parsed", "value", lambda c: c.chat.completions.with_raw_response.create(**CHAT)),
    Surface("chat raw stream", "parsed each", lambda c: c.chat.completions.with_raw_response.create(
        **CHAT, stream=True, stream_options=ASK)),
    Surface("chat streaming response", "inside parsed",
            lambda c: c.chat.completions.with_streaming_response.create(**CHAT)),
    Surface("chat streaming response, stream", "inside parsed each",
            lambda c: c.chat.completions.with_streaming_response.create(**CHAT, stream=True, stream_options=ASK)),
    Surface("chat streaming response, lines", "inside lines",
            lambda c: c.chat.completions.with_streaming_response.create(**CHAT, stream=True), read=False),
    Surface("chat streaming response, bytes", "inside bytes",
            lambda c: c.chat.completions.with_streaming_response.create(**CHAT), read=False),
    Surface("chat tools", "value", lambda c: c.chat.completions.create(**CHAT, tools=[CHAT_TOOL]),
            finish=("tool_calls",)),
    Surface("chat tools stream", "each", lambda c: c.chat.completions.create(
        **CHAT, tools=[CHAT_TOOL], stream=True, stream_options=ASK), finish=("tool_calls",)),
    Surface("chat n=2", "value", lambda c: c.chat.completions.create(**CHAT, n=2), finish=("stop", "stop")),
    Surface("chat n=2 stream", "each", lambda c: c.chat.completions.create(
        **CHAT, n=2, stream=True, stream_options=ASK), finish=("stop", "stop")),
    Surface("chat cut", "value", lambda c: c.chat.completions.create(**CHAT, max_tokens=20), finish=("length",)),
    Surface("chat post", "value", lambda c: c.post("/chat/completions", body=CHAT, cast_to=cast())),
    Surface("chat post to a dict", "value", lambda c: c.post("/chat/completions", body=CHAT, cast_to=object)),
    Surface("chat extra body", "value", lambda c: c.chat.completions.create(
        model="other", messages=HI, extra_body={"model": "gpt-4o"})),
    Surface("chat with options", "value", lambda c: c.with_options(timeout=9).chat.completions.create(**CHAT)),
    Surface("chat of the module", "value", lambda c: c.chat.completions.create(**CHAT),
            client="module", modes=("sync",)),
    Surface("responses create", "value", lambda c: c.responses.create(**RESPONSE)),
    Surface("responses parse", "value", lambda c: c.responses.parse(**RESPONSE, text_format=schema())),
    Surface("responses stream", "each", lambda c: c.responses.create(**RESPONSE, stream=True)),
    Surface("responses stream helper", "helper", lambda c: c.responses.stream(**RESPONSE)),
    Surface("responses raw stream", "parsed each",
            lambda c: c.responses.with_raw_response.create(**RESPONSE, stream=True)),
    Surface("responses tools", "value", lambda c: c.responses.create(**RESPONSE, tools=[RESPONSE_TOOL]),
            finish=("tool_call",)),
    Surface("completions create", "value", lambda c: c.completions.create(**TEXT)),
    Surface("completions stream", "each", lambda c: c.completions.create(**TEXT, stream=True, stream_options=ASK)),
    Surface("embeddings create", "value", lambda c: c.embeddings.create(**EMBED), finish=None),
    Surface("embeddings of floats", "value", lambda c: c.embeddings.create(**EMBED, encoding_format="float"),
            finish=None),
    Surface("embeddings raw", "parsed", lambda c: c.embeddings.with_raw_response.create(**EMBED), finish=None),
    Surface("azure chat", "value", lambda c: c.chat.completions.create(model="gpt-4o-mini", messages=HI),
            client="azure", provider="azure.ai.openai"),
    Surface("azure chat stream", "each", lambda c: c.chat.completions.create(
        model="gpt-4o-mini", messages=HI, stream=True, stream_options=ASK),
            client="azure", provider="azure.ai.openai"),
    Surface("messages create", "value", lambda c: c.messages.create(**MESSAGE), client="anthropic"),
    Surface("messages stream", "each", lambda c: c.messages.create(**MESSAGE, stream=True), client="anthropic"),
    Surface("messages stream helper", "helper", lambda c: c.messages.stream(**MESSAGE), client="anthropic"),
    Surface("messages parse", "value", lambda c: c.messages.parse(**MESSAGE, output_format=schema()),
            client="anthropic"),
    Surface("messages raw", "parsed", lambda c: c.messages.with_raw_response.create(**MESSAGE), client="anthropic"),
    Surface("messages raw stream", "parsed each",
            lambda c: c.messages.with_raw_response.create(**MESSAGE, stream=True), client="anthropic"),
    Surface("messages streaming response", "inside parsed",
            lambda c: c.messages.with_streaming_response.create(**MESSAGE), client="anthropic"),
    Surface("messages streaming response, lines", "inside lines",
            lambda c: c.messages.with_streaming_response.create(**MESSAGE, stream=True),
            client="anthropic", read=False),
    Surface("messages tools", "value", lambda c: c.messages.create(**MESSAGE, tools=[MESSAGE_TOOL]),
            client="anthropic", finish=("tool_call",)),
    Surface("messages thinking", "each", lambda c: c.messages.create(
        **MESSAGE, thinking={"type": "enabled", "budget_tokens": 1024}, stream=True), client="anthropic"),
    Surface("messages cut", "value", lambda c: c.messages.create(**{**MESSAGE, "max_tokens": 20}),
            client="anthropic", finish=("length",)),
    Surface("beta messages create", "value", lambda c: c.beta.messages.create(**MESSAGE), client="anthropic"),
    Surface("beta messages stream", "each", lambda c: c.beta.messages.create(**MESSAGE, stream=True),
            client="anthropic"),
    Surface("beta messages stream helper", "helper", lambda c: c.beta.messages.stream(**MESSAGE),
            client="anthropic"),
    Surface("beta messages tool runner", "each",
            lambda c: c.beta.messages.tool_runner(**MESSAGE, tools=[tool(c)]),
            client="anthropic", calls=2, finish=[("tool_call",), ("stop",)]),
    Surface("gemini generate", "value", lambda c: c.models.generate_content(**GEMINI), client="google"),
    Surface("gemini generate with a config", "value", lambda c: c.models.generate_content(
        **GEMINI, config={"temperature": 0.5, "max_output_tokens": 120}), client="google", finish=("length",)),
    Surface("gemini generate with the SDK's config", "value", lambda c: c.models.generate_content(
        **GEMINI, config=config(response_mime_type="application/json", response_schema=schema())), client="google"),
    Surface("gemini raw body", "value", lambda c: c.models.generate_content(
        **GEMINI, config={"should_return_http_response": True}), client="google"),
    Surface("gemini stream", "each", lambda c: c.models.generate_content_stream(**GEMINI), client="google"),
    Surface("gemini two candidates", "value", lambda c: c.models.generate_content(
        **GEMINI, config={"candidate_count": 2}), client="google", finish=("stop", "stop")),
    Surface("gemini chat", "value", lambda c: c.chats.create(model="gemini-2.5-flash").send_message(PROMPT),
            client="google"),
    Surface("gemini chat stream", "each",
            lambda c: c.chats.create(model="gemini-2.5-flash").send_message_stream(PROMPT), client="google"),
    Surface("gemini calls functions itself", "value", lambda c: c.chats.create(
        model="gemini-2.5-flash", config=config(tools=[forecast])).send_message(PROMPT),
            client="google", calls=2, finish=[("stop",), ("stop",)]),
    Surface("gemini embed", "value",
            lambda c: c.models.embed_content(model="gemini-embedding-001", contents=PROMPT),
            client="google", finish=None),
    Surface("gemini embed several", "value", lambda c: c.models.embed_content(
        model="gemini-embedding-001", contents=[PROMPT, PROMPT]), client="google", finish=None),
    Surface("vertex generate", "value", lambda c: c.models.generate_content(**GEMINI),
            client="vertex", provider="gcp.vertex_ai"),
    Surface("vertex stream", "each", lambda c: c.models.generate_content_stream(
        model="publishers/google/models/gemini-2.5-flash", contents=PROMPT),
            client="vertex", provider="gcp.vertex_ai"),
    Surface("vertex embed", "value", lambda c: c.models.embed_content(
        model="gemini-embedding-001", contents=PROMPT), client="vertex", provider="gcp.vertex_ai", finish=None),
    Surface("vertex claude", "value", lambda c: c.messages.create(**MESSAGE),
            client="vertex claude", provider="gcp.vertex_ai"),
    Surface("vertex claude stream", "each", lambda c: c.messages.create(**MESSAGE, stream=True),
            client="vertex claude", provider="gcp.vertex_ai"),
    Surface("vertex claude beta", "value", lambda c: c.beta.messages.create(**MESSAGE),
            client="vertex claude", provider="gcp.vertex_ai"),
    Surface("bedrock claude", "value", lambda c: c.messages.create(**BEDROCK), client="bedrock",
            provider="aws.bedrock"),
    Surface("bedrock claude stream", "each", lambda c: c.messages.create(**BEDROCK, stream=True),
            client="bedrock", provider="aws.bedrock"),
    Surface("bedrock claude beta stream", "each", lambda c: c.beta.messages.create(**BEDROCK, stream=True),
            client="bedrock", provider="aws.bedrock"),
    Surface("bedrock claude raw", "parsed", lambda c: c.messages.with_raw_response.create(**BEDROCK),
            client="bedrock", provider="aws.bedrock"),
    Surface("mantle claude", "value", lambda c: c.messages.create(**BEDROCK), client="mantle",
            provider="aws.bedrock"),
    Surface("mantle claude stream helper", "helper", lambda c: c.messages.stream(**BEDROCK), client="mantle",
            provider="aws.bedrock"),
    Surface("foundry claude", "value", lambda c: c.messages.create(**MESSAGE), client="foundry",
            provider="azure.ai.inference"),
    Surface("foundry claude stream helper", "helper", lambda c: c.messages.stream(**MESSAGE), client="foundry",
            provider="azure.ai.inference"),
    Surface("aws claude", "value", lambda c: c.messages.create(**MESSAGE), client="aws"),
    Surface("aws claude stream", "each", lambda c: c.messages.create(**MESSAGE, stream=True), client="aws"),
    Surface("google cloud claude", "value", lambda c: c.messages.create(**MESSAGE), client="google cloud"),
    Surface("google cloud claude stream", "each", lambda c: c.messages.create(**MESSAGE, stream=True),
            client="google cloud"),
    Surface("beta messages parse", "value", lambda c: c.beta.messages.parse(**MESSAGE, output_format=schema()),
            client="anthropic"),
    Surface("beta messages streamed tool runner", "turns",
            lambda c: c.beta.messages.tool_runner(**MESSAGE, tools=[tool(c)], stream=True),
            client="anthropic", calls=2, finish=[("tool_call",), ("stop",)]),
    Surface("beta messages thread", "value", lambda c: c.beta.messages.thread(**MESSAGE).send(),
            client="anthropic"),
    Surface("beta messages thread stream", "helper", lambda c: c.beta.messages.thread(**MESSAGE).stream(),
            client="anthropic"),
    # What is not a billed call leaves no record.
    Surface("moderations", "value", lambda c: c.moderations.create(input=PROMPT), calls=0),
    Surface("models", "value", lambda c: c.models.with_raw_response.delete("gpt-4o"), calls=0),
    Surface("count tokens", "value", lambda c: c.messages.count_tokens(model=MESSAGE["model"], messages=HI),
            client="anthropic", calls=0),
    Surface("gemini count tokens", "value", lambda c: c.models.count_tokens(**GEMINI), client="google", calls=0),
]
# fmt: on
BY_NAME = {surface.name: surface for surface in SURFACES}
CASES = [pytest.param(surface, mode, id=f"{surface.name} {mode}") for surface in SURFACES for mode in surface.modes]


def kinds(seen: Seen) -> list[Any]:
    """The exact types of what the caller saw."""
    return [type(item) for item in seen]


def check(record: dict[str, Any], sent: Sent, surface: Surface, finish: Any) -> None:
    """The record says what the server sent."""
    inputs, outputs = tokens(sent)
    usage = record.get("usage", {})
    assert "error" not in record
    assert record["provider"] == (
        surface.provider
        or {"anthropic": "anthropic", "aws": "anthropic", "google cloud": "anthropic", "google": "gcp.gemini"}.get(
            surface.client, "openai"
        )
    )
    assert record["model"] == sent.requested
    assert record.get("stream", False) == sent.stream
    assert (record["host"], f":{record['port']}") == ("127.0.0.1", f":{record['port']}")
    assert record["end"] > record["start"]
    text = json.dumps(record)
    assert PROMPT not in text
    assert "fake-hexr" not in text
    if not surface.read:
        assert (usage, record["cost_status"]) == ({}, "no_usage")
        return
    if surface.client in ("google", "vertex") and "embed" in surface.name:
        from google.genai import types

        assert "served" not in record  # Google does not say who made an embedding
        if "usage_metadata" not in types.EmbedContentResponse.model_fields and sent.route != ":predict":
            inputs = None  # before 3.0 its SDK did not pass on what it took, but for Vertex AI's older models
    else:
        assert record["served"] == sent.served
    assert (usage.get("input"), usage.get("output")) == (inputs, outputs)
    if inputs is None:
        assert record["cost_status"] == "no_usage"
        assert "cost" not in record
    else:
        price = PRICES.get(sent.requested) or PRICES[sent.served]
        assert record["cost"] == inputs * price[0] + (outputs or 0) * price[1]
        assert (record["cost_status"], record["cost_source"]) == ("priced", "table")
    assert record.get("finish") == (None if finish is None else list(finish))
    if sent.stream:
        assert 0 < record["first_chunk"] <= record["end"] - record["start"]
    else:
        assert "first_chunk" not in record


def offered(surface: Surface, bench: Bench, mode: str) -> Seen:
    """What the caller sees without us; a surface that this version of the SDK does not have is skipped."""
    try:
        return surface.run(bench, mode)
    except (AttributeError, TypeError, ValueError) as error:
        lacking = (
            "has no attribute|unexpected keyword argument|Extra inputs are not permitted|Failed to parse the param"
        )
        if not re.search(lacking, str(error)):
            raise
        pytest.skip(f"not in this version of the SDK: {error}")


@pytest.mark.parametrize(("surface", "mode"), CASES)
def test_a_surface_is_recorded_and_unchanged(bench: Bench, surface: Surface, mode: str) -> None:
    """One exact record for each billed request; results, their types and the wire are as without us."""
    with bench.bare():
        expected = kinds(offered(surface, bench, mode))
    plain = wire(bench.server.requests)
    assert not bench.records
    bench.clear()

    assert kinds(surface.run(bench, mode)) == expected
    assert wire(bench.server.requests) == plain
    sent = bench.server.sent
    assert len(bench.records) == surface.calls
    if surface.calls:
        assert len(sent) == surface.calls
        finishes = surface.finish if isinstance(surface.finish, list) else [surface.finish]
        for record, answer, finish in zip(bench.records, sent, finishes, strict=True):
            check(record, answer, surface, finish)
    gc.collect()
    assert len(bench.records) == surface.calls, "a call ends once"


BATCH = {"id": "msgbatch_1", "type": "message_batch", "processing_status": "in_progress", "request_counts": {
    "canceled": 0, "errored": 0, "expired": 0, "processing": 1, "succeeded": 0}}  # fmt: skip
# fmt: off
FREE = [
    ("responses cancel", "openai", lambda c: c.responses.cancel("resp_1"), {"id": "resp_1", "object": "response"}),
    ("responses input tokens", "openai", lambda c: c.responses.input_tokens.count(**RESPONSE), {"input_tokens": 9}),
    ("chat update", "openai", lambda c: c.chat.completions.update("chatcmpl-1", metadata={}), {"id": "chatcmpl-1"}),
    ("openai batch", "openai", lambda c: c.batches.create(
        completion_window="24h", endpoint="/v1/chat/completions", input_file_id="file-1"), {"id": "batch_1"}),
    ("anthropic batch", "anthropic", lambda c: c.messages.batches.create(
        requests=[{"custom_id": "1", "params": MESSAGE}]), BATCH),
    ("anthropic batch results", "anthropic", lambda c: c.messages.batches.retrieve("msgbatch_1"), BATCH),
]
# fmt: on


@pytest.mark.parametrize(("name", "client", "make", "body"), FREE, ids=[row[0] for row in FREE])
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_what_bills_nothing_is_not_recorded(
    bench: Bench, mode: str, name: str, client: str, make: Callable[[Any], Any], body: dict[str, Any]
) -> None:
    """Cancelling, counting and creating batches are no calls, though their bodies look like answers."""
    surface = Surface(name, "value", make, client=client)
    bench.server.reply(body={**body, "usage": {"input_tokens": 1, "output_tokens": 1}}, times=2)
    with bench.bare():
        offered(surface, bench, mode)
    surface.run(bench, mode)
    assert len(bench.server.requests) == 2
    assert not bench.records


# ---- Usage that only we ask for -----------------------------------------------------------------------------------

# fmt: off
ASKED = [
    Surface("chat", "each", lambda c: c.chat.completions.create(**CHAT, stream=True)),
    Surface("chat n=2", "each", lambda c: c.chat.completions.create(**CHAT, n=2, stream=True)),
    Surface("chat tools", "each", lambda c: c.chat.completions.create(**CHAT, tools=[CHAT_TOOL], stream=True)),
    Surface("chat helper", "helper", lambda c: c.chat.completions.stream(**CHAT)),
    Surface("chat with other options", "each", lambda c: c.chat.completions.create(
        **CHAT, stream=True, stream_options={"include_obfuscation": False})),
    Surface("completions", "each", lambda c: c.completions.create(**TEXT, stream=True)),
]
# fmt: on


def anonymous(text: object) -> str:
    """A text without the ids and times that the server gives out."""
    return re.sub(r"[0-9a-f]{16,}|\d{10,}", "#", str(text))


def seen(pieces: Seen) -> list[str]:
    """What the caller saw, to the last field."""
    return [
        anonymous(item.model_dump(exclude_unset=True) if hasattr(item, "model_dump") else type(item)) for item in pieces
    ]


@pytest.mark.parametrize("surface", ASKED, ids=[surface.name for surface in ASKED])
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_usage_is_asked_for_behind_the_caller(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, mode: str, surface: Surface
) -> None:
    """Where a host is known to give usage, the request asks for it and the caller sees nothing of it."""
    monkeypatch.setattr(bench.recorder, "config", replace(bench.recorder.config, stream_usage=frozenset({"*"})))
    with bench.bare():
        expected = seen(offered(surface, bench, mode))
    (plain,) = bench.server.requests
    bench.clear()
    assert seen(surface.run(bench, mode)) == expected
    (asking,) = bench.server.requests
    options = {**plain.body.get("stream_options", {}), "include_usage": True}
    assert asking.body == {**plain.body, "stream_options": options}
    (record,) = bench.records
    (sent,) = bench.server.sent
    assert (record["usage"]["input"], record["usage"]["output"]) == tokens(sent) != (None, None)
    assert record["cost_status"] == "priced"


RAW = [
    Surface("raw", "parsed each", lambda c: c.chat.completions.with_raw_response.create(**CHAT, stream=True)),
    BY_NAME["chat streaming response, lines"],
    BY_NAME["chat stream"],
    BY_NAME["chat create"],
    BY_NAME["responses stream"],
]


@pytest.mark.parametrize("surface", RAW, ids=[surface.name for surface in RAW])
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_usage_is_not_asked_for_where_it_would_show(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, mode: str, surface: Surface
) -> None:
    """A body that is read raw, one that asks already, and one that is no chat stream stay as they are."""
    monkeypatch.setattr(bench.recorder, "config", replace(bench.recorder.config, stream_usage=frozenset({"*"})))
    with bench.bare():
        expected = seen(surface.run(bench, mode))
    plain = wire(bench.server.requests)
    bench.clear()
    assert seen(surface.run(bench, mode)) == expected
    assert wire(bench.server.requests) == plain
    assert len(bench.records) == 1


# ---- Errors -------------------------------------------------------------------------------------------------------


def chat(model: str, **more: Any) -> Callable[[Any], Any]:
    return lambda c: c.chat.completions.create(**{**CHAT, "model": model}, **more)


def responses(model: str, **more: Any) -> Callable[[Any], Any]:
    return lambda c: c.responses.create(**{**RESPONSE, "model": model}, **more)


def messages(model: str, **more: Any) -> Callable[[Any], Any]:
    return lambda c: c.messages.create(**{**MESSAGE, "model": model}, **more)


def gemini(model: str, **more: Any) -> Callable[[Any], Any]:
    return lambda c: c.models.generate_content(**{**GEMINI, "model": model}, **more)


def gemini_stream(model: str) -> Callable[[Any], Any]:
    return lambda c: c.models.generate_content_stream(**{**GEMINI, "model": model})


FAILING = [
    ("chat", "openai", "value", chat),
    ("chat stream", "openai", "each", lambda model: chat(model, stream=True)),
    ("chat raw", "openai", "value", lambda model: lambda c: c.chat.completions.with_raw_response.create(
        **{**CHAT, "model": model})),
    ("responses", "openai", "value", responses),
    ("embeddings", "openai", "value", lambda model: lambda c: c.embeddings.create(**{**EMBED, "model": model})),
    ("messages", "anthropic", "value", messages),
    ("messages stream", "anthropic", "each", lambda model: messages(model, stream=True)),
    ("messages helper", "anthropic", "helper", lambda model: lambda c: c.messages.stream(
        **{**MESSAGE, "model": model})),
    ("gemini", "google", "value", gemini),
    ("gemini stream", "google", "each", gemini_stream),
    ("gemini embed", "google", "value", lambda model: lambda c: c.models.embed_content(
        model=model, contents=PROMPT)),
]  # fmt: skip


@dataclass(frozen=True)
class Failure:
    """An exception as the caller sees it; the exception itself would keep the stream alive by its traceback."""

    name: str
    text: str
    cause: type
    context: type
    message: str = field(compare=False)
    """The provider's own words."""


def failure(surface: Surface, bench: Bench, mode: str) -> Any:
    """What the caller of a failing call gets: a Failure, or None if it does not fail."""
    try:
        surface.run(bench, mode)
    except Exception as error:
        said = str(getattr(error, "message", "") or error)
        return Failure(error_type(error), anonymous(error), type(error.__cause__), type(error.__context__), said)
    return None


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 529])
@pytest.mark.parametrize(("name", "client", "use", "make"), FAILING, ids=[row[0] for row in FAILING])
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_an_error_status_is_one_record(
    bench: Bench, mode: str, name: str, client: str, use: str, make: Callable[[str], Callable[[Any], Any]], status: int
) -> None:
    """The record of a refused call has the exception's class and the status, and nothing of what the provider says."""
    surface = Surface(name, use, make(f"error-{status}"), client=client)
    with bench.bare():
        expected = failure(surface, bench, mode)
    bench.clear()
    error = failure(surface, bench, mode)
    assert error == expected
    record = bench.one()
    assert record["error"] == error.name
    assert record["error"].startswith(("openai.", "anthropic.", "google.genai."))
    assert record["status"] == status
    assert (record["cost_status"], "cost" in record, "usage" in record) == ("no_usage", False, False)
    assert record["model"] == f"error-{status}"
    text = json.dumps(record)
    assert error.message[:20] not in text
    assert "fake-hexr" not in text
    assert PROMPT not in text


# fmt: off
RETRIED = [
    ("chat", "openai", lambda c: c.with_options(max_retries=2).chat.completions.create(**CHAT)),
    ("chat stream", "openai", lambda c: c.with_options(max_retries=2).chat.completions.create(**CHAT, stream=True)),
    ("messages", "anthropic", lambda c: c.with_options(max_retries=2).messages.create(**MESSAGE)),
    ("messages stream", "anthropic",
     lambda c: c.with_options(max_retries=2).messages.create(**MESSAGE, stream=True)),
    ("gemini", "google", lambda c: c.models.generate_content(**GEMINI, config={
        "http_options": {"retry_options": {"attempts": 3, "initial_delay": 0.01, "max_delay": 0.02}}})),
]
# fmt: on


@pytest.mark.parametrize(("name", "client", "make"), RETRIED, ids=[row[0] for row in RETRIED])
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_retries_are_one_record(bench: Bench, mode: str, name: str, client: str, make: Callable[[Any], Any]) -> None:
    """Two refusals that the SDK tries again and an answer are one call without an error."""
    surface = Surface(name, "each" if "stream" in name else "value", make, client=client)
    with bench.bare():
        offered(surface, bench, mode)
    bench.clear()
    bench.server.reply(status=429, times=2)
    surface.run(bench, mode)
    assert [each.path for each in bench.server.requests] == [bench.server.requests[0].path] * 3
    record = bench.one()
    assert "error" not in record
    assert record["finish"] == ["stop"]
    assert len(bench.server.sent) == 1


@pytest.mark.parametrize(("name", "client", "make"), RETRIED, ids=[row[0] for row in RETRIED])
def test_retries_that_end_in_an_error_are_one_record(
    bench: Bench, name: str, client: str, make: Callable[[Any], Any]
) -> None:
    """Three refusals are one call with one error."""
    surface = Surface(name, "value", make, client=client)
    with bench.bare():
        offered(surface, bench, "sync")
    bench.clear()
    bench.server.reply(status=429, times=3)
    error = failure(surface, bench, "sync")
    assert len(bench.server.requests) == 3
    assert (bench.one()["error"], bench.one()["status"]) == (error.name, 429)


# fmt: off
SLOW = [
    ("chat", "openai", lambda c: c.with_options(timeout=0.05).chat.completions.create(**CHAT)),
    ("messages", "anthropic", lambda c: c.with_options(timeout=0.05).messages.create(**MESSAGE)),
    ("gemini", "google", lambda c: c.models.generate_content(**GEMINI, config={"http_options": {"timeout": 50}})),
]
# fmt: on


@pytest.mark.parametrize(("name", "client", "make"), SLOW, ids=[row[0] for row in SLOW])
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_timeout_is_an_error_without_status(
    bench: Bench, mode: str, name: str, client: str, make: Callable[[Any], Any]
) -> None:
    """An answer that does not come in time leaves one record with the SDK's exception and no status."""
    gate = threading.Event()
    bench.server.reply(gate=gate)
    try:
        error = failure(Surface(name, "value", make, client=client), bench, mode)
    finally:
        gate.set()
    record = bench.one()
    assert record["error"] == error.name
    assert "status" not in record


@pytest.mark.parametrize("body", [b"{broken", b'{"choices": 5, "usage": "n/a", "model": 7}', b"[]", b"null", b'"x"'])
@pytest.mark.parametrize("surface", ["chat create", "chat raw", "messages create", "gemini generate", "embeddings raw"])
def test_an_odd_answer_is_a_record_all_the_same(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, surface: str, body: bytes
) -> None:
    """Whatever the body is, the caller gets what he would get without us, and there is one record without a cost."""
    made = BY_NAME[surface]
    monkeypatch.setattr(guard, "strict", False)  # a raw body that is no JSON is found out by trying
    monkeypatch.setattr(guard, "faults", {})

    def outcome() -> Any:
        bench.server.reply(body=body)
        try:
            return kinds(made.run(bench, "sync"))
        except Exception as error:
            return type(error), str(error)

    with bench.bare():
        expected = outcome()
    bench.clear()
    assert outcome() == expected
    record = bench.one()
    assert "cost" not in record
    assert record["cost_status"] == "no_usage"


def test_a_body_that_is_billed_but_not_accepted_keeps_its_cost(bench: Bench) -> None:
    """`parse()` raises where the answer was cut, after the provider has billed it: the record has error and cost."""
    surface = BY_NAME["chat parse"]
    with bench.bare():
        offered(surface, bench, "sync")
    bench.clear()
    bench.server.reply(text="{", finish="length")
    error = failure(surface, bench, "sync")
    record = bench.one()
    assert record["error"] == error.name == "openai.LengthFinishReasonError"
    assert (record["usage"]["input"], record["usage"]["output"]) == tokens(bench.server.sent[0])
    assert record["cost_status"] == "priced"


# ---- Streams that do not come to their end ------------------------------------------------------------------------

STREAMS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "chat": ("openai", lambda c: c.chat.completions.create(**CHAT, stream=True, stream_options=ASK)),
    "completions": ("openai", lambda c: c.completions.create(**TEXT, stream=True, stream_options=ASK)),
    "responses": ("openai", lambda c: c.responses.create(**RESPONSE, stream=True)),
    "messages": ("anthropic", lambda c: c.messages.create(**MESSAGE, stream=True)),
    "beta messages": ("anthropic", lambda c: c.beta.messages.create(**MESSAGE, stream=True)),
    "gemini": ("google", lambda c: c.models.generate_content_stream(**GEMINI)),
}


class Broken(Exception):
    """What the program's own loop raises."""


def closed(stream: Any) -> None:
    next(iter(stream))
    stream.close()
    stream.close()


def closed_after_break(stream: Any) -> None:
    for _ in stream:
        break
    stream.close()


def dropped(stream: Any) -> None:
    next(iter(stream))


def left(stream: Any) -> None:
    with stream if hasattr(stream, "__exit__") else contextlib.closing(stream):
        next(iter(stream))


def broken(stream: Any) -> None:
    with pytest.raises(Broken), stream if hasattr(stream, "__exit__") else contextlib.closing(stream):
        for _ in stream:
            raise Broken


def broken_and_dropped(stream: Any) -> None:
    with contextlib.suppress(Broken):
        for _ in stream:
            raise Broken


def closed_while_handling(stream: Any) -> None:
    try:
        raise Broken
    except Broken:
        closed(stream)


def dropped_while_handling(stream: Any) -> None:
    try:
        raise Broken
    except Broken:
        next(iter(stream))
        del stream
        gc.collect()


def given_up(stream: Any) -> None:
    with pytest.raises(KeyboardInterrupt), stream if hasattr(stream, "__exit__") else contextlib.closing(stream):
        for _ in stream:
            raise KeyboardInterrupt


ENDINGS = [
    closed,
    closed_after_break,
    dropped,
    left,
    broken,
    broken_and_dropped,
    closed_while_handling,
    dropped_while_handling,
    given_up,
]


def unfinished(record: dict[str, Any], stream: str) -> None:
    """The record of a call that somebody cut short says so: no reason, no complete cost, no error."""
    assert "error" not in record
    assert record["cost_status"] == "partial"
    assert record.get("finish") in (None, ["error"])
    assert record["stream"]
    usage = record.get("usage", {})
    if stream.startswith(("messages", "beta")):
        assert usage["input"] > 0  # the first event states it
        assert "output" not in usage
        assert record["cost"] == usage["input"] * PRICES[record["served"]][0]
    elif stream != "gemini":
        assert not usage
        assert "cost" not in record


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("stream", STREAMS)
def test_a_stream_that_is_not_read_to_its_end_is_partial(
    bench: Bench, stream: str, ending: Callable[[Any], None]
) -> None:
    """However the program leaves a stream, its call ends once, at once, is partial and is no error."""
    client, make = STREAMS[stream]
    ending(make(bench.clients[client][0]))
    gc.collect()
    unfinished(bench.one(), stream)
    assert len(bench.server.requests) == 1


async def aclosed(stream: Any) -> None:
    async for _ in stream:
        break
    await (stream.aclose() if inspect.isasyncgen(stream) else stream.close())


async def adropped(stream: Any) -> None:
    async for _ in stream:
        break


async def aleft(stream: Any) -> None:
    async with stream if hasattr(stream, "__aexit__") else contextlib.aclosing(stream):
        async for _ in stream:
            break


async def abroken(stream: Any) -> None:
    with pytest.raises(Broken):
        async with stream if hasattr(stream, "__aexit__") else contextlib.aclosing(stream):
            async for _ in stream:
                raise Broken


AENDINGS = [aclosed, adropped, aleft, abroken]


@pytest.mark.parametrize("ending", AENDINGS)
@pytest.mark.parametrize("stream", STREAMS)
def test_an_asynchronous_stream_that_is_not_read_to_its_end_is_partial(
    bench: Bench, stream: str, ending: Callable[[Any], Awaitable[None]]
) -> None:
    """The same for the asynchronous twins; a dropped one ends when its loop next runs."""
    client, make = STREAMS[stream]

    async def main() -> None:
        await ending(await make(bench.clients[client][1]))

    bench.run(main())
    unfinished(bench.one(), stream)


@pytest.mark.parametrize("stream", STREAMS)
def test_a_cancelled_stream_is_partial(bench: Bench, stream: str) -> None:
    """A task that is cancelled while it waits for the next chunk leaves a partial call, not an error."""
    client, make = STREAMS[stream]
    gate = threading.Event()
    bench.server.reply(gate=gate, gate_after=2)

    async def main() -> None:
        reading = asyncio.Event()

        async def read() -> None:
            async for _ in await make(bench.clients[client][1]):
                reading.set()

        task = asyncio.create_task(read())
        await asyncio.wait({task, asyncio.create_task(reading.wait())}, return_when=asyncio.FIRST_COMPLETED)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    try:
        bench.run(main())
    finally:
        gate.set()
    unfinished(bench.one(), stream)


@pytest.mark.parametrize("client", ["openai", "anthropic", "google"])
def test_a_cancelled_request_is_partial(bench: Bench, client: str) -> None:
    """A task that is cancelled before the answer comes leaves one partial call without cost: it may be billed."""
    make = {"openai": chat("gpt-4o"), "anthropic": messages("claude-sonnet-5"), "google": gemini("gemini-2.5-flash")}
    gate = threading.Event()
    bench.server.reply(gate=gate)

    async def main() -> None:
        task = asyncio.create_task(avalue(make[client](bench.clients[client][1])))
        await asyncio.to_thread(bench.server.wait, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    try:
        bench.run(main())
    finally:
        gate.set()
    record = bench.one()
    assert "error" not in record
    assert (record["cost_status"], "cost" in record) == ("partial", False)


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("fault", ["cut_after", "error_after"])
def test_a_stream_that_breaks_is_an_error(bench: Bench, stream: str, mode: str, fault: str) -> None:
    """A connection that is lost, or an error event: the caller gets the SDK's own exception, and so does the record."""
    client, make = STREAMS[stream]
    surface = Surface(stream, "each", make, client=client)
    with bench.bare():
        bench.server.reply(**{fault: 3})
        expected = failure(surface, bench, mode)
    if expected is None:
        pytest.skip("this version of the SDK passes over it")
    bench.clear()
    bench.server.reply(**{fault: 3})
    error = failure(surface, bench, mode)
    assert error == expected
    record = bench.one()
    assert record["error"] == error.name
    assert record.get("finish") in (None, ["error"])
    assert error.message[:20] not in json.dumps(record)


@pytest.mark.parametrize("stream", ["messages", "gemini"])
def test_a_stream_that_breaks_costs_at_least_what_was_counted(bench: Bench, stream: str) -> None:
    """What a broken stream had counted is a lower bound of its cost, not its cost."""
    client, make = STREAMS[stream]
    bench.server.reply(cut_after=3)
    failure(Surface(stream, "each", make, client=client), bench, "sync")
    record = bench.one()
    assert record["cost"] > 0
    assert record["cost_status"] == "partial"


def test_a_body_that_breaks_is_an_error(bench: Bench) -> None:
    """A JSON body that breaks off while it is read has its exception, also where the program reads it itself."""
    for name in ("chat create", "chat raw", "chat streaming response", "messages streaming response"):
        for mode in ("sync", "async"):
            bench.clear()
            bench.server.reply(cut_after=20)
            error = failure(BY_NAME[name], bench, mode)
            assert bench.one()["error"] == error.name


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_response_that_is_never_read_ends_when_it_is_closed(bench: Bench, mode: str) -> None:
    """Leaving `with_streaming_response` ends the call, whatever was read of it."""
    manager = replace(BY_NAME["chat streaming response"], use="inside nothing")
    kept = manager.run(bench, mode)
    (record,) = bench.records
    assert record["cost_status"] == "no_usage"
    del kept


@pytest.mark.parametrize("stream", STREAMS)
def test_a_stream_that_is_never_read_is_partial(bench: Bench, stream: str) -> None:
    """A stream that is closed before its first chunk is partial; what sends nothing before is no call."""
    client, make = STREAMS[stream]
    make(bench.clients[client][0]).close()
    gc.collect()
    assert len(bench.records) == len(bench.server.requests)
    assert [record["cost_status"] for record in bench.records] == ["partial"] * len(bench.server.requests)


@pytest.mark.parametrize("stream", STREAMS)
def test_an_asynchronous_stream_that_is_never_read_is_partial(bench: Bench, stream: str) -> None:
    """Its request has been sent: it is a call, also if it is dropped at once."""
    client, make = STREAMS[stream]

    async def main() -> None:
        await make(bench.clients[client][1])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        bench.run(main())
        if bench.server.requests:
            assert bench.one()["cost_status"] == "partial"


@pytest.mark.parametrize("stream", STREAMS)
def test_a_stream_read_while_another_exception_is_handled_is_no_error(bench: Bench, stream: str) -> None:
    """A fallback inside an `except` block is a call like any other."""
    client, make = STREAMS[stream]
    try:
        raise Broken
    except Broken:
        list(make(bench.clients[client][0]))
    record = bench.one()
    assert "error" not in record
    assert (record["cost_status"], record["finish"]) == ("priced", ["stop"])


@pytest.mark.parametrize("stream", STREAMS)
def test_a_stream_is_its_opener_s_in_whichever_thread_it_is_read(bench: Bench, stream: str) -> None:
    """A stream that is opened here and read elsewhere belongs to who opened it."""
    client, make = STREAMS[stream]
    lazy = stream == "gemini"  # sends nothing before it is read: its caller is who reads it
    with hexr_role("opener"):
        opened = make(bench.clients[client][0])
    got: list[Any] = []
    thread = threading.Thread(target=lambda: got.extend(opened))
    thread.start()
    thread.join()
    assert got
    record = bench.one()
    assert record.get("role") == (None if lazy else "opener")
    assert record["cost_status"] == "priced"


@pytest.mark.parametrize("stream", STREAMS)
def test_a_stream_is_its_opener_s_in_whichever_task_it_is_read(bench: Bench, stream: str) -> None:
    """The same for tasks."""
    client, make = STREAMS[stream]

    async def opening() -> Any:
        with hexr_role("opener"):
            return await make(bench.clients[client][1])

    async def reading(opened: Any) -> int:
        with hexr_role("reader"):
            return len([chunk async for chunk in opened])

    async def main() -> None:
        opened = await asyncio.create_task(opening())
        assert await asyncio.create_task(reading(opened))

    bench.run(main())
    record = bench.one()
    assert record["cost_status"] == "priced"
    assert record["role"] == ("reader" if stream == "gemini" else "opener")


# ---- Many at once -------------------------------------------------------------------------------------------------


def varied(number: int) -> tuple[str, Callable[[Any], Any], str]:
    """A call whose input has as many words as its number says; streams and providers take turns."""
    words = " ".join(["word"] * number)
    turn = [{"role": "user", "content": words}]
    makes = [
        ("openai", lambda c: c.chat.completions.create(model="gpt-4o", messages=turn), "value"),
        ("anthropic", lambda c: c.messages.create(**{**MESSAGE, "messages": turn}, stream=True), "each"),
        ("google", lambda c: c.models.generate_content_stream(model="gemini-2.5-flash", contents=words), "each"),
        ("azure", lambda c: c.chat.completions.create(model="gpt-4o-mini", messages=turn), "value"),
        ("anthropic", lambda c: c.messages.create(**{**MESSAGE, "messages": turn}), "value"),
        ("openai", lambda c: c.chat.completions.create(
            model="gpt-4o", messages=turn, stream=True, stream_options=ASK), "each"),
    ]  # fmt: skip
    return makes[number % len(makes)]


def untangled(bench: Bench, count: int) -> None:
    """Each call has its own role and its own tokens."""
    limit = time.monotonic() + 5
    while len(bench.records) < count and time.monotonic() < limit:
        bench.run(asyncio.sleep(0))
    found = {int(record["role"]): record["usage"]["input"] for record in bench.records}
    assert found == {number: 10 * number for number in range(1, count + 1)}
    assert len(bench.records) == count
    assert {record["cost_status"] for record in bench.records} == {"priced"}
    assert len({record["id"] for record in bench.records}) == count


def test_concurrent_tasks_do_not_mix(bench: Bench) -> None:
    """Twenty calls at once in one loop: each record has its own caller, tokens and id."""

    async def one(number: int) -> None:
        client, make, use = varied(number)
        with hexr_role(str(number)):
            await USES[use][1](make(bench.clients[client][1]))

    async def main() -> None:
        await asyncio.gather(*(one(number) for number in range(1, 21)))

    bench.run(main())
    untangled(bench, 20)


def test_concurrent_threads_do_not_mix(bench: Bench) -> None:
    """Sixteen threads at once, started together."""
    ready = threading.Barrier(16)

    def one(number: int) -> None:
        client, make, use = varied(number)
        ready.wait()
        with hexr_role(str(number)):
            USES[use][0](make(bench.clients[client][0]))

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(one, range(1, 17)))
    untangled(bench, 16)


# ---- Spans of the SDK itself --------------------------------------------------------------------------------------


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Any:
    """An SDK tracer provider, as a program sets it; where its finished spans are."""
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor  # noqa: PLC0415
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter  # noqa: PLC0415

    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    yield exporter
    provider.shutdown()


NATIVE = [surface for surface in SURFACES if surface.client == "anthropic" and surface.calls]


@pytest.mark.parametrize("surface", NATIVE, ids=[surface.name for surface in NATIVE])
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_the_sdk_s_own_span_does_not_double_the_call(
    bench: Bench, spans: Any, monkeypatch: pytest.MonkeyPatch, mode: str, surface: Surface
) -> None:
    """With a tracer provider, each call is one span, ours; no other has tokens, and no traceparent is sent."""
    import anthropic  # noqa: PLC0415

    if not hasattr(anthropic._base_client, "start_api_call_span"):
        pytest.skip("this version of the SDK has no spans of its own")
    pair = (anthropic.Anthropic(max_retries=0), anthropic.AsyncAnthropic(max_retries=0))
    monkeypatch.setitem(bench.clients, "anthropic", pair)  # the SDK looks for a provider once per client
    with bench.bare():
        offered(surface, bench, mode)
    assert spans.get_finished_spans() or "streaming response" in surface.name
    assert all("traceparent" in request.headers for request in bench.server.requests)
    bench.clear()
    spans.clear()
    surface.run(bench, mode)
    counted = [span for span in spans.get_finished_spans() if span.attributes.get("gen_ai.operation.name") == "chat"]
    assert len(counted) == surface.calls == len(bench.records)
    assert {span.instrumentation_scope.name for span in counted} == {"hexr_instrument"}
    others = [span for span in spans.get_finished_spans() if span not in counted]
    assert not [span for span in others if any("usage" in name for name in span.attributes)]
    assert not [request for request in bench.server.requests if "traceparent" in request.headers]
    assert [f"{span.context.span_id:016x}" for span in counted] == [record["id"] for record in bench.records]
    pair[0].close()
    bench.run(pair[1].close())


@pytest.mark.parametrize("surface", ["chat create", "chat stream", "responses stream", "gemini generate",
                                     "gemini stream", "embeddings create"])  # fmt: skip
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_program_s_own_provider_gets_one_span_for_each_call(
    bench: Bench, spans: Any, mode: str, surface: str
) -> None:
    """The other SDKs have no spans of their own: ours is the one, with the record's id, and nothing is sent of it."""
    BY_NAME[surface].run(bench, mode)
    record = bench.one()
    (span,) = spans.get_finished_spans()
    assert f"{span.context.span_id:016x}" == record["id"]
    assert record["span"] == "theirs"
    assert not [request for request in bench.server.requests if "traceparent" in request.headers]
