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
from queue import Empty, SimpleQueue
from typing import Any

from . import exits, forks, health, outbox, signals
from .config import Config
from .delivery import Delivery
from .guard import guarded
from .intake import INGEST_BYTES, Intake
from .journal import Journal
from .metrics.queue import Queue

SEND_DELAY = 1.0
"""Seconds between two deliveries."""
FORK_SHARE = 0.15
"""How long a fork may wait for what is being delivered, so that no thread of ours runs beside it: this part of what an
exit may take, 0.3 s of its 2."""


class Worker:
    """The thread of one process, and what it does when."""

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
        self._loading = threading.Lock()
        """Held while the thread imports, or records on the program's own meter provider: a fork in the middle would
        leave the child with a lock that nobody gives back."""
        self._holder = 0
        """The thread that holds it because it forks."""
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
        self._wake: SimpleQueue[None] = SimpleQueue()
        """Wakes the thread. Its `put` takes no lock that a signal handler could find taken."""
        self._delay = SEND_DELAY
        self._stopping = False
        self._ended = threading.Event()
        self._exit_by = 0.0
        self._start = threading.RLock()
        self._intake = Intake(self._config, self._journal, self._loading)
        self._delivery = Delivery(
            self._config, self._journal, self._intake, self.spans, self._loading, lambda: self._stopping
        )
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
        if self._config.metrics:
            self._delivery.quiet()
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
            guarded(self._delivery.load)
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
            guarded(self._delivery.send)
        if self._config.keep:
            guarded(self._intake.own)
        self._meter()

    # -- flush, exit, fork

    def flush(self, timeout: float) -> bool:
        """Delivers what is there now, for at most `timeout` seconds; whether all of it was delivered.

        It ends with the first attempt that fails.
        """
        if self._config.exports and self._delivery.waits():
            self._delivery.orphans_at = 0.0
            self._run()
        elif self.metrics:
            self._run()
        return self._hasten(timeout)

    def _hasten(self, timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        before = self._delivery.begun
        self._delivery.retry_at = 0.0
        self._flushes = wanted = self._flushes + 1
        self._wake.put(None)
        while self._thread is not None and not self._ended.is_set():
            waits = self._config.exports and self._delivery.waits()
            if not waits and not self.metrics and self._flushed >= wanted:
                return True
            if (waits and self._delivery.failed_since(before)) or time.monotonic() >= deadline:
                return False
            time.sleep(0.005)
        return not (self._config.exports and self._delivery.waits())

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
            self._delivery.loaded.wait(self._exit_budget())

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
        if self._delivery.attempted < self._delivery.begun and not self._ended.is_set() and not outbox.hangs(*where):
            outbox.note_hanging(*where)

    def _clean(self) -> None:
        """Leaves nothing behind at the end that has been delivered."""
        self._delivery.put_away()
        if lost := len(self._journal.memory):
            health.note(self._config.store, "dropped", "in memory only, at the end of the process", lost)
        guarded(self.metrics.shutdown)
        self._delivery.shutdown()

    def _rest(self) -> bool:
        """Whether the thread ends here, because of a fork: what it cannot deliver now must not wait for it alone."""
        with self._start:
            if (asked := self._asked) is None:
                return False
            if self.metrics:
                return False
            delivery = self._delivery
            if self._config.exports and delivery.behind():
                if not self._stopping and time.monotonic() >= max(delivery.retry_at, delivery.not_before):
                    return False  # it has not been tried
                if delivery.unwritten():
                    self._asked = None
                    asked.set()
                    return False
                delivery.leave()
            delivery.put_away()
            self.metrics.rest()
            delivery.rest()
            self._thread = None
            asked.set()
            return True

    def _before_fork(self) -> None:
        thread = self._thread
        if thread not in (None, threading.current_thread()) and forks.alone(thread, signals.watcher()):
            guarded(self._end_threads, thread)
        if self._loading.acquire(timeout=5):
            self._holder = threading.get_ident()
        if self._config.delivers:
            exits.before_fork(self)

    def _end_threads(self, thread: threading.Thread) -> None:
        """Ends our threads where that takes no time; they come back with the next call, or flush."""
        if self._config.delivers:
            self._delivery.loaded.wait(5)
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
        if self._holder == threading.get_ident():
            self._holder = 0
            self._loading.release()

    def _child(self) -> None:
        self.generation += 1
        self._loading, self._holder = threading.Lock(), 0
        self._delivery.aside.close()
        self._fresh()
        self.spans.clear()
        guarded(self.metrics.after_fork)
        self._journal.after_fork()
