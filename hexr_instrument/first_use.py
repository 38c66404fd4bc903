"""Modules that most programs import for something else: the engine is loaded when they are first used for a model.

A program that stores files with boto3 pays nothing for it: no wrapper, and none of our rooms.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from .guard import guarded

_CREATORS = {"botocore.client": "ClientCreator", "aiobotocore.client": "AioClientCreator"}
"""Module -> its class that makes the clients of all services; its `_create_methods(service_model)` is the moment."""
_METHOD = "_create_methods"
_SERVICE = "bedrock-runtime"

_waiting: dict[str, tuple[Any, Any]] = {}
"""Module -> the class whose method is ours until then, and its own one (None where it inherits it)."""


def wait(module: ModuleType, used: Callable[[ModuleType], None]) -> None:
    """Calls `used(module)` once, before the first client of the service is made."""
    creator: Any = getattr(module, _CREATORS[module.__name__], None)
    create = getattr(creator, _METHOD, None)
    if create is None:
        used(module)
        return

    def create_methods(self: Any, service_model: Any) -> Any:
        if getattr(service_model, "service_name", None) == _SERVICE:
            guarded(forget, module.__name__)
            guarded(used, module)
        return create(self, service_model)

    _waiting[module.__name__] = creator, creator.__dict__.get(_METHOD)
    setattr(creator, _METHOD, create_methods)


def forget(*names: str) -> None:
    """Puts back what is not awaited any more; without names, all of it."""
    for name in names or tuple(_waiting):
        if (found := _waiting.pop(name, None)) is None:
            continue
        creator, own = found
        if own is None:
            delattr(creator, _METHOD)
        else:
            setattr(creator, _METHOD, own)
