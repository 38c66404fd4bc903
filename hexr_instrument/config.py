"""The configuration: the only room that reads HEXR_* and OTEL_* variables of a running program."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

from . import endpoints, values
from .private import own_folder

T = TypeVar("T")

KEEP_SECONDS = 90 * 86400
"""How long the embedded store keeps calls where HEXR_KEEP does not say (CONTRACT: 90 days)."""
CALLER = "HEXR_CALLER"
CALLER_VARIABLES = {"agent": "HEXR_AGENT_NAME", "role": "HEXR_AGENT_ROLE", "tenant": "HEXR_AGENT_TENANT"}
"""Field of a caller -> the variable that stands for it where no scope does."""


def _caller(environ: Mapping[str, str]) -> dict[str, Any]:
    """What HEXR_CALLER says, without the fields whose variable somebody has changed since it was written."""
    try:
        said: Any = json.loads(environ.get(CALLER) or "{}")
    except (ValueError, RecursionError):
        return {}
    if not isinstance(said, dict):
        return {}
    found: dict[str, Any] = {str(name): value for name, value in cast("dict[Any, Any]", said).items()}
    seen: Any = found.pop("seen", None)
    if isinstance(seen, dict):
        for name, variable in CALLER_VARIABLES.items():
            if cast("dict[Any, Any]", seen).get(name) != environ.get(variable):
                found.pop(name, None)
    return found


@dataclass(frozen=True, slots=True)
class Config:
    """What the environment says, once, for the life of the process."""

    disabled: bool
    store: Path
    keep_seconds: float
    keep: bool
    """Whether finished calls go to the local store (always without an endpoint)."""
    agent: str | None
    role: str | None
    tenant: str | None
    labels: tuple[tuple[str, str], ...]
    caller: dict[str, Any]
    """Who started this process, as `carry` spells it; empty if nobody said."""
    rollover: float | None
    """Seconds after which an agent's span gives way to the next; None for never."""
    run: str | None
    """The run that the launcher gave this process; None where there was no launcher."""
    exit_timeout: float
    signals: bool
    """Whether SIGTERM and SIGHUP wait for delivery."""
    native_spans: bool
    agent_spans: bool
    """Whether the spans that the a2a-sdk emits itself are asked for."""
    redact: str
    """`mask` or `hash`."""
    stream_usage: tuple[str, ...]
    """Hosts whose chat streams are made to carry usage; `*` is every host."""
    propagate: tuple[str, ...]
    """Patterns of hosts that are told who asks; `*` is every host but an LLM provider's."""
    trust_inbound: bool
    """Whether the tenant that comes with a request is believed."""
    sampler: str
    ratio: float
    service: str | None
    resource: tuple[tuple[str, str], ...] = field(repr=False)
    exporters: tuple[str, ...]
    """Span exporters by name; empty means the embedded default."""
    protocol: str
    credential_provider: str | None
    """The entry point that makes the OTLP/HTTP exporter's session."""
    content: tuple[bool, bool]
    """Whether prompts and answers go on spans, and whether on events."""
    content_limit: int
    """Bytes of JSON of one attribute with content."""
    events: tuple[str, ...]
    """Exporters of events by name; none where no content goes on events."""
    logs_protocol: str
    metrics: tuple[str, ...]
    """Exporters of metrics by name."""
    metrics_protocol: str
    metric_interval: float
    """Seconds between two exports of metrics."""
    metric_labels: tuple[str, ...]
    semconv: str
    """Version of the conventions that metrics are named by: `default` or `latest`."""
    prometheus: tuple[str, int]
    """Host and port of the page that Prometheus scrapes."""
    destination: str | None
    """A fingerprint of the endpoint that waiting calls are meant for; holds no credential."""
    events_destination: str | None
    """The same for events alone, where spans go too: they wait for each other no longer than a batch."""
    budget: str | None
    """What HEXR_BUDGET says, unread."""
    prices: str | None
    """The file of the user's own prices."""
    models: tuple[tuple[str, str], ...]
    """Other names of models: (name, model)."""
    hosts: tuple[tuple[str, str], ...]
    """The user's own hosts: (pattern, provider)."""
    complaints: tuple[str, ...]
    """One line for each value that was not usable; its default is in force."""

    @property
    def exports(self) -> bool:
        """Whether spans or events leave this process for an exporter that the environment names."""
        return bool(self.exporters or self.events)

    @property
    def delivers(self) -> bool:
        """Whether anything leaves this process for such an exporter, so that the ways out of it wait for that."""
        return self.exports or any(each != "prometheus" for each in self.metrics)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Config:
        """Reads the environment; a wrong value is one line in `complaints`, never an exception."""
        env = os.environ if environ is None else environ
        complaints: list[str] = []

        def read(name: str, parse: Callable[[str], T], default: T) -> T:
            value = env.get(name, "")
            if not value.strip():  # OpenTelemetry: an empty value is an unset one
                return default
            try:
                return parse(value)
            except values.ConfigError as error:
                complaints.append(f"{name}={values.shown(value)} is not usable: {error}; its default is used")
                return default

        def signal(name: str) -> tuple[tuple[str, ...], str]:
            """The exporters of a signal, and its protocol."""
            protocol = read("OTEL_EXPORTER_OTLP_PROTOCOL", values.choice(*values.PROTOCOLS), "http/protobuf")
            protocol = read(f"OTEL_EXPORTER_OTLP_{name}_PROTOCOL", values.choice(*values.PROTOCOLS), protocol)
            named = f"OTEL_EXPORTER_OTLP_{name}_ENDPOINT"
            named = named if env.get(named, "").strip() else "OTEL_EXPORTER_OTLP_ENDPOINT"
            endpoint = read(named, str if protocol == "grpc" else values.url, "")
            lost = bool(env.get(named, "").strip()) and not endpoint  # the exporter would read the same wrong value
            # OpenTelemetry's own default is to export to localhost:4318; without an endpoint ours is the local store.
            choose = values.metric_exporters if name == "METRICS" else values.exporters
            found = read(f"OTEL_{name}_EXPORTER", choose, ("otlp",) if endpoint else ())
            return tuple(each for each in found if each != "none" and not (lost and each == "otlp")), protocol

        resource = read("OTEL_RESOURCE_ATTRIBUTES", values.resource, {})
        if service := read("OTEL_SERVICE_NAME", values.name, None):
            resource["service.name"] = service
        service = resource.get("service.name")
        exporters, protocol = signal("TRACES")
        metrics, metrics_protocol = signal("METRICS")
        content = read("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", values.capture, (False, False))
        limit = read("HEXR_CONTENT_LIMIT", values.size, 32 << 10)
        limit = min(limit, read("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", values.characters, limit))
        limit = min(limit, read("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", values.characters, limit))
        events, logs_protocol = signal("LOGS") if content[1] else ((), protocol)
        kept = read("HEXR_KEEP", values.seconds, None)
        return cls(
            disabled=read("HEXR_DISABLED", values.flag, False) or read("OTEL_SDK_DISABLED", values.flag, False),
            store=default_store(env),
            keep_seconds=KEEP_SECONDS if kept is None else kept,
            keep=kept is not None or not exporters,
            agent=read("HEXR_AGENT_NAME", values.name, None) or service,
            role=read("HEXR_AGENT_ROLE", values.name, None),
            tenant=read("HEXR_AGENT_TENANT", values.name, None),
            labels=read("HEXR_LABELS", values.labels, ()),
            caller=_caller(env),
            rollover=read("HEXR_AGENT_ROLLOVER", values.rollover, 3600.0),
            run=read("HEXR_RUN", values.name, None),
            exit_timeout=read("HEXR_EXIT_TIMEOUT", values.timeout, 2.0),
            signals=read("HEXR_SIGNALS", values.choice("wait", "off"), "wait") == "wait",
            stream_usage=read("HEXR_STREAM_USAGE", values.hosts, values.USAGE_HOSTS),
            native_spans=read("HEXR_NATIVE_SPANS", values.choice("mute", "keep"), "mute") == "keep",
            agent_spans=read("OTEL_INSTRUMENTATION_A2A_SDK_ENABLED", values.flag, False),
            propagate=read("HEXR_PROPAGATE", values.patterns, ()),
            trust_inbound=read("HEXR_TRUST_INBOUND", values.choice("none", "all"), "none") == "all",
            redact=read("HEXR_REDACT", values.choice("mask", "hash"), "mask"),
            sampler=read("OTEL_TRACES_SAMPLER", values.choice(*values.SAMPLERS), "parentbased_always_on"),
            ratio=read("OTEL_TRACES_SAMPLER_ARG", values.ratio, 1.0),
            service=service,
            resource=tuple(sorted(resource.items())),
            exporters=exporters,
            protocol=protocol,
            credential_provider=read("OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER", values.name, None)
            or read("OTEL_PYTHON_EXPORTER_OTLP_HTTP_TRACES_CREDENTIAL_PROVIDER", values.name, None),
            content=content,
            content_limit=limit,
            events=events,
            logs_protocol=logs_protocol,
            metrics=metrics,
            metrics_protocol=metrics_protocol,
            metric_interval=read("OTEL_METRIC_EXPORT_INTERVAL", values.milliseconds, 60.0),
            metric_labels=read("HEXR_METRIC_LABELS", values.metric_labels, values.METRIC_LABELS),
            semconv=read("HEXR_SEMCONV", values.choice("default", "latest"), "default"),
            prometheus=(
                env.get("OTEL_EXPORTER_PROMETHEUS_HOST", "").strip() or "localhost",
                read("OTEL_EXPORTER_PROMETHEUS_PORT", values.port, 9464),
            ),
            destination=endpoints.destination(exporters, protocol, events, logs_protocol, env),
            events_destination=endpoints.destination((), protocol, events, logs_protocol, env) if exporters else None,
            budget=env.get("HEXR_BUDGET", "").strip() or None,
            prices=read("HEXR_PRICES", values.path, None),
            models=read("HEXR_MODEL_MAP", values.models, ()),
            hosts=read("HEXR_HOSTS", values.providers, ()),
            complaints=tuple(dict.fromkeys(complaints)),
        )


def default_store(environ: Mapping[str, str]) -> Path:
    """The store's directory: HEXR_STORE, else `hexr` under $XDG_STATE_HOME or ~/.local/state.

    A user without a home, as containers have it, gets one under $TMPDIR. In a directory that everybody can write, as
    the volumes of containers are, it is a folder of this user's own.
    """
    if named := environ.get("HEXR_STORE", "").strip():
        return own_folder(Path(os.path.abspath(os.path.expanduser(named))))
    state = environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(state):
        state = os.path.expanduser(os.path.join("~", ".local", "state"))
    if os.path.isabs(state):
        return Path(state) / "hexr"
    temporary = environ.get("TMPDIR") or "/tmp"  # noqa: S108  (files there are created for this user alone)
    return Path(temporary) / f"hexr-{os.getuid()}"


def on_python_path(folder: Path, environ: Mapping[str, str]) -> bool:
    """Whether Python looks for modules there, by PYTHONPATH."""
    return str(folder) in environ.get("PYTHONPATH", "").split(os.pathsep)


def any_set(*names: str) -> bool:
    """Whether one of these variables has a value; which value is nobody's business here."""
    return any(os.environ.get(name) for name in names)


def value_of(name: str) -> str | None:
    """A variable's value, None where it is empty: for a direct call's key and URL that the SDK does not look for itself."""
    return os.environ.get(name) or None


def is_true(name: str) -> bool:
    """Whether a variable says yes."""
    return os.environ.get(name, "").strip().lower() in ("1", "true", "yes", "on")


def switched_off() -> bool:
    """Whether the environment switches recording off."""
    return is_true("HEXR_DISABLED") or is_true("OTEL_SDK_DISABLED")


def catches_signals() -> bool:
    """Whether telemetry goes to an endpoint and signals that end the program may wait for it; a look, no parsing."""
    exports = any_set(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        *(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT" for signal in ("TRACES", "METRICS")),
        *(f"OTEL_{signal}_EXPORTER" for signal in ("TRACES", "METRICS")),
    )
    return exports and os.environ.get("HEXR_SIGNALS", "").strip().lower() != "off"


def snapshot(*prefixes: str) -> int:
    """A fingerprint of the variables with these prefixes: clients made under another one are not used again."""
    return hash(tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith(prefixes))))
