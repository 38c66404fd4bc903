"""The caller goes along: to threads, pools, child processes and celery's workers; and 1,000 of them do not mix."""

from __future__ import annotations

import asyncio
import inspect
import json
import multiprocessing
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from multiprocessing.pool import ThreadPool
from typing import Any

import pytest
from support import Run, clean_environment

from hexr_instrument import Caller, carry, context
from hexr_instrument.carry import celery, ticket
from hexr_instrument.carry.processes import environment
from hexr_instrument.context import Change, Scoped

CREW = Caller("crew", "lead", "acme")


@pytest.fixture
def carried() -> Iterator[None]:
    """Callers are carried in this process, for one test."""
    carry.install()
    yield
    carry.remove()


def crew() -> Scoped:
    """A scope without the recorder behind it."""
    return Scoped(Change("crew", "lead", "acme"))


@pytest.mark.usefixtures("carried")
def test_threads_of_every_kind_have_the_caller_who_started_them() -> None:
    """Thread, its subclasses, Timer: the caller is there in `run`, and the program's own variables are not."""
    seen: list[Caller] = []
    own: ContextVar[str] = ContextVar("own", default="untouched")

    class Mine(threading.Thread):
        def run(self) -> None:
            seen.append(context.current_caller())
            assert own.get() == "untouched"

    own.set("of the main thread")
    with crew():
        threads = [Mine(), threading.Thread(target=lambda: seen.append(context.current_caller()))]
        threads.append(threading.Timer(0, lambda: seen.append(context.current_caller())))
        for each in threads:
            each.start()
    for each in threads:
        each.join()
    assert seen == [CREW] * 3
    assert "_hexr" not in str(vars(threads[0]))


@pytest.mark.usefixtures("carried")
def test_each_piece_of_work_in_a_pool_has_the_caller_who_handed_it_in() -> None:
    """submit, map, run_in_executor, to_thread and ThreadPool; a worker that one caller started belongs to none."""

    async def asynchronous() -> list[Caller]:
        loop = asyncio.get_running_loop()
        return [
            await asyncio.to_thread(context.current_caller),
            await loop.run_in_executor(None, context.current_caller),
            await asyncio.create_task(asyncio.to_thread(context.current_caller)),
        ]

    with ThreadPoolExecutor(1) as pool:
        with crew():
            assert pool.submit(context.current_caller).result() == CREW
            assert list(pool.map(lambda _: context.current_caller(), [1, 2])) == [CREW] * 2
            assert asyncio.run(asynchronous()) == [CREW] * 3
            with ThreadPool(1) as other:
                assert other.apply(context.current_caller) == CREW
                assert other.map(lambda _: context.current_caller(), [1]) == [CREW]
                assert list(other.imap(lambda _: context.current_caller(), [1])) == [CREW]
        assert pool.submit(context.current_caller).result() == Caller()
        with pytest.raises(ZeroDivisionError):
            pool.submit(lambda: 1 / 0).result()


def test_patches_are_exact_and_taken_back() -> None:
    """Nothing is patched before a scope is entered; signatures stay; afterwards the very same objects are there."""
    places = [
        (threading.Thread, "start"),
        (threading.Thread, "_bootstrap_inner"),
        (ThreadPoolExecutor, "submit"),
        (subprocess.Popen, "__init__"),
        (multiprocessing.process.BaseProcess, "start"),
    ]
    before = [vars(kind)[name] for kind, name in places]
    signatures = [inspect.signature(each) for each in before]
    carry.install()
    assert all(vars(kind)[name] is not each for (kind, name), each in zip(places, before, strict=True))
    assert [inspect.signature(vars(kind)[name]) for kind, name in places] == signatures
    carry.remove()
    assert all(vars(kind)[name] is each for (kind, name), each in zip(places, before, strict=True))


@pytest.mark.usefixtures("carried")
def test_1000_tasks_and_64_threads_do_not_mix() -> None:
    """1,000 concurrent calls under 50 roles, and 64 threads under 64 roles that use pools: each sees its own."""

    async def one(number: int) -> bool:
        role = f"role-{number % 50}"
        with Scoped(Change(role=role)):
            await asyncio.sleep(0)
            there = await asyncio.to_thread(context.current_caller) if number % 10 == 0 else context.current_caller()
            await asyncio.sleep(0)
            return there.role == role == context.current_caller().role

    async def main() -> list[bool]:
        return await asyncio.gather(*(one(number) for number in range(1000)))

    found: list[bool] = asyncio.run(main())
    start = threading.Barrier(64)
    pool = ThreadPoolExecutor(8)

    def work(number: int) -> None:
        start.wait()
        with Scoped(Change(role=f"role-{number}")):
            seen = [pool.submit(context.current_caller).result() for _ in range(20)]
        found.extend(each.role == f"role-{number}" for each in seen)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(64)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    pool.shutdown()
    assert len(found) == 1000 + 64 * 20
    assert all(found)


CHILDREN = """
import asyncio, multiprocessing, os, subprocess, sys
from concurrent.futures import ProcessPoolExecutor
from openai import OpenAI
from hexr import current_caller, hexr_agent, hexr_labels, hexr_role

def call(role=None):
    OpenAI().chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}], user=role or "none")

if __name__ == "__main__":
    if sys.argv[1:]:
        call()
        sys.exit()
    with hexr_agent("crew", tenant="acme"), hexr_labels(team="x"):
        for method in ("fork", "spawn", "forkserver"):
            with hexr_role(method):
                process = multiprocessing.get_context(method).Process(target=call)
                process.start()
                process.join()
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            for role in ("first", "second"):
                with hexr_role(role):
                    pool.submit(call).result()
        me = [sys.executable, __file__, "child"]
        with hexr_role("run"):
            subprocess.run(me, check=True)
        with hexr_role("named"):
            subprocess.run(me, check=True, env={**os.environ, "HEXR_AGENT_ROLE": "its own"})
    subprocess.run(me, check=True)
"""


def test_child_processes_have_the_caller_who_started_them(run: Run) -> None:
    """fork, spawn, forkserver, process pools, subprocess: agent, tenant, role, labels, and the agent's trace."""
    done = run(CHILDREN)
    assert (done.returncode, done.err) == (0, "")
    (crew,) = [record for record in done.records if record["kind"] == "agent"]
    roles = ["fork", "spawn", "forkserver", "first", "second", "run", "its own"]
    assert [call.get("role") for call in done.calls] == [*roles, None]
    for call in done.calls[:-1]:
        assert (call["agent"], call["tenant"], call["labels"]) == ("crew", "acme", {"team": "x"})
        assert (call["trace"], call["parent"]) == (crew["trace"], crew["id"])
    assert "agent" not in done.calls[-1]
    assert crew["calls"] == 0  # what other processes call is not in its totals


def test_a_childs_environment_is_touched_only_where_it_is_the_programs_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inherited or made of the program's own: HEXR_CALLER is added to a copy. A clean one stays as it was given."""
    monkeypatch.setenv("HEXR_AGENT_ROLE", "house")
    here = ticket.Ticket(CREW, (1, 2, True))
    own = clean_environment(HEXR_AGENT_ROLE="house")
    given = {**own, "X": "1"}
    assert environment({"PATH": "/bin"}, here) is None
    added = environment(given, here)
    assert added is not None
    assert "HEXR_CALLER" not in given
    said = json.loads(added.pop("HEXR_CALLER"))
    assert added == given
    assert said["seen"]["role"] == "house"
    assert ticket.heard(said) == here


@pytest.mark.parametrize("said", [None, [], {"agent": 3, "labels": {"a": 1}, "parent": "00-0-0-01"}, {"parent": "x"}])
def test_what_is_no_caller_arrives_as_nobody(said: Any) -> None:
    """Whatever stands in a header or a variable, at most it is ignored."""
    found = ticket.heard(said)
    assert found is None or found == ticket.Ticket(Caller(), None)


def test_a_celery_task_has_the_caller_of_its_delay() -> None:
    """The header that goes with a message is the caller while the task runs, and the worker's own is there again."""

    class Task:
        class request:  # noqa: N801  (as celery calls it)
            hexr_caller: Any = None

    headers: dict[str, Any] = {}
    with crew():
        celery._published(headers=headers)
    Task.request.hexr_caller = json.loads(json.dumps(headers["hexr_caller"]))
    celery._started(task_id="1", task=Task)
    assert context.current_caller() == CREW
    celery._ended(task_id="1")
    assert context.current_caller() == Caller()


CELERY = """
import sys, threading
from celery import Celery
from celery.contrib.testing.worker import start_worker
from openai import OpenAI
from hexr import hexr_agent

app = Celery("app", broker="memory://", backend="cache+memory://")

@app.task
def ask():
    OpenAI().chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])

with start_worker(app, pool="solo", perform_ping_check=False, loglevel="CRITICAL"):
    with hexr_agent("boss", tenant="acme", role="lead"):
        mine = ask.delay()
    other = ask.delay()
    mine.get(timeout=30), other.get(timeout=30)
"""


def test_celery_carries_the_caller_through_its_broker(run: Run) -> None:
    """A real worker and its broker in memory: the call of the task is the caller's of `.delay()`, in his trace."""
    pytest.importorskip("celery")
    done = run(CELERY)
    assert done.returncode == 0, done.err
    (boss,) = [record for record in done.records if record["kind"] == "agent"]
    mine, other = done.calls
    assert (mine["agent"], mine["role"], mine["tenant"], mine["parent"]) == ("boss", "lead", "acme", boss["id"])
    assert "agent" not in other


def test_python_that_is_not_recorded_pays_nothing() -> None:
    """Importing the package, or a program that never enters a scope, patches nothing."""
    source = "import threading, hexr, hexr_instrument\nb = vars(threading.Thread)['start']\nhexr.hexr_llm\nassert vars(threading.Thread)['start'] is b and 'start' in b.__qualname__ and not hasattr(b, '__wrapped__')"
    subprocess.run([sys.executable, "-c", source], check=True, env=clean_environment(HEXR_DISABLED="1"))
