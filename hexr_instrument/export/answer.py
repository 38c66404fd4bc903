"""What a backend says to a batch, and what becomes of the batch then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol


@dataclass(frozen=True, slots=True)
class Answer:
    """What a backend said to one export request."""

    verdict: Literal["taken", "later", "large", "refused"]
    reason: str = ""
    """What it said, in words: `HTTP 503`, `UNAVAILABLE`, `no connection`."""
    wait: float = 0.0
    """Seconds that it asked to be left alone."""
    rejected: int = 0
    """How many spans (or events) of a request that was taken it did not take."""


@dataclass(slots=True)
class Outcome:
    """What became of a batch."""

    delivered: bool = True
    """Whether nothing of it needs to wait: each span was taken, or refused for good."""
    reason: str = ""
    """Why it has to wait."""
    wait: float = 0.0
    """Seconds that the backend asked to be left alone."""
    aside: list[Mapping[str, Any]] = field(default_factory=list[Mapping[str, Any]])
    """Records whose spans were taken, and whose events have to wait."""
    lost: dict[str, int] = field(default_factory=dict[str, int])
    """How many spans the backend will never take, by what it said."""

    def lose(self, reason: str, count: int) -> None:
        """Counts spans that the backend will never take."""
        if count:
            self.lost[reason] = self.lost.get(reason, 0) + count


class Sink(Protocol):
    """One exporter, and what its backend answered."""

    def send(self, batch: Sequence[Any]) -> Answer:
        """Sends one request, once."""
        ...

    def rest(self) -> None:
        """Ends its threads, and whatever else a forked child must not share; the next `send` begins anew."""
        ...

    def shutdown(self) -> None:
        """Ends it."""
        ...
