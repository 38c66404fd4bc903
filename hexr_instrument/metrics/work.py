"""The worker's side of metrics: what was measured goes to our own provider, or to the program's.

A measurement on the program's provider is made under the worker's own lock, which a fork waits for: a child must not
inherit a lock of the metrics SDK that nobody will ever give back. Our own provider belongs to one process; a child
makes a new one.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from ..config import Config
from ..guard import guarded
from . import theirs
from .instruments import Instruments, around
from .points import Points

if TYPE_CHECKING:
    from ..export.metrics import Own
    from .lazy import LazyMeterProvider

_PATIENCE = 1.0
"""Seconds that a collection waits for the worker to end what it is recording."""


class Metrics:
    """The metrics of one process."""

    def __init__(
        self,
        config: Config,
        queue: deque[Any],
        resource: Callable[[], Mapping[str, Any]],
        lazy: LazyMeterProvider | None,
        budgets: Callable[[], Mapping[str, float]] | None = None,
    ) -> None:
        """Makes nothing yet.

        Args:
            config: Where metrics go, and with which labels.
            queue: Records, and measurements of the program's own: `(instrument, method, amount, attributes, context)`.
            resource: The attributes of this process's resource.
            lazy: The lazy global provider, where there is one.
            budgets: The share of each budget that is spent, by its name, where there are budgets.
        """
        self._budgets = budgets
        self._config = config
        self._queue = queue
        self._resource = resource
        self._lazy = lazy
        self.after_fork()

    def after_fork(self) -> None:
        """Starts clean: no count of the parent's, none of its locks, nothing of its own provider."""
        own: Own | None = getattr(self, "_own", None)
        if own is not None:
            guarded(own.forget)
        self._own: Own | None = None
        self._points = Points(self._config.metric_labels, self._config.semconv)
        self._draining = threading.Lock()
        self._changed = False
        """Whether anything was recorded since the last export."""
        self._due = time.monotonic() + self._config.metric_interval
        if own is not None or not hasattr(self, "_instruments"):
            self._instruments: Instruments | None = None

    def drain(self, busy: threading.Lock) -> None:
        """Records what waits; `busy` is held meanwhile where a fork has to wait for that."""
        self._busy = busy
        with self._draining:
            self._drain()
        other = theirs()
        provider = other if other is not None or self._own is None else self._own.provider
        if self._lazy is not None and provider is not None:
            self._lazy.follow(provider)

    def _drain(self) -> None:
        while self._queue:
            provider = theirs()
            if provider is None and self._own is not None:
                self._record(self._own.provider)
            else:
                with self._busy:
                    self._record(self._mine() if provider is None else provider)

    def _record(self, provider: Any) -> None:
        """Records what waits, at most so much that a fork need not wait long."""
        if provider is None:
            self._queue.clear()
            return
        if self._instruments is None or self._instruments.provider is not provider:
            self._instruments = Instruments(provider, self._config.semconv, self._folded, self._budgets)
        self._changed = True
        for _ in range(16):
            try:
                found = self._queue.popleft()
            except IndexError:  # a collection was quicker
                return
            if found is not None:
                guarded(self._take, found, self._instruments)

    def _take(self, found: Any, instruments: Instruments) -> None:
        """Records a record's measurements, or one that the program made itself before there was a provider."""
        if not isinstance(found, dict):
            instrument, method, *measured = found
            getattr(instrument.on(instruments.provider), method)(*measured)
            return
        record = cast("Mapping[str, Any]", found)
        inside = around(record)
        for metric, value, attributes in self._points.of(record):
            instruments.record(metric, value, attributes, inside)

    def _folded(self) -> Mapping[str, int]:
        """Asked by a collection, which so finds every call that has ended, whichever thread makes it."""
        if self._draining.acquire(timeout=_PATIENCE):
            try:
                guarded(self._drain)
            finally:
                self._draining.release()
        return dict(self._points.folded)

    # -- our own provider

    def _mine(self) -> Any:
        if self._own is None and self._config.metrics:
            from ..export.metrics import Own  # noqa: PLC0415  (the metrics SDK is loaded in this thread)

            self._own = Own(self._config, self._resource())
        return None if self._own is None else self._own.provider

    def export(self, *, now: bool) -> Mapping[str, int]:
        """Sends what is due, or what is new `now`; what a backend will never take, by what it said."""
        own = self._own
        if own is None:
            return {}
        given_way = theirs() is not None
        watched = self._lazy is not None and self._lazy.watched
        hasty = now and (self._changed or watched)
        if not hasty and not given_way and time.monotonic() < self._due:
            return {}
        self._due = time.monotonic() + self._config.metric_interval
        self._changed = False
        lost = own.export()
        if given_way:  # what was measured before has been sent; what follows is the program's own pipeline's
            own.shutdown()
            self._own = None
        return lost

    def rest(self) -> None:
        """Ends what would run without the worker's thread."""
        if self._own is not None:
            self._own.rest()

    def shutdown(self) -> None:
        """Ends the exporters."""
        if self._own is not None:
            self._own.shutdown()
