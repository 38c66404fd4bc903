"""Calls as they end: what is new in the stores, looked for twice a second, until Ctrl-C or until nobody reads on."""

from __future__ import annotations

import contextlib
import select
import time
from collections.abc import Callable, Sequence
from typing import TextIO

from ..store import Filter, Record, Store, StoreUnwritableError

PERIOD = 0.5
"""Seconds between two looks."""


def follow(
    stores: Sequence[Store],
    marks: Sequence[str | None],
    only: Filter,
    stdout: TextIO,
    show: Callable[[Sequence[Record]], bool],
) -> None:
    """Hands on what is new until it is interrupted.

    Args:
        stores: Where to look.
        marks: For each store, from where on; see `Store.later`.
        only: Which calls count.
        stdout: Where `show` writes: if it is a pipe, its other end is watched.
        show: Takes the calls that are new, in the order of their ends; False is the end.

    Raises:
        StoreError: a store cannot be read.
    """
    marks = list(marks)
    try:
        while _waited(stdout):
            new: list[Record] = []
            for at, store in enumerate(stores):
                # What cannot be taken in was said when it began; what other processes take in is seen.
                with contextlib.suppress(StoreUnwritableError):
                    store.ingest_all()
                found, marks[at] = store.later(marks[at], only)
                new += found
            if new and not show(sorted(new, key=lambda one: one.start + (one.duration or 0))):
                return
    except KeyboardInterrupt:
        return


def _waited(stdout: TextIO) -> bool:
    """Lets the time pass; False if whoever reads the pipe has gone: nothing may be written for hours."""
    try:
        watch = select.poll()
        watch.register(stdout.fileno(), 0)
    except (AttributeError, OSError, ValueError):  # Windows, and what is no file
        time.sleep(PERIOD)
        return True
    return not watch.poll(PERIOD * 1000)
