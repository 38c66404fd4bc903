"""Claude Agent SDK: Claude Code runs as a program of its own, calls the models itself and says what that has cost.

No request leaves this process. One record stands for the result of one turn, with the cost that the result states.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..call import Outcome, Provider, Request, Target, pick, text
from ..formats.agent_result import AGENT_RESULT, turn

_PLATFORMS = {"bedrock": "aws.bedrock", "vertex": "gcp.vertex_ai", "foundry": "azure.ai.inference"}


def _request(transport: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], target: str) -> Request | None:
    """A line to the program that holds a message of the user's, or a result that has cost something."""
    said = args[0] if args else kwargs.get("data")
    options = pick(transport, "_options")
    request = Request(
        format=AGENT_RESULT, provider="anthropic", model=text(options, "model"), operation=AGENT_RESULT.operation
    )
    if target.endswith(".write"):
        is_order = type(said) is str and '"user"' in said and text(json.loads(said), "type") == "user"
        return request if is_order else None
    spent = AGENT_RESULT.response({"now": said, "before": kwargs.get("state")})
    if spent.stated_cost is None and (spent.usage is None or not spent.usage.total):
        return None  # a command of the program's own, such as /cost
    request.provider = _PLATFORMS.get(text(said, "modelUsage", spent.model or "", "provider") or "", "anthropic")
    request.model = request.model or spent.model
    return request


def _outcome(result: Any) -> Outcome:
    return Outcome(payload=result)


def _itself(source: Any) -> Any:
    return source


def _role(transport: Any) -> str | None:
    """The agent that the conversation was started with; what its subagents spend is not told apart."""
    return text(transport, "_options", "extra_args", "agent")


CLAUDE_AGENT = Provider(
    name="claude agent",
    module="claude_agent_sdk._internal.transport.subprocess_cli",
    targets=(
        Target("SubprocessCLITransport.write", "order", ("data",)),
        Target("SubprocessCLITransport.read_messages", "statements"),
    ),
    request=_request,
    outcome=_outcome,
    owner=_itself,
    handle=_itself,
    clients=(),
    turn=turn,
    role=_role,
)
TABLES = (CLAUDE_AGENT,)
