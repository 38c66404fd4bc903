"""Long connections: many calls on one. Each drive has a twin for coroutine functions, which differs in an `await`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import sessions
from ..budgets import BudgetExceeded
from ..call import Provider, Target
from ..guard import guarded
from ..recorder import Recorder
from .patch import Patch, Wrapper


def opening(patch: Patch, target: Target, recorder: Recorder) -> Wrapper:
    """A function that returns a connection."""
    provider = patch.provider

    def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        connection = wrapped(*args, **kwargs)
        guarded(sessions.opened, connection, provider, recorder, instance)
        return connection

    return wrapper


def aopening(patch: Patch, target: Target, recorder: Recorder) -> Wrapper:
    """The same, awaited."""
    provider = patch.provider

    async def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        connection = await wrapped(*args, **kwargs)
        guarded(sessions.opened, connection, provider, recorder, instance)
        return connection

    return wrapper


def connect(patch: Patch, target: Target, recorder: Recorder) -> Wrapper:
    """A function whose context manager enters a connection."""
    provider = patch.provider

    def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        manager = wrapped(*args, **kwargs)
        guarded(sessions.entering, manager, provider, recorder, instance, kwargs)
        return manager

    return wrapper


def ask(patch: Patch, target: Target, recorder: Recorder) -> Wrapper:
    """A method that sends a message."""
    provider = patch.provider

    def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        session = guarded(sessions.opened, instance, provider, recorder, instance)
        live = None if session is None else guarded(session.ask, instance, args, kwargs, target.name)
        if isinstance(live, BudgetExceeded):
            raise live
        try:
            return wrapped(*args, **kwargs)
        except BaseException as error:  # the caller's own: noted and raised again
            if session is not None and live is not None:
                guarded(session.refused, live, error)
            raise

    return wrapper


def aask(patch: Patch, target: Target, recorder: Recorder) -> Wrapper:
    """The same, awaited."""
    provider = patch.provider

    async def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        session = guarded(sessions.opened, instance, provider, recorder, instance)
        live = None if session is None else guarded(session.ask, instance, args, kwargs, target.name)
        if isinstance(live, BudgetExceeded):
            raise live
        try:
            return await wrapped(*args, **kwargs)
        except BaseException as error:  # the caller's own, also a cancellation: noted and raised again
            if session is not None and live is not None:
                guarded(session.refused, live, error)
            raise

    return wrapper


def _received(provider: Provider, target: Target, recorder: Recorder, connection: Any, message: Any) -> None:
    session = guarded(sessions.opened, connection, provider, recorder, connection)
    if session is not None:
        guarded(session.receive, connection, message, target.name)


def receive(patch: Patch, target: Target, recorder: Recorder) -> Wrapper:
    """A method that returns a message."""
    provider = patch.provider

    def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        message = wrapped(*args, **kwargs)
        _received(provider, target, recorder, instance, message)
        return message

    return wrapper


def areceive(patch: Patch, target: Target, recorder: Recorder) -> Wrapper:
    """The same, awaited."""
    provider = patch.provider

    async def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        message = await wrapped(*args, **kwargs)
        _received(provider, target, recorder, instance, message)
        return message

    return wrapper


def _broke(connection: Any, error: BaseException) -> None:
    session = sessions.of(connection)
    # A cancelled wait loses nothing, and a connection that the server closes in good order has not failed.
    if session is not None and isinstance(error, Exception):
        session.over(None if type(error).__name__ == "ConnectionClosedOK" else error)


def watch(patch: Patch, target: Target, recorder: Recorder) -> Wrapper:
    """A method that waits for a message, or fails."""

    def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        try:
            return wrapped(*args, **kwargs)
        except BaseException as error:  # the caller's own: noted and raised again
            guarded(_broke, instance, error)
            raise

    return wrapper


def awatch(patch: Patch, target: Target, recorder: Recorder) -> Wrapper:
    """The same, awaited."""

    async def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        try:
            return await wrapped(*args, **kwargs)
        except BaseException as error:  # the caller's own, also a cancellation: noted and raised again
            guarded(_broke, instance, error)
            raise

    return wrapper


def leave(patch: Patch, target: Target, recorder: Recorder) -> Wrapper:
    """Sync or async: what is under way is over before the connection is closed."""

    def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        session = guarded(sessions.of, instance)
        if session is not None:
            guarded(session.over)
        return wrapped(*args, **kwargs)

    return wrapper
