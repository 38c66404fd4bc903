"""The wires from process to process: one table each, and the one list of them."""

from __future__ import annotations

from .a2a import A2A
from .a2a_03 import A2A_03
from .http import BAGGAGE, HTTP
from .mcp import MCP
from .wire import CHILD, PARENT, Wire

__all__ = ["CHILD", "PARENT", "WIRES", "Wire"]

WIRES: tuple[Wire, ...] = (*A2A, *A2A_03, *MCP, *HTTP, BAGGAGE)
