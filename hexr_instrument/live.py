"""A call under way: what has come of it so far, and that it ends once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Protocol

from opentelemetry.trace import Span

from . import content
from .call import Call, Content
from .guard import Breaker, attempt, guarded
from .worker import Worker

CURRENT: ContextVar[Live | None] = ContextVar("hexr_call", default=None)
"""The call whose request is under way in this context; between two chunks of a stream there is none."""


GAPS = 1 << 16
"""How many gaps between the chunks of one stream are measured."""


class Keeper(Protocol):
    """Where calls are ended: the recorder."""

    worker: Worker

    def finish(self, live: Live, error: BaseException | None) -> None:
        """Reads what came back and keeps the record."""
        ...

    def foretell(self, live: Live) -> None:
        """Adds what a stream has come to to its adopted span."""
        ...


def covered() -> bool:
    """Whether a request that is made here is the one of a gateway's call, which is recorded already."""
    live = CURRENT.get()
    return live is not None and live.call.request.gateway and not live.ended


class Live:
    """A call that has started and not yet ended."""

    __slots__ = (
        "__weakref__",
        "_ended",
        "_lock",
        "adopted",
        "amended",
        "breaker",
        "call",
        "chunk_at",
        "clock",
        "entered",
        "faulty",
        "gaps",
        "generation",
        "hidden",
        "invocation",
        "recorder",
        "span",
        "unread",
        "whole",
    )

    def __init__(self, recorder: Keeper, call: Call, span: Span | None, invocation: Any) -> None:
        self.recorder = recorder
        self.call = call
        self.span = span
        """The span of the program's own provider, whose pipeline delivers it; None where the record is exported."""
        self.adopted = False
        """Whether that span is another hand's, which will end it."""
        self.invocation = invocation
        self.clock = time.perf_counter_ns()
        self.entered: list[tuple[Callable[[Any], Any], Any]] = []
        """What takes back, from last to first, that this is the current call of its context."""
        self.amended: tuple[tuple[Any, ...], dict[str, Any]] | None = None
        """The arguments of the request where they are not the caller's own: with usage asked for."""
        self.hidden: Any = None
        """The parsed chunk that the caller did not ask for."""
        self.generation = recorder.worker.generation
        self.breaker: Breaker | None = None
        """What counts the faults of this call's provider."""
        self.faulty = False
        """Whether a step of ours failed in this call."""
        self.gaps: list[int] | None = [] if call.request.stream and recorder.worker.metrics.wanted() else None
        """Nanoseconds between the chunks of a stream, where they are measured."""
        self.chunk_at = 0
        self.unread = False
        """Whether a stream ended before anything of it was read."""
        self.whole = False
        """Whether a stream was read to its end."""
        self._ended = False
        self._lock = threading.RLock()

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return self._ended

    @property
    def quiet(self) -> bool:
        """Whether the request itself is no call and leaves no span."""
        return self.call.request.billing in ("quiet", "job", "owed")

    def blame(self) -> None:
        """Notes that a step of ours failed in this call."""
        self.faulty = True

    def feed(self, data: Any) -> None:
        """Takes a parsed body or, of a stream, one event; a fault of its reader counts against the provider."""
        guarded(self.take, data)

    def take(self, data: Any) -> None:
        """The same, for who guards it: runs for each chunk of a stream."""
        if self._ended or data is None:
            return
        call, faulty = self.call, self.faulty
        self.faulty = True  # unless it comes to its end
        request = call.request
        wire = request.format
        if wire.plain is not None:
            data = wire.plain(data)
        if not request.stream:
            call.payload = data
            self.faulty = faulty
            return
        if request.chunk is not None:
            data = request.chunk(data)
        if (call.first_chunk is None or self.gaps is not None) and wire.substance(data):
            now = time.perf_counter_ns()
            if call.first_chunk is None:
                call.first_chunk = now - self.clock
            elif self.gaps is not None and len(self.gaps) < GAPS:
                self.gaps.append(now - self.chunk_at)
            self.chunk_at = now
        call.payload = wire.fold(call.payload, data)
        if self.adopted and wire.finished(call.payload):
            guarded(self.recorder.foretell, self)
        if call.content is not None and wire.content is not None:
            call.heard = guarded(self._hear, wire.content, data) or call.heard
        self.faulty = faulty

    def hide(self, chunk: Any) -> None:
        """Keeps a parsed chunk that only we have asked for from the caller."""
        self.hidden = chunk

    def _hear(self, reader: Content, data: Any) -> Any:
        return reader.fold(self.call.heard, content.plain(data))

    def end(self, error: BaseException | None = None, *, at: int | None = None) -> None:
        """Ends the call, once; later calls do nothing, nor does a forked child's end of its parent's call.

        Args:
            error: What ended it, if it was not its own completion.
            at: `perf_counter_ns` at the end, if that is not now.
        """
        if self.generation != self.recorder.worker.generation:
            return
        with self._lock:
            if self._ended:
                return
            self._ended = True
        self.call.end = self.call.start + (at or time.perf_counter_ns()) - self.clock
        attempt(self.blame, self.recorder.finish, self, error)
        if self.breaker is not None:
            guarded(self.breaker.failed if self.faulty else self.breaker.worked)
