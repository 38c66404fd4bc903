"""Our mistakes never become the caller's: the only room that swallows exceptions."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

strict = False
"""Whether faults are raised instead of swallowed: tests set it, users never do."""
faults: dict[str, int] = {}
"""How often each step failed in this process, by the step's name and the exception's type."""

_said: set[str] = set()


def guarded(step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
    """The result of `step`, or None if it raised; what it raised is counted in `faults`, never shown to the caller."""
    try:
        return step(*args, **kwargs)
    except Exception as fault:
        if strict:
            raise
        name = f"{getattr(step, '__qualname__', step)}: {type(fault).__name__}"
        faults[name] = faults.get(name, 0) + 1
        return None


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
