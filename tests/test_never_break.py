"""A fault of ours at any step costs the record, never the call: results, exceptions and wire bytes stay the same."""

from __future__ import annotations

from support import Run

from hexr_instrument import health
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
BROKEN = (
    BATTERY
    + """
from hexr_instrument import engine, guard
from hexr_instrument.providers import PROVIDERS
def fault(*args, **kwargs): raise RuntimeError("injected")
for provider in PROVIDERS:
    object.__setattr__(provider, "request", fault)
battery()
print(repr(said))
for _ in range(guard.BREAK_AFTER):
    battery()
import anthropic._base_client, google.genai.models, openai._base_client
print([
    type(vars(kind)[name]).__name__
    for kind, name in (
        (openai._base_client.SyncAPIClient, "request"),
        (anthropic._base_client.BaseClient, "_process_response_data"),
        (google.genai.models.Models, "_generate_content"),
    )
])
"""
)
FOLDING = """
import anthropic, openai
from hexr_instrument import engine, guard
from hexr_instrument.formats import chat
M = [{"role": "user", "content": "hi"}]
good = chat.CHAT.fold
def fault(so_far, chunk): raise KeyError("injected")
def stream(): return "".join(c.choices[0].delta.content or "" for c in openai.OpenAI().chat.completions.create(
    model="gpt-4o", messages=M, stream=True) if c.choices)
whole = stream()
door = openai._base_client.SyncAPIClient.__dict__
def on(): return type(door["request"]).__name__ == "Patched"
for times, fold in ((guard.BREAK_AFTER - 1, fault), (1, good), (guard.BREAK_AFTER, fault)):
    assert on()
    object.__setattr__(chat.CHAT, "fold", fold)
    for _ in range(times):
        assert stream() == whole
assert not on()
object.__setattr__(chat.CHAT, "fold", good)
assert stream() == whole
anthropic.Anthropic().messages.create(model="claude-opus-4-1", max_tokens=9, messages=M)
"""


def test_with_every_reader_broken_the_program_is_the_same(run: Run, providers: ProviderServer) -> None:
    """Results, exceptions, output and wire bytes are those of a bare run, and the SDKs get their own objects back."""
    bare = run(BARE, bare=True)
    assert bare.returncode == 0, bare.err
    sent = [request.raw for request in providers.requests]
    providers.clear()
    done = run(BROKEN)
    assert (done.returncode, done.err) == (0, "")
    said, kinds = done.out.splitlines()
    assert said == bare.out.strip()
    assert [request.raw for request in providers.requests][: len(sent)] == sent
    assert kinds == repr(["function"] * 3)
    assert not done.calls
    breaks = [note["reason"] for note in health.notes(done.store) if note["kind"] == "breaker"]
    assert sorted(breaks) == ["anthropic", "google", "openai"]


def test_a_reader_that_fails_in_ten_calls_in_a_row_is_taken_off(run: Run) -> None:
    """Nine failing calls and a good one count anew; after ten, one provider is left alone, the others are recorded."""
    done = run(FOLDING)
    assert (done.returncode, done.out, done.err) == (0, "", "")
    assert [call["provider"] for call in done.calls] == ["openai"] * 21 + ["anthropic"]
    notes = health.notes(done.store)
    (broken,) = (note for note in notes if note["kind"] == "breaker")
    assert (broken["reason"], broken["last"]) == ("openai", "feed: KeyError")
    faults = [(note["reason"], note["count"]) for note in notes if note["kind"] == "fault"]
    assert faults[:3] == [("feed: KeyError", 1), ("feed: KeyError", 10), ("feed: KeyError", 100)]
