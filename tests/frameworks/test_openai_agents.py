"""OpenAI Agents SDK: handoffs, agents as tools, streams and parallel runs, with each agent's own name as the role."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

PROGRAM = '''
import asyncio
from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool
from openai import AsyncOpenAI, OpenAI
from hexr import hexr_agent, hexr_llm, hexr_role


@function_tool
def look_up(question: str) -> str:
    """Looks it up with a call of its own."""
    answer = OpenAI().chat.completions.create(model="gpt-4.1-nano", messages=[{"role": "user", "content": question}])
    return answer.choices[0].message.content


researcher = Agent(name="Researcher", model="gpt-4o", tools=[look_up])
triage = Agent(name="Triage", model="gpt-4o-mini", handoffs=[researcher])
writer = Agent(name="Writer", model=OpenAIChatCompletionsModel("gpt-4.1", AsyncOpenAI()))
editor = Agent(name="Editor", model="gpt-4.1-mini", tools=[writer.as_tool("write", "Writes a text.")])

async def stream(agent, text):
    result = Runner.run_streamed(agent, text)
    kinds = [event.type async for event in result.stream_events()]
    return result.last_agent.name, kinds, result.final_output


async def main():
    print(await stream(triage, "Who pays, in a stream?"))
    print(await stream(editor, "Edit, in a stream"))
    answers = await asyncio.gather(*(Runner.run(agent, f"{n}") for n in range(5) for agent in (writer, editor, researcher)))
    print([answer.final_output for answer in answers])
    result = await Runner.run(triage, "Who pays?")
    print(result.last_agent.name, result.final_output)
    await said()
    await Runner.run(Agent(name="Outer", model="gpt-5-mini", tools=[ask_crew]), "Ask the crew")


# What the program says itself wins.
@hexr_agent(name="crew", tenant="acme")
async def said():
    with hexr_role("chief"):
        await Runner.run(writer, "As the chief")
    await Runner.run(Agent(name="Mute", model=OpenAIChatCompletionsModel("o3", hexr_llm(AsyncOpenAI(), role="handle"))), "As a handle")


@function_tool
async def ask_crew() -> str:
    """An agent inside of the framework's agent."""
    with hexr_agent("inner"):
        await AsyncOpenAI().chat.completions.create(model="gpt-5-nano", messages=[{"role": "user", "content": "As nobody"}])
    return "done"


alone = Agent(name="Alone", model=OpenAIChatCompletionsModel("gpt-4-turbo", AsyncOpenAI()))
print(Runner.run_sync(alone, "Hello").final_output)
asyncio.run(main())
'''


def test_each_agent_is_the_role_of_its_calls(spent: Callable[..., Any]) -> None:
    """Handoff, tool, agent as a tool; run_sync, run, streams and fifteen runs at once; both APIs of OpenAI."""
    found = spent(PROGRAM, OPENAI_AGENTS_DISABLE_TRACING="1")
    assert found == {
        ("Triage", "gpt-4o-mini"): 2,
        ("Researcher", "gpt-4o"): 2 + 5 * 2,
        ("Researcher", "gpt-4.1-nano"): 5,
        ("Editor", "gpt-4.1-mini"): 6 * 2,
        ("Writer", "gpt-4.1"): 6 + 5,
        ("chief", "gpt-4.1"): 1,
        ("handle", "o3"): 1,
        ("Outer", "gpt-5-mini"): 2,
        (None, "gpt-5-nano"): 1,
        ("Alone", "gpt-4-turbo"): 1,
    }
