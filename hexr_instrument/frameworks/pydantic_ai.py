"""Pydantic AI: the run's own context, which the framework itself keeps current."""

from __future__ import annotations

from typing import Any

from ..call import Framework, pick, text


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
