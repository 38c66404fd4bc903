"""`from hexr import hexr_agent, hexr_llm`: the names of `hexr_instrument`, and nothing else."""

import hexr_instrument
from hexr_instrument import (
    BudgetExceeded,
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
    "BudgetExceeded",
    "Caller",
    "CostReport",
    "CostRow",
    "HexrError",
    "LLMResponse",
    "costs",
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

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hexr_instrument import CostReport, CostRow, costs


def __getattr__(name: str) -> object:
    """The names that a program which is recorded does not need: they come with SQLite and are loaded when used."""
    if name in __all__:
        return getattr(hexr_instrument, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
