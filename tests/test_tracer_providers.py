"""The program's own tracer provider, the lazy global one, and who delivers what."""

from __future__ import annotations

import pytest
from installed import has
from support import Run

from hexr_instrument.demo.providers import ProviderServer
from hexr_instrument.demo.receiver import OtlpReceiver

THEIRS = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
memory = InMemorySpanExporter()
theirs = TracerProvider()
theirs.add_span_processor(SimpleSpanProcessor(memory))
"""
CALL = """
with trace.get_tracer("app").start_as_current_span("work"):
    OpenAI().chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
"""
SHOW = """
assert trace.get_tracer_provider() is theirs
work, chat = sorted(memory.get_finished_spans(), key=lambda span: span.name, reverse=True)
assert (work.name, chat.name) == ("work", "chat gpt-4o"), (work.name, chat.name)
assert chat.parent.span_id == work.context.span_id
print(chat.attributes["hexr.llm.cost_usd"], chat.attributes["hexr.llm.cost.status"])
"""
BEFORE = THEIRS + "trace.set_tracer_provider(theirs)\nfrom openai import OpenAI\n" + CALL + SHOW
AFTER = THEIRS + "from openai import OpenAI\ntrace.set_tracer_provider(theirs)\n" + CALL + SHOW
AFTER_A_TRACER_WAS_TAKEN = (
    THEIRS + "from openai import OpenAI\ntracer = trace.get_tracer('app')\ntrace.set_tracer_provider(theirs)\n"
    "trace.get_tracer = lambda name: tracer\n" + CALL + SHOW
)


@pytest.mark.parametrize("endpoint", [False, True], ids=["embedded", "endpoint"])
@pytest.mark.parametrize("source", [BEFORE, AFTER, AFTER_A_TRACER_WAS_TAKEN], ids=["before", "after", "tracer"])
def test_the_programs_own_provider_stays_global_and_gets_our_span_once(
    run: Run, receiver: OtlpReceiver, source: str, endpoint: bool
) -> None:
    """A provider that the program sets, before or after us, is the global one; its pipeline alone delivers our span."""
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint, "HEXR_KEEP": "1d"} if endpoint else {}
    done = run(source, **variables)
    assert done.returncode == 0, done.err
    assert done.err == ""
    assert done.out.split()[1] == "priced"
    assert receiver.spans == []


def test_api_only_spans_are_exported_as_parents_of_ours(run: Run, receiver: OtlpReceiver) -> None:
    """A program that only uses the OTel API has its spans exported, and our call is the child of its span."""
    source = "from opentelemetry import trace\nfrom openai import OpenAI\n" + CALL
    done = run(source, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint)
    assert done.returncode == 0, done.err
    spans = {span.name: span for span in receiver.wait(2)}
    assert spans["chat gpt-4o"].parent_id == spans["work"].span_id
    assert spans["chat gpt-4o"].trace_id == spans["work"].trace_id
    assert spans["work"].resource == spans["chat gpt-4o"].resource


def test_the_embedded_default_sets_no_provider(run: Run) -> None:
    """Without an endpoint nobody's provider is set, and the program's API-only spans stay no-ops."""
    done = run(
        "from opentelemetry import trace\nfrom openai import OpenAI\n"
        + CALL
        + "print(type(trace.get_tracer_provider()).__name__, trace.get_current_span().get_span_context().is_valid)"
    )
    assert done.out.split() == ["ProxyTracerProvider", "False"]
    assert len(done.calls) == 1


ANTHROPIC = """
from anthropic import Anthropic
Anthropic().messages.create(model="claude-opus-4-1", max_tokens=9, messages=[{"role": "user", "content": "hi"}])
"""


OWN_SPANS = has("anthropic/_base_client.py", "start_api_call_span")
needs_own_spans = pytest.mark.skipif(not OWN_SPANS, reason="not in this version of the SDK")


@pytest.mark.parametrize("native", [False, pytest.param(True, marks=needs_own_spans)], ids=["muted", "kept"])
def test_anthropics_own_span_is_muted_unless_asked_for(
    run: Run, receiver: OtlpReceiver, providers: ProviderServer, native: bool
) -> None:
    """One LLM span per request and no traceparent on the wire; HEXR_NATIVE_SPANS=keep leaves the SDK's span on."""
    variables = {"HEXR_NATIVE_SPANS": "keep"} if native else {}
    done = run(ANTHROPIC, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint, **variables)
    assert done.returncode == 0, done.err
    names = {span.name for span in receiver.wait(2 if native else 1)}
    assert names == {"chat claude-opus-4-1"} | ({"anthropic.messages.create"} if native else set())
    assert ("traceparent" in providers.requests[0].headers) is native


SAMPLED = """
from openai import OpenAI
client = OpenAI()
for _ in range(1000):
    client.embeddings.create(model="text-embedding-3-small", input="x")
"""


def test_costs_do_not_depend_on_sampling(run: Run, receiver: OtlpReceiver) -> None:
    """1,000 calls at a sampler of 1 %: all 1,000 are kept, about 10 are exported."""
    done = run(
        SAMPLED,
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint,
        OTEL_TRACES_SAMPLER="traceidratio",
        OTEL_TRACES_SAMPLER_ARG="0.01",
        HEXR_KEEP="1d",
        timeout=120,
    )
    assert done.returncode == 0, done.err
    from hexr_instrument.store import Store

    store = Store(done.store)
    store.ingest_all()
    assert sum(row.calls for row in store.costs(by=("model",))) == 1000
    assert len(receiver.spans) <= 40  # 10 are expected; 40 is 9 standard deviations away


def test_an_unsampled_parent_hides_no_call_from_the_bill(run: Run, receiver: OtlpReceiver) -> None:
    """Under a parent that is not sampled the call is kept, and not exported."""
    source = """
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext
from openai import OpenAI
parent = NonRecordingSpan(SpanContext(1, 2, is_remote=True))
with trace.use_span(parent):
    OpenAI().chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
"""
    done = run(source, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint, HEXR_KEEP="1d", HEXR_EXIT_TIMEOUT="0")
    assert done.returncode == 0, done.err
    (call,) = done.calls
    assert (call["sampled"], call["trace"], call["parent"]) == (False, f"{1:032x}", f"{2:016x}")
    assert receiver.spans == []


def test_an_exporter_that_calls_a_model_makes_no_loop(run: Run) -> None:
    """A call that is made while spans are exported is billed, and has no span that would have to be exported."""
    source = """
from openai import OpenAI
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter, SpanExportResult
client = OpenAI()
seen = []
class Judge(SpanExporter):
    def export(self, spans):
        seen.extend(span.name for span in spans)
        assert len(seen) < 10
        client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "rate this"}])
        return SpanExportResult.SUCCESS
provider = TracerProvider()
provider.add_span_processor(PROCESSOR(Judge()))
trace.set_tracer_provider(provider)
client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
provider.shutdown()
print(seen)
"""
    for processor in ("SimpleSpanProcessor", "BatchSpanProcessor"):
        done = run(source.replace("PROCESSOR", processor))
        assert (done.returncode, done.out) == (0, "['chat gpt-4o']\n"), done.err
    assert sorted(call["model"] for call in done.calls) == ["gpt-4o", "gpt-4o", "gpt-4o-mini", "gpt-4o-mini"]
