"""What changes the store: a segment's lines go in once, the oldest calls go out.

The offset of a segment moves in the transaction that inserts its calls, and a call's span id is its key:
however many processes take in a segment, and wherever they are killed, each call is in the store once.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import stat
import time
from collections.abc import Generator, Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

try:
    import fcntl
except ImportError:  # Windows: there, segments stay where they are after they were read
    fcntl = None

from .file import used, writing
from .lines import VALUE_COLUMNS, VERSION, Entry, Facet, Header, read_entry, read_header

_CHUNK = 1 << 20
"""Bytes of lines that one transaction takes in; others wait for the lock in the meantime."""
_DELETE = 5000
"""Calls that one transaction removes, for the same reason."""
_FOREVER = (1 << 63) - 1
_STILLBORN = 3600
"""Age in seconds at which a segment without a header was left by a writer that died before its first line."""
_FACET = f"SELECT id FROM facets WHERE {' AND '.join(f'{name} IS ?' for name in Facet._fields)}"  # noqa: S608
_NEW_FACET = f"INSERT INTO facets ({', '.join(Facet._fields)}) VALUES ({', '.join('?' * len(Facet._fields))})"  # noqa: S608
_NEW_SEGMENT = (
    "INSERT INTO segments (name, started, run, service, resource, prices, offset, skipped)"
    " VALUES (?, ?, ?, ?, ?, ?, 0, 0)"
)
_NEW_CALL = (
    f"INSERT INTO calls (id, segment, facet, {', '.join(VALUE_COLUMNS)})"  # noqa: S608
    f" VALUES (?, ?, ?{', ?' * len(VALUE_COLUMNS)}) ON CONFLICT (id) DO NOTHING"
)


def take_in(database: Path, path: Path) -> int:
    """Takes in one segment, whoever writes it; see `Store.ingest`."""
    with open_segment(path) as segment:
        header = _header(segment) if segment else None
        if segment is None or header is None or not _wanted(header):
            return 0
        with writing(database) as connection:
            return _read_and_insert(connection, segment, header, path.name)


def take_in_all(database: Path, paths: Iterable[Path]) -> int:
    """Takes in segments and removes those that nobody needs any more; see `Store.ingest_all`."""
    added = 0
    with writing(database) as connection:
        for path in paths:
            with open_segment(path) as segment:
                if segment is not None:
                    added += _take_in_and_free(connection, segment, path)
    return added


def prune(database: Path, journal: Path, keep_seconds: float, keep_bytes: int) -> int:
    """Removes the oldest calls; see `Store.prune`."""
    removed = 0
    with writing(database) as connection:
        cutoff = time.time_ns() - int(keep_seconds * 1e9)
        while (count := _remove(connection, cutoff, _DELETE)) > 0:
            removed += count
        while (size := used(connection)) > keep_bytes:
            (left,) = connection.execute("SELECT count(*) FROM calls").fetchone()
            count = _remove(connection, None, min(left * (size - keep_bytes) // size + 1, _DELETE))
            if count == 0:
                break
            removed += count
        if removed:
            sweep(connection, journal)
    return removed


@contextlib.contextmanager
def open_segment(path: Path) -> Generator[BinaryIO | None, None, None]:
    """The segment's file, or None if it is gone or not a file of this user."""
    flags = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        try:
            number = os.open(path, os.O_RDWR | flags)  # some file systems lock only what is open for writing
        except (PermissionError, IsADirectoryError):
            number = os.open(path, os.O_RDONLY | flags)
    except OSError:
        yield None
        return
    status = os.fstat(number)
    if not stat.S_ISREG(status.st_mode) or (hasattr(os, "geteuid") and status.st_uid != os.geteuid()):
        os.close(number)
        yield None
        return
    with os.fdopen(number, "rb") as file:
        yield file


def _header(segment: BinaryIO) -> Header | None:
    """What the segment's first line says, or None before it is whole."""
    segment.seek(0)
    line = segment.readline()
    return (read_header(line) or Header()) if line.endswith(b"\n") else None


def _wanted(header: Header) -> bool:
    """Whether the segment's calls belong in the store, and in this version of it."""
    return header.keep and header.version <= VERSION


def _take_in_and_free(connection: sqlite3.Connection, segment: BinaryIO, path: Path) -> int:
    """Takes in a segment of the journal and removes its file if nobody needs it; how many calls are new."""
    header = _header(segment)
    if header is None:
        # A writer that has just made its file has not locked it yet: only after an hour is it surely gone.
        if time.time() - os.fstat(segment.fileno()).st_mtime > _STILLBORN and abandoned(segment):
            path.unlink(missing_ok=True)
        return 0
    if not _wanted(header):
        return 0
    added = _read_and_insert(connection, segment, header, path.name)
    if abandoned(segment):
        # What its writer wrote between our reading and our locking.
        added += _read_and_insert(connection, segment, header, path.name)
        if header.destination is None or sent(path) >= os.fstat(segment.fileno()).st_size:
            path.unlink(missing_ok=True)
            path.with_suffix(".sent").unlink(missing_ok=True)
    return added


def _lines(segment: BinaryIO, offset: int) -> tuple[list[bytes], int]:
    """The whole lines from `offset` on, about _CHUNK bytes of them, and the offset behind them."""
    segment.seek(offset)
    data = segment.read(_CHUNK)
    while b"\n" not in data:  # one line with much content, or a torn one
        more = segment.read(_CHUNK)
        if not more:
            return [], offset
        data += more
    end = data.rindex(b"\n")
    return data[:end].split(b"\n"), offset + end + 1


def _read_and_insert(connection: sqlite3.Connection, segment: BinaryIO, header: Header, name: str) -> int:
    """Moves a segment's new lines into the tables; how many calls are new.

    Lines are read and parsed before the lock is taken; the offset tells if somebody else took them in then.
    """
    added = 0
    while True:
        offset = _offset(connection, name)
        lines, end = _lines(segment, offset)
        if not lines:
            return added
        entries, skipped = _entries(lines)
        with transaction(connection):
            if _offset(connection, name) == offset:
                added += _insert(connection, name, header, entries)
                connection.execute(
                    "UPDATE segments SET offset = ?, skipped = skipped + ? WHERE name = ?",
                    (end, skipped, name),
                )


def _entries(lines: Iterable[bytes]) -> tuple[list[Entry], int]:
    """The calls in lines, and how many lines were damaged."""
    entries: list[Entry] = []
    damaged = 0
    for line in filter(None, lines):  # a writer ends what a full disk tore off with an empty line
        try:
            entry = read_entry(line)
        except ValueError:
            damaged += 1
            continue
        if entry is not None:
            entries.append(entry)
    return entries, damaged


def _offset(connection: sqlite3.Connection, name: str) -> int:
    row = connection.execute("SELECT offset FROM segments WHERE name = ?", (name,)).fetchone()
    return row[0] if row else 0


def _insert(connection: sqlite3.Connection, name: str, header: Header, entries: Iterable[Entry]) -> int:
    row = connection.execute("SELECT id FROM segments WHERE name = ?", (name,)).fetchone()
    if row is None:
        started = re.match(r"\d{1,15}(?=-)", name)
        about = (header.run, header.service, header.resource, header.prices)
        row = (connection.execute(_NEW_SEGMENT, (name, int(started[0]) if started else 0, *about)).lastrowid,)
    # Numbers of facets are good for this transaction only: `prune` of another process may remove unused ones.
    numbers: dict[Facet, int | None] = {}
    for entry in entries:
        if entry.facet not in numbers:
            numbers[entry.facet] = facet_number(connection, entry.facet)
    rows = [(entry.id, row[0], numbers[entry.facet], *entry.values) for entry in entries]
    return max(connection.executemany(_NEW_CALL, rows).rowcount, 0)


def facet_number(connection: sqlite3.Connection, facet: Facet) -> int | None:
    """The number of a facet, which is good for this transaction only; a new one is stored."""
    found = connection.execute(_FACET, facet).fetchone()
    return found[0] if found else connection.execute(_NEW_FACET, facet).lastrowid


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Generator[None, None, None]:
    """A transaction that takes the lock at once, and is undone by whatever ends it early."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:  # also an interrupt: undone, and raised again
        with contextlib.suppress(sqlite3.Error):  # a full disk has rolled it back already
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def abandoned(segment: BinaryIO) -> bool:
    """Whether the segment's writer is gone; then this process holds the lock until it closes the file."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(segment, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def sent(path: Path) -> int:
    """Up to which byte the segment's endpoint has taken it, as the worker notes beside it."""
    try:
        return int(path.with_suffix(".sent").read_bytes())
    except (OSError, ValueError):
        return 0


def _remove(connection: sqlite3.Connection, before: int | None, limit: int) -> int:
    """Removes the oldest calls, at most `limit` of them; how many. What reports cover begins after them."""
    (oldest,) = connection.execute("SELECT min(start) FROM calls").fetchone()
    if oldest is None or (before is not None and oldest >= before):
        return 0  # the usual case takes no lock
    with transaction(connection):
        rows = connection.execute(
            "SELECT rowid, start FROM calls WHERE start < ? ORDER BY start LIMIT ?",
            (_FOREVER if before is None else before, limit),
        ).fetchall()
        connection.executemany("DELETE FROM calls WHERE rowid = ?", [row[:1] for row in rows])
        if rows:
            _cover(connection, rows[-1][1] + 1 if before is None else before)
    return len(rows)


def _cover(connection: sqlite3.Connection, since: int) -> None:
    """Notes from when on all calls are there."""
    connection.execute(
        "INSERT INTO facts VALUES ('covers_since', ?)"
        " ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)",
        (since,),
    )


def delete(connection: sqlite3.Connection, condition: str, values: Sequence[Any], since: int | None) -> int:
    """Removes some of the calls for which `condition` is true; how many. Reports cover what began after `since`."""
    with transaction(connection):
        which = f"SELECT rowid FROM calls WHERE {condition} LIMIT {_DELETE}"  # noqa: S608
        count = connection.execute(f"DELETE FROM calls WHERE rowid IN ({which})", values).rowcount  # noqa: S608
        if count and since is not None:
            _cover(connection, since)
    return count


def sweep(connection: sqlite3.Connection, journal: Path) -> None:
    """Removes what no call refers to any more, and gives the free pages back to the file system."""
    with transaction(connection):
        connection.execute("DELETE FROM facets WHERE NOT EXISTS (SELECT 1 FROM calls WHERE facet = facets.id)")
        names = connection.execute(
            "SELECT name FROM segments WHERE NOT EXISTS (SELECT 1 FROM calls WHERE segment = segments.id)"
        ).fetchall()
        # The offset of a segment that is still there must stay, or its lines would come in again.
        gone = [name for name in names if not (journal / name[0]).exists()]
        connection.executemany("DELETE FROM segments WHERE name = ?", gone)
    connection.executescript("PRAGMA incremental_vacuum")  # execute() would stop after one page
