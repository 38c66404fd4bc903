"""An agent that uses the tool of an MCP server in another process; the tool asks an LLM. SDK 1.x or 2.x."""

from __future__ import annotations

from typing import Any

import pytest
from cast import Cast
from support import wire

from hexr_instrument.demo.providers import ProviderServer

pytest.importorskip("mcp", reason="`make wires` has environments with it")

ALL = {"HEXR_PROPAGATE": "all", "HEXR_TRUST_INBOUND": "all"}


def use(cast: Cast, transport: str, server: dict[str, str], client: dict[str, str]) -> str:
    """Runs the client against a server of its own; what it says."""
    if transport == "stdio":
        return cast.run("mcp_client.py", "stdio", **client)
    port = cast.serve("mcp_server.py", "{fd}", agent="tool", **server)
    return cast.run("mcp_client.py", f"http://127.0.0.1:{port}/mcp", **client)


@pytest.mark.parametrize(
    ("transport", "server", "client", "tenants"),
    [
        ("stdio", {}, {}, ["acme", "other"]),
        ("http", ALL, ALL, ["acme", "other"]),
        ("http", {"HEXR_TRUST_INBOUND": "all"}, {}, [None, None]),
        ("http", {}, ALL, [None, None]),
        ("stdio", {}, {"HEXR_AGENT_TENANT": "own"}, ["own", "own"]),
    ],
    ids=["stdio", "http-trusted", "http-untold", "http-untrusted", "stdio-own-tenant"],
)
def test_a_tool_in_another_process(
    cast: Cast, transport: str, server: dict[str, str], client: dict[str, str], tenants: list[Any]
) -> None:
    """The tool's call is under the agent that uses it; its tenant is inherited from a parent process, or where both allow it."""
    assert use(cast, transport, server, client) == "thought about planner\nthought about critic\n"
    records = cast.end()
    agents = [record for record in records if record["kind"] == "agent"]
    calls = [record for record in records if record["kind"] == "call"]
    assert [agent["agent"] for agent in agents] == ["planner", "critic"]
    assert [(call["agent"], call.get("tenant")) for call in calls] == [("tool", tenant) for tenant in tenants]
    assert [(call["trace"], call["parent"]) for call in calls] == [(agent["trace"], agent["id"]) for agent in agents]


def test_a_request_says_more_than_the_start_of_a_process(cast: Cast) -> None:
    """A server that was started for one tenant serves requests for others, each for its own."""
    cast.run("mcp_client.py", "stdio", "house")
    calls = [record for record in cast.end() if record["kind"] == "call"]
    assert [(call["agent"], call["tenant"]) for call in calls] == [("tool", "acme"), ("tool", "other")]


@pytest.mark.parametrize("transport", ["stdio", "http"])
def test_nothing_changes_for_the_program(cast: Cast, bare: Cast, providers: ProviderServer, transport: str) -> None:
    """The tool's answers, and to the byte what the LLM is sent, are those of a run without us."""
    said = use(bare, transport, {}, {})
    bare.end()
    sent = wire(providers.requests)
    providers.clear()
    assert use(cast, transport, ALL, ALL) == said
    assert wire(providers.requests) == sent
