"""Ollama's own SDK: every method that asks a model, by a client and by the module's functions, bare and recorded."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from providers.ollama_server import OllamaServer
from support import Done, Run, alike

from hexr_instrument.demo.receiver import OtlpReceiver

PROGRAM = """
import asyncio, inspect, os, pickle
import ollama
from ollama import chat, AsyncClient, Client, ResponseError

M = [{"role": "user", "content": "Do cats purr?"}]
THINK = {"think": "high"} if "think" in inspect.signature(chat).parameters else {}


def shown(name, make):
    try:
        print(name, make())
    except Exception as error:
        print(name, type(error).__mro__, error)


client = Client()
OPTIONS = {"temperature": 0.5, "num_predict": 99, "top_k": 40, "stop": ["."]}
shown("chat", lambda: client.chat(model="llama3.2", messages=M, options=OPTIONS))
shown("module", lambda: chat("llama3.2", M))  # bound to a client of the module's own at import
shown("attribute", lambda: ollama.chat(model="llama3.2", messages=M, **THINK).message.content)
shown("tools", lambda: client.chat(model="llama3.2", messages=M, tools=[{"type": "function", "function": {"name": "weather"}}]).message.tool_calls)
shown("generate", lambda: ollama.generate(model="llama3.2", prompt="Do cats purr?", system="Be brief.", format="json").response)
shown("embed", lambda: ollama.embed(model="nomic-embed-text", input=["two words", "three more words"]).embeddings)
shown("embeddings", lambda: ollama.embeddings(model="nomic-embed-text", prompt="two words"))
shown("load", lambda: client.generate(model="llama3.2").done_reason)  # asks nothing: it loads the model
shown("list", lambda: client.list())
shown("error", lambda: client.chat(model="error-500", messages=M))
shown("wrong", lambda: client.chat(model="", messages=M))


def streamed(stream):
    print(type(stream).__name__, inspect.isgenerator(stream))
    return [(piece.message.content if hasattr(piece, "message") else piece.response) for piece in stream]


shown("stream", lambda: streamed(client.chat(model="llama3.2", messages=M, stream=True)))
shown("generated", lambda: streamed(ollama.generate(model="llama3.2", prompt="Do cats purr?", stream=True)))
shown("mid-error", lambda: streamed(client.chat(model="mid-error", messages=M, stream=True)))
shown("cut", lambda: streamed(client.chat(model="cut", messages=M, stream=True)))
shown("refused", lambda: streamed(client.chat(model="error-429", messages=M, stream=True)))
never = client.chat(model="llama3.2", messages=M, stream=True)  # nothing is sent
del never
half = client.chat(model="llama3.2", messages=M, stream=True)
print(next(half).message.content)
half.close()
for piece in client.chat(model="llama3.2", messages=M, stream=True):
    break


async def main():
    client = AsyncClient()
    print((await client.chat(model="llama3.2", messages=M)).message.content)
    print([each.message.content async for each in await client.chat(model="llama3.2", messages=M, stream=True)])
    print((await client.embed(model="nomic-embed-text", input="two words")).embeddings)
    never = await client.chat(model="llama3.2", messages=M, stream=True)
    half = await client.generate(model="llama3.2", prompt="Do cats purr?", stream=True)
    print((await anext(half)).response)
    await half.aclose()
    for model in ("error-503", "mid-error"):
        try:
            print([each async for each in await client.chat(model=model, messages=M, stream=True)])
        except ResponseError as error:
            print(model, error.status_code, error)
    print([await one(client, n) for n in range(5)])


async def one(client, n):
    return (await client.generate(model="llama3.2", prompt="word " * (n + 1))).prompt_eval_count


asyncio.run(main())
print(inspect.signature(Client._request), pickle.loads(pickle.dumps(Client._request)).__qualname__)
"""

HANDLES = """
import asyncio
from ollama import AsyncClient, Client, chat
from hexr import hexr_agent, hexr_llm, hexr_role

M = [{"role": "user", "content": "Do cats purr?"}]
client = Client()
writer, editor = hexr_llm(client, role="writer"), hexr_llm(client, role="editor")
assert type(writer) is Client and writer._client is client._client
writer.chat(model="a", messages=M)
list(editor.generate(model="b", prompt="x", stream=True))
client.embed(model="c", input="x")
with hexr_role("module"):
    chat("d", M)


@hexr_agent(name="crew", tenant="acme")
async def main():
    await hexr_llm(AsyncClient(), role="aio").chat(model="e", messages=M)
    async for piece in await hexr_llm(AsyncClient(), role="astream").chat(model="f", messages=M, stream=True):
        pass
    print(await hexr_llm.aio(provider="ollama", model="g", prompt="Do cats purr?", role="direct"))


asyncio.run(main())
answer = hexr_llm(provider="ollama", model="h", prompt="Do cats purr?", system="Be brief.", options={"seed": 7})
print(answer, answer.provider, answer.usage.input, answer.usage.output, answer.cost_usd)
stream = hexr_llm(provider="ollama", model="i", prompt="Do cats purr?", stream=True, api_key="secret")
print(list(stream), stream.response.usage.output)
"""


@pytest.fixture
def ollama() -> Iterator[OllamaServer]:
    """A loopback Ollama."""
    with OllamaServer() as server:
        yield server


@pytest.fixture
def ask(run: Run, ollama: OllamaServer) -> Callable[..., Done]:
    """Runs a program against it."""
    return lambda source, **more: run(source, OLLAMA_HOST=ollama.url, **more)


def _spent(calls: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [
        (call["op"], call.get("usage", {}).get("input"), call.get("usage", {}).get("output"), call["cost_status"])
        for call in calls
    ]


ERRORS = {"ollama._types.ResponseError"}
ANSWER = ("chat", 30, 30, "unpriced")
WARM = ("chat", None, 30, "unpriced")
PARTIAL = ("chat", None, None, "partial")


@pytest.mark.surface("ollama", "chat", "sync", "async")
@pytest.mark.surface("ollama", "chat stream", "sync", "async")
@pytest.mark.surface("ollama", "generate", "sync", "async")
@pytest.mark.surface("ollama", "generate stream", "sync", "async")
@pytest.mark.surface("ollama", "embed", "sync", "async")
def test_every_way_to_ask_ollama_is_recorded_and_unchanged(ask: Run, ollama: OllamaServer) -> None:
    """Clients, the module's functions, streams, errors: the same output and bytes, one record for each answer."""
    done = alike(ask, ollama, PROGRAM, lambda: None)  # type: ignore[arg-type]
    assert _spent(done.calls) == [
        *[ANSWER] * 4,
        ("text_completion", 50, 30, "unpriced"),
        ("embeddings", 50, None, "unpriced"),
        ("embeddings", None, None, "no_usage"),
        ("chat", None, None, "no_usage"),
        ANSWER,
        ("text_completion", 30, 30, "unpriced"),
        PARTIAL,
        PARTIAL,
        ("chat", None, None, "no_usage"),
        PARTIAL,
        PARTIAL,
        ANSWER,
        ANSWER,
        ("embeddings", 20, None, "unpriced"),
        ("text_completion", None, None, "partial"),
        ("chat", None, None, "no_usage"),
        PARTIAL,
        *[("text_completion", 10 * n, 30, "unpriced") for n in range(1, 6)],
    ]
    calls = done.calls
    assert {call["provider"] for call in calls} == {"ollama"}
    assert {call["served"] for call in calls if call["op"] == "chat" and not call.get("error")} == {"llama3.2"}
    assert [call.get("status") for call in calls if call.get("error")] == [500, None, None, 429, 503, None]
    assert {call["error"] for call in calls if call.get("error")} <= ERRORS | {"httpx.RemoteProtocolError"}
    assert all("first_chunk" in call for call in calls if call.get("stream") and call["cost_status"] == "unpriced")
    assert calls[0]["params"] == {"temperature": 0.5, "max_tokens": 99, "top_k": 40, "stop_sequences": ["."]}


@pytest.mark.odd("answers that lack what the conventions expect of one")
@pytest.mark.surface("ollama", "systemone")
def test_what_ollama_leaves_out_of_an_answer_is_absent(ask: Run) -> None:
    """A cached prompt that is not counted; scores, which have no reason to end: absent, never 0."""
    program = """
import ollama
ollama.chat(model="warm", messages=[{"role": "user", "content": "hi"}])
if hasattr(ollama, "systemone"):
    ollama.systemone("one", "The cat purrs.", {"purrs": {"type": "noul", "instructions": "Does it purr?"}})
"""
    done = ask(program)
    assert done.returncode == 0, done.err
    assert _spent(done.calls) in ([WARM], [WARM, ("chat", 70, 10, "unpriced")])


@pytest.mark.surface("ollama", "hexr_llm", "sync", "async")
def test_an_ollama_clients_handles_and_the_direct_call(ask: Run, ollama: OllamaServer) -> None:
    """Handles are the SDK's own kind on the same transport; the direct call needs no key, and sends one if it has it."""
    done = ask(HANDLES)
    assert done.returncode == 0, done.err
    assert done.out.splitlines() == [
        "Cats purr all day.",
        "Cats purr all day. ollama 50 30 None",
        "['Cats ', 'purr ', 'all day.'] 30",
    ]
    roles = {call["model"]: (call.get("role"), call.get("tenant")) for call in done.calls}
    assert roles == {
        "a": ("writer", None),
        "b": ("editor", None),
        "c": (None, None),
        "d": ("module", None),
        "e": ("aio", "acme"),
        "f": ("astream", "acme"),
        "g": ("direct", "acme"),
        "h": (None, None),
        "i": (None, None),
    }
    assert ollama.requests[-1].headers["authorization"] == "Bearer secret"
    assert ollama.requests[-2].body["options"] == {"seed": 7}


def test_a_local_models_price_is_the_users_own(ask: Run, tmp_path: Any) -> None:
    """Unpriced until the user says what it costs, which may be nothing; its own prices hold for its tokens."""
    prices = tmp_path / "prices.toml"
    prices.write_text(
        '[[price]]\nprovider = "ollama"\nmodel = "free*"\ninput = 0\noutput = 0\n'
        '[[price]]\nprovider = "ollama"\nmodel = "*"\ninput = 1\noutput = 2\n'
    )
    program = """
import ollama
for model in ("free-llama", "llama3.2"):
    ollama.generate(model=model, prompt="Do cats purr?")
"""
    done = ask(program, HEXR_PRICES=str(prices))
    assert [(call["cost"], call["cost_source"]) for call in done.calls] == [(0, "custom"), (90_000_000, "custom")]


def test_what_an_ollama_is_asked_and_says_where_content_is_wanted(ask: Run, receiver: OtlpReceiver) -> None:
    """Messages, images by their size, thoughts, tool calls and their answers, whole and streamed."""
    program = """
import base64, inspect, ollama
THINK = {"think": True} if "think" in inspect.signature(ollama.chat).parameters else {}
M = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Look.", "images": [base64.b64encode(b"12345678").decode()]},
    {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "weather", "arguments": {"city": "Bonn"}}}]},
    {"role": "tool", "content": "Rain."},
]
T = [{"type": "function", "function": {"name": "weather"}}]
ollama.chat(model="a", messages=M, tools=T, **THINK)
list(ollama.chat(model="a", messages=M, tools=T, **THINK, stream=True))
list(ollama.generate(model="a", prompt="Go on.", system="Be brief.", stream=True))
"""
    done = ask(program, **receiver.environment(), OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT="SPAN_ONLY")
    assert done.returncode == 0, done.err
    found = [span.attributes for span in sorted(receiver.wait(3), key=lambda span: span.start)]
    names = {
        "input": "input.messages",
        "output": "output.messages",
        "system": "system_instructions",
        "tools": "tool.definitions",
    }
    whole, streamed, generated = (
        {short: json.loads(span[f"gen_ai.{name}"]) for short, name in names.items() if f"gen_ai.{name}" in span}
        for span in found
    )
    call = {"type": "tool_call", "name": "weather", "arguments": {"city": "Bonn"}}
    assert (
        whole["input"]
        == streamed["input"]
        == [
            {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
            {
                "role": "user",
                "parts": [
                    {"type": "text", "content": "Look."},
                    {"type": "blob", "modality": "image", "content": "", "size": 8},
                ],
            },
            {"role": "assistant", "parts": [call]},
            {"role": "tool", "parts": [{"type": "tool_call_response", "response": "Rain."}]},
        ]
    )
    assert whole["tools"] == [{"type": "function", "name": "weather"}]
    said = {"type": "text", "content": "Cats purr all day."}
    (answered,) = whole["output"]
    thoughts = [part.pop("content") for part in answered["parts"] if part["type"] == "reasoning"]
    assert thoughts in (["Hm. "], [])  # the SDK's older versions cannot ask for them
    assert [part for part in answered["parts"] if part["type"] != "reasoning"][0] == said
    assert {**answered["parts"][-1], "id": None} == {**call, "id": None}
    assert streamed["output"][0]["parts"][-2:] == [said, answered["parts"][-1]]
    assert [part["content"] for part in streamed["output"][0]["parts"][:-2]] == ["Hm. Hm. Hm. "] * len(thoughts)
    assert generated["input"] == [{"role": "user", "parts": [{"type": "text", "content": "Go on."}]}]
    assert generated["system"] == [{"type": "text", "content": "Be brief."}]
    assert generated["output"][0]["parts"] == [said]
