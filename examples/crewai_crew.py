"""A CrewAI crew of researcher, writer and editor, two models each. It knows nothing of who pays:

hexr-instrument --agent content-crew --tenant acme-corp --report python examples/crewai_crew.py
"""

from crewai import Agent, Crew, Task

TOPIC = "how small teams keep the cost of AI agents under control"
GPT, MINI, CLAUDE = "openai/gpt-4o", "openai/gpt-4o-mini", "anthropic/claude-haiku-4-5"


def work(role: str, model: str, what: str, before: list[Task]) -> Task:
    agent = Agent(role=role, goal="Write about {topic}", backstory="You are brief and exact.", llm=model)
    return Task(description=what + " The topic is {topic}.", expected_output="Text", agent=agent, context=before)


facts = work("researcher", GPT, "List five facts.", [])
doubts = work("researcher", CLAUDE, "Which of these facts are in doubt?", [facts])
draft = work("writer", GPT, "Write a post from these notes.", [facts, doubts])
title = work("writer", MINI, "Find a title for this post.", [draft])
cut = work("editor", GPT, "Cut this post to half its length.", [draft])
final = work("editor", CLAUDE, "Correct this post.", [title, cut])

tasks = [facts, doubts, draft, title, cut, final]
crew = Crew(agents=[task.agent for task in tasks], tasks=tasks)
print(crew.kickoff(inputs={"topic": TOPIC}))
