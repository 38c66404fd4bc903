"""Who serves a call of LiteLLM: the front of the model's name, an argument, the address, or whose a model is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..call import Direct, text
from ..formats.litellm import CHAT
from . import hosts

_NAMES = {
    "anthropic_text": "anthropic",
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "azure_text": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "bedrock_mantle": "aws.bedrock",
    "codestral": "mistral_ai",
    "cohere_chat": "cohere",
    "custom_openai": "openai",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "moonshot": "moonshot_ai",
    "ollama_chat": "ollama",
    "openai_like": "openai",
    "sagemaker": "aws.sagemaker",
    "text-completion-openai": "openai",
    "vertex_ai": "gcp.vertex_ai",
    "vertex_ai_beta": "gcp.vertex_ai",
    "voyage": "voyage_ai",
    "watsonx": "ibm.watsonx.ai",
    "watsonx_text": "ibm.watsonx.ai",
    "xai": "x_ai",
    "zai": "z_ai",
}
"""`custom_llm_provider` -> `gen_ai.provider.name`, where they differ."""
_MAKERS = (
    (re.compile(r"gpt|chatgpt|o\d|text-embedding-[3a]|ft:|davinci|babbage"), "openai"),
    (re.compile(r"claude"), "anthropic"),
    (re.compile(r"gemini"), "vertex_ai"),
    (re.compile(r"command|embed-(?:english|multilingual)"), "cohere"),
    (re.compile(r"(?:(?:us|eu|apac|global)\.)?(?:anthropic|amazon|meta|mistral|cohere|ai21|deepseek)\."), "bedrock"),
)
"""Whose a model is whose name has no provider in front."""
_ROUTES = re.compile(r"(?:(?:responses|converse|converse_like|invoke|[a-z]{2}(?:-[a-z]+)+-\d)/)+")
"""What LiteLLM reads in front of a model's name, and does not send."""


def served(asked: Mapping[str, Any]) -> tuple[str, str | None, str | None, int | None]:
    """Provider, model as it is sent, host and port, by the arguments of LiteLLM's functions."""
    model = text(asked, "deployment_id") or text(asked, "model") or ""
    named = "azure" if asked.get("deployment_id") else text(asked, "custom_llm_provider")
    front, slash, rest = model.partition("/")
    if slash and named in (None, front):
        named, model = front, rest
    if named is None:
        named = next((maker for pattern, maker in _MAKERS if pattern.match(model)), "litellm")
    host, port = hosts.address(text(asked, "base_url") or text(asked, "api_base"))
    provider = hosts.provider_of(host, port, _NAMES.get(named, named))
    return provider, _ROUTES.sub("", model, count=1) or None, host, port


DIRECT = Direct(
    module="litellm",
    client="",
    aclient="",
    method="completion",
    stream_method=None,
    format=CHAT,
    keys=(),
    keyless=None,
    package="litellm",
    options=lambda base_url: {"api_base": base_url} if base_url else {},
    amethod="acompletion",
    serves=lambda asked: served(dict(asked))[0],
)
"""Its functions are the methods; the name of the model says who serves it."""
