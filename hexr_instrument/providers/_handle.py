"""Handles of generated SDKs' clients: the SDK's own `copy()`, and copies of it that stay registered."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from ..call import REGISTRATION


def handle(client: Any) -> Any:
    """A copy on the same transport, with what the program has set on the client; its own copies keep its registration.

    A class of the program's own with another `__init__` cannot be copied by the SDK: of its client the parts are taken.
    """
    kind: Any = client.__class__
    made: Any = client.copy() if _package(kind.__init__) == _package(_generated(kind)) else object.__new__(kind)
    for name, value in client.__dict__.items():
        if name in made.__dict__:
            continue
        if not _is_part(value, client):
            made.__dict__[name] = value
        elif not hasattr(kind, name):  # versions that make all resources at once
            made.__dict__[name] = type(value)(made)
    made.__class__ = _handle_class(kind)
    return made


def _generated(kind: type[Any]) -> type[Any]:
    """The class that the SDK's generator has put beneath all of its clients."""
    return next(each for each in kind.__mro__ if each.__name__ == "BaseClient")


def _package(defined: Any) -> str:
    return defined.__module__.partition(".")[0]


def _is_part(value: Any, client: Any) -> bool:
    """Whether a value is a resource that was made for this client: another one makes its own."""
    return getattr(value, "_client", None) is client


@lru_cache(maxsize=64)
def _handle_class(kind: type[Any]) -> type[Any]:
    """A class of the same name whose copies are registered as the copied client is."""
    if REGISTRATION in vars(kind):
        return kind

    def again(self: Any, **changes: Any) -> Any:
        made = kind.copy(self, **changes)
        setattr(made, REGISTRATION, getattr(self, REGISTRATION))
        return made

    members = {"copy": again, "with_options": again, REGISTRATION: None, "__module__": kind.__module__}
    return type(kind.__name__, (kind,), members)
