"""What waits on disk for an endpoint: how far each segment was taken, and what gives way when too much waits.

A segment has a `.sent` file beside it that says up to which byte its endpoint has taken it. Whoever holds a closed
segment's lock may deliver it, so that each is drained by one process at a time.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import health
from .journal import Segment, abandoned, header_of, lines, written

WAITING_SECONDS = 48 * 3600
WAITING_BYTES = 50 << 20
"""How long and how much may wait for an endpoint (CONTRACT 2); the oldest give way."""


HUNG_SECONDS = 60.0
"""How long it is remembered that an endpoint did not answer a process that waited for it to the end."""
VERSION = 1
"""The journal format that is delivered; what a newer version wrote is left to it."""


def sent_file(segment: Path) -> Path:
    """The file beside a segment that says up to which byte its endpoint has taken it."""
    return segment.with_suffix(".sent")


def mark(segment: Path, offset: int) -> None:
    """Remembers that an endpoint has taken a segment up to `offset`; raises OSError where that cannot be written."""
    file = os.open(sent_file(segment), os.O_WRONLY | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
    try:
        os.write(file, b"%020d" % offset)
    finally:
        os.close(file)


def taken(segment: Path) -> int:
    """Up to which byte a segment's endpoint has taken it."""
    try:
        return int(sent_file(segment).read_bytes())
    except (OSError, ValueError):
        return 0


def remove(segment: Path) -> None:
    """Removes a segment that nobody needs any more."""
    segment.unlink(missing_ok=True)
    sent_file(segment).unlink(missing_ok=True)


def hangs(directory: Path, destination: str | None) -> bool:
    """Whether a process has just spent its exit budget on an endpoint that does not answer: the others need not."""
    with contextlib.suppress(OSError):
        return 0 <= time.time() - _hung_file(directory, destination).lstat().st_mtime < HUNG_SECONDS
    return False


def note_hanging(directory: Path, destination: str | None) -> None:
    """Tells the processes that end after this one; where that cannot be written, each waits for itself."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
    with contextlib.suppress(OSError):
        file = os.open(_hung_file(directory, destination), flags, 0o600)
        try:
            os.write(file, b".")  # sets the time of a file that is there already
        finally:
            os.close(file)


def note_answer(directory: Path, destination: str | None) -> None:
    """Tells them that it answers again."""
    with contextlib.suppress(OSError):
        _hung_file(directory, destination).unlink(missing_ok=True)


def _hung_file(directory: Path, destination: str | None) -> Path:
    return directory / f"{destination}.hangs"


def closed(directory: Path, destination: str | None) -> Iterator[tuple[Path, bool]]:
    """The segments for `destination` whose writers have ended, oldest first; each is locked while it is the one given.

    Yields:
        The segment, and whether the local store wants it after its delivery.
    """
    for path in sorted(directory.glob("*.jsonl")):
        header = header_of(path)
        if header is None or header.get("destination") != destination or header.get("v") != VERSION:
            continue
        held = abandoned(path)
        if held is None:
            continue
        try:
            if os.fstat(held).st_nlink:  # else another process has delivered it meanwhile
                yield path, bool(header.get("keep"))
        finally:
            os.close(held)


class Aside:
    """Records whose spans were taken and whose events were not: they wait in segments of their own."""

    def __init__(self, directory: Path, destination: str | None) -> None:
        """Opens nothing yet.

        Args:
            directory: Of the journal.
            destination: The fingerprint of the endpoint of events.
        """
        self._directory = directory
        self._destination = destination
        self._segment: Segment | None = None
        self._header: Mapping[str, Any] | None = None

    def keep(self, records: Sequence[Mapping[str, Any]], header: Mapping[str, Any]) -> bool:
        """Writes records of the segment that `header` begins; whether that could be done."""
        try:
            if self._segment is None or header != self._header:
                self.close()
                told = {**header, "destination": self._destination, "keep": False, "events": True}
                self._segment, self._header = Segment(self._directory, told), header
            for record in records:
                self._segment.append(written({**record, "kind": "event"}))
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Gives the segment to whoever delivers next."""
        segment, self._segment = self._segment, None
        if segment is not None:
            with contextlib.suppress(OSError):
                segment.close()


def bound(store: Path, directory: Path, keep: Callable[[Path], bool]) -> None:
    """Drops what waits for too long or takes too much room, the oldest first, and notes how many calls that were.

    It covers the segments of every endpoint, so that those of one that is no longer in use go as well.

    Args:
        store: The store's directory.
        directory: Where its segments are.
        keep: Takes a segment to the local store, where the user wants that; whether it could.
    """
    room = WAITING_BYTES
    for path in sorted(directory.glob("*.jsonl"), reverse=True):
        with contextlib.suppress(OSError):
            found = path.stat()
            room -= found.st_size
            if room >= 0 and time.time() - found.st_mtime <= WAITING_SECONDS:
                continue
            header = header_of(path)
            if header is not None and header.get("destination") is None:
                continue
            held = abandoned(path)
            if held is None:
                continue
            if header is None:  # damaged: nobody can say whose it is, or how many calls it had
                os.close(held)
                remove(path)
                health.note(store, "dropped", "damaged file in the journal")
                continue
            try:
                if header.get("keep") and not keep(path):
                    continue
                calls = _calls_after(path, taken(path))
                remove(path)
            finally:
                os.close(held)
            if calls:
                events = "events: " if header.get("events") else ""
                reason = (
                    f"{events}more than {WAITING_BYTES >> 20} MiB waited"
                    if room < 0
                    else f"{events}waited longer than 48 h"
                )
                health.note(store, "dropped", reason, calls, destination=header.get("destination"))


def _calls_after(path: Path, offset: int) -> int:
    count = 0
    while True:
        batch, end = lines(path, offset)
        if end == offset:
            return count
        count += sum(record.get("kind") in ("call", "event") for record in batch)
        offset = end
