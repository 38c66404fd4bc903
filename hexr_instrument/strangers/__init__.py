"""Clients that no table knows: named methods of any object, or one function, recorded as calls of a provider."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from typing import Any, cast

from .. import context
from ..context import put
from ..guard import guarded
from ..stand_in import stand_in
from .asked import Asked, Terms

__all__ = ["Terms", "handle", "recorded"]


def recorded(function: Callable[..., Any], owner: Any, terms: Terms) -> Callable[..., Any]:
    """A function of the same kind whose calls are recorded.

    Args:
        function: What is called; a method that is bound to its object.
        owner: The object that may say the model.
        terms: How its calls are recorded.
    """
    if context.is_kind(inspect.isasyncgenfunction, function):

        async def agen(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
            async for chunk in _pieces_later(function(*args, **kwargs), _begin(terms, owner, function, args, kwargs)):
                yield chunk

        return _like(agen, function)
    if context.is_kind(inspect.iscoroutinefunction, function):

        async def acall(*args: Any, **kwargs: Any) -> Any:
            asked = _begin(terms, owner, function, args, kwargs)
            return _answered(await _awaited(function(*args, **kwargs), asked), asked)

        return _like(acall, function)
    if context.is_kind(inspect.isgeneratorfunction, function):

        def gen(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            return (yield from _pieces(function(*args, **kwargs), _begin(terms, owner, function, args, kwargs)))

        return _like(gen, function)

    def call(*args: Any, **kwargs: Any) -> Any:
        asked = _begin(terms, owner, function, args, kwargs)
        if asked is None:
            return function(*args, **kwargs)
        before = put(asked.scope)
        try:
            result = function(*args, **kwargs)
        except BaseException as error:  # the caller's own: noted and raised again
            asked.end(error=error)
            raise
        finally:
            put(before)
        return _answered(result, asked)

    return _like(call, function)


def _like(ours: Callable[..., Any], function: Callable[..., Any]) -> Callable[..., Any]:
    return functools.wraps(function)(ours)


def _begin(terms: Terms, owner: Any, method: Callable[..., Any], args: Any, kwargs: Any) -> Asked | None:
    asked = guarded(Asked, terms, owner, method, args, kwargs)
    refusal = None if asked is None else guarded(asked.refusal)
    if refusal is not None:  # on purpose, and outside of every guard: nothing is sent
        raise refusal
    return asked


def _answered(result: Any, asked: Asked | None) -> Any:
    """What the program gets: the very result, or for one that is still to come, one of its kind."""
    if asked is None:
        return result
    kind: Any = cast("Any", type(result))
    if isinstance(result, types.GeneratorType):
        return _pieces(cast("Any", result), asked)
    if isinstance(result, types.AsyncGeneratorType):
        return _pieces_later(cast("Any", result), asked)
    if isinstance(result, types.CoroutineType):
        return _later(cast("Any", result), asked)
    if callable(getattr(kind, "add_done_callback", None)):
        result.add_done_callback(functools.partial(_done, asked))
        return result
    if hasattr(kind, "__next__") or hasattr(kind, "__anext__"):
        return stream_of(result, asked)
    asked.end(result)
    return result


def _done(asked: Asked, future: Any) -> None:
    error = None if future.cancelled() else future.exception()
    asked.end(None if future.cancelled() or error else future.result(), error, whole=not future.cancelled())


async def _later(coroutine: Any, asked: Asked) -> Any:
    return _answered(await _awaited(coroutine, asked), asked)


async def _awaited(coroutine: Any, asked: Asked | None) -> Any:
    if asked is None:
        return await coroutine
    before = put(asked.scope)
    try:
        return await coroutine
    except BaseException as error:  # the caller's own, also a cancellation: noted and raised again
        asked.end(error=error)
        raise
    finally:
        put(before)


def _pieces(chunks: Generator[Any, Any, Any], asked: Asked | None) -> Generator[Any, Any, Any]:
    """The same generator, step by step: `send`, `throw`, `close` and its value reach it as without us."""
    if asked is None:
        return (yield from chunks)
    step: Callable[[Any], Any] = chunks.send
    value: Any = None
    try:
        while True:
            before = put(asked.scope)
            try:
                chunk = step(value)
            except StopIteration as stop:
                asked.end(stop.value)
                return stop.value
            finally:
                put(before)
            guarded(asked.piece, chunk)
            try:
                value, step = (yield chunk), chunks.send
            except GeneratorExit:
                chunks.close()
                raise
            except BaseException as thrown:  # noqa: BLE001  PEP 380: what the consumer throws in is the generator's to handle
                value, step = thrown, chunks.throw
    except BaseException as error:  # the caller's own: noted and raised again
        asked.end(error=error)
        raise


async def _pieces_later(chunks: Any, asked: Asked | None) -> AsyncGenerator[Any, Any]:
    """The asynchronous twin of `_pieces`."""
    step: Callable[[Any], Any] = chunks.asend
    value: Any = None
    try:
        while True:
            before = put(asked.scope) if asked is not None else None
            try:
                chunk = await step(value)
            except StopAsyncIteration:
                if asked is not None:
                    asked.end()
                return
            finally:
                if asked is not None:
                    put(before)
            if asked is not None:
                guarded(asked.piece, chunk)
            try:
                value, step = (yield chunk), chunks.asend
            except GeneratorExit:
                await chunks.aclose()
                raise
            except BaseException as thrown:  # noqa: BLE001  PEP 525: the same for asynchronous generators
                value, step = thrown, chunks.athrow
    except BaseException as error:  # the caller's own, also a cancellation: noted and raised again
        if asked is not None:
            asked.end(error=error)
        raise


def stream_of(stream: Any, asked: Asked) -> Any:
    """A stand-in for a stream that is no generator: it passes each piece on, and ends with it."""

    def following(self: Any) -> Any:
        before = put(asked.scope)
        try:
            chunk = next(stream)
        except StopIteration:
            asked.end()
            raise
        except BaseException as error:  # the caller's own: noted and raised again
            asked.end(error=error)
            raise
        finally:
            put(before)
        guarded(asked.piece, chunk)
        return chunk

    async def following_later(self: Any) -> Any:
        before = put(asked.scope)
        try:
            chunk = await stream.__anext__()
        except StopAsyncIteration:
            asked.end()
            raise
        except BaseException as error:  # the caller's own, also a cancellation: noted and raised again
            asked.end(error=error)
            raise
        finally:
            put(before)
        guarded(asked.piece, chunk)
        return chunk

    def itself(self: Any) -> Any:
        return self

    def closed(method: Callable[..., Any]) -> Callable[..., Any]:
        def close(*args: Any, **kwargs: Any) -> Any:
            asked.end(error=GeneratorExit())
            return method(*args, **kwargs)

        return close

    kind: Any = cast("Any", type(stream))
    members: dict[str, Any] = {}
    if hasattr(kind, "__next__"):
        members |= {"__next__": following, "__iter__": itself}
    if hasattr(kind, "__anext__"):
        members |= {"__anext__": following_later, "__aiter__": itself}
    closing = {name: closed(getattr(stream, name)) for name in ("close", "aclose") if hasattr(stream, name)}
    return stand_in(stream, closing, members)


def handle(whole: Any, methods: Sequence[str], terms: Terms) -> Any:
    """A stand-in for a stranger's client whose named methods are recorded; the client itself stays as it is.

    Args:
        whole: Any object, also one with `__slots__` or of an extension in C.
        methods: Names; a dotted one, such as `chat.complete`, is a method of a part.
        terms: How their calls are recorded.
    """
    return _part(whole, whole, methods, terms)


def _part(part: Any, whole: Any, methods: Sequence[str], terms: Terms) -> Any:
    shadows: dict[str, Any] = {}
    specials: dict[str, Any] = {}
    for name in {each.partition(".")[0] for each in methods}:
        rest = [each.partition(".")[2] for each in methods if each.startswith(f"{name}.")]
        inner = getattr(part, name)
        made = _part(inner, whole, rest, terms) if rest else recorded(inner, whole, terms)
        shadows[name] = made
        if name.startswith("__"):
            specials[name] = _special(made)
    return stand_in(part, shadows, specials)


def _special(made: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return made(*args, **kwargs)

    return method
