"""Who serves a host: the provider's name, as `gen_ai.provider.name` spells it."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import urlsplit

_HOSTS = {
    "api.openai.com": "openai",
    "openai.azure.com": "azure.ai.openai",
    "cognitiveservices.azure.com": "azure.ai.openai",
    "services.ai.azure.com": "azure.ai.openai",
    "api.anthropic.com": "anthropic",
    "api.groq.com": "groq",
    "api.deepseek.com": "deepseek",
    "api.x.ai": "x_ai",
    "openrouter.ai": "openrouter",
    "api.together.ai": "together_ai",
    "api.together.xyz": "together_ai",
    "api.fireworks.ai": "fireworks_ai",
    "api.perplexity.ai": "perplexity",
    "api.mistral.ai": "mistral_ai",
    "api.cerebras.ai": "cerebras",
    "router.huggingface.co": "huggingface",
    "api.moonshot.ai": "moonshot_ai",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "aiplatform.googleapis.com": "gcp.vertex_ai",
}


@lru_cache(maxsize=512)
def provider_of(host: str | None, port: int | None, otherwise: str) -> str:
    """The provider that serves `host`, or `otherwise` for a host that is not known."""
    if not host:
        return otherwise
    if port == 11434:  # Ollama's own port
        return "ollama"
    if host.startswith(("bedrock-runtime.", "bedrock-mantle.")):
        return "aws.bedrock"
    if host.endswith("-aiplatform.googleapis.com"):
        return "gcp.vertex_ai"
    labels = host.split(".")
    for start in range(len(labels) - 1):
        if (name := _HOSTS.get(".".join(labels[start:]))) is not None:
            return name
    return otherwise


def address(url: str | None) -> tuple[str | None, int | None]:
    """Host and port of a URL; nothing of one that is not known."""
    parts = urlsplit(url or "")
    if not parts.hostname:
        return None, None
    return parts.hostname, parts.port or (80 if parts.scheme in ("http", "ws") else 443)
