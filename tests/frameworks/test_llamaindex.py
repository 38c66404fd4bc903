"""LlamaIndex: real agents and workflows of agents against the loopback provider."""

from __future__ import annotations

from bare import as_bare
from support import Run

from hexr_instrument.demo.providers import ProviderServer
from hexr_instrument.demo.wire import Reply

PROGRAM = """
import asyncio, os
from hexr import hexr_role
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent, ReActAgent
from llama_index.llms.openai import OpenAI
from pydantic import BaseModel

class Fact(BaseModel):
    text: str

def look_up(topic: str) -> str:
    "Looks a topic up."
    return f"found {topic}; " + str(llm.complete("what is " + topic))[:9]

llm = OpenAI(model="gpt-4o", api_base=os.environ["OPENAI_BASE_URL"])
common = dict(llm=llm, description="An agent.")
alone = FunctionAgent(name="researcher", tools=[look_up], **common)
whole = FunctionAgent(name="writer", streaming=False, **common)
exact = FunctionAgent(name="exact", output_cls=Fact, **common)
react = ReActAgent(name="thinker", streaming=False, **common)

async def main():
    lead = FunctionAgent(name="lead", can_handoff_to=["second"], system_prompt="Delegate.", **common)
    second = FunctionAgent(name="second", tools=[look_up], system_prompt="Do.", output_cls=Fact, **common)
    print(await AgentWorkflow(agents=[lead, second], root_agent="lead").run("go"))
    print(await alone.run("whales"))
    print(await whole.run("a poem"))
    print((await exact.run("a fact")).structured_response)
    print(await react.run("a thought"))
    handler = whole.run("a song")
    print([type(event).__name__ async for event in handler.stream_events()])
    replies = await asyncio.gather(*(each.run("at once") for each in (whole, alone) * 3))
    print([str(each) for each in replies])
    with hexr_role("said"):
        print(await whole.run("a word"))

asyncio.run(main())
print(llm.complete("after"))
"""


def test_roles_are_the_agents_names(run: Run, providers: ProviderServer) -> None:
    """Alone, whole, streamed, in parallel, handed off, with structured output: one record each, the agent's name."""

    def script() -> None:
        asked = ("handoff", {"to_agent": "second", "reason": "r"}), ("look_up", {"topic": "x"})
        providers.script(*(Reply(tool_calls=[each]) for each in asked))

    done = as_bare(run, providers, PROGRAM, script)
    roles = [call.get("role") for call in done.calls]
    assert len(roles) == len(providers.sent)
    assert roles[:5] == ["lead"] + ["second"] * 4
    assert roles[5:13] == ["researcher"] * 3 + ["writer", "exact", "exact", "thinker", "writer"]
    assert sorted(roles[13:-2]) == ["researcher"] * 9 + ["writer"] * 3
    assert roles[-2:] == ["said", None]
