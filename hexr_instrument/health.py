"""What a process must tell after it is gone: calls that were dropped or refused, and why. `doctor` reads it.

One JSON line a note in the store's `health.jsonl`, appended by many processes at once; it holds counts and reasons,
never anything of a call.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import private

LIMIT = 256 << 10
"""Size in bytes at which the older half of the notes gives way."""


def file_of(store: Path) -> Path:
    """Where a store's notes are."""
    return store / "health.jsonl"


def note(store: Path, kind: str, reason: str, count: int = 1, **fields: Any) -> None:
    """Appends one note; a store that cannot be written loses it.

    Args:
        store: The store's directory.
        kind: What happened: `dropped`, `refused`, `breaker`, ...
        reason: Why, in a few words that name the mend where there is one.
        count: How many calls (or other things) it concerns.
        fields: More facts of it, each a JSON value.
    """
    line = json.dumps(
        {"time": time.time_ns(), "pid": os.getpid(), "kind": kind, "reason": reason, "count": count, **fields}
    )
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    with contextlib.suppress(OSError):
        if private.fault(store) is not None:
            return
        path = file_of(store)
        file = os.open(path, flags, 0o600)
        try:
            os.write(file, line.encode() + b"\n")
            size = os.fstat(file).st_size
        finally:
            os.close(file)
        if size > LIMIT:
            _halve(path)


def _halve(path: Path) -> None:
    kept = path.read_bytes()[-LIMIT // 2 :]
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o600)
    with os.fdopen(file, "wb") as new:
        new.write(kept[kept.find(b"\n") + 1 :])
    beside.replace(path)


def notes(store: Path, since: int = 0) -> list[Mapping[str, Any]]:
    """The notes of a store, oldest first.

    Args:
        store: The store's directory.
        since: Nanoseconds since the epoch; older notes are left out.
    """
    try:
        with file_of(store).open("rb") as file:
            data = file.read(4 * LIMIT)
    except OSError:
        return []
    found: list[Mapping[str, Any]] = []
    for line in data.splitlines():
        with contextlib.suppress(ValueError, RecursionError):
            entry: dict[str, Any] | None = json.loads(line)
            if isinstance(entry, dict) and type(entry.get("time")) is int and entry["time"] >= since:
                found.append(entry)
    return found
