"""Entry points by which stock `opentelemetry-instrument` and the OpenTelemetry operator load us.

Only the instrumentor adds behaviour. Distro and configurator hand over, unchanged, to those that would have been used
without us: with `opentelemetry-distro` installed, to its.
"""

from __future__ import annotations

from collections.abc import Collection
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from opentelemetry.instrumentation.distro import BaseDistro, DefaultDistro
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

from . import hub


def _stock(group: str) -> Any:
    """What the first entry point of `group` that is not ours names, or None."""
    for point in entry_points(group=group):
        if not point.value.startswith("hexr_instrument"):
            return point.load()
    return None


class HexrDistro(BaseDistro):
    """The stock distro under our name."""

    def __init__(self) -> None:
        """Finds the stock distro."""
        self._other: Any = (_stock("opentelemetry_distro") or DefaultDistro)()

    def _configure(self, **kwargs: Any) -> None:
        self._other.configure(**kwargs)

    def load_instrumentor(self, entry_point: EntryPoint, **kwargs: Any) -> None:  # type: ignore[override]
        """Loads an instrumentor as the stock distro does."""
        self._other.load_instrumentor(entry_point, **kwargs)


class HexrConfigurator:
    """The stock configurator under our name."""

    def configure(self, **kwargs: Any) -> None:
        """Sets up the SDK as the stock configurator does; without one, nothing."""
        other = _stock("opentelemetry_configurator")
        if other is not None:
            other().configure(**kwargs)


class HexrInstrumentor(BaseInstrumentor):
    """Switches recording on, as `hexr-instrument` does."""

    def instrumentation_dependencies(self) -> Collection[str]:
        """None: providers are patched when the program imports them, whatever their version."""
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        hub.instrument()

    def _uninstrument(self, **kwargs: Any) -> None:
        hub.uninstrument()
