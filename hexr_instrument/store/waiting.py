"""What waits in the journal: calls that are on their way to an endpoint, or to the store itself."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..call import text
from ..journal import header_of, lines
from .write import sent


@dataclass(slots=True)
class Waiting:
    """The calls that wait for one destination."""

    destination: str | None
    """The fingerprint of an endpoint; None is the local store."""
    calls: int = 0
    bytes: int = 0
    oldest: int | None = None
    """When the oldest of them started, in nanoseconds since the epoch."""


def waiting(journal: Path, taken: Mapping[str, int]) -> list[Waiting]:
    """What waits in a journal, for each destination that something waits for.

    Args:
        journal: The directory of the segments.
        taken: Up to which byte the store has taken in a segment, by its name.

    Raises:
        OSError: the journal cannot be read.
    """
    found: dict[str | None, Waiting] = {}
    for path in sorted(journal.glob("*.jsonl")) if journal.is_dir() else ():
        header = header_of(path)
        if header is None:
            continue
        destination = text(header, "destination")
        offset = taken.get(path.name, 0) if destination is None else sent(path)
        into = Waiting(destination)
        while True:
            with contextlib.suppress(FileNotFoundError):  # delivered in the meantime
                records, end = lines(path, offset)
                if end > offset:
                    for record in records:
                        if record.get("kind") in ("call", "event"):
                            into.calls += 1
                            begun = record.get("start")
                            if type(begun) is int:
                                into.oldest = min(begun, begun if into.oldest is None else into.oldest)
                    into.bytes += end - offset
                    offset = end
                    continue
            break
        if into.calls:
            whole = found.setdefault(destination, Waiting(destination))
            whole.calls += into.calls
            whole.bytes += into.bytes
            times = [each for each in (whole.oldest, into.oldest) if each is not None]
            whole.oldest = min(times, default=None)
    return list(found.values())
