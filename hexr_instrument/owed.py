"""Work whose bill comes later: a background response, a batch, a run. Who started it, and that it is billed once.

The memory is this process's own, and bounded: of a batch that one process creates and another one polls, the caller of
the poll is the one who is recorded, and two processes that both see it completed record it twice.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from .call import Caller

KEPT = 10_000
"""How many works are remembered; the oldest is forgotten first."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a work was started."""

    caller: Caller
    parent: tuple[int, int, bool] | None
    """Trace id, span id and sampling of the span that the bill belongs under."""
    model: str | None
    """As asked for."""
    invocation: Any
    """The agent that was running, or None."""


class Owed:
    """The works that this process has started and not yet seen completed, and those that it has billed."""

    __slots__ = ("_known", "_lock")

    def __init__(self) -> None:
        """Remembers nothing yet."""
        self._known: dict[str, Origin | None] = {}
        self._lock = threading.Lock()

    def open(self, work: str, origin: Origin) -> None:
        """Notes who started a work; the first one who is seen with it did."""
        with self._lock:
            self._known.setdefault(work, origin)
            self._forget()

    def settle(self, work: str, stranger: Origin | None) -> Origin | None:
        """Whom a completed work is to be billed to, once: after that, and for a work that nobody here started, None.

        Args:
            work: Its id.
            stranger: Who is billed for a work that was started elsewhere; None if nobody is.
        """
        with self._lock:
            origin = self._known.get(work, stranger)
            if origin is not None:
                self._known.pop(work, None)
                self._known[work] = None
                self._forget()
            return origin

    def _forget(self) -> None:
        while len(self._known) > KEPT:
            del self._known[next(iter(self._known))]
