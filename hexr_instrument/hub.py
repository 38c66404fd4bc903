"""Switching on and off: makes the one recorder of this process and hands it to the engine and to the scopes."""

from __future__ import annotations

import os
import sys
import threading
from types import ModuleType

from . import carry, context, engine, first_use, provider, signals, start
from .agents import Invocation
from .call import Caller
from .config import Config
from .guard import guarded
from .providers import hosts
from .recorder import Recorder

_recorder: Recorder | None = None
_off = False
_making = threading.Lock()


def recorder() -> Recorder | None:
    """This process's recorder, made now if need be; None where recording is switched off."""
    global _recorder
    if _off:
        return None
    with _making:
        if _recorder is None:
            config = Config.from_env()
            if config.disabled:
                return None
            _recorder = Recorder(config)
            hosts.configure(config.hosts)
            started = carry.heard(config.caller) if config.caller else None
            if started is not None and context.base is None:
                context.base = started.scope()
            if config.delivers and config.signals:
                signals.catch()
            guarded(engine.patch_loaded, _recorder, frozenset(start.REQUESTS))
        context.invoke = _invoke
        context.parent = _recorder.parent
        if context.current() is not None:  # in a process that was started in a scope
            guarded(carry.install)
        elif not carry.installed():
            context.on_first = carry.install
    return _recorder


def _forked() -> None:
    """Another thread of the parent may have held the lock; it does not exist here."""
    global _making
    _making = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def _invoke(caller: Caller) -> Invocation | None:
    made = _recorder
    return None if made is None else guarded(Invocation, made, caller)


def on_import(module: ModuleType, *, executed: bool = True) -> None:
    """Patches a provider's or a framework's module that has just been imported (or, not `executed`, is now used)."""
    made = recorder()
    if made is not None:
        if module.__name__ in (
            *start.MODULES,
            *start.SHARED,
        ):  # a framework may be imported by programs that never make a call
            guarded(provider.offer_provider, made)
            guarded(provider.offer_meters, made)
        engine.patch_module(module, made, executed=executed)
        if context.readers and not carry.installed():
            guarded(carry.install)


def instrument() -> None:
    """Records every call from here on, of providers imported before and after; a second time does nothing."""
    global _off
    _off = False
    guarded(start.start)
    made = guarded(recorder)
    if made is not None:
        if any(module in sys.modules for module in start.MODULES):
            guarded(provider.offer_provider, made)
            guarded(provider.offer_meters, made)
        guarded(engine.patch_loaded, made)
        guarded(carry.celery.connect)


def ensure() -> None:
    """Switches recording on at the first use of the API, unless `uninstrument` has switched it off."""
    if not _off:
        instrument()


def uninstrument() -> None:
    """Puts the providers' own objects back; what was recorded stays."""
    global _off
    _off = True
    guarded(first_use.forget)
    guarded(engine.unpatch)
    context.invoke = context.parent = None
    guarded(carry.remove)
    guarded(flush, 2.0)


def flush(timeout: float = 2.0) -> bool:
    """Delivers what has been recorded so far.

    Args:
        timeout: Seconds to wait at most.

    Returns:
        Whether everything was delivered (always true without an endpoint: the record is already on disk).
    """
    return _recorder is None or guarded(_recorder.worker.flush, timeout) is True
