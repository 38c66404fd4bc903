"""What is billed later: once, to who started it, in a memory that does not grow."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from hexr_instrument import owed
from hexr_instrument.call import Caller
from hexr_instrument.owed import Origin, Owed


def by(role: str) -> Origin:
    """An origin that is known by its role."""
    return Origin(Caller(role=role), None, None, None)


def test_the_first_one_who_is_seen_with_it_started_it() -> None:
    """Later sights of the same work change nothing, and after it was billed there is nothing to bill."""
    works = Owed()
    works.open("a", by("creator"))
    works.open("a", by("poller"))
    assert works.settle("a", by("stranger")) == by("creator")
    works.open("a", by("poller"))
    assert works.settle("a", by("stranger")) is None


def test_what_nobody_here_started_is_billed_to_a_stranger_or_to_nobody() -> None:
    """As whoever asks has it; once, too."""
    works = Owed()
    assert works.settle("a", None) is None
    assert works.settle("a", by("stranger")) == by("stranger")
    assert works.settle("a", by("stranger")) is None


def test_the_memory_is_bounded(monkeypatch) -> None:
    """The oldest work is forgotten; what has just been billed is the youngest."""
    monkeypatch.setattr(owed, "KEPT", 3)
    works = Owed()
    for name in "abc":
        works.open(name, by(name))
    assert works.settle("a", None) == by("a")
    works.open("d", by("d"))
    assert works.settle("b", None) is None
    assert works.settle("a", by("stranger")) is None
    assert works.settle("d", None) == by("d")


def test_many_pollers_at_once_bill_once() -> None:
    """However many threads see it completed at the same time, one of them bills it."""
    works = Owed()
    names = [str(number) for number in range(200)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda name: works.settle(name, by(name)), names * 8))
    assert sorted(each.caller.role for each in found if each is not None) == sorted(names)
