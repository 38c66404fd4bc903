"""A stream that is read by its class's own `__next__`: its steps belong to the call that it was returned by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import streams
from ..call import Target
from ..guard import guarded
from ..live import CURRENT
from ..recorder import Recorder
from .patch import Patch, Wrapper


def step(patch: Patch, target: Target, recorder: Recorder) -> Wrapper:
    """The stream's `__next__`."""

    def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        steps = guarded(streams.steps_of, instance)
        if steps is None:
            return wrapped(*args, **kwargs)
        before = CURRENT.get()
        CURRENT.set(steps.live)  # some streams send their request at their first step
        try:
            chunk = wrapped(*args, **kwargs)
        except BaseException as error:  # the stream's end, whatever it is: noted and raised again
            guarded(steps.ended, instance, error)
            raise
        finally:
            CURRENT.set(before)
        guarded(steps.took, instance, chunk)
        return chunk

    return wrapper


def astep(patch: Patch, target: Target, recorder: Recorder) -> Wrapper:
    """The stream's `__anext__`."""

    async def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        steps = guarded(streams.steps_of, instance)
        if steps is None:
            return await wrapped(*args, **kwargs)
        before = CURRENT.get()
        CURRENT.set(steps.live)
        try:
            chunk = await wrapped(*args, **kwargs)
        except BaseException as error:  # the stream's end, whatever it is: noted and raised again
            guarded(steps.ended, instance, error)
            raise
        finally:
            CURRENT.set(before)  # no token: a coroutine may be closed from another context
        guarded(steps.took, instance, chunk)
        return chunk

    return wrapper


def shut(patch: Patch, target: Target, recorder: Recorder) -> Wrapper:
    """The stream's `close`."""

    def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        guarded(streams.left, instance)
        return wrapped(*args, **kwargs)

    return wrapper


def ashut(patch: Patch, target: Target, recorder: Recorder) -> Wrapper:
    """The stream's `aclose`."""

    async def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        guarded(streams.left, instance)
        return await wrapped(*args, **kwargs)

    return wrapper
