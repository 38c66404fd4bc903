"""OpenAI Agents SDK: a turn is one agent's: its model calls, its tools, and what they call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..call import Framework, Target, text


def _agent(instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], target: str) -> str | None:
    """The agent as the program made it (a turn may run on a copy that was prepared for it)."""
    for each in (*args, *kwargs.values()):
        if name := text(each, "public_agent", "name"):
            return name
    agent = kwargs.get("agent") or next((each for each in args if type(each).__name__ == "Agent"), None)
    return text(agent, "name")


# The runner takes the function for itself; the streamed turn is called where it is defined.
AGENTS = Framework(
    name="openai-agents",
    module="agents.run",
    package="openai-agents",
    targets=(
        Target("run_single_turn", "role", optional=True),
        Target("AgentRunner._run_single_turn", "role", optional=True),
        Target("AgentRunner._run_single_turn_streamed", "role", optional=True),
    ),
    agent=_agent,
)
AGENTS_STREAMED = Framework(
    name="openai-agents streamed",
    module="agents.run_internal.run_loop",
    package="openai-agents",
    targets=(Target("run_single_turn_streamed", "role"),),
    agent=_agent,
)
