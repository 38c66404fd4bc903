"""Google's Agent Development Kit (`google-adk`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..call import Framework, Target, text


def _agent(instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], target: str) -> str | None:
    return text(instance, "name")


ADK = Framework(
    name="adk",
    module="google.adk.agents.base_agent",
    package="google-adk",
    targets=(Target("BaseAgent.run_async", "role"), Target("BaseAgent.run_live", "role")),
    agent=_agent,
)
