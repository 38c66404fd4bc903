"""Clients that no table knows: named methods of any object, or one function, recorded as calls of a provider."""

from __future__ import annotations

import functools
import inspect
import time
import types
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from . import context, hub
from .budgets import BudgetExceeded
from .call import Request, Response, Usage, text
from .context import Change, Scope, put
from .formats import anything
from .formats.anything import ANYTHING, Heard
from .guard import guarded
from .live import Live
from .owed import Origin
from .stand_in import stand_in

MODELS = ("model", "model_name", "model_id", "deployment_name", "_model")
"""Attributes of a client that may say its model, where the call does not."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How a stranger's calls are recorded."""

    provider: str
    change: Change
    model: str | None = None
    usage: Callable[[Any], Any] | None = None
    """Result (of a stream: the list of its pieces) -> counts of tokens, in any known shape."""


class Around:
    """The scope of one call of a stranger: it knows whether another call was begun inside.

    A stranger that calls an SDK which is recorded by itself is billed there; its own call is then none.
    """

    def __init__(self, outer: Any) -> None:
        """Stands before the agent that is running, if one is."""
        self._outer = outer
        self.entered: list[tuple[Callable[[Any], Any], Any]] = []
        self.inner = False

    @property
    def span(self) -> tuple[int, int, bool] | None:
        """The running agent's."""
        return None if self._outer is None else self._outer.span

    def turn(self, *, billed: bool = False) -> None:
        """Notes a call that is begun inside."""
        self.inner = self.inner or billed
        if self._outer is not None:
            self._outer.turn(billed=billed)

    def add(self, call: Any) -> None:
        """Counts a call that was made inside with the running agent's."""
        if self._outer is not None:
            self._outer.add(call)

    def end(self, error: BaseException | None) -> None:
        """It ends with its agent."""


class Asked:
    """One call of a stranger under way: nothing is recorded before it is over, and then it may be none of its own."""

    def __init__(self, terms: Terms, owner: Any, method: Callable[..., Any], args: Any, kwargs: Any) -> None:
        """Starts now, in this context."""
        self._terms = terms
        if context.on_first is not None:
            guarded(context.on_first)
        outer = context.current()
        self._outer = outer
        self.around = Around(None if outer is None else outer.invocation)
        caller = terms.change.apply(context.NOBODY if outer is None else outer.caller)
        around: Any = self.around
        self.scope = (
            Scope(caller, around, None, object(), [])
            if outer is None
            else replace(outer, caller=caller, invocation=around, outer=outer, owner=object(), entered=[])
        )
        self._request = Request(ANYTHING, terms.provider, terms.model or model_of(owner, method, args, kwargs))
        self._start = time.time_ns()
        self._clock = time.perf_counter_ns()
        self._first: int | None = None
        self._folds = anything.folds()
        self._pieces: list[Any] = []
        self._over = False
        recorder = hub.recorder()
        self._origin = None
        if recorder is not None:
            if self.around._outer is not None:
                self.around._outer.turn()
            self._origin = Origin(
                recorder.caller(None, self.scope), recorder.parent(), self._request.model, self.around._outer
            )
        self._recorder = recorder

    def refusal(self) -> BudgetExceeded | None:
        """Why it must not be made: a hard budget is spent."""
        recorder = self._recorder
        if recorder is None or recorder.budgets is None or self._origin is None:
            return None
        return recorder.refusal(self._request, self._origin.caller)

    def piece(self, chunk: Any) -> None:
        """Takes one piece of a stream."""
        self._request.stream = True
        if self._first is None:
            self._first = time.perf_counter_ns() - self._clock
        if self._terms.usage is not None:
            self._pieces.append(chunk)
            return
        plain = chunk.model_dump(warnings=False) if hasattr(chunk, "model_dump") else chunk
        folded: list[tuple[Any, Any]] = []
        for wire, so_far in self._folds:
            try:
                folded.append((wire, wire.fold(so_far, plain)))
            except (AttributeError, IndexError, KeyError, TypeError, ValueError):  # not of this shape
                continue
        self._folds = folded
        if anything.read(plain).usage is not None:
            self._pieces = [plain]

    def end(self, result: Any = None, error: BaseException | None = None, *, whole: bool = True) -> None:
        """Keeps the record, once; none where an SDK inside has kept its own."""
        if not self._over:
            self._over = True
            guarded(self._end, result, error, whole)

    def _end(self, result: Any, error: BaseException | None, whole: bool) -> None:  # noqa: FBT001
        recorder = self._recorder
        if recorder is None or self._origin is None or self.around.inner:
            return
        took = time.perf_counter_ns() - self._clock
        live: Live = recorder.begin(self._request, None, self._origin, self._start)
        live.call.first_chunk = self._first
        if isinstance(error, GeneratorExit):
            error, whole = None, False  # the program has left the stream: that is no failure of it
        if error is None or self._request.stream:
            live.call.payload = Heard(guarded(self._response, result) or Response(), whole and error is None)
        live.end(error, at=live.clock + took)

    def _response(self, result: Any) -> Response:
        counted = self._terms.usage
        if counted is not None:
            spent = guarded(counted, self._pieces if self._request.stream else result)
            read = guarded(anything.read, result) or Response()
            return replace(read, usage=None, parts=(), stated_cost=None) if spent is None else _spent(spent, read)
        if not self._request.stream:
            return anything.read(result)
        for wire, payload in self._folds:
            found = None if payload is None else guarded(anything.read, payload)
            if found is not None and found.usage is not None and wire is not None:
                return found
        return anything.read(self._pieces[0]) if self._pieces else Response()


def _spent(spent: Any, read: Response) -> Response:
    if isinstance(spent, Usage):
        return replace(read, usage=spent, parts=(), stated_cost=None)
    found = anything.read(spent)
    if found.usage is None:
        found = anything.read({"usage": spent})
    return replace(found, id=read.id or found.id, model=found.model or read.model)


def model_of(owner: Any, method: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> str | None:
    """The model: the argument of that name, else what the client says of itself."""
    named = text({"model": kwargs.get("model")}, "model") or guarded(_positional, method, args, kwargs)
    return named or next((found for name in MODELS if (found := text(owner, name))), None)


def _positional(method: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> str | None:
    try:
        bound = inspect.signature(method).bind_partial(*args, **kwargs)
    except (TypeError, ValueError):  # a C function without a signature, or arguments that are the program's mistake
        return None
    bound.apply_defaults()
    return text(bound.arguments, "model")


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
