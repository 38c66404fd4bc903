"""smolagents: a manager with managed agents, streamed and whole, with each agent's name (or class) as the role."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hexr_instrument.demo.providers import ProviderServer
from hexr_instrument.demo.wire import Reply

PROGRAM = """
from concurrent.futures import ThreadPoolExecutor
from smolagents import OpenAIModel, Tool, ToolCallingAgent
from hexr import hexr_agent, hexr_role


def model(name):
    return OpenAIModel(model_id=name)


def agent(name, model_name, **more):
    return ToolCallingAgent(tools=[], model=model(model_name), name=name, description=f"The {name}.", max_steps=2, verbosity_level=0, **more)


searcher = agent("searcher", "gpt-4.1")
manager = agent("manager", "gpt-4o", managed_agents=[searcher])
print(manager.run("Who pays?"))
kinds = [type(step).__name__ for step in searcher.run("Who pays, in a stream?", stream=True)]
print(kinds)
streaming = ToolCallingAgent(tools=[], model=model("gpt-4o-mini"), stream_outputs=True, max_steps=1, verbosity_level=0)
print([type(step).__name__ for step in streaming.run("In pieces", stream=True)][-1])
with ThreadPoolExecutor(4) as pool:
    print(list(pool.map(lambda n: agent(f"worker_{n % 2}", "gpt-4.1-mini", planning_interval=1).run(f"Task {n}"), range(8))))


@hexr_agent(name="crew", tenant="acme")
def said():
    with hexr_role("chief"):
        agent("mute", "o3").run("As the chief")


said()
"""


def test_each_agent_is_the_role_of_its_calls(spent: Callable[..., Any], providers: ProviderServer) -> None:
    """A manager and its managed agent, steps in a stream, answers in a stream, planning, threads, the last answer."""

    def script() -> None:
        asked = Reply(tool_calls=[("searcher", {"task": "Who pays?", "additional_args": {}})])
        # The searcher calls no tool in either of its two steps, so it is asked for a last answer.
        providers.script(asked, *[Reply(text="I wonder.")] * 2)

    assert spent(PROGRAM, script) == {
        ("manager", "gpt-4o"): 2,
        ("searcher", "gpt-4.1"): 3 + 1,
        ("ToolCallingAgent", "gpt-4o-mini"): 1,
        ("worker_0", "gpt-4.1-mini"): 4 * 2,
        ("worker_1", "gpt-4.1-mini"): 4 * 2,
        ("chief", "o3"): 1,
    }
