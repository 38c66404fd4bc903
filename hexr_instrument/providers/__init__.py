"""The SDKs that are patched: one table each, and the one list of them."""

from __future__ import annotations

from ..call import Provider
from .anthropic import ANTHROPIC
from .google import GOOGLE
from .openai import OPENAI
from .openai_sockets import SOCKETS
from .tools import TOOLS

PROVIDERS: tuple[Provider, ...] = (OPENAI, *SOCKETS, ANTHROPIC, GOOGLE, *TOOLS)
