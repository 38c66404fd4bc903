"""The ledger: what was spent, by key, in a file that all processes with one store share.

It is kept whatever happens to the records, and a call costs it a few system calls on one page.
"""

from __future__ import annotations

import os
import stat
import struct
import time
from collections import deque
from collections.abc import Callable

try:
    import fcntl
except ImportError:  # Windows: no promise that processes share a budget
    fcntl = None

_MAGIC = b"hexr budgets 1\n"
_HEAD = 64
_SLOTS = 1 << 14
_PROBES = 32
"""Slots in a row of which a key's is one; behind the last there are as many more."""
_SLOT = struct.Struct("<16sQ12sI")
"""Key, end of its period, spent in 1e-12 USD, which limits were said to be passed (1 soft, 2 hard)."""
_SIZE = _HEAD + (_SLOTS + _PROBES) * _SLOT.size
_PATIENCE = 0.01
"""Seconds to wait for another process's write (it takes microseconds; who holds the lock longer was stopped)."""


class Ledger:
    """What was spent, by key: a table in a file, written under a lock and read without one.

    It never fails and never waits for long: what cannot be written now is kept in this process and written with a later
    call. The file is opened for each step: nothing is left to a fork, and nothing to a program that closes its files.
    """

    def __init__(self, path: str, say: Callable[[str], None]) -> None:
        """Names the file; it is made with the first call."""
        self._path = path
        self._say = say
        self._waiting: deque[tuple[int, bytes, int]] = deque()
        """(process, key, amount) of what could not be written."""

    def spent(self, key: bytes) -> int:
        """What was spent, in 1e-12 USD."""
        try:
            file = _opened(self._path)
            try:
                found = _find(file, key, 0)
            finally:
                os.close(file)
        except OSError as error:
            self._complain(error)
            found = None
        return self._kept(key) + (found[1] if found is not None else 0)

    def add(self, key: bytes, cost: int, ends: int, limit: int | None, mark: int) -> tuple[int, bool]:
        """Adds to what was spent.

        Args:
            key: Whose.
            cost: In 1e-12 USD.
            ends: From when on its place may be used for another key, in nanoseconds since the epoch.
            limit: What is said to be passed once, whatever process passes it.
            mark: 1 for a soft limit, 2 for a hard one.

        Returns:
            What was spent now, and whether it is this call that passed the limit.
        """
        cost += self._taken(key)
        try:
            file = _opened(self._path)
            try:
                if _locked(file) and (found := _find(file, key, time.time_ns())) is not None:
                    place, before, said = found
                    spent = before + cost
                    first = limit is not None and spent >= limit and not said & mark
                    slot = _SLOT.pack(key, ends, spent.to_bytes(12, "little"), said | mark if first else said)
                    os.pwrite(file, slot, place)
                    return spent, first
                before = _find(file, key, 0)
            finally:
                os.close(file)  # and gives the lock back
        except OSError as error:
            self._complain(error)
            before = None
        if cost:
            self._waiting.append((os.getpid(), key, cost))
        return cost + (before[1] if before is not None else 0), False

    def _kept(self, key: bytes) -> int:
        return sum(cost for process, whose, cost in list(self._waiting) if whose == key and process == os.getpid())

    def _taken(self, key: bytes) -> int:
        """What waits for this key, no longer waiting; a forked child leaves its parent's to the parent."""
        total = 0
        for _ in range(len(self._waiting)):
            try:
                process, whose, cost = self._waiting.popleft()
            except IndexError:  # another thread was quicker
                break
            if process != os.getpid():
                continue
            if whose == key:
                total += cost
            else:
                self._waiting.append((process, whose, cost))
        return total

    def _complain(self, error: OSError) -> None:
        reason = error.strerror or str(error)
        self._say(f"{self._path} cannot be used ({reason}): each process counts its budgets for itself")


def _find(file: int, key: bytes, now: int) -> tuple[int, int, int] | None:
    """The place of a key, what it has spent, and which of its limits were said to be passed.

    Args:
        file: The ledger.
        key: Whose.
        now: To find a new place, too: a free one, or one whose period is over. 0 finds only what is there.
    """
    place = _HEAD + int.from_bytes(key[:4], "little") % _SLOTS * _SLOT.size
    data = os.pread(file, _PROBES * _SLOT.size, place)
    free = None
    for at in range(0, len(data) - _SLOT.size + 1, _SLOT.size):
        owner, ends, spent, said = _SLOT.unpack_from(data, at)
        if owner == key:
            return place + at, int.from_bytes(spent, "little"), said
        if free is None and ends < now:
            free = place + at
        if not ends:
            break
    return None if free is None or not now else (free, 0, 0)


def _opened(path: str) -> int:
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        file = os.open(path, flags, 0o600)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        file = os.open(path, flags, 0o600)
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode) or (hasattr(os, "geteuid") and status.st_uid != os.geteuid()):
            raise OSError("it is not a file of this user")
        if status.st_size < _SIZE:
            _lengthened(file, status.st_size)
        elif os.pread(file, len(_MAGIC), 0) != _MAGIC:
            raise OSError("it is no ledger: remove it")
    except OSError:
        os.close(file)
        raise
    return file


def _lengthened(file: int, size: int) -> None:
    """A file that is new: all who see it so write the same head, and a file is only ever made longer."""
    if size and os.pread(file, len(_MAGIC), 0) != _MAGIC:
        raise OSError("it is no ledger: remove it")
    os.pwrite(file, _MAGIC, 0)
    os.ftruncate(file, _SIZE)


def _locked(file: int) -> bool:
    """Takes the lock, and does not wait long for it: a process that was stopped must not stop others."""
    if fcntl is None:
        return True
    begun = time.monotonic()
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() - begun > _PATIENCE:
                return False
            time.sleep(0.0002)
        else:
            return True
