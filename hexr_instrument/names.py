"""The one place where an attribute, a span or a scope is spelt.

OpenTelemetry GenAI conventions, development status (`gen_ai.*`, main of October 2026), plus the `hexr.*` names of this
package. Deviations, on purpose: `gen_ai.system` and `gen_ai.usage.total_tokens` are deprecated names that dashboards of
the previous generation still read.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version


def package_version() -> str:
    """This package's version, or "0" in a source tree that is not installed."""
    try:
        return version("hexr-instrument")
    except PackageNotFoundError:
        return "0"


SCOPE = "hexr_instrument"
# The schema that the official Python instrumentation declares: published, and the last one with changes of `gen_ai.*`
# names (`gen_ai.provider.name`). The conventions' own next one, `gen-ai-dev/1.42.0-dev`, cannot be fetched yet.
SCHEMA_URL = "https://opentelemetry.io/schemas/1.37.0"
PRICES_VERSION = "hexr.prices.version"

OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
SYSTEM = "gen_ai.system"
REQUEST_MODEL = "gen_ai.request.model"
REQUEST_STREAM = "gen_ai.request.stream"
RESPONSE_MODEL = "gen_ai.response.model"
RESPONSE_ID = "gen_ai.response.id"
RESPONSE_STATUS = "gen_ai.response.status"
FINISH_REASONS = "gen_ai.response.finish_reasons"
FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
AGENT_NAME = "gen_ai.agent.name"
INVOKE_AGENT = "invoke_agent"
FETCH_RESPONSE = "fetch_response"
EMBEDDINGS = "embeddings"
EXECUTE_TOOL = "execute_tool"
TOOL_NAME = "gen_ai.tool.name"
TOOL_CALL_ID = "gen_ai.tool.call.id"
TOOL_TYPE = "gen_ai.tool.type"
TOOL_DESCRIPTION = "gen_ai.tool.description"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
ERROR_TYPE = "error.type"
STATUS_CODE = "http.response.status_code"
TOTAL_TOKENS = "gen_ai.usage.total_tokens"

HEXR_AGENT = "hexr.agent.name"
HEXR_TENANT = "hexr.agent.tenant"
HEXR_ROLE = "hexr.agent.role"
HEXR_AGENT_CALLS = "hexr.agent.llm_calls"
HEXR_AGENT_COST = "hexr.agent.cost_usd"
COST = "hexr.llm.cost_usd"
COST_SOURCE = "hexr.llm.cost.source"
COST_STATUS = "hexr.llm.cost.status"
OVER_BUDGET = "hexr.llm.budget.exceeded"
"""The budgets beyond whose (soft) limit the call was made."""
CALLS = "hexr.llm.calls"
"""The counter of calls; that of their cost has the attribute's name."""
TOKEN_TYPE = "gen_ai.token.type"  # noqa: S105  (the other kind of token)
DURATION = "hexr.llm.duration_ms"
LABEL = "hexr.label."
"""Prefix of the user's own labels."""

REQUEST = {
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "top_k": "gen_ai.request.top_k",
    "max_tokens": "gen_ai.request.max_tokens",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "presence_penalty": "gen_ai.request.presence_penalty",
    "seed": "gen_ai.request.seed",
    "stop_sequences": "gen_ai.request.stop_sequences",
    "choice_count": "gen_ai.request.choice.count",
    "output_type": "gen_ai.output.type",
    "reasoning_level": "gen_ai.request.reasoning.level",
    "previous_response_id": "gen_ai.request.previous_response.id",
    "conversation_id": "gen_ai.conversation.id",
    "dimension_count": "gen_ai.embeddings.dimension.count",
    "encoding_format": "gen_ai.request.encoding_formats",
    "stream_cursor": "gen_ai.request.stream_cursor",
    "guardrail": "aws.bedrock.guardrail.id",
}
"""Sampling parameters: neutral name -> attribute."""

CONTENT = {
    "input": "gen_ai.input.messages",
    "output": "gen_ai.output.messages",
    "system": "gen_ai.system_instructions",
    "tools": "gen_ai.tool.definitions",
    "arguments": "gen_ai.tool.call.arguments",
    "result": "gen_ai.tool.call.result",
}
"""Content, only where it was asked for: key of a record's `content` -> attribute. JSON text on spans, values on events."""
INFERENCE = frozenset({"chat", "generate_content", "text_completion"})
"""Operations that the conventions call inference."""
DETAILS = "gen_ai.client.inference.operation.details"
"""The event of a call: a log record with the attributes of its span and structured content."""

FLOATS = frozenset({"temperature", "top_p", "frequency_penalty", "presence_penalty"})
"""Parameters that the conventions define as doubles."""
INTEGERS = frozenset({"top_k", "max_tokens", "seed", "choice_count", "dimension_count"})
LISTS = frozenset({"encoding_format"})
"""Parameters that the conventions define as a list where the wire has one value."""

USAGE = {
    "input": "gen_ai.usage.input_tokens",
    "output": "gen_ai.usage.output_tokens",
    "cache_read": "gen_ai.usage.cache_read.input_tokens",
    "cache_write": "gen_ai.usage.cache_write.input_tokens",
    "reasoning": "gen_ai.usage.reasoning.output_tokens",
    "input_audio": "gen_ai.usage.audio.input_tokens",
    "output_audio": "gen_ai.usage.audio.output_tokens",
    "cache_read_audio": "gen_ai.usage.audio.cache_read.input_tokens",
    "input_image": "gen_ai.usage.image.input_tokens",
    "output_image": "gen_ai.usage.image.output_tokens",
    "cache_read_image": "gen_ai.usage.image.cache_read.input_tokens",
    "audio_seconds": "hexr.llm.usage.audio_seconds",
    "input_characters": "hexr.llm.usage.input_characters",
    "images": "hexr.llm.usage.images",
    "video_seconds": "hexr.llm.usage.video_seconds",
    "search_units": "hexr.llm.usage.search_units",
}
"""Billed units: field of `Usage` -> attribute. Counts of 0 are left out, but for input and output."""

OPENAI = {
    "request_service_tier": "openai.request.service_tier",
    "service_tier": "openai.response.service_tier",
    "system_fingerprint": "openai.response.system_fingerprint",
    "api_type": "openai.api.type",
}
"""Only on calls that OpenAI itself serves."""
OPENAI_API_TYPES = frozenset({"chat_completions", "responses"})


MODALITY = "gen_ai.token.modality"
BUDGET = "hexr.llm.budget.name"
FOLDED_LABEL = "hexr.metric.label"
METRIC_LABELS = {
    "request_model": REQUEST_MODEL,
    "response_model": RESPONSE_MODEL,
    "server": SERVER_ADDRESS,
    "agent": HEXR_AGENT,
    "tenant": HEXR_TENANT,
    "role": HEXR_ROLE,
}
"""Labels of metric points that can be chosen: word of HEXR_METRIC_LABELS -> attribute."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One instrument: its name, its unit, the buckets that the conventions advise (none: a counter), what it counts."""

    name: str
    unit: str
    buckets: tuple[float, ...] = ()
    meaning: str = ""


_SECONDS = tuple(2**step / 100 for step in range(14))
_TOKENS = tuple(float(4**step) for step in range(14))
_AGENT_SECONDS = tuple(2**step / 10 for step in range(13))
_COUNTS = tuple(float(2**step) for step in range(8))
_FIRST_CHUNK = "Until the first chunk of a stream"
_PER_CHUNK = "Between two chunks of a stream"
_DURATION = "Start of the request to the last byte"
_SAME = {
    "agent_duration": Metric("gen_ai.invoke_agent.duration", "s", _AGENT_SECONDS, "Run of a `hexr_agent`"),
    "agent_calls": Metric(
        "gen_ai.invoke_agent.inference_calls", "{inference_call}", _COUNTS, "Calls in one run of a `hexr_agent`"
    ),
    "tool_duration": Metric("gen_ai.execute_tool.duration", "s", _SECONDS, "Run of a tool that the SDK calls itself"),
}
METRICS: dict[str, dict[str, Metric]] = {
    "default": {
        "duration": Metric("gen_ai.client.operation.duration", "s", _SECONDS, _DURATION),
        "tokens": Metric("gen_ai.client.token.usage", "{token}", _TOKENS, "Billed tokens of one call, by type"),
        "first_chunk": Metric("gen_ai.client.operation.time_to_first_chunk", "s", _SECONDS, _FIRST_CHUNK),
        "per_chunk": Metric("gen_ai.client.operation.time_per_output_chunk", "s", _SECONDS, _PER_CHUNK),
        **_SAME,
    },
    "latest": {
        "duration": Metric("gen_ai.client.inference.duration", "s", _SECONDS, _DURATION),
        "other_duration": Metric(
            "gen_ai.client.operation.duration", "s", _SECONDS, "The same, of what is no inference: embeddings, fetches"
        ),
        "input_tokens": Metric(
            "gen_ai.client.inference.operation.input_tokens", "{token}", _TOKENS, "Input tokens of one call"
        ),
        "output_tokens": Metric(
            "gen_ai.client.inference.operation.output_tokens", "{token}", _TOKENS, "Output tokens of one call"
        ),
        "input_usage": Metric(
            "gen_ai.client.inference.usage.input_tokens", "{token}", (), "Input tokens, cached ones among them"
        ),
        "output_usage": Metric(
            "gen_ai.client.inference.usage.output_tokens", "{token}", (), "Output tokens, of reasoning among them"
        ),
        "cache_read_usage": Metric(
            "gen_ai.client.inference.usage.cache_read.input_tokens", "{token}", (), "Input tokens read from a cache"
        ),
        "cache_write_usage": Metric(
            "gen_ai.client.inference.usage.cache_write.input_tokens", "{token}", (), "Input tokens written to a cache"
        ),
        "reasoning_usage": Metric(
            "gen_ai.client.inference.usage.reasoning.output_tokens", "{token}", (), "Output tokens of reasoning"
        ),
        "first_chunk": Metric("gen_ai.client.inference.time_to_first_chunk", "s", _SECONDS, _FIRST_CHUNK),
        "per_chunk": Metric("gen_ai.client.inference.time_per_output_chunk", "s", _SECONDS, _PER_CHUNK),
        **_SAME,
    },
}
"""Metrics by version of the conventions: `default` is the last release, `latest` the registry to come, with the names
changed. The attributes of spans are the same in both."""
OUR_METRICS = {
    "cost": Metric("hexr.llm.cost_usd", "{USD}", (), "What calls cost, of those with a known price"),
    "calls": Metric("hexr.llm.calls", "{call}", (), "Calls, unpriced and failed ones too, by status and error"),
    "cached": Metric("hexr.llm.cached_tokens", "{token}", (), "Input tokens that were read from a cache"),
    "over_budget": Metric("hexr.llm.budget.exceeded", "{call}", (), "Calls made beyond a soft budget, by budget"),
    "refused": Metric("hexr.llm.budget.refused", "{call}", (), "Calls that a hard budget refused, by budget"),
}
"""Counters of this package, in every version."""
BUDGET_USED = Metric("hexr.llm.budget.used", "1", (), "Share of each budget that is spent (1: all of it), by budget")
"""A gauge; all processes of one store say the same of a budget."""
FOLDED = Metric("hexr.metric.folded", "{measurement}", (), "Measurements with a label folded to `__other__`, by label")
