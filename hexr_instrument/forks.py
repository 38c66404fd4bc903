"""Before a fork: whether only our threads run beside the one that forks, and what must not be under way then.

From 3.12 on, CPython warns of a fork where the operating system counts more than one thread. A program that is single
threaded without us shall not be warned because of us.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator

VANISH_SECONDS = 0.1
"""How long an ended thread may take to leave the operating system's count."""
GATE_SECONDS = 0.25
"""How long a fork may wait for a thread to leave a gate."""


class Gate:
    """What no fork should find a thread of this process in: `with gate`. A fork waits for it, for a moment.

    SQLite is such a thing: a child of a process that has a connection inherits locks that nobody gives back, and
    believes that it holds those of the file (sqlite.org/howtocorrupt.html, 2.6).
    """

    def __init__(self) -> None:
        """Stands open. Of two hooks before a fork, the later one runs first: make gates before threads."""
        self._state = threading.Condition()
        self._inside = 0
        self._closing = False
        self._holder = 0
        self.spoiled = False
        """Whether this process was forked while a thread of its parent was inside: it must not go in."""
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(before=self._close, after_in_parent=self._open, after_in_child=self._renew)

    def __enter__(self) -> None:
        """Goes in, beside others; not before a fork that waits."""
        with self._state:
            self._state.wait_for(lambda: not self._closing, GATE_SECONDS)
            self._inside += 1

    def __exit__(self, *raised: object) -> None:
        """Goes out."""
        with self._state:
            self._inside -= 1
            self._state.notify_all()

    def _close(self) -> None:
        if self._state.acquire(timeout=GATE_SECONDS):
            self._closing = True
            self._state.wait_for(lambda: not self._inside, GATE_SECONDS)
            self._closing = False
            self._holder = threading.get_ident()

    def _open(self) -> None:
        if self._holder == threading.get_ident():
            self._holder = 0
            self._state.notify_all()
            self._state.release()

    def _renew(self) -> None:
        self.spoiled |= self._inside > 0 or not self._holder
        self._state, self._inside, self._closing, self._holder = threading.Condition(), 0, False, 0


database = Gate()
"""The store's connections."""


def alone(*ours: threading.Thread | None) -> bool:
    """Whether no other thread of Python runs than this one and `ours`."""
    return threading.active_count() - sum(each is not None and each.is_alive() for each in ours) <= 1


def gone(*ended: threading.Thread | None) -> None:
    """Waits until the operating system counts these no more: up to 3.12, `join` returns a moment before."""
    ids = [each.native_id for each in ended if each is not None]
    until(lambda: not any(os.path.exists(f"/proc/self/task/{each}") for each in ids))


def until(reached: Callable[[], bool]) -> None:
    """Waits for something that is a matter of moments."""
    deadline = time.monotonic() + VANISH_SECONDS
    while not reached() and time.monotonic() < deadline:
        time.sleep(0.0005)


def names() -> Iterator[str]:
    """The names of this process's threads as the operating system knows them; none where it does not tell."""
    for task in os.listdir("/proc/self/task") if os.path.isdir("/proc/self/task") else ():
        try:
            with open(f"/proc/self/task/{task}/comm") as file:
                yield file.read().strip()
        except OSError:  # it has just ended
            continue
