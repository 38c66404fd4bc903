"""Vertex AI's own SDK over gRPC and over REST, and its text embeddings."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from providers.vendor import DIRECT, direct
from providers.vertex_server import vertex
from support import Run, alike

from hexr_instrument.demo.providers import ProviderServer

START = """
import asyncio, gc, os, sys, warnings
warnings.simplefilter("ignore")
import grpc, vertexai
from google.auth.credentials import AnonymousCredentials
from google.cloud.aiplatform_v1.services.prediction_service import PredictionServiceAsyncClient, PredictionServiceClient
from google.cloud.aiplatform_v1.services.prediction_service import transports
from vertexai.generative_models import GenerationConfig, GenerativeModel
vertexai.init(project="p", location="us-central1", credentials=AnonymousCredentials())
"""
END = "sys.stdout.flush(); os._exit(0)"  # the SDK's own threads may hold up the interpreter's end
GRPC = (
    START
    + """
def model(name="gemini-2.5-flash", twin=False):
    made = GenerativeModel(name, generation_config=GenerationConfig(temperature=0.5))
    if twin:
        channel = grpc.aio.insecure_channel(os.environ["VERTEX"])
        transport = transports.PredictionServiceGrpcAsyncIOTransport(channel=channel)
        made.__dict__["_prediction_async_client"] = PredictionServiceAsyncClient(transport=transport)
    else:
        channel = grpc.insecure_channel(os.environ["VERTEX"])
        transport = transports.PredictionServiceGrpcTransport(channel=channel)
        made.__dict__["_prediction_client"] = PredictionServiceClient(transport=transport)
    return made

async def main():
    twin = model(twin=True)
    print((await twin.generate_content_async("hi")).text)
    print([chunk.text async for chunk in await twin.generate_content_async("hi", stream=True)])

plain = model()
answer = plain.generate_content("hi")
print(type(answer).__name__, answer.text, answer.usage_metadata.total_token_count)
stream = plain.generate_content("hi", stream=True)
print(type(stream).__name__, [chunk.text for chunk in stream])
print(plain.start_chat().send_message("hi").text)
asyncio.run(main())
left = plain.generate_content("hi", stream=True)
print(next(left).text); del left; gc.collect()
try:
    model("busy").generate_content("hi")
except Exception as error:
    print(type(error).__name__, error.code)
"""
    + END
)


@pytest.mark.surface("google-cloud-aiplatform", "generate_content", "sync", "async")
@pytest.mark.surface("google-cloud-aiplatform", "generate_content stream", "sync", "async")
def test_grpc(run: Run) -> None:
    """Sync, async, streamed, in a chat, left and refused: one record for each request, priced by thoughts, too."""

    def through(bare: bool) -> tuple[Any, list[Any]]:
        with vertex() as (address, got):
            done = run(GRPC, VERTEX=address, bare=bare, HEXR_DISABLED="1" if bare else "0")
            assert done.returncode == 0, done.err
            return done, [type(each).to_json(each) for each in got]

    bare, without = through(bare=True)
    done, asked = through(bare=False)
    assert (done.out, asked) == (bare.out, without)
    assert len(done.calls) == len(asked) == 7
    assert {(call["provider"], call["op"]) for call in done.calls} == {("gcp.vertex_ai", "generate_content")}
    whole = [call for call in done.calls if call["cost_status"] == "priced"]
    assert len(whole) == 5
    assert {(call["usage"]["input"], call["usage"]["output"], call["model"]) for call in whole} == {
        (10, 500, "gemini-2.5-flash")
    }
    rest = Counter((call["cost_status"], call.get("status")) for call in done.calls if call not in whole)
    assert rest == {("partial", None): 1, ("no_usage", 429): 1}


REST = (
    START
    + """
from vertexai.language_models import TextEmbeddingModel
host = os.environ["OPENAI_BASE_URL"].removesuffix("/v1").removeprefix("http://")
made = GenerativeModel("gemini-2.5-flash")
transport = transports.PredictionServiceRestTransport(host=host, url_scheme="http", credentials=AnonymousCredentials())
made.__dict__["_prediction_client"] = PredictionServiceClient(transport=transport)
answer = made.generate_content("hi")
print(answer.usage_metadata.total_token_count)
print(len([chunk for chunk in made.generate_content("hi", stream=True)]))
"""
    + END
)


def test_rest(run: Run, providers: ProviderServer) -> None:
    """The same over HTTP and JSON, whole and streamed."""
    done = alike(run, providers, REST, lambda: None)
    assert [call["cost_status"] for call in done.calls] == ["priced"] * 2
    assert len(done.calls) == len(providers.sent) == 2
    assert {(call["provider"], call["model"], call["usage"]["input"]) for call in done.calls} == {
        ("gcp.vertex_ai", "gemini-2.5-flash", 10)
    }


@pytest.mark.surface("google-cloud-aiplatform", "hexr_llm", "sync", "async")
def test_the_direct_call(run: Run, providers: ProviderServer) -> None:
    """`hexr_llm(provider="vertex")`, by the SDK that comes with this one: Vertex AI serves, in all four ways."""
    ask = f'asked(provider="vertex", model="gemini-2.5-flash", base_url={providers.google!r}, api_key="k")'
    direct(run(DIRECT + ask), "gcp.vertex_ai", (50, 500), True)
