"""Clients that no table knows: `hexr_llm(anything, provider=, methods=)`."""

from __future__ import annotations

from typing import Any

import pytest
from support import Run

from hexr_instrument.formats import anything

SHAPES: dict[str, tuple[Any, dict[str, int]]] = {
    "chat": ({"usage": {"prompt_tokens": 10, "completion_tokens": 5}}, {"input": 10, "output": 5}),
    "responses": (
        {"usage": {"input_tokens": 10, "output_tokens": 5, "input_tokens_details": {"cached_tokens": 4}}},
        {"input": 10, "output": 5, "cache_read": 4},
    ),
    "messages": (
        {"type": "message", "usage": {"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 4}},
        {"input": 14, "output": 5, "cache_read": 4},
    ),
    "gemini": (
        {"usage_metadata": {"prompt_token_count": 10, "candidates_token_count": 5}},
        {"input": 10, "output": 5},
    ),
    "ollama": ({"prompt_eval_count": 10, "eval_count": 5}, {"input": 10, "output": 5}),
    "converse": ({"usage": {"inputTokens": 10, "outputTokens": 5}}, {"input": 10, "output": 5}),
    "cohere": ({"meta": {"tokens": {"input_tokens": 10, "output_tokens": 5}}}, {"input": 10, "output": 5}),
    "nothing": ({"text": "hi", "usage": "n/a"}, {}),
    "text": ("hi", {}),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_usage_is_read_from_every_known_shape(shape: str) -> None:
    """Chat, Responses, Messages, Gemini, Converse, Ollama, Cohere: their counts; of anything else none."""
    payload, expected = SHAPES[shape]
    usage = anything.read(payload).usage
    known = {} if usage is None else {name: count for name, count in usage.known().items() if count}
    assert known == expected


KINDS = """
import asyncio, collections, functools, pickle
from concurrent.futures import Future, ThreadPoolExecutor
from hexr import hexr_agent, hexr_llm

SPENT = {"usage": {"prompt_tokens": 10, "completion_tokens": 5}}

class Acme:
    model = "acme-large"
    def complete(self, prompt, model=None): return SPENT
    async def later(self, prompt): return SPENT
    def pieces(self, prompt):
        heard = yield "a"
        yield heard
        yield SPENT
        return "end"
    async def pieces_later(self, prompt):
        yield "a"
        yield SPENT
    def fail(self): raise KeyError("mine")
    def untouched(self): return "as it is"
    def __len__(self): return 3
    def __enter__(self): return self
    def __exit__(self, *error): return None

class Slotted:
    __slots__ = ("model_name",)
    def ask(self): return (7, 2)

plain = Acme()
before = dict(vars(plain))
acme = hexr_llm(plain, provider="acme", methods=["complete", "later", "pieces", "pieces_later", "fail"], role="stranger")
assert vars(plain) == before and "complete" in vars(Acme)
assert isinstance(acme, Acme) and acme.untouched() == "as it is" and len(acme) == 3
with acme as entered:
    assert entered is acme
acme.note = 1
assert plain.note == 1 and pickle.loads(pickle.dumps(acme)).note == 1

def generator():
    steps = acme.pieces("x")
    assert next(steps) == "a" and steps.send("b") == "b" and next(steps) is SPENT
    try:
        next(steps)
    except StopIteration as stop:
        assert stop.value == "end"

async def asynchronous():
    assert await acme.later("x") is SPENT
    assert [each async for each in acme.pieces_later("x")] == ["a", SPENT]

with hexr_agent("crew"):
    assert acme.complete("x") is SPENT
    acme.complete("x", "by-place")
    acme.complete("x", model="by-name")
    generator()
    asyncio.run(asynchronous())
    try:
        acme.fail()
    except KeyError as error:
        assert error.args == ("mine",)

slotted = Slotted()
slotted.model_name = "slotted-1"
asking = hexr_llm(slotted, provider="slots", methods=["ask"], usage=lambda r: {"input_tokens": r[0], "output_tokens": r[1]})
assert asking.ask() == (7, 2) and isinstance(asking, Slotted)

queue = hexr_llm(collections.deque([SPENT]), provider="c", methods=["popleft"], model="in-c")
assert queue.popleft() is SPENT and len(queue) == 0 and isinstance(queue, collections.deque)

def ask(prompt, model="gpt-4o"): return SPENT
priced = hexr_llm(ask, provider="openai")
assert priced("x") is SPENT and priced.__name__ == "ask"
hexr_llm(lambda: SPENT, provider="nameless")()
broken = hexr_llm(ask, provider="broken", usage=lambda result: 1 / 0)
assert broken("x") is SPENT
with ThreadPoolExecutor(1) as pool:
    future = hexr_llm(lambda: pool.submit(ask, "x"), provider="future")()
    assert isinstance(future, Future) and future.result() is SPENT
"""


@pytest.mark.odd("a client that no table knows has no address, and its response no id")
def test_every_kind_of_method_and_object_is_recorded_and_stays_what_it_is(run: Run) -> None:
    """Sync, async, generators, functions, slots and C: results, exceptions and types are theirs; one record each."""
    done = run(KINDS)
    assert (done.returncode, done.err) == (0, "")
    seen = [(call["provider"], call.get("model"), call["cost_status"]) for call in done.calls]
    assert sorted(seen) == sorted([
        ("acme", "acme-large", "unpriced"),
        ("acme", "by-place", "unpriced"),
        ("acme", "by-name", "unpriced"),
        ("acme", "acme-large", "unpriced"),
        ("acme", "acme-large", "unpriced"),
        ("acme", "acme-large", "unpriced"),
        ("acme", "acme-large", "no_usage"),
        ("slots", "slotted-1", "unpriced"),
        ("c", "in-c", "unpriced"),
        ("openai", "gpt-4o", "priced"),
        ("nameless", None, "unpriced"),
        ("broken", "gpt-4o", "no_usage"),
        ("future", None, "unpriced"),
    ])  # fmt: skip
    acme = [call for call in done.calls if call["provider"] == "acme"]
    assert {(call["agent"], call["role"]) for call in acme} == {("crew", "stranger")}
    assert [call["usage"] for call in acme[:-1]] == [{"input": 10, "output": 5}] * 6
    assert acme[-1]["error"] == "KeyError"
    assert [call.get("stream") for call in acme] == [None, None, None, True, None, True, None]
    (crew,) = [record for record in done.records if record["kind"] == "agent"]
    assert (crew["calls"], crew["input"], crew["output"]) == (7, 60, 30)
    assert {call["parent"] for call in acme} == {crew["id"]}


INSIDE = """
from concurrent.futures import ThreadPoolExecutor
from openai import OpenAI
from hexr import hexr_llm

class Gateway:
    def ask(self, stream=False):
        more = {"stream_options": {"include_usage": True}} if stream else {}
        return OpenAI().chat.completions.create(model="gpt-4o", messages=[], stream=stream, **more)
    def elsewhere(self):
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(self.ask).result()
    def never(self):
        return {"usage": {"input_tokens": 1, "output_tokens": 2}}

gateway = hexr_llm(Gateway(), provider="gateway", methods=["ask", "elsewhere", "never"], role="inside")
gateway.elsewhere()
assert type(gateway.ask()).__name__ == "ChatCompletion"
assert len(list(gateway.ask(stream=True))) > 2
gateway.never()
"""


@pytest.mark.odd("a client that no table knows has no address, and its response no id")
def test_a_stranger_that_calls_a_known_sdk_is_billed_there_once(run: Run) -> None:
    """Also in a thread and streamed: the SDK's call is the record, with the stranger's role; the outer one steps aside."""
    done = run(INSIDE)
    assert (done.returncode, done.err) == (0, "")
    assert [call["provider"] for call in done.calls] == ["openai"] * 3 + ["gateway"]
    assert {call["role"] for call in done.calls} == {"inside"}


CROWD = """
import asyncio, threading
from hexr import hexr_llm, hexr_role

async def later(model):
    await asyncio.sleep(0)
    return {"usage": {"input_tokens": 1, "output_tokens": 2}}

def now(model):
    return {"usage": {"input_tokens": 1, "output_tokens": 2}}

ask, ask_now = hexr_llm(later, provider="acme"), hexr_llm(now, provider="acme")

async def one(role):
    with hexr_role(role):
        await ask(role)

async def main():
    await asyncio.gather(*(one(f"task-{number % 50}") for number in range(1000)))

def work(role):
    start.wait()
    with hexr_role(role):
        inner = threading.Thread(target=ask_now, args=(role,))
        inner.start()
        ask_now(role)
        inner.join()

asyncio.run(main())
start = threading.Barrier(64)
threads = [threading.Thread(target=work, args=(f"thread-{number}",)) for number in range(64)]
for each in threads: each.start()
for each in threads: each.join()
"""


@pytest.mark.odd("a client that no table knows has no address, and its response no id")
def test_1000_tasks_under_50_roles_and_64_threads_under_64_have_no_cross_talk(run: Run) -> None:
    """Each of 1,128 recorded calls has the role that it was made under, which is also its model's name."""
    done = run(CROWD)
    assert (done.returncode, done.err) == (0, "")
    assert len(done.calls) == 1000 + 128
    assert [call["role"] for call in done.calls] == [call["model"] for call in done.calls]
    assert len({call["role"] for call in done.calls}) == 50 + 64


BAD = {
    "no methods": ("hexr_llm(object(), provider='acme')", "methods=['complete']"),
    "no such method": ("hexr_llm(object(), provider='acme', methods=['ask'])", "object has no method 'ask'"),
    "no provider": ("hexr_llm(print, methods=['__call__'])", "provider='acme'"),
    "usage": ("hexr_llm(print, provider='acme', usage=3)", "usage= takes a function"),
    "unknown": ("hexr_llm(print, provider='acme', prompt='x')", "not prompt="),
    "role": ("hexr_llm(print, provider='acme', role=3)", "role= takes a string"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_wrapped_is_one_clear_error(case: str) -> None:
    """A missing method or provider, or a wrong usage=: HexrError names it and the mend."""
    import hexr

    call, said = BAD[case]
    with pytest.raises(hexr.HexrError, match=said.replace("[", r"\[").replace("]", r"\]")):
        eval(call, vars(hexr))
