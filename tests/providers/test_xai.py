"""xAI's own SDK over real gRPC: chats whole, parsed, deferred and streamed, sync and async, bare and recorded."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from providers.vendor import DIRECT, direct
from support import Done, Run
from xai_sdk.proto import chat_pb2, chat_pb2_grpc, deferred_pb2, usage_pb2

from hexr_instrument.demo.receiver import OtlpReceiver

TICKS = 1_234_000
"""What a call costs that says it: 1e-10 USD each."""


def _usage(model: str, output: int) -> usage_pb2.SamplingUsage:
    """Ten tokens a word, 40 of reasoning beside them, 60 cached; the cost only where the model's name asks for it."""
    stated = {"cost_in_usd_ticks": TICKS} if "stated" in model else {}
    fields = {each.name for each in usage_pb2.SamplingUsage.DESCRIPTOR.fields}
    counts = {
        "prompt_tokens": 100,
        "completion_tokens": output,
        "reasoning_tokens": 40,
        "total_tokens": 140 + output,
        "prompt_text_tokens": 100,
        "cached_prompt_text_tokens": 60,
        **stated,
    }
    return usage_pb2.SamplingUsage(**{name: value for name, value in counts.items() if name in fields})


STATES = "cost_in_usd_ticks" in usage_pb2.SamplingUsage.DESCRIPTOR.fields_by_name
"""Whether this version knows what a call costs."""


class Chat(chat_pb2_grpc.ChatServicer):
    """Answers three words to everything; a model named `error` fails."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self._asked: list[Any] = []
        self._lock = threading.Lock()

    def _note(self, request: Any, context: Any) -> None:
        with self._lock:
            self.requests.append(request.SerializeToString(deterministic=True))
            self._asked.append(request)
        ours = [name for name, _ in context.invocation_metadata() if name in ("traceparent", "baggage")]
        assert not ours
        if request.model == "error":
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "slow down")

    def _whole(self, request: Any) -> Any:
        said = '{"word": "purr"}' if request.HasField("response_format") else "Cats purr daily."
        message = chat_pb2.CompletionMessage(content=said, role=2)
        outputs = [chat_pb2.CompletionOutput(index=n, finish_reason=3, message=message) for n in range(request.n or 1)]
        return chat_pb2.GetChatCompletionResponse(
            id="resp-1", model=request.model, outputs=outputs, system_fingerprint="fp", usage=_usage(request.model, 30)
        )

    def GetCompletion(self, request: Any, context: Any) -> Any:
        """A whole answer."""
        self._note(request, context)
        return self._whole(request)

    def GetCompletionChunk(self, request: Any, context: Any) -> Iterator[Any]:
        """Three chunks."""
        self._note(request, context)
        for place, word in enumerate(("Cats ", "purr ", "daily.")):
            outputs = [
                chat_pb2.CompletionOutputChunk(
                    index=n, delta=chat_pb2.Delta(content=word, role=2), finish_reason=3 if place == 2 else 0
                )
                for n in range(request.n or 1)
            ]
            usage = _usage(request.model, 30) if place == 2 else None
            yield chat_pb2.GetChatCompletionChunk(id="resp-2", model=request.model, outputs=outputs, usage=usage)

    def StartDeferredCompletion(self, request: Any, context: Any) -> Any:
        """Work that is done at once."""
        self._note(request, context)
        return deferred_pb2.StartDeferredResponse(request_id="deferred-1")

    def GetDeferredCompletion(self, request: Any, context: Any) -> Any:
        """Its answer."""
        return chat_pb2.GetDeferredCompletionResponse(status=1, response=self._whole(self._asked[-1]))


PROGRAM = """
import asyncio, inspect, os, warnings
from pydantic import BaseModel
import xai_sdk
from xai_sdk.chat import system, user
warnings.simplefilter("ignore")
HOST = {"api_key": "secret", "api_host": os.environ["XAI_HOST"]}


class Word(BaseModel):
    word: str


class Number(BaseModel):
    number: int


def chat(client, model="grok-4", **more):
    return client.chat.create(model=model, messages=[system("Be brief."), user("Do cats purr?")], **more)


def shown(make):
    try:
        print(make())
    except Exception as error:
        print(type(error).__name__, getattr(error, "code", lambda: None)())


client = xai_sdk.Client(**HOST)
shown(lambda: (answer := chat(client, temperature=0.5, max_tokens=99).sample()).content + answer.id)
shown(lambda: chat(client, "grok-4-stated").sample().usage.total_tokens)
shown(lambda: [each.content for each in chat(client).sample_batch(2)])
shown(lambda: chat(client).parse(Word)[1])
shown(lambda: chat(client).defer().content)
shown(lambda: [chunk.content for _, chunk in chat(client).stream()])
shown(lambda: [len(chunks) for _, chunks in chat(client).stream_batch(2)])
shown(lambda: chat(client, "error").sample())
shown(lambda: [chunk.content for _, chunk in chat(client, "error").stream()])
left = chat(client).stream()
print(type(left).__name__, next(left)[1].content)
left.close()
never = chat(client).stream()
del never


async def main():
    client = xai_sdk.AsyncClient(**HOST)
    print((await chat(client).sample()).content)
    print((await chat(client).parse(Word))[1])
    print((await chat(client).defer()).content)
    print([chunk.content async for _, chunk in chat(client).stream()])
    left = chat(client).stream()
    print((await anext(left))[1].content)
    await left.aclose()
    try:
        print([chunk async for _, chunk in chat(client, "error").stream()])
    except Exception as error:
        print(type(error).__name__, error.code())
    await client.close()


asyncio.run(main())
client.close()
print(inspect.signature(xai_sdk.sync.chat.Chat.sample))
"""


@pytest.fixture
def grok() -> Iterator[tuple[Chat, str]]:
    """A loopback xAI: its servicer, and its address."""
    server, chat = grpc.server(ThreadPoolExecutor(4)), Chat()
    chat_pb2_grpc.add_ChatServicer_to_server(chat, server)
    port = server.add_secure_port("localhost:0", grpc.local_server_credentials())  # as the SDK asks a "localhost:"
    server.start()
    yield chat, f"localhost:{port}"
    server.stop(0).wait()


@pytest.fixture
def ask(run: Run, grok: tuple[Chat, str]) -> Callable[..., Done]:
    """Runs a program against it."""
    return lambda source, **more: run(source, XAI_HOST=grok[1], GRPC_VERBOSITY="NONE", **more)


WHOLE = ("grok-4", 100, 70, 60, 40)
NOTHING = (None, None, None, None)


def _spent(calls: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    names = ("input", "output", "cache_read", "reasoning")
    return [(call["model"], *(call.get("usage", {}).get(name) for name in names)) for call in calls]


@pytest.mark.surface("xai-sdk", "chat", "sync", "async")
@pytest.mark.surface("xai-sdk", "chat streamed", "sync", "async")
@pytest.mark.surface("xai-sdk", "chat deferred", "sync", "async")
def test_every_way_to_ask_grok_is_recorded_and_unchanged(ask: Run, grok: tuple[Chat, str]) -> None:
    """Samples, batches, parsed, deferred, streams, errors, sync and async: same output and messages, one record each."""
    bare = ask(PROGRAM, bare=True, HEXR_DISABLED="1")
    assert bare.returncode == 0, bare.err
    sent, grok[0].requests = grok[0].requests, []
    done = ask(PROGRAM)
    assert (done.returncode, done.out) == (0, bare.out), done.err
    assert grok[0].requests == sent
    calls = done.calls
    assert _spent(calls) == [
        WHOLE,
        ("grok-4-stated", 100, 70, 60, 40),
        *[WHOLE] * 5,
        ("error", *NOTHING),
        ("error", *NOTHING),
        ("grok-4", *NOTHING),
        *[WHOLE] * 4,
        ("grok-4", *NOTHING),
        ("error", *NOTHING),
    ]
    assert {call["provider"] for call in calls} == {"x_ai"}
    statuses = [call["cost_status"] for call in calls]
    assert statuses[9] == statuses[14] == "partial"
    assert statuses.count("priced") == 11 - (not STATES)
    if STATES:
        assert (calls[1]["cost"], calls[1]["cost_source"]) == (TICKS * 100, "provider")
    assert calls[0]["params"] == {"temperature": 0.5, "max_tokens": 99}
    assert [call["error"] for call in calls if "error" in call] == [
        "grpc._channel._InactiveRpcError",
        "grpc._channel._MultiThreadedRendezvous",
        "grpc.aio._call.AioRpcError",
    ]
    assert all("first_chunk" in call for call in calls if call.get("stream") and call["model"] == "grok-4")


def test_a_groks_handles_carry_their_role(ask: Run) -> None:
    """Two handles of one client are of its kind and share its channel; the client itself stays nobody's."""
    program = (
        PROGRAM[: PROGRAM.index("client = xai_sdk.Client")]
        + """
from hexr import hexr_llm
client = xai_sdk.Client(**HOST)
writer, editor = hexr_llm(client, role="writer"), hexr_llm(client, role="editor")
assert type(writer) is xai_sdk.Client and writer._api_channel is client._api_channel
chat(writer).sample()
list(chat(editor).stream())
chat(client).sample()


async def main():
    client = hexr_llm(xai_sdk.AsyncClient(**HOST), role="aio")
    await chat(client).sample()
    await client.close()


asyncio.run(main())
"""
    )
    done = ask(program)
    assert done.returncode == 0, done.err
    assert [call.get("role") for call in done.calls] == ["writer", "editor", None, "aio"]


@pytest.mark.odd("the SDK does not say which host it asks")
def test_the_sdks_own_spans_do_not_double_a_call(ask: Run, receiver: OtlpReceiver) -> None:
    """With a provider set, one span for each call, with content where it is asked for, and none of the SDK's."""
    program = (
        PROGRAM[: PROGRAM.index("client = xai_sdk.Client")]
        + """
client = xai_sdk.Client(**HOST)
chat(client).sample()
list(chat(client).stream())


async def main():
    client = xai_sdk.AsyncClient(**HOST)
    await chat(client).sample()
    [each async for each in chat(client).stream()]
    await client.close()


asyncio.run(main())
"""
    )
    switch = {"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_ONLY"}
    done = ask(program, **receiver.environment(), **switch)
    assert done.returncode == 0, done.err
    spans = receiver.wait(4)
    assert [span.name for span in spans] == ["chat grok-4"] * 4
    for span in spans:
        asked, said = (json.loads(span.attributes[f"gen_ai.{name}.messages"]) for name in ("input", "output"))
        assert [each["role"] for each in asked] == ["system", "user"]
        assert asked[1]["parts"] == [{"type": "text", "content": "Do cats purr?"}]
        assert said == [
            {"role": "assistant", "parts": [{"type": "text", "content": "Cats purr daily."}], **_reason(said)}
        ]


def _reason(said: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: said[0][name] for name in ("finish_reason",) if name in said[0]}


@pytest.mark.surface("xai-sdk", "hexr_llm", "sync", "async")
def test_the_direct_call(ask: Run) -> None:
    """One line asks in each way, with messages made the SDK's own."""
    done = ask(
        DIRECT + 'import os; asked(provider="xai", model="grok-4", base_url=os.environ["XAI_HOST"], api_key="k")'
    )
    direct(done, "x_ai", (100, 70), True)
