"""Every span that leaves follows the OpenTelemetry GenAI conventions, with the deviations that the docs name and no other.

The checker is in `semconv.py`; `conftest.py` runs it on every span and record that any test makes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from semconv import DEVIATIONS, METRICS, MODEL, OURS, WHOLES, attribute_faults, point_faults, violations
from support import Run
from test_wire import FORMATS, ROWS, holes, row

from hexr_instrument import names, telemetry
from hexr_instrument.call import Caller
from hexr_instrument.demo.otlp import Point, Scope, Span
from hexr_instrument.demo.providers import ProviderServer
from hexr_instrument.demo.receiver import OtlpReceiver
from hexr_instrument.recorder import price

# ---- The checker itself -------------------------------------------------------------------------------------------

GOOD = Span(
    name="chat gpt-4o",
    kind="CLIENT",
    trace_id="1" * 32,
    span_id="1" * 16,
    parent_id=None,
    start=1,
    end=2,
    attributes={
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.system": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.total_tokens": 15,
        "openai.api.type": "chat_completions",
        "server.address": "api.openai.com",
        "server.port": 443,
        "hexr.llm.cost_usd": 0.1,
        "hexr.llm.cost.source": "table",
        "hexr.llm.cost.status": "priced",
        "hexr.llm.duration_ms": 1.5,
        "hexr.label.team": "search",
    },
    status="UNSET",
    message="",
    events=(),
    links=(),
    flags=1,
    trace_state="",
    dropped_attributes=0,
    resource={},
    scope=Scope("hexr_instrument", "0", "", {}),
)
POINT = Point(
    name="gen_ai.client.operation.duration",
    description="",
    unit="s",
    kind="histogram",
    monotonic=False,
    temporality="CUMULATIVE",
    attributes={
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "server.address": "api.openai.com",
        "server.port": 443,
        "hexr.agent.tenant": "acme",
    },
    start=1,
    time=2,
    value=None,
    sum=1.0,
    count=1,
    min=1.0,
    max=1.0,
    bounds=tuple(METRICS["default"]["gen_ai.client.operation.duration"]["buckets"]),
    buckets=(),
    exemplars=(),
    resource={},
    scope=Scope("hexr_instrument", "0", "", {}),
)
BAD: list[tuple[dict[str, Any], str]] = [
    ({"gen_ai.usage.prompt_tokens": 3}, "gen_ai.usage.prompt_tokens is not defined at all"),
    ({"gen_ai.brand_new": 3}, "gen_ai.brand_new is not defined at all"),
    ({"gen_ai.agent.name": "x"}, "gen_ai.agent.name is not defined on this span"),
    ({"llm.tokens": 3}, "llm.tokens is not defined at all"),
    ({"hexr.llm.brand_new": 3}, "hexr.llm.brand_new is not defined at all"),
    ({"gen_ai.usage.input_tokens": 10.0}, "gen_ai.usage.input_tokens is 10.0, not a int"),
    ({"gen_ai.usage.input_tokens": -1}, "a negative count"),
    ({"gen_ai.request.seed": 2**63}, "gen_ai.request.seed is 9223372036854775808, not a int"),
    ({"gen_ai.request.temperature": float("nan")}, "gen_ai.request.temperature is nan, not a double"),
    ({"gen_ai.usage.input_tokens": True}, "gen_ai.usage.input_tokens is True, not a int"),
    ({"gen_ai.request.temperature": 1}, "gen_ai.request.temperature is 1, not a double"),
    ({"gen_ai.response.finish_reasons": "stop"}, "gen_ai.response.finish_reasons is 'stop', not a string[]"),
    ({"gen_ai.response.id": None}, "gen_ai.response.id is missing"),
    ({"gen_ai.request.model": None}, "gen_ai.request.model is missing"),
    ({"server.port": None}, "server.address without server.port"),
    ({"gen_ai.usage.total_tokens": 14}, "total_tokens is not the sum"),
    ({"gen_ai.usage.reasoning.output_tokens": 6}, "gen_ai.usage.reasoning.output_tokens is more than its whole"),
    ({"gen_ai.request.choice.count": 1}, "choice.count of 1"),
    ({"error.type": "openai.APIError"}, "status UNSET and error.type 'openai.APIError'"),
    ({"gen_ai.operation.name": "talk"}, "operation 'talk' is no operation of a span that we emit"),
    ({"status": "OK"}, "status OK"),
    ({"status": "ERROR"}, "status ERROR and error.type None"),
    ({"message": "key sk-1 is wrong"}, "status message 'key sk-1 is wrong'"),
    ({"kind": "SERVER"}, "kind SERVER"),
    ({"name": "chat"}, "name 'chat' is not 'chat gpt-4o'"),
]


def test_a_good_span_has_no_violation() -> None:
    """The checker lets the model of a good span pass."""
    assert violations(GOOD) == []


@pytest.mark.parametrize(("change", "violation"), BAD)
def test_the_checker_finds(change: dict[str, Any], violation: str) -> None:
    """Each way in which a span can go wrong is found."""
    fields = {name: value for name, value in change.items() if name in Span.__slots__}
    attributes = {**GOOD.attributes, **{name: value for name, value in change.items() if name not in fields}}
    attributes = {name: value for name, value in attributes.items() if value is not None}
    assert violation in violations(replace(GOOD, attributes=attributes, **fields))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({}, None),
        ({"name": "gen_ai.client.brand_new"}, "is no metric of the conventions"),
        ({"unit": "ms"}, "has the unit 'ms', not 's'"),
        ({"kind": "sum"}, "is a sum, not a histogram"),
        ({"bounds": (1.0, 2.0)}, "has other buckets"),
        ({"attributes": {"gen_ai.provider.name": "openai"}}, "gen_ai.operation.name is missing"),
        ({"attributes": {**POINT.attributes, "user": "x"}}, "user is not defined"),
        ({"attributes": {**POINT.attributes, "server.port": "443"}}, "server.port is '443'"),
        ({"name": "gen_ai.client.token.usage", "unit": "{token}"}, "gen_ai.token.type is missing"),
    ],
)
def test_the_checker_knows_metrics(change: dict[str, Any], fault: str | None) -> None:
    """A good metric point passes; each way in which one can go wrong is found."""
    found = point_faults(replace(POINT, **change))
    assert fault in found if fault else found == []


@pytest.mark.parametrize("version", sorted(names.METRICS))
def test_the_metrics_are_those_of_the_conventions(version: str) -> None:
    """Each metric that a version of the names has is one of that version, with its unit and its buckets."""
    for metric in names.METRICS[version].values():
        model = METRICS[version][metric.name]
        assert (metric.unit, list(metric.buckets)) == (model["unit"], model.get("buckets", []))


def test_the_conventions_and_the_deviations_do_not_overlap() -> None:
    """Each deviation is deprecated or unknown in the conventions: none is a current name."""
    assert not DEVIATIONS.keys() & MODEL["registry"].keys()
    assert {name for name in DEVIATIONS if name in MODEL["deprecated"]} == {"gen_ai.system"}
    assert MODEL["_notice"].count("Apache License, Version 2.0") == 1


# ---- What is recorded of every wire body --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ROWS)
def test_the_span_of_a_recorded_body_follows_the_conventions(name: str) -> None:
    """Whatever a provider sends, the attributes made of it are known ones of the right types."""
    recorded = row(name)
    call = recorded.call()
    asked = recorded.data["request"]
    google = "config" in asked
    call.request.parameters = recorded.wire.request(asked["config"] if google else asked)
    call.request.operation = recorded.data.get("operation", FORMATS[name.partition("/")[0]].operation)
    call.request.host, call.request.port = "127.0.0.1", 443
    if type(call.request.model) is not str:
        call.request.model = "unknown"
    call.caller = Caller("crew", "writer", "acme", (("team", "search"),))
    call.end = call.start + 1_500_000
    call.first_chunk = None if recorded.first is None else 1_000_000
    call.error = None if call.response is None else call.response.error
    price(call)
    record = telemetry.of_call(call)
    attributes = telemetry.attributes(record)
    status = "ERROR" if call.error else "UNSET"
    span = replace(GOOD, name=telemetry.span_name(record), attributes=attributes, status=status)
    missing = {f"gen_ai.response.{part} is missing" for part in ("id", "model", "finish_reasons")}
    missing |= {f"gen_ai.usage.{part} is missing" for part in ("input_tokens", "output_tokens")}
    odd = set(violations(span)) - missing  # a body may lack them; the calls below do not
    odd -= {f"{part} is more than its whole" for part in WHOLES}  # so may a body say
    assert not odd


@pytest.mark.parametrize("name", ROWS)
def test_a_request_of_odd_values_has_attributes_of_the_right_types(name: str) -> None:
    """Whatever a program puts into a request, what does not have the type that the conventions give it is left out."""
    recorded = row(name)
    asked = recorded.data["request"]
    for odd in (None, "n/a", "", 7, -3, 2.5, True, [None], ["a", 3], {"x": None}, float("nan"), float("inf"), 2**63):
        for holed in holes(asked, odd):
            if type(holed) is not dict:
                continue
            call = recorded.call()
            call.request.model = "any"
            call.request.operation = recorded.data.get("operation", recorded.wire.operation)
            call.request.parameters = recorded.wire.request(holed.get("config") if "config" in asked else holed)
            call.end = call.start + 1
            attributes = telemetry.attributes(telemetry.of_call(call))
            # The conventions have no name for a reranking; it says what an embedding does.
            like = "embeddings" if call.request.operation == "rerank" else call.request.operation
            (model,) = (each for each in MODEL["spans"].values() if like in each["operations"])
            known = {**model["attributes"], **MODEL["refinements"].get(call.request.provider, {})}
            assert not attribute_faults(attributes, known)


@pytest.mark.parametrize("name", [name for name in ROWS if "cut" in name and "chunks" in row(name).data])
def test_a_stream_that_broke_off_ends_with_error(name: str) -> None:
    """A reason that never arrived is `error`, whatever the wire; what has a reason keeps it."""
    recorded = row(name)
    call = recorded.call()
    call.end = call.start + 1
    assert call.partial
    said = list(call.response.finish_reasons) if call.response else []
    assert telemetry.of_call(call).get("finish") == (said or (["error"] if call.response else None))


# ---- What a collector receives ------------------------------------------------------------------------------------

CALLS = """
import asyncio, contextlib, warnings
warnings.simplefilter("ignore")
import anthropic, openai
from google import genai
from google.genai import types
from hexr import hexr_agent, hexr_labels, hexr_role

hi = [{"role": "user", "content": "Say hello."}]
o, a, g = openai.OpenAI(max_retries=0), anthropic.Anthropic(max_retries=0), genai.Client()
chat = {"model": "gpt-4o", "messages": hi}
message = {"model": "claude-sonnet-5", "max_tokens": 900, "messages": hi}
gemini = {"model": "gemini-2.5-flash", "contents": "Say hello."}

def forecast(city: str) -> str:
    "The weather."
    return "Sunny."

with hexr_agent("crew", tenant="acme"), hexr_role("writer"), hexr_labels(team="search"):
    o.chat.completions.create(**chat, temperature=1, top_p=0.5, seed=7, stop=["END"], n=2, max_completion_tokens=900,
                              presence_penalty=0, frequency_penalty=1, service_tier="flex",
                              response_format={"type": "json_object"})
    a.messages.create(**message, stop_sequences=["END"], extra_body={"temperature": 1, "top_p": 1, "top_k": 40},
                      system=[{"type": "text", "text": "word " * 200, "cache_control": {"type": "ephemeral"}}])
    with hexr_agent("inner"):
        g.models.generate_content(**gemini, config={"temperature": 0, "top_k": 3, "seed": 1, "candidate_count": 2,
                                                    "response_mime_type": "application/json"})
list(o.chat.completions.create(**chat, stream=True, stream_options={"include_usage": True}))
list(o.chat.completions.create(**chat, stream=True))
next(iter(o.chat.completions.create(**chat, stream=True))); __import__("gc").collect()
o.responses.create(model="gpt-5", input="Say hello.", reasoning={"effort": "high"}, max_output_tokens=900)
list(o.responses.create(model="gpt-5", input="Say hello.", stream=True, service_tier="auto"))
o.completions.create(model="gpt-3.5-turbo-instruct", prompt="Say hello.")
o.embeddings.create(model="text-embedding-3-small", input="hello", dimensions=16)
list(a.messages.create(**message, stream=True))
with a.messages.stream(**message) as stream:
    next(iter(stream))
list(g.models.generate_content_stream(**gemini))
g.models.embed_content(model="gemini-embedding-001", contents="hello", config={"output_dimensionality": 16})
g.chats.create(model="gemini-2.5-flash", config=types.GenerateContentConfig(tools=[forecast])).send_message("weather?")
for call in (lambda: o.chat.completions.create(model="error-401", messages=hi),
             lambda: o.responses.create(model="error-500", input="hi"),
             lambda: o.embeddings.create(model="error-429", input="hi"),
             lambda: a.messages.create(**{**message, "model": "error-529"}),
             lambda: g.models.generate_content(model="error-400", contents="hi")):
    with contextlib.suppress(Exception):
        call()
with contextlib.suppress(ZeroDivisionError), hexr_agent("failing"):
    1 / 0
async def main():
    await openai.AsyncOpenAI().chat.completions.create(**chat)
    [chunk async for chunk in await anthropic.AsyncAnthropic().messages.create(**message, stream=True)]
asyncio.run(main())
"""
OWN_PROVIDER = """
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
trace.set_tracer_provider(TracerProvider())
trace.get_tracer_provider().add_span_processor(BatchSpanProcessor(OTLPSpanExporter("ENDPOINT/v1/traces")))
"""


@pytest.mark.parametrize("pipeline", ["ours", "the program's"])
def test_every_span_that_arrives_follows_the_conventions(
    run: Run, providers: ProviderServer, receiver: OtlpReceiver, pipeline: str
) -> None:
    """A program over three providers: each span at the collector, by either pipeline, is one the conventions define."""
    if pipeline == "ours":
        patient = {"HEXR_EXIT_TIMEOUT": "30"}  # a busy machine is not what is tested here
        done = run(CALLS, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint, OTEL_SERVICE_NAME="svc", **patient)
    else:
        done = run(OWN_PROVIDER.replace("ENDPOINT", receiver.endpoint) + CALLS, OTEL_SERVICE_NAME="svc")
    assert done.returncode == 0, done.err
    agents, tools = 3, 1
    spans = receiver.wait(len(providers.requests) + agents + tools)
    assert len(spans) == len(providers.requests) + agents + tools
    assert {span.scope.name for span in spans} == {"hexr_instrument"}
    found = {f"{span.name}: {each}" for span in spans for each in violations(span)}
    assert not found
    emitted = {name for span in spans for name in span.attributes}
    assert emitted >= {
        *MODEL["spans"]["inference"]["expected"],
        *MODEL["spans"]["embeddings"]["expected"],
        "gen_ai.request.stream",
        "gen_ai.response.time_to_first_chunk",
        "gen_ai.usage.cache_write.input_tokens",
        "gen_ai.usage.reasoning.output_tokens",
        "openai.request.service_tier",
        "openai.response.service_tier",
        "openai.response.system_fingerprint",
        "http.response.status_code",
        "error.type",
        *DEVIATIONS,
        *(name for name in OURS if not name.startswith(("hexr.llm.usage.", "hexr.llm.budget."))),
    }
    assert {span.kind for span in spans if span.name.startswith("invoke_agent")} == {"INTERNAL"}
    assert sorted(span.name for span in spans if span.kind == "INTERNAL") == [
        "execute_tool forecast",
        "invoke_agent crew",
        "invoke_agent failing",
        "invoke_agent inner",
    ]
