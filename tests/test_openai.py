"""OpenAI's surfaces beside chat: images, sounds, videos, work that is billed later, fetched responses, websockets.

As in test_surfaces.py each runs bare and recorded, sync and async, through the real SDK: what the caller sees and what
goes over the wire must be the same both times.
"""

from __future__ import annotations

import asyncio
import copy
import gc
import inspect
import io
import json
import pickle
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from support import Run
from test_surfaces import (
    CHAT,
    HI,
    PROMPT,
    RESPONSE,
    Bench,
    Seen,
    Surface,
    aeach,
    anonymous,
    bench,  # noqa: F401  (a fixture)
    each,
    failure,
    kinds,
    offered,
    seen,
    shared,  # noqa: F401  (a fixture)
    spans,  # noqa: F401  (a fixture)
)

from hexr_instrument import engine, guard, hexr_llm, hexr_role, sessions
from hexr_instrument.demo.providers import ProviderServer, Received
from hexr_instrument.owed import Owed

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

SOUND = ("hello.wav", b"RIFF")
WORDS = 10 * len(PROMPT.split())
"""What the prompt counts at the server, in tokens."""
MILLION = 1_000_000
"""One USD for a million tokens, in 1e-12 USD for one."""


def same(requests: list[Received]) -> list[Any]:
    """What went over the wire, but for ids that the server counts up and the random boundaries of forms."""
    boundary = re.compile(rb"[0-9a-f]{32}")
    return [
        (
            each.method,
            re.sub(r"[0-9a-f]{16,}", "#", each.path),
            re.sub(rb"[0-9a-f]{16,}", b"#", each.raw),
            {
                name: boundary.sub(b"#", value.encode())
                for name, value in each.headers.items()
                if name not in ("content-length", "sec-websocket-key")
            },
        )
        for each in requests
    ]


def unchanged(bench: Bench, surface: Surface, mode: str) -> list[Any]:
    """Runs a surface bare and recorded, compares what is seen and sent, and returns what was recorded."""
    with bench.bare():
        expected = kinds(offered(surface, bench, mode))
    plain = same(bench.server.requests)
    assert not bench.records
    bench.clear()
    assert kinds(surface.run(bench, mode)) == expected
    assert same(bench.server.requests) == plain
    gc.collect()
    return bench.records


# ---- Images, sounds, videos ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Made:
    """A surface, and what its one record says."""

    name: str
    use: str
    make: Callable[[Any], Any]
    usage: dict[str, int] | None
    """Without the counts that are 0."""
    cost: int | None
    """In 1e-12 USD."""
    status: str = "priced"
    model: str | None = None
    output: str | None = None
    """What kind of output was asked for."""
    more: dict[str, Any] = field(default_factory=dict)


def picture(tokens: int = 0, drawn: int = 1000, **more: int) -> dict[str, int]:
    """The usage of one image."""
    return {"input": WORDS + tokens, "output": drawn, "output_image": drawn, **more}


# fmt: off
MADE = [
    Made("images generate", "value", lambda c: c.images.generate(model="gpt-image-1", prompt=PROMPT),
         picture(), WORDS * 5 * MILLION + 1000 * 40 * MILLION, model="gpt-image-1", output="image"),
    Made("images n=2", "value", lambda c: c.images.generate(model="gpt-image-1.5", prompt=PROMPT, n=2),
         picture(drawn=2000), WORDS * 5 * MILLION + 2000 * 32 * MILLION, model="gpt-image-1.5", output="image",
         more={"choice_count": 2}),
    Made("images stream", "each", lambda c: c.images.generate(
        model="gpt-image-1.5", prompt=PROMPT, stream=True, partial_images=2),
         picture(), WORDS * 5 * MILLION + 1000 * 32 * MILLION, model="gpt-image-1.5", output="image"),
    Made("images raw", "parsed", lambda c: c.images.with_raw_response.generate(model="gpt-image-1", prompt=PROMPT),
         picture(), WORDS * 5 * MILLION + 1000 * 40 * MILLION, model="gpt-image-1", output="image"),
    Made("images streaming response", "inside parsed",
         lambda c: c.images.with_streaming_response.generate(model="gpt-image-1", prompt=PROMPT),
         picture(), WORDS * 5 * MILLION + 1000 * 40 * MILLION, model="gpt-image-1", output="image"),
    Made("images edit", "value", lambda c: c.images.edit(
        model="gpt-image-1", image=io.BytesIO(b"png"), prompt=PROMPT),
         picture(100, input_image=100), WORDS * 5 * MILLION + 100 * 10 * MILLION + 1000 * 40 * MILLION,
         model="gpt-image-1", output="image"),
    Made("images edit stream", "each", lambda c: c.images.edit(
        model="gpt-image-1", image=io.BytesIO(b"png"), prompt=PROMPT, stream=True, partial_images=1),
         picture(100, input_image=100), WORDS * 5 * MILLION + 100 * 10 * MILLION + 1000 * 40 * MILLION,
         model="gpt-image-1", output="image"),
    Made("images variation", "value", lambda c: c.images.create_variation(image=io.BytesIO(b"png"), n=2),
         {"images": 2}, None, "unpriced", output="image", more={"choice_count": 2}),
    Made("images of dall-e", "value", lambda c: c.images.generate(model="dall-e-3", prompt=PROMPT, quality="hd"),
         {"images": 1}, None, "unpriced", model="dall-e-3", output="image", more={"quality": "hd"}),
    Made("transcription by tokens", "value", lambda c: c.audio.transcriptions.create(
        model="gpt-4o-transcribe", file=SOUND),
         {"input": 100, "output": 90, "input_audio": 90}, 10 * 2_500_000 + 90 * 6 * MILLION + 90 * 10 * MILLION,
         model="gpt-4o-transcribe", output="text"),
    Made("transcription by seconds", "value", lambda c: c.audio.transcriptions.create(model="whisper-1", file=SOUND),
         {"audio_seconds": 9}, 9 * 100_000_000, model="whisper-1", output="text"),
    Made("transcription in detail", "value", lambda c: c.audio.transcriptions.create(
        model="whisper-1", file=SOUND, response_format="verbose_json"),
         {"audio_seconds": 9}, 9 * 100_000_000, model="whisper-1", output="text"),
    Made("transcription as text", "value", lambda c: c.audio.transcriptions.create(
        model="whisper-1", file=SOUND, response_format="text"), None, None, "no_usage", model="whisper-1",
         output="text"),
    Made("transcription stream", "each", lambda c: c.audio.transcriptions.create(
        model="gpt-4o-transcribe", file=SOUND, stream=True),
         {"input": 100, "output": 90, "input_audio": 90}, 10 * 2_500_000 + 90 * 6 * MILLION + 90 * 10 * MILLION,
         model="gpt-4o-transcribe", output="text"),
    Made("transcription raw", "parsed", lambda c: c.audio.transcriptions.with_raw_response.create(
        model="whisper-1", file=SOUND), {"audio_seconds": 9}, 9 * 100_000_000, model="whisper-1", output="text"),
    Made("translation", "value", lambda c: c.audio.translations.create(model="whisper-1", file=SOUND),
         None, None, "no_usage", model="whisper-1", output="text"),
    Made("translation in detail", "value", lambda c: c.audio.translations.create(
        model="whisper-1", file=SOUND, response_format="verbose_json"),
         {"audio_seconds": 9}, 9 * 100_000_000, model="whisper-1", output="text"),
    Made("speech by characters", "value", lambda c: c.audio.speech.create(model="tts-1", voice="alloy", input=PROMPT),
         {"input_characters": len(PROMPT)}, len(PROMPT) * 15 * MILLION, model="tts-1", output="speech"),
    Made("speech by tokens", "value", lambda c: c.audio.speech.create(
        model="gpt-4o-mini-tts", voice="alloy", input=PROMPT), None, None, "no_usage", model="gpt-4o-mini-tts",
         output="speech"),
    Made("speech streaming response", "inside bytes", lambda c: c.audio.speech.with_streaming_response.create(
        model="tts-1-hd", voice="alloy", input=PROMPT),
         {"input_characters": len(PROMPT)}, len(PROMPT) * 30 * MILLION, model="tts-1-hd", output="speech"),
    Made("speech raw", "value", lambda c: c.audio.speech.with_raw_response.create(
        model="tts-1", voice="alloy", input=PROMPT),
         {"input_characters": len(PROMPT)}, len(PROMPT) * 15 * MILLION, model="tts-1", output="speech"),
    Made("video", "value", lambda c: c.videos.create(model="sora-2", prompt=PROMPT, seconds="8"),
         {"video_seconds": 8}, None, "unpriced", model="sora-2"),
    Made("video, polled", "value", lambda c: c.videos.create_and_poll(
        model="sora-2", prompt=PROMPT, seconds="8", poll_interval_ms=1),
         {"video_seconds": 8}, None, "unpriced", model="sora-2"),
    Made("video remix", "value", lambda c: c.videos.remix("video_1", prompt=PROMPT),
         {"video_seconds": 4}, None, "unpriced"),
    Made("video extension", "value", lambda c: c.videos.extend(prompt=PROMPT, seconds="4", video=("a.mp4", b"mp4")),
         None, None, "no_usage"),
]
# fmt: on


@pytest.mark.parametrize("made", MADE, ids=[made.name for made in MADE])
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_what_is_made_is_recorded_and_unchanged(bench: Bench, mode: str, made: Made) -> None:
    """Images, sounds and videos are one record each, with the units that their model is billed by, priced exactly."""
    (record,) = unchanged(bench, Surface(made.name, made.use, made.make), mode)
    assert "error" not in record
    assert record["op"] == "generate_content"
    assert record.get("model") == made.model
    usage = {name: count for name, count in record.get("usage", {}).items() if count}
    assert usage == (made.usage or {})
    assert (record.get("cost"), record["cost_status"]) == (made.cost, made.status)
    parameters = {name: value for name, value in record.get("params", {}).items() if name != "output_type"}
    assert (record.get("params", {}).get("output_type"), parameters) == (made.output, made.more)
    assert record.get("stream", False) == ("stream" in made.name.split())
    assert ("first_chunk" in record) == ("stream" in made.name.split())
    text = json.dumps(record)
    assert PROMPT not in text
    assert "fake-hexr" not in text


FREE = [
    ("models", lambda c: c.models.list()),
    ("a model", lambda c: c.models.retrieve("gpt-4o")),
    ("files", lambda c: c.files.list()),
    ("a file", lambda c: c.files.create(file=SOUND, purpose="batch")),
    ("a file's content", lambda c: c.files.content("file-1")),
    ("batches", lambda c: c.batches.list()),
    ("stored responses' inputs", lambda c: c.responses.input_items.list("resp_1")),
    ("stored completions", lambda c: c.chat.completions.list()),
    ("a video", lambda c: c.videos.retrieve("video_1")),
    ("a video's content", lambda c: c.videos.download_content("video_1")),
    ("a thread", lambda c: c.beta.threads.create()),
    ("a message", lambda c: c.beta.threads.messages.create("thread_1", role="user", content=PROMPT)),
    ("runs", lambda c: c.beta.threads.runs.list("thread_1")),
    ("vector stores", lambda c: c.vector_stores.list()),
]


@pytest.mark.parametrize(("name", "make"), FREE, ids=[row[0] for row in FREE])
def test_what_costs_nothing_leaves_no_record(
    bench: Bench,
    name: str,
    make: Callable[[Any], Any],
) -> None:
    """Files, models, lists, stored content and polling are neither calls nor spans."""
    bench.server.reply(body={"id": "x_1", "object": "list", "data": [], "status": "completed"}, times=2)
    surface = Surface(name, "value", make)
    with bench.bare():
        offered(surface, bench, "sync")
    surface.run(bench, "sync")
    assert len(bench.server.requests) == 2
    assert not bench.records


# ---- Responses that are fetched, compacted, or come later ---------------------------------------------------------


@pytest.fixture
def client(bench: Bench) -> Any:
    """The SDK's client, if it has responses."""
    made = bench.clients["openai"][0]
    if not hasattr(made, "responses"):
        pytest.skip("this version of openai has no responses")
    return made


@pytest.mark.odd("a compacted response says neither its model nor how it ended")
@pytest.mark.surface("openai", "responses compact")
def test_compacting_is_a_call(bench: Bench, client: Any) -> None:
    """`responses.compact` is billed like an answer, though it is none."""
    if not hasattr(client.responses, "compact"):
        pytest.skip("not in this version of the SDK")
    for mode in ("sync", "async"):
        bench.clear()
        (record,) = unchanged(bench, Surface("compact", "value", lambda c: c.responses.compact(**RESPONSE)), mode)
        (sent,) = bench.server.sent
        assert (record["op"], record["model"], record["cost_status"]) == ("chat", "gpt-5", "priced")
        assert record["usage"]["output"] == sent.usage["output_tokens"] == 100
        assert record["response_id"].startswith("resp_")


@pytest.mark.odd("a decision has no id and no reason")
@pytest.mark.surface("openai", "decisions create")
def test_a_decision_is_a_call(bench: Bench) -> None:
    """`decisions.create`, of the newest SDKs."""
    question = {"type": "choice", "choices": [{"value": "yes"}, {"value": "no"}]}
    surface = Surface("decision", "value", lambda c: c.decisions.create(
        model="gpt-5", input=PROMPT, questions=[question]))  # fmt: skip
    for mode in ("sync", "async"):
        bench.clear()
        (record,) = unchanged(bench, surface, mode)
        assert (record["op"], record["format"], record["cost_status"]) == ("chat", "decisions", "priced")
        assert record["usage"]["input"] == WORDS


SPOKEN = {
    "prompt_tokens": 120,
    "completion_tokens": 90,
    "total_tokens": 210,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 100},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 70},
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.surface("openai", "chat audio output")
def test_a_chat_that_answers_with_sound_is_priced_by_modality(bench: Bench, mode: str, stream: bool) -> None:
    """Audio in and out have prices of their own, streamed or not."""
    more = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    chat = {"model": "gpt-audio", "messages": HI, "modalities": ["text", "audio"], **more}
    surface = Surface("audio", "each" if stream else "value", lambda c: c.chat.completions.create(
        **chat, audio={"voice": "alloy", "format": "wav"}))  # fmt: skip
    with bench.bare():
        offered(surface, bench, mode)
    bench.clear()
    bench.server.reply(usage=SPOKEN)
    surface.run(bench, mode)
    record = bench.one()
    assert {name: count for name, count in record["usage"].items() if count} == {
        "input": 120, "output": 90, "input_audio": 100, "output_audio": 70}  # fmt: skip
    assert record["cost"] == 20 * 2_500_000 + 100 * 32 * MILLION + 20 * 10 * MILLION + 70 * 64 * MILLION


FETCHES = [
    ("value", lambda c, it: c.responses.retrieve(it)),
    ("parsed", lambda c, it: c.responses.with_raw_response.retrieve(it)),
    ("each", lambda c, it: c.responses.retrieve(it, stream=True, starting_after=1)),
    ("helper", lambda c, it: c.responses.stream(response_id=it, starting_after=1)),
]


@pytest.mark.parametrize(("use", "make"), FETCHES, ids=["retrieve", "raw", "stream", "stream helper"])
@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.surface("openai", "responses retrieve")
def test_fetching_a_response_is_a_span_that_costs_nothing(
    bench: Bench,
    client: Any,
    mode: str,
    use: str,
    make: Callable[[Any, str], Any],
) -> None:
    """However often a stored response is fetched, it is a `fetch_response` without usage and cost."""
    stored = client.responses.create(**RESPONSE)
    bench.clear()
    surface = Surface("fetch", use, lambda c: make(c, stored.id))
    for record in unchanged(bench, surface, mode):
        assert record["op"] == "fetch_response"
        assert record["response_id"] == stored.id
        assert record["served"] == stored.model
        assert record["extras"] == {"status": "completed"}
        assert record["finish"] == ["stop"]
        assert not {"usage", "cost", "cost_status", "model"} & record.keys()
        assert record.get("params", {}) == ({"stream_cursor": "1"} if use == "each" else {})
    assert len(bench.records) == 1


def test_fetching_a_stored_completion_costs_nothing(bench: Bench) -> None:
    """The same for chat completions that were stored."""
    stored = bench.clients["openai"][0].chat.completions.create(**CHAT, extra_body={"store": True})
    bench.clear()
    surface = Surface("chat", "value", lambda c: c.chat.completions.retrieve(stored.id))
    (record,) = unchanged(bench, surface, "sync")
    assert (record["op"], record["response_id"]) == ("fetch_response", stored.id)
    assert not {"usage", "cost", "cost_status"} & record.keys()


def test_a_response_that_cannot_be_fetched_is_an_error(bench: Bench, client: Any) -> None:
    """The span of a failed fetch says which response it was."""
    for mode in ("sync", "async"):
        bench.clear()
        error = failure(Surface("fetch", "value", lambda c: c.responses.retrieve("resp_none")), bench, mode)
        (record,) = bench.records
        assert (record["op"], record["response_id"], record["status"]) == ("fetch_response", "resp_none", 404)
        assert record["error"] == error.name


def until_completed(client: Any, identifier: str) -> None:
    """Polls a response until it is completed, and once more."""
    while client.responses.retrieve(identifier).status != "completed":
        pass
    client.responses.retrieve(identifier)


def elsewhere(bench: Bench) -> None:
    """What follows is done as by another process with the same store: it knows what is on disk alone."""
    bench.recorder._owed = Owed(bench.recorder.config.store)


@pytest.mark.parametrize("other", [False, True], ids=["here", "in another process"])
@pytest.mark.surface("openai", "responses background")
def test_a_background_response_is_billed_once_to_its_creator(bench: Bench, client: Any, other: bool) -> None:
    """It is one call of its creator's, recorded when a fetch shows its usage, whoever fetches it wherever."""
    with hexr_role("creator"):
        queued = client.responses.create(**RESPONSE, background=True)
    assert queued.status == "queued"
    assert not bench.records
    if other:
        elsewhere(bench)
    with hexr_role("poller"):
        until_completed(client, queued.id)
        elsewhere(bench)
        client.responses.retrieve(queued.id)
    fetched = [record for record in bench.records if record["op"] == "fetch_response"]
    assert [record["role"] for record in fetched] == ["poller"] * 4
    (billed,) = [record for record in bench.records if record["op"] != "fetch_response"]
    (sent,) = bench.server.sent
    assert (billed["op"], billed["model"], billed["role"]) == ("chat", "gpt-5", "creator")
    assert billed["usage"]["output"] == sent.usage["output_tokens"]
    assert billed["cost_status"] == "priced"
    assert billed["response_id"] == queued.id
    # It is the request that was made then, and took as long as it took to be accepted.
    assert billed["start"] <= billed["end"] <= fetched[0]["start"]


def test_a_background_response_that_fails_at_once_is_a_call(bench: Bench, client: Any) -> None:
    """A request that is refused is recorded as any other; an answer that is there at once, too."""
    openai = pytest.importorskip("openai")
    with pytest.raises(openai.RateLimitError):
        client.responses.create(model="error-429", input=PROMPT, background=True)
    assert bench.one()["status"] == 429
    bench.clear()
    list(client.responses.create(**RESPONSE, background=True, stream=True))
    assert bench.one()["cost_status"] == "priced"


def test_a_background_response_may_come_as_a_stream(bench: Bench, client: Any) -> None:
    """A background response that is fetched as a stream is billed with it, once; the async twin likewise."""
    aclient = bench.clients["openai"][1]
    queued = client.responses.create(**RESPONSE, background=True)
    client.responses.retrieve(queued.id)
    list(client.responses.retrieve(queued.id, stream=True))
    bench.run(aeach(aclient.responses.retrieve(queued.id, stream=True)))
    assert len([record for record in bench.records if "cost" in record]) == 1


def test_a_bill_is_a_span_of_the_program_s_own_provider(bench: Bench, client: Any, spans: Any) -> None:
    """Where the program has a tracer provider, the creation's span there ends with its bill; each fetch is another."""
    queued = client.responses.create(**RESPONSE, background=True)
    until_completed(client, queued.id)
    made = client.batches.create(completion_window="24h", endpoint="/v1/responses", input_file_id="file-1")
    client.batches.retrieve(made.id)
    client.batches.retrieve(made.id)
    found = spans.get_finished_spans()
    assert [span.name for span in found] == ["fetch_response", "chat gpt-5", *["fetch_response"] * 2, "chat"]
    _, billed, *fetched, batched = found
    assert billed.parent is None
    assert billed.attributes["hexr.llm.cost.status"] == batched.attributes["hexr.llm.cost.status"] == "priced"
    assert batched.parent is None
    for span in found:
        assert span.start_time <= span.end_time
    for span in fetched:
        assert not [name for name in span.attributes if "usage" in name or "cost" in name or "stream" in name]
    assert [f"{span.context.span_id:016x}" for span in found] == [record["id"] for record in bench.records]


def test_a_background_stream_that_is_left_is_billed_when_it_is_fetched(bench: Bench, client: Any) -> None:
    """Read to its end it is a call like any other; left, its usage comes with the fetch that goes on."""
    list(client.responses.create(**RESPONSE, background=True, stream=True))
    (whole,) = bench.records
    client.responses.retrieve(whole["response_id"])
    assert [record.get("cost_status") for record in bench.records] == ["priced", None]
    bench.clear()
    with client.responses.create(**RESPONSE, background=True, stream=True) as stream:
        identifier = next(iter(stream)).response.id
    assert not bench.records
    list(client.responses.retrieve(identifier, stream=True))
    assert [record.get("cost_status") for record in bench.records] == ["priced", None]


def test_a_response_of_another_process_is_not_billed_here(bench: Bench, client: Any) -> None:
    """Who fetches what somebody else has created does not pay for it."""
    with bench.bare():
        queued = client.responses.create(**RESPONSE, background=True)
    until_completed(client, queued.id)
    assert {record["op"] for record in bench.records} == {"fetch_response"}
    assert not [record for record in bench.records if "cost" in record]


def test_a_cancelled_background_response_costs_what_it_used(bench: Bench, client: Any) -> None:
    """Cancelling is no call; where its answer has the usage, it is billed to the creator."""
    queued = client.responses.create(**RESPONSE, background=True)
    usage = {"input_tokens": 40, "output_tokens": 20, "total_tokens": 60}
    body = {"id": queued.id, "object": "response", "status": "cancelled", "model": "gpt-5", "usage": usage}
    bench.server.reply(body={**body, "output": []}, times=2)
    for _ in range(2):
        client.responses.cancel(queued.id)
    assert bench.one()["usage"] == {"input": 40, "output": 20}


def batch(client: Any, endpoint: str = "/v1/chat/completions") -> Any:
    """A new batch."""
    return client.batches.create(completion_window="24h", endpoint=endpoint, input_file_id="file-1")


@pytest.mark.surface("openai", "batches")
def test_a_batch_is_billed_once_to_its_creator(bench: Bench) -> None:
    """Creating and polling leave nothing; the completed batch is one record at the batch price, whoever polls."""
    client, aclient = bench.clients["openai"]
    with hexr_role("creator"):
        made = batch(client)
    with hexr_role("poller"):
        polled = [client.batches.retrieve(made.id).status for _ in range(3)]

        async def again() -> Any:
            return await aclient.batches.retrieve(made.id)

        polled.append(bench.run(again()).status)
    assert polled == ["in_progress", "completed", "completed", "completed"]
    (record,) = bench.records
    assert (record["op"], record["role"], record["tier"]) == ("chat", "creator", "batch")
    assert (record["served"], record["response_id"]) == ("gpt-4o-mini-2024-07-18", made.id)
    assert (record["usage"]["input"], record["usage"]["output"]) == (2000, 1000)
    assert (record["cost"], record["cost_status"]) == (2000 * 75_000 + 1000 * 300_000, "priced")


def test_a_batch_that_was_created_elsewhere_is_its_poller_s(bench: Bench) -> None:
    """Nobody else will record it: the caller who first sees it completed does, with the operation of its endpoint."""
    client = bench.clients["openai"][0]
    with bench.bare():
        made = batch(client, "/v1/embeddings")
    with hexr_role("poller"):
        for _ in range(3):
            client.batches.retrieve(made.id)
    (record,) = bench.records
    assert (record["op"], record["role"]) == ("embeddings", "poller")


def test_a_batch_that_did_nothing_costs_nothing(bench: Bench) -> None:
    """A refused batch is no call; one without a usage is a call without usage."""
    client = bench.clients["openai"][0]
    made = batch(client)
    for status, usage in (("failed", None), ("cancelled", {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0})):
        bench.server.reply(body={"id": made.id + status, "status": status, "endpoint": "/v1/responses", "usage": usage})
        client.batches.retrieve(made.id)
    assert not bench.records
    bench.server.reply(body={"id": made.id, "status": "completed", "endpoint": "/v1/responses"})
    client.batches.retrieve(made.id)
    assert bench.one()["cost_status"] == "no_usage"


@pytest.mark.surface("openai", "batches list and files")
def test_a_batch_is_billed_once_whichever_way_its_usage_is_seen(bench: Bench) -> None:
    """In a list, by itself, or in the file of its answers; by this process or another; each billed to its creator."""
    client, aclient = bench.clients["openai"]
    done = {"object": "batch", "endpoint": "/v1/chat/completions", "status": "completed", "model": "gpt-4o-mini"}
    used = {"input_tokens": 200, "output_tokens": 100, "total_tokens": 300}
    with hexr_role("creator"):
        first, second = batch(client).id, batch(client).id
    page = [{**done, "id": first, "usage": used}, {**done, "id": "batch_of_others", "usage": used}]
    page.append({**done, "id": second, "output_file_id": "file-9"})

    async def alist() -> Any:
        return [each.id for each in (await aclient.batches.list()).data]

    def listed() -> list[str]:
        return [each.id for each in client.batches.list().data]  # 1.40 asks for a next page, whatever has_more says

    chat = {"object": "chat.completion", "model": "gpt-4o-mini-2024-07-18", "choices": [], "service_tier": "default"}
    counts = [(10, 20), (30, 40)]
    lines = [
        {"custom_id": str(asked), "response": {"status_code": 200, "body": {
            **chat, "usage": {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}}}}
        for asked, said in counts
    ]  # fmt: skip
    content = "".join(json.dumps(line) + "\n" for line in [*lines, {"custom_id": "odd", "response": None}])
    headers = {"content-type": "application/octet-stream"}

    def answers() -> None:
        bench.server.reply(body={"object": "list", "data": page, "has_more": False}, route="/batches", times=2)
        bench.server.reply(body=content, headers=headers, route="/content", times=2)

    def read() -> Any:
        found = listed(), bench.run(alist())
        elsewhere(bench)
        return found, [client.files.content("file-9").text for _ in range(2)]

    bench.clear()
    with bench.bare():
        answers()
        expected = read()
    plain = same(bench.server.requests)
    bench.clear()
    answers()
    with hexr_role("reader"):
        assert read() == expected
    assert same(bench.server.requests) == plain
    one, other = bench.records
    assert (one["response_id"], one["usage"]["input"], one["usage"]["output"]) == (first, 200, 100)
    assert (other["usage"]["input"], other["usage"]["output"]) == (40, 60)
    for record in (one, other):
        assert (record["role"], record["tier"], record["cost_status"]) == ("creator", "batch", "priced")
    assert other["cost"] == 40 * 75_000 + 60 * 300_000


@pytest.mark.parametrize("step", ["open", "knows", "settle", "_path"])
def test_a_fault_of_ours_does_not_reach_work_that_is_billed_later(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Whatever fails in what is remembered, the program gets what it would, and sends the same."""
    client = bench.clients["openai"][0]

    def work() -> list[Any]:
        bench.server.reply(body={"object": "list", "data": [], "has_more": False}, route="/batches")
        bench.server.reply(body="{}\n", headers={"content-type": "text/plain"}, route="/content")
        listed = [each.id for each in client.batches.list()]
        made = batch(client)
        states = [client.batches.retrieve(made.id).status for _ in range(3)]
        return [*listed, *states, client.files.content("file-1").text]

    with bench.bare():
        expected = work()
    plain = same(bench.server.requests)
    bench.clear()

    def fault(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("injected")

    monkeypatch.setattr(guard, "strict", False)
    monkeypatch.setattr(guard, "faults", {})
    monkeypatch.setattr(Owed, step, fault)
    assert work() == expected
    assert same(bench.server.requests) == plain
    assert guard.faults


RUNS = [
    ("create and poll", lambda c: c.create_and_poll(thread_id="t", assistant_id="a", poll_interval_ms=1)),
    ("stream", lambda c: list(c.create(thread_id="t", assistant_id="a", stream=True))),
    ("stream helper", lambda c: until_done(c.stream(thread_id="t", assistant_id="a"))),
]


def until_done(manager: Any) -> None:
    """Reads a helper to its end."""
    with manager as stream:
        stream.until_done()


@pytest.mark.parametrize(("name", "make"), RUNS, ids=[row[0] for row in RUNS])
@pytest.mark.surface("openai", "assistants runs")
def test_a_run_is_billed_once(bench: Bench, name: str, make: Callable[[Any], Any]) -> None:
    """A run of an assistant is one record when its usage is known, however it is followed."""
    if not hasattr(bench.clients["openai"][0].beta, "threads"):
        pytest.skip("not in this version of the SDK")
    with hexr_role("assistant"):
        records = unchanged(bench, Surface(name, "value", lambda c: make(c.beta.threads.runs)), "sync")
    (record,) = records
    assert (record["op"], record["role"], record["served"]) == ("chat", "assistant", "gpt-4o-mini")
    assert (record["usage"]["input"], record["usage"]["output"], record["finish"]) == (120, 60, ["stop"])
    assert (record["cost"], record["cost_status"]) == (120 * 150_000 + 60 * 600_000, "priced")
    for _ in range(2):
        bench.clients["openai"][0].beta.threads.runs.retrieve(record["response_id"], thread_id="t")
    assert len(bench.records) == 1


# ---- Websockets ---------------------------------------------------------------------------------------------------

TRANSCRIBE = {"type": "realtime", "audio": {"input": {"transcription": {"model": "whisper-1"}}}}


def read_until(connection: Any, kind: str) -> list[Any]:
    """The messages up to the first of a kind."""
    found: list[Any] = []
    for event in connection:
        found.append(event)
        if event.type == kind:
            break
    return found


async def aread_until(connection: Any, kind: str) -> list[Any]:
    """The asynchronous twin."""
    found: list[Any] = []
    async for event in connection:
        found.append(event)
        if event.type == kind:
            break
    return found


def spoken(client: Any, **connect: Any) -> Seen:
    """A conversation of two answers, one asked for and one to a recording, and a transcription."""
    with client.realtime.connect(model="gpt-realtime", **connect) as connection:
        connection.session.update(session=TRANSCRIBE)
        connection.response.create(response={"instructions": PROMPT})
        found = read_until(connection, "response.done")
        connection.input_audio_buffer.commit()
        return [connection, *found, *read_until(connection, "conversation.item.input_audio_transcription.completed")]


async def aspoken(client: Any) -> Seen:
    """The asynchronous twin."""
    async with client.realtime.connect(model="gpt-realtime") as connection:
        await connection.session.update(session=TRANSCRIBE)
        await connection.response.create(response={"instructions": PROMPT})
        found = await aread_until(connection, "response.done")
        await connection.input_audio_buffer.commit()
        return [
            connection,
            *found,
            *await aread_until(connection, "conversation.item.input_audio_transcription.completed"),
        ]


def responded(client: Any) -> Seen:
    """Two responses on one connection."""
    with client.responses.connect() as connection:
        found: Seen = [connection]
        for _ in range(2):
            connection.response.create(**RESPONSE)
            found += read_until(connection, "response.completed")
        return found


async def aresponded(client: Any) -> Seen:
    """The asynchronous twin."""
    async with client.responses.connect() as connection:
        found: Seen = [connection]
        for _ in range(2):
            await connection.response.create(**RESPONSE)
            found += await aread_until(connection, "response.completed")
        return found


def talk(bench: Bench, mode: str, sync: Callable[[Any], Seen], twin: Callable[[Any], Awaitable[Seen]]) -> Seen:
    """One of the two."""
    pytest.importorskip("websockets")
    client, aclient = bench.clients["openai"]
    return sync(client) if mode == "sync" else bench.run(twin(aclient))


def connects(bench: Bench, name: str) -> None:
    """Skips where the SDK has no such connection; older ones encrypt unless they are told where to go."""
    if not hasattr(getattr(bench.clients["openai"][0], name, None), "connect"):
        pytest.skip("not in this version of the SDK")
    for client in bench.clients["openai"]:
        client.websocket_base_url = bench.server.openai.replace("http", "ws")


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.surface("openai", "realtime")
def test_each_answer_of_a_voice_agent_is_a_call(bench: Bench, mode: str) -> None:
    """Asked for or not, each `response.done` is one record by modality, and so is each transcription, by its model."""
    connects(bench, "realtime")
    with bench.bare():
        expected = talk(bench, mode, spoken, aspoken)
    plain = same(bench.server.requests)
    bench.clear()
    with hexr_role("voice"):
        found = talk(bench, mode, spoken, aspoken)
    assert kinds(found) == kinds(expected)
    assert seen(found) == seen(expected)
    assert same(bench.server.requests) == plain
    asked, heard, transcribed = bench.records
    for record, words in ((asked, WORDS), (heard, 0)):
        assert (record["op"], record["model"], record["role"]) == ("chat", "gpt-realtime", "voice")
        assert record["served"] == "gpt-realtime-2025-08-28"
        assert {name: count for name, count in record["usage"].items() if count} == {
            "input": 100 + words,
            "output": 60,
            "cache_read": 40,
            "input_audio": 60,
            "output_audio": 40,
            "cache_read_audio": 20,
        }
        # Of the input 40 are cached, 20 of them audio; 60 are audio, 20 of them cached; of the output 40 are audio.
        text_in, text_out = 100 + words - 60 - 20, 20
        cost = text_in * 4 * MILLION + 40 * 32 * MILLION + 40 * 400_000 + text_out * 16 * MILLION + 40 * 64 * MILLION
        assert (record["cost"], record["cost_status"], record["finish"]) == (cost, "priced", ["stop"])
        assert 0 < record["first_chunk"] <= record["end"] - record["start"]
        assert record["host"] == "127.0.0.1"
    assert (transcribed["op"], transcribed["model"]) == ("generate_content", "whisper-1")
    assert "served" not in transcribed
    assert (transcribed["usage"], transcribed["cost"]) == ({"audio_seconds": 3}, 300_000_000)
    assert PROMPT not in json.dumps(bench.records)


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.surface("openai", "responses websocket")
def test_each_response_over_a_websocket_is_a_call(bench: Bench, mode: str) -> None:
    """Two responses on one connection are two records, as over HTTP."""
    connects(bench, "responses")
    with bench.bare():
        expected = talk(bench, mode, responded, aresponded)
    plain = same(bench.server.requests)
    bench.clear()
    found = talk(bench, mode, responded, aresponded)
    assert seen(found) == seen(expected)
    assert same(bench.server.requests) == plain
    assert len(bench.records) == len(bench.server.sent) == 2
    for record, sent in zip(bench.records, bench.server.sent, strict=True):
        assert (record["op"], record["model"], record["served"]) == ("chat", "gpt-5", "gpt-5-2025-08-07")
        assert record["usage"]["output"] == sent.usage["output_tokens"]
        assert (record["cost_status"], record["finish"], record["stream"]) == ("priced", ["stop"], True)
        assert record["first_chunk"] > 0


@pytest.mark.surface("openai", "realtime beta")
def test_an_older_voice_agent_is_recorded(bench: Bench) -> None:
    """`client.beta.realtime`, which has the same messages."""
    pytest.importorskip("websockets")
    import openai  # noqa: PLC0415

    if not hasattr(bench.clients["openai"][0].beta, "realtime"):
        pytest.skip("not in this version of the SDK")
    client = openai.OpenAI(websocket_base_url=bench.server.url.replace("http", "ws") + "/v1")
    with client.beta.realtime.connect(model="gpt-4o-realtime-preview", extra_headers={"x": "y"}) as connection:
        connection.response.create(response={"instructions": PROMPT})
        read_until(connection, "response.done")
    client.close()
    record = bench.one()
    assert (record["model"], record["usage"]["input"], record["cost_status"]) == (
        "gpt-4o-realtime-preview",
        100 + WORDS,
        "priced",
    )


def test_a_websocket_that_is_not_entered_by_with(bench: Bench) -> None:
    """`.enter()` and `.close()`, messages read as bytes and parsed by the program, in another thread's context."""
    connects(bench, "realtime")
    pytest.importorskip("websockets")
    connection = bench.clients["openai"][0].realtime.connect(model="gpt-realtime").enter()
    connection.send({"type": "response.create"})
    while connection.parse_event(connection.recv_bytes()).type != "response.done":
        pass
    connection.close()
    assert bench.one()["cost_status"] == "priced"


def test_a_registered_client_s_websocket_has_its_role(bench: Bench) -> None:
    """Answers on a connection that a handle opened are the handle's."""
    connects(bench, "realtime")
    pytest.importorskip("websockets")
    spoken(hexr_llm(bench.clients["openai"][0], role="receptionist"))
    assert [record["role"] for record in bench.records] == ["receptionist"] * 3


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("name", ["realtime", "responses"])
def test_an_answer_that_is_cut_short_is_an_error_or_partial(bench: Bench, name: str, mode: str) -> None:
    """What the server drops has failed; what the program leaves is partial: one record each, without a cost."""
    connects(bench, name)
    pytest.importorskip("websockets")
    opening = {"model": "gpt-realtime"} if name == "realtime" else {}

    def asking(connection: Any, words: str) -> Any:
        if name == "realtime":
            return connection.response.create(response={"instructions": words})
        return connection.response.create(**RESPONSE, instructions=words)

    def dropped(client: Any) -> Any:
        with getattr(client, name).connect(**opening) as connection:
            asking(connection, "hang up")
            return list(connection)

    def left(client: Any) -> Any:
        with getattr(client, name).connect(**opening) as connection:
            asking(connection, PROMPT)
            return read_until(connection, "response.created")

    async def adropped(client: Any) -> Any:
        async with getattr(client, name).connect(**opening) as connection:
            await asking(connection, "hang up")
            return [event async for event in connection]

    async def aleft(client: Any) -> Any:
        async with getattr(client, name).connect(**opening) as connection:
            await asking(connection, PROMPT)
            return await aread_until(connection, "response.created")

    talk(bench, mode, left, aleft)
    record = bench.one()
    assert ("error" in record, record["cost_status"], "cost" in record) == (False, "partial", False)
    bench.clear()
    with bench.bare(), pytest.raises(Exception, match="close") as bare:
        talk(bench, mode, dropped, adropped)
    with pytest.raises(type(bare.value), match="close"):
        talk(bench, mode, dropped, adropped)
    record = bench.one()
    assert record["error"].startswith("websockets.")
    assert (record["cost_status"], "cost" in record) == ("partial", False)


@pytest.mark.parametrize("name", ["realtime", "responses"])
def test_an_answer_that_is_refused_is_an_error(bench: Bench, name: str) -> None:
    """A refusal over a websocket is one record with the provider's code, and the next answer is its own."""
    connects(bench, name)
    pytest.importorskip("websockets")
    client = bench.clients["openai"][0]
    if name == "realtime":
        with client.realtime.connect(model="gpt-realtime") as connection:
            connection.response.create(response={"instructions": "refuse"})
            read_until(connection, "error")
            connection.response.create(response={"instructions": PROMPT})
            read_until(connection, "response.done")
    else:
        with client.responses.connect() as connection:
            connection.response.create(**RESPONSE, instructions="refuse")
            read_until(connection, "error")
            connection.response.create(**RESPONSE)
            read_until(connection, "response.completed")
    refused, answered = bench.records
    code = "conversation_already_has_active_response" if name == "realtime" else "invalid_value"
    assert (refused["error"], refused["cost_status"]) == (code, "no_usage")
    assert ("error" in answered, answered["cost_status"]) == (False, "priced")


@pytest.mark.parametrize("step", ["opened", "Session.ask", "Session.receive", "Session.over", "Session.refused"])
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_fault_of_ours_does_not_reach_a_conversation(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, mode: str, step: str
) -> None:
    """Whatever step of ours fails, messages, their types and the wire stay the same."""
    connects(bench, "realtime")
    with bench.bare():
        expected = seen(talk(bench, mode, spoken, aspoken))
    plain = same(bench.server.requests)
    bench.clear()

    def fault(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("injected")

    monkeypatch.setattr(guard, "strict", False)
    monkeypatch.setattr(guard, "faults", {})
    owner, _, name = step.rpartition(".")
    monkeypatch.setattr(sessions.Session if owner else sessions, name, fault)
    assert seen(talk(bench, mode, spoken, aspoken)) == expected
    assert same(bench.server.requests) == plain
    gc.collect()  # a connection that is dropped has a step of ours, too
    assert guard.faults or step == "Session.refused"


def test_lanes_do_not_mix(bench: Bench) -> None:
    """Two responses asked for on two lanes of one connection belong to who asked for each."""
    connects(bench, "responses")
    pytest.importorskip("websockets")
    with bench.clients["openai"][0].responses.connect() as connection:
        for role in ("left", "right"):
            with hexr_role(role):
                connection.send({"type": "response.create", **RESPONSE, "model": "gpt-5", "stream_id": role})
        for _ in range(2):
            read_until(connection, "response.completed")
    assert [record["role"] for record in bench.records] == ["left", "right"]
    assert len({record["response_id"] for record in bench.records}) == 2


# ---- Other ways in ------------------------------------------------------------------------------------------------


@pytest.mark.surface("openai", "azure every surface")
def test_azure_serves_every_surface(bench: Bench) -> None:
    """Images, sounds and voice agents of an Azure client are Azure's."""
    client = bench.clients["azure"][0]
    client.images.generate(model="gpt-image-1", prompt=PROMPT)
    client.audio.speech.create(model="tts-1", voice="alloy", input=PROMPT)
    if hasattr(getattr(client, "realtime", None), "connect"):
        pytest.importorskip("websockets")
        client.websocket_base_url = bench.server.url.replace("http", "ws") + "/openai"
        with client.realtime.connect(model="gpt-realtime") as connection:
            connection.response.create()
            read_until(connection, "response.done")
        assert bench.records[2]["model"] == "gpt-realtime"
    assert {record["provider"] for record in bench.records} == {"azure.ai.openai"}


@pytest.mark.surface("openai", "platforms OpenAI(provider=...)")
def test_a_platform_of_the_sdk_serves_the_call(bench: Bench) -> None:
    """`OpenAI(provider=...)`: the call is the platform's, whatever the host is."""
    import openai  # noqa: PLC0415

    bedrock = pytest.importorskip("openai.providers").bedrock
    client = openai.OpenAI(provider=bedrock(region="us-east-1", base_url=bench.server.openai, api_key="none"))
    client.responses.create(**RESPONSE)
    client.close()
    assert bench.one()["provider"] == "aws.bedrock"


@pytest.mark.surface("openai", "responses tool runner")
def test_a_tool_runner_s_turns_are_calls(bench: Bench) -> None:
    """The SDK's own loop: one record for each request that it makes."""
    runners = pytest.importorskip("openai.lib.responses_tool_runner")
    tool = {"type": "function", "name": "weather", "strict": False, "parameters": {"type": "object", "properties": {}}}
    runner = runners.ResponsesToolRunner(functions=[runners.RegisteredFunction(tool, lambda _: "Sunny.")])
    runner.run(bench.clients["openai"][0], {**RESPONSE}, max_steps=3)
    assert [record["finish"] for record in bench.records] == [["tool_call"], ["stop"]]
    assert len(bench.server.sent) == 2


READ = {
    "json": (lambda raw: raw.json(), lambda raw: raw.json()),
    "read": (lambda raw: raw.read(), lambda raw: raw.read()),
    "text": (lambda raw: raw.text(), lambda raw: raw.text()),
}


@pytest.mark.parametrize("how", READ)
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_body_that_is_read_whole_has_usage(bench: Bench, mode: str, how: str) -> None:
    """`with_streaming_response`, read at once instead of parsed: the body is there, and its usage with it."""
    client, aclient = bench.clients["openai"]

    async def main() -> Any:
        async with aclient.chat.completions.with_streaming_response.create(**CHAT) as raw:
            return await READ[how][1](raw)

    def reading() -> Any:
        if mode == "async":
            return bench.run(main())
        with client.chat.completions.with_streaming_response.create(**CHAT) as raw:
            return READ[how][0](raw)

    with bench.bare():
        expected = reading()
    bench.clear()
    assert anonymous(reading()) == anonymous(expected)
    assert bench.one()["cost_status"] == "priced"


def test_one_shot_arguments_are_the_sdk_s(bench: Bench) -> None:
    """Generators and files are read by the SDK, once: the wire is as without us."""
    makes = [
        lambda c: c.chat.completions.create(model="gpt-4o", messages=(message for message in HI)),
        lambda c: c.audio.transcriptions.create(model="whisper-1", file=("a.wav", io.BytesIO(b"RIFF" * 9))),
        lambda c: c.images.edit(model="gpt-image-1", prompt=PROMPT, image=io.BytesIO(b"png")),
    ]
    for make in makes:
        bench.clear()
        assert len(unchanged(bench, Surface("one shot", "value", make), "sync")) == 1


def test_what_the_caller_holds_is_as_without_us(bench: Bench) -> None:
    """Clients, results and patched methods: type, signature, copy and pickle."""
    import openai  # noqa: PLC0415

    client = bench.clients["openai"][0]
    base = openai._base_client.SyncAPIClient
    with bench.bare():
        expected = inspect.signature(base.request), inspect.iscoroutinefunction(openai.AsyncOpenAI.request)
    assert (inspect.signature(base.request), inspect.iscoroutinefunction(openai.AsyncOpenAI.request)) == expected
    found = client.chat.completions.create(**CHAT)
    assert type(found).__module__ == "openai.types.chat.chat_completion"
    assert isinstance(client, openai.OpenAI)
    assert pickle.loads(pickle.dumps(found)) == copy.deepcopy(found) == found
    assert type(copy.copy(client)) is openai.OpenAI
    assert not [name for name in vars(found) if "hexr" in name]


def test_everything_can_be_taken_off_again(bench: Bench) -> None:
    """After `uninstrument` the classes of connections have what they had, inherited methods included."""
    connects(bench, "realtime")
    import openai.resources.realtime.realtime as module  # noqa: PLC0415

    patched = dict(vars(module.RealtimeConnection))
    with bench.bare():
        plain = dict(vars(module.RealtimeConnection))
        assert not [value for value in plain.values() if hasattr(value, "__wrapped__")]
    assert dict(vars(module.RealtimeConnection)).keys() == patched.keys()
    assert plain.keys() <= patched.keys()
    assert {"send", "parse_event", "recv", "close"} <= patched.keys()
    assert not engine.patches["openai realtime"].left


# ---- Under the launcher -------------------------------------------------------------------------------------------

PROGRAM = """
import openai, asyncio
client = openai.OpenAI(max_retries=0)
client.images.generate(model="gpt-image-1", prompt="a cat")
client.audio.transcriptions.create(model="whisper-1", file=("a.wav", b"RIFF"))
client.audio.speech.create(model="tts-1", voice="alloy", input="hello").content
queued = client.responses.create(model="gpt-5", input="hi", background=True)
while client.responses.retrieve(queued.id).status != "completed": pass
made = client.batches.create(completion_window="24h", endpoint="/v1/responses", input_file_id="f")
while client.batches.retrieve(made.id).status != "completed": pass
with client.realtime.connect(model="gpt-realtime") as connection:
    connection.response.create()
    for event in connection:
        if event.type == "response.done": break
async def main():
    async with openai.AsyncOpenAI() as client, client.responses.connect() as connection:
        await connection.response.create(model="gpt-5", input="hi")
        async for event in connection:
            if event.type == "response.completed": break
asyncio.run(main())
"""


def test_a_program_with_every_kind_of_surface(run: Run, providers: ProviderServer) -> None:
    """Under the launcher each kind is recorded once, nothing is printed, and the wire is as without it."""
    import openai  # noqa: PLC0415

    pytest.importorskip("websockets")
    if not hasattr(getattr(openai.OpenAI(api_key="none"), "responses", None), "connect"):
        pytest.skip("not in this version of the SDK")
    plain = run(PROGRAM, bare=True)
    assert (plain.returncode, plain.err) == (0, "")
    sent = same(providers.requests)
    providers.clear()
    done = run(PROGRAM)
    assert (done.returncode, done.out, done.err) == (0, "", "")
    assert same(providers.requests) == sent
    told = [(call["op"], call["format"], call.get("cost_status")) for call in done.calls]
    assert sorted(told, key=str) == sorted(
        [
            ("generate_content", "images", "priced"),
            ("generate_content", "transcriptions", "priced"),
            ("generate_content", "speech", "priced"),
            ("fetch_response", "responses", None),
            ("fetch_response", "responses", None),
            ("chat", "responses", "priced"),
            ("chat", "batches", "priced"),
            ("chat", "realtime", "priced"),
            ("chat", "responses", "priced"),
        ],
        key=str,
    )


def test_a_connection_in_a_task_that_is_cancelled(bench: Bench) -> None:
    """Cancelling a wait for a message loses nothing: the answer that comes afterwards is the call's."""
    connects(bench, "realtime")
    pytest.importorskip("websockets")

    async def main() -> None:
        async with bench.clients["openai"][1].realtime.connect(model="gpt-realtime") as connection:
            await connection.recv()
            waiting = asyncio.create_task(connection.recv())
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            await connection.response.create()
            await aread_until(connection, "response.done")

    bench.run(main())
    assert bench.one()["cost_status"] == "priced"


def test_a_stream_of_images_that_is_left_is_partial(bench: Bench) -> None:
    """Partial images have no usage: a stream that is left before its end costs an unknown amount."""
    client = bench.clients["openai"][0]
    surface = Surface("images", "each", lambda c: c.images.generate(
        model="gpt-image-1", prompt=PROMPT, stream=True, partial_images=2))  # fmt: skip
    with bench.bare():
        offered(surface, bench, "sync")
    bench.clear()
    with client.images.generate(model="gpt-image-1", prompt=PROMPT, stream=True, partial_images=2) as stream:
        next(iter(stream))
    record = bench.one()
    assert (record["cost_status"], "cost" in record, "error" in record) == ("partial", False, False)
    assert len(each(client.images.generate(model="gpt-image-1", prompt=PROMPT, stream=True, partial_images=2))) == 4
