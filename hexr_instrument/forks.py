"""Before a fork: whether only our threads run beside the one that forks, and the wait until ended ones are gone.

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
