"""Google ADK: real agents against the loopback provider, and its own telemetry beside ours."""

from __future__ import annotations

import pytest
from bare import as_bare
from support import Run

from hexr_instrument.demo.providers import ProviderServer
from hexr_instrument.demo.receiver import OtlpReceiver

AGENTS = """
import asyncio
import warnings
from google.adk.agents import LlmAgent, ParallelAgent, SequentialAgent
from google.adk.agents.run_config import RunConfig, StreamingMode
from google.adk.runners import InMemoryRunner
from google.adk.tools.agent_tool import AgentTool
from google.genai import types
from hexr import hexr_role

def look_up(topic: str) -> str:
    "Looks a topic up."
    return f"found {topic}"

def agent(name, **options):
    instruction = "You are " + name + " {topic?}"
    return LlmAgent(name=name, model="gemini-2.5-flash", instruction=instruction, description=name, **options)

async def ask(root, streamed=False):
    runner = InMemoryRunner(agent=root, app_name="app")
    session = await runner.session_service.create_session(app_name="app", user_id="u")
    config = RunConfig(streaming_mode=StreamingMode.SSE if streamed else StreamingMode.NONE)
    message = types.Content(role="user", parts=[types.Part(text="go")])
    said = []
    async for event in runner.run_async(user_id="u", session_id=session.id, new_message=message, run_config=config):
        parts = event.content.parts if event.content else []
        said.append((event.author, event.partial, "".join(part.text or "" for part in parts)))
    return said
"""
PROGRAM = (
    AGENTS
    + """
async def main():
    print(await ask(agent("researcher", tools=[look_up])))
    print(await ask(agent("writer"), streamed=True))
    warnings.simplefilter('ignore')
    print(await ask(SequentialAgent(name="line", sub_agents=[agent("first"), agent("second")])))
    print(sorted(await ask(ParallelAgent(name="all", sub_agents=[agent(f"a{each}") for each in range(4)]))))
    print(await ask(agent("lead", tools=[AgentTool(agent=agent("helper"))])))
    with hexr_role("said"):
        print(await ask(agent("other")))

asyncio.run(main())
runner = InMemoryRunner(agent=agent("sync"), app_name="app")
session = runner.session_service.create_session_sync(app_name="app", user_id="u")
message = types.Content(role="user", parts=[types.Part(text="go")])
print([event.author for event in runner.run(user_id="u", session_id=session.id, new_message=message)])
"""
)
SMALL = (
    AGENTS
    + """
asyncio.run(ask(agent("researcher", tools=[look_up])))
asyncio.run(ask(agent("writer"), streamed=True))
"""
)


def test_roles_are_the_agents_names(run: Run, providers: ProviderServer) -> None:
    """With tools, streamed, in line, in parallel, as a tool, sync: each request is one record, its role the agent's name."""
    done = as_bare(run, providers, PROGRAM)
    roles = [call.get("role") for call in done.calls]
    assert len(roles) == len(providers.sent)
    assert roles[:5] == ["researcher", "researcher", "writer", "first", "second"]
    assert sorted(roles[5:9]) == ["a0", "a1", "a2", "a3"]
    assert roles[9:] == ["lead", "helper", "lead", "said", "sync"]


@pytest.mark.odd("ADK's own spans have attributes and a kind of its own")
def test_its_own_span_of_a_request_is_ours(run: Run, providers: ProviderServer, receiver: OtlpReceiver) -> None:
    """With an endpoint ADK makes spans of agents, tools and requests: each request has one span, with its cost and role."""
    done = run(SMALL, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint)
    assert done.returncode == 0, done.err
    requests = [each for each in receiver.spans if each.attributes.get("gen_ai.request.model")]
    assert [each.attributes["hexr.agent.role"] for each in requests] == ["researcher", "researcher", "writer"]
    assert len(requests) == len(providers.sent)
    assert all(each.attributes["hexr.llm.cost_usd"] > 0 for each in requests)
    agents = {each.span_id: each.name for each in receiver.spans}
    assert [agents[each.parent_id or ""] for each in requests] == [
        "invoke_agent researcher",
        "invoke_agent researcher",
        "invoke_agent writer",
    ]
