"""`from hexr import hexr_agent, hexr_llm`: the names of `hexr_instrument`, and nothing else."""

from hexr_instrument import (
    Caller,
    HexrError,
    LLMResponse,
    current_caller,
    flush,
    hexr_agent,
    hexr_labels,
    hexr_llm,
    hexr_role,
    hexr_tenant,
    instrument,
    uninstrument,
)

__all__ = (
    "Caller",
    "HexrError",
    "LLMResponse",
    "current_caller",
    "flush",
    "hexr_agent",
    "hexr_labels",
    "hexr_llm",
    "hexr_role",
    "hexr_tenant",
    "instrument",
    "uninstrument",
)
