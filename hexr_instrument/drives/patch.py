"""One patched provider, as its wrappers and whoever takes them off know it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..call import Provider
from ..guard import Breaker

Wrapper = Callable[[Callable[..., Any], Any, tuple[Any, ...], dict[str, Any]], Any]
"""(wrapped, instance, args, kwargs) -> what the wrapped function returns, as wrapt calls it."""


@dataclass(slots=True)
class Patch:
    """One patched provider: what was put where, and what was left alone and why."""

    provider: Provider
    originals: list[tuple[Any, str, Any]] = field(default_factory=list[tuple[Any, str, Any]])
    """(where, name, what was there; None where it was inherited)."""
    left: dict[str, str] = field(default_factory=dict[str, str])
    breaker: Breaker | None = None
    """None after it has taken the wrappers off, because our steps failed in call after call."""
