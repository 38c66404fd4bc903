"""Context managers of `contextlib` that send a request when they are entered, and close its stream when they are left."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

from .. import streams
from ..budgets import BudgetExceeded
from ..call import Target
from ..guard import guarded, undo
from ..live import Live
from ..recorder import Recorder
from .calls import begin, failed
from .patch import Patch, Wrapper


def enter(patch: Patch, target: Target, recorder: Recorder) -> Wrapper:
    """A function that returns such a manager, sync or async: nothing is sent before it is entered."""

    def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        manager = wrapped(*args, **kwargs)
        steps = getattr(manager, "gen", None)
        if steps is not None:
            kind = _AsyncSteps if hasattr(steps, "__anext__") else _Steps
            manager.gen = kind(steps, patch, recorder, partial(begin, patch, target, recorder, instance, args, kwargs))
        return manager

    return wrapper


class _Steps:
    """The two steps of a manager's generator: the first one is the request, the second one the end of its stream."""

    def __init__(
        self, steps: Any, patch: Patch, recorder: Recorder, begin: Callable[[], Live | BudgetExceeded | None]
    ) -> None:
        self._steps = steps
        self._patch = patch
        self._recorder = recorder
        self._begin: Callable[[], Live | BudgetExceeded | None] | None = begin
        self._live: Live | None = None

    def _start(self) -> Live | None:
        begin, self._begin = self._begin, None
        live = None if begin is None else guarded(begin)
        if isinstance(live, BudgetExceeded):  # on purpose, and outside of every guard: nothing is sent
            raise live
        if live is not None:
            guarded(self._recorder.enter, live)
        return live

    def _started(self, live: Live, entered: Any) -> None:
        undo(live.entered)
        self._live = live
        guarded(self._follow, live, entered)

    def _follow(self, live: Live, entered: Any) -> None:
        weakref.finalize(self, guarded, _left, live)
        streams.follow(entered, live, self._patch.provider.outcome(entered).chunks)

    def _over(self) -> None:
        if self._live is not None:
            guarded(_left, self._live)

    def __next__(self) -> Any:
        live = None if self._begin is None else self._start()
        if live is None:
            try:
                return next(self._steps)
            finally:
                self._over()
        try:
            entered = next(self._steps)
        except BaseException as error:  # the caller's own: noted and raised again
            failed(live, error)
            raise
        self._started(live, entered)
        return entered

    def throw(self, *error: Any) -> Any:
        """What the program's block has failed with."""
        try:
            return self._steps.throw(*error)
        finally:
            self._over()

    def close(self) -> None:
        """Gives up."""
        self._steps.close()
        self._over()


class _AsyncSteps(_Steps):
    """The same, awaited."""

    async def __anext__(self) -> Any:
        live = None if self._begin is None else self._start()
        if live is None:
            try:
                return await self._steps.__anext__()
            finally:
                self._over()
        try:
            entered = await self._steps.__anext__()
        except BaseException as error:  # the caller's own, also a cancellation: noted and raised again
            failed(live, error)
            raise
        self._started(live, entered)
        return entered

    async def athrow(self, *error: Any) -> Any:
        """What the program's block has failed with."""
        try:
            return await self._steps.athrow(*error)
        finally:
            self._over()

    async def aclose(self) -> None:
        """Gives up."""
        await self._steps.aclose()
        self._over()


def _left(live: Live) -> None:
    live.unread = live.call.payload is None
    live.end()
