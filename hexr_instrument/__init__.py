"""hexr-instrument: every LLM call as an OpenTelemetry span with tokens, cost in USD, and who spent it.

Importing this package loads nothing else; each name below is loaded when it is first used.
"""

from __future__ import annotations

import sys

_HOMES = {
    "hexr_agent": "api",
    "hexr_role": "api",
    "hexr_tenant": "api",
    "hexr_labels": "api",
    "hexr_llm": "llm",
    "LLMResponse": "direct",
    "HexrError": "direct",
    "Caller": "call",
    "BudgetExceeded": "budgets",
    "CostReport": "report.data",
    "CostRow": "report.data",
    "costs": "report.data",
    "current_caller": "api",
    "flush": "hub",
    "instrument": "hub",
    "uninstrument": "hub",
}
TYPE_CHECKING = False
if TYPE_CHECKING:
    from .api import current_caller, hexr_agent, hexr_labels, hexr_role, hexr_tenant
    from .budgets import BudgetExceeded
    from .call import Caller
    from .direct import HexrError, LLMResponse
    from .hub import flush, instrument, uninstrument
    from .llm import hexr_llm
    from .report.data import CostReport, CostRow, costs

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


def __getattr__(name: str) -> object:
    """Loads a public name from the room that it lives in (PEP 562)."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    start = sys.modules.get(f"{__name__}.start")
    if start is not None:
        start.reach()  # where this package is injected, its libraries are not on sys.path before they are needed
    __import__(f"{__name__}.{home}")
    value: object = getattr(sys.modules[f"{__name__}.{home}"], name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names, loaded or not."""
    return sorted({*globals(), *__all__})
