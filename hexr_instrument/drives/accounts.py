"""A program that an SDK runs and that calls the models itself: orders to it, and what it says that it has spent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import accounts
from ..budgets import BudgetExceeded
from ..call import Target
from ..guard import guarded
from ..recorder import Recorder
from .patch import Patch, Wrapper


def order(patch: Patch, target: Target, recorder: Recorder) -> Wrapper:
    """A coroutine function that sends the program a message."""
    provider = patch.provider

    async def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        account = guarded(accounts.of, instance, provider, recorder)
        refused = None if account is None else guarded(account.order, instance, args, kwargs, target.name)
        if isinstance(refused, BudgetExceeded):  # on purpose, and outside of every guard: nothing is sent
            raise refused
        return await wrapped(*args, **kwargs)

    return wrapper


def statements(patch: Patch, target: Target, recorder: Recorder) -> Wrapper:
    """A method that returns the program's messages as an asynchronous iterator."""
    provider = patch.provider

    def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        messages = wrapped(*args, **kwargs)
        account = guarded(accounts.of, instance, provider, recorder)
        if account is None:
            return messages
        return guarded(accounts.Statements, messages, account, instance, target.name) or messages

    return wrapper
