"""LlamaIndex's agents and workflows of agents, 0.12 and later.

An agent that runs by itself runs in tasks that its `run` starts, with a copy of its context. In an `AgentWorkflow` each
step says which agent it is for, but for the run of a tool: there the workflow's state, in memory, says whose turn it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..call import Framework, Target, pick, text

_NAME = "current_agent_name"
_STATE = (("_memory_storage", "_record", "data", _NAME), ("_state", _NAME), ("_state", "_data", _NAME))
"""Where stores keep it, from the newest to the oldest."""


def _agent(instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], target: str) -> str | None:
    if target.endswith(".run"):
        return text(instance, "name")
    if not target.endswith(".call_tool"):
        return text(kwargs.get("ev", args[-1] if args else None), _NAME)
    store = pick(kwargs.get("ctx", args[0] if args else None), "store")
    return next((name for path in _STATE if (name := text(store, *path))), None)


LLAMAINDEX = Framework(
    name="llamaindex",
    module="llama_index.core.agent.workflow",
    package="llama-index-core",
    targets=(
        Target("base_agent.BaseWorkflowAgent.run", "role"),
        Target("AgentWorkflow.run_agent_step", "role", ("ev",)),
        Target("AgentWorkflow.parse_agent_output", "role", ("ev",)),
        Target("AgentWorkflow.call_tool", "role", ("ctx",)),
    ),
    agent=_agent,
)
