"""Work whose bill comes later: a background response, a batch, a run. Who started it, and that it is billed once.

What is owed is a small file in the store, under the hash of the work's id: `.open` says who started it, and billing is
to rename that to `.done`, which one of all processes that share the store can do. Where nothing can be written, the
memory of this process has to do. Works that nobody asks for again are forgotten after `KEPT_FOR`, or as the oldest.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import private
from .call import Caller, mapping, parsed, pick, sequence, text

KEPT = 10_000
"""How many works are remembered, here and in a store; the oldest is forgotten first."""
KEPT_FOR = 60 * 86400
"""Seconds that a work is remembered in a store: no provider keeps an answer for longer."""


@dataclass(slots=True)
class Origin:
    """Where a work was started."""

    caller: Caller
    parent: tuple[int, int, bool] | None
    """Trace id, span id and sampling of the span that the bill belongs under."""
    model: str | None
    """As asked for."""
    invocation: Any
    """The agent that was running, or None."""
    times: tuple[int, int] | None = None
    """Start and end, in nanoseconds since the epoch, of the request that started it, where that is what is billed."""
    live: Any = None
    """That request, in the process that made it: it is recorded when its usage is known. None elsewhere."""


class Owed:
    """The works that were started and not yet seen completed, and those that have been billed."""

    __slots__ = ("_folder", "_known", "_lock", "_swept")

    def __init__(self, store: Path) -> None:
        """Reads nothing and writes nothing yet.

        Args:
            store: The store's directory, which other processes share.
        """
        self._folder = folder(store)
        self._known: dict[str, Origin | None] = {}
        self._lock = threading.Lock()
        self._swept = False

    def open(self, work: str, origin: Origin, *, new: bool = False) -> None:
        """Notes who started a work; the first one who is seen with it did.

        Args:
            work: Its id.
            origin: Where it was started, as far as is known.
            new: Whether it was started just now; what was known under its id was another one.
        """
        with self._lock:
            if work in self._known and not new:
                return
            try:
                first = self._write(work, origin, new)
            except OSError:
                first = True  # as far as anybody here can know
            if first:
                self._known[work] = origin
                self._forget()

    def knows(self, work: str) -> bool:
        """Whether a work was started by somebody who shares the store, and is not billed yet."""
        with self._lock:
            if work in self._known:
                return self._known[work] is not None
            return self._trusted() and self._path(work).exists()

    def settle(self, work: str, stranger: Origin | None) -> Origin | None:
        """Whom a completed work is to be billed to, once: after that, and for a work that nobody here started, None.

        Args:
            work: Its id.
            stranger: Who is billed for a work that was started elsewhere; None if nobody is.
        """
        with self._lock:
            if self._known.get(work, work) is None:
                return None
            found = self._known.get(work)
            path = self._path(work)
            try:
                told = self._take(path)  # also where this process knows: no other may bill it too
                origin = found or _origin(told)
            except OSError as error:
                origin = found or stranger
                if origin is None:
                    return None
                if isinstance(error, FileNotFoundError) and not self._mark(path.with_suffix(".done")):
                    origin = None  # somebody else has billed it
            self._known.pop(work, None)
            self._known[work] = None
            self._forget()
            return origin

    def _take(self, path: Path) -> bytes:
        """Who started a work, for the one process that takes it; raises OSError for the others."""
        if not self._trusted():
            raise PermissionError
        told = path.read_bytes()
        path.rename(path.with_suffix(".done"))
        return told

    def _trusted(self) -> bool:
        """Whether nobody else can have written what is there."""
        return all(private.fault(each) is None for each in (self._folder.parent, self._folder))

    def _path(self, work: str) -> Path:
        return self._folder / f"{hashlib.sha256(work.encode('utf-8', 'replace')).hexdigest()[:32]}.open"

    def _write(self, work: str, origin: Origin, new: bool) -> bool:  # noqa: FBT001
        """Whether it is news; raises OSError."""
        self._make()
        path = self._path(work)
        if new:
            path.with_suffix(".done").unlink(missing_ok=True)
            path.unlink(missing_ok=True)
        elif path.with_suffix(".done").exists():
            return False
        beside = path.with_suffix(f".{os.getpid()}")
        try:
            _create(beside, _told(origin))
            os.link(beside, path)  # whole or not at all, and the first one wins
        except FileExistsError:
            return False
        finally:
            beside.unlink(missing_ok=True)
        return True

    def _mark(self, done: Path) -> bool:
        """Whether it was this process that marked a work as billed; also where no process can."""
        try:
            self._make()
            _create(done, b"")
        except FileExistsError:
            return False
        except OSError:
            return True
        return True

    def _make(self) -> None:
        private.make(self._folder.parent)
        private.close(self._folder)
        private.make(self._folder)
        if self._swept:
            return
        self._swept = True
        found = sorted((each.stat().st_mtime, each.path) for each in os.scandir(self._folder))
        old = time.time() - KEPT_FOR
        for at, (changed, path) in enumerate(found):
            if changed < old or at < len(found) - KEPT:
                with contextlib.suppress(OSError):
                    os.unlink(path)

    def _forget(self) -> None:
        while len(self._known) > KEPT:
            del self._known[next(iter(self._known))]


def folder(store: Path) -> Path:
    """Where a store's works are."""
    return store / "owed"


def waiting(store: Path) -> int:
    """How many works were started whose usage nobody has asked for yet."""
    return sum(1 for _ in folder(store).glob("*.open"))


def purge(store: Path, tenants: tuple[str, ...], before: int | None) -> None:
    """Forgets who started works: of these tenants ("" is nobody's), or of all; only before `before`, if that is given."""
    for path in _files(store):
        with contextlib.suppress(OSError):
            origin = _origin(path.read_bytes())
            begun = path.stat().st_mtime_ns
            if (not tenants or (origin.caller.tenant or "") in tenants) and (before is None or begun < before):
                path.unlink()


def _files(store: Path) -> Iterator[Path]:
    return folder(store).glob("*.open")


def _create(path: Path, data: bytes) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o600)
    with os.fdopen(file, "wb") as new:
        new.write(data)


def _told(origin: Origin) -> bytes:
    caller = origin.caller
    found = {"agent": caller.agent, "role": caller.role, "tenant": caller.tenant, "labels": caller.labels}
    return json.dumps({**found, "parent": origin.parent, "model": origin.model, "times": origin.times}).encode()


def _origin(told: bytes) -> Origin:
    """What a file says; what is none of it is unknown."""
    found = mapping(parsed(told))
    labels = [(text(each, 0), text(each, 1)) for each in sequence(pick(found, "labels"))]
    ids, times = sequence(pick(found, "parent")), sequence(pick(found, "times"))
    caller = Caller(
        text(found, "agent"),
        text(found, "role"),
        text(found, "tenant"),
        tuple((name, value) for name, value in labels if name and value),
    )
    whole = [type(each) for each in ids] == [int, int, bool] and 0 < ids[0] < 1 << 128 and 0 < ids[1] < 1 << 64
    timed = [type(each) for each in times] == [int, int] and 0 < times[0] <= times[1] < 1 << 63
    return Origin(
        caller,
        (ids[0], ids[1], ids[2]) if whole else None,
        text(found, "model"),
        None,
        (times[0], times[1]) if timed else None,
    )
