"""A fault at every step of ours, on every surface: the program sees, sends and prints what it would without us.

The steps are found by watching the surface run once (`chaos.py`), so a new function, format or provider is covered by
itself, and a new surface by its row in `test_surfaces.py`.
"""

from __future__ import annotations

import gc
import os
import re
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any

import pytest
import test_surfaces as battery
from chaos import Watch, faults
from opentelemetry import context as otel
from test_surfaces import (
    BY_NAME,
    CHAT,
    GEMINI,
    MESSAGE,
    STREAMS,
    SURFACES,
    Bench,
    Seen,
    Surface,
    anonymous,
    failure,
    wire,
)

from hexr_instrument import (
    context,
    engine,
    guard,
    hexr_agent,
    hexr_labels,
    hexr_llm,
    hexr_role,
    hexr_tenant,
    hub,
    pricing,
    start,
)
from hexr_instrument.live import CURRENT
from hexr_instrument.providers import PROVIDERS

bench, shared, spans = battery.bench, battery.shared, battery.spans
pytestmark = [battery.pytestmark, pytest.mark.odd("faults are injected")]


def told(item: Any) -> str:
    """What the caller saw, to the last field, without the ids and times that the server gives out."""
    text = item.model_dump(exclude_unset=True, warnings=False) if hasattr(item, "model_dump") else type(item)
    return re.sub(TIME, "#", anonymous(item if isinstance(item, str) else text))


TIME = r"\d\d:\d\d:\d\d GMT"


@dataclass(frozen=True)
class Failing(Surface):
    """A surface whose call fails: what is seen is the exception."""

    def run(self, bench: Bench, mode: str) -> Seen:
        """Does it."""
        return [repr(failure(replace_class(self), bench, mode))]


def replace_class(surface: Surface) -> Surface:
    """The same surface, which raises."""
    return Surface(surface.name, surface.use, surface.make, client=surface.client)


@dataclass(frozen=True)
class Left(Surface):
    """A stream that the program leaves before its end; its name is the way."""

    def run(self, bench: Bench, mode: str) -> Seen:
        """Does it."""
        client, acli = bench.clients[self.client]
        if mode == "sync":
            getattr(battery, self.use)(self.make(client))
        else:

            async def main() -> None:
                await getattr(battery, "a" + self.use)(await self.make(acli))

            bench.run(main())
        gc.collect()
        return []


# ---- Scopes and handles, in every kind of function ----------------------------------------------------------------


def crew(client: Any) -> Any:
    @hexr_agent("crew", tenant="acme")
    def main() -> Any:
        with hexr_role("writer"), hexr_labels(team="search"):
            return client.chat.completions.create(**CHAT)

    @hexr_agent("crew", tenant="acme")
    async def amain() -> Any:
        async with hexr_role("writer"):
            with hexr_tenant("other"):
                return await client.chat.completions.create(**CHAT)

    return amain() if type(client).__name__.startswith("Async") else main()


def pieces(client: Any) -> Any:
    @hexr_agent("crew")
    def main() -> Iterator[Any]:
        yield client.messages.create(**MESSAGE)
        with hexr_role("critic"):
            yield from client.messages.create(**MESSAGE, stream=True)

    @hexr_agent("crew")
    async def amain() -> AsyncIterator[Any]:
        yield await client.messages.create(**MESSAGE)
        async for event in await client.messages.create(**MESSAGE, stream=True):
            yield event

    return amain() if type(client).__name__.startswith("Async") else main()


def registered(ask: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda client: ask(hexr_llm(client, role="writer"))


# fmt: off
MORE: list[Surface] = [
    Surface("agent", "value", crew),
    Surface("agent that yields", "each", pieces, client="anthropic"),
    Surface("handle", "value", registered(lambda c: c.with_options(timeout=60).chat.completions.create(**CHAT))),
    Surface("handle of claude", "each", registered(lambda c: c.messages.create(**MESSAGE, stream=True)),
            client="anthropic"),
    Surface("handle of gemini", "value", registered(lambda c: c.models.generate_content(**GEMINI)), client="google",
            modes=("sync",)),
    *(Failing(f"{name} that fails", use, make("error-429"), client=client)
      for name, client, use, make in battery.FAILING),
    *(Left(f"{stream} {way}", way, make, client=client)
      for stream, (client, make) in STREAMS.items() for way in ("closed", "dropped", "broken")),
]
# fmt: on
RECORDED = [*(each for each in SURFACES if each.calls), *MORE]
CASES = [(each, mode) for each in RECORDED for mode in each.modes]
IDS = [f"{each.name} {mode}" for each, mode in CASES]


class Loud:
    """What a program can notice: what it gets, sends, prints and logs, and the context that it goes on in."""

    def __init__(self, bench: Bench, surface: Surface, mode: str, out: Any, log: pytest.LogCaptureFixture) -> None:
        self.bench, self.surface, self.mode, self.out, self.log = bench, surface, mode, out, log

    def __call__(self, watch: Callable[[Callable[[], Any]], Any] | None = None) -> Any:
        """Runs the surface; `watch` runs it instead where it is given."""
        self.bench.server.clear()
        self.bench.records.clear()
        self.log.clear()
        before = otel.get_current()

        def program() -> Seen:
            return self.surface.run(self.bench, self.mode)

        def within() -> Any:
            found = [told(each) for each in (program() if watch is None else watch(program))]
            return found, (otel.get_current() is before, CURRENT.get(), context.current())

        found, around = copy_context().run(within)
        logged = [record.getMessage() for record in self.log.records if not record.name.startswith("httpx")]
        return found, wire(self.bench.server.requests), tuple(self.out.readouterr()), logged, around


@pytest.fixture
def quiet(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Faults are swallowed, as for users."""
    monkeypatch.setattr(guard, "strict", False)
    monkeypatch.setattr(guard, "BREAK_AFTER", 1 << 30)
    yield
    monkeypatch.setattr(guard, "faults", {})


def inject(
    found: Loud, monkeypatch: pytest.MonkeyPatch, *, lines: bool = False, every: int = 1, first: int = 0
) -> None:
    """Injects a fault at each step in turn (or at `every` n-th), and compares with the program without us."""
    with found.bench.bare():
        battery.offered(found.surface, found.bench, found.mode)  # once to be warm
        expected = found()
    found()
    watch = Watch(lines=lines)
    assert found(watch) == expected
    assert len(watch.seen) > 50
    chosen = list(watch.seen)[first % every :: every]
    fired = 0
    wrong: list[str] = []
    for fault in faults(chosen, lines=lines):
        monkeypatch.setattr(guard, "faults", fault)
        try:
            same = found(fault) == expected
        except Exception as error:
            same = False
            wrong.append(repr(error))
        if not same:
            wrong.append(f"{fault.fault.__name__} at {fault.target}")
        fired += bool(fault.fired)
    assert not wrong, "\n".join(wrong)
    assert fired > len(chosen) // 2  # what the collector does, it does not do each time at the same step


EVERY = 1 if os.environ.get("CHAOS") == "all" else 8
"""Each surface tries an eighth of its steps, the next surface the next eighth; `make chaos` tries all of them."""


@pytest.mark.parametrize(("surface", "mode"), CASES, ids=IDS)
def test_no_fault_of_ours_reaches_the_program(
    bench: Bench, quiet: None, capfd: Any, caplog: Any, monkeypatch: pytest.MonkeyPatch, surface: Surface, mode: str
) -> None:
    """Before and after each function of ours a fault is raised, each time that it runs: the program is unchanged."""
    found = Loud(bench, surface, mode, capfd, caplog)
    inject(found, monkeypatch, every=EVERY, first=CASES.index((surface, mode)))


LINES = ["chat create", "chat stream", "gemini stream"]


@pytest.mark.parametrize("name", LINES)
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_no_fault_at_any_line_reaches_the_program(
    bench: Bench, quiet: None, capfd: Any, caplog: Any, monkeypatch: pytest.MonkeyPatch, mode: str, name: str
) -> None:
    """A single fault before each line of ours: half-done steps leave nothing behind."""
    (surface,) = (each for each in RECORDED if each.name == name)
    found = Loud(bench, surface, mode, capfd, caplog)
    inject(found, monkeypatch, lines=True, every=EVERY, first=2 * LINES.index(name) + (mode == "sync"))


@pytest.mark.parametrize("name", ["chat create", "chat stream", "gemini stream", "agent"])
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_no_fault_reaches_a_program_with_a_provider_of_its_own(
    bench: Bench,
    quiet: None,
    capfd: Any,
    caplog: Any,
    monkeypatch: pytest.MonkeyPatch,
    spans: Any,
    mode: str,
    name: str,
) -> None:
    """The same where our span is the current one of the program's context: what was current is so again."""
    (surface,) = (each for each in RECORDED if each.name == name)
    inject(Loud(bench, surface, mode, capfd, caplog), monkeypatch, every=EVERY)


def test_no_fault_while_it_starts_reaches_the_program(
    bench: Bench, quiet: None, capfd: Any, caplog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Configuration, patching, the first segment, the price table: a fault in any of it leaves a program without us."""
    modules = [sys.modules[each.module] for each in PROVIDERS if each.module in sys.modules]
    plain = replace_class(BY_NAME["chat create"])

    @dataclass(frozen=True)
    class Fresh(Surface):
        """A first call of a process."""

        def run(self, bench: Bench, mode: str) -> Seen:
            engine.unpatch()
            hub._recorder = None
            pricing._shipped = None
            for module in modules:
                start.loaded(module)
            hub.instrument()
            found = plain.run(bench, mode)
            hub.flush(0.1)
            hub.uninstrument()
            hub._off = False
            return found

    kept = hub._recorder
    try:
        inject(Loud(bench, Fresh("start", "value", plain.make), "sync", capfd, caplog), monkeypatch, every=EVERY)
    finally:
        hub._recorder = kept
        hub.instrument()
