"""AutoGen's agents and teams, 0.4 to 0.7 (`autogen-agentchat`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..call import Framework, Target, text


def _agent(instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], target: str) -> str | None:
    return text(instance, "name")


def _member(instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], target: str) -> str | None:
    """A team's container holds its agent; a team's manager, which has a name of its own, asks the model who is next."""
    return text(instance, "_agent", "name") or text(instance, "_name")


_GROUP = "_group_chat"

AUTOGEN = Framework(
    name="autogen",
    module="autogen_agentchat.agents",
    package="autogen-agentchat",
    targets=(
        Target("BaseChatAgent.run", "role"),
        Target("BaseChatAgent.run_stream", "role"),
        Target("BaseChatAgent.on_messages_stream", "role"),
        Target("AssistantAgent.on_messages_stream", "role"),
        Target("CodeExecutorAgent.on_messages_stream", "role", optional=True),
        Target("SocietyOfMindAgent.on_messages_stream", "role", optional=True),
    ),
    agent=_agent,
)

TEAMS = Framework(
    name="autogen teams",
    module="autogen_agentchat.teams",
    package="autogen-agentchat",
    targets=(
        Target(f"{_GROUP}._chat_agent_container.ChatAgentContainer.handle_request", "role"),
        Target(f"{_GROUP}._selector_group_chat.SelectorGroupChatManager.select_speaker", "role", optional=True),
        *(
            Target(
                f"{_GROUP}._magentic_one._magentic_one_orchestrator.MagenticOneOrchestrator.{name}",
                "role",
                optional=True,
            )
            for name in ("handle_start", "handle_agent_response")
        ),
    ),
    agent=_member,
)
