"""The main path, end to end: a program under the launcher, its records, its spans."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from installed import needs_responses
from support import ROOT, Run, clean_environment

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


@pytest.mark.skipif(
    (3, 12, 0) <= sys.version_info < (3, 12, 2),
    reason="these Pythons start no thread at exit, which the SDK's import needs: the call waits for the next process",
)
def test_spans_leave_by_grpc_too(run: Run) -> None:
    """OTEL_EXPORTER_OTLP_PROTOCOL=grpc delivers the same span through the gRPC exporter."""
    with OtlpReceiver(http=False, grpc=True) as receiver:
        done = run(
            CHAT,
            OTEL_EXPORTER_OTLP_ENDPOINT=receiver.grpc_endpoint,
            OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
            HEXR_EXIT_TIMEOUT="30",
        )
        assert (done.returncode, done.err) == (0, "")
        assert [span.name for span in receiver.wait(1)] == ["chat gpt-4o"]


# USD per million tokens: input, cached input, output; from the providers' price pages of 2026.
PRICES = {
    "gpt-4o-2024-08-06": ("2.5", "1.25", "10"),
    "gpt-4o-mini-2024-07-18": ("0.15", "0.075", "0.6"),
    "claude-haiku-4-5-20251001": ("1", "0.1", "5"),
    "gemini-3.8-flash": None,
}


@needs_responses
def test_the_tree_is_the_arithmetic_of_the_usage_that_was_sent(run: Run, providers: ProviderServer) -> None:
    """The content crew: each model's cost in `costs` is its price times the tokens that the server sent, exactly."""
    done = run(command=[sys.executable, str(ROOT / "examples" / "content_crew.py")], HEXR_STREAM_USAGE="127.0.0.1")
    assert done.returncode == 0, done.err
    expected: dict[str, Decimal] = {}
    for sent in providers.sent:
        if (prices := PRICES[sent.served]) is not None:
            assert sent.usage is not None
            expected[sent.served] = expected.get(sent.served, Decimal(0)) + cost_of(sent.usage, *prices)
    shown = subprocess.run(
        [sys.executable, "-m", "hexr_instrument", "costs", "--store", str(done.store), "--json"],
        capture_output=True,
        text=True,
        check=True,
        env=clean_environment(),
    )
    report = json.loads(shown.stdout)
    found: dict[str, Decimal] = {}
    for row in report["rows"]:
        if row["model"] in expected:
            found[row["model"]] = found.get(row["model"], Decimal(0)) + Decimal(row["cost_usd"])
    assert found == expected
    assert sum(Decimal(row["cost_usd"]) for row in report["rows"] if row["cost_usd"] is not None) == Decimal(
        report["total"]["cost_usd"]
    )
    assert report["total"]["calls"] == len(providers.requests)


def cost_of(usage: Mapping[str, Any], per_input: str, per_cached: str, per_output: str) -> Decimal:
    """USD of one usage object, as OpenAI (chat, responses) or Anthropic spell it."""
    if "prompt_tokens" in usage:
        cached = usage["prompt_tokens_details"]["cached_tokens"]
        fresh, out = usage["prompt_tokens"] - cached, usage["completion_tokens"]
    elif "cache_read_input_tokens" in usage:
        cached = usage["cache_read_input_tokens"]
        fresh, out = usage["input_tokens"], usage["output_tokens"]
        assert not usage["cache_creation_input_tokens"]
    else:
        cached = usage["input_tokens_details"]["cached_tokens"]
        fresh, out = usage["input_tokens"] - cached, usage["output_tokens"]
    return (fresh * Decimal(per_input) + cached * Decimal(per_cached) + out * Decimal(per_output)) / 1_000_000


@needs_responses
def test_the_demo_needs_no_key_and_ends_with_the_tree() -> None:
    """`hexr-instrument demo` runs the crew through the launcher and prints spans and tree, whatever the environment."""
    done = subprocess.run(
        [sys.executable, "-m", "hexr_instrument", "demo"],
        capture_output=True,
        text=True,
        check=False,
        env=clean_environment(NO_COLOR="1"),
    )
    assert done.returncode == 0, done.stderr
    assert "11 OpenTelemetry spans" in done.stdout
    assert "Agent: content-crew (tenant: acme-corp)" in done.stdout
    assert "Total: $" in done.stdout
    assert "No key was used" in done.stdout


def test_a_report_of_the_run_follows_the_program(run: Run) -> None:
    """--report prints this run's tree to stderr and leaves the program's own output alone."""
    first = run(CHAT)
    done = run(CHAT, options=("--report", "--agent", "crew", "--tenant", "acme", "--role", "writer"))
    assert done.out == first.out
    assert "Agent: crew (tenant: acme)" in done.err
    assert "writer" in done.err
    assert "/ 1 call" in done.err
