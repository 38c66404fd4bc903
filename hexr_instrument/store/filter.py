"""Which calls count, and the facets that they may have."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from .lines import MISMATCH, Facet

FACET_COLUMNS = (
    "agent",
    "tenant",
    "role",
    "provider",
    "model",
    "requested",
    "operation",
    "cost_status",
    "cost_source",
    "error",
)
SEGMENT_COLUMNS = ("run", "service")
TIMES = ("day", "hour")
COLUMNS = (*FACET_COLUMNS, *SEGMENT_COLUMNS, *TIMES)
"""What calls can be grouped by, beside the names of labels and of resource attributes."""
FOREVER = (1 << 63) - 1
MISMATCHED = f"instr(usage, '{MISMATCH}') > 0"
COSTS = "calls INDEXED BY calls_costs"
_STATUSES: dict[str, Callable[[Facet], bool]] = {
    "priced": lambda facet: facet.cost_status == "priced",
    "stated": lambda facet: facet.cost_status == "priced" and facet.cost_source == "provider",
    "custom": lambda facet: facet.cost_status == "priced" and facet.cost_source == "custom",
    "unpriced": lambda facet: facet.cost_status == "unpriced",
    "no_usage": lambda facet: facet.cost_status == "no_usage" and facet.error is None,
    "partial": lambda facet: facet.cost_status == "partial",
    "failed": lambda facet: facet.error is not None,
}
STATUSES = tuple(_STATUSES)
"""What a filter can ask of a call's cost: the counts of a `Row`, and `custom`: by the user's own prices."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which calls count; an empty tuple is no condition, an empty name in one stands for 'unknown'."""

    since: int = 0
    """Nanoseconds since the epoch, inclusive."""
    until: int = FOREVER
    """Nanoseconds since the epoch, exclusive."""
    agent: tuple[str, ...] = ()
    tenant: tuple[str, ...] = ()
    role: tuple[str, ...] = ()
    model: tuple[str, ...] = ()
    """As served or as requested."""
    provider: tuple[str, ...] = ()
    run: str | None = None
    """The id of a run, or `last`: the one that started last among those that made a call."""

    status: tuple[str, ...] = ()
    """Names from `STATUSES`."""
    where: tuple[tuple[str, str], ...] = ()
    """(name, value) of a column, a label or a resource attribute; several values of one name are alternatives."""
    mismatched: bool = False
    """Whether only calls count whose tokens do not add up to the provider's own total."""
    trace: str | None = None
    """32 hexadecimal digits; for single calls only. There is no index: bounds of time make it quick."""

    def wanted(self) -> dict[str, tuple[str, ...]]:
        """The values of `where`, by name."""
        return {name: tuple(value for each, value in self.where if each == name) for name, _ in self.where}

    def slow(self) -> dict[str, tuple[str, ...]]:
        """What of `where` no facet knows."""
        return {name: values for name, values in self.wanted().items() if name not in FACET_COLUMNS}

    def admits(self, facet: Facet) -> bool:
        """Whether calls of this facet count, as far as the facet knows."""
        if self.status and not any(_STATUSES[name](facet) for name in self.status):
            return False
        for name, values in self.wanted().items():
            if name in FACET_COLUMNS and (getattr(facet, name) or "") not in values:
                return False
        for name in ("agent", "tenant", "role", "provider"):
            wanted: tuple[str, ...] = getattr(self, name)
            if wanted and (getattr(facet, name) or "") not in wanted:
                return False
        return not self.model or (facet.served or facet.requested or "") in self.model or facet.requested in self.model


def facets_of(connection: sqlite3.Connection, only: Filter) -> dict[int, Facet]:
    """The facets that calls of the filter may have, by their numbers."""
    rows = connection.execute(f"SELECT id, {', '.join(Facet._fields)} FROM facets")  # noqa: S608
    facets = {row[0]: Facet(*row[1:]) for row in rows}
    return {key: facet for key, facet in facets.items() if only.admits(facet)}


def last_run(connection: sqlite3.Connection) -> str:
    """The run that started last among those that made a call; empty if there is none."""
    row = connection.execute(
        "SELECT run FROM segments"
        " WHERE run IS NOT NULL AND EXISTS (SELECT 1 FROM calls WHERE segment = segments.id)"
        " GROUP BY run ORDER BY min(started) DESC, run LIMIT 1"
    ).fetchone()
    return row[0] if row else ""
