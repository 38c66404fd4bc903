"""From the journal to the local store: this process's own segment, and what was delivered and is kept."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from . import forks, outbox
from .config import Config
from .guard import say
from .journal import Journal

INGEST_BYTES = 256 << 10
"""Size of a segment at which a process without an endpoint takes it to the store; `costs` takes smaller ones."""
PRUNE_SECONDS = 3600


class Intake:
    """What the worker's thread brings to the store."""

    def __init__(self, config: Config, journal: Journal, loading: threading.Lock) -> None:
        """Opens nothing yet.

        Args:
            config: What the environment says.
            journal: Where the records are.
            loading: Held while this imports; see `Worker`.
        """
        self._config = config
        self._journal = journal
        self._loading = loading
        self._taken = 0
        """Bytes of the segment that are in the store."""
        self._refused = False
        self._pruned_at = 0.0

    def own(self) -> None:
        """Takes this process's segment in where it has grown enough, and does the store's housekeeping."""
        from .store import Store, StoreError  # noqa: PLC0415  (sqlite3 is loaded in this thread, when it is needed)

        segment = self._journal.segment
        if segment is None or self._refused or forks.database.spoiled or segment.size == self._taken:
            return  # where it is spoiled, another process takes in what this one leaves
        if not self._config.exports and segment.size - self._taken < INGEST_BYTES:
            return
        size = segment.size
        try:
            with self._loading:
                store = Store(self._config.store)
            store.ingest(segment.path)
            self._taken = size
            if time.monotonic() - self._pruned_at > PRUNE_SECONDS:
                self._pruned_at = time.monotonic()
                store.prune(int(self._config.keep_seconds))
                outbox.bound(self._config.store, self._journal.directory, self.segment)
            if not self._config.exports and self._journal.full and (ended := self._journal.rotate()):
                ended.close()
                self._taken = 0
                store.ingest_all()
        except StoreError as error:
            self._refused = True
            say(f"{error}; until then calls wait in {self._journal.directory}")

    def segment(self, path: Path) -> bool:
        """Takes a segment in; where the store cannot be written it stays, marked as far as it was sent."""
        from .store import Store, StoreError  # noqa: PLC0415  (sqlite3 is loaded in this thread)

        try:
            Store(self._config.store).ingest(path)
        except StoreError:
            return False
        return True
