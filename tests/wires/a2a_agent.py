"""An A2A agent: NAME PORT|FD|- BINDING [URL of the next]. It asks an LLM, then the next agent, both ways.

It serves on a listening socket (FD), by gRPC on PORT; `-` serves nothing: it is the one that begins.
"""

from __future__ import annotations

import asyncio
import socket
import sys

import httpx
from a2a.client import ClientConfig, ClientFactory
from a2a.server.agent_execution import AgentExecutor
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.tasks import InMemoryTaskStore
from a2a.types import a2a_pb2 as types
from openai import AsyncOpenAI

from hexr import hexr_agent, hexr_role

name, place, binding, following = sys.argv[1:5]


def card(url: str) -> types.AgentCard:
    """What is known of an agent."""
    return types.AgentCard(
        name=name,
        version="1",
        description="d",
        capabilities=types.AgentCapabilities(streaming=True),
        supported_interfaces=[types.AgentInterface(url=url, protocol_binding=binding, protocol_version="1.0")],
        default_input_modes=["text"],
        default_output_modes=["text"],
    )


def config(streaming: bool) -> ClientConfig:
    """How a client asks."""
    if binding != "GRPC":
        patient = httpx.AsyncClient(timeout=60)  # the other side may still be starting
        return ClientConfig(streaming=streaming, supported_protocol_bindings=[binding], httpx_client=patient)
    import grpc

    factory = grpc.aio.insecure_channel
    return ClientConfig(streaming=streaming, supported_protocol_bindings=[binding], grpc_channel_factory=factory)


async def ask(url: str) -> list[str]:
    """The answers of an agent, whole and streamed."""
    texts = []
    for streaming in (False, True):
        client = ClientFactory(config(streaming)).create(card(url))
        message = types.Message(message_id="m", role=types.Role.ROLE_USER, parts=[types.Part(text="hi")])
        async for event in client.send_message(types.SendMessageRequest(message=message)):
            texts += [part.text for part in event.message.parts]
        await client.close()
    return texts


async def think() -> None:
    """Asks the LLM."""
    with hexr_role(f"{name}-role"):
        await AsyncOpenAI().chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": f"I am {name}"}]
        )


class Executor(AgentExecutor):
    """The agent itself."""

    async def execute(self, context, queue) -> None:
        """Thinks, and asks the next one."""
        await think()
        said = await ask(following) if following != "-" else []
        text = f"{name}({' '.join(said)})"
        await queue.enqueue_event(
            types.Message(message_id="a", role=types.Role.ROLE_AGENT, parts=[types.Part(text=text)])
        )

    async def cancel(self, context, queue) -> None:
        """Never."""


def serve_http(handler: DefaultRequestHandler) -> None:
    """JSON-RPC or REST."""
    import uvicorn
    from a2a.server.routes import create_jsonrpc_routes, create_rest_routes
    from starlette.applications import Starlette

    made = (
        create_jsonrpc_routes(handler, "/rpc")
        if binding == "JSONRPC"
        else create_rest_routes(handler, path_prefix="/rpc")
    )
    uvicorn.Server(uvicorn.Config(Starlette(routes=made), log_level="error")).run([socket.socket(fileno=int(place))])


async def serve_grpc(handler: DefaultRequestHandler) -> None:
    """gRPC; says when it is ready."""
    import grpc
    from a2a.server.request_handlers import GrpcHandler
    from a2a.types import a2a_pb2_grpc

    server = grpc.aio.server()
    a2a_pb2_grpc.add_A2AServiceServicer_to_server(GrpcHandler(handler), server)
    server.add_insecure_port(f"127.0.0.1:{place}")
    await server.start()
    print("ready", flush=True)
    await server.wait_for_termination()


@hexr_agent(name)
async def main() -> None:
    """The one that begins."""
    await think()
    print(*await ask(following))


if place == "-":
    asyncio.run(main())
else:
    handler = DefaultRequestHandler(
        agent_executor=Executor(), task_store=InMemoryTaskStore(), agent_card=card("http://me")
    )
    if binding == "GRPC":
        asyncio.run(serve_grpc(handler))
    else:
        serve_http(handler)
