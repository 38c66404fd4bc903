"""The configuration: the only room that reads HEXR_* and OTEL_* variables of a running program."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

from . import endpoints
from .private import own_folder

T = TypeVar("T")

KEEP_SECONDS = 90 * 86400
"""How long the embedded store keeps calls where HEXR_KEEP does not say (CONTRACT: 90 days)."""
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_LONGEST = 36500 * 86400
_EXPORTERS = ("otlp", "console", "none")
METRIC_LABELS = ("request_model", "response_model", "server", "agent", "tenant", "role")
"""The words of HEXR_METRIC_LABELS, all of them by default."""
_PROTOCOLS = ("http/protobuf", "grpc")
_USAGE_HOSTS = ("api.openai.com",)
"""Hosts known to take `stream_options.include_usage`; others may answer 400 to it."""
_SAMPLERS = (
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
)


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable: what it means and what it is where nobody sets it."""

    name: str
    default: str
    meaning: str


VARIABLES = (
    Variable(
        "HEXR_DISABLED", "false", "`true` switches recording off; decorators, handles and direct calls still work."
    ),
    Variable("HEXR_STORE", "$XDG_STATE_HOME/hexr or ~/.local/state/hexr", "Directory of the local store and journal."),
    Variable(
        "HEXR_KEEP",
        "90d (embedded); delivered calls leave (endpoint)",
        "How long calls stay in the local store, such as `30d` or `12h`. With an endpoint: keeps delivered calls too.",
    ),
    Variable("HEXR_AGENT_NAME", "OTEL_SERVICE_NAME", "Agent of calls outside of any `hexr_agent`."),
    Variable("HEXR_AGENT_ROLE", "none", "Role of calls for which nothing else names one."),
    Variable("HEXR_AGENT_TENANT", "none", "Tenant of calls for which nothing else names one."),
    Variable(
        "HEXR_AGENT_ROLLOVER",
        "1h",
        "How long an agent's span lasts, such as `30m`: then it ends with its totals so far, and the agent goes on in "
        "a linked trace. `off` for one span, however long it runs.",
    ),
    Variable(
        "HEXR_CALLER",
        "none",
        "Who started this process, as JSON: set by a recorded program for the processes that it starts in a `hexr_*` "
        "scope. HEXR_AGENT_NAME and the like, where they are set anew for the child, win.",
    ),
    Variable("HEXR_RUN", "a new one for each launch", "The run that calls belong to; the launcher sets it."),
    Variable("HEXR_LABELS", "none", "Labels on every record: `team=search,env=prod`."),
    Variable(
        "HEXR_BUDGET",
        "none",
        "Budgets: `5/day, hard tenant=acme 50/month`, or a TOML file. A hard one that is spent raises `BudgetExceeded`.",
    ),
    Variable(
        "HEXR_PRICES",
        "none",
        "File (TOML or JSON) of your own prices and discounts; they win over the table. A broken one is named and not used.",
    ),
    Variable(
        "HEXR_MODEL_MAP",
        "none",
        "Which model a name stands for, such as an Azure deployment: `prod=gpt-4o,azure.ai.openai/fast=gpt-4o-mini`.",
    ),
    Variable("HEXR_EXIT_TIMEOUT", "2", "Seconds that delivery may delay the program's exit, at most."),
    Variable(
        "HEXR_PROPAGATE",
        "none",
        "Which other agents are told the agent, tenant and role that ask them: `none`, `all`, or hosts with commas, "
        "such as `writer.internal,*.agents.svc`. As W3C baggage, over A2A, MCP and plain HTTP; trace context goes "
        "with A2A and MCP in any case. A child over stdio is always told, an LLM provider never.",
    ),
    Variable(
        "HEXR_TRUST_INBOUND",
        "none",
        "Whose word a server takes for the tenant: `none`, or `all` who send it (trust it only where strangers cannot "
        "call). The process that a stdio server is a child of is always trusted.",
    ),
    Variable(
        "HEXR_STREAM_USAGE",
        "auto",
        "Whether an OpenAI chat stream that does not ask for usage is made to: `auto` at api.openai.com, `always`, "
        "`never`, or further hosts by name, with commas.",
    ),
    Variable(
        "HEXR_SIGNALS",
        "wait",
        "Where an endpoint is set and the program does not handle them, SIGTERM and SIGHUP wait for delivery, at most "
        "HEXR_EXIT_TIMEOUT; `off` leaves them alone.",
    ),
    Variable("HEXR_NATIVE_SPANS", "mute", "`keep` leaves on the spans that an SDK emits itself for the same request."),
    Variable(
        "OTEL_INSTRUMENTATION_A2A_SDK_ENABLED",
        "false",
        "`true` leaves on the spans of the a2a-sdk, dozens for each message. Without us its default is `true`.",
    ),
    Variable(
        "HEXR_REDACT",
        "mask",
        "What stands in a record for a key, an e-mail address, a file path, a URL's user or query: `mask` puts the kind "
        "(`[key]`), `hash` also a short stable hash, and this in names of agents, tenants, roles and labels too.",
    ),
    Variable(
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
        "NO_CONTENT",
        "Prompts, answers, system instructions, tool names, and arguments and results of tools: `SPAN_ONLY`, "
        "`EVENT_ONLY`, `SPAN_AND_EVENT` (or `true`), `NO_CONTENT` (or `false`). They go to the endpoint, or into the "
        "program's own spans; the local store never keeps them, so without either nothing is captured.",
    ),
    Variable(
        "HEXR_CONTENT_LIMIT",
        "32768",
        "Bytes of JSON that each attribute with content has at most; longer texts in it are cut, then the oldest "
        "messages left out. Images, audio and files are recorded by reference or size.",
    ),
    Variable(
        "HEXR_METRIC_LABELS",
        "request_model,response_model,server,agent,tenant,role",
        "Labels of metric points beside operation and provider: any of these, and `label.NAME` for a label of yours. "
        "Each takes 200 values in a process; further ones are `__other__`.",
    ),
    Variable(
        "HEXR_SEMCONV",
        "default",
        "`latest` emits metrics by the names of the conventions to come; spans are the same.",
    ),
    Variable("HEXR_DEBUG", "false", "`true` prints faults of the boot file to stderr."),
    Variable("OTEL_SDK_DISABLED", "false", "`true` is the same as HEXR_DISABLED."),
    Variable(
        "OTEL_SERVICE_NAME", "none", "`service.name` of the resource; the agent's name where nothing else gives one."
    ),
    Variable("OTEL_RESOURCE_ATTRIBUTES", "none", "Further resource attributes, `key=value,...`."),
    Variable("OTEL_EXPORTER_OTLP_ENDPOINT", "none: the local store", "Where spans and metrics go, as OTLP."),
    Variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "from OTEL_EXPORTER_OTLP_ENDPOINT", "Where spans go."),
    Variable("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "from OTEL_EXPORTER_OTLP_ENDPOINT", "Where metrics go."),
    Variable(
        "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
        "from OTEL_EXPORTER_OTLP_ENDPOINT",
        "Where events go, the ones with content.",
    ),
    Variable("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf", "`http/protobuf` or `grpc`."),
    Variable("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "from OTEL_EXPORTER_OTLP_PROTOCOL", "The same, for events alone."),
    Variable("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "from OTEL_EXPORTER_OTLP_PROTOCOL", "The same, for metrics alone."),
    Variable("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "from OTEL_EXPORTER_OTLP_PROTOCOL", "The same, for spans alone."),
    Variable(
        "OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER",
        "none",
        "The entry point that makes the session of OTLP/HTTP, as for the official exporter.",
    ),
    Variable("OTEL_PYTHON_EXPORTER_OTLP_HTTP_TRACES_CREDENTIAL_PROVIDER", "none", "The same for spans only."),
    Variable(
        "OTEL_EXPORTER_OTLP_HEADERS",
        "none",
        "Headers for the endpoint. Never on disk; calls that wait are sent with the same headers only.",
    ),
    Variable("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "from OTEL_EXPORTER_OTLP_HEADERS", "The same, for spans alone."),
    Variable("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "from OTEL_EXPORTER_OTLP_HEADERS", "The same, for metrics alone."),
    Variable("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "from OTEL_EXPORTER_OTLP_HEADERS", "The same, for events alone."),
    Variable(
        "OTEL_EXPORTER_OTLP_CERTIFICATE",
        "the system's",
        "Authorities of the endpoint, a PEM file; also per signal, as `..._CLIENT_CERTIFICATE`, `..._CLIENT_KEY` and "
        "(grpc) `..._INSECURE`. Read by the exporters, and by `doctor` as it tries the endpoint.",
    ),
    Variable("OTEL_TRACES_EXPORTER", "otlp where an endpoint is set", "`otlp`, `console` or `none`."),
    Variable(
        "OTEL_METRICS_EXPORTER",
        "otlp where an endpoint is set",
        "`otlp`, `console`, `prometheus` (a page to scrape; needs opentelemetry-exporter-prometheus) or `none`.",
    ),
    Variable("OTEL_EXPORTER_PROMETHEUS_HOST", "localhost", "Where that page is served."),
    Variable("OTEL_EXPORTER_PROMETHEUS_PORT", "9464", "Its port; each process of a program needs its own."),
    Variable("OTEL_METRIC_EXPORT_INTERVAL", "60000", "Milliseconds between two exports of metrics."),
    Variable(
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
        "cumulative",
        "`cumulative`, `delta` or `lowmemory`; read by the exporter, as is "
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION.",
    ),
    Variable("OTEL_LOGS_EXPORTER", "otlp where an endpoint is set", "`otlp`, `console` or `none`, for events."),
    Variable(
        "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        "none",
        "Bounds content as HEXR_CONTENT_LIMIT does, where it is lower.",
    ),
    Variable("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "none", "The same."),
    Variable("OTEL_TRACES_SAMPLER", "parentbased_always_on", "Thins exported spans; costs stay complete."),
    Variable("OTEL_TRACES_SAMPLER_ARG", "1.0", "The ratio of a `traceidratio` sampler."),
)
"""Every variable that this package reads, for the reference page."""


class ConfigError(ValueError):
    """A value that cannot be used; the message names the variable, the value and what would do."""


def _flag(value: str) -> bool:
    word = value.strip().lower()
    if word in ("1", "true", "yes", "on"):
        return True
    if word in ("", "0", "false", "no", "off"):
        return False
    raise ConfigError("use true or false")


def seconds(value: str) -> float:
    """A duration such as `90d`, `12h`, `30m`, `15s` or plain seconds, as seconds.

    Raises:
        ConfigError: the value is not a duration, or longer than a hundred years.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhdw]?)\s*", value)
    span = float(match[1]) * _UNITS[match[2] or "s"] if match else _LONGEST + 1
    if span > _LONGEST:
        raise ConfigError("use a duration such as 90d, 12h, 30m or 15s")
    return span


def _pairs(value: str) -> tuple[tuple[str, str], ...]:
    pairs: list[tuple[str, str]] = []
    for pair in filter(None, (each.strip() for each in value.split(","))):
        name, equals, label = pair.partition("=")
        if not equals or not name.strip():
            raise ConfigError("use name=value pairs such as team=search,env=prod")
        pairs.append((name.strip(), label.strip()))
    return tuple(pairs)


def _models(value: str) -> tuple[tuple[str, str], ...]:
    try:
        pairs = _pairs(value)
    except ConfigError:
        pairs = (("", ""),)
    if not all(model for _, model in pairs):
        raise ConfigError("use name=model pairs such as prod=gpt-4o,azure.ai.openai/fast=gpt-4o-mini")
    return pairs


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


def _rollover(value: str) -> float | None:
    return None if value.strip().lower() in ("off", "0") else seconds(value)


def _path(value: str) -> str:
    return os.path.abspath(os.path.expanduser(value.strip()))


def _timeout(value: str) -> float:
    try:
        return seconds(value)
    except ConfigError:
        raise ConfigError("use seconds, such as 2 or 0.5") from None


def _labels(value: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, label[:256]) for name, label in _pairs(value))


def _name(value: str) -> str | None:
    return value.strip()[:256] or None


def _patterns(value: str) -> tuple[str, ...]:
    """Host patterns in lower case: none of them for `none`, `*` for `all`."""
    words = tuple(filter(None, (each.strip().lower() for each in value.split(","))))
    if any(re.search(r"[/@\s]|:\d", word) for word in words):
        raise ConfigError("use none, all, or host names such as writer.internal,*.agents.svc")
    if words == ("none",):
        return ()
    return ("*",) if "all" in words else words


_CAPTURE = {
    "no_content": (False, False),
    "span_only": (True, False),
    "event_only": (False, True),
    "span_and_event": (True, True),
    "true": (True, True),
    "false": (False, False),
}


def _capture(value: str) -> tuple[bool, bool]:
    """Whether content goes on spans, and whether it goes on events."""
    try:
        return _CAPTURE[value.strip().lower()]
    except KeyError:
        raise ConfigError("use NO_CONTENT, SPAN_ONLY, EVENT_ONLY or SPAN_AND_EVENT") from None


def _bytes(value: str) -> int:
    if not (value.strip().isascii() and value.strip().isdigit() and 256 <= int(value) <= 1 << 24):
        raise ConfigError("use a number of bytes from 256 to 16777216")
    return int(value)


def _characters(value: str) -> int:
    if not (value.strip().isascii() and value.strip().isdigit()):
        raise ConfigError("use a number of characters")
    return max(256, int(value))


def _ratio(value: str) -> float:
    try:
        ratio = float(value)
    except ValueError:
        raise ConfigError("use a number from 0 to 1") from None
    if not 0 <= ratio <= 1:
        raise ConfigError("use a number from 0 to 1")
    return ratio


def _choice(*words: str) -> Callable[[str], str]:
    def read(value: str) -> str:
        if value.strip().lower() not in words:
            raise ConfigError(f"use one of {', '.join(words)}")
        return value.strip().lower()

    return read


def _metric_labels(value: str) -> tuple[str, ...]:
    words = tuple(dict.fromkeys(word.strip() for word in value.split(",") if word.strip()))
    if not all(word in METRIC_LABELS or word.removeprefix("label.") not in ("", word) for word in words):
        raise ConfigError(f"use any of {', '.join(METRIC_LABELS)}, and label.NAME")
    return words


def _milliseconds(value: str) -> float:
    if not (value.strip().isascii() and value.strip().isdigit() and int(value)):
        raise ConfigError("use a number of milliseconds")
    return int(value) / 1000


def _port(value: str) -> int:
    if not (value.strip().isascii() and value.strip().isdigit() and int(value) < 1 << 16):
        raise ConfigError("use a port from 0 to 65535")
    return int(value)


def _hosts(value: str) -> tuple[str, ...]:
    words = [word.strip().lower() for word in value.split(",") if word.strip()]
    if words == ["always"]:
        return ("*",)
    if words == ["never"]:
        return ()
    if {"always", "never"} & set(words) or any("/" in word or " " in word for word in words):
        raise ConfigError("use auto, always, never, or host names with commas")
    return (*_USAGE_HOSTS, *(word for word in words if word != "auto"))


def _exporters(value: str, *more: str) -> tuple[str, ...]:
    return tuple(_choice(*_EXPORTERS, *more)(each) for each in value.split(",") if each.strip())


def _metric_exporters(value: str) -> tuple[str, ...]:
    return _exporters(value, "prometheus")


def _resource(value: str) -> dict[str, str]:
    from urllib.parse import unquote  # noqa: PLC0415  (only where resource attributes are set)

    return {name: unquote(each) for name, each in _pairs(value)}


def _url(value: str) -> str:
    if not re.match(r"(?i)https?://[^/\s]", value.strip()):
        raise ConfigError("use a URL such as http://localhost:4318")
    return value


def _shown(value: str) -> str:
    """A wrong value as one short line; what may be a password before an `@`, or any other secret, is not shown."""
    from . import redact  # noqa: PLC0415  (only where a value is wrong)

    _, at, behind = value.rpartition("@")
    shown = repr(redact.text(f"***@{behind}" if at else value, without=("path",)))
    return shown if len(shown) <= 80 else f"{shown[:77]}..."


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
            except ConfigError as error:
                complaints.append(f"{name}={_shown(value)} is not usable: {error}; its default is used")
                return default

        def signal(name: str) -> tuple[tuple[str, ...], str]:
            """The exporters of a signal, and its protocol."""
            protocol = read("OTEL_EXPORTER_OTLP_PROTOCOL", _choice(*_PROTOCOLS), "http/protobuf")
            protocol = read(f"OTEL_EXPORTER_OTLP_{name}_PROTOCOL", _choice(*_PROTOCOLS), protocol)
            named = f"OTEL_EXPORTER_OTLP_{name}_ENDPOINT"
            named = named if env.get(named, "").strip() else "OTEL_EXPORTER_OTLP_ENDPOINT"
            endpoint = read(named, str if protocol == "grpc" else _url, "")
            lost = bool(env.get(named, "").strip()) and not endpoint  # the exporter would read the same wrong value
            # OpenTelemetry's own default is to export to localhost:4318; without an endpoint ours is the local store.
            choose = _metric_exporters if name == "METRICS" else _exporters
            found = read(f"OTEL_{name}_EXPORTER", choose, ("otlp",) if endpoint else ())
            return tuple(each for each in found if each != "none" and not (lost and each == "otlp")), protocol

        resource = read("OTEL_RESOURCE_ATTRIBUTES", _resource, {})
        if service := read("OTEL_SERVICE_NAME", _name, None):
            resource["service.name"] = service
        service = resource.get("service.name")
        exporters, protocol = signal("TRACES")
        metrics, metrics_protocol = signal("METRICS")
        content = read("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", _capture, (False, False))
        limit = read("HEXR_CONTENT_LIMIT", _bytes, 32 << 10)
        limit = min(limit, read("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", _characters, limit))
        limit = min(limit, read("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", _characters, limit))
        events, logs_protocol = signal("LOGS") if content[1] else ((), protocol)
        kept = read("HEXR_KEEP", seconds, None)
        return cls(
            disabled=read("HEXR_DISABLED", _flag, False) or read("OTEL_SDK_DISABLED", _flag, False),
            store=default_store(env),
            keep_seconds=KEEP_SECONDS if kept is None else kept,
            keep=kept is not None or not exporters,
            agent=read("HEXR_AGENT_NAME", _name, None) or service,
            role=read("HEXR_AGENT_ROLE", _name, None),
            tenant=read("HEXR_AGENT_TENANT", _name, None),
            labels=read("HEXR_LABELS", _labels, ()),
            caller=_caller(env),
            rollover=read("HEXR_AGENT_ROLLOVER", _rollover, 3600.0),
            run=read("HEXR_RUN", _name, None),
            exit_timeout=read("HEXR_EXIT_TIMEOUT", _timeout, 2.0),
            signals=read("HEXR_SIGNALS", _choice("wait", "off"), "wait") == "wait",
            stream_usage=read("HEXR_STREAM_USAGE", _hosts, _USAGE_HOSTS),
            native_spans=read("HEXR_NATIVE_SPANS", _choice("mute", "keep"), "mute") == "keep",
            agent_spans=read("OTEL_INSTRUMENTATION_A2A_SDK_ENABLED", _flag, False),
            propagate=read("HEXR_PROPAGATE", _patterns, ()),
            trust_inbound=read("HEXR_TRUST_INBOUND", _choice("none", "all"), "none") == "all",
            redact=read("HEXR_REDACT", _choice("mask", "hash"), "mask"),
            sampler=read("OTEL_TRACES_SAMPLER", _choice(*_SAMPLERS), "parentbased_always_on"),
            ratio=read("OTEL_TRACES_SAMPLER_ARG", _ratio, 1.0),
            service=service,
            resource=tuple(sorted(resource.items())),
            exporters=exporters,
            protocol=protocol,
            credential_provider=read("OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER", _name, None)
            or read("OTEL_PYTHON_EXPORTER_OTLP_HTTP_TRACES_CREDENTIAL_PROVIDER", _name, None),
            content=content,
            content_limit=limit,
            events=events,
            logs_protocol=logs_protocol,
            metrics=metrics,
            metrics_protocol=metrics_protocol,
            metric_interval=read("OTEL_METRIC_EXPORT_INTERVAL", _milliseconds, 60.0),
            metric_labels=read("HEXR_METRIC_LABELS", _metric_labels, METRIC_LABELS),
            semconv=read("HEXR_SEMCONV", _choice("default", "latest"), "default"),
            prometheus=(
                env.get("OTEL_EXPORTER_PROMETHEUS_HOST", "").strip() or "localhost",
                read("OTEL_EXPORTER_PROMETHEUS_PORT", _port, 9464),
            ),
            destination=endpoints.destination(exporters, protocol, events, logs_protocol, env),
            events_destination=endpoints.destination((), protocol, events, logs_protocol, env) if exporters else None,
            budget=env.get("HEXR_BUDGET", "").strip() or None,
            prices=read("HEXR_PRICES", _path, None),
            models=read("HEXR_MODEL_MAP", _models, ()),
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
