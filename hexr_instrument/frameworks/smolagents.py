"""smolagents: all steps of an agent's run come from one generator, whether it is streamed or not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..call import Framework, Target, text


def _agent(instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], target: str) -> str | None:
    """The agent's name, or its class's: only managed agents must have a name."""
    return text(instance, "name") or type(instance).__name__


SMOLAGENTS = Framework(
    name="smolagents",
    module="smolagents.agents",
    package="smolagents",
    targets=(
        Target("MultiStepAgent._run_stream", "role", optional=True),
        Target("MultiStepAgent._run", "role", optional=True),
    ),
    agent=_agent,
)
