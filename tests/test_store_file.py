"""The store's file: many processes, who may use it, damage, versions, and what is removed from it."""

from __future__ import annotations

import itertools
import json
import os
import signal
import sqlite3
import stat
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
from stores import HEADER, ids, line, python, segment

from hexr_instrument.store import Store, StoreError, StoreUnwritableError, file


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store that does not exist yet."""
    return Store(tmp_path / "store")


# -- many processes


def test_sixteen_processes_take_in_the_same_segments_without_loss(store: Store) -> None:
    """Each call is new to exactly one of them."""
    for number in range(16):
        segment(store, f"{number}-1-a", *(line(number * 100 + at) for at in range(50)))
    processes = [python("print(Store(sys.argv[1]).ingest_all())", store.directory) for _ in range(16)]
    results = [process.communicate(timeout=120) for process in processes]
    assert [error for _, error in results if error] == []
    assert sum(int(output) for output, _ in results) == len(set(ids(store))) == len(ids(store)) == 800
    assert list(store.journal.iterdir()) == []


WRITER = """
import fcntl, secrets
directory, count = sys.argv[1], int(sys.argv[2])
store = Store(directory)
os.makedirs(store.journal, exist_ok=True)
path = store.journal / f"1-{os.getpid()}-{secrets.token_hex(4)}.jsonl"
file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
os.write(file, b'{"v":1,"kind":"segment","keep":true}' + bytes([10]))
for number in range(count):
    key = secrets.token_hex(8)
    record = {"kind": "call", "id": key, "start": 1, "op": "chat", "cost": 1}
    os.write(file, json.dumps(record).encode() + bytes([10]))
    print(key, flush=True)
    if number % 10 == 9:
        store.ingest(path)
        store.ingest_all()
"""


def test_sixteen_processes_write_and_take_in_at_once_without_loss(store: Store) -> None:
    """Every call that was written is in the store once."""
    processes = [python(WRITER, store.directory, 50) for _ in range(16)]
    results = [process.communicate(timeout=120) for process in processes]
    assert [error for _, error in results if error] == []
    store.ingest_all()
    written = [key for output, _ in results for key in output.split()]
    assert len(written) == 800
    assert sorted(ids(store)) == sorted(written)
    assert list(store.journal.iterdir()) == []


def test_killed_writers_lose_nothing_that_was_written(store: Store) -> None:
    """After kill -9 in the middle of writing and taking in, every acknowledged call is in the store once."""
    processes = [python(WRITER, store.directory, 1_000_000) for _ in range(4)]
    written: list[str] = []
    for at, process in enumerate(processes):
        assert process.stdout is not None
        written += [process.stdout.readline().strip() for _ in range(37 + 20 * at)]
        process.send_signal(signal.SIGKILL)
    for process in processes:
        written += process.communicate(timeout=60)[0].split()
    store.ingest_all()
    assert set(written) - {""} <= set(ids(store))
    assert len(set(ids(store))) == len(ids(store))
    assert list(store.journal.iterdir()) == []
    with sqlite3.connect(store.path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


# -- the file


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_child_of_a_process_that_uses_the_store_leaves_it_alone(store: Store) -> None:
    """SQLite would hang in the child, or damage the file: an error at once; after the use, a fork is as any other."""
    store.ingest(segment(store, "1-1-a", line(1)))

    def fork() -> int:
        """How a child ends that uses the store."""
        pid = os.fork()
        if pid == 0:
            signal.alarm(60)
            try:
                os._exit(len(store.calls()))
            except StoreError as error:
                os._exit(100 + ("forked" in str(error)))
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    inside, over = threading.Event(), threading.Event()

    def hold() -> None:
        with file.writing(store.path) as connection:
            connection.execute("BEGIN IMMEDIATE")
            inside.set()
            over.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    inside.wait()
    assert fork() == 101
    over.set()
    holder.join()
    assert fork() == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_forks_beside_a_thread_that_takes_calls_in_damage_nothing(store: Store) -> None:
    """Every child ends; what it took in is there, once, and what it could not is still in the journal."""
    stop = threading.Event()

    def busy() -> None:
        for number in itertools.count(1):
            if stop.is_set():
                break
            store.ingest(segment(store, f"{number}-1-a", *(line(number * 10 + each) for each in range(10))))

    threads = [threading.Thread(target=busy)]
    for each in threads:
        each.start()
    taken = 0
    for number in range(20):
        path = segment(store, f"{10**6 + number}-2-a", line(10**9 + number))
        if (pid := os.fork()) == 0:
            signal.alarm(60)
            try:
                store.ingest(path)
                os._exit(0)
            except StoreError:
                os._exit(1)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert status in (0, 1)
        taken += status == 0
    stop.set()
    for each in threads:
        each.join()
    assert sum(int(each.id, 16) >= 10**9 for each in store.calls(10**6)) == taken
    store.ingest_all()
    assert sum(int(each.id, 16) >= 10**9 for each in store.calls(10**6)) == 20
    with closing(sqlite3.connect(store.path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_the_store_is_private_whatever_the_umask(store: Store) -> None:
    """Directory 0700; file, -wal and -shm 0600."""
    path = segment(Store(store.directory.with_name("other")), "1-1-a", line(1))
    before = os.umask(0)
    try:
        store.ingest(path)
        reader = sqlite3.connect(store.path)
        reader.execute("SELECT count(*) FROM calls").fetchone()
        path.write_bytes(path.read_bytes() + json.dumps(line(2)).encode() + b"\n")
        store.ingest(path)
        modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in store.directory.iterdir()}
        reader.close()
    finally:
        os.umask(before)
    assert modes == {"hexr.db": 0o600, "hexr.db-wal": 0o600, "hexr.db-shm": 0o600}
    assert stat.S_IMODE(store.directory.stat().st_mode) == 0o700


@pytest.mark.parametrize("kind", ["link", "file", "under a file", "foreign", "linked file"])
def test_a_directory_that_is_not_ours_is_refused(tmp_path: Path, kind: str) -> None:
    """One line names the directory and what to do."""
    store = Store(tmp_path / "store")
    path = segment(Store(tmp_path / "other"), "1-1-a", line(1))
    if kind == "link":
        store.directory.symlink_to(tmp_path / "other")
    elif kind == "file":
        store.directory.write_text("")
    elif kind == "under a file":
        (tmp_path / "file").write_text("")
        store = Store(tmp_path / "file" / "store")
    elif kind == "linked file":
        store.directory.mkdir()
        store.path.symlink_to(tmp_path / "elsewhere")
    elif os.geteuid() == 0:
        store.directory.mkdir()
        os.chown(store.directory, 65534, 65534)
    else:
        pytest.skip("only root can give a directory away")
    for use in (store.costs, store.ingest_all, lambda: store.ingest(path)):
        with pytest.raises(StoreError, match="HEXR_STORE") as caught:
            use()
        assert str(store.directory) in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", ["all", "inside", "foreign"])
def test_a_damaged_store_is_one_clear_error_and_its_mend_works(store: Store, damage: str) -> None:
    """After the file was moved away, the calls that wait come in again."""
    path = segment(store, "1-1-a", *(line(number) for number in range(500)))
    store.ingest(path)
    if damage == "foreign":
        store.path.unlink()
        with sqlite3.connect(store.path) as connection:
            connection.execute("CREATE TABLE theirs (x)")
        connection.close()
    else:
        data = bytearray(store.path.read_bytes())
        start = 0 if damage == "all" else 4096
        data[start:] = b"\xa5" * (len(data) - start)
        store.path.write_bytes(data)
    with path.open("ab") as file:
        file.write(json.dumps(line(500)).encode() + b"\n")
    for use in (store.costs, store.ingest_all):
        with pytest.raises(StoreError, match="move it away") as caught:
            use()
        assert str(store.path) in str(caught.value)
        assert "\n" not in str(caught.value)
    store.path.rename(store.path.with_suffix(".bad"))
    assert store.ingest_all() == 501


def test_a_newer_store_can_be_read_and_takes_nothing_in(store: Store) -> None:
    """The error says to upgrade; the calls wait."""
    store.ingest(segment(store, "1-1-a", line(1)))
    connection = sqlite3.connect(store.path)
    connection.execute("PRAGMA user_version = 2")
    connection.execute("ALTER TABLE calls ADD COLUMN mood TEXT")
    connection.close()
    path = segment(store, "1-2-b", line(2))
    for change in (store.ingest_all, store.prune, lambda: store.ingest(path)):
        with pytest.raises(StoreUnwritableError, match="upgrade hexr-instrument"):
            change()
    assert [row.calls for row in store.costs()] == [len(store.calls())] == [1]
    assert path.exists()


READ_ONLY = """
import urllib.parse  # what Path.as_uri needs, while it can still be read
owner = int(sys.argv[2])
if os.geteuid() == 0:
    os.setegid(owner); os.seteuid(owner)
store = Store(sys.argv[1])
try:
    store.ingest_all()
except StoreUnwritableError as error:
    print(error)
print(sum(row.calls for row in store.costs()))
"""


def test_a_read_only_store_can_be_read_and_says_that_it_takes_nothing_in() -> None:
    """Neither the file nor its directory may be written by this user."""
    owner = 65534 if os.geteuid() == 0 else os.geteuid()
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        store = Store(Path(name) / "store")
        store.ingest(segment(store, "1-1-a", line(1)))
        segment(store, "1-2-b", line(2))
        os.chown(store.directory, owner, -1)
        os.chown(store.path, owner, -1)
        for path, mode in ((store.path, 0o400), (store.journal, 0o555), (store.directory, 0o500)):
            path.chmod(mode)
        output, error = python(READ_ONLY, store.directory, owner).communicate(timeout=60)
        store.directory.chmod(0o700)
        store.journal.chmod(0o700)
    assert error == ""
    said, calls = output.splitlines()
    assert "hexr.db cannot be written" in said
    assert calls == "1"


FULL = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
try:
    Store(sys.argv[1]).ingest_all()
except StoreUnwritableError as error:
    print(error)
"""


def test_a_full_disk_is_one_clear_error_and_loses_nothing(store: Store) -> None:
    """The calls wait in the journal and come in when there is room."""
    segment(store, "1-1-a", *(line(number) for number in range(5000)))
    output, error = python(FULL, store.directory).communicate(timeout=60)
    assert error == ""
    assert "make room on the disk" in output
    assert str(store.path) in output
    store.ingest_all()
    assert len(set(ids(store))) == 5000


def test_the_flat_view_is_for_people(store: Store) -> None:
    """`records` shows calls with their names and dollars to any SQLite client."""
    store.ingest(segment(store, "1-1-a", line(1, served="gpt-4o-2024-08-06", role="writer")))
    connection = sqlite3.connect(store.path)
    row = connection.execute("SELECT id, agent, role, model, run, cost_usd FROM records").fetchone()
    connection.close()
    assert row == (f"{1:016x}", "crew", "writer", "gpt-4o-2024-08-06", HEADER["run"], 0.01)


# -- retention


def test_old_calls_are_removed_and_the_store_remembers_that(store: Store) -> None:
    """Reports can say since when they cover all calls; nothing removed, nothing said."""
    now = time.time_ns()
    ages = [100 * 86400, 95 * 86400, 10, 5]
    store.ingest_all() if segment(
        store, "1-1-a", *(line(at, start=now - age * 10**9, end=None) for at, age in enumerate(ages))
    ) else None
    assert store.prune(keep_seconds=200 * 86400) == 0
    assert store.state().covers_since is None
    assert store.prune() == 2
    since = store.state().covers_since
    assert since is not None
    assert abs(since - (now - 90 * 86400 * 10**9)) < 60 * 10**9
    assert (store.prune(), store.state().covers_since, len(ids(store))) == (0, since, 2)


def test_a_store_that_is_too_large_gives_up_its_oldest_calls(store: Store) -> None:
    """It fits afterwards, and what is left is the newest."""
    now = time.time_ns()
    segment(store, "1-1-a", *(line(at, start=now + at, agent=f"agent-{at}") for at in range(6000)))
    store.ingest_all()
    size = store.path.stat().st_size
    removed = store.prune(keep_bytes=size // 2)
    assert 1000 < removed < 5999
    assert store.path.stat().st_size <= size // 2
    assert [record.start - now for record in store.calls(6000)] == list(range(5999, removed - 1, -1))
    assert store.state().covers_since == now + removed
    connection = sqlite3.connect(store.path)
    assert connection.execute("SELECT count(*) FROM facets").fetchone() == (6000 - removed,)
    connection.close()


def test_removed_calls_of_a_segment_that_is_still_there_do_not_come_back(store: Store) -> None:
    """Its offset outlives its calls."""
    path = segment(store, "1-1-a", line(1, start=10**18))
    store.ingest(path)
    assert store.prune() == 1
    assert store.ingest(path) == 0
