"""Tools that an SDK runs itself: a span each, under whatever is around it; no call, no cost, no content unless asked for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from installed import has
from support import Run

from hexr_instrument.demo.otlp import Span
from hexr_instrument.demo.providers import ProviderServer
from hexr_instrument.demo.receiver import OtlpReceiver

CLAUDE = """
import asyncio, anthropic, openai
from hexr import hexr_agent
turn = {"model": "claude-sonnet-5", "max_tokens": 900, "messages": [{"role": "user", "content": "weather?"}]}
HELPER = {"model": "gpt-4o", "messages": [{"role": "user", "content": "canary"}]}

def weather(city: str) -> str:
    "The canary of a city."
    openai.OpenAI().chat.completions.create(**HELPER)
    return "canary sun"

async def aweather(city: str) -> str:
    "The canary of a city."
    await openai.AsyncOpenAI().chat.completions.create(**HELPER)
    return "canary sun"

with hexr_agent("crew", tenant="acme"):
    if MODE == "sync":
        list(anthropic.Anthropic().beta.messages.tool_runner(**turn, tools=[anthropic.beta_tool(weather)]))
    else:
        async def main():
            tools = [anthropic.beta_async_tool(aweather)]
            return [each async for each in anthropic.AsyncAnthropic().beta.messages.tool_runner(**turn, tools=tools)]
        asyncio.run(main())
"""
GEMINI = """
import asyncio, openai
from google import genai
from google.genai import types
from hexr import hexr_agent
HELPER = {"model": "gpt-4o", "messages": [{"role": "user", "content": "canary"}]}

def weather(city: str) -> str:
    "The canary of a city."
    openai.OpenAI().chat.completions.create(**HELPER)
    return "canary sun"

async def aweather(city: str) -> str:
    "The canary of a city."
    await openai.AsyncOpenAI().chat.completions.create(**HELPER)
    return "canary sun"

tool = weather if MODE == "sync" else aweather
asked = {"model": "gemini-2.5-flash", "contents": "weather?", "config": types.GenerateContentConfig(tools=[tool])}
with hexr_agent("crew", tenant="acme"):
    if MODE == "sync":
        client = genai.Client()
        client.models.generate_content(**asked)
    else:
        client = genai.Client()
        asyncio.run(client.aio.models.generate_content(**asked))
"""
GPT = """
import asyncio, openai
from openai.lib import responses_tool_runner as runners
from hexr import hexr_agent
HELPER = {"model": "gpt-4o", "messages": [{"role": "user", "content": "canary"}]}
tool = {"type": "function", "name": "weather", "strict": False, "description": "The canary of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}

def weather(asked):
    openai.OpenAI().chat.completions.create(**HELPER)
    return "canary sun"

async def aweather(asked):
    await openai.AsyncOpenAI().chat.completions.create(**HELPER)
    return "canary sun"

with hexr_agent("crew", tenant="acme"):
    if MODE == "sync":
        runner = runners.ResponsesToolRunner(functions=[runners.RegisteredFunction(tool, weather)])
        runner.run(openai.OpenAI(), {"model": "gpt-5", "input": "weather?"}, max_steps=3)
    else:
        runner = runners.AsyncResponsesToolRunner(functions=[runners.AsyncRegisteredFunction(tool, aweather)])
        asyncio.run(runner.run(openai.AsyncOpenAI(), {"model": "gpt-5", "input": "weather?"}, max_steps=3))
"""
PROGRAMS = {
    "anthropic": (CLAUDE, "anthropic/lib/tools/_beta_runner.py", "BaseSyncToolRunner"),
    "google": (GEMINI, "google/genai/_base_url.py", "GOOGLE_GEMINI_BASE_URL"),
    "openai": (GPT, "openai/lib/responses_tool_runner.py", "_execute_function"),
}
SWITCH = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
THEIRS = """
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
trace.set_tracer_provider(TracerProvider())
trace.get_tracer_provider().add_span_processor(BatchSpanProcessor(OTLPSpanExporter("ENDPOINT/v1/traces")))
"""


def program(sdk: str, mode: str = "sync") -> str:
    """A program in which the SDK runs a tool that asks another model; skipped where the SDK runs none."""
    source, file, name = PROGRAMS[sdk]
    if not has(file, name):
        pytest.skip("not in this version of the SDK")
    return f"MODE = {mode!r}\n{source}"


def one(spans: list[Span], start: str) -> Span:
    """The one span of ours whose name starts so."""
    (found,) = (span for span in spans if span.name.startswith(start) and span.scope.name == "hexr_instrument")
    return found


@pytest.mark.parametrize("pipeline", ["ours", "the program's"])
@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("sdk", PROGRAMS)
def test_a_run_of_a_tool_is_a_span_under_the_agent(
    run: Run, receiver: OtlpReceiver, providers: ProviderServer, sdk: str, mode: str, pipeline: str
) -> None:
    """One INTERNAL span by the conventions, around the calls that the tool makes, without a cost or a word of content."""
    if pipeline == "ours":
        done = run(program(sdk, mode), **receiver.environment())
    else:
        done = run(THEIRS.replace("ENDPOINT", receiver.endpoint) + program(sdk, mode))
    assert done.returncode == 0, done.err
    calls = len(providers.requests)
    assert calls == 3, "two turns, and the tool's own"
    spans = [span for span in receiver.wait(calls + 2) if span.scope.name == "hexr_instrument"]
    tool, agent = one(spans, "execute_tool"), one(spans, "invoke_agent")
    assert len(spans) == calls + 2
    assert tool.name == f"execute_tool {'weather' if mode == 'sync' or sdk == 'openai' else 'aweather'}"
    assert (tool.kind, tool.status) == ("INTERNAL", "UNSET")
    # anthropic 2 has a span of its own for the whole run of a tool runner, which is around the tool then.
    around = {span.span_id: span.parent_id for span in receiver.spans if span.name == "anthropic.messages.tool_runner"}
    assert around.get(str(tool.parent_id), tool.parent_id) == agent.span_id
    assert one(spans, "chat gpt-4o").parent_id == tool.span_id
    assert tool.attributes["gen_ai.tool.type"] == "function"
    assert tool.attributes["hexr.agent.tenant"] == "acme"
    assert tool.attributes["gen_ai.agent.name"] == "crew"
    told = sdk != "google" and has("anthropic/lib/tools/_beta_runner.py", "def _run_tool")
    assert ("gen_ai.tool.call.id" in tool.attributes) == told, "the id of the call, where the SDK hands it on"
    assert agent.attributes["hexr.agent.llm_calls"] == calls
    assert "canary" not in repr(spans)
    others = [span for span in receiver.spans if span.scope.name != "hexr_instrument"]
    assert not [span for span in others if span.attributes.get("gen_ai.operation.name") == "execute_tool"], (
        "no second one"
    )


@pytest.mark.parametrize("sdk", PROGRAMS)
def test_arguments_and_result_are_content(run: Run, receiver: OtlpReceiver, sdk: str) -> None:
    """Asked for, a tool's arguments and its result are on its span, as JSON objects."""
    assert run(program(sdk), **receiver.environment(), **{SWITCH: "true"}).returncode == 0
    tool = one(receiver.wait(5), "execute_tool")
    assert json.loads(tool.attributes["gen_ai.tool.call.arguments"]) == {"city": "example"}
    result: Any = json.loads(tool.attributes["gen_ai.tool.call.result"])
    assert "canary sun" in str(result["value"])


@pytest.mark.parametrize("sdk", PROGRAMS)
def test_a_tool_that_fails_is_an_error(run: Run, receiver: OtlpReceiver, providers: ProviderServer, sdk: str) -> None:
    """What a tool raises is the error of its span, whatever the SDK makes of it; its words are not recorded."""
    failing = program(sdk).replace('return "canary sun"', 'raise ValueError("canary")')
    run(failing, **receiver.environment())
    tool = one(receiver.wait(len(providers.requests) + 2), "execute_tool")
    assert tool.status == "ERROR"
    assert tool.attributes["error.type"] in ("tool_error", "ValueError", "google.genai.errors.FunctionInvocationError")
    assert "canary" not in repr([span for span in receiver.spans if span.scope.name == "hexr_instrument"])


@pytest.mark.parametrize("sdk", PROGRAMS)
def test_without_an_endpoint_runs_of_tools_are_no_records(run: Run, sdk: str) -> None:
    """The local store has calls: a run of a tool leaves nothing there."""
    done = run(program(sdk))
    assert done.returncode == 0, done.err
    assert [record["kind"] for record in done.records if record["kind"] != "agent"] == ["call"] * 3


def test_the_sdk_s_own_spans_may_be_kept(run: Run, receiver: OtlpReceiver) -> None:
    """HEXR_NATIVE_SPANS=keep leaves the SDK's own span of a tool's run on."""
    if not has("anthropic/lib/tools/_beta_runner.py", "tool_use_span"):
        pytest.skip("not in this version of the SDK")
    assert run(program("anthropic"), **receiver.environment(), HEXR_NATIVE_SPANS="keep").returncode == 0
    assert [span.name for span in receiver.wait(6) if "tool_use" in span.name] == ["anthropic.custom_tool_use weather"]
