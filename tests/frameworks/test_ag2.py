"""AG2: real agents against the loopback provider."""

from __future__ import annotations

import pytest
from bare import as_bare
from support import Run

from hexr_instrument.demo.providers import ProviderServer
from hexr_instrument.demo.receiver import OtlpReceiver

PROGRAM = """
import asyncio, os
from ag2 import Agent
from ag2.config import OpenAIConfig
from hexr import hexr_role

def look_up(topic: str) -> str:
    "Looks a topic up."
    return f"found {topic}"

async def main():
    base = os.environ["OPENAI_BASE_URL"]
    plain = OpenAIConfig(model="gpt-4o", base_url=base)
    streamed = OpenAIConfig(model="gpt-4o-mini", base_url=base, streaming=True)
    researcher = Agent("researcher", "Find facts.", config=plain, tools=[look_up])
    writer = Agent("writer", "Write.", config=streamed)
    reply = await researcher.ask("whales")
    print(reply.body)
    print((await reply.ask("more")).body)
    print((await writer.ask("a poem")).body)
    async with writer.run("a song") as run:
        run.start()
        print((await run.result()).body)
    replies = await asyncio.gather(*(each.ask("at once") for each in (writer, researcher) * 3))
    print([each.body for each in replies])
    lead = Agent("lead", "Delegate.", config=plain, tools=[writer.as_tool(description="Writes a text.", name="write")])
    print((await lead.ask("go")).body)
    with hexr_role("said"):
        print((await writer.ask("a word")).body)

asyncio.run(main())
"""

TRACED = """
import asyncio, os
from ag2 import Agent
from ag2.config import OpenAIConfig
from ag2.middleware import TelemetryMiddleware

async def main():
    for streaming in (False, True):
        config = OpenAIConfig(model="gpt-4o", base_url=os.environ["OPENAI_BASE_URL"], streaming=streaming)
        middleware = [TelemetryMiddleware(agent_name="researcher", provider_name="openai", model_name="gpt-4o")]
        await Agent("researcher", "Find facts.", config=config, middleware=middleware).ask("whales")

asyncio.run(main())
"""


def test_roles_are_the_agents_names(run: Run, providers: ProviderServer) -> None:
    """Asked, asked on, streamed, in parallel, as a tool: each request is one record, its role the agent's name."""
    done = as_bare(run, providers, PROGRAM)
    roles = [call.get("role") for call in done.calls]
    assert len(roles) == len(providers.sent)
    assert roles[:5] == ["researcher", "researcher", "researcher", "writer", "writer"]
    assert sorted(roles[5:-4]) == ["researcher"] * 6 + ["writer"] * 3
    assert roles[-4:] == ["lead", "writer", "lead", "said"]


@pytest.mark.odd("AG2's own spans have attributes of its own")
def test_its_own_span_of_a_request_is_ours(run: Run, providers: ProviderServer, receiver: OtlpReceiver) -> None:
    """With AG2's telemetry in use each request has one span, whole or streamed, with its cost and role."""
    done = run(TRACED, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint)
    assert done.returncode == 0, done.err
    requests = [each for each in receiver.spans if each.attributes.get("gen_ai.operation.name") == "chat"]
    assert len(requests) == len(providers.sent) == 2
    assert [each.attributes["hexr.agent.role"] for each in requests] == ["researcher"] * 2
    assert all(each.attributes["hexr.llm.cost_usd"] > 0 for each in requests)
