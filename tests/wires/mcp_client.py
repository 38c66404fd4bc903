"""An agent that uses a tool of an MCP server: `stdio`, or the server's URL. SDK 1.x and 2.x alike."""

from __future__ import annotations

import asyncio
import os
import sys

import mcp
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from hexr import hexr_agent, hexr_tenant


async def use(session: mcp.ClientSession) -> None:
    """Two runs of the tool, one after the other of two agents."""
    for name, tenant in (("planner", "acme"), ("critic", "other")):
        with hexr_agent(name, tenant=tenant):
            print((await session.call_tool("think", {"about": name})).content[0].text)


async def main() -> None:
    """Connects, and uses the tool."""
    if sys.argv[1] == "stdio":
        environ = {**os.environ, "HEXR_AGENT_NAME": "tool"}
        server = StdioServerParameters(command=sys.executable, args=["mcp_server.py", "stdio"], env=environ)
        transport = stdio_client(server)
    else:
        transport = streamable_http_client(sys.argv[1])
    if hasattr(mcp, "Client"):
        async with mcp.Client(transport) as client:
            await use(client)
        return
    async with transport as streams, mcp.ClientSession(*streams[:2]) as session:
        await session.initialize()
        await use(session)


if len(sys.argv) > 2:  # the tenant that the whole program is for, a server that it starts included
    main = hexr_tenant(sys.argv[2])(main)
asyncio.run(main())
