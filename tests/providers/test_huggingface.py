"""Hugging Face's own SDK: chats and embeddings of its inference clients, bare and recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from providers.vendor import WORDS, VendorHandler, VendorServer, spent, tokens
from support import Done, Run, alike

from hexr_instrument.providers.huggingface import served

PROGRAM = """
import asyncio, os
from huggingface_hub import AsyncInferenceClient, InferenceClient

U = os.environ["HF_TEST_URL"]
M = [{"role": "user", "content": "Do cats purr?"}]


def shown(name, make):
    try:
        print(name, make())
    except Exception as error:
        print(name, type(error).__mro__, str(error).partition("Request ID")[0])


def said(stream):
    print(type(stream).__name__)
    return [chunk.choices[0].delta.content for chunk in stream if chunk.choices]


client = InferenceClient(base_url=U + "/v1", api_key="k")
ask = client.chat_completion
shown("chat", lambda: ask(M, model="llama-3", temperature=0.5, max_tokens=99))
shown("openai's way", lambda: client.chat.completions.create(messages=M, model="llama-3").choices[0].message.content)
shown("no model", lambda: ask(M).choices[0].message.content)
shown("stream", lambda: said(ask(M, model="llama-3", stream=True, stream_options={"include_usage": True})))
shown("no usage", lambda: said(ask(M, model="llama-3", stream=True)))
shown("priced", lambda: ask(M, model="openai/gpt-oss-120b:cerebras").model)
shown("error", lambda: ask(M, model="error-422"))
shown("stream error", lambda: said(ask(M, model="error-429", stream=True)))
shown("cut", lambda: said(ask(M, model="cut", stream=True)))
shown("broken", lambda: said(ask(M, model="broken", stream=True)))
half = ask(M, model="llama-3", stream=True)
print(next(half).choices[0].delta.content)
half.close()
ask(M, model="unread", stream=True)


async def main():
    client = AsyncInferenceClient(base_url=U + "/v1", api_key="k")
    print((await client.chat_completion(M, model="llama-3")).choices[0].message.content)
    stream = await client.chat.completions.create(
        messages=M, model="llama-3", stream=True, stream_options={"include_usage": True}
    )
    print(type(stream).__name__, [chunk.choices[0].delta.content async for chunk in stream if chunk.choices])
    half = await client.chat_completion(M, model="llama-3", stream=True)
    async for chunk in half:
        print(chunk.choices[0].delta.content)
        break
    await half.aclose()
    try:
        await client.chat_completion(M, model="error-422")
    except Exception as error:
        print(type(error).__mro__)


asyncio.run(main())
"""
EMBEDDINGS = """
import asyncio, os
from huggingface_hub import AsyncInferenceClient, InferenceClient

U = os.environ["HF_TEST_URL"] + "/embed"
print(InferenceClient(U, api_key="k").feature_extraction("Do cats purr?"))
print(asyncio.run(AsyncInferenceClient(U, api_key="k").feature_extraction("Do cats purr?")))
"""
HANDLES = """
import asyncio, os
from huggingface_hub import InferenceClient
from hexr import hexr_llm

U = os.environ["HF_TEST_URL"] + "/v1"
client = InferenceClient(base_url=U, api_key="k")
writer = hexr_llm(client, role="writer")
assert type(writer) is InferenceClient
ask = {"model": "llama-3", "messages": [{"role": "user", "content": "Do cats purr?"}]}
writer.chat.completions.create(**ask)
client.chat.completions.create(**ask)
ask = {"provider": "huggingface", "model": "llama-3", "prompt": "Do cats purr?", "base_url": U, "role": "direct"}
print(hexr_llm(**ask))
print("".join(hexr_llm(**ask, stream=True)))


async def main():
    print(await hexr_llm.aio(**ask))
    stream = await hexr_llm.aio(**ask, stream=True)
    print("".join([piece async for piece in stream]), stream.response.usage.output)


asyncio.run(main())
"""


class HuggingFaceHandler(VendorHandler):
    """An endpoint as text-generation-inference serves it: OpenAI's chats, and bare lists of embeddings."""

    reason = "error"

    def answer(self, path: str, body: dict[str, Any], model: str) -> None:
        """Chats and embeddings."""
        if path == "/embed":
            self.whole([[0.5, 0.25]])
            return
        usage = {"prompt_tokens": tokens(body["messages"][0]["content"]), "completion_tokens": tokens(*WORDS)}
        usage["total_tokens"] = sum(usage.values())
        same = {
            "id": f"chat-{self.number}",
            "created": 1,
            "model": model.partition(":")[0],
            "system_fingerprint": "3.2.0",
        }
        if not body.get("stream"):
            message = {"role": "assistant", "content": "".join(WORDS)}
            choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
            self.whole({**same, "object": "chat.completion", "choices": [choice], "usage": usage})
            return
        same["object"] = "chat.completion.chunk"
        events: list[Any] = [
            {
                **same,
                "choices": [{"index": 0, "delta": {"role": "assistant", "content": word}, "finish_reason": reason}],
            }
            for word, reason in zip(WORDS, (None, None, "stop"), strict=True)
        ]
        if (body.get("stream_options") or {}).get("include_usage"):
            events.append({**same, "choices": [], "usage": usage})
        if model == "broken":
            events[1:] = [{"error": "Model is overloaded", "error_type": "overloaded"}]
        self.events(events, cut=model == "cut")


@pytest.fixture
def server() -> Iterator[VendorServer]:
    """A loopback endpoint."""
    with VendorServer(HuggingFaceHandler) as server:
        yield server


@pytest.fixture
def ask(run: Run, server: VendorServer) -> Callable[..., Done]:
    """Runs a program against it."""
    return lambda source, **more: run(
        source, HF_TEST_URL=server.url, HF_TOKEN="k", HF_HUB_DISABLE_TELEMETRY="1", **more
    )


@pytest.mark.surface("huggingface_hub", "chat", "sync", "async")
@pytest.mark.surface("huggingface_hub", "chat stream", "sync", "async")
def test_every_way_to_chat_is_recorded_and_unchanged(ask: Run, server: VendorServer) -> None:
    """Sync, async, streams, errors, left and unread streams: seen and sent as bare, one record each."""
    done = alike(ask, server, PROGRAM, server.clear)
    assert spent(done.calls) == [
        ("chat", "llama-3", 30, 40, "unpriced"),
        ("chat", "llama-3", 30, 40, "unpriced"),
        ("chat", "dummy", 30, 40, "unpriced"),
        ("chat", "llama-3", 30, 40, "unpriced"),
        ("chat", "llama-3", None, None, "no_usage"),
        ("chat", "openai/gpt-oss-120b", 30, 40, "priced"),
        ("chat", "error-422", None, None, "no_usage"),
        ("chat", "error-429", None, None, "no_usage"),
        ("chat", "cut", None, None, "partial"),
        ("chat", "broken", None, None, "partial"),
        ("chat", "llama-3", None, None, "partial"),
        ("chat", "unread", None, None, "partial"),
        ("chat", "llama-3", 30, 40, "unpriced"),
        ("chat", "llama-3", 30, 40, "unpriced"),
        ("chat", "llama-3", None, None, "partial"),
        ("chat", "error-422", None, None, "no_usage"),
    ]
    first = done.calls[0]
    assert (first["provider"], first["params"]) == ("huggingface", {"temperature": 0.5, "max_tokens": 99})
    assert [call["status"] for call in done.calls if "status" in call] == [422, 429, 422]
    assert "model" not in done.calls[2]


@pytest.mark.surface("huggingface_hub", "embeddings", "sync", "async")
def test_embeddings_are_recorded_without_usage(ask: Run, server: VendorServer) -> None:
    """The endpoint answers with bare lists: a record each, with no tokens and no cost."""
    pytest.importorskip("numpy")
    done = alike(ask, server, EMBEDDINGS, server.clear)
    assert [(call["op"], call["provider"], call["cost_status"]) for call in done.calls] == [
        ("embeddings", "huggingface", "no_usage"),
    ] * 2


@pytest.mark.surface("huggingface_hub", "hexr_llm", "sync", "async")
def test_handles_and_the_direct_call_carry_their_role(ask: Run) -> None:
    """A registered client's calls have its role, those of the client that it was made from have none."""
    done = ask(HANDLES)
    assert done.returncode == 0, done.err
    assert done.out.count("Cats purr all day.") == 4
    assert [call.get("role") for call in done.calls] == ["writer", None, *["direct"] * 4]
    assert {call["usage"]["output"] for call in done.calls} == {40}


@pytest.mark.parametrize(
    ("url", "chosen", "provider"),
    [
        ("https://router.huggingface.co/v1/chat/completions", "auto", "huggingface"),
        ("https://router.huggingface.co/hf-inference/models/m/v1/chat/completions", "hf-inference", "huggingface"),
        ("https://router.huggingface.co/groq/openai/v1/chat/completions", "groq", "groq"),
        ("https://router.huggingface.co/together/v1/chat/completions", "together", "together_ai"),
        ("https://router.huggingface.co/fireworks-ai/inference/v1/chat/completions", "auto", "fireworks_ai"),
        ("https://api.groq.com/openai/v1/chat/completions", "groq", "groq"),
        ("https://api.novita.ai/v3/openai/chat/completions", "novita", "novita"),
        ("https://x.eu-west-1.aws.endpoints.huggingface.cloud/v1/chat/completions", None, "huggingface"),
    ],
)
def test_who_serves_is_read_from_the_url(url: str, chosen: str | None, provider: str) -> None:
    """The router's path names the vendor; a vendor's own host is known, or else the client's choice says it."""
    assert served(url, chosen) == provider
