"""The SDKs that are patched: one table each, and the one list of them."""

from __future__ import annotations

from ..call import Provider
from .ai21 import AI21, AI21_ASYNC
from .anthropic import ANTHROPIC
from .azure_inference import AZURE_INFERENCE
from .bedrock import AIOBEDROCK, BEDROCK
from .claude_agent import CLAUDE_AGENT
from .cohere import COHERE, COHERE_1
from .google import GOOGLE
from .google_batches import GOOGLE_BATCHES, GOOGLE_FILES
from .google_interactions import GOOGLE_INTERACTIONS, GOOGLE_INTERACTIONS_1
from .google_live import GOOGLE_LIVE
from .huggingface import HUGGINGFACE, HUGGINGFACE_ASYNC
from .litellm import LITELLM
from .mistral import MISTRAL
from .mistral_spans import MISTRAL_SPANS
from .ollama import OLLAMA
from .openai import OPENAI
from .openai_shaped import OPENAI_SHAPED
from .openai_sockets import SOCKETS
from .tools import TOOLS
from .vertex import VERTEX
from .voyage import VOYAGE, VOYAGE_ASYNC
from .xai import XAI_SDK

PROVIDERS: tuple[Provider, ...] = (
    OPENAI,
    *SOCKETS,
    ANTHROPIC,
    CLAUDE_AGENT,
    GOOGLE,
    GOOGLE_BATCHES,
    GOOGLE_FILES,
    GOOGLE_INTERACTIONS,
    GOOGLE_INTERACTIONS_1,
    GOOGLE_LIVE,
    OLLAMA,
    *MISTRAL,
    COHERE,
    COHERE_1,
    VOYAGE,
    VOYAGE_ASYNC,
    AI21,
    AI21_ASYNC,
    HUGGINGFACE,
    HUGGINGFACE_ASYNC,
    *MISTRAL_SPANS,
    BEDROCK,
    AIOBEDROCK,
    *OPENAI_SHAPED,
    *LITELLM,
    *VERTEX,
    *XAI_SDK,
    *AZURE_INFERENCE,
    *TOOLS,
)
