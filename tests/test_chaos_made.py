"""A fault at every step of ours around what is not an SDK's call: agents of frameworks, and wires to other processes.

The libraries are made here, with every kind of function that the tables patch; `test_chaos.py` has the SDKs, and
`CHAOS_STEPS=20 make providers frameworks` does the same with programs of the real ones.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar, copy_context
from types import ModuleType
from typing import Any

import pytest
from chaos import Watch, faults
from opentelemetry import context as otel

from hexr_instrument import context, engine, guard
from hexr_instrument.call import Framework, Target
from hexr_instrument.config import Config
from hexr_instrument.recorder import Recorder
from hexr_instrument.wires import CHILD, PARENT, Wire

pytestmark = pytest.mark.odd("faults are injected")
CURRENT: ContextVar[str | None] = ContextVar("made_current", default=None)
CARRIED = {
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "tracestate": "a=b",
    "baggage": "hexr.agent.tenant=acme",
}


class Agent:
    """An agent of a framework, and both ends of a wire: what is patched, in every kind of function."""

    def run(self, asked: Any) -> Any:
        """A function."""
        return [asked, otel.get_current() is not None]

    async def arun(self, asked: Any) -> Any:
        """A coroutine."""
        await asyncio.sleep(0)
        return [asked]

    def steps(self, asked: Any) -> Iterator[Any]:
        """A generator."""
        yield asked
        yield "last"

    async def asteps(self, asked: Any) -> AsyncIterator[Any]:
        """An asynchronous generator."""
        yield asked
        await asyncio.sleep(0)
        yield "last"

    def fail(self, asked: Any) -> Any:
        """A function that raises."""
        raise LookupError(asked)

    def send(self, url: str, headers: Mapping[str, str] | None = None) -> Any:
        """A request."""
        return url, sorted(set(headers or ()) - set(CARRIED))

    async def asend(self, url: str, headers: Mapping[str, str] | None = None) -> Any:
        """A request, awaited."""
        return url, sorted(set(headers or ()) - set(CARRIED))

    async def serve(self, headers: Mapping[str, str]) -> Any:
        """What serves a request."""
        await asyncio.sleep(0)
        return sorted(headers)

    async def serve_fail(self, headers: Mapping[str, str]) -> Any:
        """What serves one, and raises."""
        raise LookupError("served")

    async def serve_steps(self, headers: Mapping[str, str]) -> AsyncIterator[Any]:
        """What serves one step by step."""
        yield sorted(headers)
        yield "last"

    @asynccontextmanager
    async def streams(self, where: str) -> AsyncIterator[Any]:
        """A connection."""
        yield [where, "reader", "writer"]


FRAMEWORK = Framework(
    name="made",
    module="made_chaos",
    package="made",
    targets=tuple(Target(f"Agent.{name}", "role") for name in ("run", "arun", "steps", "asteps", "fail")),
    agent=lambda instance, args, kwargs, target: "writer",
    source="CURRENT",
    running=lambda current: (current.get() or "reader", 1),
)


def _put(instance: Any, args: Any, kwargs: Any, carrier: Any) -> Any:
    return args, {**kwargs, "headers": {**(kwargs.get("headers") or {}), **carrier}}


WIRES = (
    Wire(
        "made client",
        "made_chaos",
        (Target("Agent.send", "send"), Target("Agent.asend", "depart")),
        put=_put,
        peer=lambda instance, args, kwargs: args[0],
    ),
    Wire(
        "made server",
        "made_chaos",
        (
            Target("Agent.serve", "arrive"),
            Target("Agent.serve_fail", "arrive"),
            Target("Agent.serve_steps", "arrivals"),
        ),
        got=lambda instance, args, kwargs: args[0],
        kin=lambda instance, args, kwargs: True,
        agent=True,
    ),
    Wire("made child", "made_chaos", (Target("Agent.streams", "link"),), leads=lambda args, kwargs: args[1]),
)


async def _all(steps: AsyncIterator[Any]) -> list[Any]:
    return [each async for each in steps]


async def _first(steps: AsyncIterator[Any]) -> Any:
    async for each in steps:
        return each


async def _linked(agent: Agent, where: str) -> Any:
    async with agent.streams(where) as streams:
        return streams, await agent.serve(CARRIED)


PROGRAMS: dict[str, Callable[[Agent], Any]] = {
    "run": lambda agent: agent.run("a"),
    "nested": lambda agent: agent.run(agent.run("a")),
    "arun": lambda agent: asyncio.run(agent.arun("a")),
    "steps": lambda agent: list(agent.steps("a")),
    "steps left": lambda agent: next(agent.steps("a")),
    "asteps": lambda agent: asyncio.run(_all(agent.asteps("a"))),
    "asteps left": lambda agent: asyncio.run(_first(agent.asteps("a"))),
    "fail": lambda agent: agent.fail("a"),
    "send": lambda agent: agent.send("http://writer.internal/x", headers={"mine": "1"}),
    "asend": lambda agent: asyncio.run(agent.asend("http://writer.internal/x", headers={"mine": "1"})),
    "serve": lambda agent: asyncio.run(agent.serve(CARRIED)),
    "serve fails": lambda agent: asyncio.run(agent.serve_fail(CARRIED)),
    "serve steps": lambda agent: asyncio.run(_all(agent.serve_steps(CARRIED))),
    "serve steps left": lambda agent: asyncio.run(_first(agent.serve_steps(CARRIED))),
    "link child": lambda agent: asyncio.run(_linked(agent, CHILD)),
    "link parent": lambda agent: asyncio.run(_linked(agent, PARENT)),
}


@pytest.fixture
def made(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The library, patched; faults are swallowed, as for users."""
    module: Any = ModuleType("made_chaos")
    module.Agent = type("Agent", (), dict(vars(Agent)))
    module.CURRENT = CURRENT
    monkeypatch.setitem(sys.modules, "made_chaos", module)
    monkeypatch.setattr(engine, "FRAMEWORKS", (FRAMEWORK,))
    monkeypatch.setattr(engine, "WIRES", WIRES)
    monkeypatch.setattr(engine, "hooks", {})
    monkeypatch.setattr(engine, "links", {})
    monkeypatch.setattr(context, "readers", ())
    monkeypatch.setattr(guard, "strict", False)
    monkeypatch.setattr(guard, "BREAK_AFTER", 1 << 30)
    settings = {"HEXR_PROPAGATE": "*.internal", "HEXR_TRUST_INBOUND": "true", "HEXR_AGENT_NAME": "bot"}
    recorder = Recorder(Config.from_env({"HEXR_STORE": str(tmp_path), **settings}))
    engine.patch_module(module, recorder, executed=True)
    gc.collect()
    gc.freeze()  # what is collected next is only what comes from here on
    yield module.Agent
    gc.unfreeze()
    for patched in (*engine.hooks.values(), *engine.links.values()):
        engine._restore(patched)
    monkeypatch.setattr(guard, "faults", {})


@pytest.mark.parametrize("name", list(PROGRAMS))
def test_no_fault_of_ours_reaches_an_agent_or_a_request(
    made: Any, name: str, capfd: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each program returns, raises, prints what it does without us, and goes on in the same context."""

    def said(agent: Any, watch: Callable[[Callable[[], Any]], Any] | None = None) -> Any:
        def within() -> Any:
            before = otel.get_current()

            def program() -> Any:
                try:
                    return PROGRAMS[name](agent)
                except LookupError as error:
                    return repr(error)

            found = program() if watch is None else watch(program)
            if "left" in name:
                gc.collect()
            return found, otel.get_current() is before, context.current() is None

        return copy_context().run(within), tuple(capfd.readouterr())

    expected = said(Agent())
    watch = Watch()
    assert said(made(), watch) == expected
    assert len(watch.seen) > 3
    wrong: list[str] = []
    for fault in faults(list(watch.seen)):
        monkeypatch.setattr(guard, "faults", fault)
        try:
            same = said(made(), fault) == expected
        except Exception as error:
            same = False
            wrong.append(repr(error))
        if not same:
            wrong.append(f"{fault.fault.__name__} at {fault.target}")
    assert not wrong, "\n".join(wrong)
