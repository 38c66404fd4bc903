"""Faults at every step of ours: a trace function that sees each of our frames, and raises in one of them.

What is a step is found by looking, not by a list: whatever function of the package runs in the caller's thread while a
surface is used, and is called by our own code. A door, which foreign code calls, has nothing of ours around it; its
first and last instant are not ours to fail in, and each of its steps is a call of `guarded`, which is tried here.
"""

from __future__ import annotations

import ast
import functools
import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

import hexr_instrument

ROOT = str(Path(hexr_instrument.__file__).parent) + "/"
FAULTS = (RuntimeError, RecursionError, MemoryError, KeyError, StopIteration, AttributeError, AssertionError)
"""What a step raises, in turn: all that our own code could cause."""
AROUND = frozenset({
    "guarded", "attempt", "_count", "undo", "failed",
    "_started", "_allowed",  # here a budget says no, on purpose outside of the guard
    "enter", "leave",
    # Frames around the caller's own code; whatever they do beside calling it is a call of `guarded`.
    "passed_on", "chunks", "call", "wrapper", "steps", "Entered.__init__", "Entered.__enter__", "Entered.__exit__",
    "_Steps.__init__", "_Steps.__enter__", "_Steps.__exit__", "_Steps.end", "Scoped.__init__", "Scoped.__enter__", "Scoped.__exit__",
})  # fmt: skip
PRODUCT = ("api.py", "llm.py", "direct.py", "demo/")
"""What the program itself calls: a wrong argument, or a direct call that cannot be made, has to be said."""


class Site(NamedTuple):
    """One point of our code."""

    code: CodeType
    event: str
    """`call` (before the function has done anything), `return` (after all that it does), or `line`."""
    line: int = 0

    def __str__(self) -> str:
        return f"{self.code.co_filename.removeprefix(ROOT)} {name_of(self.code)} {self.event} {self.line or ''}"


SUSPENDS = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
"""In frames that can be suspended, CPython 3.11 does not survive an exception of the trace function at a yield."""


def name_of(code: CodeType) -> str:
    """The qualified name, without the function that it is defined in."""
    if sys.version_info >= (3, 11):
        return code.co_qualname.rpartition("<locals>.")[2]
    return named().get(code, code.co_name)


@functools.cache
def withs(path: str) -> frozenset[int]:
    """The lines of `with` statements: Python visits them again on the way out, before a lock is given back."""
    return frozenset(node.lineno for node in ast.walk(ast.parse(Path(path).read_text())) if isinstance(node, ast.With))


@functools.cache
def named() -> dict[CodeType, str]:
    """The qualified names of our methods, which code objects do not know before Python 3.11."""
    modules = [each for name, each in sys.modules.items() if name.startswith("hexr_instrument")]
    kinds = [each for module in modules for each in vars(module).values() if isinstance(each, type)]
    methods = [each for kind in kinds for each in vars(kind).values() if inspect.isfunction(each)]
    return {each.__code__: each.__qualname__ for each in methods}


def is_step(frame: FrameType) -> bool:
    """Whether a frame is a step of ours that another step of ours has called."""
    code, outer = frame.f_code, frame.f_back
    return (
        code.co_filename.startswith(ROOT)
        and outer is not None
        and outer.f_code.co_filename.startswith(ROOT)
        and not code.co_filename.startswith(tuple(ROOT + each for each in PRODUCT))
        and name_of(code) not in AROUND
    )


class Watch(dict[str, int]):
    """The trace function, and `guard.faults` at the same time: a trace function that has raised must be set again."""

    def __init__(self, *, lines: bool = False, target: Site | None = None, fault: type[Exception] = RuntimeError):
        super().__init__()
        self.lines = lines
        self.target = target
        self.fault = fault
        self.seen: dict[Site, None] = {}
        self.fired = 0
        # Held here: CPython 3.11 calls them by borrowed references, and a fault may set the trace function meanwhile.
        self.enter = self._enter
        self.inside = self._inside

    def __setitem__(self, name: str, count: int) -> None:
        super().__setitem__(name, count)
        if self.target is not None and not self.lines:
            sys.settrace(self.enter)

    def meet(self, site: Site) -> None:
        """Notes a site; raises at the one that is the target."""
        if self.target is None:
            self.seen[site] = None
        elif site == self.target and not (self.lines and self.fired):
            self.fired += 1
            raise self.fault("injected")

    def _enter(self, frame: FrameType, event: str, arg: Any) -> Any:
        """The trace function of new frames."""
        code = frame.f_code
        if self.target is not None and code is not self.target.code:
            return None
        if not code.co_filename.startswith(ROOT) or not is_step(frame):
            return None
        if not self.lines and not code.co_flags & SUSPENDS:
            self.meet(Site(code, "call"))
        frame.f_trace_lines = self.lines or bool(code.co_flags & SUSPENDS)
        return self.inside

    def _inside(self, frame: FrameType, event: str, arg: Any) -> Any:
        """The trace function of our steps."""
        code = frame.f_code
        if event == "line" and self.lines and frame.f_lineno in withs(code.co_filename):
            return self.inside
        if event == "line":
            self.meet(Site(code, "line", frame.f_lineno) if self.lines else Site(code, "call"))
        elif event == "return" and not self.lines and not code.co_flags & SUSPENDS:
            self.meet(Site(code, "return"))
        return self.inside

    def __call__(self, program: Callable[[], Any]) -> Any:
        """What `program` returns, watched."""
        sys.settrace(self.enter)
        try:
            return program()
        finally:
            sys.settrace(None)


def sites(program: Callable[[], Any], *, lines: bool = False) -> list[Site]:
    """Every step that `program` takes in this thread, in order."""
    watch = Watch(lines=lines)
    watch(program)
    return list(watch.seen)


def faults(found: list[Site], *, lines: bool = False) -> Iterator[Watch]:
    """One watch for each site, with one kind of fault after the other."""
    for number, site in enumerate(found):
        yield Watch(lines=lines, target=site, fault=FAULTS[number % len(FAULTS)])
