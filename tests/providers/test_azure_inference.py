"""Azure AI Inference's own SDK: chats and embeddings, bare and recorded."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from providers.vendor import DIRECT, direct, spent
from support import Run, alike

from hexr_instrument.demo.providers import ProviderServer
from hexr_instrument.demo.receiver import OtlpReceiver
from hexr_instrument.providers.azure_inference import TABLES

IMPORTS = """
import asyncio, gc, inspect, os, pickle
from azure.ai.inference import ChatCompletionsClient, EmbeddingsClient, ImageEmbeddingsClient
from azure.ai.inference import aio
from azure.ai.inference.models import ImageEmbeddingInput, JsonSchemaFormat, SystemMessage, UserMessage
from azure.core.credentials import AzureKeyCredential

AT = {"endpoint": os.environ["OPENAI_BASE_URL"], "credential": AzureKeyCredential("k"), "retry_total": 0}
M = [SystemMessage(content="Be brief."), UserMessage(content="Do cats purr?")]
COUNTED = {"stream": True, "model_extras": {"stream_options": {"include_usage": True}}}
"""
PROGRAM = (
    IMPORTS
    + """

def shown(name, make):
    try:
        made = make()
        print(name, type(made).__name__, made)
    except Exception as error:
        print(name, type(error).__mro__, error.status_code)


def said(stream):
    print(type(stream).__name__)
    return [update.choices[0].delta.content for update in stream if update.choices]


client = ChatCompletionsClient(**AT, model="gpt-4o", temperature=0.5)
ask = client.complete
shown("chat", lambda: ask(messages=M, max_tokens=99, seed=7, response_format="json_object").choices[0].message.content)
shown("model", lambda: ask(messages=M, model="gpt-4o-mini", temperature=0).usage)
shown("body", lambda: ask({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Do cats purr?"}]}).model)
shown("bytes", lambda: ask(b'{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Do cats purr?"}]}').model)
shown("stream", lambda: said(ask(messages=M, **COUNTED)))
shown("uncounted", lambda: said(ask(messages=M, stream=True)))
shown("error", lambda: ask(messages=M, model="error-429"))
shown("stream error", lambda: ask(messages=M, model="error-500", stream=True))
with ask(messages=M, **COUNTED) as left:
    print(next(left).choices[0].delta.content)
dropped = ask(messages=M, **COUNTED)
next(dropped)
del dropped
gc.collect()
embeddings = EmbeddingsClient(**AT, model="text-embedding-3-small", dimensions=8)
shown("embeddings", lambda: embeddings.embed(input=["two words"]))
shown("embeddings error", lambda: embeddings.embed(input=["two words"], model="error-401"))
pictures = ImageEmbeddingsClient(**AT)
shown("pictures", lambda: pictures.embed(input=[ImageEmbeddingInput(image="data:,x")], model="embed-v-4-0").usage)


async def main():
    async with aio.ChatCompletionsClient(**AT, model="gpt-4o") as client:
        print((await client.complete(messages=M)).choices[0].message.content)
        stream = await client.complete(messages=M, **COUNTED)
        print(type(stream).__name__, [update.usage async for update in stream][-1])
        async with await client.complete(messages=M, **COUNTED) as left:
            print((await anext(left)).choices[0].delta.content)
        try:
            await client.complete(messages=M, model="error-503")
        except Exception as error:
            print(type(error).__mro__, error.status_code)
    async with aio.EmbeddingsClient(**AT) as embeddings:
        print((await embeddings.embed(input=["two words"], model="text-embedding-3-small")).usage)


asyncio.run(main())
print(list(inspect.signature(ChatCompletionsClient.complete).parameters))
print(pickle.loads(pickle.dumps(ChatCompletionsClient.complete)).__qualname__)
"""
)
HANDLES = (
    IMPORTS
    + """
from hexr import hexr_llm

client = ChatCompletionsClient(**AT, model="gpt-4o")
writer = hexr_llm(client, role="writer")
assert type(writer) is ChatCompletionsClient
writer.complete(messages=M)
list(writer.complete(messages=M, **COUNTED))
client.complete(messages=M)
"""
)
CONTENT = (
    IMPORTS
    + """
client = ChatCompletionsClient(**AT, model="gpt-4o")
client.complete(messages=M)
list(client.complete(messages=M, **COUNTED))
"""
)
CUT = (
    IMPORTS
    + """
try:
    list(ChatCompletionsClient(**AT, model="gpt-4o").complete(messages=M, **COUNTED))
except Exception as error:
    print(type(error).__mro__)
"""
)
SPANS = (
    IMPORTS
    + """
from azure.ai.inference.tracing import AIInferenceInstrumentor
from azure.core.settings import settings

settings.tracing_implementation = "opentelemetry"
AIInferenceInstrumentor().instrument()


async def main():
    async with aio.ChatCompletionsClient(**AT, model="gpt-4o") as client:
        await client.complete(messages=M)  # its streams fail in the SDK's tracing where they end with the usage


client = ChatCompletionsClient(**AT, model="gpt-4o")
client.complete(messages=M)
print([update.usage for update in client.complete(messages=M, **COUNTED)][-1])
asyncio.run(main())
"""
)


@pytest.mark.surface("azure-ai-inference", "chat", "sync", "async")
@pytest.mark.surface("azure-ai-inference", "chat stream", "sync", "async")
@pytest.mark.surface("azure-ai-inference", "embeddings", "sync", "async")
@pytest.mark.surface("azure-ai-inference", "image embeddings")
def test_every_way_to_ask_azure_is_recorded_and_unchanged(run: Run, providers: ProviderServer) -> None:
    """Sync and async, whole and streamed, left streams, bodies, errors, embeddings: seen as bare, one record each."""
    done = alike(run, providers, PROGRAM, providers.clear)
    chat, small = "gpt-4o-2024-08-06", "gpt-4o-mini-2024-07-18"
    embedding = "text-embedding-3-small"
    assert spent(done.calls) == [
        ("chat", chat, 50, 20, "priced"),
        ("chat", small, 50, 400, "priced"),
        ("chat", small, 30, 310, "priced"),
        ("chat", small, 30, 310, "priced"),
        ("chat", chat, 50, 400, "priced"),
        ("chat", chat, None, None, "no_usage"),  # nobody asked for the usage of this stream
        ("chat", "error-429", None, None, "no_usage"),
        ("chat", "error-500", None, None, "no_usage"),
        ("chat", chat, None, None, "partial"),
        ("chat", chat, None, None, "partial"),
        ("embeddings", embedding, 20, None, "priced"),
        ("embeddings", "error-401", None, None, "no_usage"),
        ("embeddings", "embed-v-4-0", 10, None, "unpriced"),
        ("chat", chat, 50, 400, "priced"),
        ("chat", chat, 50, 400, "priced"),
        ("chat", chat, None, None, "partial"),
        ("chat", "error-503", None, None, "no_usage"),
        ("embeddings", embedding, 20, None, "priced"),
    ]
    first = done.calls[0]
    assert (first["provider"], first["model"]) == ("azure.ai.inference", "gpt-4o")
    assert first["cost"] == 50 * 2_500_000 + 20 * 10_000_000  # 2.5 and 10 USD
    assert first["params"] == {"temperature": 0.5, "max_tokens": 99, "seed": 7, "output_type": "json"}
    assert done.calls[1]["params"] == {"temperature": 0}
    assert all(done.calls[each]["first_chunk"] > 0 for each in (4, 14))
    assert [call["status"] for call in done.calls if "status" in call] == [429, 500, 401, 503]
    assert done.calls[11]["error"] == "azure.core.exceptions.ClientAuthenticationError"


def test_a_registered_client_carries_its_role(run: Run) -> None:
    """Its calls have the role, those of the client that it was made from have none."""
    done = run(HANDLES)
    assert done.returncode == 0, done.err
    assert [call.get("role") for call in done.calls] == ["writer", "writer", None]


def test_a_stream_that_breaks_is_a_failed_call(run: Run, providers: ProviderServer) -> None:
    """The program sees the SDK's own error, the record has its type and no usage."""
    done = alike(run, providers, CUT, lambda: providers.reply(cut_after=3))
    (call,) = done.calls
    assert call["error"].rpartition(".")[2] in done.out
    assert "usage" not in call


def test_content_is_read_where_it_is_asked_for(run: Run, receiver: OtlpReceiver) -> None:
    """Messages that are the SDK's objects are in the span as the JSON that was sent, and so are the answers."""
    done = run(CONTENT, OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT="SPAN_ONLY", **receiver.environment())
    assert done.returncode == 0, done.err
    for span in receiver.spans:
        asked = json.loads(span.attributes["gen_ai.input.messages"])
        said = json.loads(span.attributes["gen_ai.output.messages"])
        assert [(each["role"], each["parts"][0]["content"]) for each in asked] == [
            ("system", "Be brief."),
            ("user", "Do cats purr?"),
        ]
        assert said[0]["parts"][0]["content"]
    assert len(receiver.spans) == 2


def test_the_sdks_own_tracing_makes_no_second_record(run: Run, providers: ProviderServer) -> None:
    """With its instrumentor switched on, which puts streams of its own before those of the SDK: one record each."""
    done = alike(run, providers, SPANS, providers.clear)
    assert [each[2:] for each in spent(done.calls)] == [(50, 400, "priced")] * 3


@pytest.mark.parametrize(
    ("endpoint", "provider"),
    [
        ("https://models.github.ai/inference", "azure.ai.inference"),
        ("https://phi.eastus2.models.ai.azure.com", "azure.ai.inference"),
        ("https://acme.services.ai.azure.com/models", "azure.ai.inference"),
        ("https://acme.services.ai.azure.com/openai/deployments/prod", "azure.ai.openai"),
        ("https://acme.openai.azure.com/openai/deployments/prod", "azure.ai.openai"),
        (None, "azure.ai.inference"),
    ],
)
def test_the_endpoint_says_who_serves(endpoint: str | None, provider: str) -> None:
    """A Foundry resource serves two APIs on one host: its path tells them apart."""
    client = SimpleNamespace(_config=SimpleNamespace(endpoint=endpoint))
    request = TABLES[0].request(client, (), {"messages": []}, "ChatCompletionsClient.complete")
    assert request is not None and request.provider == provider


@pytest.mark.surface("azure-ai-inference", "hexr_llm", "sync", "async")
def test_the_direct_call(run: Run, providers: ProviderServer) -> None:
    """Endpoint and key from the variables of the SDK's samples, or given; without an endpoint it says so."""
    ask = DIRECT + 'asked(provider="azure.ai.inference", model="gpt-4o")'
    here = {"AZURE_AI_CHAT_ENDPOINT": providers.environment()["OPENAI_BASE_URL"], "AZURE_AI_CHAT_KEY": "k"}
    direct(run(ask, **here), "azure.ai.inference", (50, 400), True)
    done = run(ask, AZURE_AI_CHAT_KEY="k")
    assert "no endpoint for provider 'azure.ai.inference': set AZURE_AI_CHAT_ENDPOINT, or pass base_url=" in done.err
