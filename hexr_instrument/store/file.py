"""The store's SQLite file: its schema and versions, its owner and modes, and what its errors mean."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Generator, Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: no promise that two processes may make a store at the same moment
    fcntl = None

from .. import forks, private
from .lines import MISMATCH, TOKEN_FIELDS, Facet

DATABASE = "hexr.db"
"""The file's name in the store's directory."""
SCHEMA = 1
"""`PRAGMA user_version` of the files that this module writes."""
APPLICATION = 0x68657872
"""`PRAGMA application_id`: "hexr"."""
_BUSY = 30
"""Seconds to wait for another process that is writing."""
# ruff: noqa: S608  (the only names in this SQL are ours)
_TABLES = f"""
CREATE TABLE facets (
    id INTEGER PRIMARY KEY,
    agent TEXT, tenant TEXT, role TEXT, provider TEXT, requested TEXT, served TEXT, operation TEXT,
    cost_status TEXT NOT NULL, cost_source TEXT, error TEXT
);
CREATE INDEX facets_all ON facets ({", ".join(Facet._fields)});
CREATE TABLE segments (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE, started INTEGER NOT NULL, offset INTEGER NOT NULL, skipped INTEGER NOT NULL,
    run TEXT, service TEXT, resource TEXT, prices TEXT
);
CREATE TABLE calls (
    id BLOB PRIMARY KEY NOT NULL, trace BLOB, parent BLOB, sampled INTEGER,
    segment INTEGER NOT NULL, facet INTEGER NOT NULL,
    start INTEGER NOT NULL, duration INTEGER, first_chunk INTEGER,
    cost INTEGER, input INTEGER, output INTEGER, cache_read INTEGER, cache_write INTEGER, reasoning INTEGER,
    usage TEXT, labels TEXT, finish TEXT, response TEXT, status INTEGER, stream INTEGER
);
CREATE INDEX calls_start ON calls (start);
CREATE INDEX calls_segment ON calls (segment);
CREATE INDEX calls_costs ON calls (facet, start, cost, input, output, cache_read, cache_write, reasoning);
CREATE TABLE facts (name TEXT PRIMARY KEY NOT NULL, value INTEGER NOT NULL);
CREATE VIEW records AS SELECT
    lower(hex(calls.id)) AS id, lower(hex(trace)) AS trace, lower(hex(parent)) AS parent, sampled,
    run, service, resource, prices,
    agent, tenant, role, provider, coalesce(served, requested) AS model, requested, served, operation,
    start, duration, first_chunk, cost, cost / 1e12 AS cost_usd, cost_status, cost_source, error, status,
    input, output, cache_read, cache_write, reasoning, usage, labels, finish, response, stream
    FROM calls JOIN facets ON facets.id = facet LEFT JOIN segments ON segments.id = segment;
"""
"""What calls have in common is stored once, in `facets`: a report reads a narrow index and no text. `records`
is the flat view for people. Amounts are 1e-12 USD, times and durations nanoseconds."""


ADDED = {"tier": "TEXT", "bill": "TEXT", "repriced": "TEXT"}
"""Columns of `calls` that stores of earlier versions get when they are next written, and whose writers leave them out:
the tier that served, what else its price depends on (JSON: each sampling's usage, a surcharge), and the price table of
a call that was priced anew."""
SPLIT = 1_000_000_000
"""Costs are summed as quotients and remainders of this: the sum itself passes 64 bits at 9.2 million USD."""
DAY = 86_400_000_000_000
_DAILY = ("calls", "covered", "cost_quotient", "cost_remainder", *TOKEN_FIELDS)


def _share(row: str) -> tuple[str, ...]:
    """What one call adds to the columns of `_DAILY`; `row` is `new.`, `old.` or nothing."""
    cost = f"coalesce({row}cost, 0)"
    counts = (f"coalesce({row}{name}, 0)" for name in TOKEN_FIELDS)
    return ("1", f"{row}cost IS NOT NULL", f"{cost} / {SPLIT}", f"{cost} % {SPLIT}", *counts)


def _trigger(name: str, event: str, *steps: str) -> str:
    return f"CREATE TRIGGER {name} AFTER {event} ON calls BEGIN {' '.join(f'{step};' for step in steps)} END;"


_PLUS = (
    f"INSERT INTO daily (facet, day, first, {', '.join(_DAILY)})"
    f" VALUES (new.facet, new.start / {DAY}, new.start, {', '.join(_share('new.'))}) ON CONFLICT (facet, day) DO UPDATE"
    f" SET first = min(first, excluded.first), {', '.join(f'{name} = {name} + excluded.{name}' for name in _DAILY)}"
)
_AT = f"WHERE facet = old.facet AND day = old.start / {DAY}"
_LESS = ", ".join(f"{name} = {name} - {each}" for name, each in zip(_DAILY, _share("old."), strict=True))
_MINUS = (f"UPDATE daily SET {_LESS} {_AT}", f"DELETE FROM daily {_AT} AND calls = 0")
_ADDITIONS = f"""
CREATE INDEX IF NOT EXISTS calls_mismatched ON calls (facet, start) WHERE instr(usage, '{MISMATCH}') > 0;
CREATE TABLE daily (
    facet INTEGER NOT NULL, day INTEGER NOT NULL, first INTEGER NOT NULL,
    {", ".join(f"{name} INTEGER NOT NULL" for name in _DAILY)}, PRIMARY KEY (facet, day)
) WITHOUT ROWID;
INSERT INTO daily (facet, day, first, {", ".join(_DAILY)})
    SELECT facet, start / {DAY}, min(start), {", ".join(f"sum({each})" for each in _share(""))} FROM calls GROUP BY 1, 2;
{_trigger("daily_insert", "INSERT", _PLUS)}
{_trigger("daily_delete", "DELETE", *_MINUS)}
{_trigger("daily_update", "UPDATE OF facet, start, cost", *_MINUS, _PLUS)}
"""
"""An index that finds the few calls whose counts do not add up, and the sums of each facet and UTC day, kept by
triggers: whichever version of us writes a call, they are right."""


class StoreError(Exception):
    """The store cannot be used; the message is one line that names the file and what to do."""


class StoreUnwritableError(StoreError):
    """The store cannot take calls in now (read-only, full, newer, busy); what is there may be readable."""


@contextlib.contextmanager
def writing(path: Path) -> Generator[sqlite3.Connection, None, None]:
    """A connection in autocommit mode; directory, file and tables are made where they are missing.

    Raises:
        StoreUnwritableError: the store is read-only, full, busy, or of a newer version.
        StoreError: the store is damaged, or not ours, or this process cannot use it since its fork.
    """
    with _gate(path), _writing(path) as connection:
        yield connection


@contextlib.contextmanager
def _writing(path: Path) -> Generator[sqlite3.Connection, None, None]:
    connection = None
    try:
        check(path)
        private.make(path.parent)
        connection = _create(path) if not os.path.lexists(path) else _connect(path, "mode=rw")
        if _version(connection, path) == 0:
            connection.close()
            connection = _create(path)
        if (version := _version(connection, path)) > SCHEMA:
            raise StoreUnwritableError(
                f"{path} was written by a newer hexr-instrument (schema {version}, this one knows {SCHEMA});"
                " upgrade hexr-instrument to take calls in"
            )
        connection.execute("PRAGMA synchronous = NORMAL")
        _complete(connection)
        connection.execute("PRAGMA journal_size_limit = 4194304")
        yield connection
    except (sqlite3.Error, OSError) as error:
        raise _explained(path, error) from error
    finally:
        if connection is not None:
            connection.close()


@contextlib.contextmanager
def reading(path: Path) -> Generator[sqlite3.Connection | None, None, None]:
    """A connection that sees one state of the store and changes nothing, or None if nothing was ever stored.

    Raises:
        StoreError: the store is damaged, or not ours, or cannot be read, or this process cannot use it since its fork.
    """
    with _gate(path), _reading(path) as connection:
        yield connection


@contextlib.contextmanager
def _reading(path: Path) -> Generator[sqlite3.Connection | None, None, None]:
    connection = None
    try:
        if check(path) and os.path.lexists(path):
            connection = _connect_to_read(path)
            if _version(connection, path) == 0:
                connection.close()
                connection = None
        if connection is not None:
            connection.execute("PRAGMA query_only = 1")
            connection.execute("BEGIN")
        yield connection
    except (sqlite3.Error, OSError) as error:
        raise _explained(path, error) from error
    finally:
        if connection is not None:
            connection.close()


def _gate(path: Path) -> forks.Gate:
    if forks.database.spoiled:
        raise StoreUnwritableError(
            f"{path} was in use when this process was forked, and SQLite cannot be used here since; another process can"
        )
    return forks.database


def check(path: Path) -> bool:
    """Whether the store's directory is there, and it and the file are this user's own.

    Raises:
        StoreError: one of them is a symbolic link, of another kind, belongs to somebody else, or is open to all.
    """
    mend = "; set HEXR_STORE to a directory of your own"
    for each, kind in ((path.parent, "directory"), (path, "file")):
        try:
            why = private.fault(each, kind)
        except OSError as error:
            raise StoreError(f"{each} cannot be reached ({error.strerror}){mend}") from error
        if why is not None:
            raise StoreError(f"{each} {why}{mend}")
        if not os.path.lexists(each):
            return each is path
    return True


def columns(connection: sqlite3.Connection) -> frozenset[str]:
    """The columns that this store's calls have: one that was last written by an earlier version has fewer."""
    return frozenset(row[1] for row in connection.execute("PRAGMA table_info(calls)"))


def used(connection: sqlite3.Connection) -> int:
    """The bytes of the file that hold something."""
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size


def _connect(path: Path, how: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.as_uri()}?{how}", uri=True, timeout=_BUSY, isolation_level=None)


def _connect_to_read(path: Path) -> sqlite3.Connection:
    """Where nothing can be written, SQLite has no place for its -shm file and must be told to do without."""
    connection = _connect(path, "mode=rw")
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        connection.close()
        if not _denied(str(error)):
            raise
        connection = _connect(path, "immutable=1")
    return connection


def _create(path: Path) -> sqlite3.Connection:
    """Makes the file and its tables; one process does, the others wait and find them made."""
    with _alone(path.parent):
        # SQLite gives -wal and -shm the mode of the file, so the mode must be right before SQLite sees it.
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            path.chmod(0o600)
        connection = _connect(path, "mode=rw")
        try:
            if _version(connection, path) == 0:
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
                connection.execute("PRAGMA journal_mode = WAL")
                marks = f"PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {SCHEMA};"
                connection.executescript(f"BEGIN IMMEDIATE; {_TABLES} {marks} COMMIT;")
        except BaseException:  # whatever ends the set-up, the file is given up, and it is raised again
            connection.close()
            raise
        return connection


def _complete(connection: sqlite3.Connection) -> None:
    """Adds what a store of an earlier version lacks; that version goes on reading and writing it."""
    if columns(connection) >= ADDED.keys():
        return
    connection.execute("BEGIN IMMEDIATE")
    lacking = False  # another process may have been quicker
    for name in ADDED.keys() - columns(connection):
        connection.execute(f"ALTER TABLE calls ADD COLUMN {name} {ADDED[name]}")
        lacking = True
    if lacking:
        for statement in _statements(_ADDITIONS):
            connection.execute(statement)
    connection.execute("COMMIT")


def _statements(script: str) -> Iterator[str]:
    """The statements of a script one by one: `executescript` would commit first."""
    statement = ""
    for part in script.split(";"):
        statement += part + ";"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


@contextlib.contextmanager
def _alone(directory: Path) -> Generator[None, None, None]:
    """Holds the directory's lock."""
    if fcntl is None:
        yield
        return
    number = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(number, fcntl.LOCK_EX)
        yield
    finally:
        os.close(number)


def _version(connection: sqlite3.Connection, path: Path) -> int:
    """The schema's version; 0 for an empty file.

    Raises:
        StoreError: the file is some other program's.
    """
    # One statement sees one state: another process may be making the tables at this moment.
    tables, version, application = connection.execute(
        "SELECT (SELECT count(*) FROM sqlite_master), user_version, application_id"
        " FROM pragma_user_version, pragma_application_id"
    ).fetchone()
    if tables and (application != APPLICATION or version < 1):
        raise StoreError(f"{path} is a database of another program; move it away or set HEXR_STORE elsewhere")
    return version if tables else 0


def _denied(message: str) -> bool:
    return "unable to open" in message or "readonly" in message or "read-only" in message


def _explained(path: Path, error: sqlite3.Error | OSError) -> StoreError:
    """One line: what is wrong and what to do. Python 3.10 gives no error codes, only SQLite's words."""
    said = error.strerror or str(error) if isinstance(error, OSError) else str(error)
    words = said.lower()
    if "not a database" in words or "malformed" in words:
        return StoreError(
            f"{path} is damaged or no store ({said}); move it away: a new one is made,"
            " and calls that wait in the journal come in again"
        )
    if "full" in words or "no space" in words or "quota" in words or "i/o error" in words or "too large" in words:
        return StoreUnwritableError(
            f"{path} cannot be written ({said}); make room on the disk: calls wait in the journal"
        )
    if "locked" in words or "busy" in words:
        return StoreUnwritableError(
            f"{path} is in use by another process for more than {_BUSY} s ({said}); try again later"
        )
    if "no such" in words:
        return StoreError(f"{path} is not laid out as this hexr-instrument knows it ({said}); upgrade hexr-instrument")
    return StoreUnwritableError(
        f"{path} cannot be written ({said}); make {path.parent} writable for you or set HEXR_STORE elsewhere"
    )
