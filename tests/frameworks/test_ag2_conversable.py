"""AG2 before 1.0: real agents that converse, against the loopback provider."""

from __future__ import annotations

from bare import as_bare
from support import Run

from hexr_instrument.demo.providers import ProviderServer

PROGRAM = """
import asyncio, contextlib, io, os
from autogen import ConversableAgent, GroupChat, GroupChatManager
from hexr import hexr_role

MODEL = {"cache_seed": None, "config_list": [{"model": "gpt-4o", "api_key": "k", "base_url": os.environ["OPENAI_BASE_URL"]}]}

def agent(name, **options):
    return ConversableAgent(name, llm_config=MODEL, human_input_mode="NEVER", system_message=name, **options)

def talk(first, second, **options):
    with contextlib.redirect_stdout(io.StringIO()):
        return first.initiate_chat(second, message="go", max_turns=1, **options).chat_history[-1]["content"]

async def main():
    lead, other = agent("lead"), agent("other")
    with contextlib.redirect_stdout(io.StringIO()):
        chat = await lead.a_initiate_chat(other, message="go", max_turns=1)
    print(chat.chat_history[-1]["content"])

user = ConversableAgent("user", llm_config=False, human_input_mode="NEVER")
print(talk(user, agent("researcher")))
print(talk(user, agent("writer"), summary_method="reflection_with_llm"))
asyncio.run(main())
group = GroupChat([user, agent("first"), agent("second")], [], max_round=3, speaker_selection_method="round_robin")
print(talk(user, GroupChatManager(group, llm_config=MODEL)))
with hexr_role("said"):
    print(talk(user, agent("quiet")))
"""


def test_roles_are_the_agents_names(run: Run, providers: ProviderServer) -> None:
    """In a talk, its summary (of who asks for it), async, in a group: one record each, its role the agent's name."""
    done = as_bare(run, providers, PROGRAM)
    roles = [call.get("role") for call in done.calls]
    assert len(roles) == len(providers.sent)
    assert roles == ["researcher", "writer", "user", "other", "first", "second", "said"]
