"""Who spent it: scopes on every kind of function, handles, and what of the environment stands behind them."""

from __future__ import annotations

import asyncio
import gc
import inspect
import pickle
from collections.abc import AsyncIterator, Iterator

import pytest
from installed import needs_google_url
from support import Run

from hexr_instrument import Caller, current_caller
from hexr_instrument.context import Change, Scoped


def agent(name: str, tenant: str | None = None, role: str | None = None) -> Scoped:
    """A scope without the recorder behind it."""
    return Scoped(Change(name, role, tenant))


def test_entering_an_agent_clears_the_role_and_inherits_the_tenant() -> None:
    """The inner agent is the caller; it has the outer tenant and no role; leaving restores the outer one."""
    with agent("outer", "acme", "lead"):
        with agent("inner"):
            assert current_caller() == Caller("inner", None, "acme")
        assert current_caller() == Caller("outer", "lead", "acme")
    assert current_caller() == Caller()


def test_scopes_decorate_every_kind_of_function() -> None:
    """Sync, async, generator and async-generator functions all run inside, and return what they return without us."""
    scope = Scoped(Change(role="writer"))

    @scope
    def plain(value: int) -> tuple[int, str | None]:
        return value, current_caller().role

    @scope
    async def coroutine(value: int) -> tuple[int, str | None]:
        await asyncio.sleep(0)
        return value, current_caller().role

    @scope
    def generator() -> Iterator[str | None]:
        yield current_caller().role
        yield current_caller().role

    @scope
    async def async_generator() -> AsyncIterator[str | None]:
        yield current_caller().role
        await asyncio.sleep(0)
        yield current_caller().role

    async def collect() -> list[str | None]:
        return [each async for each in async_generator()]

    assert plain(1) == (1, "writer")
    assert asyncio.run(coroutine(2)) == (2, "writer")
    assert list(generator()) == ["writer", "writer"]
    assert asyncio.run(collect()) == ["writer", "writer"]
    assert plain.__name__ == "plain"
    assert current_caller() == Caller()


def test_a_generators_scope_is_not_its_consumers() -> None:
    """Between two steps of a decorated generator the consumer's own scope is in force."""

    @agent("inner")
    def steps() -> Iterator[str | None]:
        yield current_caller().agent
        yield current_caller().agent

    with agent("outer"):
        for seen in steps():
            assert (seen, current_caller().agent) == ("inner", "outer")


def test_generator_protocol_is_kept() -> None:
    """send, throw, return values and close reach a decorated generator as without us."""
    log: list[object] = []

    @agent("inner")
    def talk() -> Iterator[object]:
        try:
            log.append((yield 1))
            try:
                yield 2
            except KeyError as error:
                log.append(type(error))
            yield 3
            return
        finally:
            log.append("closed")

    running = talk()
    assert next(running) == 1
    assert running.send("hello") == 2  # type: ignore[attr-defined]
    assert running.throw(KeyError()) == 3  # type: ignore[attr-defined]
    running.close()  # type: ignore[attr-defined]
    assert log == ["hello", KeyError, "closed"]


def test_a_scope_survives_a_foreign_context() -> None:
    """An async generator that is dropped half-way and finalised elsewhere raises nothing and leaves no scope behind."""

    @agent("inner")
    async def steps() -> AsyncIterator[int]:
        yield 1
        yield 2

    async def drop() -> None:
        async for _ in steps():
            break

    asyncio.run(drop())
    gc.collect()
    assert current_caller() == Caller()


def test_concurrent_tasks_do_not_mix() -> None:
    """200 asyncio tasks that enter scopes of one shared decorator object each see their own."""

    async def one(number: int) -> bool:
        async with agent(f"agent-{number}"), Scoped(Change(role=f"role-{number}")):
            await asyncio.sleep(0)
            return current_caller() == Caller(f"agent-{number}", f"role-{number}")

    async def main() -> list[bool]:
        return await asyncio.gather(*(one(number) for number in range(200)))

    assert all(asyncio.run(main()))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("hexr_agent('')", "name must be a non-empty string"),
        ("hexr_agent(print)", "name must be a non-empty string"),
        ("hexr_agent('a', tenant=3)", "tenant must be a non-empty string"),
        ("hexr_role(None)", "name must be a non-empty string"),
    ],
)
def test_bad_names_are_one_clear_error(call: str, said: str) -> None:
    """A value that is no name raises TypeError and says which parameter and what would do."""
    import hexr

    with pytest.raises(TypeError, match=said):
        eval(call, vars(hexr))


def test_methods_and_classes_are_decorated_in_any_order() -> None:
    """Above or below staticmethod and classmethod, on `__call__`, on its class, and on objects that can be called."""

    class Crew:
        @Scoped(Change(role="a"))
        @staticmethod
        def outside() -> str | None:
            return current_caller().role

        @classmethod
        @Scoped(Change(role="b"))
        def inside(cls) -> tuple[str, str | None]:
            return cls.__name__, current_caller().role

        @Scoped(Change(role="c"))
        @classmethod
        def around(cls) -> tuple[str, str | None]:
            return cls.__name__, current_caller().role

        @Scoped(Change(role="d"))
        def __call__(self) -> str | None:
            return current_caller().role

    @agent("whole")
    class Whole(Crew):
        pass

    class Later:
        async def __call__(self) -> str | None:
            return current_caller().role

    assert (Crew.outside(), Crew().outside()) == ("a", "a")
    assert (Crew.inside(), Crew().around()) == (("Crew", "b"), ("Crew", "c"))
    assert Crew()() == "d"
    assert isinstance(Whole(), Crew)
    assert Whole()() == "d"
    assert asyncio.run(Scoped(Change(role="e"))(Later())()) == "e"
    with pytest.raises(TypeError, match="has no __call__"):
        agent("x")(type("Empty", (), {}))


def test_a_decorated_function_is_still_what_it_was() -> None:
    """Its kind, signature and name are seen by `inspect`, and it can be pickled by name."""
    decorated = agent("x")(pickled)
    assert inspect.iscoroutinefunction(decorated)
    assert str(inspect.signature(decorated)) == "(value: 'int') -> 'int'"
    assert decorated.__doc__ == pickled.__doc__
    assert pickle.loads(pickle.dumps(module_level)) is module_level


async def pickled(value: int) -> int:
    """Returns it."""
    return value


@agent("module")
def module_level() -> str | None:
    """The agent here."""
    return current_caller().agent


PROGRAM = """
import asyncio
from anthropic import Anthropic
from google import genai
from openai import AsyncOpenAI, OpenAI
from hexr import hexr_agent, hexr_labels, hexr_llm, hexr_role, hexr_tenant

plain = OpenAI()
researcher, writer = hexr_llm(plain, role="researcher"), hexr_llm(plain, role="writer", tenant="other")
claude = hexr_llm(Anthropic(), role="critic")
gemini = hexr_llm(genai.Client(), role="editor")
twin = hexr_llm(AsyncOpenAI(), role="async")
assert isinstance(researcher, OpenAI) and type(gemini).__mro__[1] is genai.Client
M = [{"role": "user", "content": "hi"}]

def chat(client):
    client.chat.completions.create(model="gpt-4o", messages=M)

@hexr_agent(name="crew", tenant="acme")
def main():
    chat(plain)
    chat(researcher)
    chat(writer)
    chat(researcher.with_options(max_retries=0).copy())
    claude.messages.create(model="claude-opus-4-1", max_tokens=9, messages=M)
    gemini.models.generate_content(model="gemini-2.5-flash", contents="hi")
    asyncio.run(gemini.aio.models.generate_content(model="gemini-2.5-flash", contents="hi"))
    gemini.chats.create(model="gemini-2.5-flash").send_message("hi")
    async def together():
        await twin.chat.completions.create(model="gpt-4o", messages=M)
    asyncio.run(together())
    with hexr_role("editor"), hexr_labels(team="search"):
        chat(plain)
        chat(researcher)
    with hexr_agent("inner"), hexr_tenant("beta"):
        chat(plain)

main()
chat(plain)
"""


@needs_google_url
def test_calls_carry_agent_role_and_tenant(run: Run) -> None:
    """Registration, then scope, then environment, field by field; two handles of one client do not mix."""
    done = run(PROGRAM, HEXR_AGENT_NAME="default", HEXR_AGENT_TENANT="house", HEXR_LABELS="env=test")
    assert done.returncode == 0, done.err
    assert done.err == ""
    seen = [(call.get("agent"), call.get("role"), call.get("tenant")) for call in done.calls]
    assert seen == [
        ("crew", None, "acme"),
        ("crew", "researcher", "acme"),
        ("crew", "writer", "other"),
        ("crew", "researcher", "acme"),
        ("crew", "critic", "acme"),
        ("crew", "editor", "acme"),
        ("crew", "editor", "acme"),
        ("crew", "editor", "acme"),
        ("crew", "async", "acme"),
        ("crew", "editor", "acme"),
        ("crew", "researcher", "acme"),
        ("inner", None, "beta"),
        ("default", None, "house"),
    ]
    assert [call["labels"] for call in done.calls][9] == {"env": "test", "team": "search"}
    inner, crew = [record for record in done.records if record["kind"] == "agent"]
    assert (inner["agent"], inner["calls"], inner["parent"]) == ("inner", 1, crew["id"])
    assert (crew["agent"], crew["calls"]) == ("crew", 11)
    under_crew = [call for call in done.calls if call.get("parent") == crew["id"]]
    assert crew["cost"] == sum(call["cost"] for call in under_crew)
    assert {call["trace"] for call in done.calls[:-1]} == {crew["trace"]}


@needs_google_url
def test_dropping_a_handle_closes_nothing(run: Run) -> None:
    """A handle that is garbage does not close the client's transport; closing the client ends both."""
    source = """
import gc
from google import genai
from openai import OpenAI
from hexr import hexr_llm
for client, call in (
    (OpenAI(), lambda c: c.embeddings.create(model="text-embedding-3-small", input="x")),
    (genai.Client(), lambda c: c.models.generate_content(model="gemini-2.5-flash", contents="hi")),
):
    handle = hexr_llm(client, role="a")
    call(handle)
    del handle
    gc.collect()
    call(client)
    kept = hexr_llm(client, role="b")
    del client
    gc.collect()
    call(kept)
print("ok")
"""
    done = run(source)
    assert (done.out, done.err) == ("ok\n", "")
    assert [call.get("role") for call in done.calls] == ["a", None, "b", "a", None, "b"]


@needs_google_url
def test_switched_off_decorators_and_handles_still_work(run: Run) -> None:
    """With HEXR_DISABLED the same program runs as before and nothing is recorded."""
    done = run(PROGRAM, HEXR_DISABLED="1")
    assert (done.returncode, done.err) == (0, "")
    assert not done.store.exists()


ROLLS = """
import asyncio, threading, time
from opentelemetry import trace
from hexr import hexr_agent, hexr_llm

ask = hexr_llm(lambda model: {"usage": {"input_tokens": 1, "output_tokens": 2}}, provider="openai")

async def task():
    ask("gpt-4o")

with hexr_agent("long", tenant="acme"):
    until = time.monotonic() + 0.2
    while time.monotonic() < until:
        ask("gpt-4o")
        with hexr_agent("inner"):
            ask("gpt-4o")
        asyncio.run(task())
        thread = threading.Thread(target=ask, args=("gpt-4o",))
        thread.start()
        thread.join()
"""


@pytest.mark.odd("a client that no table knows has no address, and its response no id")
def test_a_long_agent_rolls_over_to_linked_traces(run: Run) -> None:
    """Each span ends with the totals of its own time and links to the one before; their sum is every call, once."""
    done = run(ROLLS, HEXR_AGENT_ROLLOVER="0.02")
    assert (done.returncode, done.err) == (0, "")
    long = [record for record in done.records if record.get("agent") == "long" and record["kind"] == "agent"]
    assert len(long) > 2
    assert len({record["trace"] for record in long}) == len(long)
    assert "link" not in long[0]
    assert [record["link"] for record in long[1:]] == [[record["trace"], record["id"]] for record in long[:-1]]
    calls = [call for call in done.calls if call["agent"] == "long"]
    assert sum(record["calls"] for record in long) == len(calls)
    assert sum(record.get("cost", 0) for record in long) == sum(call["cost"] for call in calls)
    assert {call["parent"] for call in calls} <= {record["id"] for record in long}
    inner = [record for record in done.records if record.get("agent") == "inner" and record["kind"] == "agent"]
    assert {record["parent"] for record in inner} <= {record["id"] for record in long}
    assert sum(record["calls"] for record in inner) == len(done.calls) - len(calls)


@pytest.mark.odd("a client that no table knows has no address, and its response no id")
def test_an_agent_in_the_programs_own_provider_rolls_over_there(run: Run) -> None:
    """With the program's provider: real spans with real links; what it starts later belongs to the newest one."""
    source = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
memory = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(memory))
trace.set_tracer_provider(provider)
import time
from hexr import hexr_agent, hexr_llm
ask = hexr_llm(lambda model: {"usage": {"input_tokens": 1, "output_tokens": 2}}, provider="openai")
around = trace.get_current_span()
with hexr_agent("long"):
    while len({each.context.trace_id for each in memory.get_finished_spans()}) < 3:
        ask("gpt-4o")
        with trace.get_tracer("own").start_as_current_span("step"):
            pass
assert trace.get_current_span() is around
spans = memory.get_finished_spans()
agents = [each for each in spans if each.name == "invoke_agent long"]
for last, each in zip(agents, agents[1:]):
    assert each.links[0].context.span_id == last.context.span_id and each.parent is None
ids = {each.context.span_id for each in agents}
assert all(each.parent.span_id in ids for each in spans if each not in agents)
for step, call in zip([e for e in spans if e.name == "step"], [e for e in spans if e.name == "chat gpt-4o"]):
    assert step.context.trace_id == call.context.trace_id
assert sum(each.attributes["hexr.agent.llm_calls"] for each in agents) == len([e for e in spans if e.name == "chat gpt-4o"])
print("ok")
"""
    done = run(source, HEXR_AGENT_ROLLOVER="0.02")
    assert (done.out, done.err) == ("ok\n", "")


HANDLES = """
from anthropic import AnthropicVertex
from google import genai
from openai import AzureOpenAI, OpenAI
from hexr import hexr_llm

class Mine(OpenAI):
    def __init__(self, name):
        super().__init__()
        self.name = name

M = [{"role": "user", "content": "hi"}]
mine = hexr_llm(Mine("own"), role="mine")
assert isinstance(mine, Mine) and mine.name == "own" and mine.chat._client is mine
mine.chat.completions.create(model="gpt-4o", messages=M)
mine.chat.completions.with_raw_response.create(model="gpt-4o", messages=M).parse()
again = hexr_llm(hexr_llm(OpenAI(), tenant="acme", role="first"), role="second")
again.chat.completions.create(model="gpt-4o", messages=M)
import asyncio
asyncio.run(hexr_llm(genai.Client().aio, role="aio").models.generate_content(model="gemini-2.5-flash", contents="hi"))
for client in (
    AzureOpenAI(api_version="1", azure_endpoint="http://x.invalid", api_key="k"),
    AnthropicVertex(region="r", project_id="p", access_token="t"),
):
    assert type(hexr_llm(client, role="x")).__mro__[1] is type(client)
    assert hexr_llm(client, role="x").copy()._hexr_caller.role == "x"
"""


@needs_google_url
def test_handles_of_every_kind_of_client_carry_their_role(run: Run) -> None:
    """A subclass with its own `__init__`, raw responses, a handle of a handle, google's `aio`, Azure, Vertex."""
    done = run(HANDLES)
    assert (done.returncode, done.err) == (0, "")
    seen = [(call.get("role"), call.get("tenant")) for call in done.calls]
    assert seen == [("mine", None), ("mine", None), ("second", "acme"), ("aio", None)]
