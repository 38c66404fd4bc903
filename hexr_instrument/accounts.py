"""A program that an SDK runs, and that calls the models itself: what it says that it has spent is recorded, each once.

The caller is whoever gave the order that came last before the statement: a conversation outlives the scope that it was
begun in.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import AsyncIterator
from typing import Any

from .budgets import BudgetExceeded
from .call import Provider, Request
from .context import Change, Entered
from .guard import guarded
from .owed import Origin
from .recorder import Recorder

_MARK = "_hexr_account"


class Account:
    """What is known of one program's spending."""

    __slots__ = ("__weakref__", "_before", "_order", "_origin", "_provider", "_recorder", "_start")

    def __init__(self, provider: Provider, recorder: Recorder) -> None:
        """Knows of no order yet.

        Args:
            provider: The table that reads orders and statements.
            recorder: Where calls are begun.
        """
        self._provider = provider
        self._recorder = recorder
        self._before: Any = None
        self._order: Request | None = None
        self._origin: Origin | None = None
        self._start = time.time_ns()

    def order(self, program: Any, args: tuple[Any, ...], kwargs: dict[str, Any], target: str) -> BudgetExceeded | None:
        """Notes who gives an order that is about to be sent, or says why it must not be sent."""
        request = self._provider.request(program, args, kwargs, target)
        if request is None:
            return None
        if (refusal := self._recorder.refusal(request, None)) is not None:
            return refusal
        self._origin = self._here(program, request)
        self._order, self._start = request, time.time_ns()
        return None

    def message(self, program: Any, message: Any, target: str) -> None:
        """Records a statement of what has been spent since the one before; other messages are nothing to it."""
        turn = None if self._provider.turn is None else self._provider.turn(message)
        if turn is None:
            return
        if turn.begins:
            self._before = None
            return
        request = self._provider.request(program, (message,), {"state": self._before}, target)
        before, self._before = self._before, message
        if request is not None:
            if self._origin is None:  # the order was an argument of the program's start
                self._origin = self._here(program, request)
            self._bill(request, {"now": message, "before": before}, self._origin)
        self._order, self._start = None, time.time_ns()

    def over(self) -> None:
        """The program has ended: an order without a statement was spent on, nobody knows how much."""
        request, self._order = self._order, None
        if request is not None and self._origin is not None:
            self._bill(request, None, self._origin)

    def _here(self, program: Any, request: Request) -> Origin:
        role = None if self._provider.role is None else self._provider.role(program)
        with Entered(Change(running=role)):
            return self._recorder.here(request, None)

    def _bill(self, request: Request, payload: Any, origin: Origin) -> None:
        start = self._start
        live = self._recorder.begin(request, None, origin, start)
        live.feed(payload)
        live.call.partial = payload is None
        live.end(at=live.clock + time.time_ns() - start)


def of(program: Any, provider: Provider, recorder: Recorder) -> Account:
    """The account of a program, made at the first sight of it."""
    account = getattr(program, _MARK, None)
    if account is None:
        account = Account(provider, recorder)
        setattr(program, _MARK, account)
        weakref.finalize(program, guarded, account.over)
    return account


class Statements(AsyncIterator[Any]):
    """The messages of a program, as they come."""

    __slots__ = ("_account", "_messages", "_program", "_target")

    def __init__(self, messages: AsyncIterator[Any], account: Account, program: Any, target: str) -> None:
        """Passes everything on."""
        self._messages = messages
        self._account = account
        self._program = program
        self._target = target

    async def __anext__(self) -> Any:
        try:
            message = await self._messages.__anext__()
        except BaseException:  # the program's end, whatever it is
            guarded(self._account.over)
            raise
        guarded(self._account.message, self._program, message, self._target)
        return message

    async def aclose(self) -> None:
        """Closes the SDK's own iterator."""
        guarded(self._account.over)
        closing = getattr(self._messages, "aclose", None)
        if closing is not None:
            await closing()
