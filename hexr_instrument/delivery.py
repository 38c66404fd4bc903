"""From the journal to the endpoint: this process's own calls, and those that processes which are gone left behind.

Only the worker's thread works here; what others may look at is said so. What is not delivered stays on disk.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from . import health, outbox
from .config import Config
from .guard import guarded, say
from .intake import Intake
from .journal import Journal, Segment, header_of, read

if TYPE_CHECKING:
    from .export import Exporter, Outcome

BATCH = 512
"""Records of one export request."""
RETRY_SECONDS = 5.0, 60.0
"""The first and the longest pause after a delivery that failed; each failure in a row doubles it."""
LONGEST_WAIT = 300.0
"""What a backend may ask for (`Retry-After`), in seconds."""
ORPHAN_SECONDS = 30.0
"""How often a process looks for calls that others left behind."""
ORPHANS = 10
"""How many of their segments it delivers before it looks after its own again."""


class Delivery:
    """Delivery of one process."""

    def __init__(
        self,
        config: Config,
        journal: Journal,
        intake: Intake,
        spans: deque[Any],
        loading: threading.Lock,
        stopping: Callable[[], bool],
    ) -> None:
        """Loads nothing yet.

        Args:
            config: What the environment says.
            journal: Where the records are.
            intake: Takes to the store what is kept.
            spans: Finished spans of the program's own.
            loading: Held while this imports; see `Worker`.
            stopping: Whether the process ends, so that nothing waits for a better moment.
        """
        self._config = config
        self._journal = journal
        self._intake = intake
        self._spans = spans
        self._loading = loading
        self._stopping = stopping
        self._jitter = Random()  # noqa: S311  (the program's own `random` is left alone)
        self._exporter: Exporter | None = None
        self.aside = outbox.Aside(journal.directory, config.events_destination)
        self.loaded = threading.Event()
        """Set once the exporters' imports are over; anybody may wait for it."""
        self.begun = self.attempted = self.failures = 0
        """Attempts so far, those that have ended, and those that failed since the last that did not."""
        self.retry_at = self.not_before = 0.0
        """When to try again after a failure; when the backend, which asked for time, may be asked again."""
        self.orphans_at = 0.0
        """When to look next for what others left behind."""
        self._position: tuple[Path, int] | None = None
        self._left: list[Path] = []
        """Closed segments of this process that wait for whichever worker comes next."""
        self._lost: dict[str, int] = {}

    # -- what anybody may ask

    def waits(self) -> bool:
        """Whether anything of this process is still to be delivered, by whichever process."""
        self._left = [path for path in self._left if path.exists()]
        return bool(self._left) or self.behind()

    def behind(self) -> bool:
        """Whether this process itself has something to deliver."""
        segment = self._journal.segment
        if self.unwritten():
            return True
        if segment is None:
            return False
        return self._position is None or self._position[0] != segment.path or self._position[1] < segment.size

    def unwritten(self) -> bool:
        """Whether something waits in memory alone."""
        return bool(self._spans or self._journal.memory)

    def failed_since(self, begun: int) -> bool:
        """Whether an attempt later than the `begun`-th has failed, or the backend asked for time."""
        return (self.attempted > begun and self.failures > 0) or time.monotonic() < self.not_before

    # -- sending

    def load(self) -> None:
        """Loads the OpenTelemetry SDK, makes the exporters, and takes up work in this thread."""
        loaded = self.loaded
        try:
            with self._loading:
                from .export import Exporter  # noqa: PLC0415  (the OTel SDK is loaded in this thread)

                if self._exporter is None:
                    self._exporter = Exporter(self._config)
                self._exporter.begin()
        finally:
            loaded.set()

    def quiet(self) -> None:
        """Keeps what the exporters log in this thread out of the program's log."""
        if self._exporter is not None:
            self._exporter.quiet()

    def send(self) -> None:
        """Sends what there is, if it is time to."""
        now = time.monotonic()
        if now < self.not_before or (now < self.retry_at and not self._stopping()):
            self.look_after(deliver=False)
            return
        if self._exporter is None:
            self.load()
        self.begun += 1
        delivered = self._send_spans() and self._send_own() and self._send_memory()
        if delivered and (self.failures or self.begun == 1):
            outbox.note_answer(self._journal.directory, self._config.destination)
        self.look_after(deliver=delivered)
        self.failures = 0 if delivered else self.failures + 1
        first, longest = RETRY_SECONDS
        pause = min(longest, first * 2 ** min(self.failures, 10) / 2) * self._jitter.uniform(0.8, 1.2)
        self.retry_at = 0.0 if delivered else time.monotonic() + pause
        self.attempted = self.begun
        self._note_lost()

    def _took(self, outcome: Outcome, header: Mapping[str, Any] | None = None) -> bool:
        """Whether nothing of a batch has to wait here; what is lost is counted, events that wait are put aside."""
        if outcome.aside and not self.aside.keep(outcome.aside, header or {"v": outbox.VERSION, "kind": "segment"}):
            outcome.lose("events: cannot be kept", len(outcome.aside))
        for reason, count in outcome.lost.items():
            self._lost[reason] = self._lost.get(reason, 0) + count
        if outcome.wait:
            self.not_before = time.monotonic() + min(LONGEST_WAIT, outcome.wait)
        return outcome.delivered

    def _note_lost(self) -> None:
        for reason, count in self._lost.items():
            health.note(self._config.store, "refused", reason, count, destination=self._config.destination)
            if reason != "partial success":
                what = "events" if reason.startswith("events") else "calls"
                say(f"the endpoint refuses {what} ({reason}); they are dropped. See `hexr-instrument doctor`")
        self._lost.clear()

    def _send_spans(self) -> bool:
        exporter = self._exporter
        while exporter is not None and self._spans:
            batch = [self._spans.popleft() for _ in range(min(BATCH, len(self._spans)))]
            if not self._took(exporter.spans(batch)):
                self._spans.extendleft(reversed(batch))
                return False
        return True

    def _send_memory(self) -> bool:
        exporter, memory = self._exporter, self._journal.memory
        while exporter is not None and memory:
            batch = [memory.popleft() for _ in range(min(BATCH, len(memory)))]
            if not self._took(exporter.records(batch, None)):
                memory.extendleft(reversed(batch))
                return False
        return True

    def _send_own(self) -> bool:
        segment = self._journal.segment
        if segment is None:
            return True
        if self._position is None or self._position[0] != segment.path:
            self._position = (segment.path, 0)
        sent, delivered = self._send(segment.path, self._position[1])
        self._position = (segment.path, sent)
        if self._journal.full and (ended := self._journal.rotate()):
            if delivered:
                self._retire(ended)
            else:
                ended.close()  # it waits with the others, and is bounded with them
        return delivered

    def _send(self, path: Path, offset: int, *, events: bool = False) -> tuple[int, bool]:
        """Exports a segment's records from `offset` on, or their events alone.

        Returns:
            The offset behind the last one that needs not wait, and whether that is all that was there.
        """
        exporter = self._exporter
        header = header_of(path)
        while exporter is not None:
            try:
                batch, end, damaged = read(path, offset, 1 << 20)
            except FileNotFoundError:  # removed by somebody: there is nothing left to send
                break
            if end == offset:
                break
            for at in range(0, len(batch), BATCH):
                send = exporter.events if events else exporter.records
                if not self._took(send(batch[at : at + BATCH], header), header):
                    return offset, False
            offset = end
            with contextlib.suppress(OSError):  # a full disk: what was sent twice has the same ids
                outbox.mark(path, offset)
            own = self._journal.segment
            if damaged and not (own is not None and own.path == path and own.tore):  # then memory has the call
                self._note_damaged(damaged)
        return offset, True

    # -- what others left behind

    def look_after(self, *, deliver: bool) -> None:
        """Delivers what processes that are gone left behind for this same endpoint; bounds what waits."""
        if time.monotonic() < self.orphans_at and not self._stopping():
            return
        self.orphans_at = time.monotonic() + ORPHAN_SECONDS
        guarded(outbox.bound, self._config.store, self._journal.directory, self._intake.segment)
        if not deliver:
            return
        self._look_after_events()
        for number, (path, kept) in enumerate(outbox.closed(self._journal.directory, self._config.destination)):
            if number == ORPHANS and not self._stopping():
                self.orphans_at = 0.0
                return
            sent, delivered = self._send(path, outbox.taken(path))
            if not delivered:
                return
            if sent < path.stat().st_size:  # its writer ended in the middle of a line
                self._note_damaged(1)
            self._remove(path, keep=kept)

    def _look_after_events(self) -> None:
        """Delivers the events that had to wait when their spans were taken."""
        self.aside.close()
        if self._config.events_destination is not None:
            for path, _ in outbox.closed(self._journal.directory, self._config.events_destination):
                if not self._send(path, outbox.taken(path), events=True)[1]:
                    return
                outbox.remove(path)

    def _note_damaged(self, lines: int) -> None:
        health.note(
            self._config.store, "dropped", "damaged line in the journal", lines, destination=self._config.destination
        )

    # -- ends

    def _retire(self, segment: Segment) -> None:
        if self._send(segment.path, outbox.taken(segment.path))[1]:
            self._remove(segment.path, keep=self._config.keep)
        segment.close()

    def _remove(self, path: Path, *, keep: bool) -> None:
        if not keep or self._intake.segment(path):
            outbox.remove(path)

    def leave(self) -> None:
        """Ends this process's segment: what it holds waits for whichever worker comes next."""
        if (ended := self._journal.rotate()) is not None:
            ended.close()
            self._left.append(ended.path)
            self.orphans_at = 0.0

    def put_away(self) -> None:
        """Removes this process's segment if every record of it was delivered."""
        segment = self._journal.segment
        if segment is not None and not self.behind():
            self._journal.rotate()
            self._remove(segment.path, keep=self._config.keep)
            segment.close()
        self.aside.close()

    def rest(self) -> None:
        """Gives up this thread, and what would run or hold on without it; `load` takes up work again."""
        if self._exporter is not None:
            self._exporter.rest()

    def shutdown(self) -> None:
        """Ends the exporters."""
        if self._exporter is not None:
            self._exporter.shutdown()
