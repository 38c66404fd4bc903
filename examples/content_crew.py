"""A content crew of three roles on three providers: who spends what? Run it with `hexr-instrument python`."""

import asyncio

import openai
from anthropic import Anthropic
from google import genai
from google.genai import types
from openai import AsyncOpenAI, OpenAI

from hexr import hexr_agent, hexr_llm, hexr_role

TOPIC = "how small teams keep the cost of AI agents under control"
QUESTIONS = ["Who pays for it?", "What does it replace?", "What goes wrong first?"]

# One OpenAI client for two roles: each handle carries its own.
gpt = OpenAI()
researcher = hexr_llm(gpt, role="researcher")
writer = hexr_llm(gpt, role="writer")
claude = hexr_llm(Anthropic(), role="researcher")
gemini = hexr_llm(genai.Client(), role="editor")


def chat(client: OpenAI, model: str, prompt: str) -> str:
    answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": prompt}])
    return answer.choices[0].message.content or ""


def research() -> str:
    """Facts from two models, sync."""
    facts = chat(researcher, "gpt-4o", f"List five facts about {TOPIC}.")
    message = claude.messages.create(
        model="claude-haiku-4-5",
        max_tokens=1000,
        messages=[{"role": "user", "content": f"Which of these facts about {TOPIC} are in doubt? {facts}"}],
    )
    return facts + "".join(block.text for block in message.content if block.type == "text")


@hexr_role("researcher")
async def ask_around() -> list[str]:
    """Three questions at once, async; the role comes from the decorator."""
    async with AsyncOpenAI() as client:
        asked = (client.responses.create(model="gpt-4o-mini", input=f"{TOPIC}: {each}") for each in QUESTIONS)
        return [answer.output_text for answer in await asyncio.gather(*asked)]


def write(facts: str, answers: list[str]) -> str:
    """A draft, streamed; the title comes from a smaller model."""
    title = chat(writer, "gpt-4o-mini", f"A title for a post about {TOPIC}.")
    prompt = f"Write a post titled {title} from these notes: {facts} {' '.join(answers)}"
    stream = writer.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": prompt}], stream=True)
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)


def edit(draft: str) -> str:
    """A shorter version, streamed from Google, and a summary by a direct call."""
    config = types.GenerateContentConfig(system_instruction="You cut every text to half its length.")
    pieces = gemini.models.generate_content_stream(model="gemini-3.8-flash", contents=draft, config=config)  # pyright: ignore[reportUnknownMemberType]
    text = "".join(piece.text or "" for piece in pieces)
    summary = hexr_llm(provider="openai", model="gpt-4o", prompt=f"Summarize in one line: {text}", role="editor")
    return str(summary)


@hexr_agent(name="content-crew", tenant="acme-corp")
def main() -> None:
    facts = research()
    print("researcher:", facts[:60], "...")
    answers = asyncio.run(ask_around())
    print("researcher:", len(answers), "questions answered")
    draft = write(facts, answers)
    print("writer:", draft[:60], "...")
    try:
        chat(writer, "gpt-4o-does-not-exist", "A joke to end with.")
    except openai.NotFoundError as error:
        print("writer: no joke,", error.code)
    print("editor:", edit(draft)[:60], "...")


main()
