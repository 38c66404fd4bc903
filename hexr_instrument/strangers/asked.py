"""One call of a client that no table knows: whose it is, what it came to, and whether it is a call of its own at all."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .. import context, hub
from ..budgets import BudgetExceeded
from ..call import Request, Response, Usage, text
from ..context import Change, Scope
from ..formats import anything
from ..formats.anything import ANYTHING, Heard
from ..guard import guarded
from ..live import Live
from ..owed import Origin

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
