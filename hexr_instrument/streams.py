"""Streams stay the SDK's own objects: what ends a call whose body is still open.

Two kinds: an HTTP response that somebody closes (its `close` is hooked on the instance, weakly, so that a dropped
stream is freed as without us), and a generator that is our target's own result.
"""

from __future__ import annotations

import sys
import time
import weakref
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from types import FrameType
from typing import Any

from .guard import guarded
from .live import Live

_MARK = "_hexr_call"


def live_of(response: Any) -> Live | None:
    """The call that an open response belongs to."""
    return getattr(response, _MARK, None)


def defer(response: Any, live: Live, late: Callable[[Any], Any] | None = None, *, held: bool = False) -> None:
    """Lets the call end when the response's body has been read, is closed, fails, or is dropped.

    Args:
        response: The open HTTP response.
        live: The call.
        late: Reads the payload of a closed response that nobody has parsed; None where it cannot be read.
        held: Whether the stream itself is followed to its end, which comes after the transport's.
    """
    kind: Any = response.__class__
    weak = weakref.ref(response)
    closed_at: list[int] = []
    lost: list[BaseException] = []

    def ending(frame: FrameType, response: Any) -> None:
        if not closed_at:
            closed_at.append(time.perf_counter_ns())
        error = _failure(frame, response)
        if response is not None and frame.f_locals.get("self") is response:
            # The transport closes itself, at the end of the body or because it has failed.
            if error is not None:
                # What the SDK makes of that is known when it closes, too. The traceback holds this very response:
                # what is kept until then is a blank of the exception's class.
                lost.append(type(error).__new__(type(error)))
                return
            if held or (not live.call.request.stream and live.call.payload is None):
                return  # a JSON body is parsed after it has been read
        _unhook(response)
        if late is not None and live.call.payload is None and not live.call.request.stream:
            live.feed(guarded(late, response))
        live.unread = not getattr(response, "is_stream_consumed", True)
        live.end(error or next(iter(lost), None), at=closed_at[0])

    def forgotten() -> None:
        live.unread = not lost
        live.end(next(iter(lost), None), at=next(iter(closed_at), None))

    def close() -> Any:
        frame = sys._getframe(1)
        found = weak() or guarded(_closing, frame, "close", close)
        guarded(ending, frame, found)
        return None if found is None else kind.close(found)

    def aclose() -> Any:
        frame = sys._getframe(1)
        found = weak() or guarded(_closing, frame, "aclose", aclose)
        guarded(ending, frame, found)
        return _nothing() if found is None else kind.aclose(found)

    setattr(response, _MARK, live)
    response.close = close
    response.aclose = aclose
    weakref.finalize(response, guarded, forgotten)


def _closing(frame: FrameType, name: str, hook: Any) -> Any:
    """The response that `frame` is closing, by our hook on it: the collector clears weak references before generators."""
    values = frame.f_locals.values()
    return next((each for each in values if getattr(each, "__dict__", {}).get(name) is hook), None)


async def _nothing() -> None:
    return None


def _unhook(response: Any) -> None:
    for name in ("close", "aclose", _MARK):
        getattr(response, "__dict__", {}).pop(name, None)


def _failure(frame: FrameType, response: Any = None) -> BaseException | None:
    """What the stream is failing with, if it is the reader in `frame` or the response itself that fails.

    `exc_info` alone would also show what the program is handling around its loop; the traceback tells them apart.
    """
    error = sys.exc_info()[1]
    at = None if error is None else error.__traceback__
    while at is not None:
        if at.tb_frame is frame or (response is not None and at.tb_frame.f_locals.get("self") is response):
            return None if isinstance(error, GeneratorExit) else error
        at = at.tb_next
    return None


def follow(stream: Any, live: Live, held: str | None = None) -> None:
    """Ends the call with an SDK's stream, which stays the same object; keeps out the chunk that only we asked for.

    The response's close alone does not do: some versions of the SDKs leave it open when they fail.

    Args:
        stream: The SDK's own.
        live: The call.
        held: The attribute that holds its events, if they are to be fed from there; None where another target does it.
    """
    name = held or "_iterator"
    chunks = getattr(stream, name, None)
    if chunks is not None:
        passed = AsyncChunks if hasattr(chunks, "__anext__") else passed_on
        setattr(stream, name, passed(chunks, live, feed=held is not None))


def passed_on(chunks: Iterator[Any], live: Live, *, feed: bool) -> Generator[Any, Any, None]:
    """The same chunks, but for the one that the caller did not ask for; the call ends with them.

    Args:
        chunks: The SDK's own iterator.
        live: The call.
        feed: Whether the call sees its chunks here; else it is fed where the SDK parses them.
    """
    try:
        for chunk in chunks:
            if feed:
                guarded(live.feed, chunk)
            if live.hidden is None or chunk is not live.hidden:
                yield chunk
        live.whole = True
    finally:
        guarded(_end, live, sys._getframe())


class AsyncChunks(AsyncIterator[Any]):
    """The asynchronous twin of `passed_on`.

    No generator: the event loop closes each asynchronous generator that is left open, all at once, and one of ours
    around the SDK's own would be closed while that one is.
    """

    __slots__ = ("__weakref__", "_chunks", "_feed", "_live")

    def __init__(self, chunks: AsyncIterator[Any], live: Live, *, feed: bool) -> None:
        """Takes the SDK's own iterator; the arguments are those of `passed_on`."""
        self._chunks = chunks
        self._live = live
        self._feed = feed
        weakref.finalize(self, guarded, _over, live, None)

    async def __anext__(self) -> Any:
        live = self._live
        while True:
            try:
                chunk = await self._chunks.__anext__()
            except BaseException as error:  # the stream's end, whatever it is: noted and raised again
                live.whole = isinstance(error, StopAsyncIteration)
                guarded(_over, live, None if isinstance(error, StopAsyncIteration | GeneratorExit) else error)
                raise
            if self._feed:
                guarded(live.feed, chunk)
            if live.hidden is None or chunk is not live.hidden:
                return chunk

    async def aclose(self) -> None:
        """Closes the SDK's own iterator."""
        guarded(_over, self._live, None)
        closing = getattr(self._chunks, "aclose", None)
        if closing is not None:
            await closing()


def _over(live: Live, error: BaseException | None) -> None:
    live.unread = error is None and live.call.payload is None
    live.end(error)


def _end(live: Live, frame: FrameType) -> None:
    _over(live, _failure(frame))
