"""LiteLLM: its own routes and those through other SDKs, each billed request once, against the loopback provider."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import pytest
from providers.vendor import DIRECT, direct
from support import Done, Run, alike

from hexr_instrument.demo.providers import ProviderServer
from hexr_instrument.demo.wire import NO_USAGE, Reply

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # nothing is fetched when it is imported
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["LITELLM_LOCAL_BLOG_POSTS"] = os.environ["LITELLM_LOCAL_POLICY_TEMPLATES"] = "True"

START = """
import asyncio, importlib.metadata, logging, os
from litellm import acompletion, aembedding, completion, embedding
import litellm
litellm.suppress_debug_info = True
logging.getLogger("LiteLLM").setLevel(logging.CRITICAL)
URL = os.environ["OPENAI_BASE_URL"]
ROOT = URL.removesuffix("/v1")
ASK = [{"role": "user", "content": "hi"}]
ROUTES = {
    "openai/gpt-4o": URL, "groq/llama-3.1-8b-instant": URL, "deepseek/deepseek-chat": URL,
    "anthropic/claude-sonnet-4-5": ROOT, "gemini/gemini-2.5-flash": ROOT, "azure/gpt-4o": ROOT,
}
if int(importlib.metadata.version("litellm").split(".")[1]) < 80:  # before, a base of Gemini's has to be the whole path
    del ROUTES["gemini/gemini-2.5-flash"]
def of(model, **more):
    version = {"api_version": "2024-10-21"} if model.startswith("azure") else {}
    return dict(model=model, api_base=ROUTES[model], api_key="k", **version, **more)
"""
CHATS = (
    START
    + """
async def twins(model):
    said = (await acompletion(messages=ASK, temperature=0.5, **of(model))).choices[0].message.content
    chunks = await acompletion(messages=ASK, stream=True, stream_options={"include_usage": True}, **of(model))
    return said, [chunk.choices[0].delta.content async for chunk in chunks if chunk.choices]

for model in ROUTES:
    answer = completion(messages=ASK, **of(model))
    print(model, type(answer).__name__, answer.usage.total_tokens)
    stream = completion(messages=ASK, stream=True, stream_options={"include_usage": True}, **of(model))
    print(type(stream).__name__, [chunk.choices[0].delta.content for chunk in stream if chunk.choices])
    print(asyncio.run(twins(model)))
vectors = dict(input=["a", "b"], model="openai/text-embedding-3-small", api_base=URL, api_key="k")
print(len(embedding(**vectors).data), len(asyncio.run(aembedding(**vectors)).data))
"""
)
SERVED = {
    "openai": "gpt-4o",
    "groq": "llama-3.1-8b-instant",
    "deepseek": "deepseek-chat",
    "anthropic": "claude-sonnet-4-5",
    "gcp.gemini": "gemini-2.5-flash",
    "azure.ai.openai": "gpt-4o",
}


def _priced(done: Done) -> None:
    assert all(call["cost_status"] == "priced" and call["cost"] > 0 for call in done.calls), done.calls


@pytest.mark.surface("litellm", "completion", "sync", "async")
@pytest.mark.surface("litellm", "completion stream", "sync", "async")
@pytest.mark.surface("litellm", "embedding", "sync", "async")
def test_each_route_is_one_record(run: Run, providers: ProviderServer) -> None:
    """Six vendors, two of them through another SDK: sync, async, streamed, embedded; one priced record each."""
    done = alike(run, providers, CHATS, lambda: None)
    served = {name: model for name, model in SERVED.items() if name != "gcp.gemini" or "gemini" in done.out}
    assert Counter(call["provider"] for call in done.calls) == dict.fromkeys(served, 4) | {"openai": 6}
    assert len(done.calls) == len(providers.sent)
    _priced(done)
    chats = [call for call in done.calls if call["op"] == "chat"]
    assert {(call["provider"], call["model"]) for call in chats} == set(served.items())
    assert {call["usage"]["input"] for call in chats} == {10}
    assert [call["usage"].get("output") for call in done.calls if call["op"] == "embeddings"] == [None] * 2
    streamed = [call for call in chats if call.get("stream")]
    assert len(streamed) == 2 * len(served)
    assert all(call["first_chunk"] > 0 for call in streamed)


ATTEMPTS = (
    START
    + """
from litellm import Router
failing = of("openai/gpt-4o", messages=ASK) | {"model": "openai/error-500"}
def outcome(call):
    try:
        return call().choices[0].message.content
    except Exception as error:
        return type(error).__name__, error.status_code

print(outcome(lambda: completion(max_retries=0, **failing)))
print(outcome(lambda: asyncio.run(acompletion(num_retries=0, max_retries=0, **failing))))
print(outcome(lambda: completion(num_retries=2, max_retries=0, **of("groq/llama-3.1-8b-instant", messages=ASK) | {"model": "groq/error-503"})))
print(outcome(lambda: completion(fallbacks=["openai/gpt-4o"], **failing, max_retries=0)))
router = Router(num_retries=0, model_list=[
    {"model_name": "bad", "litellm_params": of("openai/gpt-4o") | {"model": "openai/error-500"}},
    {"model_name": "good", "litellm_params": of("anthropic/claude-sonnet-4-5")},
], fallbacks=[{"bad": ["good"]}])
print(outcome(lambda: router.completion("good", ASK)))
print(outcome(lambda: asyncio.run(router.acompletion("bad", ASK))))
print(completion(messages=ASK, mock_response="said", **of("openai/gpt-4o")).choices[0].message.content)
if int(importlib.metadata.version("litellm").split(".")[1]) > 100:
    raise SystemExit  # from then on its cache needs what its proxy needs
litellm.cache = litellm.Cache()
print([outcome(lambda: completion(messages=[{"role": "user", "content": "again"}], caching=True, **of("openai/gpt-4o"))) for _ in "123"])
"""
)


def test_each_attempt_is_one_record(run: Run, providers: ProviderServer) -> None:
    """Retries, fallbacks and a router's deployments: one record for each request; none for a cache or a mock."""
    done = run(ATTEMPTS)
    assert done.returncode == 0, done.err
    assert len(done.calls) == len(providers.requests), done.out
    failed = [call for call in done.calls if call.get("error")]
    assert [call["status"] for call in failed if call["provider"] == "openai"] == [500] * 4, done.out
    assert {call["status"] for call in failed if call["provider"] == "groq"} == {503}
    assert all("cost" not in call for call in failed)


LEFT = (
    START
    + """
import gc
from hexr import hexr_agent, hexr_role
from opentelemetry import trace

def some(model):
    stream = completion(messages=ASK, stream=True, **of(model))
    return [next(stream).choices[0].delta.content for _ in "12"]

async def closed(model):
    stream = await acompletion(messages=ASK, stream=True, **of(model))
    first = await anext(stream)
    if hasattr(stream, "aclose"):  # older ones can only be dropped
        await stream.aclose()
    return first.choices[0].delta.content

with hexr_agent("poet", tenant="acme"), hexr_role("critic"):
    for model in ("openai/gpt-4o", "anthropic/claude-sonnet-4-5"):
        print(some(model)); gc.collect()
        print(asyncio.run(closed(model)))
    print(len(litellm.batch_completion(messages=[ASK, ASK], **of("anthropic/claude-sonnet-4-5"))))
"""
)


def test_a_stream_that_is_left_is_one_partial_record(run: Run, providers: ProviderServer) -> None:
    """Dropped or closed after a chunk or two: ended once, partial; batches in threads keep agent, tenant and role."""
    done = run(LEFT)
    assert done.returncode == 0, done.err
    calls = done.calls
    assert len(calls) == len(providers.sent) == 6, done.out
    assert {(call["agent"], call["tenant"], call["role"]) for call in calls} == {("poet", "acme", "critic")}
    assert Counter((call["cost_status"], bool(call.get("stream"))) for call in calls) == {
        ("partial", True): 4,
        ("priced", False): 2,
    }


RESPONSES = (
    START
    + """
async def twins(model):
    whole = await litellm.aresponses(input="hi", **of(model))
    return whole.usage.total_tokens, [event.type async for event in await litellm.aresponses(input="hi", stream=True, **of(model))][-1]

for model in ("openai/gpt-4o", "groq/llama-3.1-8b-instant", "anthropic/claude-sonnet-4-5"):
    print(litellm.responses(input="hi", **of(model)).usage.total_tokens)
    print([event.type for event in litellm.responses(input="hi", stream=True, **of(model))][-1])
    print(asyncio.run(twins(model)))
"""
)


@pytest.mark.surface("litellm", "responses", "sync", "async")
@pytest.mark.surface("litellm", "responses stream", "sync", "async")
def test_responses_are_one_record(run: Run, providers: ProviderServer) -> None:
    """OpenAI's own route and those that LiteLLM makes of chats: sync, async, streamed."""
    pytest.importorskip("litellm.responses.main")
    pytest.importorskip("mcp")
    done = alike(run, providers, RESPONSES, lambda: None)
    assert len(done.calls) == len(providers.sent) == 12, done.err
    assert Counter(call["provider"] for call in done.calls) == {"openai": 4, "groq": 4, "anthropic": 4}
    # A host that sends a stream no usage unless asked is not asked by LiteLLM: what it estimates is no usage.
    unknown = [call for call in done.calls if call["cost_status"] != "priced"]
    assert all(call["provider"] == "groq" and call.get("stream") for call in unknown), unknown


LATE = (
    START
    + """
import hexr_instrument
before = litellm.completion, completion, litellm.main.completion
hexr_instrument.instrument()
print([completion(messages=ASK, **of(model)).usage.total_tokens for model in ROUTES])
hexr_instrument.uninstrument()
print(before == (litellm.completion, completion, litellm.main.completion))
completion(messages=ASK, **of("openai/gpt-4o"))
"""
)


def test_names_that_were_imported_before_are_recorded(run: Run, providers: ProviderServer) -> None:
    """`from litellm import completion` long before the recording is switched on; and off again."""
    done = run(LATE, bare=True)
    assert done.returncode == 0, done.err
    assert done.out.splitlines()[-1] == "True"
    assert len(done.calls) == len(providers.sent) - 1 > 4


TRACED = (
    START
    + """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
kept = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(kept))
trace.set_tracer_provider(provider)
litellm.callbacks = ["otel"]  # its own spans, made in threads of its own
for model in ROUTES:
    completion(messages=ASK, **of(model))
for span in kept.get_finished_spans():
    if span.instrumentation_scope.name == "hexr_instrument" or "hexr.llm.cost_usd" in span.attributes:
        print(span.name, span.attributes.get("hexr.llm.cost_usd"), span.parent)
"""
)


def test_one_span_for_a_call_through_another_sdk(run: Run, providers: ProviderServer) -> None:
    """On the program's own provider: one span with a cost for each call, none of the SDK beneath."""
    done = run(TRACED)
    assert done.returncode == 0, done.err
    spans: list[Any] = [line.split() for line in done.out.splitlines()]
    assert len(spans) == len(providers.sent) > 4
    assert all(float(span[2]) > 0 for span in spans)


def test_an_answer_without_usage_is_no_usage(run: Run, providers: ProviderServer) -> None:
    """What LiteLLM would estimate with a tokenizer of its own is not what is billed."""
    providers.script(Reply(text="said", usage=NO_USAGE))
    done = run(START + "print(len(list(completion(messages=ASK, stream=True, **of('deepseek/deepseek-chat')))))")
    assert done.returncode == 0, done.err
    assert [call["cost_status"] for call in done.calls] == ["no_usage"]


@pytest.mark.surface("litellm", "hexr_llm", "sync", "async")
def test_the_direct_call(run: Run) -> None:
    """The front of the model's name says who serves it, and so what it costs."""
    url = 'base_url=os.environ["OPENAI_BASE_URL"].removesuffix("/v1"), api_key="k"'
    done = run(START + DIRECT + f'asked(provider="litellm", model="anthropic/claude-sonnet-4-5", {url})')
    calls = direct(done, "anthropic", (50, 400), True)
    assert {call["provider"] for call in calls} == {"anthropic"}
