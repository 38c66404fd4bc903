"""An A2A agent of the SDK 0.3: BINDING FD serves, BINDING URL asks, whole and streamed."""

from __future__ import annotations

import asyncio
import socket
import sys

import httpx
from a2a.client import ClientConfig, ClientFactory
from a2a.server.agent_execution import AgentExecutor
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.tasks import InMemoryTaskStore
from a2a.types import AgentCapabilities, AgentCard, Message, Part, Role, TextPart
from a2a.utils import new_agent_text_message
from openai import AsyncOpenAI

from hexr import hexr_agent

binding, place = sys.argv[1:3]


def card(url: str) -> AgentCard:
    """What is known of an agent."""
    return AgentCard(
        name="agent",
        version="1",
        description="d",
        url=url,
        preferred_transport=binding,
        capabilities=AgentCapabilities(streaming=True),
        skills=[],
        default_input_modes=["text"],
        default_output_modes=["text"],
    )


class Executor(AgentExecutor):
    """The agent itself."""

    async def execute(self, context, queue) -> None:
        """Asks the LLM."""
        await AsyncOpenAI().chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "hi"}])
        await queue.enqueue_event(new_agent_text_message("thought"))

    async def cancel(self, context, queue) -> None:
        """Never."""


@hexr_agent("planner", tenant="acme")
async def ask() -> None:
    """Asks the other agent."""
    async with httpx.AsyncClient(timeout=60) as http:
        for streaming in (False, True):
            config = ClientConfig(httpx_client=http, streaming=streaming, supported_transports=[binding])
            client = ClientFactory(config).create(card(place))
            message = Message(message_id="m", role=Role.user, parts=[Part(root=TextPart(text="hi"))])
            async for event in client.send_message(message):
                print(event.parts[0].root.text)


if place.isdigit():
    import uvicorn

    handler = DefaultRequestHandler(agent_executor=Executor(), task_store=InMemoryTaskStore())
    if binding == "JSONRPC":
        from a2a.server.apps import A2AStarletteApplication as Application
    else:
        from a2a.server.apps import A2ARESTFastAPIApplication as Application
    app = Application(agent_card=card("http://me/"), http_handler=handler).build()
    uvicorn.Server(uvicorn.Config(app, log_level="error")).run([socket.socket(fileno=int(place))])
else:
    asyncio.run(ask())
