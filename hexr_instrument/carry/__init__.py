"""The caller goes along: to threads, executors, pools, child processes and celery's workers.

Only the scope is carried, one immutable value; the program's own context variables stay where they are. What of the
standard library has to be patched for it is patched when the first scope is entered, and put back by `uninstrument`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from .. import context
from ..guard import guarded
from . import celery, processes, threads
from .ticket import heard

__all__ = ["celery", "heard", "install", "installed", "on_import", "remove"]

Wrap = Callable[[Any], Any]
"""The original function -> the one that takes its place."""

TABLE: dict[str, tuple[tuple[str, str, Wrap], ...]] = {
    "threading": (("Thread", "start", threads.start), ("Thread", "_bootstrap_inner", threads.bootstrap)),
    "concurrent.futures.thread": (("ThreadPoolExecutor", "submit", threads.submit),),
    "concurrent.futures.process": (("ProcessPoolExecutor", "submit", threads.submit),),
    "multiprocessing.pool": tuple(
        ("Pool", name, threads.pooled) for name in ("apply_async", "_map_async", "imap", "imap_unordered")
    ),
    "multiprocessing.process": (("BaseProcess", "start", processes.start),),
    "subprocess": (("Popen", "__init__", processes.opened),),
}
"""Module -> (class, method, what takes its place)."""

_originals: list[tuple[Any, str, Any, Any]] = []
"""(class, name, what was there, what was put there)."""
_patched: set[str] = set()
_on = False


def installed() -> bool:
    """Whether callers are carried now."""
    return _on


def install() -> None:
    """Patches what is imported already, once; `on_import` the rest."""
    global _on
    context.on_first = None
    if not _on:
        _on = True
        for name in TABLE:
            _patch(sys.modules.get(name))


def on_import(module: ModuleType) -> None:
    """Patches a module that has just been executed, if callers are carried."""
    if module.__name__ == celery.MODULE:
        celery.connect()
    elif _on:
        _patch(module)


def remove() -> None:
    """Puts the very same objects back, where nobody else has patched them since."""
    global _on
    _on = False
    context.on_first = None
    for kind, name, original, ours in reversed(_originals):
        if kind.__dict__.get(name) is ours:
            setattr(kind, name, original)
    _originals.clear()
    _patched.clear()
    celery.disconnect()


def _patch(module: Any) -> None:
    # Another thread may be executing it still: then its classes are not there yet, and the finder's turn comes.
    if module is None or module.__name__ in _patched or getattr(module.__spec__, "_initializing", False):
        return
    _patched.add(module.__name__)
    for owner, name, wrap in TABLE[module.__name__]:
        guarded(_put, getattr(module, owner, None), name, wrap)


def _put(kind: Any, name: str, wrap: Wrap) -> None:
    original: Any = None if kind is None else kind.__dict__.get(name)
    if original is not None:
        ours = wrap(original)
        setattr(kind, name, ours)
        _originals.append((kind, name, original, ours))
