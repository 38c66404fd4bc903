"""Agents that ask agents over A2A, each a process of its own, with the a2a-sdk of this environment (1.x)."""

from __future__ import annotations

from typing import Any

import pytest
from cast import Cast
from support import wire

from hexr_instrument.demo.providers import ProviderServer

pytest.importorskip("a2a.server.routes", reason="`make wires` has an environment with it")

TRUST = {"HEXR_TRUST_INBOUND": "all", "HEXR_PROPAGATE": "127.0.0.1"}


def chain(cast: Cast, binding: str, **variables: str) -> str:
    """Planner asks writer, who asks critic, each whole and streamed; what the planner says in the end."""

    def serve(name: str, following: str) -> str:
        if binding == "GRPC":
            port = cast.serve_port("a2a_agent.py", name, "{port}", binding, following, agent=name, **variables)
            return f"127.0.0.1:{port}"
        port = cast.serve("a2a_agent.py", name, "{fd}", binding, following, agent=name, **variables)
        return f"http://127.0.0.1:{port}/rpc"

    first = serve("writer", serve("critic", "-"))
    return cast.run("a2a_agent.py", "planner", "-", binding, first, HEXR_AGENT_TENANT="acme", **variables)


def named(records: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Records by their id."""
    return {record["id"]: record for record in records}


@pytest.mark.parametrize("binding", ["JSONRPC", "HTTP+JSON", "GRPC"])
def test_a_chain_of_three_agents(cast: Cast, bare: Cast, providers: ProviderServer, binding: str) -> None:
    """One trace, three agents under one another, one tenant, costs that add up; the LLM gets what it gets without us."""
    said = chain(bare, binding)
    bare.end()
    sent = sorted(map(repr, wire(providers.requests)))
    providers.clear()
    assert chain(cast, binding, **TRUST) == said == "writer(critic() critic()) writer(critic() critic())\n"
    records = cast.end()
    assert sorted(map(repr, wire(providers.requests))) == sent

    calls = [record for record in records if record["kind"] == "call"]
    assert [call["agent"] for call in calls] == ["planner", *["writer", "critic", "critic"] * 2]
    assert {call["tenant"] for call in calls} == {"acme"}
    assert all(call["role"] == f"{call['agent']}-role" for call in calls)
    assert len({record["trace"] for record in records}) == 1
    known = named(records)
    for record in records:
        above = known[record["parent"]]["agent"] if "parent" in record else None
        if record["kind"] == "call":
            assert above == record["agent"]
        else:
            assert above == {"planner": None, "writer": "planner", "critic": "writer"}[record["agent"]]
    runs = [record for record in records if record["kind"] == "agent"]
    assert len(runs) == 7
    assert {record["calls"] for record in runs} == {1}

    report = cast.costs()
    assert report["total"]["calls"] == 7
    assert {(row["agent"], row["tenant"]) for row in report["rows"]} == {
        (each, "acme") for each in ("planner", "writer", "critic")
    }


def test_a_stranger_bills_nobody(cast: Cast) -> None:
    """Where inbound trust is off the tenant is not inherited; the trace is one all the same."""
    chain(cast, "JSONRPC", HEXR_PROPAGATE="all")
    records = cast.end()
    calls = [record for record in records if record["kind"] == "call"]
    assert {(call["agent"], call.get("tenant")) for call in calls} == {
        ("planner", "acme"),
        ("writer", None),
        ("critic", None),
    }
    assert len({record["trace"] for record in records}) == 1


def test_nobody_is_told_by_default(cast: Cast) -> None:
    """Also where the other side would believe it: without HEXR_PROPAGATE only the trace goes on."""
    chain(cast, "JSONRPC", HEXR_TRUST_INBOUND="all")
    records = cast.end()
    assert {record.get("tenant") for record in records if record.get("agent") != "planner"} == {None}
    assert len({record["trace"] for record in records}) == 1
