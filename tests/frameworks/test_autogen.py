"""AutoGen: real agents and teams against the loopback provider."""

from __future__ import annotations

import json

from bare import as_bare
from support import Run

from hexr_instrument.demo.providers import ProviderServer
from hexr_instrument.demo.wire import Reply

PROGRAM = """
import asyncio
from autogen_agentchat.agents import AssistantAgent, BaseChatAgent, SocietyOfMindAgent
from autogen_agentchat.base import Response
from autogen_agentchat.conditions import MaxMessageTermination
from autogen_agentchat.messages import TextMessage
from autogen_agentchat.teams import MagenticOneGroupChat, RoundRobinGroupChat, SelectorGroupChat
from autogen_core import CancellationToken
from autogen_core.models import UserMessage
from autogen_ext.models.openai import OpenAIChatCompletionClient
from hexr import hexr_role

model = OpenAIChatCompletionClient(model="gpt-4o")

async def look_up(topic: str) -> str:
    "Looks a topic up."
    return f"found {topic}"

class Own(BaseChatAgent):
    produced_message_types = (TextMessage,)

    async def on_messages(self, messages, cancellation_token):
        said = await model.create([UserMessage(content="own", source="user")])
        return Response(chat_message=TextMessage(content=said.content, source=self.name))

    async def on_reset(self, cancellation_token):
        pass

def agent(name, **options):
    return AssistantAgent(name, model, description=name, **options)

async def main():
    print((await agent("researcher", tools=[look_up], reflect_on_tool_use=True).run(task="whales")).messages[-1].content)
    async for message in agent("writer", model_client_stream=True).run_stream(task="a poem"):
        print(type(message).__name__)
    direct = await agent("direct").on_messages([TextMessage(content="hi", source="user")], CancellationToken())
    print(direct.chat_message.content)
    print((await Own("own", "its own").run(task="x")).messages[-1].content)
    results = await asyncio.gather(*(agent(f"a{each}").run(task="at once") for each in range(6)))
    print([each.messages[-1].content for each in results])
    with hexr_role("said"):
        await agent("other").run(task="x")

async def teams():
    members = [agent("first"), agent("second", model_client_stream=True), Own("third", "its own")]
    team = RoundRobinGroupChat(members, termination_condition=MaxMessageTermination(4))
    print([each.source for each in (await team.run(task="go")).messages])
    inner = RoundRobinGroupChat([agent("inner")], termination_condition=MaxMessageTermination(2))
    society = SocietyOfMindAgent("society", inner, model)
    selector = SelectorGroupChat([society, agent("other")], model, selector_func=None,
        termination_condition=MaxMessageTermination(2))
    async for message in selector.run_stream(task="go"):
        print(type(message).__name__)

async def both():
    magentic = MagenticOneGroupChat([agent("other")], model)
    print((await magentic.run(task="go")).messages[-1].content)
    await main()
    await teams()

asyncio.run(both())
"""


def test_roles_are_the_agents_names(run: Run, providers: ProviderServer) -> None:
    """Alone, streamed, in parallel, in teams, of the user's own class: one record each, its role the agent's name."""
    ledger = {
        name: {"answer": answer, "reason": "r"}
        for name, answer in {
            "is_request_satisfied": True,
            "is_in_loop": False,
            "is_progress_being_made": True,
            "next_speaker": "other",
            "instruction_or_question": "x",
        }.items()
    }

    def script() -> None:
        providers.script(Reply(text="facts"), Reply(text="plan"), Reply(text=json.dumps(ledger)))

    done = as_bare(run, providers, PROGRAM, script)
    roles = [call.get("role") for call in done.calls]
    assert len(roles) == len(providers.sent)
    assert roles[:9] == ["MagenticOneOrchestrator"] * 4 + ["researcher", "researcher", "writer", "direct", "own"]
    assert sorted(roles[9:15]) == ["a0", "a1", "a2", "a3", "a4", "a5"]
    assert roles[15:] == ["said", "first", "second", "third", *["SelectorGroupChatManager"] * 3, "inner", "society"]
