"""Which path speaks which wire, and under which name a model is served."""

from __future__ import annotations

import re

from . import wire_anthropic, wire_bedrock, wire_gemini, wire_jobs, wire_media, wire_openai, wire_responses
from .wire import Wire, frame_data, frame_typed

OPENAI = Wire(
    frame=frame_data,
    error=wire_openai.error,
    headers=wire_openai.headers,
    routes={
        "/chat/completions": wire_openai.chat,
        "/completions": wire_openai.completions,
        "/embeddings": wire_openai.embeddings,
        "/moderations": wire_openai.moderations,
        "/images/generations": wire_media.images,
        "/images/edits": wire_media.images,
        "/images/variations": wire_media.images,
        "/audio/transcriptions": wire_media.transcriptions,
        "/audio/translations": wire_media.transcriptions,
        "/audio/speech": wire_media.speech,
        "/videos": wire_media.videos,
        "/videos/extensions": wire_media.videos,
        "/videos/edits": wire_media.videos,
        "/remix": wire_media.videos,
        "/v1/batches": wire_jobs.batches,
        "/runs": wire_jobs.runs,
        "/cancel": wire_jobs.cancelled,
        "/responses/compact": wire_responses.compact_response,
        "/decisions": wire_responses.decisions,
    },
)
RESPONSES = Wire(
    frame=frame_typed,
    error=wire_openai.error,
    headers=wire_openai.headers,
    routes={"/responses": wire_responses.responses},
)
ANTHROPIC = Wire(
    frame=frame_typed,
    error=wire_anthropic.error,
    headers=wire_anthropic.headers,
    routes={
        "/messages": wire_anthropic.messages,
        "/messages/count_tokens": wire_anthropic.count_tokens,
        # Claude on Vertex AI
        ":rawPredict": wire_anthropic.messages,
        ":streamRawPredict": wire_anthropic.messages,
    },
)
BEDROCK = Wire(
    frame=wire_bedrock.frame,
    error=wire_bedrock.error,
    headers=wire_bedrock.headers,
    routes={
        "/invoke": wire_bedrock.invoke,
        "/invoke-with-response-stream": wire_bedrock.invoke,
        "/converse": wire_bedrock.converse,
        "/converse-stream": wire_bedrock.converse,
    },
    stream_type="application/vnd.amazon.eventstream",
)
GOOGLE = Wire(
    frame=wire_gemini.frame,
    error=wire_gemini.error,
    headers=wire_gemini.headers,
    routes={
        ":generateContent": wire_gemini.generate,
        ":streamGenerateContent": wire_gemini.generate,
        ":countTokens": wire_gemini.count_tokens,
        ":embedContent": wire_gemini.embed,
        ":batchEmbedContents": wire_gemini.embed,
        ":predict": wire_gemini.predict,
    },
)
_WIRES = (OPENAI, RESPONSES, ANTHROPIC, BEDROCK, GOOGLE)

_DATED = {
    "gpt-3.5-turbo": "gpt-3.5-turbo-0125",
    "gpt-4-turbo": "gpt-4-turbo-2024-04-09",
    "gpt-4o": "gpt-4o-2024-08-06",
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
    "gpt-4.1": "gpt-4.1-2025-04-14",
    "gpt-4.1-mini": "gpt-4.1-mini-2025-04-14",
    "gpt-4.1-nano": "gpt-4.1-nano-2025-04-14",
    "gpt-5": "gpt-5-2025-08-07",
    "gpt-5-mini": "gpt-5-mini-2025-08-07",
    "gpt-5-nano": "gpt-5-nano-2025-08-07",
    "gpt-5.1": "gpt-5.1-2025-11-13",
    "gpt-5.2": "gpt-5.2-2025-12-11",
    "gpt-5.5": "gpt-5.5-2026-04-23",
    "gpt-realtime": "gpt-realtime-2025-08-28",
    "o1": "o1-2024-12-17",
    "o3": "o3-2025-04-16",
    "o3-mini": "o3-mini-2025-01-31",
    "o4-mini": "o4-mini-2025-04-16",
    "claude-3-5-sonnet-latest": "claude-3-5-sonnet-20241022",
    "claude-3-5-haiku-latest": "claude-3-5-haiku-20241022",
    "claude-3-7-sonnet-latest": "claude-3-7-sonnet-20250219",
    "claude-sonnet-4-0": "claude-sonnet-4-20250514",
    "claude-opus-4-0": "claude-opus-4-20250514",
    "claude-sonnet-4-5": "claude-sonnet-4-5-20250929",
    "claude-haiku-4-5": "claude-haiku-4-5-20251001",
    "claude-opus-4-5": "claude-opus-4-5-20251101",
}


def route(path: str) -> tuple[Wire, str]:
    """The wire and route of `path`: the longest ending that is known, or an empty route."""
    found = [(len(end), wire, end) for wire in _WIRES for end in wire.routes if path.endswith(end)]
    _, wire, end = max(found, key=lambda each: each[0], default=(0, OPENAI, ""))
    return wire, end


def served(model: str) -> str:
    """The name that a model is served under: dated as the provider does it, otherwise its own."""
    model = re.sub(r"^(\w+\.)?anthropic\.", "", model)  # Claude on Bedrock answers with its own name
    return _DATED.get(model, model)


def provoked(model: str) -> int:
    """The status that the name of a model asks for."""
    if model.endswith("-does-not-exist"):
        return 404
    status = re.search(r"error-([45]\d\d)", model)
    return int(status[1]) if status else 200
