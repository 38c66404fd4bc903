"""OTLP messages as plain values: what an exporter sent, readable without protobuf."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
_STATUSES = ("UNSET", "OK", "ERROR")
_TEMPORALITIES = (None, "DELTA", "CUMULATIVE")


@dataclass(frozen=True, slots=True)
class Scope:
    """Who recorded it."""

    name: str
    version: str
    schema_url: str
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Event:
    """A moment in a span."""

    name: str
    time: int
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Link:
    """Another span that a span refers to."""

    trace_id: str
    span_id: str
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Span:
    """One span; ids are lower-case hex, times are nanoseconds since the epoch."""

    name: str
    kind: str
    """`INTERNAL`, `SERVER`, `CLIENT`, `PRODUCER` or `CONSUMER`."""
    trace_id: str
    span_id: str
    parent_id: str | None
    start: int
    end: int
    attributes: Mapping[str, Any]
    status: str
    """`UNSET`, `OK` or `ERROR`."""
    message: str
    """Of the status."""
    events: tuple[Event, ...]
    links: tuple[Link, ...]
    flags: int
    trace_state: str
    dropped_attributes: int
    resource: Mapping[str, Any]
    scope: Scope


@dataclass(frozen=True, slots=True)
class Exemplar:
    """One measurement that a point remembers."""

    value: float
    time: int
    trace_id: str
    span_id: str
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Point:
    """One data point of one metric, with the metric's own fields repeated."""

    name: str
    description: str
    unit: str
    kind: str
    """`gauge`, `sum`, `histogram`, `exponential_histogram` or `summary`."""
    monotonic: bool
    temporality: str | None
    """`DELTA` or `CUMULATIVE`."""
    attributes: Mapping[str, Any]
    start: int
    time: int
    value: float | None
    """Of a gauge or sum."""
    sum: float | None
    """This and what follows: of a histogram."""
    count: int | None
    min: float | None
    max: float | None
    bounds: tuple[float, ...]
    buckets: tuple[int, ...]
    exemplars: tuple[Exemplar, ...]
    resource: Mapping[str, Any]
    scope: Scope


@dataclass(frozen=True, slots=True)
class Log:
    """One log record or event."""

    time: int
    observed: int
    severity: str
    severity_number: int
    event_name: str
    body: Any
    attributes: Mapping[str, Any]
    trace_id: str | None
    span_id: str | None
    resource: Mapping[str, Any]
    scope: Scope


def spans(data: bytes) -> list[Span]:
    """The spans of an `ExportTraceServiceRequest`; `google.protobuf.message.DecodeError` if it is none."""
    request = ExportTraceServiceRequest.FromString(data)
    return [
        Span(
            name=span.name,
            kind=_KINDS[int(span.kind)],
            trace_id=span.trace_id.hex(),
            span_id=span.span_id.hex(),
            parent_id=span.parent_span_id.hex() or None,
            start=span.start_time_unix_nano,
            end=span.end_time_unix_nano,
            attributes=plain(span.attributes),
            status=_STATUSES[int(span.status.code)],
            message=span.status.message,
            events=tuple(Event(e.name, e.time_unix_nano, plain(e.attributes)) for e in span.events),
            links=tuple(Link(k.trace_id.hex(), k.span_id.hex(), plain(k.attributes)) for k in span.links),
            flags=span.flags,
            trace_state=span.trace_state,
            dropped_attributes=span.dropped_attributes_count,
            resource=resource,
            scope=scope,
        )
        for resource, scope, group in _groups(request.resource_spans, "scope_spans")
        for span in group.spans
    ]


def points(data: bytes) -> list[Point]:
    """The data points of an `ExportMetricsServiceRequest`."""
    request = ExportMetricsServiceRequest.FromString(data)
    return [
        _point(metric, point, resource, scope)
        for resource, scope, group in _groups(request.resource_metrics, "scope_metrics")
        for metric in group.metrics
        for point in getattr(metric, metric.WhichOneof("data") or "gauge").data_points
    ]


def _point(metric: Any, point: Any, resource: Mapping[str, Any], scope: Scope) -> Point:
    kind = metric.WhichOneof("data") or "gauge"
    data = getattr(metric, kind)
    value = point.WhichOneof("value") if kind in {"gauge", "sum"} else None
    whole = kind not in {"gauge", "sum"}

    def known(name: str) -> Any:
        return getattr(point, name) if whole and kind != "summary" and point.HasField(name) else None

    return Point(
        name=metric.name,
        description=metric.description,
        unit=metric.unit,
        kind=kind,
        monotonic=kind == "sum" and data.is_monotonic,
        temporality=_TEMPORALITIES[getattr(data, "aggregation_temporality", 0)],
        attributes=plain(point.attributes),
        start=point.start_time_unix_nano,
        time=point.time_unix_nano,
        value=getattr(point, value) if value else None,
        sum=point.sum if kind == "summary" else known("sum"),
        count=point.count if whole else None,
        min=known("min"),
        max=known("max"),
        bounds=tuple(point.explicit_bounds) if kind == "histogram" else (),
        buckets=tuple(point.bucket_counts) if kind == "histogram" else (),
        exemplars=tuple(_exemplar(each) for each in getattr(point, "exemplars", ())),
        resource=resource,
        scope=scope,
    )


def _exemplar(exemplar: Any) -> Exemplar:
    return Exemplar(
        value=getattr(exemplar, exemplar.WhichOneof("value")),
        time=exemplar.time_unix_nano,
        trace_id=exemplar.trace_id.hex(),
        span_id=exemplar.span_id.hex(),
        attributes=plain(exemplar.filtered_attributes),
    )


def logs(data: bytes) -> list[Log]:
    """The log records of an `ExportLogsServiceRequest`."""
    request = ExportLogsServiceRequest.FromString(data)
    return [
        Log(
            time=log.time_unix_nano,
            observed=log.observed_time_unix_nano,
            severity=log.severity_text,
            severity_number=log.severity_number,
            event_name=log.event_name,
            body=value_of(log.body),
            attributes=plain(log.attributes),
            trace_id=log.trace_id.hex() or None,
            span_id=log.span_id.hex() or None,
            resource=resource,
            scope=scope,
        )
        for resource, scope, group in _groups(request.resource_logs, "scope_logs")
        for log in group.log_records
    ]


def _groups(resources: Iterable[Any], name: str) -> Iterator[tuple[dict[str, Any], Scope, Any]]:
    for each in resources:
        resource = plain(each.resource.attributes)
        for group in getattr(each, name):
            scope = Scope(group.scope.name, group.scope.version, group.schema_url, plain(group.scope.attributes))
            yield resource, scope, group


def plain(attributes: Iterable[Any]) -> dict[str, Any]:
    """Attributes as a dict."""
    return {each.key: value_of(each.value) for each in attributes}


def value_of(value: Any) -> Any:
    """An `AnyValue` as the Python value that it stands for."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [value_of(each) for each in value.array_value.values]
    if kind == "kvlist_value":
        return plain(value.kvlist_value.values)
    return getattr(value, kind)
