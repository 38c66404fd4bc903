"""LangChain and LangGraph: nodes, agents and agents in nodes, with the agent's or the node's own name as the role."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

PROGRAM = '''
import asyncio
import operator
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, TypedDict
from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import create_react_agent
from hexr import hexr_agent, hexr_role


class State(TypedDict):
    said: Annotated[list, operator.add]


gpt, small = ChatOpenAI(model="gpt-4o", stream_usage=True), ChatOpenAI(model="gpt-4o-mini")
claude = ChatAnthropic(model="claude-haiku-4-5")
embed = OpenAIEmbeddings(model="text-embedding-3-small", check_embedding_ctx_length=False)


def researcher(state):
    embed.embed_query("Who pays?")
    return {"said": [gpt.invoke("Who pays?").content]}


async def aresearcher(state):
    return {"said": [(await gpt.ainvoke("Who pays?")).content]}


def writer(state):
    with ThreadPoolExecutor(2) as pool:  # which loses the framework's own context
        list(pool.map(gpt.invoke, ["For the", "writer"]))
    return {"said": ["".join(chunk.text for chunk in claude.stream("Write it"))]}


def editor(state):
    with hexr_role("chief"):
        small.invoke("As the chief")
    with hexr_agent("inner"):
        small.invoke("As nobody")
    return {"said": [small.invoke("Edit it").content]}


def graph(**nodes):
    made = StateGraph(State)
    for name, node in nodes.items():
        made.add_node(name, node)
    return made


crew = graph(researcher=researcher, writer=writer, editor=editor)
for start, end in zip([START, "researcher", "writer", "editor"], ["researcher", "writer", "editor", END]):
    crew.add_edge(start, end)
print(crew.compile(name="crew").invoke({"said": []})["said"])

parallel = graph(left=aresearcher, right=aresearcher)
parallel.add_edge(START, "left")
parallel.add_edge(START, "right")
parallel = parallel.compile()


by_itself = create_react_agent(ChatOpenAI(model="o3"), tools=[], name="by_itself")


async def concurrently():
    print([len(chunk) async for chunk in by_itself.astream({"messages": [("user", "Do it")]}, stream_mode="updates")])
    return [each["said"] for each in await asyncio.gather(*(parallel.ainvoke({"said": []}) for _ in range(5)))]


print(asyncio.run(concurrently()))

threads = graph(left=researcher, right=researcher)
threads.add_edge(START, "left")
threads.add_edge(START, "right")
print(threads.compile().invoke({"said": []})["said"])


@tool
def look_up(question: str) -> str:
    """Looks it up with another agent."""
    return create_agent(small, tools=[], name="helper").invoke({"messages": [("user", question)]})["messages"][-1].text


planner = create_agent(gpt, tools=[look_up], name="planner")
print(planner.invoke({"messages": [("user", "Plan it")]})["messages"][-1].text)
print([chunk[0].text for chunk in planner.stream({"messages": [("user", "Plan it, in a stream")]}, stream_mode="messages")][-1])

team = StateGraph(MessagesState)
team.add_node("team", create_agent(claude, tools=[]))
team.add_node("old_hand", create_react_agent(ChatOpenAI(model="gpt-4.1"), tools=[], name="old_hand"))
team.add_edge(START, "team")
team.add_edge("team", "old_hand")
print(team.compile(name="company").invoke({"messages": [("user", "Do it")]})["messages"][-1].text)
print(by_itself.invoke({"messages": [("user", "Do it")]})["messages"][-1].text)

print(ChatOpenAI(model="gpt-4-turbo").invoke("By nobody").text)
'''


def test_each_agent_or_node_is_the_role_of_its_calls(spent: Callable[..., Any]) -> None:
    """Sync and async nodes, in threads and in parallel; agents alone, in nodes and in tools; streams."""
    assert spent(PROGRAM, LANGSMITH_TRACING="false") == {
        ("researcher", "gpt-4o"): 1,
        ("researcher", "text-embedding-3-small"): 1,
        ("writer", "claude-haiku-4-5"): 1,
        ("writer", "gpt-4o"): 2,
        ("chief", "gpt-4o-mini"): 1,
        (None, "gpt-4o-mini"): 1,
        ("editor", "gpt-4o-mini"): 1,
        ("left", "gpt-4o"): 5 + 1,
        ("right", "gpt-4o"): 5 + 1,
        ("left", "text-embedding-3-small"): 1,
        ("right", "text-embedding-3-small"): 1,
        ("planner", "gpt-4o"): 2 + 2,
        ("helper", "gpt-4o-mini"): 2,
        ("team", "claude-haiku-4-5"): 1,
        ("old_hand", "gpt-4.1"): 1,
        ("by_itself", "o3"): 1 + 1,
        (None, "gpt-4-turbo"): 1,
    }
