"""The one place where an attribute, a span or a scope is spelt.

OpenTelemetry GenAI conventions, development status (`gen_ai.*`, main of October 2026), plus the `hexr.*` names of this
package. Deviations, on purpose: `gen_ai.system` and `gen_ai.usage.total_tokens` are deprecated names that dashboards of
the previous generation still read.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def package_version() -> str:
    """This package's version, or "0" in a source tree that is not installed."""
    try:
        return version("hexr-instrument")
    except PackageNotFoundError:
        return "0"


SCOPE = "hexr_instrument"
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
}
"""Sampling parameters: neutral name -> attribute."""

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
