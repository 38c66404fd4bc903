"""Our mistakes never become the caller's: the only room that swallows exceptions."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

strict = False
"""Whether faults are raised instead of swallowed: tests set it, users never do."""
faults: dict[str, int] = {}
"""How often each step failed in this process, by the step's name and the exception's type."""

noted: Callable[[str, int], None] | None = None
"""Is told of a step's first fault, of its tenth, its hundredth, ...: the recorder leaves a note of it for `doctor`."""

_said: set[str] = set()


def guarded(step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
    """The result of `step`, or None if it raised; what it raised is counted in `faults`, never shown to the caller."""
    try:
        return step(*args, **kwargs)
    except Exception as fault:
        if strict:
            raise
        _count(step, fault)
        return None


def attempt(blame: Callable[[], None], step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
    """The same as `guarded`, and calls `blame` if the step raised."""
    try:
        return step(*args, **kwargs)
    except Exception as fault:
        if strict:
            raise
        _count(step, fault)
        guarded(blame)
        return None


def preceded(
    original: Callable[..., Any], step: Callable[[dict[str, Any]], Callable[[Any], None] | None]
) -> Callable[..., Any]:
    """A function that is `original`, but first gives its keyword arguments to `step`, guarded.

    What that returns, if anything, takes the result. For what runs with every chunk of a stream: one frame in all.
    """

    @wraps(original)
    def listened(*args: Any, **kwargs: Any) -> Any:
        then = None
        try:
            then = step(kwargs)
        except Exception as fault:
            if strict:
                raise
            _count(step, fault)
        result = original(*args, **kwargs)
        if then is not None:
            guarded(then, result)
        return result

    return listened


def _count(step: Callable[..., Any], fault: Exception) -> None:
    name = f"{getattr(step, '__qualname__', step)}: {type(fault).__name__}"
    count = faults[name] = faults.get(name, 0) + 1
    if noted is not None and count in _MILESTONES:
        try:
            noted(name, count)
        except Exception:
            return


_MILESTONES = frozenset(10**power for power in range(10))


class Breaker:
    """Counts calls in a row with a fault of ours in them; at the limit, once, it has the provider unwrapped."""

    __slots__ = ("_open", "_row")

    def __init__(self, opened: Callable[[], None]) -> None:
        """Calls `opened` at the limit."""
        self._open: Callable[[], None] | None = opened
        self._row = 0

    def failed(self) -> None:
        """Counts a call that had a fault."""
        self._row += 1
        if self._row >= BREAK_AFTER and self._open is not None:
            opened, self._open = self._open, None
            opened()

    def worked(self) -> None:
        """A call without a fault: the count begins anew."""
        self._row = 0


BREAK_AFTER = 10
"""Calls of one provider in a row with a fault of ours after which its SDK is left alone for the rest of the process."""


def undo(steps: list[tuple[Callable[[Any], Any], Any]]) -> None:
    """Calls each of the steps with its argument, the last one first, and forgets them."""
    while steps:
        guarded(*steps.pop())


def say(line: str) -> None:
    """Writes one line to stderr, once per process and line; a program without stderr runs on."""
    if line in _said:
        return
    _said.add(line)
    guarded(_write, f"hexr-instrument: {line}\n")


def _write(line: str) -> None:
    stream: Any = sys.stderr
    if stream is not None:
        stream.write(line)
        stream.flush()
