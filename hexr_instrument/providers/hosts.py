"""Who serves a host: the provider's name, as `gen_ai.provider.name` spells it.

Where the conventions have no name for it, the name is the one that the price table or the provider's own documentation
spells. vLLM and llama.cpp have no host and no port of their own (8000 and 8080 are everybody's): `HEXR_HOSTS` names them.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
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
    "api-inference.huggingface.co": "huggingface",
    "endpoints.huggingface.cloud": "huggingface",
    "api.moonshot.ai": "moonshot_ai",
    "api.moonshot.cn": "moonshot_ai",
    "integrate.api.nvidia.com": "nvidia",
    "api.sambanova.ai": "sambanova",
    "dashscope.aliyuncs.com": "dashscope",
    "dashscope-intl.aliyuncs.com": "dashscope",
    "dashscope-us.aliyuncs.com": "dashscope",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "aiplatform.googleapis.com": "gcp.vertex_ai",
}
_PORTS = {11434: "ollama", 1234: "lm_studio"}
"""The ports that these servers alone listen on by default."""
_own: Sequence[tuple[str, str]] = ()


def configure(own: Sequence[tuple[str, str]]) -> None:
    """Says which provider the user's own hosts are.

    Args:
        own: `host` or `host:port`, lower case, `*` for any part of it -> the provider; the first that fits counts.
    """
    global _own
    _own = own
    provider_of.cache_clear()


def named(host: str | None, port: int | None) -> str | None:
    """The provider that the user has named for a host; it wins over what the client is."""
    if not host or not _own:
        return None
    here = host.lower()
    return next((name for each, name in _own if fnmatchcase(here, each) or fnmatchcase(f"{here}:{port}", each)), None)


@lru_cache(maxsize=512)
def provider_of(host: str | None, port: int | None, otherwise: str) -> str:
    """The provider that serves `host`, or `otherwise` for a host that is not known."""
    if not host:
        return otherwise
    if (own := named(host, port)) is not None:
        return own
    if port in _PORTS:
        return _PORTS[port]
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
