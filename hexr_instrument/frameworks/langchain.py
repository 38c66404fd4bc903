"""LangChain and LangGraph: the configuration of the running step, which the framework itself keeps in the context.

Where that names nobody (the nodes inside of an agent that is used by itself), the running graph's own name counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..call import Framework, Target, pick, text

_OWN = frozenset({"agent", "model", "tools", "call_model", "__start__"})
"""What the frameworks call the nodes inside of their own agents: no agent's names."""


def _running(current: Any) -> tuple[str | None, object] | None:
    """The agent's name; without one, the innermost node of a graph that a program has named."""
    metadata = pick(current.get(), "metadata")
    path = text(metadata, "langgraph_checkpoint_ns") or text(metadata, "langgraph_node")
    if path is None:
        return None
    # "team:0f3c...|researcher:77ab...": node and task of each graph, the innermost last; a number is a repetition.
    nodes = [each.partition(":")[0] for each in path.split("|")]
    named = [each for each in nodes if each not in _OWN and not each.isdigit()]
    return text(metadata, "lc_agent_name") or (named[-1] if named else None), path


LANGCHAIN = Framework(
    name="langchain",
    module="langchain_core.runnables.config",
    package="langchain-core",
    source="var_child_runnable_config",
    running=_running,
)


def _graph(instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], target: str) -> str | None:
    """The name that the program gave to a graph or agent."""
    name = text(instance, "name")
    return None if name == "LangGraph" else name


LANGGRAPH = Framework(
    name="langgraph",
    module="langgraph.pregel",
    package="langgraph",
    targets=(Target("Pregel.stream", "role"), Target("Pregel.astream", "role")),
    agent=_graph,
)
