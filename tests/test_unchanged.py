"""The program unchanged, probe by probe: what it can ask of the SDK, of Python and of its own objects, with us and without."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import clean_environment

from hexr_instrument.demo.providers import ProviderServer

PREPARED = """
import asyncio, contextlib, copy, gc, hashlib, inspect, io, json, logging, os, pickle, random, sys, threading, traceback
import typing, warnings, weakref
warnings.simplefilter("always")
random.seed(42)
told = {}
def tell(name, probe):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = repr(probe())
        except Exception as error:
            found = f"{type(error).__name__}: {error}"
    told[name] = [found, sorted({str(each.message) for each in caught})]
def quiet_fork():
    child = os.fork()
    if not child:
        os._exit(7)
    return os.waitpid(child, 0)[1] >> 8
tell("fork before any call", quiet_fork)
import anthropic, openai, anthropic._base_client as ab, openai._base_client as ob
from google import genai
from google.genai import models as gm
tell("fork after the imports", quiet_fork)
METHODS = [ob.SyncAPIClient.request, ob.AsyncAPIClient.request, ob.BaseClient._process_response_data,
           ab.SyncAPIClient.request, ab.AsyncAPIClient.request, gm.Models._generate_content,
           gm.AsyncModels._generate_content, gm.Models._generate_content_stream, gm.AsyncModels._generate_content_stream]
def each(look): return lambda: [look(method) for method in METHODS]
tell("signature", each(inspect.signature))
tell("doc", each(lambda m: m.__doc__))
tell("module and name", each(lambda m: (m.__module__, m.__name__, m.__qualname__)))
tell("source", each(lambda m: hashlib.sha256(inspect.getsource(m).encode()).hexdigest()))
tell("annotations", each(lambda m: sorted(m.__annotations__)))
tell("defaults", each(lambda m: (m.__defaults__, m.__kwdefaults__)))
tell("iscoroutinefunction", each(lambda m: (inspect.iscoroutinefunction(m), asyncio.iscoroutinefunction(m))))
tell("isgeneratorfunction", each(lambda m: (inspect.isgeneratorfunction(m), inspect.isasyncgenfunction(m))))
tell("isfunction, callable", each(lambda m: (inspect.isroutine(m), callable(m))))
tell("pickle", each(lambda m: pickle.loads(pickle.dumps(m)).__qualname__))
tell("copy", each(lambda m: (copy.copy(m).__qualname__, copy.deepcopy(m).__qualname__)))
M = [{"role": "user", "content": "hi"}]
gpt, claude, gemini = openai.OpenAI(max_retries=0), anthropic.Anthropic(max_retries=0), genai.Client()
agpt = openai.AsyncOpenAI(max_retries=0)
chat = gpt.chat.completions
tell("pickle a client", lambda: type(pickle.dumps(gpt)))
tell("deepcopy a client", lambda: type(copy.deepcopy(gpt)))
tell("a call's awaitable", lambda: [inspect.isawaitable(x) or x.close() for x in [agpt.chat.completions.create(
    model="gpt-4o", messages=M)] if [x.close()] and True])
tell("pickle a result", lambda: pickle.loads(pickle.dumps(chat.create(model="gpt-4o", messages=M))).model)
def failing():
    try:
        try:
            raise LookupError("theirs")
        except LookupError:
            chat.create(model="error-429", messages=M)
    except Exception as error:
        frames = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)]
        ours = sum("hexr_instrument" in name for name in frames)
        top = [os.path.basename(name) for name in frames if "hexr_instrument" not in name]
        return (type(error), error.args, type(error.__cause__), type(error.__context__), error.__suppress_context__,
                ours <= 1, top)
tell("an exception", failing)
class Odd(dict):
    def get(self, *a): raise RuntimeError("get was called")
    def __repr__(self): raise RuntimeError("repr was called")
class Prompt(str):
    def __repr__(self): raise RuntimeError("repr was called")
tell("a dict that objects", lambda: chat.create(model="gpt-4o", messages=[Odd(role="user", content="hi")]).model)
tell("a text that objects", lambda: chat.create(model=Prompt("gpt-4o"), messages=M).model)
taken = []
def messages():
    taken.append(1)
    yield {"role": "user", "content": "hi"}
tell("a generator of messages", lambda: (chat.create(model="gpt-4o", messages=messages()).model, taken))
tell("a tuple of messages", lambda: chat.create(model="gpt-4o", messages=tuple(M)).model)
omit = getattr(openai, "omit", openai.NOT_GIVEN)
tell("NotGiven and Omit", lambda: chat.create(model="gpt-4o", messages=M, temperature=openai.NOT_GIVEN, top_p=omit).model)
file = io.BytesIO(b"RIFF")
tell("a file", lambda: (type(gpt.audio.transcriptions.create(model="whisper-1", file=("a.wav", file))), file.tell()))
tell("a file's place", lambda: file.tell())
def stream(): return chat.create(model="gpt-4o", messages=M, stream=True)
tell("a stream", lambda: [(type(s), isinstance(s, openai.Stream), type(s.response), sorted(vars(s)), s.response.is_closed,
    s.close(), s.response.is_closed) for s in [stream()]])
tell("a stream in a with block", lambda: [len(list(s)) for o in [stream()] for s in [o.__enter__()] if not [s is not o]])
tell("raw", lambda: [(type(r), type(r.parse()), r.headers["content-type"], type(r.text), r.parse() is r.parse())
    for r in [chat.with_raw_response.create(model="gpt-4o", messages=M)]])
def freed():
    gc.collect(); gc.disable()
    try:
        s = stream(); next(iter(s)); seen = weakref.ref(s), weakref.ref(s.response)
        del s
        at_once = [each() is None for each in seen]
        gc.collect()
        return at_once, [each() is None for each in seen]
    finally:
        gc.enable()
tell("a dropped stream is freed", freed)
tell("pydantic", lambda: chat.create(model="gpt-4o", messages=M).model_dump_json() and None)
tell("random", lambda: [random.random() for _ in range(5)])
tell("logging", lambda: (logging.getLogger().handlers, logging.getLogger().level, logging.lastResort.level))
tell("recursion limit", sys.getrecursionlimit)
tell("contexts", lambda: __import__("opentelemetry.trace").trace.get_current_span().get_span_context().is_valid)
del told["a stream in a with block"]
print(json.dumps(told))
"""
NAMES = [
    "fork before any call", "fork after the imports", "signature", "doc", "module and name", "source", "annotations",
    "defaults", "iscoroutinefunction", "isgeneratorfunction", "isfunction, callable", "pickle", "copy",
    "pickle a client", "deepcopy a client", "a call's awaitable", "pickle a result", "an exception",
    "a dict that objects", "a text that objects", "a generator of messages", "a tuple of messages",
    "NotGiven and Omit", "a file", "a file's place", "a stream", "raw", "a dropped stream is freed", "pydantic",
    "random", "logging", "recursion limit", "contexts", "stderr",
]  # fmt: skip
Told = dict[str, list[object]]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Told, Told]]:
    """What the same program finds without us and with us."""
    folder = tmp_path_factory.mktemp("unchanged")
    program = folder / "program.py"
    program.write_text(PREPARED)
    with ProviderServer() as server:
        environ = clean_environment(HEXR_STORE=str(folder / "store"), **server.environment())
        found = []
        for launcher in ([], [sys.executable, "-m", "hexr_instrument"]):
            done = subprocess.run(
                [*launcher, sys.executable, str(program)], env=environ, capture_output=True, text=True, timeout=100
            )
            assert done.returncode == 0, done.stderr
            # A copy of a client that fails half-way is finalised with an error of the SDK's own.
            found.append({**json.loads(done.stdout), "stderr": [re.sub("0x[0-9a-f]+", "#", done.stderr)]})
    assert list((Path(environ["HEXR_STORE"]) / "journal").iterdir()), "it was recorded"
    yield found[0], found[1]


@pytest.mark.parametrize("name", NAMES)
def test_a_probe_finds_what_it_finds_without_us(told: tuple[Told, Told], name: str) -> None:
    """Signatures, pickles, exceptions, odd arguments, streams, warnings, randomness: the same to the last character."""
    bare, recorded = told
    assert recorded[name] == bare[name]


def test_every_probe_is_looked_at(told: tuple[Told, Told]) -> None:
    """The list of probes is that of the program."""
    assert sorted(told[0]) == sorted(NAMES)
