"""The one background thread: takes finished calls from the journal to the local store or to the exporters.

It starts with the first call that has somewhere to go and is made anew in a forked child. Correctness does not depend
on it: what it has not delivered is on disk, and the next process or the `costs` command takes it from there.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from queue import Empty, SimpleQueue
from random import Random
from typing import TYPE_CHECKING, Any

from . import exits, forks, health, outbox, signals
from .config import Config
from .guard import guarded, say
from .journal import Journal, Segment, header_of, read
from .metrics.queue import Queue

if TYPE_CHECKING:
    from .export import Exporter, Outcome

SEND_DELAY = 1.0
"""Seconds between two deliveries."""
BATCH = 512
"""Records of one export request."""
INGEST_BYTES = 256 << 10
"""Size of a segment at which a process without an endpoint takes it to the store; `costs` takes smaller ones."""
ROTATE_BYTES = 4 << 20
"""Size at which a segment gives way to a new one."""
RETRY_SECONDS = 5.0, 60.0
"""The first and the longest pause after a delivery that failed; each failure in a row doubles it."""
LONGEST_WAIT = 300.0
"""What a backend may ask for (`Retry-After`), in seconds."""
ORPHAN_SECONDS = 30.0
"""How often a process looks for calls that others left behind."""
ORPHANS = 10
"""How many of their segments it delivers before it looks after its own again."""
PRUNE_SECONDS = 3600
FORK_SHARE = 0.15
"""How long a fork may wait for what is being delivered, so that no thread of ours runs beside it: this part of what an
exit may take, 0.3 s of its 2."""


class Worker:
    """Delivery of one process."""

    def __init__(
        self, config: Config, journal: Journal, resource: Callable[[], Mapping[str, Any]] = dict[str, Any]
    ) -> None:
        """Starts nothing yet.

        Args:
            config: What the environment says.
            journal: Where the records are.
            resource: The resource's attributes, for the metrics of this process.
        """
        self._config = config
        self._journal = journal
        self._jitter = Random()  # noqa: S311  (the program's own `random` is left alone)
        self._loading = threading.Lock()
        """Held while the thread imports, or records on the program's own meter provider: a fork in the middle would
        leave the child with a lock that nobody gives back."""
        self._fork_held = False
        self.spans: deque[Any] = deque(maxlen=2048)
        """Finished spans of the lazy global provider: the program's own, beside our records."""
        self.metrics = Queue(config, resource, self._come)
        """What the metrics still have to count."""
        self.generation = 0
        """How many forks lie behind: what was begun in another generation is another process's to end."""
        self._fresh()
        if config.delivers:
            exits.watch(self, self._await_loading)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(before=self._before_fork, after_in_parent=self._forked, after_in_child=self._child)

    def _fresh(self) -> None:
        """The state of a process that has delivered nothing: its own locks, no thread, nothing inherited."""
        self._thread: threading.Thread | None = None
        self._asked: threading.Event | None = None
        """Set by the thread once it has decided whether it rests: a fork asks it to."""
        self._left: list[Path] = []
        """Closed segments of this process that wait for whichever worker comes next."""
        self._wake: SimpleQueue[None] = SimpleQueue()
        """Wakes the thread. Its `put` takes no lock that a signal handler could find taken."""
        self._delay = SEND_DELAY
        self._stopping = False
        self._ended = threading.Event()
        self._loaded = threading.Event()
        self._exit_by = 0.0
        self._start = threading.RLock()
        self._exporter: Exporter | None = None
        self._aside = outbox.Aside(self._journal.directory, self._config.events_destination)
        self._position: tuple[Path, int] | None = None
        self._failures = 0
        self._begun = self._attempted = 0
        self._retry_at = self._not_before = 0.0
        self._orphans_at = self._pruned_at = 0.0
        self._ingested: int = 0
        self._store_refused = False
        self._lost: dict[str, int] = {}
        self._flushes = self._flushed = 0
        """How often metrics were asked for before they are due, and how often they were sent then."""

    def notify(self, size: int) -> None:
        """Says that a record was appended; `size` is the segment's size in bytes, 0 for a record in memory."""
        if self._thread is None and (self._config.exports or size >= INGEST_BYTES):
            self._run()

    def submit(self, span: Any) -> None:
        """Takes a finished span of the program's own; the oldest give way where too many wait."""
        self.spans.append(span)
        if self._thread is None:
            self._run()

    def _come(self, at_once: bool) -> None:  # noqa: FBT001  (what the queue of metrics asks)
        """Has the thread run, started if need be."""
        if self._thread is None:
            self._run()
        elif not at_once:
            return
        self._wake.put(None)

    def _meter(self) -> None:
        """Sends the metrics that are due; those of a thread that is about to end are."""
        wanted = self._flushes
        if self._exporter is not None and self._config.metrics:
            self._exporter.quiet()
        now = wanted > self._flushed or self._stopping or self._asked is not None
        for reason, count in (guarded(self.metrics.send, now=now) or {}).items():
            health.note(self._config.store, "metrics", reason, count)
        self._flushed = wanted

    def _run(self) -> None:
        with self._start:
            if self._thread is None and not self._stopping:
                thread = threading.Thread(target=self._loop, name="hexr-worker", daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # no threads here (subinterpreter, exit, limit): the disk keeps the calls
                    return
                self._thread = thread
                if self._config.delivers:
                    guarded(signals.watch)

    def _loop(self) -> None:
        ended, wake = self._ended, self._wake
        if self._config.delivers:
            guarded(self._load)
        while not self._stopping:
            if self._asked is None:
                with contextlib.suppress(Empty):
                    wake.get(timeout=self._delay)
            guarded(self._cycle)
            if self._asked is not None and guarded(self._rest):
                return
        guarded(self._cycle)
        guarded(self._clean)
        ended.set()

    def _cycle(self) -> None:
        guarded(self.metrics.count, self._loading)
        if self._config.exports:
            guarded(self._export)
        if self._config.keep:
            guarded(self._ingest)
        self._meter()

    # -- the local store

    def _ingest(self) -> None:
        from .store import Store, StoreError  # noqa: PLC0415  (sqlite3 is loaded in this thread, when it is needed)

        segment = self._journal.segment
        if segment is None or self._store_refused or segment.size == self._ingested:
            return
        if not self._config.exports and segment.size - self._ingested < INGEST_BYTES:
            return
        size = segment.size
        try:
            with self._loading:
                store = Store(self._config.store)
            store.ingest(segment.path)
            self._ingested = size
            if time.monotonic() - self._pruned_at > PRUNE_SECONDS:
                self._pruned_at = time.monotonic()
                store.prune(int(self._config.keep_seconds))
                outbox.bound(self._config.store, self._journal.directory, self._take_in)
            if size >= ROTATE_BYTES and not self._config.exports and (ended := self._journal.rotate()):
                ended.close()
                self._ingested = 0
                store.ingest_all()
        except StoreError as error:
            self._store_refused = True
            say(f"{error}; until then calls wait in {self._journal.directory}")

    # -- the exporters

    def _export(self) -> None:
        now = time.monotonic()
        if now < self._not_before or (now < self._retry_at and not self._stopping):
            self._look_after(deliver=False)
            return
        if self._exporter is None:
            self._load()
        self._begun += 1
        delivered = self._export_spans() and self._export_segment() and self._export_memory()
        if delivered and (self._failures or self._begun == 1):
            outbox.note_answer(self._journal.directory, self._config.destination)
        self._look_after(deliver=delivered)
        self._failures = 0 if delivered else self._failures + 1
        first, longest = RETRY_SECONDS
        pause = min(longest, first * 2 ** min(self._failures, 10) / 2) * self._jitter.uniform(0.8, 1.2)
        self._retry_at = 0.0 if delivered else time.monotonic() + pause
        self._attempted = self._begun
        for reason, count in self._lost.items():
            health.note(self._config.store, "refused", reason, count, destination=self._config.destination)
            if reason != "partial success":
                what = "events" if reason.startswith("events") else "calls"
                say(f"the endpoint refuses {what} ({reason}); they are dropped. See `hexr-instrument doctor`")
        self._lost.clear()

    def _load(self) -> None:
        loaded = self._loaded
        try:
            with self._loading:
                from .export import Exporter  # noqa: PLC0415  (the OTel SDK is loaded in this thread)

                if self._exporter is None:
                    self._exporter = Exporter(self._config)
                    if self._config.metrics:
                        pass
                self._exporter.begin()
        finally:
            loaded.set()

    def _took(self, outcome: Outcome, header: Mapping[str, Any] | None = None) -> bool:
        """Whether nothing of a batch has to wait here; what is lost is counted, events that wait are put aside."""
        if outcome.aside and not self._aside.keep(outcome.aside, header or {"v": outbox.VERSION, "kind": "segment"}):
            outcome.lose("events: cannot be kept", len(outcome.aside))
        for reason, count in outcome.lost.items():
            self._lost[reason] = self._lost.get(reason, 0) + count
        if outcome.wait:
            self._not_before = time.monotonic() + min(LONGEST_WAIT, outcome.wait)
        return outcome.delivered

    def _export_spans(self) -> bool:
        exporter = self._exporter
        while exporter is not None and self.spans:
            batch = [self.spans.popleft() for _ in range(min(BATCH, len(self.spans)))]
            if not self._took(exporter.spans(batch)):
                self.spans.extendleft(reversed(batch))
                return False
        return True

    def _export_memory(self) -> bool:
        exporter, memory = self._exporter, self._journal.memory
        while exporter is not None and memory:
            batch = [memory.popleft() for _ in range(min(BATCH, len(memory)))]
            if not self._took(exporter.records(batch, None)):
                memory.extendleft(reversed(batch))
                return False
        return True

    def _export_segment(self) -> bool:
        segment = self._journal.segment
        if segment is None:
            return True
        if self._position is None or self._position[0] != segment.path:
            self._position = (segment.path, 0)
        sent, delivered = self._send(segment.path, self._position[1])
        self._position = (segment.path, sent)
        if segment.size >= ROTATE_BYTES and (ended := self._journal.rotate()):
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

    def _look_after(self, *, deliver: bool) -> None:
        """Delivers what processes that are gone left behind for this same endpoint; bounds what waits."""
        if time.monotonic() < self._orphans_at and not self._stopping:
            return
        self._orphans_at = time.monotonic() + ORPHAN_SECONDS
        guarded(outbox.bound, self._config.store, self._journal.directory, self._take_in)
        if not deliver:
            return
        self._look_after_events()
        for number, (path, kept) in enumerate(outbox.closed(self._journal.directory, self._config.destination)):
            if number == ORPHANS and not self._stopping:
                self._orphans_at = 0.0
                return
            sent, delivered = self._send(path, outbox.taken(path))
            if not delivered:
                return
            if sent < path.stat().st_size:  # its writer ended in the middle of a line
                self._note_damaged(1)
            self._remove(path, keep=kept)

    def _note_damaged(self, lines: int) -> None:
        health.note(
            self._config.store, "dropped", "damaged line in the journal", lines, destination=self._config.destination
        )

    def _look_after_events(self) -> None:
        """Delivers the events that had to wait when their spans were taken."""
        self._aside.close()
        if self._config.events_destination is not None:
            for path, _ in outbox.closed(self._journal.directory, self._config.events_destination):
                if not self._send(path, outbox.taken(path), events=True)[1]:
                    return
                outbox.remove(path)

    def _retire(self, segment: Segment) -> None:
        if self._send(segment.path, outbox.taken(segment.path))[1]:
            self._remove(segment.path, keep=self._config.keep)
        segment.close()

    def _remove(self, path: Path, *, keep: bool) -> None:
        if not keep or self._take_in(path):
            outbox.remove(path)

    def _take_in(self, path: Path) -> bool:
        """Takes a segment to the local store; where that cannot be written it stays, marked as far as it was sent."""
        from .store import Store, StoreError  # noqa: PLC0415  (sqlite3 is loaded in this thread)

        try:
            Store(self._config.store).ingest(path)
        except StoreError:
            return False
        return True

    # -- flush, exit, fork

    def flush(self, timeout: float) -> bool:
        """Delivers what is there now, for at most `timeout` seconds; whether all of it was delivered.

        It ends with the first attempt that fails.
        """
        if self._config.exports and self._waits():
            self._orphans_at = 0.0
            self._run()
        elif self.metrics:
            self._run()
        return self._hasten(timeout)

    def _hasten(self, timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        before = self._begun
        self._retry_at = 0.0
        self._flushes = wanted = self._flushes + 1
        self._wake.put(None)
        while self._thread is not None and not self._ended.is_set():
            waits = self._config.exports and self._waits()
            if not waits and not self.metrics and self._flushed >= wanted:
                return True
            failed = waits and ((self._attempted > before and self._failures) or time.monotonic() < self._not_before)
            if failed or time.monotonic() >= deadline:
                return False
            time.sleep(0.005)
        return not (self._config.exports and self._waits())

    def _waits(self) -> bool:
        """Whether anything of this process is still to be delivered, by whichever process."""
        self._left = [path for path in self._left if path.exists()]
        return bool(self._left) or self._behind()

    def _behind(self) -> bool:
        segment = self._journal.segment
        if self.spans or self._journal.memory:
            return True
        if segment is None:
            return False
        return self._position is None or self._position[0] != segment.path or self._position[1] < segment.size

    def _exit_budget(self) -> float:
        """What is left of HEXR_EXIT_TIMEOUT, in seconds; it runs from the first wait of the exit on.

        Nothing is, where another process has just spent its own on the same endpoint: a parent that joins its
        children one by one waits once.
        """
        if not self._exit_by:
            hung = outbox.hangs(self._journal.directory, self._config.destination)
            self._exit_by = time.monotonic() + (0 if hung else self._config.exit_timeout)
        return max(0.0, self._exit_by - time.monotonic())

    def _await_loading(self) -> None:
        """Lets the worker end its imports while thread pools still work: the SDK uses one as it is imported."""
        if self._thread is not None:
            self._loaded.wait(self._exit_budget())

    def finish(self) -> None:
        """Delivers within the exit budget; the rest stays on disk for the next process.

        No thread is started here: at interpreter exit Python refuses new ones.
        """
        self._stopping = True
        if self._thread is None:
            return
        self._wake.put(None)
        with contextlib.suppress(KeyboardInterrupt):  # a second Ctrl-C ends the wait, not the program's own end
            self._ended.wait(self._exit_budget())
        exits.restore_interrupt()
        self._note_hanging()

    def hurry(self, *, last: bool) -> None:
        """Delivers within the exit budget because of a signal.

        It runs in the signal's handler, wherever the main thread is just then, and so takes no lock.

        Args:
            last: Whether the signal ends the process; one that outlives it (PID 1) delivers what follows at once.
        """
        if not last:
            self._hasten(self._exit_budget())
            self._exit_by, self._delay = 0.0, 0.05
            return
        self._stopping = True
        self._wake.put(None)
        while self._thread is not None and not self._ended.is_set() and self._exit_budget():
            time.sleep(0.005)
        self._note_hanging()

    def _note_hanging(self) -> None:
        """Notes it if this process has spent its exit budget, and a request is still without an answer."""
        where = self._journal.directory, self._config.destination
        if self._attempted < self._begun and not self._ended.is_set() and not outbox.hangs(*where):
            outbox.note_hanging(*where)

    def _put_away(self) -> None:
        """Removes this process's segment if every record of it was delivered."""
        segment = self._journal.segment
        if segment is not None and not self._behind():
            self._journal.rotate()
            self._remove(segment.path, keep=self._config.keep)
            segment.close()

    def _clean(self) -> None:
        """Leaves nothing behind at the end that has been delivered."""
        self._put_away()
        self._aside.close()
        if lost := len(self._journal.memory):
            health.note(self._config.store, "dropped", "in memory only, at the end of the process", lost)
        guarded(self.metrics.shutdown)
        if self._exporter is not None:
            self._exporter.shutdown()

    def _rest(self) -> bool:
        """Whether the thread ends here, because of a fork: what it cannot deliver now must not wait for it alone."""
        with self._start:
            if (asked := self._asked) is None:
                return False
            if self.metrics:
                return False
            if self._config.exports and self._behind():
                if not self._stopping and time.monotonic() >= max(self._retry_at, self._not_before):
                    return False  # it has not been tried
                if self.spans or self._journal.memory:
                    self._asked = None
                    asked.set()
                    return False
                if (ended := self._journal.rotate()) is not None:
                    ended.close()
                    self._left.append(ended.path)
                    self._orphans_at = 0.0
            self._put_away()
            self._aside.close()
            self.metrics.rest()
            if self._exporter is not None:
                self._exporter.rest()
            self._thread = None
            asked.set()
            return True

    def _before_fork(self) -> None:
        thread = self._thread
        if thread not in (None, threading.current_thread()) and forks.alone(thread, signals.watcher()):
            guarded(self._end_threads, thread)
        self._fork_held = self._loading.acquire(timeout=5)
        if self._config.delivers:
            exits.before_fork(self)

    def _end_threads(self, thread: threading.Thread) -> None:
        """Ends our threads where that takes no time; they come back with the next call, or flush."""
        if self._config.delivers:
            self._loaded.wait(5)
        asked = self._asked = threading.Event()
        self._wake.put(None)
        patience = FORK_SHARE * self._config.exit_timeout
        asked.wait(patience)
        with self._start:
            self._asked = None
            rested = self._thread is None
        if rested:
            thread.join(patience)
            forks.gone(thread, signals.rest())

    def _forked(self) -> None:
        if self._fork_held:
            self._loading.release()

    def _child(self) -> None:
        self.generation += 1
        self._loading = threading.Lock()
        self._aside.close()
        self._fresh()
        self.spans.clear()
        guarded(self.metrics.after_fork)
        self._journal.after_fork()
