"""What waits to be counted in one process: the caller's side, which appends and never waits, and loads nothing."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..config import Config
from . import theirs

if TYPE_CHECKING:
    from .lazy import LazyMeterProvider
    from .work import Metrics

LIMIT = 16384
"""Measurements that wait for the worker; the oldest give way."""


class Queue:
    """Records, and measurements of the program's own, on their way to the instruments."""

    def __init__(self, config: Config, resource: Callable[[], Mapping[str, Any]], wake: Callable[[bool], None]) -> None:
        """Loads nothing yet.

        Args:
            config: Where metrics go.
            resource: The attributes of this process's resource.
            wake: Says to the worker that something waits, and whether it should come at once.
        """
        self._config = config
        self._resource = resource
        self._wake = wake
        self._waiting: deque[Any] = deque(maxlen=LIMIT)
        self.lazy: LazyMeterProvider | None = None
        """The lazy global meter provider, where one was set."""
        self.budgets: Callable[[], Mapping[str, float]] | None = None
        """The share of each budget that is spent, by its name, where there are budgets."""
        self._metrics: Metrics | None = None
        self._refused: set[str] = set()

    def __len__(self) -> int:
        """How many measurements wait."""
        return len(self._waiting)

    def wanted(self) -> bool:
        """Whether there is anybody to measure calls for."""
        return bool(self._config.metrics) or theirs() is not None

    def measure(self, record: Mapping[str, Any], gaps: list[int] | None = None) -> None:
        """Takes a finished record, where there is anybody to measure it for.

        Args:
            record: The record.
            gaps: Nanoseconds between the chunks of a stream.
        """
        if self.wanted():
            kept = {name: value for name, value in record.items() if name != "content"}
            self.put(kept | {"gaps": gaps} if gaps else kept)

    def put(self, measured: Any) -> None:
        """Takes a record, a measurement of the program's own, or None for the worker to look at its instruments."""
        self._waiting.append(measured)
        self._wake(self._metrics is None or measured is None or len(self._waiting) == LIMIT // 4)

    # -- the worker's side

    def count(self, busy: threading.Lock) -> None:
        """Records what waits; `busy` is held meanwhile where a fork has to wait for that."""
        if self._waiting:
            if self._metrics is None:
                with busy:
                    from .work import Metrics  # noqa: PLC0415  (the metrics API is loaded in the worker's thread)

                    self._metrics = Metrics(self._config, self._waiting, self._resource, self.lazy, self.budgets)
            self._metrics.drain(busy)

    def send(self, *, now: bool) -> Mapping[str, int]:
        """Sends what is due, or what is new `now`.

        Returns:
            How many points a backend will never take, by what it said, each reason once: the next export says the same.
        """
        lost: Mapping[str, int] = {} if self._metrics is None else self._metrics.export(now=now)
        said = {reason: count for reason, count in lost.items() if reason not in self._refused}
        self._refused.update(said)
        return said

    def rest(self) -> None:
        """Ends what would run without the worker's thread."""
        if self._metrics is not None:
            self._metrics.rest()

    def shutdown(self) -> None:
        """Ends the exporters."""
        if self._metrics is not None:
            self._metrics.shutdown()

    def after_fork(self) -> None:
        """Starts clean in a forked child: what waits is the parent's."""
        self._waiting.clear()
        if self._metrics is not None:
            self._metrics.after_fork()
