"""An MCP server with one tool that asks an LLM: `stdio`, or a listening socket's descriptor. SDK 1.x and 2.x alike."""

from __future__ import annotations

import socket
import sys

import uvicorn
from openai import AsyncOpenAI

try:
    from mcp.server.mcpserver import MCPServer as Server
except ImportError:
    from mcp.server.fastmcp import FastMCP as Server

server = Server("tools")


@server.tool()
async def think(about: str) -> str:
    """Thinks."""
    await AsyncOpenAI().chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": about}])
    return f"thought about {about}"


if sys.argv[1] == "stdio":
    server.run("stdio")
else:
    app = uvicorn.Config(server.streamable_http_app(), log_level="error")
    uvicorn.Server(app).run([socket.socket(fileno=int(sys.argv[1]))])
