"""The lazy global tracer provider, for programs that only use the OpenTelemetry API.

It exists only where an endpoint is configured and nobody else has set a provider. It is put where
`get_tracer_provider()` looks, but the API's set-once stays unused: a later `set_tracer_provider` of the program works
as if we were not there, without a warning.
"""

from __future__ import annotations

from typing import Any

from opentelemetry import trace
from opentelemetry.trace import Span, Tracer, TracerProvider

from .recorder import Recorder


def offer_meters(recorder: Recorder) -> None:
    """Sets the lazy global meter provider, if metrics go somewhere and there is no other."""
    waiting = recorder.worker.metrics
    if recorder.config.metrics and waiting.lazy is None:
        from .metrics import lazy  # noqa: PLC0415  (the metrics API is loaded where there are metrics)

        waiting.lazy = lazy.offer(waiting.put, recorder.worker.flush)


def offer_provider(recorder: Recorder) -> None:
    """Sets the lazy global provider, if an endpoint is configured and there is no other provider."""
    if not recorder.config.exports or recorder.own_provider is not None:
        return
    if getattr(trace, "_TRACER_PROVIDER", recorder) is not None:
        return  # theirs, or an API whose private state is not as known: then none is set
    if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return
    provider = LazyProvider(recorder)
    recorder.own_provider = provider
    trace._TRACER_PROVIDER = provider  # pyright: ignore[reportPrivateUsage]


class LazyProvider(TracerProvider):
    """An SDK provider that is made when the program's own code first starts a span."""

    def __init__(self, recorder: Recorder) -> None:
        """Loads nothing of the SDK yet."""
        self._recorder = recorder
        self._made: Any = None

    def get_tracer(self, *args: Any, **kwargs: Any) -> Tracer:
        """A tracer that follows the global provider, also when the program sets its own later."""
        return LazyTracer(self, args, kwargs)

    def sdk(self) -> Any:
        """The SDK provider behind it."""
        if self._made is None:
            from .export import make_provider  # noqa: PLC0415  (the OTel SDK is loaded when the program needs it)

            self._made = make_provider(self._recorder)
        return self._made

    def __getattr__(self, name: str) -> Any:
        """What else an SDK provider has: `add_span_processor`, `resource`, `shutdown`, `force_flush`, ..."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.sdk(), name)


class LazyTracer(Tracer):
    """A tracer of whichever provider is the global one at each span's start."""

    def __init__(self, provider: LazyProvider, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Keeps what `get_tracer` was asked for."""
        self._provider = provider
        self._args = args
        self._kwargs = kwargs
        self._real: tuple[Any, Tracer] | None = None

    def _tracer(self) -> Tracer:
        current: Any = trace.get_tracer_provider()
        source = self._provider.sdk() if current is self._provider else current
        if self._real is None or self._real[0] is not source:
            self._real = (source, source.get_tracer(*self._args, **self._kwargs))
        return self._real[1]

    def start_span(self, *args: Any, **kwargs: Any) -> Span:
        """A span of the real tracer."""
        return self._tracer().start_span(*args, **kwargs)

    def start_as_current_span(self, *args: Any, **kwargs: Any) -> Any:
        """A span of the real tracer, as the current one."""
        return self._tracer().start_as_current_span(*args, **kwargs)
