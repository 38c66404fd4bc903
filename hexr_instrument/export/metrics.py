"""Our own meter provider, and the official metric exporters behind it. Loads the OpenTelemetry metrics SDK.

Collection is the worker's, not a thread's of the SDK. A cumulative series that is new is sent twice, first as the zero
that it was when it began: `increase()` of Prometheus counts what is between two samples, and a process that
makes its calls before its first export would add nothing.
"""

from __future__ import annotations

import importlib
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics import export as sdk
from opentelemetry.sdk.metrics.export import AggregationTemporality, MetricReader, MetricsData

from ..config import Config
from ..guard import guarded, say
from . import keep_random_alone, resource_of
from .answer import Answer, Outcome, Sink

POINTS = 1000
"""Data points of one export request: a gRPC server takes 4 MiB unless it is told otherwise."""
_WAITING = 60
"""How many collections of deltas wait for a backend that is down; of cumulative ones the newest says all."""


class Own:
    """The provider of one process, and where its metrics go."""

    def __init__(self, config: Config, resource: Mapping[str, Any]) -> None:
        """Makes the exporters that the environment names; connects to nothing yet."""
        self._pushed = [
            _Pushed(_SINKS[name](config), zeros=name == "otlp") for name in config.metrics if name in _SINKS
        ]
        self._scrape = guarded(_scrape, config) if "prometheus" in config.metrics else None
        readers: list[Any] = [each.reader for each in self._pushed]
        if self._scrape is not None:
            readers.append(self._scrape.reader)
        keep_random_alone()
        self.provider = MeterProvider(readers, resource_of(resource), shutdown_on_exit=False)

    def export(self) -> Mapping[str, int]:
        """Collects and sends; how many points a backend will never take, by what it said."""
        outcome = Outcome()
        for each in self._pushed:
            guarded(each.export, outcome)
        return outcome.lost

    def rest(self) -> None:
        """Ends what would run between two requests."""
        for each in self._pushed:
            guarded(each.sink.rest)

    def shutdown(self) -> None:
        """Ends the exporters."""
        for each in self._pushed:
            guarded(each.sink.shutdown)
        self.forget()

    def forget(self) -> None:
        """Gives up the port; in a forked child it is the parent's."""
        if self._scrape is not None:
            guarded(self._scrape.close)


class _Reader(MetricReader):
    """Keeps what was collected; the worker sends it."""

    def __init__(self, exporter: Any) -> None:
        super().__init__(
            preferred_temporality=getattr(exporter, "_preferred_temporality", None),
            preferred_aggregation=getattr(exporter, "_preferred_aggregation", None),
        )
        self.collected: MetricsData | None = None

    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> None:
        self.collected = metrics_data

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Nothing of it is left to end."""


class _Pushed:
    """One exporter, and what it has to send."""

    def __init__(self, sink: Any, *, zeros: bool) -> None:
        self.sink: Sink = sink
        self._zeros = zeros
        self.reader = _Reader(sink.exporter)
        self._waiting: deque[MetricsData] = deque(maxlen=_WAITING)
        self._seen: set[Any] = set()
        """The series of which something has been sent."""
        self._not_before = 0.0

    def export(self, outcome: Outcome) -> None:
        """Collects and sends; what cannot be sent now is sent with what comes next."""
        self.reader.collect()
        collected, self.reader.collected = self.reader.collected, None
        if collected is None:
            return
        if any(_is_delta(metric) for _, _, metric in _metrics(collected)):
            self._waiting.append(collected)
        else:
            self._waiting = deque([collected], maxlen=_WAITING)
        while self._waiting and time.monotonic() >= self._not_before:
            if not self._sent(self._waiting[0], outcome):
                return
            self._waiting.popleft()

    def _sent(self, data: MetricsData, outcome: Outcome) -> bool:
        fresh: set[Any] = set()

        def zero(metric: Any, point: Any) -> Any:
            return self._zero(metric, point, fresh)

        parts: list[Any] = [*_parts(_mapped(data, zero)), *_parts(data)] if self._zeros else [*_parts(data)]
        for part in parts:
            answer = self.sink.send(part)
            if answer.verdict == "later":
                self._not_before = time.monotonic() + answer.wait
                return False
            if answer.verdict != "taken":
                outcome.lose(answer.reason, 1)
                return True
            outcome.lose("partial success", answer.rejected)
        self._seen.update(fresh)
        return True

    def _zero(self, metric: Any, point: Any, fresh: set[Any]) -> Any:
        """What a new cumulative series was when it began, at least a millisecond before its first value; or None."""
        if getattr(metric.data, "aggregation_temporality", None) is not AggregationTemporality.CUMULATIVE:
            return None
        key = (metric.name, tuple(sorted(point.attributes.items())))
        if key in self._seen:
            return None
        at = min(point.start_time_unix_nano, point.time_unix_nano - 1_000_000)
        began: dict[str, Any] = {"start_time_unix_nano": at, "time_unix_nano": at, "exemplars": []}
        fresh.add(key)
        if isinstance(metric.data, sdk.Sum) and metric.data.is_monotonic:
            return replace(point, value=0, **began)
        if isinstance(metric.data, sdk.Histogram):
            none = [0] * len(point.bucket_counts)
            return replace(point, count=0, sum=0, bucket_counts=none, min=0, max=0, **began)
        return None


def _is_delta(metric: Any) -> bool:
    return getattr(metric.data, "aggregation_temporality", None) is AggregationTemporality.DELTA


def _metrics(data: MetricsData) -> Iterator[tuple[Any, Any, Any]]:
    for resource in data.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                yield resource, scope, metric


def _mapped(data: MetricsData, change: Any) -> MetricsData:
    """The same metrics with other points; a point whose change is None is left out."""
    resources: list[Any] = []
    for resource in data.resource_metrics:
        scopes: list[Any] = []
        for scope in resource.scope_metrics:
            metrics: list[Any] = []
            for metric in scope.metrics:
                points = [made for each in metric.data.data_points if (made := change(metric, each)) is not None]
                if points:
                    metrics.append(replace(metric, data=replace(metric.data, data_points=points)))
            if metrics:
                scopes.append(replace(scope, metrics=metrics))
        if scopes:
            resources.append(replace(resource, scope_metrics=scopes))
    return MetricsData(resource_metrics=resources)


def _parts(data: MetricsData) -> Iterator[MetricsData]:
    """The metrics in requests that are not too large."""
    count = sum(len(metric.data.data_points) for _, _, metric in _metrics(data))
    for start in range(0, count, POINTS):
        numbers = iter(range(count))

        def mine(metric: Any, point: Any, start: int = start, numbers: Iterator[int] = numbers) -> Any:
            return point if start <= next(numbers) < start + POINTS else None

        yield _mapped(data, mine)


# -- the exporters


def _otlp(config: Config) -> Any:
    if config.metrics_protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc import metric_exporter as grpc_metrics  # noqa: PLC0415

        from .grpc import Grpc  # noqa: PLC0415

        return Grpc(grpc_metrics.OTLPMetricExporter)
    from opentelemetry.exporter.otlp.proto.http import metric_exporter as http_metrics  # noqa: PLC0415

    from .http import Http  # noqa: PLC0415

    return Http(config, http_metrics.OTLPMetricExporter)


class _Console:
    def __init__(self) -> None:
        self.exporter: Any = sdk.ConsoleMetricExporter()

    def send(self, batch: Sequence[Any]) -> Answer:
        self.exporter.export(batch)
        return Answer("taken")

    def rest(self) -> None:
        pass

    def shutdown(self) -> None:
        self.exporter.shutdown()


def _console(config: Config) -> Any:
    return _Console()


_SINKS = {"otlp": _otlp, "console": _console}


class _Scrape:
    """A page for Prometheus: a registry of its own, on a port."""

    def __init__(self, reader: Any, server: Any) -> None:
        self.reader = reader
        self._server = server

    def close(self) -> None:
        """Gives up the port, without a word to the thread that serves it: in a forked child there is none."""
        socket = getattr(self._server, "socket", None)
        if socket is not None:
            socket.close()


def _scrape(config: Config) -> _Scrape | None:
    host, port = config.prometheus
    try:
        client: Any = importlib.import_module("prometheus_client")
        exporter: Any = importlib.import_module("opentelemetry.exporter.prometheus")
    except ImportError:
        say("OTEL_METRICS_EXPORTER=prometheus needs a package: pip install opentelemetry-exporter-prometheus")
        return None
    registry = client.CollectorRegistry()
    try:
        started: Any = client.start_http_server(port, host, registry)
    except OSError as error:
        say(
            f"metrics cannot be served at {host}:{port} ({error.strerror or error}); another process of this program "
            "may serve its own there: set OTEL_EXPORTER_PROMETHEUS_PORT, or export by OTLP"
        )
        return None
    return _Scrape(exporter.PrometheusMetricReader(registry=registry), started[0] if started else None)
