"""`hexr-instrument purge`: what was asked for is gone for good, and nothing else is."""

from __future__ import annotations

import fcntl
import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest
from stores import NOON, Shop, ids, line, python, segment
from support import clean_environment

from hexr_instrument.call import USD
from hexr_instrument.report import purge
from hexr_instrument.store import Store


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A store of two tenants and of calls without one."""
    shop = Shop(tmp_path / "store")
    shop.add(3, tenant="acme-corp")
    shop.add(2, tenant="planted-tenant")
    shop.add(1)
    return shop


def everything(directory: Path) -> bytes:
    """All bytes of all files."""
    return b"".join(path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file())


def test_a_tenants_calls_go_and_the_others_stay(shop: Shop) -> None:
    """Sums of the rest are as before, and the removed name is not in any file."""
    before = shop.data("--by", "tenant")
    status, said = shop.run(purge, "--tenant", "planted-tenant")
    assert (status, said) == (0, f"Removed 2 calls ($0.01) of planted-tenant from {shop.directory}\n")
    after = shop.data("--by", "tenant")
    assert after["rows"] == [row for row in before["rows"] if row["tenant"] != "planted-tenant"]
    assert after["total"]["cost"] == sum(row["cost"] for row in after["rows"])
    assert after["covers_since"] is None
    assert b"planted-tenant" not in everything(shop.directory)
    assert b"acme-corp" in everything(shop.directory)


def test_calls_without_a_tenant_can_be_named(shop: Shop) -> None:
    """An empty name stands for them, as in reports."""
    shop.run(purge, "--tenant", "", "--tenant", "acme-corp")
    assert [row["tenant"] for row in shop.data("--by", "tenant")["rows"]] == ["planted-tenant"]


def test_old_calls_go_and_the_report_says_since_when_it_covers_all(tmp_path: Path) -> None:
    """`--before` takes the times of `costs --since`."""
    store = Store(tmp_path / "store")
    now = time.time_ns()
    hour = 3600 * 10**9
    times = [now - age * hour for age in (72, 49, 47, 1)]
    segment(store, "1-1-a", *(line(at, start=each, end=each) for at, each in enumerate(times)))
    shop = Shop(store.directory)
    status, said = shop.run(purge, "--before", "48h")
    assert status == 0
    assert "Removed 2 calls ($0.02) before " in said
    assert shop.data()["total"]["calls"] == 2
    covers = store.state().covers_since
    assert covers is not None
    assert times[1] < covers <= times[2]
    assert "Removed 0 calls" in shop.run(purge, "--before", "1971-01-01", "--tz", "Europe/Berlin")[1]
    assert store.state().covers_since == covers


def test_a_tenant_and_a_time_together_are_both_conditions(tmp_path: Path) -> None:
    """Only that tenant's calls, and only the older ones."""
    store = Store(tmp_path / "store")
    segment(store, "1-1-a", *(line(at, tenant=name) for at, name in enumerate(("a", "b", "a", "b"))))
    assert store.purge(["a"], NOON + 2).calls == 1
    assert sorted(int(each, 16) for each in ids(store)) == [1, 2, 3]


def test_all_goes_where_nothing_is_said(shop: Shop) -> None:
    """Without options, and without a terminal to ask at, the store is empty afterwards and goes on to work."""
    status, said = shop.run(purge)
    assert (status, said) == (0, f"Removed 6 calls ($0.03) from {shop.directory}\n")
    assert ids(Store(shop.directory)) == []
    shop.add(1)
    assert shop.data()["total"]["calls"] == 1


def test_the_file_gets_smaller(tmp_path: Path) -> None:
    """What was removed is given back to the file system."""
    shop = Shop(tmp_path / "store")
    shop.add(20_000, tenant="large")
    shop.add(1, tenant="small")
    shop.costs()
    before = (shop.directory / "hexr.db").stat().st_size
    shop.run(purge, "--tenant", "large")
    assert (shop.directory / "hexr.db").stat().st_size < before / 10
    assert shop.data()["total"]["calls"] == 1


def test_purged_calls_do_not_come_back_from_a_running_program(tmp_path: Path) -> None:
    """Its file stays, and is said to; what it writes later comes in, what was purged does not."""
    store = Store(tmp_path / "store")
    path = segment(store, "1-1-a", line(1), line(2))
    with path.open("rb+") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        done = store.purge()
        assert (done.calls, done.running) == (2, 2)
        assert path.exists()
        writer.seek(0, os.SEEK_END)
        writer.write(b'{"kind":"call","id":"%016x","start":%d}\n' % (3, NOON))
        writer.flush()
        store.ingest_all()
        assert [int(each, 16) for each in ids(store)] == [3]
    store.ingest_all()
    assert not path.exists()


def test_waiting_calls_go_where_their_whole_file_goes(tmp_path: Path) -> None:
    """A segment for an endpoint is removed only if nothing else is in it; what is left is said, and why."""
    shop = Shop(tmp_path / "store")
    store = Store(shop.directory)
    alone = segment(store, "1-1-a", line(1, tenant="a"), line(2, tenant="a"), destination="x", keep=False)
    sent = len(alone.read_bytes().rpartition(b"\n{")[0]) + 1
    alone.with_suffix(".sent").write_text(f"{sent:020d}")
    mixed = segment(store, "2-1-a", line(3, tenant="a"), line(4, tenant="b"), destination="x", keep=False)
    other = segment(store, "3-1-a", line(5, tenant="b"), destination="x", keep=False)
    status, said = shop.run(purge, "--tenant", "a")
    assert status == 0
    assert "Removed 2 calls that waited for an endpoint" in said
    assert "Left: 1 call that wait for an endpoint in one file with others" in said
    assert [path.exists() for path in (alone, alone.with_suffix(".sent"), mixed, other)] == [False, False, True, True]


def test_a_purge_beside_writers_loses_none_of_theirs(tmp_path: Path) -> None:
    """While another process takes calls in, one tenant's go and each other call is there once."""
    store = Store(tmp_path / "store")
    store.ingest(segment(store, "0-1-a", *(line(at, tenant="gone") for at in range(2000))))
    code = (
        "store = Store(sys.argv[1]); paths = sorted(store.journal.glob('9*.jsonl')); print('ready', flush=True)\n"
        "for path in paths: store.ingest(path)"
    )
    for number in range(40):
        segment(store, f"9{number:03}-1-a", *(line(10_000 + number * 50 + at, tenant="kept") for at in range(50)))
    other = python(code, store.directory)
    assert other.stdout is not None
    assert other.stdout.readline() == "ready\n"
    store.purge(["gone"])
    assert other.communicate(timeout=60) == ("", "")
    store.ingest_all()
    store.purge(["gone"])
    assert len(ids(store)) == len(set(ids(store))) == 2000


def test_a_reader_in_the_way_is_said(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the file cannot be rewritten now, the calls are gone from it all the same, and the next purge rewrites."""
    import sqlite3

    shop.costs()
    monkeypatch.setattr("hexr_instrument.store.file._BUSY", 1)  # seconds to wait for it, instead of thirty
    reader = sqlite3.connect(shop.directory / "hexr.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM calls").fetchone()
    done = Store(shop.directory).purge(["planted-tenant"])
    reader.close()
    assert done.calls == 2
    assert "planted-tenant" not in str(shop.data("--by", "tenant"))


@pytest.mark.parametrize(("answer", "status", "left"), [("y", 0, 0), ("n", 1, 6), ("", 1, 6)])
def test_at_a_terminal_it_asks_before_all_goes(shop: Shop, answer: str, status: int, left: int) -> None:
    """Only `y` or `yes` removes everything; the question names how much it is."""
    leader, terminal = pty.openpty()
    command = [sys.executable, "-m", "hexr_instrument", "purge"]
    environ = clean_environment(HEXR_STORE=str(shop.directory))
    child = subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=subprocess.PIPE, env=environ)
    os.close(terminal)
    said = b""
    while b"[y/N]" not in said:
        said += os.read(leader, 1000)
    assert b"Remove all 6 calls ($0.03)" in said
    os.write(leader, f"{answer}\n".encode())
    assert child.wait(60) == status
    assert child.stderr is not None
    assert child.stderr.read() == b""
    child.stderr.close()
    os.close(leader)
    assert len(ids(Store(shop.directory))) == left


def test_what_cannot_be_is_one_line(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong time, a store that is none: status 2, and nothing is removed."""
    assert shop.run(purge, "--before", "yesterday")[0] == 2
    assert shop.run(purge, "--store", str(shop.directory / "none"))[0] == 2
    assert len(capsys.readouterr().err.splitlines()) == 2
    assert shop.data()["total"]["calls"] == 6


def test_nothing_recorded_is_nothing_removed(tmp_path: Path) -> None:
    """And no store is made by looking."""
    assert Shop(tmp_path / "none").run(purge, "--tenant", "a") == (
        0,
        f"Removed 0 calls ($0.00) of a from {tmp_path / 'none'}\n",
    )
    assert list(tmp_path.iterdir()) == []


def test_amounts_of_the_rest_are_unchanged(shop: Shop) -> None:
    """To the last digit."""
    assert shop.data()["total"]["cost"] == 3 * USD // 100
    shop.run(purge, "--tenant", "acme-corp")
    assert shop.data()["total"]["cost"] == 2 * USD // 100


def test_waiting_calls_of_another_time_stay(tmp_path: Path) -> None:
    """`--before` is for what waits, too: a segment whose calls are younger, or have no time, is left."""
    store = Store(tmp_path / "store")
    young = segment(store, "1-1-a", line(1), destination="x", keep=False)
    odd = segment(store, "2-1-a", line(2, start="soon"), destination="x", keep=False)
    old = segment(store, "3-1-a", line(3, start=NOON - 10), destination="x", keep=False)
    done = store.purge((), NOON)
    assert (done.unsent, done.mixed) == (1, 0)
    assert [path.exists() for path in (young, odd, old)] == [True, True, False]
