"""Child processes: `multiprocessing` carries the caller with the process object, `subprocess` in the environment."""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from .. import context
from .. import start as boot
from ..config import CALLER, CALLER_VARIABLES
from ..guard import guarded
from . import ticket
from .ticket import Ticket

_ENV = 10 + 1
"""Where `env` is among the positional arguments of `Popen.__init__`, `self` counted."""


def start(original: Callable[[Any], None]) -> Callable[[Any], None]:
    """`BaseProcess.start`: what is spawned is sent the process object, and the caller with it."""

    @functools.wraps(original)
    def start(self: Any) -> None:
        found = guarded(ticket.here)
        if found is None:
            return original(self)
        self._hexr_caller = Arrival(found)
        try:
            return original(self)
        finally:
            del self._hexr_caller

    return start


class Arrival:
    """A ticket that is used by being unpickled: in the process that was spawned, before its `run`."""

    __slots__ = ("_ticket",)

    def __init__(self, found: Ticket) -> None:
        """Takes the ticket."""
        self._ticket = found

    def __reduce__(self) -> tuple[Any, ...]:
        """Arrives where it is loaded."""
        return _arrive, (self._ticket,)


def _arrive(found: Ticket) -> Arrival:
    guarded(_arrived, found)
    return Arrival(found)


def _arrived(found: Ticket) -> None:
    context.base = found.scope()
    boot.start()
    if any(module in sys.modules for module in boot.MODULES):
        from .. import hub  # noqa: PLC0415  (the hub knows this room; here it is the other side that comes first)

        hub.ensure()


def opened(original: Callable[..., None]) -> Callable[..., None]:
    """`Popen.__init__`: in a scope, an environment that is the program's own also says who calls."""

    @functools.wraps(original)
    def opens(*args: Any, **kwargs: Any) -> None:
        found = guarded(ticket.here)
        if found is None:
            return original(*args, **kwargs)
        given: Any = args[_ENV] if len(args) > _ENV else kwargs.get("env")
        env = guarded(environment, given, found)
        if env is None:
            return original(*args, **kwargs)
        if len(args) > _ENV:
            return original(*args[:_ENV], env, *args[_ENV + 1 :], **kwargs)
        return original(*args, **{**kwargs, "env": env})

    return opens


def _ours(name: Any) -> bool:
    return isinstance(name, str) and name.startswith("HEXR_")


def environment(given: Mapping[Any, Any] | None, found: Ticket) -> dict[Any, Any] | None:
    """The environment of a child; None where it stays as the program gave it.

    One that was made of the program's own has all of its variables, or one of ours; any other is not touched.
    """
    own = os.environ
    if given is not None and not all(name in given for name in own) and not any(_ours(name) for name in given):
        return None
    env = dict(own if given is None else given)
    seen = {field: own.get(name) for field, name in CALLER_VARIABLES.items()}
    env[CALLER] = json.dumps({**ticket.said(found), "seen": seen}, separators=(",", ":"))
    return env
