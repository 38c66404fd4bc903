"""A span that a framework or another instrumentation has made for the same request is the call's own."""

from __future__ import annotations

from typing import Any

import pytest
from support import Run

from hexr_instrument.demo.providers import ProviderServer
from hexr_instrument.demo.receiver import OtlpReceiver

pytestmark = pytest.mark.odd("another hand's spans have attributes and a kind of its own")

PROGRAM = """
from openai import OpenAI
from opentelemetry import trace
OWN
tracer = trace.get_tracer("peer")
client = OpenAI()

def ask(model, **more):
    return client.chat.completions.create(model=model, messages=[{"role": "user", "content": "hi"}], **more)

def span(name, operation="chat", tracer=tracer):
    return tracer.start_as_current_span(name, attributes={"gen_ai.operation.name": operation})

with tracer.start_as_current_span("work"):
    with span("whole"):
        ask("gpt-4o")
    with span("streamed"):
        chunks = ask("gpt-4.1", stream=True, stream_options={"include_usage": True})
        seen = [next(chunks) for _ in range(6)]
        while not seen[-1].usage:
            seen.append(next(chunks))
    assert list(chunks) == []
    with span("twice"):
        ask("gpt-4o-mini")
        ask("o3-mini")
    with span("agent", "invoke_agent"):
        ask("o3")
    with span("other"):
        client.embeddings.create(model="text-embedding-3-small", input="x")
    with span("private", tracer=PRIVATE.get_tracer("peer")):
        ask("gpt-4.1-nano")
"""
STATUS = "hexr.llm.cost.status"
SDK = "from opentelemetry.sdk.trace import TracerProvider\nPRIVATE = TracerProvider()\n"
THEIRS = """
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
theirs = TracerProvider()
theirs.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(theirs)
"""


@pytest.mark.parametrize("own", ["", THEIRS], ids=["endpoint", "their provider"])
def test_one_span_stands_for_one_request(run: Run, providers: ProviderServer, receiver: OtlpReceiver, own: str) -> None:
    """A span ended before its stream has our attributes; a second, another kind of or a private span's request its own."""
    done = run(PROGRAM.replace("OWN", SDK + own), OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint)
    assert (done.returncode, done.err) == (0, "")
    spans: dict[str, Any] = {span.name: span for span in receiver.spans}
    costs = {name: span.attributes["hexr.llm.cost_usd"] for name, span in spans.items() if span.attributes.get(STATUS)}
    parents = {"chat o3-mini": "twice", "chat o3": "agent", "embeddings text-embedding-3-small": "other"}
    assert set(costs) == {"whole", "streamed", "twice", "chat gpt-4.1-nano", *parents}
    assert len(costs) == len(providers.sent)
    assert all(costs.values())
    assert len(receiver.spans) == len(costs) + len(["work", "agent", "other"])
    for name, parent in parents.items():
        assert spans[name].parent_id == spans[parent].span_id
    for name in ("whole", "streamed", "twice", "agent", "other"):
        assert spans[name].parent_id == spans["work"].span_id
    assert spans["streamed"].attributes["gen_ai.usage.output_tokens"]
