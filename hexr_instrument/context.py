"""Who is calling: one immutable value in one context variable, and the scopes that set it."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import AsyncGenerator, Callable, Generator
from contextvars import ContextVar
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Protocol, TypeVar, cast

from .call import Caller
from .guard import guarded, undo

F = TypeVar("F", bound=Callable[..., Any])

NOBODY = Caller()
LIMIT = 256
"""The longest agent, role, tenant or label value, in characters."""


class Invocation(Protocol):
    """One running agent: its span, and the totals of the calls under it."""

    @property
    def span(self) -> tuple[int, int, bool]:
        """Trace id, span id, whether it is sampled."""
        ...

    @property
    def entered(self) -> list[tuple[Callable[[Any], Any], Any]]:
        """What puts back the context that it was entered in."""
        ...

    def enter(self) -> None:
        """Makes its span the current one of this context; `entered` puts back what was."""
        ...

    def turn(self, *, billed: bool = False) -> None:
        """Lets a span that has lasted long enough give way to the next one.

        Args:
            billed: Whether it is a call that is begun inside, not an agent.
        """
        ...

    def end(self, error: BaseException | None) -> None:
        """Ends the span with its totals."""
        ...


Running = tuple[str | None, object]
"""The name of an agent that a framework is running, and what tells its run from another one's of that name."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What one `with` block or decorated function set, and what it found."""

    caller: Caller
    invocation: Invocation | None
    outer: Scope | None
    owner: object
    entered: list[tuple[Callable[[Any], Any], Any]]
    """What puts back the context of an agent's span."""
    running: str | None = None
    """The name of the framework's agent that runs in it."""
    outside: tuple[Running, ...] = ()
    """The frameworks' agents that were running around the innermost agent, of ours or of a framework."""


_SCOPE: ContextVar[Scope | None] = ContextVar("hexr_scope", default=None)

invoke: Callable[[Caller], Invocation] | None = None
"""Starts an agent's span; the recorder sets it, so that scopes work the same while nothing records."""
parent: Callable[[], tuple[int, int, bool] | None] | None = None
"""Trace id, span id and sampling of the span around this point; the recorder sets it."""
on_first: Callable[[], object] | None = None
"""Is called when the first scope is entered, or the first framework that knows its agents is imported: then callers have
to be carried to other threads and processes."""


base: Scope | None = None
"""Who started this process, if it was started in a scope: what is around everything here."""


readers: tuple[Callable[[], Running | None], ...] = ()
"""The frameworks that know by themselves which agent is running in this context; the engine sets them."""


def current() -> Scope | None:
    """The innermost scope of this context."""
    return _SCOPE.get() or base


def put(scope: Scope | None) -> Scope | None:
    """Makes a scope the innermost one of this context, none for None; returns the one that was, to put it back."""
    before = _SCOPE.get()
    _SCOPE.set(scope)
    return before


def current_caller() -> Caller:
    """The agent, role, tenant and labels that a call made here would be recorded with by the `hexr_*` scopes."""
    scope = current()
    return NOBODY if scope is None else scope.caller


def running() -> str | None:
    """The framework's own name of the agent that is running here, if one is: the innermost one's."""
    if not readers:
        return None if (scope := current()) is None else scope.running
    return guarded(_running)


def _running() -> str | None:
    scope = current()
    outside = () if scope is None else scope.outside
    for found in _read():
        if found not in outside:
            return _name(found[0])
    return None if scope is None else scope.running


def carried() -> Scope | None:
    """The scope as it goes to another thread: with the name of the agent that a framework is running here."""
    scope = current()
    name = running() if readers else None
    if name is None or (scope is not None and scope.running == name):
        return scope
    return replace(scope or Scope(NOBODY, None, None, object(), []), running=name)


def _read() -> tuple[Running, ...]:
    return tuple(found for reader in readers if (found := reader()) is not None and found[0])


def _name(name: object) -> str | None:
    return (name.strip()[:LIMIT] or None) if isinstance(name, str) else None


@dataclass(frozen=True, slots=True)
class Change:
    """What a scope sets; entering an agent clears the role, and what is None is inherited."""

    agent: str | None = None
    role: str | None = None
    tenant: str | None = None
    labels: tuple[tuple[str, str], ...] = ()
    span: bool = True
    """Whether an agent entered here is an invocation with a span of its own."""
    running: str | None = None
    """A framework's name of its agent: the role where nobody says one; an agent entered inside clears it, too."""
    remote: Callable[[Invocation | None], Invocation] | None = None
    """(the agent around) -> what stands for the agent of another process that asks for what is done inside."""

    def apply(self, caller: Caller) -> Caller:
        """The caller inside of the scope."""
        role = self.role if self.agent is not None or self.role is not None else caller.role
        labels = caller.labels
        if self.labels:
            labels = tuple(sorted((dict(labels) | dict(self.labels)).items()))
        return Caller(self.agent or caller.agent, role, self.tenant or caller.tenant, labels)


def enter(change: Change) -> Scope | None:
    """Opens a scope in this context; `leave` it with the value returned."""
    scope = guarded(_made, change)
    if scope is not None:
        _SCOPE.set(scope)
    return scope


def _made(change: Change) -> Scope:
    if on_first is not None:
        guarded(on_first)
    outer = current()
    caller = change.apply(NOBODY if outer is None else outer.caller)
    framework = (None, ()) if outer is None else (outer.running, outer.outside)
    if change.agent is not None or change.running is not None:
        framework = _name(change.running), guarded(_read) or ()
    around = None if outer is None else outer.invocation
    started = invoke(caller) if change.agent is not None and change.span and invoke is not None else None
    if started is None and change.remote is not None:
        started = change.remote(around)
    if started is None:
        return Scope(caller, around, outer, object(), [], *framework)
    guarded(started.enter)
    return Scope(caller, started, outer, object(), started.entered, *framework)


def leave(scope: Scope | None, error: BaseException | None = None) -> None:
    """Closes a scope; in a context that it was never opened in, only its agent's span ends.

    No token is kept: a generator may be finalised in another context than the one that it ran in.
    """
    if scope is not None:
        guarded(_left, scope, error)
        undo(scope.entered)
        if _SCOPE.get() is scope:
            _SCOPE.set(scope.outer)


def _left(scope: Scope, error: BaseException | None) -> None:
    at = _SCOPE.get()
    while at is not None and at.owner is not scope.owner:
        at = at.outer
    if at is not None:
        _SCOPE.set(at.outer)
    inherited = None if scope.outer is None else scope.outer.invocation
    if scope.invocation is not None and scope.invocation is not inherited:
        scope.invocation.end(error)


class Scoped:
    """A scope as a decorator (sync, async, generator and async-generator functions) and as a context manager."""

    __slots__ = ("_change", "_entered")

    def __init__(self, change: Change) -> None:
        """Keeps the change; nothing is set before the scope is entered."""
        self._change = change
        self._entered: ContextVar[tuple[Scope | None, ...]] = ContextVar("hexr_entered", default=())

    def __enter__(self) -> Scoped:
        scope = enter(self._change)
        self._entered.set((*self._entered.get(), scope))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        entered = self._entered.get()
        self._entered.set(entered[:-1])
        if entered:
            leave(entered[-1], error)

    async def __aenter__(self) -> Scoped:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def __call__(self, function: F) -> F:
        """The function, run inside of this scope at each call; of a class, calls of its instances run inside.

        Raises:
            TypeError: what is decorated can not be called, or is a class whose instances can not.
        """
        whole: Any = function
        if isinstance(whole, staticmethod | classmethod):  # whichever of the two decorators is the outer one
            inner: Any = whole.__func__  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
            return cast("F", type(whole)(self(inner)))  # pyright: ignore[reportUnknownArgumentType]
        if isinstance(function, type):
            return self._on_class(function)
        if not callable(function):
            raise TypeError(f"decorate a function, a method or a class with __call__, not {function!r}")
        return guarded(_within, function, self._change) or function

    def _on_class(self, kind: Any) -> Any:
        members: list[dict[str, Any]] = [each.__dict__ for each in kind.__mro__]
        call: Any = next((each["__call__"] for each in members if "__call__" in each), None)
        if call is None:
            raise TypeError(
                f"{kind.__qualname__} has no __call__: decorate the method that runs, or use `with` where it is called"
            )
        kind.__call__ = self(call)
        return kind


def _within(function: F, change: Change) -> F:
    return cast("F", functools.wraps(function)(within(function, change)))


def within(function: Callable[..., Any], change: Change) -> Callable[..., Any]:
    """A function of the same kind (sync, async, generator, async generator) that runs the other one in a scope."""
    if is_kind(inspect.isasyncgenfunction, function):
        return _async_generator(function, change)
    if is_kind(inspect.iscoroutinefunction, function):
        return _coroutine(function, change)
    if is_kind(inspect.isgeneratorfunction, function):
        return _generator(function, change)
    return _plain(function, change)


def is_kind(kind: Callable[[object], bool], function: Callable[..., Any]) -> bool:
    """Whether a function is of a kind, or an object whose class has a `__call__` of that kind."""
    return kind(function) or kind(type(function).__call__)


class Entered:
    """One entry of a scope, for as long as a `with` block lasts."""

    __slots__ = ("_change", "_scope")

    def __init__(self, change: Change) -> None:
        self._change = change

    def __enter__(self) -> None:
        self._scope = enter(self._change)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        leave(self._scope, error)


def _plain(function: Callable[..., Any], change: Change) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        with Entered(change):
            return function(*args, **kwargs)

    return call


def _coroutine(function: Callable[..., Any], change: Change) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        with Entered(change):
            return await function(*args, **kwargs)

    return call


class _Steps:
    """A generator's scope, in place during each step only: between two steps the consumer's context is its own."""

    __slots__ = ("_before", "_change", "_scope")

    def __init__(self, change: Change) -> None:
        self._change = change
        self._scope: Scope | None = None

    def __enter__(self) -> None:
        self._before = _SCOPE.get()
        if self._scope is None:
            self._scope = enter(self._change)
        else:
            _SCOPE.set(self._scope)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _SCOPE.set(self._before)

    def end(self, error: BaseException | None) -> None:
        """Ends the agent's span; a generator that its consumer closes has not failed."""
        if self._scope is not None:
            leave(self._scope, None if isinstance(error, GeneratorExit) else error)


def _generator(function: Callable[..., Any], change: Change) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        step = _Steps(change)
        try:
            inner: Generator[Any, Any, Any] = function(*args, **kwargs)
            send: Callable[[Any], Any] = inner.send
            value: Any = None
            while True:
                try:
                    with step:
                        produced = send(value)
                except StopIteration as stop:
                    return stop.value
                try:
                    value = yield produced
                    send = inner.send
                except GeneratorExit:
                    with step:
                        inner.close()
                    raise
                except BaseException as thrown:  # noqa: BLE001  PEP 380: what the consumer throws in is the generator's to handle
                    value, send = thrown, inner.throw
        finally:
            step.end(sys.exc_info()[1])

    return call


def _async_generator(function: Callable[..., Any], change: Change) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        step = _Steps(change)
        try:
            inner: AsyncGenerator[Any, Any] = function(*args, **kwargs)
            send: Callable[[Any], Any] = inner.asend
            value: Any = None
            while True:
                try:
                    with step:
                        produced = await send(value)
                except StopAsyncIteration:
                    return
                try:
                    value = yield produced
                    send = inner.asend
                except GeneratorExit:
                    with step:
                        await inner.aclose()
                    raise
                except BaseException as thrown:  # noqa: BLE001  PEP 525: the same for asynchronous generators
                    value, send = thrown, inner.athrow
        finally:
            step.end(sys.exc_info()[1])

    return call
