"""What is billed later: once, to who started it, whichever process sees it, in a memory that does not grow."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hexr_instrument import owed
from hexr_instrument.call import Caller
from hexr_instrument.owed import Origin, Owed


def by(role: str) -> Origin:
    """An origin that is known by its role."""
    return Origin(Caller(role=role), None, None, None)


def test_the_first_one_who_is_seen_with_it_started_it(tmp_path: Path) -> None:
    """Later sights of the same work change nothing, and after it was billed there is nothing to bill."""
    works = Owed(tmp_path)
    works.open("a", by("creator"))
    works.open("a", by("poller"))
    assert works.settle("a", by("stranger")) == by("creator")
    works.open("a", by("poller"))
    assert works.settle("a", by("stranger")) is None


def test_what_nobody_here_started_is_billed_to_a_stranger_or_to_nobody(tmp_path: Path) -> None:
    """As whoever asks has it; once, too."""
    works = Owed(tmp_path)
    assert works.settle("a", None) is None
    assert works.settle("a", by("stranger")) == by("stranger")
    assert works.settle("a", by("stranger")) is None


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The oldest work is forgotten; what has just been billed is the youngest."""
    monkeypatch.setattr(owed, "KEPT", 3)
    works = Owed(tmp_path)
    for name in "abc":
        works.open(name, by(name))
    assert works.settle("a", None) == by("a")
    works.open("d", by("d"))
    assert not works._known.keys() & {"b"}
    assert works.settle("a", by("stranger")) is None
    assert works.settle("d", None) == by("d")


def test_many_pollers_at_once_bill_once(tmp_path: Path) -> None:
    """However many threads see it completed at the same time, one of them bills it."""
    works = Owed(tmp_path)
    names = [str(number) for number in range(200)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda name: works.settle(name, by(name)), names * 8))
    assert sorted(each.caller.role for each in found if each is not None) == sorted(names)


def test_processes_that_share_a_store_bill_once(tmp_path: Path) -> None:
    """Who started a work is on disk, for its owner alone to read; of all who see it completed, one bills it."""
    creator = Origin(Caller("a", "r", "t", (("team", "x"),)), (2**127, 2**63, True), "gpt-5", object(), (5, 7))
    Owed(tmp_path).open("job", creator)
    (path,) = owed.folder(tmp_path).iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert "job" not in path.read_text() + path.name
    assert owed.waiting(tmp_path) == 1
    others = [Owed(tmp_path) for _ in range(8)]
    others[0].open("job", by("poller"))
    assert all(each.knows("job") for each in others)
    with ThreadPoolExecutor(8) as pool:
        found = [each for each in pool.map(lambda works: works.settle("job", by("stranger")), others) if each]
    (origin,) = found
    assert (origin.caller, origin.parent, origin.model) == (creator.caller, creator.parent, "gpt-5")
    assert (origin.times, origin.invocation) == ((5, 7), None)
    Owed(tmp_path).open("job", by("poller"))
    assert Owed(tmp_path).settle("job", by("stranger")) is None
    assert owed.waiting(tmp_path) == 0
    assert not Owed(tmp_path).knows("job")


def test_a_work_that_is_started_is_a_new_one(tmp_path: Path) -> None:
    """An id that a provider gives again is not the work that was billed under it."""
    works = Owed(tmp_path)
    for number in range(3):
        works.open("a", by(str(number)), new=True)
        assert Owed(tmp_path).settle("a", None) == by(str(number))
    assert Owed(tmp_path).settle("a", by("stranger")) is None


def test_strangers_bill_once_between_them(tmp_path: Path) -> None:
    """A work that nobody who shares the store has started is billed to the first who sees it completed."""
    assert Owed(tmp_path).settle("a", by("one")) == by("one")
    assert Owed(tmp_path).settle("a", by("two")) is None


def test_where_nothing_can_be_written_memory_has_to_do(tmp_path: Path) -> None:
    """A folder that is none costs what other processes would have known, and nothing else."""
    owed.folder(tmp_path).write_text("no folder")
    works = Owed(tmp_path)
    works.open("a", by("creator"))
    assert works.settle("a", by("stranger")) == by("creator")
    assert works.settle("a", by("stranger")) is None
    assert Owed(tmp_path).settle("b", None) is None


def test_what_others_can_write_is_not_believed(tmp_path: Path) -> None:
    """In a folder that is open to everybody, who started a work is what this process knows itself."""
    Owed(tmp_path).open("a", by("creator"))
    owed.folder(tmp_path).chmod(0o777)
    works = Owed(tmp_path)
    assert not works.knows("a")
    assert works.settle("a", None) is None
    assert works.settle("a", by("stranger")) == by("stranger")


@pytest.mark.parametrize("told", [b"", b"[]", b'{"parent": [1, 2], "times": "n/a", "labels": [1]}', b"{"])
def test_a_damaged_file_is_an_origin_that_nobody_knows(tmp_path: Path, told: bytes) -> None:
    """It is billed once all the same."""
    Owed(tmp_path).open("a", by("creator"))
    (path,) = owed.folder(tmp_path).iterdir()
    path.write_bytes(told)
    assert Owed(tmp_path).settle("a", None) == Origin(Caller(), None, None, None)


def test_works_are_forgotten_by_age_and_by_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first work that a process notes sweeps the folder."""
    works = Owed(tmp_path)
    for name in "abcd":
        works.open(name, by(name))
        os.utime(works._path(name), (time.time() - 10 + ord(name) - 200, time.time() - 10 + ord(name) - 200))
    os.utime(works._path("a"), (1, 1))
    monkeypatch.setattr(owed, "KEPT", 2)
    Owed(tmp_path).open("e", by("e"))
    assert [name for name in "abcde" if works._path(name).exists()] == ["c", "d", "e"]


def test_a_purged_tenant_is_in_no_work(tmp_path: Path) -> None:
    """Who started a work is forgotten with the calls of its tenant."""
    works = Owed(tmp_path)
    for tenant in ("acme", "other"):
        works.open(tenant, Origin(Caller(tenant=tenant), None, None, None))
    owed.purge(tmp_path, ("acme",), None)
    assert (Owed(tmp_path).knows("acme"), Owed(tmp_path).knows("other")) == (False, True)
    owed.purge(tmp_path, (), None)
    assert owed.waiting(tmp_path) == 0
