"""An agent that asks another one over A2A, with the a2a-sdk 0.3 that some frameworks pin."""

from __future__ import annotations

import pytest
from cast import Cast

pytest.importorskip("a2a.server.apps", reason="`make wires` has an environment with it")

TRUST = {"HEXR_TRUST_INBOUND": "all", "HEXR_PROPAGATE": "127.0.0.1"}


@pytest.mark.parametrize(("binding", "variables"), [("JSONRPC", TRUST), ("HTTP+JSON", TRUST), ("JSONRPC", {})])
def test_an_agent_asks_another(cast: Cast, binding: str, variables: dict[str, str]) -> None:
    """Whole and streamed: one trace, one agent under the other, and the tenant where both sides allow it."""
    port = cast.serve("a2a_03_agent.py", binding, "{fd}", agent="writer", **variables)
    assert cast.run("a2a_03_agent.py", binding, f"http://127.0.0.1:{port}", **variables) == "thought\nthought\n"
    planner, *served = [record for record in cast.end() if record["kind"] == "agent"]
    calls = [record for record in cast.end() if record["kind"] == "call"]
    assert [(run["agent"], run["parent"], run["trace"]) for run in served] == [
        ("writer", planner["id"], planner["trace"])
    ] * 2
    assert [(call["parent"], call["trace"]) for call in calls] == [(run["id"], planner["trace"]) for run in served]
    assert {(call["agent"], call.get("tenant")) for call in calls} == {("writer", "acme" if variables else None)}
