"""The caller's last step: one line per finished call, appended to this process's own segment file.

What `write(2)` has taken survives SIGKILL, `os._exit` and `execv` of this process. A segment is locked (flock) for as
long as its writer lives, which tells everybody else whether more may come. Lines are JSON; the first is a header.
"""

from __future__ import annotations

import json
import os
import secrets
import stat
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows has no flock; there, segments are taken in by age
    fcntl = None

from . import health, private
from .guard import say

ROTATE_BYTES = 4 << 20
"""Size at which a segment gives way to a new one."""
MEMORY_LIMIT = 8192
"""Records that wait in memory where no directory can be written."""
_encode = json.JSONEncoder(separators=(",", ":"), default=str).encode


def written(record: Mapping[str, Any]) -> bytes:
    """A record as one line of a segment."""
    return (_encode(record) + "\n").encode()


class Segment:
    """An open segment file of this process."""

    __slots__ = ("_identity", "_torn", "file", "path", "size", "tore")

    def __init__(self, directory: Path, header: dict[str, Any]) -> None:
        """Creates, locks and starts a segment; raises OSError where the directory cannot be written."""
        _private(directory)
        name = f"{time.time_ns() // 1_000_000}-{os.getpid()}-{secrets.token_hex(4)}.jsonl"
        self.path = directory / name
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
        self.file = os.open(self.path, flags, 0o600)
        if fcntl is not None:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        found = os.fstat(self.file)
        self._identity = found.st_ino, found.st_dev
        self.size = 0
        self._torn = self.tore = False
        self.append(written(header))

    def there(self) -> bool:
        """Whether the descriptor is still this file's, and the file still in its directory."""
        found = self._found()
        return found is not None and found.st_nlink > 0

    def _found(self) -> os.stat_result | None:
        """What the descriptor is, if the program has not closed it and used its number again."""
        try:
            found = os.fstat(self.file)
        except OSError:
            return None
        return found if (found.st_ino, found.st_dev) == self._identity else None

    def append(self, line: bytes) -> None:
        """Writes one line whole; raises OSError (disk full), after which the next line starts on its own."""
        if self._torn:
            line = b"\n" + line
        written = 0
        try:
            while written < len(line):
                written += os.write(self.file, line[written:])
        finally:
            self._torn = 0 < written < len(line)
            self.tore |= self._torn
            self.size += written

    def close(self) -> None:
        """Gives up the file and, with the last descriptor of it, the lock."""
        if self._found() is not None:
            os.close(self.file)


def _private(directory: Path) -> None:
    """Makes the directory and its parent for this user alone, and refuses, as OSError, what must not be trusted."""
    private.make(directory.parent)
    private.close(directory)  # nobody else has any business there
    private.make(directory)


class Journal:
    """Where finished calls go first. One per process; a forked child starts with its own segment."""

    def __init__(self, store: Path, header: Callable[[], dict[str, Any]]) -> None:
        """Opens nothing yet.

        Args:
            store: The store's directory; segments are in its `journal` folder.
            header: Makes the first line of a segment.
        """
        self.directory = store / "journal"
        self._header = header
        self._lock = threading.RLock()
        """Re-entrant: the collector may finalise an abandoned stream, which is then kept, at any allocation here."""
        self._segment: Segment | None = None
        self.memory: deque[dict[str, Any]] = deque(maxlen=MEMORY_LIMIT)
        """Records that could not be written; the oldest give way."""
        self.fell_out = 0
        """How many of them gave way."""

    @property
    def segment(self) -> Segment | None:
        """The segment that this process writes, or None before its first record."""
        return self._segment

    @property
    def full(self) -> bool:
        """Whether that segment is to give way to a new one."""
        return self._segment is not None and self._segment.size >= ROTATE_BYTES

    def append(self, record: dict[str, Any]) -> int:
        """Keeps one record and returns the segment's size in bytes; 0 if it is kept in memory only."""
        line = written(record)
        with self._lock:
            try:
                segment = self._segment
                if segment is None or not segment.there():
                    self._segment = None  # removed under us, or its descriptor closed by the program and used again
                    segment = self._begin()
                segment.append(line)
                return segment.size
            except OSError as error:
                if len(self.memory) == MEMORY_LIMIT:
                    self._count_lost()
                self.memory.append(record)
                say(
                    f"cannot write calls to {self.directory} ({error.strerror or error}); they are kept in memory only. "
                    "Make room or set HEXR_STORE to a directory that can be written"
                )
                return 0

    def _count_lost(self) -> None:
        """Notes the first record that gives way, and then each time that as many again have done so."""
        self.fell_out += 1
        if self.fell_out & (self.fell_out - 1) == 0:
            reason = "nothing can be written, and the queue in memory is full: set HEXR_STORE"
            health.note(self.directory.parent, "dropped", reason, max(1, self.fell_out // 2))

    def _begin(self) -> Segment:
        made = Segment(self.directory, self._header())
        if self._segment is None:
            self._segment = made
        else:  # an abandoned stream was finalised meanwhile, and began one
            made.path.unlink()
            made.close()
        return self._segment

    def rotate(self) -> Segment | None:
        """Ends the current segment and returns it; the next record starts another."""
        with self._lock:
            ended, self._segment = self._segment, None
        return ended

    def after_fork(self) -> None:
        """Starts clean in a forked child: the parent keeps its segment, its lock and its waiting records."""
        self._lock = threading.RLock()
        inherited, self._segment = self._segment, None
        self.memory.clear()
        if inherited is not None:
            inherited.close()  # never LOCK_UN: that would unlock the parent's segment


def lines(path: Path, offset: int = 0, limit: int = 4 << 20) -> tuple[list[dict[str, Any]], int]:
    """The whole records after `offset` (at most `limit` bytes of them) and the offset behind the last one.

    A torn last line is left for later; a line that is no JSON object is passed over.
    """
    found, end, _ = read(path, offset, limit)
    return found, end


def read(path: Path, offset: int, limit: int) -> tuple[list[dict[str, Any]], int, int]:
    """The same as `lines`, and how many lines were passed over because they are damaged."""
    with path.open("rb") as file:
        file.seek(offset)
        data = file.read(limit)
    end = data.rfind(b"\n") + 1
    found = list(_objects(data[:end]))
    return found, offset + end, sum(map(bool, data[:end].splitlines())) - len(found)


def header_of(path: Path) -> dict[str, Any] | None:
    """A segment's header, or None if the file is gone or has none."""
    try:
        # Not through links, and without waiting for the other end of a pipe that somebody put there.
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        with os.fdopen(os.open(path, flags), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return None
            first = file.readline(1 << 16)
    except OSError:
        return None
    return next((each for each in _objects(first) if each.get("kind") == "segment"), None)


def _objects(data: bytes) -> Iterator[dict[str, Any]]:
    for line in data.splitlines():
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):  # RecursionError: a line of nothing but brackets
            continue
        if isinstance(record, dict):
            yield record


def abandoned(path: Path) -> int | None:
    """A descriptor that holds the lock of a segment whose writer is gone, or None if it lives (or the file is gone)."""
    try:
        file = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return None
    if fcntl is None:
        return file
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        return None
    return file
