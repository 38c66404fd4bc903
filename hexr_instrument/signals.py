"""Signals that end the process wait for delivery first, and the wait status stays as it was.

Only where an endpoint is set: the local store needs no haste. Python runs a handler when its main thread is back from
whatever C function it is in; so that such a function does not hold the end of the process, a thread that listens to
the signals' wake-up pipe takes over where the handler is not called.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
import time
from types import FrameType
from typing import Protocol

from .guard import guarded

ENDING = tuple(found for name in ("SIGTERM", "SIGHUP") if (found := getattr(signal, name, None)) is not None)
"""The signals whose default is to end the process at once. SIGINT is none of them: it raises, and atexit runs."""
GRACE = 0.2
"""Seconds after which a handler that has not been called is taken to be held up by a C function."""


class Delivery(Protocol):
    """What is to be hurried."""

    def hurry(self, *, last: bool) -> None:
        """Delivers within the exit budget, without a lock; the process goes on if this is not its `last` signal."""
        ...


delivery: Delivery | None = None
"""This process's delivery; signals may be caught before there is one."""
_handled = False
_pipe: tuple[int, int] | None = None
_watcher: threading.Thread | None = None
_hooked = False
_put_off = False
"""Whether a forked child is to catch signals with its first call."""
_masks = threading.local()


def catch() -> None:
    """Catches the signals that nobody else handles, from the main thread, as Python wants it.

    A handler that the program sets later replaces ours.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    caught = False
    for number in ENDING:
        if signal.getsignal(number) is signal.SIG_DFL:
            with contextlib.suppress(ValueError, OSError):  # a subinterpreter has no signals
                signal.signal(number, _deliver_and_end)
                caught = True
    if caught:
        _hook_forks()
        guarded(_open)


def _deliver_and_end(number: int, frame: FrameType | None) -> None:
    global _handled
    _handled = True
    last = os.getpid() != 1  # the kernel never applies the default to the first process of a container
    if delivery is not None:
        guarded(delivery.hurry, last=last)
    if last:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    _handled = False


# -- where a C function holds the main thread


def _open() -> None:
    """Has the interpreter write the number of each signal into a pipe of ours, unless somebody else has one there."""
    global _pipe
    if _pipe is not None or "trio" in sys.modules:  # trio warns of another's pipe
        return
    read, write = os.pipe()
    os.set_blocking(write, False)
    theirs = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    if theirs != -1:
        signal.set_wakeup_fd(theirs)
        os.close(read)
        os.close(write)
        return
    _pipe = read, write


def release() -> None:
    """Gives the wake-up pipe back: the program is about to use one of its own."""
    global _pipe
    if _pipe is None:
        return
    with contextlib.suppress(ValueError):  # not the main thread
        theirs = signal.set_wakeup_fd(-1)
        if theirs not in (-1, _pipe[1]):
            signal.set_wakeup_fd(theirs)
        os.close(_pipe[1])  # ends the watcher, which closes the other end
        if _watcher is None:
            os.close(_pipe[0])
        _pipe = None


def watch() -> None:
    """Starts the thread that takes over from a handler that is not called; there is something to deliver now."""
    global _watcher, _put_off
    if _put_off:
        _put_off = False
        catch()
    if _pipe is not None and _watcher is None:
        _watcher = threading.Thread(target=_listen, args=_pipe[:1], name="hexr-signals", daemon=True)
        _watcher.start()


def _listen(read: int) -> None:
    while numbers := os.read(read, 64):
        for number in set(numbers).intersection(ENDING):
            deadline = time.monotonic() + GRACE
            while not _handled and time.monotonic() < deadline:
                time.sleep(0.01)
            ours = signal.getsignal(number) is _deliver_and_end and os.getpid() != 1
            if ours and not _handled:
                if delivery is not None:
                    guarded(delivery.hurry, last=True)
                ctypes.CDLL(None).signal(int(number), 0)  # SIG_DFL; Python's own function is the main thread's alone
                os.kill(os.getpid(), number)
    os.close(read)


# -- forks


def _hook_forks() -> None:
    """Leaves a child the default until it has something to deliver, from its very start.

    A Python handler cannot serve there: CPython forgets what a child was sent before it has set itself up, and what
    comes just before a system call waits for that call's end, for which only the watching thread helps. A child that
    is terminated right after its start would live on.
    """
    global _hooked
    if not _hooked and hasattr(os, "register_at_fork"):
        _hooked = True
        os.register_at_fork(before=_block, after_in_parent=_unblock, after_in_child=_in_child)


def _block() -> None:
    _masks.before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)


def _unblock() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _masks.before)


def _in_child() -> None:
    global _pipe, _watcher, _handled, _put_off
    _handled, _watcher = False, None
    if _pipe is not None:
        inherited, _pipe = _pipe, None
        with contextlib.suppress(ValueError):
            signal.set_wakeup_fd(-1)
        for end in inherited:
            os.close(end)
    for number in ENDING:
        if signal.getsignal(number) is _deliver_and_end:
            signal.signal(number, signal.SIG_DFL)
            _put_off = True
    _unblock()
