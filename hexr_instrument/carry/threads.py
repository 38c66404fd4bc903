"""Threads start with the caller of whoever starts them; in pools, each piece of work has the caller who handed it in."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

from .. import context
from ..context import Scope, put
from ..guard import guarded
from . import ticket
from .ticket import Ticket

_starting: dict[int, Scope] = {}
"""`id` of a thread that is being started -> the scope that it was started in."""


def start(original: Callable[[threading.Thread], None]) -> Callable[[threading.Thread], None]:
    """`Thread.start`."""

    @functools.wraps(original)
    def start(self: threading.Thread) -> None:
        scope = guarded(context.carried)
        if scope is None:
            return original(self)
        _starting[id(self)] = scope
        try:
            return original(self)
        except BaseException:  # the program's own: it did not start
            _starting.pop(id(self), None)
            raise

    return start


def bootstrap(original: Callable[[threading.Thread], None]) -> Callable[[threading.Thread], None]:
    """`Thread._bootstrap_inner`, the first step of a new thread: whatever a subclass makes of `run` comes later."""

    @functools.wraps(original)
    def _bootstrap_inner(self: threading.Thread) -> None:
        scope = _starting.pop(id(self), None)
        if scope is not None:
            guarded(_arrive, self, scope)
        return original(self)

    return _bootstrap_inner


def _arrive(thread: threading.Thread, scope: Scope) -> None:
    put(scope)
    inside: Any = getattr(thread, "_context", None)  # Python 3.14: the context that `run` is run in
    if inside is not None and inside.run(context.current) is None:
        inside.run(put, scope)


class Work:
    """A function of the program's, run with the caller who handed it in, in this process or in another one."""

    __slots__ = ("_function", "_scope")

    def __init__(self, function: Callable[..., Any], scope: Scope) -> None:
        """Keeps both; nothing is run yet."""
        self._function = function
        self._scope = scope

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the function returns."""
        before = put(self._scope)
        try:
            return self._function(*args, **kwargs)
        finally:
            put(before)

    def __reduce__(self) -> tuple[Any, ...]:
        """A scope stays in its process: what travels is a ticket."""
        return _there, (self._function, ticket.of(self._scope))

    def __repr__(self) -> str:
        """The function's."""
        return repr(self._function)


def _there(function: Callable[..., Any], ticket: Ticket) -> Work:
    return Work(function, ticket.scope())


def submit(original: Callable[..., Any]) -> Callable[..., Any]:
    """`submit` of an executor: its workers, which may be started by it, outlive this caller and belong to nobody."""

    @functools.wraps(original)
    def submit(*args: Any, **kwargs: Any) -> Any:
        scope = guarded(context.carried)
        if scope is None or len(args) < 2 or not callable(args[1]):
            return original(*args, **kwargs)
        before = put(None)
        try:
            return original(args[0], Work(args[1], scope), *args[2:], **kwargs)
        finally:
            put(before)

    return submit


def pooled(original: Callable[..., Any]) -> Callable[..., Any]:
    """A method of `multiprocessing.Pool` or `ThreadPool` that takes a function, `func`."""

    @functools.wraps(original)
    def method(*args: Any, **kwargs: Any) -> Any:
        scope = guarded(context.carried)
        if scope is None:
            return original(*args, **kwargs)
        if len(args) > 1 and callable(args[1]):
            args = (args[0], Work(args[1], scope), *args[2:])
        elif callable(kwargs.get("func")):
            kwargs = {**kwargs, "func": Work(kwargs["func"], scope)}
        return original(*args, **kwargs)

    return method
