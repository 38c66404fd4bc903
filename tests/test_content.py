"""Prompts and answers: absent unless asked for, then in the shapes of the conventions, bounded, and read without a trace."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from installed import needs_responses
from semconv import faults
from support import Run
from test_wire import FORMATS, ROWS, TEXTS, holes, row

from hexr_instrument import content
from hexr_instrument.demo.otlp import Log, Span
from hexr_instrument.demo.receiver import OtlpReceiver
from hexr_instrument.names import CONTENT, DETAILS

SWITCH = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
LIMIT = 32 << 10

PROGRAM = """
import base64, contextlib, sys, warnings
warnings.simplefilter("ignore")
import anthropic, openai
from google import genai
from google.genai import types

o, a, g = openai.OpenAI(max_retries=0), anthropic.Anthropic(max_retries=0), genai.Client()
png = "data:image/png;base64," + base64.b64encode(b"x" * 3000).decode()
schema = {"type": "object", "properties": {"canary_city": {"type": "string"}}}
function = {"type": "function", "function": {"name": "canary_weather", "description": "canary", "parameters": schema}}
asked = [
    {"role": "system", "content": "canary instruction"},
    {"role": "user", "name": "canary", "content": [
        {"type": "text", "text": "canary question"},
        {"type": "image_url", "image_url": {"url": png}},
        {"type": "image_url", "image_url": {"url": "https://example.com/canary.png"}},
        {"type": "file", "file": {"filename": "canary.pdf", "file_data": "data:application/pdf;base64,QUJD"}}]},
]
answer = o.chat.completions.create(model="gpt-4o", messages=asked, tools=[function])
call = answer.choices[0].message.tool_calls[0]
asked += [answer.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "canary sun"}]
o.chat.completions.create(model="gpt-4o", messages=asked, tools=[function])
list(o.chat.completions.create(model="gpt-4o", messages=asked[:2], tools=[function], stream=True))
list(o.chat.completions.create(model="gpt-4o", messages=asked[:1], stream=True, n=2))
tool = {"type": "function", "name": "canary_weather", "parameters": schema}
o.responses.create(model="gpt-5", input="canary", instructions="canary instruction", tools=[tool, {"type": "web_search"}])
said = [{"role": "user", "content": [{"type": "input_text", "text": "canary"}, {"type": "input_image", "image_url": png}]}]
list(o.responses.create(model="gpt-5", input=said, stream=True))
with o.responses.create(model="gpt-5", input="canary", stream=True) as stream:
    pieces = 0
    for event in stream:
        pieces += event.type == "response.output_text.delta"
        if pieces == 2:
            break
o.completions.create(model="gpt-3.5-turbo-instruct", prompt=["canary a", "canary b"])
list(o.completions.create(model="gpt-3.5-turbo-instruct", prompt="canary", stream=True))
m = {"model": "claude-sonnet-5", "max_tokens": 2000}
claude = {"name": "canary_weather", "input_schema": schema}
turn = [{"role": "user", "content": "canary"}]
answer = a.messages.create(**m, system=[{"type": "text", "text": "canary instruction"}], messages=turn, tools=[claude])
use = answer.content[-1]
turn += [{"role": "assistant", "content": answer.content},
         {"role": "user", "content": [{"type": "tool_result", "tool_use_id": use.id, "content": "canary sun"}]}]
a.messages.create(**m, messages=turn, tools=[claude])
picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": png[22:]}}
list(a.messages.create(**m, messages=[{"role": "user", "content": [picture]}], tools=[claude], stream=True))
with a.messages.stream(**m, thinking={"type": "enabled", "budget_tokens": 1024}, messages=turn[:1]) as stream:
    stream.get_final_message()
def canary_weather(canary_city: str) -> str:
    "canary"
    return "canary sun"
config = types.GenerateContentConfig(tools=[canary_weather], system_instruction="canary instruction")
g.chats.create(model="gemini-2.5-flash", config=config).send_message("canary")
list(g.models.generate_content_stream(
    model="gemini-2.5-flash", contents=["canary", types.Part.from_bytes(data=b"y" * 500, mime_type="audio/wav")],
    config={"tools": [{"google_search": {}}]}))
for failing in (lambda: o.chat.completions.create(model="error-401", messages=[{"role": "user", "content": "canary"}]),
                lambda: a.messages.create(**{**m, "model": "error-400"}, messages=turn[:1]),
                lambda: g.models.generate_content(model="error-400", contents="canary")):
    with contextlib.suppress(Exception):
        failing()
"""
ANSWERED, FAILED = 16, 3


def structured(span: Span) -> dict[str, Any]:
    """The content attributes of a span, read as JSON."""
    return {name: json.loads(value) for name, value in span.attributes.items() if name in CONTENT.values()}


def calls(spans: list[Span]) -> list[Span]:
    """The spans of calls: Google's SDK runs one tool in the program, too."""
    return [span for span in spans if not span.name.startswith("execute_tool")]


def of_log(log: Log) -> dict[str, Any]:
    """The content attributes of an event."""
    return {name: value for name, value in log.attributes.items() if name in CONTENT.values()}


def text(content_: str) -> dict[str, str]:
    """A text part."""
    return {"type": "text", "content": content_}


@needs_responses
@pytest.mark.parametrize(
    ("mode", "on_spans", "on_events"),
    [
        ("SPAN_ONLY", True, False),
        ("event_only", False, True),
        ("true", True, True),
        ("NO_CONTENT", False, False),
        ("", False, False),
        ("nonsense", False, False),
    ],
)
def test_content_goes_where_the_variable_says(
    run: Run, receiver: OtlpReceiver, mode: str, on_spans: bool, on_events: bool
) -> None:
    """Each mode puts content on spans as JSON, on events as values, on both, or nowhere: then no word of it leaves."""
    done = run(PROGRAM, **receiver.environment(), **{SWITCH: mode})
    assert done.returncode == 0, done.err
    spans = calls(receiver.wait(ANSWERED + FAILED + 1, logs=(ANSWERED + FAILED) if on_events else 0))
    logs = receiver.logs
    assert len(spans) == ANSWERED + FAILED
    assert len(logs) == (ANSWERED + FAILED if on_events else 0)
    assert {bool(structured(span)) for span in spans} == {on_spans}
    found = [structured(span) for span in spans] if on_spans else [of_log(log) for log in logs]
    assert not [fault for each in found for name, value in each.items() for fault in faults(name, value)]
    assert "eHh4" not in str(found)  # the base64 of the picture
    assert "parameters" not in str(found)  # the conventions: type and name of a tool, no more
    for log in logs:
        (span,) = (span for span in spans if span.span_id == log.span_id)
        assert (log.event_name, log.severity, log.severity_number, log.body) == (DETAILS, "DEBUG", 5, None)
        assert (log.trace_id, log.time, log.resource) == (span.trace_id, span.end, span.resource)
        plain = {name: value for name, value in span.attributes.items() if name not in CONTENT.values()}
        assert {name: value for name, value in log.attributes.items() if name not in CONTENT.values()} == plain
        assert not on_spans or of_log(log) == structured(span)
    if not (on_spans or on_events):
        assert "canary" not in repr((spans, logs))
        assert not list((done.store / "journal").glob("*.jsonl"))
    assert ("nonsense" in done.err) == (mode == "nonsense")


@needs_responses
def test_content_has_the_shapes_of_the_conventions(run: Run, receiver: OtlpReceiver) -> None:
    """Texts, tool calls and their answers, pictures by size or link, thoughts, and streams as the answer they were."""
    assert run(PROGRAM, **receiver.environment(), **{SWITCH: "SPAN_ONLY"}).returncode == 0
    spans = [structured(span) for span in calls(receiver.wait(ANSWERED + FAILED + 1))]
    keys = ("gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions", "gen_ai.tool.definitions")
    inputs, outputs, systems, tools = ([span.get(key) for span in spans] for key in keys)
    weather = [{"type": "function", "name": "canary_weather"}]

    question = {
        "role": "user",
        "name": "canary",
        "parts": [
            text("canary question"),
            {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "", "size": 3000},
            {"type": "uri", "modality": "image", "uri": "https://example.com/canary.png"},
            {"type": "blob", "modality": "document", "mime_type": "application/pdf", "content": "", "size": 3},
        ],
    }
    assert inputs[0] == [{"role": "system", "parts": [text("canary instruction")]}, question]
    (called,) = outputs[0][0]["parts"]
    assert (called["type"], called["name"], called["arguments"]) == (
        "tool_call",
        "canary_weather",
        {"canary_city": "example"},
    )
    assert tools[0] == tools[1] == tools[2] == weather
    assert inputs[1][2:] == [
        {"role": "assistant", "parts": [called]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": called["id"], "response": "canary sun"}]},
    ]
    assert outputs[2][0]["parts"][0]["arguments"] == {"canary_city": "example"}, "a streamed call"
    assert [each["role"] for each in outputs[3]] == ["assistant", "assistant"], "one message for each choice"
    assert systems[0] is None, "a system message stays among the messages"

    assert systems[4] == [text("canary instruction")]
    assert tools[4] == [*weather, {"type": "web_search", "name": "web_search"}]
    assert outputs[4][0]["parts"][0]["arguments"] == {"canary_city": "example"}
    assert inputs[5][0]["parts"][1]["size"] == 3000
    whole, part = outputs[5][0]["parts"], outputs[6][0]["parts"]
    assert [each["type"] for each in (*whole, *part)] == ["text", "text"]
    assert 0 < len(part[0]["content"]) < len(whole[0]["content"]), "a broken-off stream keeps what came"

    assert inputs[7] == [{"role": "user", "parts": [text(each)]} for each in ("canary a", "canary b")]
    assert len(outputs[8][0]["parts"]) == 1

    assert systems[9] == [text("canary instruction")]
    assert tools[9] == weather
    (used,) = outputs[9][0]["parts"]
    assert used["arguments"] == {"canary_city": "example"}
    response = {"type": "tool_call_response", "id": used["id"], "response": "canary sun"}
    assert inputs[10][1:] == [{"role": "assistant", "parts": [used]}, {"role": "user", "parts": [response]}]
    assert inputs[11] == [{"role": "user", "parts": [question["parts"][1]]}]
    assert outputs[11][0]["parts"][0]["arguments"] == {"canary_city": "example"}, "a streamed call"
    assert [each["type"] for each in outputs[12][0]["parts"]] == ["reasoning", "text"]

    assert systems[13] == systems[14] == [text("canary instruction")]
    assert tools[13] == weather
    assert outputs[13][0]["parts"][0]["name"] == "canary_weather"
    assert [each["parts"][0]["type"] for each in inputs[14]] == ["text", "tool_call", "tool_call_response"]
    assert inputs[14][2]["parts"][0]["response"] == {"result": "canary sun"}
    assert inputs[15][0]["parts"][1]["size"] == 500
    assert len(outputs[15][0]["parts"]) == 1, "a stream's pieces are one text"
    assert not [each for each in outputs[ANSWERED:] if each], "a failed call has no answer"


@needs_responses
def test_the_local_store_keeps_no_content(run: Run) -> None:
    """Without an endpoint nothing is captured, whatever the variable says: the store is a ledger of costs."""
    done = run(PROGRAM, **{SWITCH: "SPAN_AND_EVENT"})
    assert done.returncode == 0, done.err
    assert len(done.calls) == ANSWERED + FAILED
    assert not [each for each in done.calls if "content" in each or "capture" in each]
    assert "canary" not in "".join(path.read_text() for path in done.store.rglob("*.jsonl"))


KEPT = """
import subprocess, sys
import openai
openai.OpenAI().chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "canary"}])
"""


def test_calls_that_stay_beside_an_endpoint_stay_without_content(run: Run, receiver: OtlpReceiver) -> None:
    """With HEXR_KEEP, what stays in the local store after delivery has no content."""
    done = run(KEPT, **receiver.environment(), **{SWITCH: "SPAN_ONLY", "HEXR_KEEP": "1d"})
    (span,) = receiver.wait(1)
    assert "canary" in span.attributes["gen_ai.input.messages"]
    files = [path for path in done.store.rglob("*") if path.is_file()]
    assert [path.name for path in files if path.suffix == ".db"] == ["hexr.db"]
    assert not [path.name for path in files if b"canary" in path.read_bytes()]


THEIRS = """
from opentelemetry import _logs, trace
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
trace.set_tracer_provider(TracerProvider())
trace.get_tracer_provider().add_span_processor(BatchSpanProcessor(OTLPSpanExporter("ENDPOINT/v1/traces")))
if LOGS:
    _logs.set_logger_provider(LoggerProvider())
    _logs.get_logger_provider().add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter("ENDPOINT/v1/logs")))
"""


@needs_responses
@pytest.mark.parametrize("logs", [True, False])
def test_the_programs_own_pipelines_carry_content(run: Run, receiver: OtlpReceiver, logs: bool) -> None:
    """On the span of the program's own provider, and as an event of its logger provider if it has one; not on disk."""
    theirs = THEIRS.replace("ENDPOINT", receiver.endpoint).replace("LOGS", str(logs))
    done = run(theirs + PROGRAM, **{SWITCH: "SPAN_AND_EVENT"})
    assert done.returncode == 0, done.err
    spans = calls(receiver.wait(ANSWERED + FAILED + 1, logs=(ANSWERED + FAILED) * logs))
    assert all(structured(span)["gen_ai.input.messages"] for span in spans)
    assert len(receiver.logs) == (ANSWERED + FAILED) * logs
    by_span = {span.span_id: structured(span) for span in spans}
    assert all(of_log(log) == by_span[str(log.span_id)] for log in receiver.logs)
    assert "canary" not in "".join(path.read_text() for path in done.store.rglob("*.jsonl"))


def test_events_alone_may_have_an_endpoint(run: Run, receiver: OtlpReceiver) -> None:
    """With an endpoint for logs only, events go there, calls stay in the local store, and no span leaves."""
    where = {"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": receiver.endpoint + "/v1/logs", "HEXR_EXIT_TIMEOUT": "30"}
    done = run(KEPT, **where, **{SWITCH: "EVENT_ONLY"})
    receiver.wait(logs=1)
    assert of_log(receiver.logs[0])["gen_ai.input.messages"] == [{"role": "user", "parts": [text("canary")]}]
    assert (receiver.spans, done.returncode) == ([], 0)


def test_a_collector_without_logs_gets_each_span_once(run: Run, receiver: OtlpReceiver) -> None:
    """Where the endpoint refuses events, spans are delivered once all the same, and a line says what is lost."""
    receiver.fail(404, signal="logs")
    done = run(KEPT, **receiver.environment(), **{SWITCH: "SPAN_AND_EVENT"})
    assert len(receiver.wait(1)) == 1
    assert len([each for each in receiver.requests if each.signal == "traces"]) == 1
    assert "refuses events (events: HTTP 404)" in done.err
    assert not list((done.store / "journal").glob("*.jsonl"))


def test_events_wait_for_their_endpoint_and_spans_do_not(run: Run, receiver: OtlpReceiver) -> None:
    """While the endpoint of logs is down, spans go on, once; events wait on disk and leave with the next process."""
    with OtlpReceiver() as logs:
        where = {**receiver.environment(), SWITCH: "SPAN_AND_EVENT"}
        where["OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"] = logs.endpoint + "/v1/logs"
        logs.fail(503, times=None)
        done = run(KEPT, **where)
        assert (done.returncode, done.err, len(receiver.wait(1)), logs.logs) == (0, "", 1, [])
        assert [record["kind"] for record in done.records] == ["event"]
        shown = run(command=[sys.executable, "-m", "hexr_instrument", "doctor", "--quick"], bare=True, **where)
        assert "1 event waits" in " ".join(shown.out.split())
        logs.recover()
        done = run(KEPT, **where)
        assert (done.returncode, done.err, len(receiver.wait(2))) == (0, "", 2)
        assert len(logs.wait(logs=2)) == 0
        assert {log.span_id for log in logs.logs} == {span.span_id for span in receiver.spans}
        assert of_log(logs.logs[0])["gen_ai.input.messages"] == of_log(logs.logs[1])["gen_ai.input.messages"]
    assert not list((done.store / "journal").glob("*.jsonl"))
    assert not list((done.store / "journal").glob("*.sent"))


def test_a_limit_bounds_each_attribute(run: Run, receiver: OtlpReceiver) -> None:
    """HEXR_CONTENT_LIMIT, or OpenTelemetry's own limit where it is lower, bounds the JSON, which stays valid."""
    long = KEPT.replace('"canary"', '"canary " * 5000')
    for number, variable in enumerate(("HEXR_CONTENT_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"), 1):
        assert run(long, **receiver.environment(), **{SWITCH: "SPAN_ONLY", variable: "600"}).returncode == 0
        span = receiver.wait(number)[-1]
        assert 300 < len(span.attributes["gen_ai.input.messages"].encode()) <= 600
        assert structured(span)["gen_ai.input.messages"][0]["parts"][0]["content"].endswith(" more]")


# ---- Reading and bounding, without a process ----------------------------------------------------------------------

ATTRIBUTES = {
    "input": "gen_ai.input.messages",
    "system": "gen_ai.system_instructions",
    "tools": "gen_ai.tool.definitions",
}


def checked(asked: dict[str, Any], said: list[Any], limit: int = LIMIT) -> None:
    """Asserts that content follows its schema, is within its bound, and can be sent."""
    found = [(ATTRIBUTES[name], value) for name, value in asked.items()] + [("gen_ai.output.messages", said)]
    for name, value in found:
        assert not faults(name, value)
        assert len(content.encoded(value).encode()) <= limit
        json.loads(content.encoded(value), parse_constant=lambda word: pytest.fail(word))


def heard(name: str, data: dict[str, Any]) -> Any:
    """What an answer of the row says to the reader of its content."""
    wire = row(name).wire
    if "chunks" not in data or wire.content is None:
        return data.get("response")
    so_far = None
    for chunk in data["chunks"]:
        so_far = wire.content.fold(so_far, content.plain(chunk))
    return so_far


@pytest.mark.parametrize("name", [name for name in ROWS if FORMATS[name.partition("/")[0]].content is not None])
def test_content_of_every_recorded_body_follows_the_schemas(name: str) -> None:
    """Whatever a provider was asked and has sent, streamed or whole, its content is valid; odd bodies too."""
    wire = row(name).wire
    assert wire.content is not None
    data = json.loads(TEXTS[name])
    before = json.dumps(data)
    checked(content.asked(wire, data["request"], LIMIT), content.said(wire, heard(name, data) or {}, LIMIT))
    assert json.dumps(data) == before, "what is read is the caller's"
    if "body" in str(data.get("response", {}).get("sdk_http_response")):
        return  # the user's own JSON text: what is none is the guard's
    for odd in (None, "n/a", "", 7, [None], {"x": None}, float("nan"), 2**70, "\ud800"):
        for holed in holes(data["request"], odd):
            checked(content.asked(wire, holed, LIMIT), [])
        for holed in holes(data.get("response") or data["chunks"], odd):
            if "chunks" in data and type(holed) is not list:
                continue
            changed = {**data, "chunks": holed} if "chunks" in data else {**data, "response": holed}
            checked({}, content.said(wire, heard(name, changed) or {}, LIMIT))


class Trap:
    """An object that must not be touched: everything that one may do to it fails the test."""

    def __getattribute__(self, name: str) -> Any:
        pytest.fail(f"{name} was asked for")

    def __iter__(self) -> Iterator[Any]:
        pytest.fail("iterated")

    def __repr__(self) -> str:
        pytest.fail("shown")

    __len__ = __bool__ = __str__ = __hash__ = __eq__ = __call__ = __repr__  # type: ignore[assignment]


class TrapDict(dict[str, Any], Trap):
    """A dict that must not be read."""

    get = items = keys = values = copy = __getitem__ = __iter__ = Trap.__iter__  # type: ignore[assignment]


@pytest.mark.parametrize(
    "make", [Trap, lambda: TrapDict(role="user"), lambda: (each for each in [1]), lambda: open(__file__)]
)
def test_objects_with_ideas_of_their_own_are_not_touched(make: Any) -> None:
    """A generator, a file, a dict of one's own: named by its type, never read, called or shown."""
    odd = make()
    for body in (
        {"messages": [odd]},
        {"messages": [{"role": "user", "content": odd}]},
        {"messages": odd},
        {"tools": [odd]},
    ):
        checked(content.asked(row("chat/openai_plain").wire, {"messages": [], **body}, LIMIT), [])
    assert content.plain({"a": odd}) == {"a": {"type": type(odd).__name__}}
    if hasattr(type(odd), "__next__") and hasattr(type(odd), "send"):
        assert next(odd) == 1
    if type(odd).__module__ == "_io":
        assert odd.tell() == 0
        odd.close()


def test_objects_of_the_sdks_are_read_by_their_fields() -> None:
    """An SDK's object in a conversation is read as its JSON would be, fields that it does not know included."""
    from openai.types.chat import ChatCompletionMessage

    given = ChatCompletionMessage.model_validate({"role": "assistant", "content": "hi", "reasoning_content": "hm"})
    asked = content.asked(row("chat/openai_plain").wire, {"messages": [given]}, LIMIT)
    parts = [{"type": "reasoning", "content": "hm"}, text("hi")]
    assert asked == {"input": [{"role": "assistant", "parts": parts}]}


def message(said: str) -> dict[str, Any]:
    """A user's message."""
    return {"role": "user", "parts": [text(said)]}


LARGE: list[list[Any]] = [
    [message("word " * 20_000)],
    [message("é" * 9_000), message("latest")],
    [message(f"turn {number} " * 20) for number in range(500)],
    [message("x") for _ in range(5_000)],
    [message("\ud83d" * 3_000)],
    [
        {
            "role": "assistant",
            "parts": [{"type": "tool_call", "name": "f", "arguments": {f"k{n}": "v" * 50 for n in range(900)}}],
        }
    ],
    [{"role": "user", "parts": [text("x") for _ in range(3_000)]}],
]


@pytest.mark.parametrize("limit", [256, 2_000, LIMIT])
@pytest.mark.parametrize("items", LARGE, ids=[str(number) for number in range(len(LARGE))])
def test_what_is_too_long_is_cut_and_stays_valid(items: list[Any], limit: int) -> None:
    """Long texts are cut, then the oldest messages go and are counted; the latest stays as long as it fits."""
    whole = len(content.encoded(content.fit(items, 1 << 24)).encode())
    found = content.fit(items, limit)
    checked({"input": found}, [], limit)
    assert found
    if whole > limit:
        assert "more]" in str(found) or "omitted" in str(found)
    if whole > limit and len(items) > 1:
        assert found[-1]["parts"][-1] == items[-1]["parts"][-1] or "more]" in str(found[-1])
    assert content.fit([text("a" * 5_000)] * 40, limit)[0]["type"] in ("text", "omitted")
    tools = content.fit([{"type": "function", "name": f"f{number}"} for number in range(5_000)], limit)
    assert not faults("gen_ai.tool.definitions", tools)


def test_a_plain_value_is_plain() -> None:
    """What JSON or OTLP cannot say is said as a text; what is too deep, by its type."""
    deep: Any = "end"
    for _ in range(100):
        deep = [deep]
    found = content.plain({"a": float("inf"), "b": 2**70, "c": (1, True, None), 5: deep, ("t",): 1})
    assert (found["a"], found["b"], found["c"]) == ("inf", str(2**70), [1, True, None])
    assert len(found) == 4
    assert "list" in json.dumps(found["5"])


def test_nothing_is_read_where_content_is_off(run: Run) -> None:
    """Off, no reader of content is even imported into the path of a call: a request's body is not walked at all."""
    program = """
from hexr_instrument import content
def walked(*args): raise AssertionError("walked")
content.plain = content.asked = content.said = walked
from hexr_instrument import guard
guard.strict = True
"""
    done = run(program + KEPT)
    assert done.returncode == 0, done.err
    assert len(done.calls) == 1


def test_a_key_in_a_prompt_stays_here(run: Run, receiver: OtlpReceiver) -> None:
    """Content that was asked for leaves without keys of known forms, also where a text is cut in the middle of one."""
    key = "sk-proj-" + "a1B2" * 12
    source = f"""
from openai import OpenAI
OpenAI().chat.completions.create(model="gpt-4o", messages=[
    {{"role": "user", "content": "my key is {key}, and what is the weather?"}},
    {{"role": "user", "content": "x" * {(1 << 10) - 20} + " {key} " + "y" * 5000}},
])
"""
    done = run(source, **{SWITCH: "SPAN_ONLY"}, HEXR_CONTENT_LIMIT="2048", **receiver.environment())
    assert done.returncode == 0, done.err
    (span,) = receiver.wait(1)
    said = str(span.attributes)
    assert "what is the weather" in said
    assert "[key]" in said
    assert key[:12] not in said
