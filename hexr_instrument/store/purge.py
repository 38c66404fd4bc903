"""Removing calls for good: from the tables, and from the journal's segments where nothing else is in them."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import owed
from ..call import text
from ..journal import header_of, lines
from .file import writing
from .write import abandoned, delete, open_segment, sent, sweep


@dataclass(slots=True)
class Purged:
    """What a purge did."""

    calls: int = 0
    """Removed from the store."""
    unsent: int = 0
    """Removed from the journal before their endpoint had them."""
    running: int = 0
    """Left in the journal of programs that still run; their files go when the programs end, and are not read again."""
    mixed: int = 0
    """Left in segments that wait for an endpoint and hold other calls too."""
    compacted: bool = True
    """Whether the file was rewritten without what was removed; if not, that is done by a later purge."""


def purge(database: Path, journal: Path, tenants: tuple[str, ...], before: int | None) -> Purged:
    """Removes calls; see `Store.purge`."""
    done = Purged()
    with writing(database) as connection:
        connection.execute("PRAGMA secure_delete = ON")
        conditions = ["start < ?"]
        values: list[Any] = [(1 << 63) - 1 if before is None else before]
        if tenants:
            conditions.append(f"facet IN (SELECT id FROM facets WHERE tenant IN ({', '.join('?' * len(tenants))})")  # noqa: S608
            conditions[-1] += " OR tenant IS NULL)" if "" in tenants else ")"
            values += tenants
        since = None if tenants else time.time_ns() if before is None else before
        while (count := delete(connection, " AND ".join(conditions), values, since)) > 0:
            done.calls += count
        for path in sorted(journal.glob("*.jsonl")):
            _segment(path, tenants, before, done)
        sweep(connection, journal)
        owed.purge(journal.parent, tenants, before)
        done.compacted = _compact(connection)
    return done


def _compact(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.OperationalError:  # somebody reads, or the disk has no room for a second copy
        return False
    return True


def _segment(path: Path, tenants: tuple[str, ...], before: int | None, done: Purged) -> None:
    """Removes a segment that holds nothing else than what is to go, or counts what is left in it."""
    header = header_of(path)
    with open_segment(path) as segment:
        if segment is None or header is None:
            return
        offset = sent(path)
        gone = unsent = others = 0
        for end, record in _calls(path):
            if _covered(record, tenants, before):
                gone += 1
                unsent += end > offset
            else:
                others += 1
        if not gone:
            return
        if not abandoned(segment):
            done.running += gone
        elif others:
            done.mixed += gone
        else:
            path.unlink(missing_ok=True)
            path.with_suffix(".sent").unlink(missing_ok=True)
            done.unsent += unsent if text(header, "destination") else 0


def _calls(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The calls of a segment, with the offset behind the piece of the file that each is in."""
    offset = 0
    while True:
        records, end = lines(path, offset)
        if end == offset:
            return
        offset = end
        for record in records:
            if record.get("kind") == "call":
                yield offset, record


def _covered(record: dict[str, Any], tenants: tuple[str, ...], before: int | None) -> bool:
    if tenants and (text(record, "tenant") or "") not in tenants:
        return False
    begun = record.get("start")
    return before is None or (type(begun) is int and begun < before)
