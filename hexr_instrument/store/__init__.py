"""The local store: finished calls from the journal's segments, in one SQLite file that many processes share.

Connections are opened for one task and closed again: a fork inherits none, and a file that was moved away is
made anew.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timezone, tzinfo
from pathlib import Path
from typing import Any

from ..call import number
from ..journal import header_of
from ..journal import lines as whole_lines
from .file import DATABASE, SCHEMA, StoreError, StoreUnwritableError, check, reading, writing
from .filter import COLUMNS, FOREVER, STATUSES, TIMES, Filter
from .lines import Facet
from .purge import Purged, purge
from .query import costs
from .records import Record, amounts, later, newest, records
from .reprice import Change, Pricing, reprice
from .rows import Row, fold
from .timeline import Point, latencies, timeline
from .waiting import Waiting, waiting
from .write import prune, take_in, take_in_all

__all__ = [
    "COLUMNS",
    "DATABASE",
    "FOREVER",
    "STATUSES",
    "TIMES",
    "Change",
    "Facet",
    "Filter",
    "Point",
    "Pricing",
    "Purged",
    "Record",
    "Row",
    "State",
    "Store",
    "StoreError",
    "StoreUnwritableError",
    "Waiting",
    "fold",
]

KEEP_SECONDS = 90 * 86400
KEEP_BYTES = 1 << 30
"""How long and how much the store keeps, where nobody says otherwise."""


@dataclass(frozen=True, slots=True)
class State:
    """What is to be known about a store beside its calls."""

    covers_since: int | None = None
    """Calls that started before this time (ns since the epoch) were removed; None if none ever were."""
    skipped: int = 0
    """Damaged journal lines that were passed over."""
    prices: tuple[str, ...] = ()
    """The price tables by which the calls were priced."""
    newer: bool = False
    """Whether a newer hexr-instrument has changed the file: it can be read, and takes nothing in."""


class Store:
    """The calls under one directory: `hexr.db` and, waiting to be taken in, `journal/*.jsonl`.

    Nothing is opened or made before the first call of a method. Every method may raise StoreError.
    """

    def __init__(self, directory: Path | str) -> None:
        """Names the directory; it need not exist."""
        self.directory = Path(directory).absolute()
        self.path = self.directory / DATABASE
        self.journal = self.directory / "journal"

    # -- taking in

    def ingest(self, segment_path: Path | str) -> int:
        """Takes in the whole lines of a segment that were not taken in before.

        A torn last line is left for later. A segment that is gone counts as empty, as does one whose header
        says that its calls are not to be kept.

        Returns:
            How many calls are new in the store.

        Raises:
            StoreUnwritableError: the store cannot take calls in; they stay in the journal.
            StoreError: the store is damaged or not ours; calls stay in the journal.
        """
        return take_in(self.path, Path(segment_path))

    def ingest_all(self) -> int:
        """Takes in every segment of the journal, and removes those that are in the store and have no writer.

        A segment that is meant for an endpoint is removed only if its `.sent` file says that it went there.

        Returns:
            How many calls are new in the store.

        Raises:
            StoreUnwritableError: as for `ingest`.
            StoreError: as for `ingest`.
        """
        check(self.path)
        try:
            paths = sorted(self.journal.glob("*.jsonl"))
        except OSError as error:
            raise StoreError(f"cannot read {self.journal} ({error.strerror}); make it readable for you") from error
        if not paths:
            return 0
        # How long is for the program to say that recorded: whoever reads may have another HEXR_KEEP, or none.
        keep = max((number(header_of(path), "keep_for") or 0 for path in paths), default=0)
        taken = take_in_all(self.path, paths)
        if taken and keep:
            self.prune(keep)
        return taken

    def waiting(self) -> int:
        """How many calls wait in the journal for an endpoint, and are not to be kept here."""
        found = 0
        for path in self.journal.glob("*.jsonl"):
            header = header_of(path)
            if header is not None and header.get("keep") is False:
                found += sum(record.get("kind") == "call" for record in whole_lines(path)[0])
        return found

    def backlog(self) -> list[Waiting]:
        """What waits in the journal, for each destination, the store itself among them.

        Raises:
            StoreError: the store or the journal cannot be read.
        """
        with reading(self.path) as connection:
            offsets = connection.execute("SELECT name, offset FROM segments") if connection else ()
            return waiting(self.journal, dict(offsets))

    def prune(self, keep_seconds: float = KEEP_SECONDS, keep_bytes: int = KEEP_BYTES) -> int:
        """Removes calls older than `keep_seconds`, and the oldest others until the file fits in `keep_bytes`.

        Returns:
            How many calls were removed; `state().covers_since` says from when on all calls are there.

        Raises:
            StoreError: as for `ingest`.
        """
        if not (check(self.path) and self.path.exists()):  # nothing was ever stored
            return 0
        return prune(self.path, self.journal, keep_seconds, keep_bytes)

    def purge(self, tenants: Sequence[str] = (), before: int | None = None) -> Purged:
        """Removes calls for good, here and in the journal.

        Args:
            tenants: Only calls of these tenants; an empty name is a call without one. All if there are none.
            before: Only calls that started before this time, in nanoseconds since the epoch.

        Raises:
            StoreError: as for `ingest`.
        """
        self.ingest_all()
        if not (check(self.path) and (self.path.exists() or self.journal.is_dir())):  # nothing was ever recorded
            return Purged()
        return purge(self.path, self.journal, tuple(tenants), before)

    # -- asking

    def costs(
        self,
        by: Sequence[str] = ("agent", "tenant", "role", "model"),
        only: Filter | None = None,
        *,
        zone: tzinfo = timezone.utc,
    ) -> list[Row]:
        """The sums of calls in groups, the most expensive first, ties by name.

        Args:
            by: Names from `COLUMNS`, of labels, or of resource attributes. `model` is the model as served, or
                as requested where that is unknown.
            only: Which calls count; all by default.
            zone: Where `day` begins and ends.

        Returns:
            One row for each group; amounts in 1e-12 USD. Empty if nothing was recorded.

        Raises:
            StoreError: the store cannot be read.
        """
        with reading(self.path) as connection:
            return costs(connection, by, only or Filter(), zone) if connection else []

    def calls(self, limit: int = 20, only: Filter | None = None) -> list[Record]:
        """The newest calls, the newest first.

        Args:
            limit: How many at most.
            only: Which calls count; all by default.

        Raises:
            StoreError: the store cannot be read.
        """
        with reading(self.path) as connection:
            return records(connection, limit, only or Filter()) if connection else []

    def later(self, mark: str | None, only: Filter | None = None) -> tuple[list[Record], str | None]:
        """The calls that were taken in after another one, in the order in which they were, and the mark for what follows.

        Args:
            mark: The id of that call, as this method gave it; None for all that is there.
            only: Which calls count; all by default.

        Raises:
            StoreError: the store cannot be read.
        """
        with reading(self.path) as connection:
            if connection is None:
                return [], None
            last = newest(connection)
            return ([] if last == mark else later(connection, mark, only or Filter())), last

    def timeline(self, only: Filter, step: int) -> list[Point]:
        """The sums of each step of time that has calls, in order.

        Args:
            only: Which calls count, by time and by what calls have in common: no run, label or mismatch.
            step: The length of a step in nanoseconds, counted from the epoch; days are the quickest.

        Raises:
            StoreError: the store cannot be read.
        """
        with reading(self.path) as connection:
            return list(timeline(connection, only, step)) if connection else []

    def latencies(self, only: Filter, step: int) -> dict[int, array[int]]:
        """For the start of each step of time, how long the calls that succeeded took; nanoseconds, in no order.

        Args:
            only: As for `timeline`.
            step: As for `timeline`.

        Raises:
            StoreError: the store cannot be read.
        """
        with reading(self.path) as connection:
            return latencies(connection, only, step) if connection else {}

    def mismatched(self, only: Filter | None = None) -> int:
        """How many calls have counts that do not add up to the provider's own total.

        Raises:
            StoreError: the store cannot be read.
        """
        return sum(row.calls for row in self.costs((), replace(only or Filter(), mismatched=True)))

    def each(self, only: Filter | None = None, *names: str) -> Iterator[tuple[Any, ...]]:
        """Every call, one by one and in no order, however many there are: rowid, facet, then the named columns.

        Args:
            only: Which calls count; all by default.
            names: Columns of `calls`, such as `cost`, `duration` or `input`.

        Raises:
            StoreError: the store cannot be read.
        """
        with reading(self.path) as connection:
            if connection:
                yield from amounts(connection, only or Filter(), *names)

    def reprice(self, only: Filter, pricing: Pricing, *, everything: bool, table: str, apply: bool) -> list[Change]:
        """Prices calls anew: those that have usage and no price, or all whose cost the provider did not state.

        Args:
            only: Which calls count.
            pricing: What a call costs now.
            everything: Whether calls that have a price get the new one.
            table: The price table's version, kept with each call that changes.
            apply: Whether the store is changed; otherwise nothing is written.

        Returns:
            What changes (or has changed), by provider and model.

        Raises:
            StoreUnwritableError: the store cannot be changed.
            StoreError: the store cannot be read.
        """
        if not (check(self.path) and self.path.exists()):
            return []
        with (writing if apply else reading)(self.path) as connection:
            if connection is None:
                return []
            return reprice(connection, only, pricing, everything=everything, table=table, apply=apply)

    def state(self) -> State:
        """What the store covers, what it passed over, and the price tables in it.

        Raises:
            StoreError: the store cannot be read.
        """
        with reading(self.path) as connection:
            if connection is None:
                return State()
            covers = connection.execute("SELECT value FROM facts WHERE name = 'covers_since'").fetchone()
            (skipped,) = connection.execute("SELECT coalesce(sum(skipped), 0) FROM segments").fetchone()
            prices = connection.execute("SELECT DISTINCT prices FROM segments WHERE prices IS NOT NULL ORDER BY 1")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            since = covers[0] if covers else None
            return State(since, skipped, tuple(row[0] for row in prices), version > SCHEMA)
