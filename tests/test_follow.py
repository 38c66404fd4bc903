"""`calls --follow`: each call once as it ends, whoever writes it, until Ctrl-C or until nobody reads on."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from stores import line, segment
from support import clean_environment

from hexr_instrument.store import Filter, Store

Follow = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Three calls of before."""
    made = Store(tmp_path / "store")
    made.ingest(segment(made, "1-1-a", *(line(number) for number in (1, 2, 3))))
    return made


@pytest.fixture
def follow(store: Store) -> Iterator[Follow]:
    """Starts the command."""
    started: list[subprocess.Popen[str]] = []

    def start(*options: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "hexr_instrument", "calls", "--follow", *options]
        environ = clean_environment(HEXR_STORE=str(store.directory))
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        started.append(subprocess.Popen(command, env=environ, text=True, **pipes))
        return started[-1]

    yield start
    for each in started:
        each.kill()
        each.communicate()


def test_it_goes_on_until_ctrl_c(store: Store, follow: Follow) -> None:
    """The latest calls, the oldest first; then what comes, in plain lines; Ctrl-C is an ordinary end."""
    running = follow("--limit", "2")
    assert running.stdout is not None
    before = [running.stdout.readline() for _ in range(2)]
    segment(store, "2-1-a", line(4, role="writer", model="gpt-4o-mini"))
    after = running.stdout.readline()
    running.send_signal(signal.SIGINT)
    rest, said = running.communicate(timeout=20)
    assert (running.returncode, rest, said) == (0, "", "")
    assert all("crew" in each for each in before)
    assert after.split()[-5:] == ["openai", "gpt-4o-mini", "1200/340", "1.0s", "$0.01"]
    assert "\x1b" not in "".join((*before, after))


def test_each_call_is_an_object_and_filters_hold(store: Store, follow: Follow) -> None:
    """With --json one line each; a call that began before others and ends after them comes, too, and none twice."""
    store.ingest(segment(store, "2-1-a", line(10, agent="other")))
    running = follow("--json", "--agent", "other")
    assert running.stdout is not None
    found = [json.loads(running.stdout.readline())["id"]]
    segment(store, "3-1-a", line(11), line(12, agent="other"))
    segment(store, "4-1-a", line(13, agent="other", start=1), line(14))
    found += [json.loads(running.stdout.readline())["id"] for _ in range(2)]
    segment(store, "5-1-a", line(15, agent="other"))
    found.append(json.loads(running.stdout.readline())["id"])
    assert [int(each, 16) for each in found] == [10, 12, 13, 15]


def test_it_ends_with_its_reader(follow: Follow) -> None:
    """`| head -1` has seen enough: the command ends although no further call comes."""
    running = follow("--json")
    assert running.stdout is not None
    running.stdout.readline()
    running.stdout.close()
    assert running.wait(timeout=20) == 0


def test_it_has_no_end_in_time(follow: Follow) -> None:
    """--until contradicts it, and a limit of 0 is for following alone."""
    running = follow("--until", "1h")
    _, said = running.communicate(timeout=20)
    assert running.returncode == 2
    assert said.count("\n") == 1
    assert "--until" in said


def test_a_mark_outlives_what_is_removed(store: Store) -> None:
    """What was taken in later is found once; a removed mark loses its place and nothing repeats."""
    found, mark = store.later(None)
    assert [int(each.id, 16) for each in found] == [1, 2, 3]
    assert store.later(mark) == ([], mark)
    store.ingest(segment(store, "2-1-a", line(4, start=1), line(5, agent="other")))
    found, last = store.later(mark, Filter(agent=("crew",)))
    assert [int(each.id, 16) for each in found] == [4]
    assert last == f"{5:016x}"
    assert store.later("ff" * 8) == ([], last)
    assert Store(store.directory / "none").later(None) == ([], None)
