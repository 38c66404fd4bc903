"""Who asks, from process to process: what leaves with a request, and what is believed of one that comes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from opentelemetry import baggage as baggage_api
from opentelemetry import context as otel
from opentelemetry import trace
from support import Run

from hexr_instrument import propagation, traceparent
from hexr_instrument.call import Caller
from hexr_instrument.config import Config
from hexr_instrument.context import Change, Entered, current
from hexr_instrument.demo.providers import ProviderServer
from hexr_instrument.propagation import Remote
from hexr_instrument.recorder import Recorder
from hexr_instrument.wires import CHILD

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    """A recorder that tells two hosts who asks."""
    return Recorder(Config.from_env({"HEXR_STORE": str(tmp_path), "HEXR_PROPAGATE": "writer.internal,*.agents.svc"}))


class Other(ThreadingHTTPServer):
    """A server that is no LLM provider: it keeps the headers of its requests, and redirects /to?URL."""

    def __init__(self) -> None:
        self.seen: list[dict[str, str]] = []
        super().__init__(("127.0.0.1", 0), _Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.server_address[1]


class _Handler(BaseHTTPRequestHandler):
    server: Other

    def do_GET(self) -> None:
        self.server.seen.append({name.lower(): value for name, value in self.headers.items()})
        path, _, to = self.path.partition("?")
        self.send_response(302 if path == "/to" else 200)
        if path == "/to":
            self.send_header("Location", unquote(to))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def other() -> Iterator[Other]:
    """Another server."""
    server = Other()
    yield server
    server.shutdown()
    server.server_close()


def baggage(headers: dict[str, str]) -> dict[str, str]:
    """The entries of a baggage header."""
    entries = [each.partition("=") for each in headers.get("baggage", "").split(",") if each]
    return {name.strip(): unquote(value) for name, _, value in entries}


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://writer.internal:8000/rpc", True),
        ("https://WRITER.internal", True),
        ("//a.agents.svc:50051", True),
        (CHILD, True),
        ("http://agents.svc", False),
        ("http://writer.internal.evil.com", False),
        ("http://writer.internal@evil.com", False),
        ("http://other", False),
        (None, False),
    ],
)
def test_trace_context_always_and_baggage_to_those_who_are_named(recorder: Recorder, url: str, told: bool) -> None:
    """Another agent gets the trace in any case, and agent, tenant and role where HEXR_PROPAGATE or kinship allows it."""
    with Entered(Change(agent="planner", tenant="acme & söhne", role="r,=;", remote=None, span=False)):
        assert propagation.carrier(recorder, url) == (
            {"baggage": propagation.identity(recorder)} if told else {}
        )  # no span is around
        carried = propagation.carrier(recorder, url)
        assert propagation.remote_tenant(carried) == ("acme & söhne" if told else None)
        assert ("r%2C%3D%3B" in carried.get("baggage", "")) is told
    with Entered(Change(remote=lambda around: Remote(recorder, (int(TRACE, 16), int(SPAN, 16), True), None, around))):
        assert propagation.carrier(recorder, url) == {"traceparent": f"00-{TRACE}-{SPAN}-01"}
    assert current() is None


@pytest.mark.parametrize(
    "url",
    ["https://api.openai.com/v1", "https://x.openai.azure.com", "//api.anthropic.com:443", "http://localhost:11434"],
)
def test_a_providers_host_is_never_told(tmp_path: Path, url: str) -> None:
    """A host that is known for its models gets neither trace context nor baggage, also with `all`."""
    recorder = Recorder(
        Config.from_env({"HEXR_STORE": str(tmp_path), "HEXR_PROPAGATE": "all", "HEXR_AGENT_TENANT": "acme"})
    )
    assert propagation.carrier(recorder, url) == {}
    assert "baggage" in propagation.carrier(recorder, "http://localhost:8000")
    with propagation.Apart():
        assert propagation.carrier(recorder, "http://localhost:8000") == {}


@pytest.mark.parametrize(
    ("header", "span"),
    [
        (f"00-{TRACE}-{SPAN}-01", (int(TRACE, 16), int(SPAN, 16), True)),
        (f" 00-{TRACE}-{SPAN}-00 ", (int(TRACE, 16), int(SPAN, 16), False)),
        (f"cc-{TRACE}-{SPAN}-03-more", (int(TRACE, 16), int(SPAN, 16), True)),
        (f"ff-{TRACE}-{SPAN}-01", None),
        (f"00-{'0' * 32}-{SPAN}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE.upper()}-{SPAN}-01", None),
        ("", None),
        (None, None),
        (b"00", None),
    ],
)
def test_a_traceparent_is_read_as_the_w3c_says(header: Any, span: Any) -> None:
    """A valid one gives trace, span and sampling; anything else is none."""
    assert traceparent.read(header) == span


@pytest.mark.parametrize(
    ("header", "tenant"),
    [
        ("hexr.agent.tenant=acme", "acme"),
        ("a=b, hexr.agent.tenant = ac%20me ;p=1,hexr.agent.tenant=second", "ac me"),
        ("hexr.agent.tenant=" + "x" * 300, "x" * 256),
        ("hexr.agent.tenant=", None),
        ("hexr.agent.tenants=acme", None),
        ("hexr.agent.tenant=acme," + "x" * 8192, None),
        (None, None),
        (7, None),
    ],
)
def test_a_tenant_is_read_from_baggage(header: Any, tenant: str | None) -> None:
    """The first entry of that name, unquoted, without properties, at most 256 characters; a header too long is none."""
    assert propagation.remote_tenant({"baggage": header}) == tenant


def test_the_tenant_of_the_environment_wins(tmp_path: Path) -> None:
    """Explicit, then HEXR_AGENT_TENANT, then the baggage of a request that is trusted."""
    token = otel.attach(baggage_api.set_baggage("hexr.agent.tenant", "asking"))
    for variables, tenant in (({}, "asking"), ({"HEXR_AGENT_TENANT": "mine"}, "mine")):
        config = Config.from_env({"HEXR_STORE": str(tmp_path), "HEXR_TRUST_INBOUND": "all", **variables})
        recorder = Recorder(config)
        assert recorder.caller(None, None).tenant == tenant
        assert recorder.caller(Caller(tenant="registered"), None).tenant == "registered"
    otel.detach(token)


def test_the_state_of_a_trace_goes_on(recorder: Recorder) -> None:
    """Where spans share the program's context, the span that asked is current, with its tracestate, and then no more."""
    recorder.own_provider = trace.get_tracer_provider()  # as where an endpoint is set
    with Entered(Change(remote=partial(Remote, recorder, (int(TRACE, 16), int(SPAN, 16), True), "v=1,w=2"))):
        here = trace.get_current_span().get_span_context()
        assert (here.trace_id, here.is_remote) == (int(TRACE, 16), True)
        carried = propagation.carrier(recorder, "http://other")
        assert carried == {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "v=1,w=2"}
    assert not trace.get_current_span().get_span_context().is_valid


def test_long_names_do_not_break_the_header(recorder: Recorder) -> None:
    """What does not fit in a baggage header is left out, the tenant last of all."""
    with Entered(Change(agent="😀" * 256, tenant="😀" * 256, role="😀" * 256, span=False)):
        entries = propagation.identity(recorder)
    assert len(entries) <= 8192
    assert list(baggage({"baggage": entries})) == ["hexr.agent.tenant", "hexr.agent.name"]


CLIENTS = """
import contextlib, os
import httpx2, requests
from openai import NotFoundError, OpenAI
from opentelemetry import baggage, context, propagate
from hexr import hexr_agent
import asyncio

there, elsewhere = os.environ["THERE"], os.environ["ELSEWHERE"]

async def again():
    async with httpx2.AsyncClient() as client:
        await client.get(there, headers={"baggage": "mine=1,hexr.agent.tenant=old"})

with hexr_agent("planner", tenant="acme"):
    llm = OpenAI()
    with contextlib.suppress(NotFoundError):  # the loopback provider lists no models
        llm.models.list()
    llm.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
    for _ in llm.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}], stream=True):
        pass
    httpx2.get(there)
    asyncio.run(again())
    requests.get(there, headers={"traceparent": "theirs"})
    requests.get(f"{there}/to?{elsewhere}")
    httpx2.get(f"{there}/to?{elsewhere}", follow_redirects=True)
    requests.get(elsewhere)
    for name in ("hexr.agent.tenant", "other"):
        context.attach(baggage.set_baggage(name, "value"))
    carrier = {}
    propagate.inject(carrier)
    print(carrier)
"""


def test_requests_of_any_kind_tell_only_whom_they_may(run: Run, providers: ProviderServer, other: Other) -> None:
    """HTTP to a named host carries trace and baggage, one hop at a time; to a provider or any other host nothing goes."""
    urls = {"THERE": f"http://localhost:{other.port}", "ELSEWHERE": f"http://127.0.0.1:{other.port}"}
    done = run(CLIENTS, HEXR_PROPAGATE="localhost", **urls)
    assert done.returncode == 0, done.err
    assert len(providers.requests) == 3
    for request in providers.requests:
        assert not {"traceparent", "tracestate", "baggage"} & set(request.headers)
    agent = next(record for record in done.records if record["kind"] == "agent")
    traceparent = f"00-{agent['trace']}-{agent['id']}-01"
    said = {"hexr.agent.tenant": "acme", "hexr.agent.name": "planner"}
    found = [(each.get("traceparent"), baggage(each)) for each in other.seen]
    assert found == [
        (traceparent, said),
        (traceparent, {"mine": "1"} | said),
        ("theirs", said),
        (traceparent, said),
        (None, {}),
        (traceparent, said),
        (None, {}),
        (None, {}),
    ]
    assert done.out == "{'baggage': 'other=value'}\n"  # what instrumentations of HTTP clients send to any host
    other.seen.clear()
    assert run(CLIENTS, **urls).returncode == 0
    assert [baggage(each) for each in other.seen if "baggage" in each] == [{"mine": "1", "hexr.agent.tenant": "old"}]
    assert [each["traceparent"] for each in other.seen if "traceparent" in each] == ["theirs"]


SERVER = """
import os
from openai import OpenAI
from opentelemetry import context, propagate
from hexr import hexr_agent, hexr_tenant

def call():
    OpenAI().chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])

# what OpenTelemetry's instrumentation of a server does with the headers of a request
context.attach(propagate.extract({"traceparent": os.environ["ASKED"], "baggage": "hexr.agent.tenant=acme,hexr.agent.name=a"}))
call()
with hexr_agent("writer"):
    call()
with hexr_tenant("own"):
    call()
"""


@pytest.mark.parametrize(
    ("variables", "tenants"),
    [
        ({}, [None, None, "own"]),
        ({"HEXR_TRUST_INBOUND": "all"}, ["acme", "acme", "own"]),
    ],
)
def test_a_request_that_an_instrumented_server_got(
    run: Run, providers: ProviderServer, variables: dict[str, str], tenants: list[str | None]
) -> None:
    """Its trace goes on here, its tenant is inherited only where inbound trust is on, and nothing of it goes on to the LLM."""
    done = run(SERVER, HEXR_AGENT_NAME="server", ASKED=f"00-{TRACE}-{SPAN}-01", **variables)
    assert done.returncode == 0, done.err
    assert [call.get("tenant") for call in done.calls] == tenants
    assert [call["agent"] for call in done.calls] == ["server", "writer", "server"]
    assert {call["trace"] for call in done.records} == {TRACE}
    assert [call["parent"] == SPAN for call in done.calls] == [True, False, True]
    for request in providers.requests:
        assert not {"traceparent", "baggage"} & set(request.headers)
