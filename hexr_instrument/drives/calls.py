"""The billed request, whole or streamed; the parsed bodies and events of it; and the spans that it makes superfluous."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import nullcontext
from functools import partial
from itertools import chain, islice
from typing import Any

from opentelemetry import trace

from .. import streams
from ..budgets import BudgetExceeded
from ..call import REGISTRATION, Provider, Target, mapping
from ..guard import attempt, guarded, undo
from ..live import CURRENT, Live, covered
from ..propagation import Apart
from ..recorder import Recorder
from .patch import Patch, Wrapper


def begin(
    patch: Patch, target: Target, recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Live | BudgetExceeded | None:
    """The call that starts here, why it must not be sent, or None for what is no call."""
    breaker = patch.breaker
    if breaker is None:  # taken off while this call was on its way here
        return None
    live = attempt(breaker.failed, _begun, patch.provider, target, recorder, instance, args, kwargs)
    if isinstance(live, Live):
        live.breaker = breaker
    return live


def _begun(
    provider: Provider, target: Target, recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Live | BudgetExceeded | None:
    request = None if covered() else provider.request(instance, args, kwargs, target.name)
    if request is None:
        return None
    amended = None
    hosts = recorder.config.stream_usage
    if request.stream and provider.amend is not None and ("*" in hosts or request.host in hosts):
        amended = guarded(provider.amend, args, kwargs, request)
    registered = getattr(provider.owner(instance), REGISTRATION, None)
    if (refusal := recorder.refusal(request, registered)) is not None:
        return refusal
    live = recorder.begin(request, registered)
    live.amended = amended
    return live


def _settle(provider: Provider, live: Live, result: Any) -> None:
    outcome = guarded(provider.outcome, result)
    if outcome is not None and outcome.body is not None:
        if outcome.read is not None:
            guarded(live.feed, outcome.payload)
            guarded(streams.overhear, outcome.read, live, outcome.late, outcome.length)
            streams.defer(outcome.body, live)
            return
        stream = result if outcome.stream is None else outcome.stream
        if outcome.payload is not None:
            guarded(live.feed, outcome.payload)
        guarded(streams.follow, stream, live, outcome.chunks, outcome.parser)
        streams.defer(outcome.body, live, outcome.late, held=outcome.chunks is not None)
        return
    if outcome is not None and outcome.steps is not None:
        streams.watch(outcome.steps, live, outcome.kept)
        return
    if outcome is not None and outcome.payload is not None:
        guarded(live.feed, outcome.payload)
    live.end()


def failed(live: Live, error: BaseException) -> None:
    """Ends a call with what its request has raised."""
    if isinstance(error, GeneratorExit):
        live.entered.clear()  # a coroutine closed from another context: there is nothing here to put back
    undo(live.entered)
    guarded(live.end, error)


def call(patch: Patch, target: Target, recorder: Recorder) -> Wrapper:
    """A function whose one call is one billed request."""
    provider = patch.provider

    def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        live = guarded(begin, patch, target, recorder, instance, args, kwargs)
        if isinstance(live, BudgetExceeded):  # on purpose, and outside of every guard: nothing is sent
            raise live
        if live is None:
            with Apart():
                return wrapped(*args, **kwargs)
        guarded(recorder.enter, live)
        args, kwargs = live.amended or (args, kwargs)
        try:
            result = wrapped(*args, **kwargs)
        except BaseException as error:  # the caller's own, also a cancellation: noted and raised again
            failed(live, error)
            raise
        undo(live.entered)
        guarded(_settle, provider, live, result)
        return result

    return wrapper


def acall(patch: Patch, target: Target, recorder: Recorder) -> Wrapper:
    """The same, awaited."""
    provider = patch.provider

    async def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        live = guarded(begin, patch, target, recorder, instance, args, kwargs)
        if isinstance(live, BudgetExceeded):  # on purpose, and outside of every guard: nothing is sent
            raise live
        if live is None:
            with Apart():
                return await wrapped(*args, **kwargs)
        guarded(recorder.enter, live)
        args, kwargs = live.amended or (args, kwargs)
        try:
            result = await wrapped(*args, **kwargs)
        except BaseException as error:  # the caller's own, also a cancellation: noted and raised again
            failed(live, error)
            raise
        undo(live.entered)
        guarded(_settle, provider, live, result)
        return result

    return wrapper


def stream(patch: Patch, target: Target, recorder: Recorder) -> Wrapper:
    """A target that is a generator function: nothing is sent before the first chunk is asked for."""

    def chunks(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        live = guarded(begin, patch, target, recorder, instance, args, kwargs)
        if isinstance(live, BudgetExceeded):  # on purpose, and outside of every guard: nothing is sent
            raise live
        if live is None:
            yield from wrapped(*args, **kwargs)
            return
        guarded(recorder.enter, live)
        try:
            source: Iterator[Any] = iter(wrapped(*args, **kwargs))
            first = tuple(islice(source, 1))  # the request is sent here, and what it makes beside is under the call
        except BaseException as error:  # the caller's own, also a cancellation: noted and raised again
            failed(live, error)
            raise
        undo(live.entered)
        yield from streams.passed_on(chain(first, source), live, feed=True)

    def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return chunks(wrapped, instance, args, kwargs)

    return wrapper


def astream(patch: Patch, target: Target, recorder: Recorder) -> Wrapper:
    """A target that is a coroutine function whose result is an asynchronous generator."""

    async def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        live = guarded(begin, patch, target, recorder, instance, args, kwargs)
        if isinstance(live, BudgetExceeded):  # on purpose, and outside of every guard: nothing is sent
            raise live
        if live is None:
            return await wrapped(*args, **kwargs)
        guarded(recorder.enter, live)
        try:
            chunks = await wrapped(*args, **kwargs)
        except BaseException as error:  # the caller's own, also a cancellation: noted and raised again
            failed(live, error)
            raise
        undo(live.entered)
        return guarded(streams.AsyncChunks, chunks, live, feed=True) or chunks

    return wrapper


def reply(patch: Patch, target: Target, recorder: Recorder) -> Wrapper:
    """A function that returns the whole answer or, with `stream=True`, a generator: nothing is sent before its first chunk."""
    whole, streamed = call(patch, target, recorder), stream(patch, target, recorder)

    def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return (streamed if kwargs.get("stream") else whole)(wrapped, instance, args, kwargs)

    return wrapper


def areply(patch: Patch, target: Target, recorder: Recorder) -> Wrapper:
    """The same, awaited."""
    whole, streamed = acall(patch, target, recorder), alate(patch, target, recorder)

    async def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return await (streamed if kwargs.get("stream") else whole)(wrapped, instance, args, kwargs)

    return wrapper


def flow(patch: Patch, target: Target, recorder: Recorder) -> Wrapper:
    """A function that returns the whole answer or, with `stream=True`, an iterator of chunks: it is sent at once."""
    whole = call(patch, target, recorder)

    def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not kwargs.get("stream"):
            return whole(wrapped, instance, args, kwargs)
        live = guarded(begin, patch, target, recorder, instance, args, kwargs)
        if isinstance(live, BudgetExceeded):  # on purpose, and outside of every guard: nothing is sent
            raise live
        if live is None:
            return wrapped(*args, **kwargs)
        guarded(recorder.enter, live)
        try:
            chunks = wrapped(*args, **kwargs)
        except BaseException as error:  # the caller's own, also a cancellation: noted and raised again
            failed(live, error)
            raise
        undo(live.entered)
        return guarded(streams.begun, chunks, live) or chunks

    return wrapper


def aflow(patch: Patch, target: Target, recorder: Recorder) -> Wrapper:
    """The same, awaited."""
    whole, streamed = acall(patch, target, recorder), astream(patch, target, recorder)

    async def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return await (streamed if kwargs.get("stream") else whole)(wrapped, instance, args, kwargs)

    return wrapper


def late(patch: Patch, target: Target, recorder: Recorder) -> Wrapper:
    """An asynchronous generator function: nothing is sent before the first chunk is asked for."""

    def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        chunks = wrapped(*args, **kwargs)
        beginning = partial(begin, patch, target, recorder, instance, args, kwargs)
        return guarded(_LateChunks, chunks, beginning, recorder) or chunks

    return wrapper


def alate(patch: Patch, target: Target, recorder: Recorder) -> Wrapper:
    """A coroutine function that returns such an asynchronous generator."""

    async def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        chunks = await wrapped(*args, **kwargs)
        beginning = partial(begin, patch, target, recorder, instance, args, kwargs)
        return guarded(_LateChunks, chunks, beginning, recorder) or chunks

    return wrapper


def unspan(patch: Patch, target: Target, recorder: Recorder) -> Wrapper:
    """What starts an SDK's own span for a request that is already recorded: it gives one that does nothing."""

    def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return wrapped(*args, **kwargs) if CURRENT.get() is None else nullcontext(trace.INVALID_SPAN)

    return wrapper


class _LateChunks(AsyncIterator[Any]):
    """An asynchronous generator that sends its request when the first chunk is asked for: the call begins there."""

    __slots__ = ("__weakref__", "_begin", "_chunks", "_recorder")

    def __init__(
        self, chunks: AsyncIterator[Any], begin: Callable[[], Live | BudgetExceeded | None], recorder: Recorder
    ) -> None:
        """Takes the SDK's own iterator, and what begins its call: None for what is not recorded."""
        self._chunks = chunks
        self._begin: Callable[[], Live | BudgetExceeded | None] | None = begin
        self._recorder = recorder

    async def __anext__(self) -> Any:
        if self._begin is None:
            return await self._chunks.__anext__()
        begin, self._begin = self._begin, None
        live = guarded(begin)
        if isinstance(live, BudgetExceeded):  # on purpose, and outside of every guard: nothing is sent
            raise live
        if live is None:
            return await self._chunks.__anext__()
        self._chunks = guarded(_followed, self._chunks, live) or self._chunks
        guarded(self._recorder.enter, live)
        try:
            return await self._chunks.__anext__()
        except GeneratorExit:
            live.entered.clear()  # a coroutine closed from another context: there is nothing here to put back
            raise
        finally:
            undo(live.entered)

    async def aclose(self) -> None:
        """Closes the SDK's own iterator."""
        self._begin = None
        closing = getattr(self._chunks, "aclose", None)
        if closing is not None:
            await closing()


def _followed(chunks: AsyncIterator[Any], live: Live) -> AsyncIterator[Any]:
    return streams.AsyncChunks(chunks, live, feed=True)


def feed(kwargs: dict[str, Any]) -> Callable[[Any], None] | None:
    """A parsed body or an event: it belongs to its response's call, or else to the one under way.

    Returns:
        What keeps the parsed event from the caller, where it is the usage chunk that only we have asked for.
    """
    live = getattr(kwargs.get("response"), streams.MARK, None) or CURRENT.get()
    if live is None or live.call.request.gateway:
        return None
    data: Any = kwargs.get("data")
    live.take(data)
    if live.amended is None:
        return None
    added = live.call.request.format.usage_only
    if added is not None and added(data):
        return live.hide
    if mapping(data).get("usage", live) is None:  # asking for usage puts a null into each other chunk
        del data["usage"]
    return None


def mute(patch: Patch, target: Target, recorder: Recorder) -> Wrapper:
    """An SDK's own span for a request that is already recorded."""

    def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        live = CURRENT.get()
        return wrapped(*args, **kwargs) if live is None or guarded(getattr, live, "quiet") else None

    return wrapper


def idle(patch: Patch, target: Target, recorder: Recorder) -> Wrapper:
    """What starts an SDK's own span: told that it is switched off where the span would go the way of ours.

    One that goes to the SDK's vendor, by a provider of its own, is left alone: the program has asked for it.
    """
    switch, tracer, *_ = target.parameters

    def superfluous(given: Any) -> bool:
        live = CURRENT.get()
        if live is None or live.quiet:
            return False
        own = getattr(given, "resource", None)  # none of a tracer whose provider is still to come: the global one
        return own is None or own is getattr(trace.get_tracer_provider(), "resource", None)

    def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if switch in kwargs and guarded(superfluous, kwargs.get(tracer)):
            kwargs = {**kwargs, switch: False}
        return wrapped(*args, **kwargs)

    return wrapper
