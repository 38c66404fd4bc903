"""Mistral's own SDK: every method that asks a model, bare and recorded."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from providers.mistral_server import MistralHandler
from providers.vendor import VendorServer, spent
from support import Done, Run, alike

from hexr_instrument.demo.receiver import OtlpReceiver

IMPORTS = """
import asyncio, gc, inspect, os, pickle
try:
    from mistralai.client import Mistral
except ImportError:
    from mistralai import Mistral

U = os.environ["MISTRAL_TEST_URL"]
M = [{"role": "user", "content": "Do cats purr?"}]
"""
PROGRAM = (
    IMPORTS
    + """
from pydantic import BaseModel


class Sound(BaseModel):
    sound: str


def shown(name, make):
    try:
        print(name, make())
    except Exception as error:
        print(name, type(error).__mro__, error)


def said(stream):
    print(type(stream).__name__)
    with stream as events:
        return [event.data.choices[0].delta.content for event in events]


client = Mistral(api_key="k", server_url=U)
chat = client.chat
shown("chat", lambda: chat.complete(model="mistral-large-2512", messages=M, temperature=0.5, max_tokens=99, random_seed=7))
shown("parse", lambda: chat.parse(Sound, model="mistral-small-2603", messages=M).choices[0].message.parsed)
shown("stream", lambda: said(chat.stream(model="mistral-large-2512", messages=M)))
shown("thinker", lambda: said(chat.stream(model="thinker", messages=M)))
shown("parse_stream", lambda: said(chat.parse_stream(Sound, model="mistral-small-2603", messages=M)))
shown("agents", lambda: client.agents.complete(agent_id="ag_1", messages=M).model)
shown("agents stream", lambda: said(client.agents.stream(agent_id="ag_1", messages=M)))
shown("fim", lambda: client.fim.complete(model="codestral-2508", prompt="def f(x):", suffix="return y").choices)
shown("fim stream", lambda: said(client.fim.stream(model="codestral-2508", prompt="def f(x):")))
shown("embeddings", lambda: client.embeddings.create(model="mistral-embed", inputs=["two words", "three more words"]))
talks = client.beta.conversations
shown("start", lambda: talks.start(inputs="Do cats purr?", model="mistral-medium-2508"))
shown("append", lambda: talks.append(conversation_id="conv_1", inputs="And dogs?").outputs[0].content)
shown("search", lambda: talks.start(inputs="Do cats purr?", model="mistral-medium-2508", tools=[{"type": "web_search"}]).usage)
with talks.start_stream(inputs="Do cats purr?", model="mistral-medium-2508") as events:
    print([getattr(event.data, "content", event.data.type) for event in events])
shown("error", lambda: chat.complete(model="error-429", messages=M))
shown("stream error", lambda: said(chat.stream(model="error-500", messages=M)))
shown("cut", lambda: said(chat.stream(model="cut", messages=M)))
shown("wrong", lambda: chat.complete(model="m", messages=5))
half = chat.stream(model="mistral-large-2512", messages=M)
print(next(iter(half)).data.choices[0].delta.content)
half.response.close()
del half
dropped = chat.stream(model="mistral-large-2512", messages=M)
next(dropped)
del dropped
gc.collect()


async def main():
    async with Mistral(api_key="k", server_url=U) as client:
        print((await client.chat.complete_async(model="mistral-large-2512", messages=M)).choices[0].message.content)
        stream = await client.chat.stream_async(model="mistral-large-2512", messages=M)
        print(type(stream).__name__, [event.data.choices[0].delta.content async for event in stream])
        print((await client.embeddings.create_async(model="mistral-embed", inputs="two words")).data)
        print((await client.chat.parse_async(Sound, model="mistral-small-2603", messages=M)).choices[0].message.parsed)
        print((await client.fim.complete_async(model="codestral-2508", prompt="def f(x):")).id[:5])
        print((await client.beta.conversations.start_async(inputs="Do cats purr?", model="mistral-medium-2508")).outputs)
        async with await client.chat.stream_async(model="mistral-large-2512", messages=M) as events:
            async for event in events:
                break
        try:
            await client.chat.complete_async(model="error-503", messages=M)
        except Exception as error:
            print(type(error).__mro__, error.status_code, error)


asyncio.run(main())
print(list(inspect.signature(type(chat).complete).parameters), pickle.loads(pickle.dumps(type(chat).complete)).__qualname__)
"""
)
HANDLES = (
    IMPORTS
    + """
from hexr import hexr_agent, hexr_llm, hexr_role

client = Mistral(api_key="k", server_url=U)
client.chat  # made before it is registered
writer, editor = hexr_llm(client, role="writer"), hexr_llm(client, role="editor")
assert type(writer) is Mistral and writer.sdk_configuration.client is client.sdk_configuration.client
del client
gc.collect()
writer.chat.complete(model="a", messages=M)
editor.beta.conversations.start(inputs="x", model="b")
with editor.chat.stream(model="c", messages=M) as events:
    list(events)


@hexr_agent(name="crew", tenant="acme")
async def main():
    with hexr_role("aio"):
        await writer.chat.complete_async(model="d", messages=M)
        await Mistral(api_key="k", server_url=U).chat.complete_async(model="e", messages=M)
    said = await hexr_llm.aio(provider="mistral", model="mistral-large-2512", prompt="Do cats purr?", role="direct", base_url=U)
    print(said, said.provider, said.cost_usd)
    stream = await hexr_llm.aio(provider="mistral", model="f", prompt="Do cats purr?", stream=True, base_url=U)
    print([piece async for piece in stream], stream.response.usage.output)


asyncio.run(main())
answer = hexr_llm(provider="mistral", model="g", prompt="Do cats purr?", system="Be brief.", base_url=U, api_key="k")
print(answer, answer.usage.input, answer.cost_usd)
stream = hexr_llm(provider="mistral", model="h", prompt="Do cats purr?", stream=True, base_url=U)
print(list(stream), stream.response.usage.input)
"""
)
SPANS = (
    IMPORTS
    + """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

spans = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(provider)
client = Mistral(api_key="k", server_url=U)
client.chat.complete(model="mistral-large-2512", messages=M)
with client.chat.stream(model="mistral-large-2512", messages=M) as events:
    list(events)


async def main():
    await client.chat.complete_async(model="mistral-large-2512", messages=M)


asyncio.run(main())
found = spans.get_finished_spans()
print([(span.instrumentation_scope.name, span.name) for span in found])
"""
)


@pytest.fixture
def mistral() -> Iterator[VendorServer]:
    """A loopback Mistral."""
    with VendorServer(MistralHandler) as server:
        yield server


@pytest.fixture
def ask(run: Run, mistral: VendorServer) -> Callable[..., Done]:
    """Runs a program against it."""
    return lambda source, **more: run(source, MISTRAL_TEST_URL=mistral.url, MISTRAL_API_KEY="k", **more)


@pytest.mark.surface("mistralai", "chat", "sync", "async")
@pytest.mark.surface("mistralai", "chat stream", "sync", "async")
@pytest.mark.surface("mistralai", "chat parse", "sync", "async")
@pytest.mark.surface("mistralai", "agents")
@pytest.mark.surface("mistralai", "fim", "sync", "async")
@pytest.mark.surface("mistralai", "embeddings", "sync", "async")
@pytest.mark.surface("mistralai", "conversations", "sync", "async")
def test_every_way_to_ask_mistral_is_recorded_and_unchanged(ask: Run, mistral: VendorServer) -> None:
    """Sync, async, streams, parsed, agents, code, embeddings, conversations, errors: seen as bare, one record each."""
    done = alike(ask, mistral, PROGRAM, mistral.clear)
    assert spent(done.calls) == [
        ("chat", "mistral-large-2512", 30, 30, "priced"),
        ("chat", "mistral-small-2603", 30, 30, "priced"),
        ("chat", "mistral-large-2512", 30, 30, "priced"),
        ("chat", "thinker", 30, 30, "unpriced"),
        ("chat", "mistral-small-2603", 30, 30, "priced"),
        ("chat", "mistral-large-2512", 30, 30, "priced"),  # the agent's model
        ("chat", "mistral-large-2512", 30, 30, "priced"),
        ("text_completion", "codestral-2508", 40, 30, "priced"),
        ("text_completion", "codestral-2508", 20, 30, "priced"),
        ("embeddings", "mistral-embed", 50, None, "priced"),
        ("chat", "mistral-medium-2508", 30, 30, "priced"),
        ("chat", "mistral-medium-2508", 20, 30, "priced"),
        ("chat", "mistral-medium-2508", 530, 30, "partial"),  # the search has a fee of its own
        ("chat", "mistral-medium-2508", 30, 30, "priced"),
        ("chat", "error-429", None, None, "no_usage"),
        ("chat", "error-500", None, None, "no_usage"),
        ("chat", "cut", None, None, "partial"),
        ("chat", "m", None, None, "no_usage"),
        ("chat", "mistral-large-2512", None, None, "partial"),
        ("chat", "mistral-large-2512", None, None, "partial"),
        ("chat", "mistral-large-2512", 30, 30, "priced"),
        ("chat", "mistral-large-2512", 30, 30, "priced"),
        ("embeddings", "mistral-embed", 20, None, "priced"),
        ("chat", "mistral-small-2603", 30, 30, "priced"),
        ("text_completion", "codestral-2508", 20, 30, "priced"),
        ("chat", "mistral-medium-2508", 30, 30, "priced"),
        ("chat", "mistral-large-2512", None, None, "partial"),
        ("chat", "error-503", None, None, "no_usage"),
    ]
    first = done.calls[0]
    assert (first["provider"], first["cost"]) == ("mistral_ai", 30 * 500_000 + 30 * 1_500_000)  # 0.5 and 1.5 USD
    assert first["params"] == {"temperature": 0.5, "max_tokens": 99, "seed": 7}
    thinker = done.calls[3]
    assert (thinker["usage"]["cache_read"], thinker["tier"]) == (10, "standard")
    assert thinker["first_chunk"] > 0
    errors = {call["error"].rpartition(".")[2]: call.get("status") for call in done.calls if "error" in call}
    assert errors.keys() == {"SDKError", "RemoteProtocolError", "ValidationError"}
    assert [call["status"] for call in done.calls if "status" in call] == [429, 500, 503]


def test_clients_carry_their_roles_and_calls_go_without_one(ask: Run, mistral: VendorServer) -> None:
    """A registered client keeps its transport open and carries its role; the direct call has its usage and its cost."""
    done = ask(HANDLES)
    assert done.returncode == 0, done.err
    assert done.out.splitlines() == [
        "Cats purr all day. mistral_ai 6e-05",
        "['Cats ', 'purr ', 'all day.'] 30",
        "Cats purr all day. 50 None",
        "['Cats ', 'purr ', 'all day.'] 30",
    ]
    assert [(call["model"], call.get("role"), call.get("tenant")) for call in done.calls] == [
        ("a", "writer", None),
        ("b", "editor", None),
        ("c", "editor", None),
        ("d", "writer", "acme"),
        ("e", "aio", "acme"),
        ("mistral-large-2512", "direct", "acme"),
        ("f", None, "acme"),
        ("g", None, None),
        ("h", None, None),
    ]


def test_the_sdks_own_spans_do_not_double_ours(ask: Run, mistral: VendorServer) -> None:
    """Where the program's provider would get the SDK's own spans, too, each call has one; and two where both are wanted."""
    ours = ("hexr_instrument", "chat mistral-large-2512")
    done = ask(SPANS, MISTRAL_SDK_TELEMETRY="global")
    assert (done.returncode, done.out.strip()) == (0, str([ours] * 3)), done.err
    assert not any("traceparent" in each.headers for each in mistral.requests)
    kept = ask(SPANS, MISTRAL_SDK_TELEMETRY="global", HEXR_NATIVE_SPANS="keep")
    assert kept.out.count("hexr_instrument") == kept.out.count("mistralai_sdk_tracer") == 3


CONTENT = (
    IMPORTS
    + """
client = Mistral(api_key="k", server_url=U)
picture = {"type": "image_url", "image_url": "https://example.com/cat.png"}
asked = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": [{"type": "text", "text": "Do cats purr?"}, picture]}]
client.chat.complete(model="a", messages=asked)
with client.chat.stream(model="thinker", messages=M) as events:
    list(events)
client.fim.complete(model="codestral-2508", prompt="def f(x):")
client.beta.conversations.start(inputs=[{"role": "user", "content": "Do cats purr?"}], model="b", instructions="Be brief.", tools=[{"type": "web_search"}])
with client.beta.conversations.start_stream(inputs="Do cats purr?", model="c") as events:
    list(events)
"""
)


def test_content_is_recorded_where_it_is_asked_for(ask: Run, mistral: VendorServer, receiver: OtlpReceiver) -> None:
    """Prompts and answers, whole and streamed, thoughts apart, are on the spans as the conventions have them."""
    done = ask(CONTENT, OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT="SPAN_ONLY", **receiver.environment())
    assert done.returncode == 0, done.err
    assert {span.scope.name for span in receiver.spans} == {"hexr_instrument"}
    whole, streamed, code, talk, talked = [
        {
            name.rpartition("gen_ai.")[2]: json.loads(text)
            for name, text in span.attributes.items()
            if name.startswith("gen_ai.") and type(text) is str and text.startswith("[")
        }
        for span in sorted(receiver.spans, key=lambda span: span.start)
    ]
    asked = {"type": "text", "content": "Do cats purr?"}
    answer = {"role": "assistant", "parts": [{"type": "text", "content": "Cats purr all day."}]}
    picture = {"type": "uri", "modality": "image", "uri": "https://example.com/cat.png"}
    assert whole == {
        "input.messages": [
            {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
            {"role": "user", "parts": [asked, picture]},
        ],
        "output.messages": [answer],
    }
    thought = {"type": "reasoning", "content": "Hm."}
    assert streamed["output.messages"] == [{"role": "assistant", "parts": [thought, *answer["parts"]]}]
    assert code["input.messages"] == [{"role": "user", "parts": [{"type": "text", "content": "def f(x):"}]}]
    assert talk == {
        "input.messages": [{"role": "user", "parts": [asked]}],
        "system_instructions": [{"type": "text", "content": "Be brief."}],
        "tool.definitions": [{"type": "web_search", "name": "web_search"}],
        "output.messages": [answer],
    }
    assert code["output.messages"] == talked["output.messages"] == [answer]
