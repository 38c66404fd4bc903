"""Handles of generated SDKs' clients: the SDK's own `copy()`, and copies of it that stay registered."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from ..call import REGISTRATION


def handle(client: Any) -> Any:
    """A copy on the same transport; its own copies keep its registration."""
    made: Any = client.copy()
    kind: Any = made.__class__
    made.__class__ = _handle_class(kind)
    return made


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
