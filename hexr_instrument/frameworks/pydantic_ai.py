"""Pydantic AI: the run's own context, which the framework itself keeps current; in version 1 not while a tool runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..call import Framework, Target, pick, text


def _running(current: Any) -> tuple[str | None, object] | None:
    """The name of the agent (the framework takes that of its variable where the program gave none)."""
    context = current()
    agent = pick(context, "agent")
    return None if agent is None else (text(agent, "name"), text(context, "run_id") or id(agent))


PYDANTIC_AI = Framework(
    name="pydantic-ai",
    module="pydantic_ai._run_context",
    package="pydantic-ai-slim",
    source="get_current_run_context",
    running=_running,
)


def _agent(instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], target: str) -> str | None:
    """The name of the agent whose run has called the tool."""
    return text(kwargs.get("ctx") or (args[2] if len(args) > 2 else None), "agent", "name")


PYDANTIC_AI_TOOLS = Framework(
    name="pydantic-ai tools",
    module="pydantic_ai.toolsets.function",
    package="pydantic-ai-slim",
    targets=(Target("FunctionToolset.call_tool", "role", optional=True),),
    agent=_agent,
)
