"""Metrics: finished records as measurements, on our own meter provider or on the program's.

Best effort beside the record, and from memory alone: what waits on disk for an endpoint was measured by the process
that made it. `points` says what a record measures, `instruments` knows the metrics API, `work` is the worker's side,
`lazy` the global provider of a program that uses the API alone; `export.metrics` has the SDK.
"""

from __future__ import annotations

import sys
from typing import Any

_NOT_THEIRS = ("_ProxyMeterProvider", "NoOpMeterProvider", "LazyMeterProvider")


def theirs() -> Any:
    """The meter provider that the program itself has set, or None; imports nothing."""
    api = sys.modules.get("opentelemetry.metrics")
    if api is None:
        return None
    provider = api.get_meter_provider()
    return None if type(provider).__name__ in _NOT_THEIRS else provider
