"""The entry point by which stock `opentelemetry-instrument` and the OpenTelemetry operator load us.

There is no distro and no configurator of ours: they would have nothing to add to those that are used without us, and
where two are installed the loader prints a line about the second one.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

from . import hub


class HexrInstrumentor(BaseInstrumentor):
    """Switches recording on, as `hexr-instrument` does."""

    def instrumentation_dependencies(self) -> Collection[str]:
        """None: providers are patched when the program imports them, whatever their version."""
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        hub.instrument()

    def _uninstrument(self, **kwargs: Any) -> None:
        hub.uninstrument()
