"""CrewAI: a crew of researcher, writer and editor, with each agent's role as the program wrote it."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any

from support import ROOT, Run

from hexr_instrument.demo.providers import ProviderServer
from hexr_instrument.demo.wire import Reply

QUIET = {
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_DISABLE_TRACKING": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "CREWAI_TESTING": "true",
}

PROGRAM = """
import asyncio
from concurrent.futures import ThreadPoolExecutor
from crewai import Agent, Crew, LLM, Process, Task
from hexr import hexr_agent, hexr_role


def agent(role, model, **more):
    return Agent(role=role, goal="g", backstory="b", llm=model, verbose=False, **more)


def task(agent, **more):
    return Task(description="About {topic}", expected_output="A text", agent=agent, **more)


def crew(*tasks, **more):
    return Crew(agents=[each.agent for each in tasks], tasks=list(tasks), verbose=False, **more)


TOPIC = {"topic": "cost"}
researcher = agent("Senior {topic} researcher", "openai/gpt-4o")
writer = agent("writer", "anthropic/claude-haiku-4-5")
streamed = agent("streamer", LLM(model="openai/gpt-4o-mini", stream=True))
timed = agent("timed", "openai/gpt-4.1", max_execution_time=60)

managed = Crew(agents=[agent("helper", "openai/gpt-5-mini")], tasks=[task(None)], process=Process.hierarchical, manager_llm="openai/gpt-5")
print(managed.kickoff(inputs=TOPIC).raw)
print(crew(task(researcher), task(writer)).kickoff(inputs=TOPIC).raw)
print(researcher.role)
print(len("".join(chunk.content for chunk in crew(task(streamed), stream=True).kickoff(inputs=TOPIC))))
print(crew(task(timed, async_execution=True), task(streamed)).kickoff(inputs=TOPIC).raw)
print(asyncio.run(crew(task(researcher), task(writer)).akickoff(inputs=TOPIC)).raw)
print(asyncio.run(crew(task(timed)).kickoff_async(inputs=TOPIC)).raw)


def one(n):
    role, model = ("left", "openai/gpt-4.1-mini") if n % 2 else ("right", "openai/gpt-4.1-nano")
    return crew(task(agent(role, model))).kickoff(inputs=TOPIC).raw


with ThreadPoolExecutor(4) as pool:
    print(list(pool.map(one, range(8))))
print(agent("alone", "openai/gpt-5-nano").kickoff("Hello").raw)
print(asyncio.run(agent("alone", "openai/gpt-5-nano").kickoff_async("Hello")).raw)


@hexr_agent(name="crew", tenant="acme")
def said():
    with hexr_role("chief"):
        crew(task(agent("mute", "openai/o3"))).kickoff(inputs=TOPIC)


said()
LLM(model="openai/gpt-4-turbo").call("By nobody")
"""


def test_each_agent_is_the_role_of_its_calls(spent: Callable[..., Any], providers: ProviderServer) -> None:
    """All ways to kick off a crew or an agent, a manager who delegates, threads, streams, crews at once; two providers."""

    def script() -> None:
        asked = {"task": "Help", "context": "None", "coworker": "helper"}
        providers.script(Reply(tool_calls=[("delegate_work_to_coworker", asked)]))

    assert spent(PROGRAM, script, **QUIET) == {
        ("Crew Manager", "gpt-5"): 2,
        ("helper", "gpt-5-mini"): 1,
        ("Senior {topic} researcher", "gpt-4o"): 2,
        ("writer", "claude-haiku-4-5"): 2,
        ("timed", "gpt-4.1"): 2,
        ("streamer", "gpt-4o-mini"): 2,
        ("left", "gpt-4.1-mini"): 4,
        ("right", "gpt-4.1-nano"): 4,
        ("alone", "gpt-5-nano"): 2,
        ("chief", "o3"): 1,
        (None, "gpt-4-turbo"): 1,
    }


def test_the_example_makes_the_tree_of_the_readme(run: Run) -> None:
    """The crew of the examples, which knows nothing of us: agent and tenant from the command, roles from CrewAI."""
    example = ROOT / "examples" / "crewai_crew.py"
    assert not re.search("import.*hexr|from hexr", example.read_text())
    done = run(
        command=[sys.executable, str(example)],
        options=("--agent", "content-crew", "--tenant", "acme-corp", "--report"),
        timeout=150,
        **QUIET,
    )
    assert done.returncode == 0, done.err
    shown = done.err[done.err.index("Agent: ") :]
    shown = re.sub(r":\s+\$[\d.]+", ": $#", shown)
    assert (
        shown
        == """\
Agent: content-crew (tenant: acme-corp)
├── researcher
│   ├── gpt-4o-2024-08-06: $# (1 call)
│   └── claude-haiku-4-5-20251001: $# (1 call)
├── writer
│   ├── gpt-4o-2024-08-06: $# (1 call)
│   └── gpt-4o-mini-2024-07-18: $# (1 call)
└── editor
    ├── gpt-4o-2024-08-06: $# (1 call)
    └── claude-haiku-4-5-20251001: $# (1 call)

Total: $# / 6 calls
"""
    )
