"""The agent frameworks that say who is running: one table each, and the one list of them."""

from __future__ import annotations

from ..call import Framework

FRAMEWORKS: tuple[Framework, ...] = ()
"""Those that know by themselves which agent is running are asked in this order: the first that knows one is believed,
so what is used inside of others stands before them."""
