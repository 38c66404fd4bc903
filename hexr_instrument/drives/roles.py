"""Runs of agents by a framework: while one runs, its name is the role of the calls in this context."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from .. import context
from ..call import Target
from ..context import Change
from ..guard import attempt
from .patch import Hook, Wrapper


def role(hook: Hook, target: Target) -> Wrapper:
    """A function or method of any kind that runs one agent."""

    def run(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if hook.breaker is None or hook.framework.agent is None:
            return None
        name = hook.framework.agent(instance, args, kwargs, target.name)
        hook.breaker.worked()
        return None if not name else context.within(wrapped, Change(running=name))

    def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        within = attempt(partial(_blame, hook), run, wrapped, instance, args, kwargs)
        return (within or wrapped)(*args, **kwargs)

    return wrapper


def reader(hook: Hook, source: Any) -> Callable[[], tuple[str | None, object] | None]:
    """Asks the framework which agent is running; it answers with a name and what tells the run from another."""

    def read() -> tuple[str | None, object] | None:
        if hook.breaker is None or hook.framework.running is None:
            return None
        found = hook.framework.running(source)
        hook.breaker.worked()
        return found

    return lambda: attempt(partial(_blame, hook), read)


def _blame(hook: Hook) -> None:
    if hook.breaker is not None:
        hook.breaker.failed()
