"""The agent frameworks that say who is running: one table each, and the one list of them."""

from __future__ import annotations

from ..call import Framework
from .adk import ADK
from .ag2 import AG2, CONVERSABLE
from .autogen import AUTOGEN, TEAMS
from .crewai import CREWAI
from .langchain import LANGCHAIN, LANGGRAPH
from .llamaindex import LLAMAINDEX
from .openai_agents import AGENTS, AGENTS_STREAMED
from .pydantic_ai import PYDANTIC_AI, PYDANTIC_AI_TOOLS
from .smolagents import SMOLAGENTS

FRAMEWORKS: tuple[Framework, ...] = (
    PYDANTIC_AI,
    PYDANTIC_AI_TOOLS,
    LANGCHAIN,
    LANGGRAPH,
    CREWAI,
    AGENTS,
    AGENTS_STREAMED,
    SMOLAGENTS,
    LLAMAINDEX,
    AUTOGEN,
    TEAMS,
    AG2,
    CONVERSABLE,
    ADK,
)
"""Those that know by themselves which agent is running are asked in this order: the first that knows one is believed,
so what is used inside of others stands before them."""
