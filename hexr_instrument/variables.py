"""Every environment variable that this package reads, in words: for the reference page; nothing at run time loads it."""

from __future__ import annotations

from dataclasses import dataclass


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
    Variable(
        "HEXR_HOSTS",
        "none",
        "Who your own gateways and servers are: `llm.internal=azure.ai.openai,*.gw.example=openrouter,127.0.0.1:8000=vllm`. "
        "The provider names the price; a host may have a port, and `*` for any part.",
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
