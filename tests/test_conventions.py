"""Every span that leaves follows the OpenTelemetry GenAI conventions, with the deviations that the docs name and no other.

`semconv_spans.json` has the conventions' names, types and levels; `violations` checks one received span against them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import Any

import pytest
from support import Run
from test_wire import FORMATS, ROWS, holes, row

from hexr_instrument import telemetry
from hexr_instrument.call import Caller
from hexr_instrument.demo.otlp import Scope, Span
from hexr_instrument.demo.providers import ProviderServer
from hexr_instrument.demo.receiver import OtlpReceiver
from hexr_instrument.recorder import price

MODEL: dict[str, Any] = json.loads((Path(__file__).parent / "semconv_spans.json").read_text())
DEVIATIONS = {"gen_ai.system": "string", "gen_ai.usage.total_tokens": "int"}
"""Deprecated names that dashboards of the previous generation read: the only ones of theirs that are not current."""
OURS = {
    "hexr.agent.name": "string",
    "hexr.agent.tenant": "string",
    "hexr.agent.role": "string",
    "hexr.agent.llm_calls": "int",
    "hexr.agent.cost_usd": "double",
    "hexr.llm.cost_usd": "double",
    "hexr.llm.cost.source": "string",
    "hexr.llm.cost.status": "string",
    "hexr.llm.duration_ms": "double",
    **{f"hexr.llm.usage.{unit}": "int" for unit in ("audio_seconds", "input_characters", "images", "video_seconds")},
}
TYPES: dict[str, Any] = {
    "string": lambda value: type(value) is str and value != "",
    "int": lambda value: type(value) is int and -(2**63) <= value < 2**63,
    "double": lambda value: type(value) is float and isfinite(value),
    "boolean": lambda value: type(value) is bool,
    "string[]": lambda value: type(value) is list and value and all(type(each) is str for each in value),
}
WHOLES = {
    "gen_ai.usage.cache_read.input_tokens": "gen_ai.usage.input_tokens",
    "gen_ai.usage.cache_write.input_tokens": "gen_ai.usage.input_tokens",
    "gen_ai.usage.audio.input_tokens": "gen_ai.usage.input_tokens",
    "gen_ai.usage.image.input_tokens": "gen_ai.usage.input_tokens",
    "gen_ai.usage.reasoning.output_tokens": "gen_ai.usage.output_tokens",
    "gen_ai.usage.audio.output_tokens": "gen_ai.usage.output_tokens",
    "gen_ai.usage.image.output_tokens": "gen_ai.usage.output_tokens",
}


def violations(span: Span) -> list[str]:
    """What a span has against the conventions, one line each; none if it follows them."""
    found = span.attributes
    operation = found.get("gen_ai.operation.name")
    kinds = [each for each in MODEL["spans"].values() if operation in each["operations"]]
    if not kinds:
        return [f"operation {operation!r} is no operation of a span that we emit"]
    (model,) = kinds
    known = {**model["attributes"], **MODEL["refinements"].get(found.get("gen_ai.provider.name"), {})}
    subject = found.get(model["subject"])
    name = f"{operation} {subject}" if subject else operation
    return [
        *_attributes(found, known),
        *_required(found, known, model["expected"]),
        *_values(found),
        *_status(span),
        *([] if span.kind in model["kinds"] else [f"kind {span.kind}"]),
        *([] if span.name == name else [f"name {span.name!r} is not {name!r}"]),
        *([] if span.start <= span.end else ["ends before it starts"]),
        *([f"{span.dropped_attributes} attributes were dropped"] if span.dropped_attributes else []),
        *(["has events"] if span.events else []),
    ]


def _attributes(found: Mapping[str, Any], known: Mapping[str, Any]) -> list[str]:
    """Each name is known, is allowed on this span, and has its type."""
    wrong: list[str] = []
    for name, value in found.items():
        kind = DEVIATIONS.get(name) or OURS.get(name) or MODEL["core"].get(name)
        if name.startswith("hexr.label."):
            kind = "string"
        if kind is None and name in known:
            kind = known[name][0]
        if kind is None:
            where = "on this span" if name in MODEL["registry"] else "at all"
            wrong.append(f"{name} is not defined {where}")
        elif not TYPES[kind](value):
            wrong.append(f"{name} is {value!r}, not a {kind}")
    return wrong


def _required(found: Mapping[str, Any], known: Mapping[str, Any], expected: list[str]) -> list[str]:
    """What must be there is there; a call without an answer has no attributes of one."""
    names = {name for name, (_, level) in known.items() if level == "required"}
    answered = "error.type" not in found and found.get("hexr.llm.cost.status") in ("priced", "unpriced")
    if answered:
        names |= {name for name in expected if not name.startswith(("gen_ai.embeddings", "gen_ai.request"))}
    if found.get("gen_ai.provider.name") == "gcp.gemini" and found["gen_ai.operation.name"] == "embeddings":
        names.discard("gen_ai.response.model")  # Google does not say who made an embedding
    if found["gen_ai.operation.name"] == "generate_content" and not str(found.get("gen_ai.provider.name")).startswith(
        "gcp."
    ):
        names -= {
            f"gen_ai.response.{part}" for part in ("id", "model", "finish_reasons")
        }  # images and sounds have none
        names -= {f"gen_ai.usage.{part}_tokens" for part in ("input", "output")}  # some are billed by the piece
    wrong = [f"{name} is missing" for name in sorted(names - found.keys())]
    pairs = [("server.address", "server.port"), ("gen_ai.provider.name", "gen_ai.system")]
    wrong += [f"{one} without {other}" for one, other in pairs if (one in found) != (other in found)]
    return wrong


def _values(found: Mapping[str, Any]) -> list[str]:
    """Values agree with each other."""
    get = found.get
    parts = [part for part, whole in WHOLES.items() if type(get(part)) is int and get(part, 0) > (get(whole) or 0)]
    total = (get("gen_ai.usage.input_tokens") or 0) + (get("gen_ai.usage.output_tokens") or 0)
    rules = {
        "a negative count": any(type(get(name)) is int and found[name] < 0 for name in found if "usage" in name),
        "gen_ai.system is not the provider": get("gen_ai.system") != get("gen_ai.provider.name"),
        "total_tokens is not the sum": get("gen_ai.usage.total_tokens", total) != total,
        "request.stream is only ever true": get("gen_ai.request.stream") is False,
        "choice.count of 1": get("gen_ai.request.choice.count") == 1,
        "service tier auto": get("openai.request.service_tier") == "auto",
        "time to first chunk without a stream": "gen_ai.response.time_to_first_chunk" in found
        and "gen_ai.request.stream" not in found,
        "unknown output type": get("gen_ai.output.type", "text") not in MODEL["output_types"],
        "unknown cost status": get("hexr.llm.cost.status", "priced")
        not in ("priced", "unpriced", "no_usage", "partial"),
        "unknown cost source": get("hexr.llm.cost.source", "table") not in ("provider", "table", "custom"),
        "a cost without its source": ("hexr.llm.cost_usd" in found) != ("hexr.llm.cost.source" in found),
        "openai's attributes elsewhere": get("gen_ai.provider.name") != "openai"
        and any(name.startswith("openai.") for name in found),
    }
    return [f"{part} is more than its whole" for part in parts] + [rule for rule, broken in rules.items() if broken]


def _status(span: Span) -> list[str]:
    """Never OK; an error exactly where there is an error.type; no text that could echo a key."""
    wrong = [] if span.status in ("UNSET", "ERROR") else [f"status {span.status}"]
    if (span.status == "ERROR") != ("error.type" in span.attributes):
        wrong.append(f"status {span.status} and error.type {span.attributes.get('error.type')!r}")
    return wrong + ([f"status message {span.message!r}"] if span.message else [])


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
    call.request.operation = FORMATS[name.partition("/")[0]].operation
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
            call.request.operation = recorded.wire.operation
            call.request.parameters = recorded.wire.request(holed.get("config") if "config" in asked else holed)
            call.end = call.start + 1
            attributes = telemetry.attributes(telemetry.of_call(call))
            (model,) = (each for each in MODEL["spans"].values() if recorded.wire.operation in each["operations"])
            known = {**model["attributes"], **MODEL["refinements"].get(call.request.provider, {})}
            assert not _attributes(attributes, known)


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
    agents = 3
    spans = receiver.wait(len(providers.requests) + agents)
    assert len(spans) == len(providers.requests) + agents
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
        *(name for name in OURS if "reason" not in name),
    }
    assert {span.kind for span in spans if span.name.startswith("invoke_agent")} == {"INTERNAL"}
    assert sorted(span.name for span in spans if span.kind == "INTERNAL") == [
        "invoke_agent crew",
        "invoke_agent failing",
        "invoke_agent inner",
    ]
