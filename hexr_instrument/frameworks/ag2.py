"""AG2's agents.

In 1.x a turn of an agent is driven in a task of its own, with a copy of the context that starts it; before (`autogen`) an
agent generates a reply.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..call import Framework, Target, text


def _agent(instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], target: str) -> str | None:
    name = text(instance, "name") or text(instance, "_AgentRun__agent", "name")
    # Each subtask is an agent of its own with a random name.
    return None if name is None else re.sub("^(subtask)-[0-9a-f]{8}$", r"\1", name)


AG2 = Framework(
    name="ag2",
    module="ag2.agent",
    package="ag2",
    targets=(
        Target("Agent._execute", "role"),
        Target("AgentRun._AgentRun__ensure_task", "role"),
    ),
    agent=_agent,
)

CONVERSABLE = Framework(
    name="ag2 0.x",
    module="autogen.agentchat.conversable_agent",
    package="ag2",
    targets=(
        Target("ConversableAgent.generate_reply", "role"),
        Target("ConversableAgent.a_generate_reply", "role"),
        Target("ConversableAgent._generate_oai_reply_from_client", "role", optional=True),  # for a summary
    ),
    agent=_agent,
)
