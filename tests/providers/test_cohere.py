"""Cohere's own SDK, v1 and v2: every method that asks a model, bare and recorded."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from providers.cohere_server import CohereHandler
from providers.vendor import VendorServer, spent
from support import Done, Run, alike

from hexr_instrument.demo.receiver import OtlpReceiver

IMPORTS = """
import asyncio, gc, inspect, os, pickle
import cohere

U = os.environ["COHERE_TEST_URL"]
M = [{"role": "user", "content": "Do cats purr?"}]
"""
PROGRAM = (
    IMPORTS
    + """

def shown(name, make):
    try:
        print(name, make())
    except Exception as error:
        print(name, type(error).__mro__, getattr(error, "body", error))


def said(stream):
    print(type(stream).__name__, inspect.isgenerator(stream))
    return [event.type if hasattr(event, "type") else event.event_type for event in stream]


two, one = cohere.ClientV2("k", base_url=U), cohere.Client("k", base_url=U)
C = "command-r-08-2024"
shown("v2 chat", lambda: two.chat(model=C, messages=M, temperature=0.5, p=0.9, k=3, max_tokens=99, stop_sequences=["."]))
shown("v2 raw", lambda: two.with_raw_response.chat(model=C, messages=M).data.id)
shown("v2 stream", lambda: said(two.chat_stream(model=C, messages=M)))
shown("v2 embed", lambda: two.embed(model="embed-v4.0", texts=["two words"], input_type="search_query", embedding_types=["float"]).embeddings)
shown("v2 rerank", lambda: two.rerank(model="rerank-v3.5", query="cats", documents=["a", "b"]))
shown("v1 chat", lambda: one.chat(model=C, message="Do cats purr?"))
shown("v1 stream", lambda: said(one.chat_stream(model=C, message="Do cats purr?")))
shown("v1 generate", lambda: one.generate(model="command", prompt="Do cats purr?"))
shown("v1 batches", lambda: len(one.embed(model="embed-v4.0", texts=["two words"] * 97, input_type="search_query").embeddings))
shown("v1 rerank", lambda: one.rerank(model="rerank-v3.5", query="cats", documents=["a", "b"]).results)
shown("stream=", lambda: one.chat(model=C, message="x", stream=True))
shown("error", lambda: two.chat(model="error-400", messages=M))
shown("stream error", lambda: said(two.chat_stream(model="error-404", messages=M)))
shown("cut", lambda: said(two.chat_stream(model="cut", messages=M)))
never = two.chat_stream(model=C, messages=M)
del never
half = two.chat_stream(model=C, messages=M)
print(next(half).type)
half.close()
for event in two.chat_stream(model=C, messages=M):
    break
with two.with_raw_response.chat_stream(model=C, messages=M) as raw:
    print(raw.headers["content-type"], len(list(raw.data)))
try:
    with two.with_raw_response.chat_stream(model=C, messages=M) as raw:
        1 / 0
except ZeroDivisionError as error:
    print(type(error))


async def main():
    async with cohere.AsyncClientV2("k", base_url=U) as client:
        print((await client.chat(model=C, messages=M)).finish_reason)
        stream = client.chat_stream(model=C, messages=M)
        print(type(stream).__name__, [event.type async for event in stream])
        print((await client.embed(model="embed-v4.0", texts=["two words"], input_type="search_query", embedding_types=["float"])).id)
        print((await client.rerank(model="rerank-v3.5", query="cats", documents=["a", "b"])).id)
        half = client.chat_stream(model=C, messages=M)
        print((await anext(half)).type)
        await half.aclose()
        for model in ("error-400", "error-404"):
            try:
                print([event async for event in client.chat_stream(model=model, messages=M)])
            except Exception as error:
                print(type(error).__mro__, error.status_code, error.body)
    old = cohere.AsyncClient("k", base_url=U)
    print((await old.chat(model=C, message="Do cats purr?")).text)
    print([event.event_type async for event in old.chat_stream(model=C, message="Do cats purr?")])
    print(len((await old.embed(model="embed-v4.0", texts=["two words"], input_type="search_query")).embeddings))


asyncio.run(main())
raw = type(two.v2._raw_client)
print(list(inspect.signature(raw.chat).parameters), pickle.loads(pickle.dumps(raw.chat)).__qualname__)
"""
)
HANDLES = (
    IMPORTS
    + """
from hexr import hexr_agent, hexr_llm, hexr_role

client, old = cohere.ClientV2("k", base_url=U), cohere.Client("k", base_url=U)
writer, editor, before = hexr_llm(client, role="writer"), hexr_llm(client, role="editor"), hexr_llm(old, role="before")
assert type(writer) is cohere.ClientV2 and writer._client_wrapper.httpx_client is client._client_wrapper.httpx_client
writer.chat(model="a", messages=M)
list(editor.chat_stream(model="b", messages=M))
before.chat(model="c", message="x")
before.v2.chat(model="d", messages=M)
client.chat(model="e", messages=M)
before.embed(model="f", texts=["two words"] * 97, input_type="search_query")
try:
    before.chat(model="x", message="x", stream=True)
except ValueError as error:
    print(error)


@hexr_agent(name="crew", tenant="acme")
async def main():
    async for event in hexr_llm(cohere.AsyncClientV2("k", base_url=U), role="aio").chat_stream(model="g", messages=M):
        pass
    print(await hexr_llm.aio(provider="cohere", model="command-r-08-2024", prompt="Do cats purr?", role="direct", base_url=U))
    stream = await hexr_llm.aio(provider="cohere", model="h", prompt="Do cats purr?", stream=True, base_url=U)
    print([piece async for piece in stream], stream.response.usage.output)


asyncio.run(main())
answer = hexr_llm(provider="cohere", model="command-r-08-2024", prompt="Do cats purr?", system="Be brief.", base_url=U)
print(answer, answer.provider, answer.usage.input, answer.cost_usd)
stream = hexr_llm(provider="cohere", model="i", prompt="Do cats purr?", stream=True, base_url=U, api_key="k")
print(list(stream), stream.response.usage.input)
"""
)


@pytest.fixture
def cohere() -> Iterator[VendorServer]:
    """A loopback Cohere."""
    with VendorServer(CohereHandler) as server:
        yield server


@pytest.fixture
def ask(run: Run, cohere: VendorServer) -> Callable[..., Done]:
    """Runs a program against it."""
    return lambda source, **more: run(source, COHERE_TEST_URL=cohere.url, CO_API_KEY="k", **more)


@pytest.mark.surface("cohere", "v2 chat", "sync", "async")
@pytest.mark.surface("cohere", "v2 chat stream", "sync", "async")
@pytest.mark.surface("cohere", "v2 embed", "sync", "async")
@pytest.mark.surface("cohere", "v2 rerank", "sync", "async")
@pytest.mark.surface("cohere", "v1 chat", "sync", "async")
@pytest.mark.surface("cohere", "v1 chat stream", "sync", "async")
@pytest.mark.surface("cohere", "v1 generate")
@pytest.mark.surface("cohere", "v1 embed", "sync", "async")
@pytest.mark.surface("cohere", "v1 rerank")
def test_every_way_to_ask_cohere_is_recorded_and_unchanged(ask: Run, cohere: VendorServer) -> None:
    """v1 and v2, sync, async, streams, raw, embeddings in batches, reranking, errors: seen as bare, one record each."""
    done = alike(ask, cohere, PROGRAM, cohere.clear)
    chat = ("chat", "command-r-08-2024", 30, 30, "priced")
    embed = ("embeddings", "embed-v4.0", 20, None, "priced")
    rerank = ("rerank", "rerank-v3.5", None, None, "unpriced")
    partial = ("chat", "command-r-08-2024", None, None, "partial")
    refused = [("chat", model, None, None, "no_usage") for model in ("error-400", "error-404")]
    found = spent(done.calls)
    assert found[:8] == [chat, chat, chat, embed, rerank, chat, chat, ("text_completion", "command", 30, 30, "priced")]
    assert sorted(found[8:10]) == sorted([embed, ("embeddings", "embed-v4.0", 1920, None, "priced")])  # both at once
    assert found[10:] == [
        rerank,
        *refused,
        ("chat", "cut", None, None, "partial"),
        partial,
        partial,
        chat,
        partial,
        chat,
        chat,
        embed,
        rerank,
        partial,
        *refused,
        chat,
        chat,
        embed,
    ]
    first = done.calls[0]
    assert (first["provider"], first["cost"]) == ("cohere", 30 * 150_000 + 30 * 600_000)  # what is billed, not counted
    assert first["params"] == {
        "temperature": 0.5, "top_p": 0.9, "top_k": 3, "max_tokens": 99, "stop_sequences": ["."]
    }  # fmt: skip
    assert done.calls[2]["first_chunk"] > 0
    assert done.calls[4]["usage"] == {"search_units": 1}
    assert [call["status"] for call in done.calls if "status" in call] == [400, 404] * 2


def test_clients_carry_their_roles_and_calls_go_without_one(ask: Run, cohere: VendorServer) -> None:
    """A registered client's own copies of its methods carry its role, too; the direct call has its usage and cost."""
    done = ask(HANDLES)
    assert done.returncode == 0, done.err
    assert done.out.splitlines() == [
        "Since python sdk cohere==5.0.0, you must now use chat_stream(...) instead of chat(stream=True, ...)",
        "Cats purr all day.",
        "['Cats ', 'purr ', 'all day.'] 30",
        "Cats purr all day. cohere 50 2.55e-05",
        "['Cats ', 'purr ', 'all day.'] 30",
    ]
    assert [(call["model"], call.get("role"), call.get("tenant")) for call in done.calls] == [
        ("a", "writer", None),
        ("b", "editor", None),
        ("c", "before", None),
        ("d", "before", None),
        ("e", None, None),
        ("f", "before", None),
        ("f", "before", None),
        ("g", "aio", "acme"),
        ("command-r-08-2024", "direct", "acme"),
        ("h", None, "acme"),
        ("command-r-08-2024", None, None),
        ("i", None, None),
    ]


CONTENT = (
    IMPORTS
    + """
client, old = cohere.ClientV2("k", base_url=U), cohere.Client("k", base_url=U)
client.chat(model="a", messages=M)
list(client.chat_stream(model="b", messages=M))
old.chat(model="c", message="Do cats purr?", preamble="Be brief.")
list(old.chat_stream(model="d", message="Do cats purr?", chat_history=[{"role": "USER", "message": "Hi"}]))
client.rerank(model="rerank-v3.5", query="cats", documents=["a", "b"])
client.embed(model="embed-v4.0", texts=["two words"], input_type="search_query", embedding_types=["float"])
"""
)


def test_content_is_recorded_where_it_is_asked_for(ask: Run, cohere: VendorServer, receiver: OtlpReceiver) -> None:
    """Prompts and answers, whole and streamed, thoughts apart, are on the spans as the conventions have them."""
    done = ask(CONTENT, OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT="SPAN_ONLY", **receiver.environment())
    assert done.returncode == 0, done.err
    spans = sorted(receiver.spans, key=lambda span: span.start)
    assert [span.name for span in spans] == [
        "chat a", "chat b", "chat c", "chat d", "rerank rerank-v3.5", "embeddings embed-v4.0"
    ]  # fmt: skip
    two, streamed, one, talked = [
        {name[7:]: json.loads(text) for name, text in span.attributes.items() if name.endswith((".messages", "ions"))}
        for span in spans[:4]
    ]
    asked = {"role": "user", "parts": [{"type": "text", "content": "Do cats purr?"}]}
    said = {"type": "text", "content": "Cats purr all day."}
    thought = {"type": "reasoning", "content": "Hm."}
    answer = {"role": "assistant", "parts": [thought, said]}
    assert two == streamed == {"input.messages": [asked], "output.messages": [answer]}
    plain = [{"role": "assistant", "parts": [said]}]
    instructions = [{"type": "text", "content": "Be brief."}]
    assert one == {"input.messages": [asked], "system_instructions": instructions, "output.messages": plain}
    before = {"role": "user", "parts": [{"type": "text", "content": "Hi"}]}
    assert talked == {"input.messages": [before, asked], "output.messages": plain}
