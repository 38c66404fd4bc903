"""The one background thread: takes finished calls from the journal to the local store or to the exporters.

It starts with the first call that has somewhere to go and is made anew in a forked child. Correctness does not depend
on it: what it has not delivered is on disk, and the next process or the `costs` command takes it from there.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .config import Config
from .guard import guarded, say
from .journal import Journal, Segment, abandoned, header_of, lines

if TYPE_CHECKING:
    from .export import Exporter

SEND_DELAY = 1.0
"""Seconds between two deliveries."""
BATCH = 512
"""Records of one export request."""
INGEST_BYTES = 256 << 10
"""Size of a segment at which a process without an endpoint takes it to the store; `costs` takes smaller ones."""
ROTATE_BYTES = 4 << 20
"""Size at which a delivered segment gives way to a new one."""
WAITING_SECONDS = 48 * 3600
WAITING_BYTES = 50 << 20
"""How long and how much may wait for an endpoint (CONTRACT 2); the oldest give way."""
ORPHAN_SECONDS = 30.0
"""How often a process looks for calls that others left behind."""
PRUNE_SECONDS = 3600


def acknowledged(segment: Path) -> Path:
    """The file beside a segment that says up to which byte its endpoint has taken it."""
    return segment.with_suffix(".sent")


class Worker:
    """Delivery of one process."""

    def __init__(self, config: Config, journal: Journal) -> None:
        """Starts nothing yet."""
        self._config = config
        self._journal = journal
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._stopping = False
        self._ended = threading.Event()
        self._loaded = threading.Event()
        self._exit_by = 0.0
        self._start = threading.Lock()
        self._loading = threading.Lock()
        """Held while the thread imports: a fork in the middle of an import would leave the child with its lock."""
        self._exporter: Exporter | None = None
        self._position: tuple[Path, int] | None = None
        self._retry_at = 0.0
        self._orphans_at = 0.0
        self._pruned_at = 0.0
        self._ingested: int = 0
        self._store_refused = False
        self._fork_held = False
        self.spans: deque[Any] = deque(maxlen=2048)
        """Finished spans of the lazy global provider: the program's own, beside our records."""
        if config.exports:
            atexit.register(guarded, self.finish)
            _before_thread_pools_end(self._await_loading)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(before=self._before_fork, after_in_parent=self._forked, after_in_child=self._child)

    def notify(self, size: int) -> None:
        """Says that a record was appended; `size` is the segment's size in bytes, 0 for a record in memory."""
        if self._thread is None and (self._config.exports or size >= INGEST_BYTES):
            self._run()

    def submit(self, span: Any) -> None:
        """Takes a finished span of the program's own; the oldest give way where too many wait."""
        self.spans.append(span)
        if self._thread is None:
            self._run()

    def _run(self) -> None:
        with self._start:
            if self._thread is None and not self._stopping:
                thread = threading.Thread(target=self._loop, name="hexr-worker", daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # no threads here (subinterpreter, exit, limit): the disk keeps the calls
                    return
                self._thread = thread

    def _loop(self) -> None:
        ended = self._ended
        if self._config.exports:
            guarded(self._load)
        while not self._stopping:
            self._wake.wait(SEND_DELAY)
            self._wake.clear()
            guarded(self._cycle)
        guarded(self._cycle)
        guarded(self._clean)
        ended.set()

    def _cycle(self) -> None:
        if self._config.exports:
            self._export()
        if self._config.keep:
            self._ingest()

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
            if size >= ROTATE_BYTES and not self._config.exports and (ended := self._journal.rotate()):
                ended.close()
                self._ingested = 0
                store.ingest_all()
        except StoreError as error:
            self._store_refused = True
            say(f"{error}; until then calls wait in {self._journal.directory}")

    # -- the exporters

    def _export(self) -> None:
        if time.monotonic() < self._retry_at and not self._stopping:
            return
        if self._exporter is None:
            self._load()
        delivered = self._export_spans() and self._export_segment() and self._export_memory() and self._export_orphans()
        self._retry_at = 0.0 if delivered else time.monotonic() + 5

    def _load(self) -> None:
        loaded = self._loaded
        try:
            with self._loading:
                from .export import Exporter  # noqa: PLC0415  (the OTel SDK is loaded in this thread)

                self._exporter = Exporter(self._config)
        finally:
            loaded.set()

    def _export_spans(self) -> bool:
        exporter = self._exporter
        while exporter is not None and self.spans:
            batch = [self.spans.popleft() for _ in range(min(BATCH, len(self.spans)))]
            if not exporter.spans(batch):
                self.spans.extendleft(reversed(batch))
                return False
        return True

    def _export_memory(self) -> bool:
        exporter, memory = self._exporter, self._journal.memory
        while exporter is not None and memory:
            batch = [memory.popleft() for _ in range(min(BATCH, len(memory)))]
            if not exporter.records(batch, None):
                memory.extendleft(reversed(batch))
                return False
        return True

    def _export_segment(self) -> bool:
        segment = self._journal.segment
        if segment is None:
            return True
        if self._position is None or self._position[0] != segment.path:
            self._position = (segment.path, 0)
        sent, accepted = self._send(segment.path, self._position[1])
        self._position = (segment.path, sent)
        if not accepted:
            return False
        if segment.size >= ROTATE_BYTES and (ended := self._journal.rotate()):
            self._retire(ended)
        return True

    def _send(self, path: Path, offset: int) -> tuple[int, bool]:
        """Exports a segment's records from `offset` on.

        Returns:
            The offset behind the last one delivered, and whether the exporters took all that was there.
        """
        exporter = self._exporter
        header = header_of(path)
        while exporter is not None:
            batch, end = lines(path, offset, 1 << 20)
            if end == offset:
                break
            for at in range(0, len(batch), BATCH):
                if not exporter.records(batch[at : at + BATCH], header):
                    return offset, False
            offset = end
            _write_offset(path, offset)
        return offset, True

    def _export_orphans(self) -> bool:
        """Delivers what processes that are gone left behind for this same endpoint; drops what waited too long."""
        if time.monotonic() < self._orphans_at and not self._stopping:
            return True
        self._orphans_at = time.monotonic() + ORPHAN_SECONDS
        own = self._journal.segment
        room = WAITING_BYTES
        for path in sorted(self._journal.directory.glob("*.jsonl"), reverse=True):
            if own is not None and path == own.path:
                continue
            header = header_of(path)
            if header is None or header.get("destination") != self._config.destination:
                continue
            held = abandoned(path)
            if held is None:
                continue
            try:
                stat = os.fstat(held)
                room -= stat.st_size
                stale = room < 0 or time.time() - stat.st_mtime > WAITING_SECONDS
                if not stale and not self._send(path, _read_offset(path))[1]:
                    return False
                self._remove(path, keep=bool(header.get("keep")))
            finally:
                os.close(held)
        return True

    def _retire(self, segment: Segment) -> None:
        self._send(segment.path, _read_offset(segment.path))
        self._remove(segment.path, keep=self._config.keep)
        segment.close()

    def _remove(self, path: Path, *, keep: bool) -> None:
        if keep:
            from .store import Store, StoreError  # noqa: PLC0415  (sqlite3 is loaded in this thread)

            with contextlib.suppress(StoreError):
                Store(self._config.store).ingest(path)
                path.unlink(missing_ok=True)
                acknowledged(path).unlink(missing_ok=True)
            return
        path.unlink(missing_ok=True)
        acknowledged(path).unlink(missing_ok=True)

    # -- flush, exit, fork

    def flush(self, timeout: float) -> bool:
        """Delivers what is there now, for at most `timeout` seconds; whether all of it was delivered."""
        deadline = time.monotonic() + timeout
        if not self._config.exports:
            return True
        self._run()
        while time.monotonic() < deadline:
            if not self._behind():
                return True
            self._retry_at = 0.0
            self._wake.set()
            time.sleep(0.01)
        return not self._behind()

    def _behind(self) -> bool:
        segment = self._journal.segment
        if self.spans or self._journal.memory:
            return True
        if segment is None:
            return False
        return self._position is None or self._position[0] != segment.path or self._position[1] < segment.size

    def _exit_budget(self) -> float:
        """What is left of HEXR_EXIT_TIMEOUT, in seconds; it runs from the first wait of the exit on."""
        self._exit_by = self._exit_by or time.monotonic() + self._config.exit_timeout
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
        self._retry_at = 0.0
        self._wake.set()
        self._ended.wait(self._exit_budget())
        _restore_interrupt()

    def _clean(self) -> None:
        """Removes this process's segment if every record of it was delivered."""
        segment = self._journal.segment
        if segment is not None and not self._behind():
            self._journal.rotate()
            self._remove(segment.path, keep=self._config.keep)
            segment.close()
        if self._exporter is not None:
            self._exporter.shutdown()

    def _before_fork(self) -> None:
        self._fork_held = self._loading.acquire(timeout=5)

    def _forked(self) -> None:
        if self._fork_held:
            self._loading.release()

    def _child(self) -> None:
        self._loading = threading.Lock()
        self._ended = threading.Event()
        self._loaded = threading.Event()
        self._loaded = threading.Event()
        self._exit_by = 0.0
        self._start = threading.Lock()
        self._wake = threading.Event()
        self._thread = None
        self._stopping = False
        self._exporter = None
        self._position = None
        self._ingested = 0
        self.spans.clear()
        self._journal.after_fork()


def _before_thread_pools_end(function: Callable[[], None]) -> None:
    """Has Python call `function` at exit, just before `concurrent.futures` stops taking work.

    `threading` has no public hook there; where the private one is missing, a program that ends within a second of its
    first call may leave its calls to the next process.
    """
    importlib.import_module("concurrent.futures.thread")  # its own hook must stand before ours: the last runs first
    register = getattr(threading, "_register_atexit", None)
    if register is not None:
        guarded(register, guarded, function)


def _restore_interrupt() -> None:
    """Lets a program that ended by Ctrl-C still end as killed by SIGINT.

    CPython remembers an unhandled KeyboardInterrupt in a flag that each evaluation of source text clears, in whichever
    thread; the SDK's modules evaluate some while the worker imports them. Evaluating one that raises sets it again.
    """
    if getattr(sys, "last_type", None) is KeyboardInterrupt and not hasattr(sys, "ps1"):
        with contextlib.suppress(KeyboardInterrupt):
            exec("raise KeyboardInterrupt")  # noqa: S102


def _write_offset(segment: Path, offset: int) -> None:
    file = os.open(acknowledged(segment), os.O_WRONLY | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
    try:
        os.write(file, b"%020d" % offset)
    finally:
        os.close(file)


def _read_offset(segment: Path) -> int:
    try:
        return int(acknowledged(segment).read_bytes())
    except (OSError, ValueError):
        return 0
