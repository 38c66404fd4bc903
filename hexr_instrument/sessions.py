"""Long connections: many calls on one websocket, in whichever order its messages tell.

A call begins when the program asks for an answer, or with the first message of an answer that nobody asked for (a voice
agent answers by itself); it ends with the answer's last message. What is under way when the connection ends is partial,
or has failed with it. Messages that the program reads as bytes and never has parsed are not seen.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from .budgets import BudgetExceeded
from .call import REGISTRATION, Provider, Request, Turn, text
from .guard import guarded
from .live import Live
from .recorder import Recorder

TOLD = 200
"""Messages of a conversation that are kept for the content of its next answer."""
_MARK = "_hexr_session"


class Session:
    """The calls of one connection."""

    __slots__ = ("_asked", "_provider", "_recorder", "_served", "_told", "_under_way", "owner", "state")

    def __init__(self, provider: Provider, recorder: Recorder, owner: Any) -> None:
        """Starts without any.

        Args:
            provider: The table that reads the messages.
            recorder: Where calls are begun.
            owner: What carries the registration of the client that opened the connection.
        """
        self._provider = provider
        self._recorder = recorder
        self.owner = owner
        self.state: Any = None
        self._served: str | None = None
        self._told: list[Any] = []
        self._asked: list[Live] = []
        self._under_way: dict[str, Live] = {}

    def ask(
        self, connection: Any, args: tuple[Any, ...], kwargs: dict[str, Any], target: str
    ) -> Live | BudgetExceeded | None:
        """Begins the call that a message which is about to be sent asks for, or says why it must not be sent."""
        request = self._provider.request(connection, args, kwargs, target)
        if request is None:
            self._tell(args, kwargs, target)
            return None
        request.body = self._body(request)
        registered = getattr(self.owner, REGISTRATION, None)
        if (refusal := self._recorder.refusal(request, registered)) is not None:
            return refusal
        live = self._recorder.begin(request, registered)
        self._asked.append(live)
        return live

    def _tell(self, args: tuple[Any, ...], kwargs: dict[str, Any], target: str) -> None:
        """Keeps what a message tells the model until an answer is asked for, where content is wanted."""
        if self._provider.told is not None:
            self._recorder.hear(self._provider.told, self._told, {"args": args, "kwargs": kwargs}, target)
            del self._told[:-TOLD]

    def _body(self, request: Request) -> Any:
        if self._provider.told is None or request.format.content is None:
            return request.body
        told, self._told = self._told, []
        return {"asked": request.body, "told": told, "session": self.state}

    def refused(self, live: Live, error: BaseException) -> None:
        """Ends a call whose message could not be sent."""
        if live in self._asked:
            self._asked.remove(live)
        live.end(error)

    def receive(self, connection: Any, message: Any, target: str) -> None:
        """Gives a message to its call, which ends with its last one."""
        belongs = self._provider.turn
        turn = None if belongs is None else belongs(message)
        if turn is None:
            return
        if turn.state is not None:
            self.state = turn.state
            self._served = text(turn.state, "model")
            return
        live = self._of(turn, connection, message, target)
        if live is None:
            return
        live.feed(message)
        if turn.asked:
            live.call.request.served = self._served
        if turn.last:
            self._under_way.pop(turn.key or "", None)
            live.end()

    def _of(self, turn: Turn, connection: Any, message: Any, target: str) -> Live | None:
        if turn.key is None:
            return self._asked.pop(0) if self._asked else None
        live = self._under_way.get(turn.key)
        if live is None and turn.asked and (turn.begins or turn.last):
            lane = (turn.key, "")
            live = next((each for each in self._asked if each.call.request.lane in lane), None)
            if live is not None:
                self._asked.remove(live)
        if live is None and turn.begins:
            live = self._begin(connection, (message,), {"state": self.state}, target)
        if live is not None:
            self._under_way[turn.key] = live
        return live

    def _begin(self, connection: Any, args: tuple[Any, ...], kwargs: dict[str, Any], target: str) -> Live | None:
        request = self._provider.request(connection, args, kwargs, target)
        if request is None:
            return None
        request.body = self._body(request)
        return self._recorder.begin(request, getattr(self.owner, REGISTRATION, None))

    def over(self, error: BaseException | None = None) -> None:
        """Ends what is under way, because the connection has ended."""
        left = [*self._asked, *self._under_way.values()]
        self._asked.clear()
        self._under_way.clear()
        for live in left:
            live.unread = error is None and live.call.payload is None
            live.end(error)


class Entering:
    """The generator behind a context manager of `contextlib` that enters a connection and leaves it at its end."""

    __slots__ = ("_generator", "_open", "_session")

    def __init__(self, generator: Any, open: Callable[[Any], Session]) -> None:  # noqa: A002  (what it does)
        """Passes everything on.

        Args:
            generator: The asynchronous generator.
            open: Connection -> its session.
        """
        self._generator = generator
        self._open = open
        self._session: Session | None = None

    async def __anext__(self) -> Any:
        """The connection, the first time; its end, the second time."""
        if self._session is not None:
            guarded(self._session.over)
        connection = await self._generator.__anext__()
        self._session = guarded(self._open, connection)
        return connection

    def athrow(self, *error: Any) -> Any:
        """The connection is left by an exception of the program's own, which is no fault of the calls'."""
        if self._session is not None:
            guarded(self._session.over)
        return self._generator.athrow(*error)

    def aclose(self) -> Any:
        """Closes the generator."""
        return self._generator.aclose()


def entering(manager: Any, provider: Provider, recorder: Recorder, opener: Any, asked: dict[str, Any]) -> None:
    """Has the connection that a context manager will enter opened with what was asked of it as its state."""

    def open(connection: Any) -> Session:  # noqa: A001
        session = opened(connection, provider, recorder, opener)
        session.state = asked
        return session

    manager.gen = Entering(manager.gen, open)


def of(connection: Any) -> Session | None:
    """The session of a connection, if it has one."""
    return getattr(connection, _MARK, None)


def opened(connection: Any, provider: Provider, recorder: Recorder, opener: Any) -> Session:
    """The session of a connection, made at the first sight of it; it is over when the connection is dropped.

    Args:
        connection: The SDK's own object.
        provider: The table that reads its messages.
        recorder: Where calls are begun.
        opener: What opened it, from which the table finds the owner.
    """
    session = of(connection)
    if session is None:
        session = Session(provider, recorder, provider.owner(opener))
        setattr(connection, _MARK, session)
        weakref.finalize(connection, guarded, session.over)
    return session
