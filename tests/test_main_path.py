"""The main path, end to end: a program under the launcher, its records, its spans."""

from __future__ import annotations

from support import Run

from hexr_instrument.demo.providers import ProviderServer
from hexr_instrument.demo.receiver import OtlpReceiver

CHAT = """
from openai import OpenAI
print(OpenAI().chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}]).usage.total_tokens)
"""


def test_a_call_is_recorded_without_any_change_of_the_program(run: Run, providers: ProviderServer) -> None:
    """A program that knows nothing of us leaves one priced record per billed request."""
    done = run(CHAT)
    assert done.returncode == 0, done.err
    assert len(providers.sent) == 1
    (call,) = done.calls
    usage = providers.sent[0].usage
    assert usage is not None
    assert call["usage"]["input"] == usage["prompt_tokens"]
    assert call["usage"]["output"] == usage["completion_tokens"]
    assert (call["model"], call["served"]) == ("gpt-4o", "gpt-4o-2024-08-06")
    # gpt-4o-2024-08-06: $2.50 and $10 per million tokens; amounts are 1e-12 USD
    assert call["cost"] == usage["prompt_tokens"] * 2_500_000 + usage["completion_tokens"] * 10_000_000
    assert call["cost_status"] == "priced"
    assert done.out.strip() == str(usage["total_tokens"])
    assert done.err == ""


def test_a_call_leaves_as_a_standard_span_where_an_endpoint_is_set(run: Run, receiver: OtlpReceiver) -> None:
    """With OTEL_EXPORTER_OTLP_ENDPOINT, the call arrives there as one CLIENT span, and leaves the disk."""
    done = run(CHAT, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint, OTEL_SERVICE_NAME="crew")
    assert done.returncode == 0, done.err
    (span,) = receiver.wait(1)
    assert span.name == "chat gpt-4o"
    assert span.kind == "CLIENT"
    assert span.attributes["gen_ai.operation.name"] == "chat"
    assert span.attributes["gen_ai.provider.name"] == span.attributes["gen_ai.system"] == "openai"
    assert span.attributes["gen_ai.response.model"] == "gpt-4o-2024-08-06"
    assert span.attributes["hexr.agent.name"] == "crew"
    assert isinstance(span.attributes["hexr.llm.cost_usd"], float)
    assert span.resource["service.name"] == "crew"
    assert not done.records
