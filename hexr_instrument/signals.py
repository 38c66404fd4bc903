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
from collections.abc import Callable
from types import FrameType
from typing import Protocol

from .guard import guarded

ENDING = tuple(found for name in ("SIGTERM", "SIGHUP") if (found := getattr(signal, name, None)) is not None)
"""The signals whose default is to end the process at once. SIGINT is none of them: it raises, and atexit runs."""
GRACE = 0.2
"""Seconds after which a handler that has not been called is taken to be held up by a C function."""
HIGH = 900
"""Where the pipe's descriptors are put if the limit allows it: new files of the program get the lowest free numbers."""


class Delivery(Protocol):
    """What is to be hurried."""

    def hurry(self, *, last: bool) -> None:
        """Delivers within the exit budget, without a lock; the process goes on if this is not its `last` signal."""
        ...


delivery: Delivery | None = None
"""This process's delivery; signals may be caught before there is one."""
_handled = False
_pipe: Pipe | None = None
_watcher: threading.Thread | None = None
_hooked = False
_put_off = False
"""Whether signals have their default until there is something to deliver again: after a fork, in parent and child."""
_masks = threading.local()


def catch() -> None:
    """Catches the signals that nobody else handles, from the main thread, as Python wants it.

    A handler that the program sets later replaces ours.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    for number in ENDING:
        if signal.getsignal(number) is signal.SIG_DFL:
            with contextlib.suppress(ValueError, OSError):  # a subinterpreter has no signals
                signal.signal(number, _deliver_and_end)
                _hook_forks()


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


def _caught() -> bool:
    return any(signal.getsignal(number) is _deliver_and_end for number in ENDING)


# -- where a C function holds the main thread


class Pipe:
    """A pipe whose ends may be closed by the program, and their numbers used again for files of its own."""

    def __init__(self) -> None:
        """Opens it."""
        self.read, self.write = (_high(end) for end in os.pipe())
        os.set_blocking(self.write, False)
        found = os.fstat(self.read)
        self._identity = found.st_ino, found.st_dev

    def has(self, end: int) -> bool:
        """Whether this number is still one of the pipe's."""
        try:
            found = os.fstat(end)
        except OSError:
            return False
        return (found.st_ino, found.st_dev) == self._identity

    def close(self, end: int) -> None:
        """Closes one end, if it is still there."""
        if self.has(end):
            os.close(end)


def _high(end: int) -> int:
    try:
        import fcntl  # noqa: PLC0415  (Windows has none)

        moved = fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, HIGH)
    except (ImportError, OSError):  # OSError: beyond the limit of open files
        return end
    os.close(end)
    return moved


def watch() -> None:
    """Catches the signals, and has a thread take over from a handler that is not called; there is work now."""
    global _pipe, _watcher
    if not _hooked or _pipe is not None or "trio" in sys.modules:  # trio warns of another's pipe
        return
    if _put_off or _caught():
        _pipe = Pipe()
        _watcher = threading.Thread(target=_listen, args=(_pipe,), name="hexr-signals", daemon=True)
        _watcher.start()
        _in_main_thread(_attach)


def watcher() -> threading.Thread | None:
    """The thread that listens."""
    return _watcher


def _attach() -> None:
    """Has the interpreter write the number of each signal into our pipe, unless somebody else has one there."""
    global _put_off
    if _put_off:
        _put_off = False
        catch()
    if _pipe is not None:
        theirs = signal.set_wakeup_fd(_pipe.write, warn_on_full_buffer=False)
        if theirs not in (-1, _pipe.write):
            signal.set_wakeup_fd(theirs)
            release()


def release() -> None:
    """Gives the wake-up pipe back: the program is about to use one of its own, or has closed ours."""
    global _pipe
    if _pipe is None:
        return
    with contextlib.suppress(ValueError):  # not the main thread
        theirs = signal.set_wakeup_fd(-1)
        if theirs not in (-1, _pipe.write):
            signal.set_wakeup_fd(theirs)
        _pipe.close(_pipe.write)  # ends the watcher, which closes the other end
        _pipe = None


def _listen(pipe: Pipe) -> None:
    while pipe.has(pipe.read) and (numbers := os.read(pipe.read, 64)):
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
    pipe.close(pipe.read)
    if _pipe is pipe:  # closed by the program: no signal's number may land in a file of its own
        _in_main_thread(release)


def _in_main_thread(function: Callable[[], None]) -> None:
    """Runs `function` in the main thread: now, or as soon as that is between two steps of Python."""
    if threading.current_thread() is threading.main_thread():
        guarded(function)
        return

    def pending(_: int | None) -> int:
        guarded(function)
        _pending.remove(call)
        return 0

    call = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(pending)
    _pending.append(call)
    ctypes.pythonapi.Py_AddPendingCall(call, None)


_pending: list[object] = []
"""What the interpreter will call, kept alive until it has."""

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
    global _pipe, _watcher, _handled
    _handled, _watcher = False, None
    if _pipe is not None:
        inherited, _pipe = _pipe, None
        with contextlib.suppress(ValueError):
            signal.set_wakeup_fd(-1)
        for end in (inherited.read, inherited.write):
            inherited.close(end)
    _put_off_catching()
    _unblock()


def rest() -> threading.Thread | None:
    """Leaves the signals their default until there is something to deliver again; the thread that has ended."""
    global _watcher
    ended, _watcher = _watcher, None
    release()
    _put_off_catching()
    if ended is not None:
        ended.join(2 * GRACE)
    return ended


def _put_off_catching() -> None:
    global _put_off
    for number in ENDING:
        if signal.getsignal(number) is _deliver_and_end:
            with contextlib.suppress(ValueError):  # not the main thread
                signal.signal(number, signal.SIG_DFL)
                _put_off = True
