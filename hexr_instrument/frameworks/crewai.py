"""CrewAI: a task is its agent's work, with what is asked about its output afterwards; the role is the template."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..call import Framework, Target, pick, text


def _agent(instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], target: str) -> str | None:
    """The agent of a task, or the agent itself; its role as it was before inputs were put into it."""
    agent = instance
    if target.startswith("Task."):
        agent = (args[0] if args else kwargs.get("agent")) or pick(instance, "agent")
    return text(agent, "_original_role") or text(agent, "role")


CREWAI = Framework(
    name="crewai",
    module="crewai",
    package="crewai",
    targets=(
        Target("Task._execute_core", "role"),
        Target("Task._aexecute_core", "role", optional=True),
        Target("Agent.execute_task", "role"),
        Target("Agent.aexecute_task", "role", optional=True),
        Target("Agent.kickoff", "role", optional=True),
        Target("Agent.kickoff_async", "role", optional=True),
    ),
    agent=_agent,
)
