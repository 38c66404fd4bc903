"""The lazy global meter provider, for programs that only use the OpenTelemetry metrics API.

It exists only where metrics go somewhere and nobody else has set a provider, as its twin for spans does. What the
program measures waits in the worker's queue, and the worker records it: the program's threads never load the SDK and
never take a lock of it that a fork could find taken. A provider that the program sets later takes over completely.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from opentelemetry import context, metrics
from opentelemetry.metrics import (
    Counter,
    Histogram,
    Meter,
    MeterProvider,
    ObservableCounter,
    ObservableGauge,
    ObservableUpDownCounter,
    UpDownCounter,
)
from opentelemetry.metrics import _internal as api

from ..guard import guarded
from . import theirs

Put = Callable[[Any], None]
Flush = Callable[[float], bool]


class LazyMeterProvider(MeterProvider):
    """A provider whose measurements wait for the worker."""

    def __init__(self, put: Put, flush: Flush) -> None:
        """Takes where measurements go, and what delivers them within so many seconds."""
        self.put = put
        self._flush = flush
        self.watched: deque[_Instrument] = deque()
        """The instruments with callbacks: they have to be made to be asked."""

    def get_meter(
        self, name: str, version: str | None = None, schema_url: str | None = None, attributes: Any = None
    ) -> Meter:
        """A meter that follows the global provider, also when the program sets its own later."""
        return _Meter(self, name, version, schema_url, attributes)

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Delivers what has been measured."""
        return self._flush(timeout_millis / 1000)

    def shutdown(self, timeout_millis: float = 30_000) -> None:
        """Delivers what has been measured; what comes later still counts."""
        self.force_flush(timeout_millis)

    def follow(self, provider: Any) -> None:
        """Makes the instruments with callbacks on the provider that is now in force."""
        for instrument in list(self.watched):
            guarded(instrument.on, provider)


def offer(put: Put, flush: Flush) -> LazyMeterProvider | None:
    """Sets the lazy global provider, if there is no other; None where there is, or where the API is not as known."""
    if getattr(api, "_METER_PROVIDER", api) is not None:
        return None
    if type(metrics.get_meter_provider()).__name__ != "_ProxyMeterProvider":
        return None
    provider = LazyMeterProvider(put, flush)
    # The API's set-once stays unused: a later `set_meter_provider` of the program works without a warning.
    api._METER_PROVIDER = provider
    guarded(api._PROXY_METER_PROVIDER.on_set_meter_provider, provider)
    return provider


class _Meter(Meter):
    """A meter of whichever provider is the global one."""

    def __init__(self, provider: LazyMeterProvider, name: str, version: Any, schema_url: Any, attributes: Any) -> None:
        super().__init__(name, version, schema_url)
        self.provider = provider
        self.asked = (name, version, schema_url, attributes)

    def create_counter(self, name: str, unit: str = "", description: str = "") -> Counter:
        return _Counter(self, "create_counter", name, unit, description)

    def create_up_down_counter(self, name: str, unit: str = "", description: str = "") -> UpDownCounter:
        return _UpDownCounter(self, "create_up_down_counter", name, unit, description)

    def create_histogram(self, name: str, unit: str = "", description: str = "", **advisory: Any) -> Histogram:
        return _Histogram(self, "create_histogram", name, unit, description, **advisory)

    def create_gauge(self, name: str, unit: str = "", description: str = "") -> Any:
        return _Gauge(self, "create_gauge", name, unit, description)

    def create_observable_counter(
        self, name: str, callbacks: Any = None, unit: str = "", description: str = ""
    ) -> ObservableCounter:
        return _ObservableCounter(self, "create_observable_counter", name, callbacks, unit, description)

    def create_observable_up_down_counter(
        self, name: str, callbacks: Any = None, unit: str = "", description: str = ""
    ) -> ObservableUpDownCounter:
        return _ObservableUpDownCounter(self, "create_observable_up_down_counter", name, callbacks, unit, description)

    def create_observable_gauge(
        self, name: str, callbacks: Any = None, unit: str = "", description: str = ""
    ) -> ObservableGauge:
        return _ObservableGauge(self, "create_observable_gauge", name, callbacks, unit, description)


class _Instrument:
    """An instrument of the program: made on a provider when the first measurement gets there."""

    def __init__(self, meter: _Meter, make: str, *args: Any, **kwargs: Any) -> None:
        self._meter = meter
        self._make = make
        self._args = args
        self._kwargs = kwargs
        self._real: tuple[Any, Any] | None = None
        if "observable" in make:
            meter.provider.watched.append(self)
            other = theirs()
            if other is None:
                meter.provider.put(None)  # wakes the worker, which asks it from now on
            else:
                self.on(other)

    def on(self, provider: Any) -> Any:
        """The instrument on this provider."""
        real = self._real
        if real is None or real[0] is not provider:
            meter = provider.get_meter(*self._meter.asked)
            real = self._real = (provider, getattr(meter, self._make)(*self._args, **self._kwargs))
        return real[1]

    def _measure(self, method: str, amount: Any, attributes: Any = None, context_: Any = None) -> None:
        provider = theirs()
        if provider is not None:
            getattr(self.on(provider), method)(amount, attributes, context_)
            return
        kept = None if attributes is None else dict(attributes)
        self._meter.provider.put((self, method, amount, kept, context.get_current() if context_ is None else context_))


class _Counter(_Instrument, Counter):
    def add(self, amount: float, attributes: Any = None, context: Any = None) -> None:
        self._measure("add", amount, attributes, context)


class _UpDownCounter(_Instrument, UpDownCounter):
    def add(self, amount: float, attributes: Any = None, context: Any = None) -> None:
        self._measure("add", amount, attributes, context)


class _Histogram(_Instrument, Histogram):
    def record(self, amount: float, attributes: Any = None, context: Any = None) -> None:
        self._measure("record", amount, attributes, context)


_AnyGauge: Any = getattr(metrics, "_Gauge", object)


class _Gauge(_Instrument, _AnyGauge):
    def set(self, amount: float, attributes: Any = None, context: Any = None) -> None:
        self._measure("set", amount, attributes, context)


class _ObservableCounter(_Instrument, ObservableCounter):
    pass


class _ObservableUpDownCounter(_Instrument, ObservableUpDownCounter):
    pass


class _ObservableGauge(_Instrument, ObservableGauge):
    pass
