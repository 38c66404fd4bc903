"""What was put where in one SDK or framework, as its wrappers and whoever takes them off know it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..call import Framework, Provider
from ..guard import Breaker
from ..wires import Wire

Wrapper = Callable[[Callable[..., Any], Any, tuple[Any, ...], dict[str, Any]], Any]
"""(wrapped, instance, args, kwargs) -> what the wrapped function returns, as wrapt calls it."""


@dataclass(slots=True)
class Wrapped:
    """What was put where, and what was left alone and why."""

    originals: list[tuple[Any, str, Any]] = field(default_factory=list[tuple[Any, str, Any]])
    """(where, name, what was there; None where it was inherited)."""
    left: dict[str, str] = field(default_factory=dict[str, str])
    breaker: Breaker | None = None
    """None after it has taken the wrappers off, because our steps failed in call after call."""


@dataclass(slots=True)
class Patch(Wrapped):
    """One patched provider."""

    provider: Provider = field(kw_only=True)

    @property
    def name(self) -> str:
        """The table's."""
        return self.provider.name


@dataclass(slots=True)
class Hook(Wrapped):
    """One framework that says which of its agents is running."""

    framework: Framework = field(kw_only=True)
    reader: Callable[[], tuple[str | None, object] | None] | None = None
    """Which agent is running in this context, where the framework knows; None where it does not, or not any more."""

    @property
    def name(self) -> str:
        """The table's."""
        return self.framework.name


@dataclass(slots=True)
class Link(Wrapped):
    """One wire to other processes."""

    wire: Wire = field(kw_only=True)

    @property
    def name(self) -> str:
        """The table's."""
        return self.wire.name
