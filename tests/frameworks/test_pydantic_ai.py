"""Pydantic AI: agents, their tools and the agents in these, with each agent's name as the role."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

PROGRAM = '''
import asyncio
from pydantic_ai import Agent
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.google import GoogleModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from hexr import hexr_agent, hexr_role
from openai import OpenAI

researcher = Agent(OpenAIChatModel("gpt-4o"), name="researcher")
checker = Agent(AnthropicModel("claude-haiku-4-5"), name="checker")
reader = Agent(GoogleModel("gemini-2.5-flash"), name="reader")
writer = Agent(OpenAIResponsesModel("gpt-4.1"))  # has the name of its variable
boss = Agent(OpenAIChatModel("gpt-4o-mini"), name="boss")


@boss.tool_plain
async def research(question: str) -> str:
    """Asks the researcher, itself, and an agent of ours."""
    found = await researcher.run(question)
    chat = OpenAI().chat.completions
    chat.create(model="gpt-4.1-nano", messages=[{"role": "user", "content": "In the tool"}])
    with hexr_agent("inner"):
        chat.create(model="gpt-5-nano", messages=[{"role": "user", "content": "As nobody"}])
        await checker.run("Check it")
    return found.output


async def stream(agent):
    async with agent.run_stream("In a stream") as result:
        return [text async for text in result.stream_text()][-1]


async def main():
    print((await writer.run("By its variable")).output)
    print((await boss.run("Who pays?")).output)
    print(await asyncio.gather(*(stream(agent) for agent in (researcher, checker, reader, writer))))
    runs = await asyncio.gather(*(agent.run(f"{n}") for n in range(5) for agent in (researcher, checker, reader, writer)))
    print([run.output for run in runs])
    async with boss.iter("Step by step") as run:
        print([type(node).__name__ async for node in run])
    with hexr_role("chief"):
        print((await researcher.run("As the chief")).output)


asyncio.run(main())
alone = Agent(OpenAIChatModel("gpt-4-turbo"), name="alone")
print(alone.run_sync("Hello").output)
'''


def test_each_agent_is_the_role_of_its_calls(spent: Callable[..., Any]) -> None:
    """run, run_sync, run_stream, iter, an agent in another's tool, twenty at once; four APIs of three providers."""
    assert spent(PROGRAM) == {
        ("boss", "gpt-4o-mini"): 2 * 2,
        ("boss", "gpt-4.1-nano"): 2,
        (None, "gpt-5-nano"): 2,
        ("researcher", "gpt-4o"): 2 + 1 + 5,
        ("checker", "claude-haiku-4-5"): 2 + 1 + 5,
        ("reader", "gemini-2.5-flash"): 1 + 5,
        ("writer", "gpt-4.1"): 1 + 1 + 5,
        ("chief", "gpt-4o"): 1,
        ("alone", "gpt-4-turbo"): 1,
    }
