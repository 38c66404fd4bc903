"""What a framework calls its running agent is the role of the calls in it: the room that all frameworks share.

The frameworks themselves are run by `make frameworks` (`tests/frameworks/`), each in an environment of its own.
"""

from __future__ import annotations

import asyncio
import contextvars
import gc
import json
import pickle
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from hexr_instrument import carry, context, engine, guard
from hexr_instrument.call import Caller, Framework, Target
from hexr_instrument.carry import ticket
from hexr_instrument.config import Config
from hexr_instrument.context import Change, Scoped, running
from hexr_instrument.recorder import Recorder

CURRENT: contextvars.ContextVar[tuple[str, int] | None] = contextvars.ContextVar("current", default=None)


class Agent:
    """An agent of a framework, with every kind of method that a framework runs one by."""

    def __init__(self, name: str | None) -> None:
        self.name = name

    def run(self, *inner: Any) -> Any:
        """The role, and what is called inside."""
        return [running(), *(each() for each in inner)]

    async def arun(self, *inner: Any) -> Any:
        """The same, awaited."""
        await asyncio.sleep(0)
        return [running(), *[await each() for each in inner]]

    def steps(self) -> Iterator[str | None]:
        """The role at each of two steps."""
        yield running()
        yield running()

    async def asteps(self) -> AsyncIterator[str | None]:
        """The same, asynchronous."""
        yield running()
        await asyncio.sleep(0)
        yield running()


TABLE = Framework(
    name="made",
    module="made_framework",
    package="made",
    targets=tuple(Target(f"Agent.{name}", "role") for name in ("run", "arun", "steps", "asteps")),
    agent=lambda instance, args, kwargs, target: instance.name,
    source="CURRENT",
    running=lambda current: current.get(),
)


@pytest.fixture
def recorder(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """A recorder, and the framework imported and patched; in the end everything is as it was."""
    module: Any = ModuleType("made_framework")
    module.Agent = type("Agent", (), dict(vars(Agent)))
    module.CURRENT = CURRENT
    monkeypatch.setitem(sys.modules, "made_framework", module)
    monkeypatch.setattr(engine, "FRAMEWORKS", (TABLE,))
    monkeypatch.setattr(engine, "hooks", {})
    monkeypatch.setattr(context, "readers", ())
    made = Recorder(Config.from_env({"HEXR_STORE": str(tmp_path), "HEXR_AGENT_ROLE": "default"}))
    engine.patch_module(module, made, executed=True)
    yield made
    for hook in engine.hooks.values():
        engine._restore(hook)


@pytest.fixture
def agent(recorder: Recorder) -> type[Agent]:
    """The patched class."""
    return sys.modules["made_framework"].Agent


def role(recorder: Recorder, registered: Caller | None = None) -> str | None:
    """The role that a call made here is recorded with."""
    return recorder.caller(registered, context.current()).role


def test_every_kind_of_function_runs_in_its_role(agent: type[Agent]) -> None:
    """Sync, async, generator and async generator: the role inside is the agent's, and nobody's afterwards."""

    async def collect() -> list[Any]:
        return [each async for each in agent("d").asteps()]

    assert agent("a").run() == ["a"]
    assert asyncio.run(agent("b").arun()) == ["b"]
    assert list(agent("c").steps()) == ["c", "c"]
    assert asyncio.run(collect()) == ["d", "d"]
    assert running() is None


def test_a_stream_of_an_agent_leaves_its_consumer_alone(agent: type[Agent]) -> None:
    """Between two steps the consumer's own role is in force, also where another context ends what was left."""

    async def leave() -> None:
        async for each in agent("inner").asteps():
            assert each == "inner"
            assert running() is None
            break

    for _ in agent("inner").steps():
        assert running() is None
    asyncio.run(leave())
    gc.collect()
    assert running() is None


def test_parallel_agents_do_not_mix(agent: type[Agent]) -> None:
    """Fifty agents in one loop: each call sees its own agent's name."""

    async def main() -> list[Any]:
        async def again(name: str) -> list[str | None]:
            return [role for _ in range(20) for role in await agent(name).arun()]

        return await asyncio.gather(*(again(f"a{each}") for each in range(50)))

    assert asyncio.run(main()) == [[f"a{each}"] * 20 for each in range(50)]


def test_the_innermost_agent_is_the_role(agent: type[Agent]) -> None:
    """An agent in an agent; one without a name is part of the one around it; names are trimmed and at most 256 long."""
    assert agent("outer").run(agent("inner").run, running) == ["outer", ["inner"], "outer"]
    assert agent("outer").run(agent(None).run) == ["outer", ["outer"]]
    assert agent(" a\n").run() == ["a"]
    assert agent("x" * 300).run() == ["x" * 256]


def test_what_the_framework_knows_itself_and_what_we_follow_nest(agent: type[Agent]) -> None:
    """Whichever of the two was entered last is the role."""

    def inside(name: str, what: Any) -> Any:
        def run() -> Any:
            token = CURRENT.set((name, id(run)))
            try:
                return what()
            finally:
                CURRENT.reset(token)

        return run

    assert inside("node", running)() == "node"
    assert inside("node", agent("crew").run)() == ["crew"]
    assert agent("crew").run(inside("node", running)) == ["crew", "node"]
    assert inside("node", lambda: agent("crew").run(inside("node", running)))() == ["crew", "node"]


def test_the_role_goes_along_to_threads_and_processes(agent: type[Agent]) -> None:
    """A thread, a pool and a ticket for a process have the role in which they were started, in both ways of knowing it."""

    def elsewhere() -> list[str | None]:
        found: list[str | None] = []
        thread = threading.Thread(target=lambda: found.append(running()))
        thread.start()
        thread.join()
        with ThreadPoolExecutor(1) as pool:
            found.append(pool.submit(running).result())
        mine = ticket.here()
        assert mine is not None
        told = carry.heard(json.loads(json.dumps(ticket.said(mine))))
        assert told == pickle.loads(pickle.dumps(told)) == mine
        return [*found, mine.scope().running]

    carry.install()
    try:
        assert agent("own").run(elsewhere) == ["own", ["own"] * 3]
        token = CURRENT.set(("node", 1))
        assert elsewhere() == ["node"] * 3
        CURRENT.reset(token)
    finally:
        carry.remove()


def test_what_the_program_says_wins(recorder: Recorder, agent: type[Agent]) -> None:
    """Registration, then hexr_role, then the framework, then the environment."""

    def look() -> str | None:
        return role(recorder)

    registered = Caller(role="registered")
    assert look() == "default"
    assert agent("own").run(look, lambda: role(recorder, registered)) == ["own", "own", "registered"]
    with Scoped(Change(role="said")):
        assert look() == "said"
        assert agent("own").run(look) == ["own", "said"]
    assert agent("own").run(Scoped(Change(role="said"))(look)) == ["own", "said"]


def test_an_agent_inside_of_a_frameworks_agent_has_no_role_of_it(recorder: Recorder, agent: type[Agent]) -> None:
    """Entering hexr_agent clears the framework's role of outside, in both ways; one that runs inside of it has its own."""

    def look() -> str | None:
        return role(recorder)

    within = Scoped(Change(agent="worker", span=False))
    assert agent("own").run(within(look)) == ["own", "default"]
    assert agent("own").run(within(agent("inner").run)) == ["own", ["inner"]]
    token = CURRENT.set(("node", 1))
    assert within(look)() == "default"
    assert within(agent("inner").run)() == ["inner"]
    assert look() == "node"
    CURRENT.reset(token)
    assert within(agent("inner").run)() == ["inner"]


def test_a_table_that_fails_costs_only_the_role(
    recorder: Recorder, agent: type[Agent], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault in a table is swallowed; after ten in a row the framework has its own objects back."""
    monkeypatch.setattr(guard, "strict", False)
    hook = engine.hooks["made"]
    assert hook.left == {}
    for _ in range(9):
        assert agent(1).run() == [None]  # type: ignore[arg-type]
    module = sys.modules["made_framework"]

    def broken(*_: Any) -> None:
        raise KeyError

    monkeypatch.setattr(hook, "framework", replace(TABLE, running=lambda current: 1))
    assert role(recorder) == "default"  # what it says is nothing that can be read
    with Scoped(Change(agent="still", span=False)):
        assert recorder.caller(None, context.current()).agent == "still"

    monkeypatch.setattr(hook, "framework", replace(TABLE, agent=broken, running=broken))
    assert [agent("own").run() for _ in range(6)] == [[None]] * 6
    assert type(vars(module.Agent)["run"]).__name__ == "function"
    assert context.readers == ()


def test_switching_off_puts_the_same_objects_back(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every target is the very object that it was, and a method taken before runs on without a role."""
    monkeypatch.setattr(engine, "patches", {})
    module = sys.modules["made_framework"]
    kept = module.Agent("own").run
    engine.unpatch()
    assert {name: vars(module.Agent)[name] for name in ("run", "arun", "steps", "asteps")} == {
        name: vars(Agent)[name] for name in ("run", "arun", "steps", "asteps")
    }
    assert kept() == [None]
    assert context.readers == ()
