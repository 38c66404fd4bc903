"""What only Google has: interactions, live sessions, images, videos, batch jobs and grounding, under the launcher."""

from __future__ import annotations

import importlib.util
import json
from typing import Any

import pytest
from support import Run, alike

from hexr_instrument.demo.providers import ProviderServer


def has(module: str) -> bool:
    """Whether this version of the SDK has a module."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


interactions = pytest.mark.skipif(
    not has("google.genai._gaos.interactions"), reason="this version of google-genai has no such interactions"
)

# ---- Interactions -------------------------------------------------------------------------------------------------

USED = {
    "total_input_tokens": 1000,
    "total_output_tokens": 100,
    "total_thought_tokens": 50,
    "total_cached_tokens": 200,
    "total_tool_use_tokens": 30,
    "total_tokens": 1180,
    "input_tokens_by_modality": [{"modality": "text", "tokens": 1000}],
    "tool_use_tokens_by_modality": [{"modality": "text", "tokens": 30}],
    "grounding_tool_count": [{"type": "google_search", "count": 2}],
}
DONE: dict[str, Any] = {
    "id": "i1",
    "status": "completed",
    "model": "gemini-3.5-flash",
    "created": "2026-11-20T12:00:00Z",
    "updated": "2026-11-20T12:00:00Z",
    "steps": [{"type": "model_output", "content": [{"type": "text", "text": "Hello."}]}],
    "usage": USED,
}
OPEN = {name: value for name, value in DONE.items() if name not in ("usage", "steps")} | {"status": "in_progress"}
EVENTS: list[dict[str, Any]] = [
    {"event_type": "interaction.created", "interaction": OPEN},
    {"event_type": "step.start", "index": 0, "step": {"type": "model_output", "content": []}},
    {"event_type": "step.delta", "index": 0, "delta": {"type": "text", "text": "Hello."}},
    {"event_type": "step.stop", "index": 0},
    {"event_type": "interaction.completed", "interaction": DONE},
]
# USD for a million of gemini-3.5-flash: 1.5 in, 9 out, 0.15 cached; 14 for a thousand searches.
COST = ((830 * 15 + 150 * 90) * 10 + 200 * 15) * 10**4 + 2 * 14 * 10**9

SYNC = """
import os
from google import genai
client = genai.Client(http_options={"base_url": os.environ["GOOGLE_GEMINI_BASE_URL"]})
interactions = client.interactions
print(type(interactions).__name__)
for stream in (False, True):
    made = interactions.create(model="gemini-3.5-flash", input="Say hello.", stream=stream)
    print(type(made).__name__, [type(each).__name__ for each in made] if stream else made.output_text)
raw = interactions.with_raw_response.create(model="gemini-3.5-flash", input="Say hello.")
print(type(raw).__name__, raw.parse().usage.total_tokens)
"""
ASYNC = """
import asyncio
import os
from google import genai

async def main():
    client = genai.Client(http_options={"base_url": os.environ["GOOGLE_GEMINI_BASE_URL"]})
    interactions = client.aio.interactions
    print(type(interactions).__name__)
    for stream in (False, True):
        made = await interactions.create(model="gemini-3.5-flash", input="Say hello.", stream=stream)
        print(type(made).__name__, [type(each).__name__ async for each in made] if stream else made.output_text)
    raw = await interactions.with_raw_response.create(model="gemini-3.5-flash", input="Say hello.")
    print(type(raw).__name__, (await raw.parse()).usage.total_tokens)

asyncio.run(main())
"""


@interactions
@pytest.mark.parametrize("program", [SYNC, ASYNC], ids=["sync", "async"])
@pytest.mark.surface("google-genai", "interactions create")
def test_an_interaction_is_a_call(run: Run, providers: ProviderServer, program: str) -> None:
    """Whole, streamed and raw: thoughts, tools and cache are in its tokens, searches in its cost."""

    def script() -> None:
        for reply in ({"body": DONE}, {"chunks": EVENTS}, {"body": DONE}):
            providers.reply(route="/interactions", **reply)

    whole, streamed, raw = alike(run, providers, program, script).calls
    for call in (whole, streamed, raw):
        assert (call["op"], call["provider"], call["model"]) == ("generate_content", "gcp.gemini", "gemini-3.5-flash")
        assert (call["served"], call["response_id"], call["finish"]) == ("gemini-3.5-flash", "i1", ["stop"])
        counts = ("input", "output", "cache_read", "reasoning", "web_searches")
        assert [call["usage"][name] for name in counts] == [1030, 150, 200, 50, 2]
        assert (call["cost"], call["cost_status"]) == (COST, "priced")
    assert streamed["stream"] is True
    assert streamed["first_chunk"] > 0


LATER = """
import os
from google import genai
from hexr import hexr_role
client = genai.Client(http_options={"base_url": os.environ["GOOGLE_GEMINI_BASE_URL"]})
interactions = client.interactions
with hexr_role("starter"):
    made = interactions.create(model="gemini-3.5-flash", input="Say hello.", background=True, store=True)
with hexr_role("poller"):
    for _ in range(3):
        print(interactions.get(made.id).status)
"""


@interactions
@pytest.mark.surface("google-genai", "interactions background")
def test_an_interaction_in_the_background_is_billed_once(run: Run, providers: ProviderServer) -> None:
    """Who started it is billed, with the first answer that has its usage; to fetch it again costs nothing."""

    def script() -> None:
        providers.reply(body=OPEN, route="/interactions")
        providers.reply(body=OPEN, route="/interactions/i1")
        providers.reply(body=DONE, route="/interactions/i1", times=2)

    calls = alike(run, providers, LATER, script).calls
    fetched = [call for call in calls if call["op"] == "fetch_response"]
    assert [call["role"] for call in fetched] == ["poller"] * 3
    assert not [call for call in fetched if "cost" in call or "usage" in call]
    (billed,) = [call for call in calls if call["op"] != "fetch_response"]
    assert (billed["role"], billed["op"], billed["cost"]) == ("starter", "generate_content", COST)


PARTLY = """
import os
from google import genai
client = genai.Client(http_options={"base_url": os.environ["GOOGLE_GEMINI_BASE_URL"]})
interactions = client.interactions
stream = interactions.create(model="gemini-3.5-flash", input="Say hello.", stream=True)
print(type(next(stream)).__name__)
stream.close()
"""


@interactions
def test_an_interaction_that_is_not_read_to_its_end_is_partial(run: Run, providers: ProviderServer) -> None:
    """A closed stream ends its call once, without usage and without an error."""
    (call,) = alike(run, providers, PARTLY, lambda: providers.reply(chunks=EVENTS)).calls
    assert (call["cost_status"], "error" in call) == ("partial", False)


HANDLES = """
import os
from google import genai
from hexr import hexr_llm
client = genai.Client(http_options={"base_url": os.environ["GOOGLE_GEMINI_BASE_URL"]})
client.interactions
one, two = hexr_llm(client, role="one"), hexr_llm(hexr_llm(client, role="other"), role="two")
for each in (one, two, client, one):
    print(type(each.interactions).__name__, each.interactions is each.interactions)
    each.interactions.create(model="gemini-3.5-flash", input="Say hello.")
"""


@interactions
def test_a_handle_s_interactions_are_its_own(run: Run, providers: ProviderServer) -> None:
    """Two handles on one client and the client itself each have interactions with their own role."""
    calls = alike(run, providers, HANDLES, lambda: providers.reply(body=DONE, times=4)).calls
    assert [call.get("role") for call in calls] == ["one", "two", None, "one"]


# ---- Live sessions ------------------------------------------------------------------------------------------------

LIVE = """
import asyncio
import os
from google import genai
from google.genai import live
from hexr import hexr_role

# The SDK insists on TLS; everything else is as it is.
name = "ws_connect" if hasattr(live, "ws_connect") else "connect"
real = getattr(live, name)
setattr(live, name, lambda uri, *, ssl=None, **more: real(uri.replace("wss:", "ws:"), **more))
TURN = {"role": "user", "parts": [{"text": "Say hello."}]}
TOOLS = [{"function_declarations": [{"name": "weather"}]}]

async def main():
    client = genai.Client(http_options={"base_url": os.environ["GOOGLE_GEMINI_BASE_URL"]})
    opening = client.aio.live.connect(model="gemini-3.8-live-preview", config={"temperature": 0.5})
    print(type(opening).__name__)
    async with opening as session:
        print(type(session).__name__)
        for role in ("one", "two"):
            with hexr_role(role):
                await session.send_client_content(turns=TURN, turn_complete=True)
                async for message in session.receive():
                    print(message.text)
    async with client.aio.live.connect(model="gemini-3.8-live-preview", config={"tools": TOOLS}) as session:
        await session.send_client_content(turns=TURN, turn_complete=True)
        async for message in session.receive():
            for call in message.tool_call.function_calls if message.tool_call else ():
                result = {"id": call.id, "name": call.name, "response": {"result": "sunny"}}
                await session.send_tool_response(function_responses=[result])
    async with client.aio.live.connect(model="gemini-3.8-live-preview") as session:
        await session.send_client_content(turns=TURN, turn_complete=True)
        print((await session._receive()).text)

asyncio.run(main())
"""


@pytest.mark.skipif(not has("websockets.asyncio"), reason="the SDK needs websockets")
@pytest.mark.odd("a live session says no id, model or reason")
@pytest.mark.surface("google-genai", "live")
def test_each_turn_of_a_live_session_is_a_call(run: Run, providers: ProviderServer) -> None:
    """A turn and what comes before and after a tool are billed each; a turn that is left is partial."""
    *calls, left = alike(run, providers, LIVE, lambda: None).calls
    counts = [(call["usage"]["input"], call["usage"]["output"]) for call in calls]
    assert counts == [(30, 20), (30, 20), (30, 50), (10, 20)]
    assert counts == [(each.usage["promptTokenCount"], each.usage["responseTokenCount"])
                      for each in providers.sent[:4] if each.usage]  # fmt: skip
    # USD for a million: 0.75 in, 4.5 out
    assert [call["cost"] for call in calls] == [(asked * 75 + said * 450) * 10**4 for asked, said in counts]
    assert {(call["model"], call["provider"], call["op"]) for call in [*calls, left]} == {
        ("gemini-3.8-live-preview", "gcp.gemini", "generate_content")
    }
    assert [call.get("role") for call in calls] == ["one", "two", None, None]
    assert calls[0]["params"] == {"temperature": 0.5}
    assert (left["cost_status"], "error" in left) == ("partial", False)


# ---- Batch jobs ---------------------------------------------------------------------------------------------------


def answer(asked: int, said: int) -> dict[str, Any]:
    """A response of generateContent."""
    return {
        "candidates": [{"content": {"parts": [{"text": "Hello."}], "role": "model"}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": asked, "candidatesTokenCount": said, "totalTokenCount": asked + said},
        "modelVersion": "gemini-2.5-flash",
        "responseId": "r1",
    }


def job(state: str, **output: Any) -> dict[str, Any]:
    """A job as the Gemini API says it is."""
    metadata = {"@type": "type.googleapis.com/x", "model": "models/gemini-2.5-flash", "state": state, **output}
    return {"name": "batches/b1", "metadata": {**metadata, "name": "batches/b1"}}


JOB = """
import os
from google import genai
from hexr import hexr_role
client = genai.Client(http_options={"base_url": os.environ["GOOGLE_GEMINI_BASE_URL"]})
batches = client.batches
with hexr_role("creator"):
    made = batches.create(model="gemini-2.5-flash", src=[{"contents": [{"parts": [{"text": "Hello."}]}]}])
print(made.name, made.state)
with hexr_role("poller"):
    for _ in range(3):
        print(batches.get(name=made.name).state)
"""
AJOB = """
import asyncio
import os
from google import genai
from hexr import hexr_role

async def main():
    client = genai.Client(http_options={"base_url": os.environ["GOOGLE_GEMINI_BASE_URL"]})
    batches = client.aio.batches
    with hexr_role("creator"):
        made = await batches.create(model="gemini-2.5-flash", src=[{"contents": [{"parts": [{"text": "Hello."}]}]}])
    print(made.name, made.state)
    with hexr_role("poller"):
        for _ in range(3):
            print((await batches.get(name=made.name)).state)

asyncio.run(main())
"""
jobs = pytest.mark.skipif(not has("google.genai.tokens"), reason="older versions create batches on Vertex AI only")


@jobs
@pytest.mark.parametrize("program", [JOB, AJOB], ids=["sync", "async"])
@pytest.mark.odd("a batch has many answers: not one reason")
@pytest.mark.surface("google-genai", "batches")
def test_a_batch_job_is_billed_once_to_its_creator(run: Run, providers: ProviderServer, program: str) -> None:
    """When it is first seen to have succeeded, at the batch price of all its answers."""
    inlined = [{"response": answer(1000, 100)}, {"response": answer(2000, 50)}, {"error": {"code": 13}}]

    def script() -> None:
        providers.reply(body=job("BATCH_STATE_PENDING"), route=":batchGenerateContent")
        providers.reply(body=job("BATCH_STATE_RUNNING"), route="/b1")
        done = job("BATCH_STATE_SUCCEEDED", output={"inlinedResponses": {"inlinedResponses": inlined}})
        providers.reply(body=done, route="/b1", times=2)

    (call,) = alike(run, providers, program, script).calls
    assert (call["role"], call["op"], call["model"]) == ("creator", "generate_content", "gemini-2.5-flash")
    assert (call["usage"]["input"], call["usage"]["output"], call["tier"]) == (3000, 150, "batch")
    assert (call["cost"], call["cost_status"]) == ((3000 * 15 + 150 * 125) * 10**4, "priced")


@jobs
def test_a_batch_job_that_failed_costs_nothing(run: Run, providers: ProviderServer) -> None:
    """A job that failed is not billed."""

    def script() -> None:
        providers.reply(body=job("BATCH_STATE_PENDING"), route=":batchGenerateContent")
        providers.reply(body=job("BATCH_STATE_FAILED"), route="/b1", times=3)

    assert not alike(run, providers, JOB, script).calls


READ = """
import os
from google import genai
from hexr import hexr_role
client = genai.Client(http_options={"base_url": os.environ["GOOGLE_GEMINI_BASE_URL"]})
with hexr_role("reader"):
    print([each.name for each in client.batches.list()])
    for _ in range(2):
        print(len(client.files.download(file="files/f1")))
"""


@jobs
@pytest.mark.odd("a batch has many answers: not one reason")
@pytest.mark.surface("google-genai", "batches list and files")
def test_a_batch_job_whose_answers_are_in_a_file(run: Run, providers: ProviderServer) -> None:
    """Its usage is known when the file is read, by another program: billed once, to who created the job."""
    lines = [{"key": str(each), "response": answer(1000 * each, 50)} for each in (1, 2)] + [{"error": {"code": 13}}]
    done = job("BATCH_STATE_SUCCEEDED", output={"responsesFile": "files/f1"})

    def create() -> None:
        providers.reply(body=job("BATCH_STATE_PENDING"), route=":batchGenerateContent")
        providers.reply(body=done, route="/b1", times=3)

    assert not alike(run, providers, JOB, create).calls
    providers.clear()

    def read() -> None:
        providers.reply(body={"operations": [done]}, route="/batches")
        content = "".join(json.dumps(line) + "\n" for line in lines)
        providers.reply(body=content, route="/files/f1:download", times=2)

    (call,) = alike(run, providers, READ, read).calls
    assert (call["role"], call["op"], call["model"]) == ("creator", "generate_content", "gemini-2.5-flash")
    assert (call["usage"]["input"], call["usage"]["output"], call["tier"]) == (3000, 100, "batch")
    assert (call["cost"], call["cost_status"]) == ((3000 * 15 + 100 * 125) * 10**4, "priced")


# ---- Images and videos --------------------------------------------------------------------------------------------

VERTEX = """
import os
from google import genai
from google.genai import types
from google.oauth2.credentials import Credentials

client = genai.Client(vertexai=True, project="p", location="us-central1", credentials=Credentials(token="none"),
                      http_options={"base_url": os.environ["GOOGLE_VERTEX_BASE_URL"]})
"""
PIECES = (
    VERTEX
    + """
image = types.Image(image_bytes=b"GIF89a", mime_type="image/gif")
made = client.models.generate_images(model="imagen-4.0-generate-001", prompt="A cat.", config={"number_of_images": 2})
print(type(made).__name__, len(made.generated_images))
made = client.models.edit_image(model="imagen-3.0-capability-001", prompt="A hat.", reference_images=[
    types.RawReferenceImage(reference_id=1, reference_image=image)], config={"number_of_images": 1})
print(type(made).__name__, len(made.generated_images))
made = client.models.upscale_image(model="imagen-4.0-upscale-preview", image=image, upscale_factor="x2")
print(type(made).__name__, len(made.generated_images))
"""
)
CAT = {"mimeType": "image/png", "bytesBase64Encoded": "R0lGODlh"}


@pytest.mark.odd("images are no tokens, and say nothing else")
@pytest.mark.surface("google-genai", "images")
def test_images_are_counted_and_have_no_price(run: Run, providers: ProviderServer) -> None:
    """Made, edited and scaled images are calls with their pieces; what was filtered is none; the table has no price."""

    def script() -> None:
        filtered = {"raiFilteredReason": "no"}
        providers.reply(body={"predictions": [CAT, CAT, filtered]}, route=":predict")
        providers.reply(body={"predictions": [CAT]}, route=":predict", times=2)

    calls = alike(run, providers, PIECES, script).calls
    assert [call["usage"] for call in calls] == [{"images": 2}, {"images": 1}, {"images": 1}]
    assert [call["model"] for call in calls] == [
        "imagen-4.0-generate-001", "imagen-3.0-capability-001", "imagen-4.0-upscale-preview"]  # fmt: skip
    assert {(call["op"], call["provider"], call["cost_status"]) for call in calls} == {
        ("generate_content", "gcp.vertex_ai", "unpriced")
    }
    assert calls[0]["params"] == {"output_type": "image", "choice_count": 2}


VIDEO = (
    VERTEX
    + """
operation = client.models.generate_videos(
    model="veo-3.1-generate-preview", prompt="A cat.", config={"duration_seconds": 8, "number_of_videos": 2})
while not operation.done:
    operation = client.operations.get(operation)
print(type(operation).__name__, len(operation.response.generated_videos))
"""
)


@pytest.mark.odd("videos are no tokens, and say nothing else")
@pytest.mark.surface("google-genai", "videos")
def test_a_video_is_recorded_when_it_is_started_and_not_when_it_is_polled(run: Run, providers: ProviderServer) -> None:
    """One call with the seconds that were asked for; the table has no price for them."""
    name = "projects/p/locations/us-central1/publishers/google/models/veo-3.1-generate-preview/operations/o1"
    video = {"gcsUri": "gs://bucket/1.mp4", "mimeType": "video/mp4"}
    done = {"name": name, "done": True, "response": {"videos": [video, video]}}

    def script() -> None:
        providers.reply(body={"name": name}, route=":predictLongRunning")
        providers.reply(body={"name": name}, route=":fetchPredictOperation", times=2)
        providers.reply(body=done, route=":fetchPredictOperation")

    (call,) = alike(run, providers, VIDEO, script).calls
    assert (call["op"], call["model"]) == ("generate_content", "veo-3.1-generate-preview")
    assert (call["usage"], call["cost_status"]) == ({"video_seconds": 16}, "unpriced")
    assert "cost" not in call


# ---- Prices -------------------------------------------------------------------------------------------------------

ASK = """
import os
from google import genai
client = genai.Client(http_options={"base_url": os.environ["GOOGLE_GEMINI_BASE_URL"]})
for tier in TIERS:
    answer = client.models.generate_content(model="gemini-2.5-flash", contents="Hello.", config=tier)
    print(type(answer).__name__, answer.usage_metadata.total_token_count)
"""
SEARCHED = {"groundingMetadata": {"webSearchQueries": ["who", "when"]}}
MAPPED = {"groundingMetadata": {"groundingChunks": [{"maps": {"uri": "https://maps.google.com", "title": "Luigi"}}]}}


def test_what_an_answer_is_grounded_on_is_billed(run: Run, providers: ProviderServer) -> None:
    """A search has its fee; a map has one that the table does not know: the cost is at least the tokens'."""
    for ground in ({}, SEARCHED, MAPPED):
        body = answer(1000, 100)
        body["candidates"][0] |= ground
        providers.reply(body=body)
    calls = run(ASK.replace("TIERS", "[None] * 3")).calls
    tokens = (1000 * 30 + 100 * 250) * 10**4
    assert [(call["cost"], call["cost_status"]) for call in calls] == [
        (tokens, "priced"), (tokens + 35 * 10**9, "priced"), (tokens, "partial" if has("google.genai.tokens") else "priced")]  # fmt: skip


@pytest.mark.skipif(not has("google.genai._gaos"), reason="older versions cannot ask for a tier")
def test_the_tier_that_was_asked_for_counts_where_none_is_stated(run: Run, providers: ProviderServer) -> None:
    """Flex without a known price has no cost; what the answer says goes before what was asked."""
    providers.reply(body=json.dumps(answer(1000, 100)), times=2)
    providers.reply(body=json.dumps(answer(1000, 100)), headers={"x-gemini-service-tier": "standard"})
    calls = run(ASK.replace("TIERS", "[None, {'service_tier': 'flex'}, {'service_tier': 'priority'}]")).calls
    assert [(call.get("tier"), call["cost_status"]) for call in calls] == [
        (None, "priced"), ("flex", "unpriced"), ("standard", "priced")]  # fmt: skip


# ---- More than one request ----------------------------------------------------------------------------------------

CONTINUED = """
import os
from google import genai
client = genai.Client(http_options={"base_url": os.environ["GOOGLE_GEMINI_BASE_URL"]})
answer = client.models.generate_content(model="gemini-2.5-flash", contents="Hello.")
print(answer.text, answer.usage_metadata.total_token_count)
"""


@pytest.mark.skipif(not has("google.genai._gaos"), reason="older versions do not continue by themselves")
@pytest.mark.surface("google-genai", "gemini continuation")
def test_each_hop_of_a_continuation_is_a_call(run: Run, providers: ProviderServer) -> None:
    """What the SDK puts together from two answers was billed twice."""

    def script() -> None:
        first = answer(1000, 100)
        first["candidates"][0] |= {"finishReason": "CONTINUATION", "continuationToken": "dG9rZW4="}
        providers.reply(body=first)
        providers.reply(body=answer(1100, 50))

    calls = alike(run, providers, CONTINUED, script).calls
    assert [call["usage"]["input"] for call in calls] == [1000, 1100]
    assert [call["cost"] for call in calls] == [(1000 * 30 + 100 * 250) * 10**4, (1100 * 30 + 50 * 250) * 10**4]


# ---- What the caller holds ----------------------------------------------------------------------------------------

HOLDS = """
import asyncio, copy, inspect, os, pickle
from google import genai
from google.genai import types

client = genai.Client(http_options={"base_url": os.environ["GOOGLE_GEMINI_BASE_URL"]})
models = client.models
for each in (type(models), type(client.aio.models)):
    for name in ("_generate_content", "_generate_content_stream", "generate_content", "embed_content"):
        method = getattr(each, name)
        print(inspect.signature(method), inspect.iscoroutinefunction(method), inspect.isgeneratorfunction(method))
answer = models.generate_content(model="gemini-2.5-flash", contents="Hello.")
print(type(answer), isinstance(client, genai.Client), isinstance(models, genai.models.Models))
print(copy.deepcopy(answer) == answer, copy.copy(answer) == answer, sorted(vars(answer)))
print(pickle.loads(pickle.dumps(answer)) == answer)
stream = models.generate_content_stream(model="gemini-2.5-flash", contents="Hello.")
print(type(stream), inspect.isgenerator(stream), [type(chunk).__name__ for chunk in stream])

async def main():
    stream = await client.aio.models.generate_content_stream(model="gemini-2.5-flash", contents="Hello.")
    print(type(stream), [type(chunk).__name__ async for chunk in stream])

asyncio.run(main())
"""


def test_what_the_caller_holds_is_as_without_us(run: Run, providers: ProviderServer) -> None:
    """Types, signatures, generators, copies and pickles, of clients and of answers."""
    done = alike(run, providers, HOLDS, lambda: None)
    assert [call["cost_status"] for call in done.calls] == ["priced"] * 3
