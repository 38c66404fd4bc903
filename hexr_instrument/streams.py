"""Streams stay the SDK's own objects: what ends a call whose body is still open.

Two kinds: an HTTP response that somebody closes (its `close` is hooked on the instance, weakly, so that a dropped
stream is freed as without us), and a generator that is our target's own result.
"""

from __future__ import annotations

import sys
import time
import weakref
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from functools import lru_cache, wraps
from types import FrameType
from typing import Any

from .call import pick
from .guard import guarded
from .live import Live

MARK = "_hexr_call"
"""The attribute of an open response that holds its call."""
_STEPS = "_hexr_steps"


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

    setattr(response, MARK, live)
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
    for name in ("close", "aclose", MARK):
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


def overhear(source: Any, live: Live, payload_of: Callable[[bytes], Any] | None, length: int | None) -> None:
    """Ends the call when the program has read the body to its end, and feeds it what the program has read.

    The object stays the same; its class becomes one of the same name that listens, until the call has ended. (A hook on
    the instance alone would not hold it, and `client.invoke(...)["body"].read()` drops it before it is read.)

    Args:
        source: What the program reads from.
        live: The call.
        payload_of: All bytes of the body -> its payload.
        length: How many bytes these are; None where only the end of the body tells.
    """
    kind: Any = source.__class__
    if type(source) is not kind:  # a proxy: its class is another object's
        return
    source.__dict__["_hexr_heard"] = _Heard(kind, live, payload_of, length)
    source.__class__ = _listening(kind)


class _Heard:
    """What has been read of a body so far."""

    __slots__ = ("busy", "kind", "left", "live", "payload_of", "pieces")

    def __init__(
        self, kind: type[Any], live: Live, payload_of: Callable[[bytes], Any] | None, length: int | None
    ) -> None:
        self.kind = kind
        self.live = live
        self.payload_of = payload_of
        self.left = length
        self.pieces: list[bytes] = []
        self.busy = False
        """Whether one way of reading goes through another one."""

    def take(self, source: Any, piece: bytes, asked: int | None) -> None:
        if piece:
            self.pieces.append(piece)
        if self.left is not None:
            self.left -= len(piece)
        if asked is None or asked < 0 or (asked and not piece) or self.left == 0:
            if self.payload_of is not None:
                self.live.feed(guarded(self.payload_of, b"".join(self.pieces)))
            self.over(source, None)

    def over(self, source: Any, error: BaseException | None) -> None:
        source.__class__ = self.kind
        source.__dict__.pop("_hexr_heard", None)
        self.live.end(error)


def _read(name: str, original: Any, source: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """One read of a body that is overheard; awaitable where the body's own is."""
    heard: _Heard | None = source.__dict__.get("_hexr_heard")
    if heard is None or heard.busy:
        return original(source, *args, **kwargs)
    heard.busy = True
    try:
        got = original(source, *args, **kwargs)
    except BaseException as error:  # the caller's own: noted and raised again
        guarded(heard.over, source, error)
        raise
    finally:
        heard.busy = False
    if hasattr(got, "__await__"):
        return _awaited(name, heard, source, got, args, kwargs)
    guarded(_took, name, heard, source, got, args, kwargs)
    return got


async def _awaited(
    name: str, heard: _Heard, source: Any, reading: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    heard.busy = True
    try:
        got = await reading
    except BaseException as error:  # the caller's own, also a cancellation: noted and raised again
        guarded(heard.over, source, error)
        raise
    finally:
        heard.busy = False
    guarded(_took, name, heard, source, got, args, kwargs)
    return got


def _took(name: str, heard: _Heard, source: Any, got: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    given: Any = args[0] if args else next(iter(kwargs.values()), None)
    if name == "readinto":
        heard.take(source, bytes(memoryview(given)[:got]), len(given))
    else:
        heard.take(source, got, given)


@lru_cache(maxsize=16)
def _listening(kind: type[Any]) -> type[Any]:
    def reader(name: str) -> Callable[..., Any]:
        original: Any = getattr(kind, name)

        @wraps(original)
        def read(self: Any, *args: Any, **kwargs: Any) -> Any:
            return _read(name, original, self, args, kwargs)

        return read

    readers = {name: reader(name) for name in ("read", "read1", "readinto") if hasattr(kind, name)}
    return type(kind.__name__, (kind,), {**readers, "__module__": kind.__module__, "__slots__": ()})


class _Listener:
    """A stream's own parser, and the call that hears what it makes of the events."""

    def __init__(self, parser: Any, live: Live) -> None:
        self._parser = parser
        self._live = live

    def __getattr__(self, name: str) -> Any:
        return getattr(self._parser, name)

    def parse(self, *args: Any, **kwargs: Any) -> Any:
        """What the parser makes of it, awaited where it is to be."""
        event = self._parser.parse(*args, **kwargs)
        if hasattr(event, "__await__"):
            return self._awaited(event, args)
        return self._hear(event, args)

    async def _awaited(self, parsing: Any, args: tuple[Any, ...]) -> Any:
        return self._hear(await parsing, args)

    def _hear(self, event: Any, args: tuple[Any, ...]) -> Any:
        guarded(self._live.feed, event)
        if guarded(pick, args, 0, "status_code") not in (None, 200):  # the stream raises it as soon as it is parsed
            guarded(self._live.end)
        return event


def follow(stream: Any, live: Live, held: str | None = None, parser: str | None = None) -> None:
    """Ends the call with an SDK's stream, which stays the same object; keeps out the chunk that only we asked for.

    The response's close alone does not do: some versions of the SDKs leave it open when they fail.

    Args:
        stream: The SDK's own.
        live: The call.
        held: The attribute that holds its events, if they are to be fed from there; None where another target does it.
        parser: The attribute whose `parse` makes its events, if they are to be fed from there instead.
    """
    if parser is not None:
        setattr(stream, parser, _Listener(getattr(stream, parser), live))
    name = held or "_iterator"
    chunks = getattr(stream, name, None)
    if chunks is not None:
        passed = AsyncChunks if hasattr(chunks, "__anext__") else passed_on
        setattr(stream, name, passed(chunks, live, feed=held is not None and parser is None))


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


def begun(chunks: Iterator[Any], live: Live) -> Generator[Any, Any, None]:
    """`passed_on` for a request that is under way: the call also ends if the program never asks for a chunk."""
    generator = passed_on(chunks, live, feed=True)
    weakref.finalize(generator, guarded, _over, live, None)
    return generator


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


class Steps:
    """What has been seen of a stream that is read by its class's own `__next__`."""

    __slots__ = ("_kept", "_seen", "live")

    def __init__(self, live: Live, kept: str | None) -> None:
        """Nothing yet.

        Args:
            live: The call.
            kept: The attribute of the stream that is the list of its chunks; None where what it returns is all.
        """
        self.live = live
        self._kept = kept
        self._seen = 0

    def took(self, stream: Any, chunk: Any) -> None:
        """After a step: feeds what is new."""
        if self._kept is None:
            self.live.feed(chunk)
            return
        chunks: list[Any] = getattr(stream, self._kept)
        new, self._seen = chunks[self._seen :], len(chunks)
        for each in new:
            self.live.feed(each)

    def ended(self, stream: Any, error: BaseException) -> None:
        """The step was the stream's last."""
        if self._kept is not None:
            self.took(stream, None)
        whole = isinstance(error, StopIteration | StopAsyncIteration)
        self.live.whole = whole
        _over(self.live, None if whole or isinstance(error, GeneratorExit) else error)


def watch(stream: Any, live: Live, kept: str | None) -> None:
    """Lets the call end with a stream whose class has `step` targets, also when it is dropped."""
    setattr(stream, _STEPS, Steps(live, kept))
    weakref.finalize(stream, guarded, _over, live, None)


def steps_of(stream: Any) -> Steps | None:
    """What has been seen of a stream that is watched; None once its call is over, and for any other."""
    steps = getattr(stream, "__dict__", {}).get(_STEPS)
    return None if steps is None or steps.live.ended else steps


def left(stream: Any) -> None:
    """The program closes it."""
    if (steps := steps_of(stream)) is not None:
        _over(steps.live, None)


def _over(live: Live, error: BaseException | None) -> None:
    live.unread = error is None and live.call.payload is None
    live.end(error)


def _end(live: Live, frame: FrameType) -> None:
    _over(live, _failure(frame))
