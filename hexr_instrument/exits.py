"""The ways out of a process, and how each gets its exit budget. They only speed delivery: the record is on disk.

Nothing here exists where no endpoint is set (CONTRACT 2): the local store needs no haste.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import sys
import threading
from collections.abc import Callable
from typing import Any, Protocol

from . import signals
from .guard import guarded


class Delivery(signals.Delivery, Protocol):
    """What is to be finished."""

    def finish(self) -> None:
        """Delivers within the exit budget; the process ends."""
        ...


def watch(delivery: Delivery, await_loading: Callable[[], None]) -> None:
    """Has every orderly way out of this process wait for `delivery`, within its exit budget.

    Args:
        delivery: The worker.
        await_loading: Waits for what must happen before thread pools end.
    """
    signals.delivery = delivery
    atexit.register(guarded, delivery.finish)
    _before_thread_pools_end(await_loading)
    if _is_child():
        _finalize(delivery)


# -- children that leave by `os._exit`

_registered: set[str] = set()


def _is_child() -> bool:
    """Whether this process was started by multiprocessing; asks nothing of a program that does not use it."""
    process = sys.modules.get("multiprocessing.process")
    return process is not None and process.parent_process() is not None


def _finalize(delivery: Delivery) -> None:
    """Has multiprocessing's end of a child wait, after everything that the program has registered there."""
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        util.Finalize(None, guarded, args=(delivery.finish,), exitpriority=-100)


def before_fork(delivery: Delivery) -> None:
    """Prepares the children of multiprocessing and of celery, which end without Python's own exit."""
    util = sys.modules.get("multiprocessing.util")
    if util is not None and "multiprocessing" not in _registered:
        _registered.add("multiprocessing")
        util.register_after_fork(delivery, _finalize)
    celery: Any = sys.modules.get("celery.signals")
    if celery is not None and "celery" not in _registered:
        _registered.add("celery")

        def ended(**_: Any) -> None:
            guarded(delivery.finish)

        celery.worker_process_shutdown.connect(ended, weak=False, dispatch_uid="hexr-instrument")


# -- the interpreter's own exit


def _before_thread_pools_end(function: Callable[[], None]) -> None:
    """Has Python call `function` at exit, just before `concurrent.futures` stops taking work.

    `threading` has no public hook there; where the private one is missing, a program that ends within a second of its
    first call may leave its calls to the next process.
    """
    importlib.import_module("concurrent.futures.thread")  # its own hook must stand before ours: the last runs first
    register = getattr(threading, "_register_atexit", None)
    if register is not None:
        guarded(register, guarded, function)


def restore_interrupt() -> None:
    """Lets a program that ended by Ctrl-C still end as killed by SIGINT.

    CPython remembers an unhandled KeyboardInterrupt in a flag that each evaluation of source text clears, in whichever
    thread; the SDK's modules evaluate some while the worker imports them. Evaluating one that raises sets it again.
    """
    if getattr(sys, "last_type", None) is KeyboardInterrupt and not hasattr(sys, "ps1"):
        with contextlib.suppress(KeyboardInterrupt):
            exec("raise KeyboardInterrupt")  # noqa: S102
