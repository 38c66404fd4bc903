"""Content beside chat: voice agents, live sessions, interactions, responses on a websocket, images, sounds, videos.

In this process, through the real SDKs, twice: with content on spans, and off. What goes over the wire is the same.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from semconv import faults
from support import wire
from test_gemini import DONE, EVENTS, interactions
from test_openai import aread_until, connects, read_until, same
from test_surfaces import (
    SURFACES,
    Bench,
    Surface,
    aeach,
    bench,  # noqa: F401  (a fixture)
    each,
    kinds,
    offered,
    shared,  # noqa: F401  (a fixture)
    spans,  # noqa: F401  (a fixture)
)

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.odd("a conversation says no id, model or reason"),
]

SOUND = base64.b64encode(b"s" * 300).decode()
TOOL = {"type": "function", "name": "canary_weather", "description": "canary", "parameters": {"type": "object"}}
ASKED, SAID, SYSTEM, TOOLS = (
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.system_instructions",
    "gen_ai.tool.definitions",
)
CONTENT = (ASKED, SAID, SYSTEM, TOOLS)
WORDS = "Plain words travel further."


def text(said: str) -> dict[str, str]:
    """A text part."""
    return {"type": "text", "content": said}


def user(*parts: Any) -> dict[str, Any]:
    """A message of the user's."""
    return {"role": "user", "parts": list(parts)}


def assistant(*parts: Any) -> dict[str, Any]:
    """A message of the model's."""
    return {"role": "assistant", "parts": list(parts)}


def blob(size: int, modality: str, mime: str | None = None) -> dict[str, Any]:
    """A part of so many bytes, without them."""
    kind = {} if mime is None else {"mime_type": mime}
    return {"type": "blob", "modality": modality, **kind, "content": "", "size": size}


def contents(bench: Bench, spans: Any, talk: Callable[[], Any], script: Callable[[], None]) -> list[dict[str, Any]]:
    """The content attributes of each span, as JSON: none where content is off, and the same wire on and off."""
    config = bench.recorder.config
    script()
    talk()
    plain = same(bench.server.requests)
    assert "canary" not in repr([dict(each.attributes) for each in spans.get_finished_spans()])
    assert "canary" not in repr(bench.records)
    count = len(bench.records)
    bench.clear()
    spans.clear()
    bench.recorder.config = replace(config, content=(True, False))
    try:
        script()
        talk()
    finally:
        bench.recorder.config = config
    assert same(bench.server.requests) == plain
    assert len(bench.records) == count
    assert "content" not in repr([list(record) for record in bench.records]), "it is on the program's own span"
    found = [
        {name: json.loads(each.attributes[name]) for name in CONTENT if name in each.attributes}
        for each in spans.get_finished_spans()
    ]
    assert not [fault for each in found for name, value in each.items() for fault in faults(name, value)]
    assert SOUND not in repr(found)
    return found


def nothing() -> None:
    """The server's own answers do."""


def put(item: dict[str, Any]) -> dict[str, Any]:
    """An event that adds to a conversation."""
    return {"type": "conversation.item.create", "item": item}


TOLD = [
    {"type": "session.update", "session": {"type": "realtime", "instructions": "canary session", "tools": [TOOL]}},
    put({"type": "message", "role": "user", "content": [{"type": "input_text", "text": "canary question"}]}),
    {"type": "input_audio_buffer.append", "audio": SOUND},
    {"type": "input_audio_buffer.append", "audio": SOUND},
    put({"type": "function_call_output", "call_id": "call_1", "output": "canary sun"}),
    {"type": "response.create", "response": {}},
]
VOICE = {
    ASKED: [
        user(text("canary question")),
        user(blob(600, "audio")),
        {"role": "tool", "parts": [{"type": "tool_call_response", "response": "canary sun", "id": "call_1"}]},
    ],
    SYSTEM: [text("canary session")],
    TOOLS: [{"type": "function", "name": "canary_weather"}],
    SAID: [assistant(text(WORDS))],
}


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_voice_agent(bench: Bench, spans: Any, mode: str) -> None:
    """Each answer has what was put in since the last one, sound by its size, and the session's own words."""
    connects(bench, "realtime")
    client, aclient = bench.clients["openai"]

    def talk() -> None:
        with client.realtime.connect(model="gpt-realtime") as connection:
            for event in TOLD[:1]:
                connection.send(event)
                read_until(connection, "session.updated")
            for event in TOLD[1:]:
                connection.send(event)
            read_until(connection, "response.done")
            connection.response.create(response={"instructions": "canary own"})
            read_until(connection, "response.done")

    async def atalk() -> None:
        async with aclient.realtime.connect(model="gpt-realtime") as connection:
            for event in TOLD[:1]:
                await connection.send(event)
                await aread_until(connection, "session.updated")
            for event in TOLD[1:]:
                await connection.send(event)
            await aread_until(connection, "response.done")
            await connection.response.create(response={"instructions": "canary own"})
            await aread_until(connection, "response.done")

    found = contents(bench, spans, talk if mode == "sync" else lambda: bench.run(atalk()), nothing)
    assert found == [VOICE, {SYSTEM: [text("canary own")], TOOLS: VOICE[TOOLS], SAID: VOICE[SAID]}]


def test_what_is_said_to_a_voice_agent_is_transcribed(bench: Bench, spans: Any) -> None:
    """The call that transcribes has the words, and the answer the size of the sound."""
    connects(bench, "realtime")
    client = bench.clients["openai"][0]
    heard = {"type": "realtime", "audio": {"input": {"transcription": {"model": "gpt-4o-transcribe"}}}}

    def talk() -> None:
        with client.realtime.connect(model="gpt-realtime") as connection:
            connection.session.update(session=heard)
            connection.input_audio_buffer.append(audio=SOUND)
            connection.input_audio_buffer.commit()
            read_until(connection, "conversation.item.input_audio_transcription.completed")

    assert contents(bench, spans, talk, nothing) == [
        {ASKED: [user(blob(300, "audio"))], SAID: [assistant(text(WORDS))]},
        {SAID: [assistant(text("Hello."))]},
    ]


def test_a_websocket_of_openai_s(bench: Bench, spans: Any) -> None:
    """What is asked for on it has the content of any other response."""
    connects(bench, "responses")
    client = bench.clients["openai"][0]
    asked = {"model": "gpt-5", "input": "canary question", "instructions": "canary system", "tools": [TOOL]}

    def talk() -> None:
        with client.responses.connect() as connection:
            connection.response.create(**asked)
            read_until(connection, "response.completed")

    (found,) = contents(bench, spans, talk, nothing)
    assert (found[ASKED], found[SYSTEM], found[TOOLS]) == (
        [user(text("canary question"))],
        [text("canary system")],
        VOICE[TOOLS],
    )
    assert found[SAID][0]["parts"]


def test_a_response_in_the_background(bench: Bench, spans: Any) -> None:
    """The one call has what was asked when it was created, and what is said when it is fetched."""
    client = bench.clients["openai"][0]
    if not hasattr(client, "responses"):
        pytest.skip("not in this version of the SDK")

    def talk() -> None:
        queued = client.responses.create(model="gpt-5", input="canary", background=True)
        while client.responses.retrieve(queued.id).status != "completed":
            pass

    (found,) = [each for each in contents(bench, spans, talk, nothing) if ASKED in each]
    assert found[ASKED] == [user(text("canary"))]
    assert found[SAID][0]["role"] == "assistant"


def test_images_sounds_and_videos_of_openai_s(bench: Bench, spans: Any) -> None:
    """The words of prompts, speeches and transcripts; images by size or address, a video by its id."""
    client = bench.clients["openai"][0]

    def script() -> None:
        data = [{"b64_json": base64.b64encode(b"i" * 90).decode()}, {"url": "https://example.com/canary.png"}]
        bench.server.reply(body={"created": 1, "data": data}, route="/images/generations")

    def talk() -> None:
        client.images.generate(model="gpt-image-1", prompt="canary cat")
        client.images.edit(model="gpt-image-1", prompt="canary edit", image=("a.png", b"PNG"))
        client.audio.transcriptions.create(model="whisper-1", file=("a.wav", b"RIFF"), prompt="canary names")
        client.audio.speech.create(model="tts-1", voice="alloy", input="canary speech")

    made, edited, heard, spoken = contents(bench, spans, talk, script)
    assert made[ASKED] == [user(text("canary cat"))]
    link = {"type": "uri", "modality": "image", "uri": "https://example.com/canary.png"}
    assert made[SAID] == [assistant(blob(90, "image"), link)]
    assert edited[ASKED] == [user(text("canary edit"))]
    assert {part["type"] for part in edited[SAID][0]["parts"]} == {"blob"}
    assert heard[ASKED] == [user(text("canary names"))]
    assert heard[SAID][0]["parts"][0]["type"] == "text"
    assert spoken == {ASKED: [user(text("canary speech"))]}


def test_streams_of_images_and_transcripts(bench: Bench, spans: Any) -> None:
    """They are as the whole answer would have been."""
    client = bench.clients["openai"][0]
    try:
        list(client.images.generate(model="gpt-image-1", prompt="a cat", stream=True))
        list(client.audio.transcriptions.create(model="gpt-4o-transcribe", file=("a.wav", b"R"), stream=True))
    except (TypeError, AttributeError):
        pytest.skip("not in this version of the SDK")
    bench.clear()
    spans.clear()

    def talk() -> None:
        list(client.images.generate(model="gpt-image-1", prompt="canary cat", stream=True))
        list(client.audio.transcriptions.create(model="gpt-4o-transcribe", file=("a.wav", b"R"), stream=True))

    made, heard = contents(bench, spans, talk, nothing)
    (picture,) = made[SAID][0]["parts"]
    assert (picture["type"], picture["modality"], picture["content"]) == ("blob", "image", "")
    assert picture["size"] > 0
    assert heard[SAID][0]["parts"][0]["type"] == "text"


@interactions
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_an_interaction(bench: Bench, spans: Any, mode: str) -> None:
    """Text, steps and media that are asked, thoughts, calls and texts that are said; streamed as whole."""
    client, aclient = bench.clients["google"]
    steps = [
        {"type": "thought", "summary": [{"type": "text", "text": "canary thought"}]},
        {"type": "function_call", "id": "c1", "name": "weather", "arguments": {"city": "canary"}},
        {"type": "model_output", "content": [{"type": "text", "text": "canary answer"}]},
    ]
    events = [*EVENTS[:-1], {"event_type": "interaction.completed", "interaction": {**DONE, "steps": None}}]

    def script() -> None:
        bench.server.reply(body={**DONE, "steps": steps}, route="/interactions")
        bench.server.reply(chunks=events, route="/interactions")

    asked = [
        {"type": "user_input", "content": [
            {"type": "text", "text": "canary question"}, {"type": "image", "data": SOUND, "mime_type": "image/png"}]},
        {"type": "function_result", "call_id": "c1", "name": "weather", "result": "canary sun"},
    ]  # fmt: skip
    whole = {"model": "gemini-3.5-flash", "input": asked, "system_instruction": "canary system", "tools": [TOOL]}
    streamed = {"model": "gemini-3.5-flash", "input": "canary stream", "stream": True}

    def talk() -> None:
        client.interactions.create(**whole)
        each(client.interactions.create(**streamed))

    async def atalk() -> None:
        await aclient.interactions.create(**whole)
        await aeach(aclient.interactions.create(**streamed))

    one, other = contents(bench, spans, talk if mode == "sync" else lambda: bench.run(atalk()), script)
    assert one == {
        ASKED: [
            user(text("canary question"), blob(300, "image", "image/png")),
            {"role": "tool", "parts": [{"type": "tool_call_response", "response": "canary sun", "id": "c1"}]},
        ],
        SYSTEM: [text("canary system")],
        TOOLS: VOICE[TOOLS],
        SAID: [
            assistant(
                {"type": "reasoning", "content": "canary thought"},
                {"type": "tool_call", "name": "weather", "id": "c1", "arguments": {"city": "canary"}},
                text("canary answer"),
            )
        ],
    }
    assert other == {ASKED: [user(text("canary stream"))], SAID: [assistant(text("Hello."))]}


def test_a_live_session(bench: Bench, spans: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each turn has what was sent since the last one, by words or by size, and what the session was opened with."""
    pytest.importorskip("websockets.asyncio")
    types = pytest.importorskip("google.genai.types")
    from google.genai import live  # noqa: PLC0415  (seconds)

    # The SDK insists on TLS; everything else is as it is.
    name = "ws_connect" if hasattr(live, "ws_connect") else "connect"
    real = getattr(live, name)
    monkeypatch.setattr(
        live,
        name,
        lambda uri, *, ssl=None, **more: real(uri.replace("wss:", "ws:"), **more),  # noqa: ARG005
    )
    aio = bench.clients["google"][1]
    if not hasattr(live.AsyncSession, "send_realtime_input"):
        pytest.skip("not in this version of the SDK")
    config = {"system_instruction": "canary system", "response_modalities": ["TEXT"]}
    functions = {"tools": [{"function_declarations": [{"name": "canary_weather"}]}]}

    async def receive(session: Any) -> list[Any]:
        return [message async for message in session.receive()]

    async def atalk() -> None:
        turn = {"role": "user", "parts": [{"text": "canary question"}]}
        async with aio.live.connect(model="gemini-3.8-live-preview", config=config) as session:
            for _ in range(2):
                await session.send_realtime_input(audio=types.Blob(data=b"a" * 50, mime_type="audio/pcm"))
            await session.send_client_content(turns=turn, turn_complete=True)
            await receive(session)
        async with aio.live.connect(model="gemini-3.8-live-preview", config=functions) as session:
            await session.send_client_content(turns=turn, turn_complete=True)
            async for message in session.receive():
                for call in message.tool_call.function_calls if message.tool_call else ():
                    result = {"id": call.id, "name": call.name, "response": {"result": "canary sun"}}
                    await session.send_tool_response(function_responses=[result])

    said, called, answered = contents(bench, spans, lambda: bench.run(atalk()), nothing)
    question = user(text("canary question"))
    assert said[ASKED] == [user(blob(100, "audio", "audio/pcm")), question]
    assert said[SYSTEM] == [text("canary system")]
    assert said[SAID] == [assistant(text("Good day."))]
    assert (called[ASKED], called[TOOLS]) == ([question], VOICE[TOOLS])
    (part,) = called[SAID][0]["parts"]
    assert (part["type"], part["name"], part["arguments"]) == ("tool_call", "weather", {"city": "Rome"})
    (given,) = answered[ASKED][0]["parts"]
    assert (given["type"], given["response"]) == ("tool_call_response", {"result": "canary sun"})
    assert answered[SAID] == [assistant(text("Good day."))]


NAMES = (
    "chat tools stream",
    "chat parse",
    "completions stream",
    "responses tools",
    "responses stream helper",
    "messages tools",
    "messages stream helper",
    "beta messages tool runner",
    "gemini chat stream",
    "gemini calls functions itself",
    "embeddings create",
)


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("surface", [each for each in SURFACES if each.name in NAMES], ids=lambda each: each.name)
def test_content_changes_neither_results_nor_the_wire(bench: Bench, spans: Any, surface: Surface, mode: str) -> None:
    """With content on, the caller sees and sends what he does without us; embeddings have none to capture."""
    if surface.name.startswith("responses") and not hasattr(bench.clients["openai"][0], "responses"):
        pytest.skip("not in this version of the SDK")
    with bench.bare():
        expected = kinds(offered(surface, bench, mode))
    plain = wire(bench.server.requests)
    for *_, headers in plain:
        headers.pop("traceparent", None)  # of a span that an SDK makes itself, where it is not recorded
    bench.clear()
    spans.clear()
    config = bench.recorder.config
    bench.recorder.config = replace(config, content=(True, False))
    try:
        assert kinds(surface.run(bench, mode)) == expected
    finally:
        bench.recorder.config = config
    assert wire(bench.server.requests) == plain
    found = [each for each in spans.get_finished_spans() if each.name.partition(" ")[0] != "execute_tool"]
    assert len(found) >= surface.calls
    assert {ASKED in each.attributes for each in found} == {surface.name != "embeddings create"}
