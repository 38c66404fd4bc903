"""A fault of ours at any step costs the record, never the call: results, exceptions and wire bytes stay the same."""

from __future__ import annotations

import ast

from support import Run

from hexr_instrument.demo.providers import ProviderServer

BATTERY = """
import asyncio, sys
import anthropic, openai
from google import genai
M = [{"role": "user", "content": "hi"}]
said = []
def attempt(call):
    try:
        said.append(str(call()))
    except Exception as error:
        said.append(f"{type(error).__module__} {type(error).__qualname__} {getattr(error, 'status_code', None)}")
gpt, claude, gemini = openai.OpenAI(max_retries=0), anthropic.Anthropic(max_retries=0), genai.Client()
chat = gpt.chat.completions
def helper():
    with claude.messages.stream(model="claude-opus-4-1", max_tokens=9, messages=M) as stream:
        return stream.get_final_text()
async def twins():
    async with openai.AsyncOpenAI() as whole, genai.Client().aio as google:
        client = whole.chat.completions
        found = [(await client.create(model="gpt-4o", messages=M)).choices[0].message.content]
        async for chunk in await client.create(model="gpt-4o", messages=M, stream=True):
            found.append(chunk.choices[0].finish_reason)
        stream = await google.models.generate_content_stream(model="gemini-2.5-flash", contents="hi")
        return found + [chunk.text async for chunk in stream]
def battery():
    attempt(lambda: chat.create(model="gpt-4o", messages=M).choices[0].message.content)
    attempt(lambda: [c.choices[0].delta.content for c in chat.create(model="gpt-4o", messages=M, stream=True)])
    attempt(lambda: chat.with_raw_response.create(model="gpt-4o", messages=M).parse().usage.total_tokens)
    attempt(lambda: chat.create(model="error-429", messages=M))
    attempt(lambda: gpt.responses.create(model="gpt-4o", input="hi").output_text)
    attempt(lambda: claude.messages.create(model="claude-opus-4-1", max_tokens=9, messages=M).content[0].text)
    attempt(helper)
    attempt(lambda: claude.messages.create(model="error-529", max_tokens=9, messages=M))
    attempt(lambda: gemini.models.generate_content(model="gemini-2.5-flash", contents="hi").text)
    attempt(lambda: [c.text for c in gemini.models.generate_content_stream(model="gemini-2.5-flash", contents="hi")])
    attempt(lambda: asyncio.run(twins()))
"""
BARE = BATTERY + "battery()\nprint(repr(said))"
INJECTED = (
    BATTERY
    + """
from hexr_instrument import guard, hub, journal, pricing, recorder, streams, telemetry, worker
from hexr_instrument.formats import chat as _chat, gemini as _gemini, messages as _messages, responses as _responses
from hexr_instrument.providers import PROVIDERS
FORMATS = (_chat.CHAT, _gemini.GENERATE_CONTENT, _messages.MESSAGES, _responses.RESPONSES)
def fault(*args, **kwargs): raise RuntimeError("injected")
def site(name):
    owner, _, attribute = name.rpartition(".")
    owners = {"provider": PROVIDERS, "format": FORMATS}.get(owner)
    return (owners if owners is not None else (eval(owner),)), attribute
for name in SITES:
    owners, attribute = site(name)
    kept = [getattr(owner, attribute) for owner in owners]
    for owner in owners:
        (object.__setattr__ if owner in PROVIDERS or owner in FORMATS else setattr)(owner, attribute, fault)
    guard.faults.clear()
    battery()
    for owner, value in zip(owners, kept):
        (object.__setattr__ if owner in PROVIDERS or owner in FORMATS else setattr)(owner, attribute, value)
    print(repr((name, said, sum(guard.faults.values()))))
    said = []
"""
)
SITES = (
    "provider.request",
    "provider.outcome",
    "provider.owner",
    "format.response",
    "format.fold",
    "format.finished",
    "format.substance",
    "recorder.Recorder.begin",
    "recorder.Recorder.release",
    "recorder.Recorder.finish",
    "recorder.Recorder.keep",
    "recorder.Live.feed",
    "recorder.Live.end",
    "streams.defer",
    "streams.live_of",
    "pricing.cost",
    "telemetry.of_call",
    "journal.Journal.append",
    "worker.Worker.notify",
)


def test_no_fault_of_ours_reaches_the_program(run: Run, providers: ProviderServer) -> None:
    """With a fault injected at each step in turn, results, exceptions, output and wire bytes are those of a bare run."""
    bare = run(BARE, bare=True)
    assert bare.returncode == 0, bare.err
    sent = [request.raw for request in providers.requests]
    providers.clear()
    done = run(f"SITES = {SITES!r}\n{INJECTED}")
    assert (done.returncode, done.err) == (0, "")
    lines = [ast.literal_eval(line) for line in done.out.splitlines()]
    assert [line[0] for line in lines] == list(SITES)
    for name, said, faults in lines:
        assert said == ast.literal_eval(bare.out), name
        assert faults, f"{name}: the fault was not injected"
    assert [request.raw for request in providers.requests] == sent * len(SITES)
