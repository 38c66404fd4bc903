"""Agents behind plain HTTP, with OpenTelemetry's own instrumentations of clients and servers on."""

from __future__ import annotations

import pytest
from cast import Cast

from hexr_instrument.demo.providers import ProviderServer

pytest.importorskip("opentelemetry.instrumentation.fastapi", reason="`make wires` has an environment with it")


@pytest.mark.parametrize(
    ("server", "library", "provider", "trusted"),
    [
        ("fastapi", "httpx", "provider", True),
        ("fastapi", "async", "none", True),
        ("flask", "requests", "provider", True),
        ("flask", "requests", "none", False),
    ],
)
def test_an_agent_behind_http(
    cast: Cast, providers: ProviderServer, server: str, library: str, provider: str, trusted: bool
) -> None:
    """One trace; the tenant where both sides allow it; and no baggage of ours to the LLM provider, whoever instruments."""
    trust = {"HEXR_TRUST_INBOUND": "all"} if trusted else {}
    port = cast.serve("http_server.py", server, "{fd}", provider, agent="writer", **trust)
    url = f"http://127.0.0.1:{port}/"
    assert "hello" in cast.run("http_client.py", library, url, provider, HEXR_PROPAGATE="127.0.0.1")
    records = cast.end()
    (call,) = [record for record in records if record["kind"] == "call"]
    assert (call["agent"], call.get("tenant")) == ("writer", "acme" if trusted else None)
    if provider == "none":  # with a provider of the program's own its spans are the program's own, too
        (agent,) = [record for record in records if record["kind"] == "agent"]
        assert (call["trace"], call["parent"]) == (agent["trace"], agent["id"])
    assert len(providers.requests) == 2
    assert not [each for each in providers.requests if "baggage" in each.headers]
    said = {each.headers.get("traceparent", "")[3:35] for each in providers.requests}
    assert said <= {"", call["trace"]}  # trace context is the doing of the program's own instrumentation
