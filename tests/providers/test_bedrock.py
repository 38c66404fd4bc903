"""Amazon Bedrock through boto3: what is recorded, and that the program sees what it sees without us."""

from __future__ import annotations

import json
import sys

import pytest
from support import Run, alike

from hexr_instrument.demo.providers import ProviderServer
from hexr_instrument.demo.receiver import OtlpReceiver

CALLS = """
import boto3, io, json, re
from botocore.eventstream import EventStream
from botocore.response import StreamingBody
client = boto3.client("bedrock-runtime")
SAY = [{"role": "user", "content": [{"text": "Say hello."}]}]
CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
LLAMA = "meta.llama3-70b-instruct-v1:0"

def anonymous(said):
    return re.sub(rb"\\d{16,}", b"#", said)  # ids that the server counts

def ask(call="invoke_model", model=LLAMA, **body):
    return getattr(client, call)(modelId=model, body=json.dumps(body or {"prompt": "hi there"}))
"""


@pytest.mark.surface("boto3", "converse, converse_stream")
@pytest.mark.surface("boto3", "invoke_model, of Claude, Llama, Nova, Titan, Cohere, Mistral")
@pytest.mark.surface("boto3", "embeddings")
def test_each_call_is_one_record_and_the_program_sees_no_difference(run: Run, providers: ProviderServer) -> None:
    """Converse and InvokeModel, whole and streamed, of each maker, and embeddings: results, bytes, and one record each."""
    program = (
        CALLS
        + """
answer = client.converse(modelId=CLAUDE, messages=SAY, inferenceConfig={"maxTokens": 500})
print(sorted(answer), answer["usage"], type(answer))
stream = client.converse_stream(modelId="arn:aws:bedrock:us-east-1:1:inference-profile/us.amazon.nova-lite-v1:0", messages=SAY)["stream"]
assert type(stream) is EventStream
print(list(stream))
BODIES = {
    CLAUDE: {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 99, "messages": [{"role": "user", "content": "hi"}]},
    LLAMA: {"prompt": "hi there"},
    "amazon.nova-pro-v1:0": {"messages": SAY},
    "amazon.titan-text-lite-v1": {"inputText": "hi there"},
    "cohere.command-r-v1:0": {"message": "hi there"},
    "mistral.mistral-7b-instruct-v0:2": {"prompt": "hi there"},
}
for model, body in BODIES.items():
    print(anonymous(ask(model=model, **body)["body"].read()))
    print([anonymous(each["chunk"]["bytes"]) for each in ask("invoke_model_with_response_stream", model, **body)["body"]])
for model, body in {"amazon.titan-embed-text-v2:0": {"inputText": "a b"}, "cohere.embed-english-v3": {"texts": ["a b"], "input_type": "x"}}.items():
    print(json.load(ask(model=model, **body)["body"]))
print(type(client).__mro__, client.converse.__name__, client.meta.method_to_api_mapping["converse"])
"""
    )
    done = alike(run, providers, program, lambda: None)
    calls = done.calls
    assert [call["model"] for call in calls] == [each.requested.rpartition("/")[2] for each in providers.sent]
    assert {call["provider"] for call in calls} == {"aws.bedrock"}
    for call, sent in zip(calls, providers.sent, strict=True):
        stated = sent.usage or {}
        names = ("input", "input_tokens", "inputTokens"), ("output", "output_tokens", "outputTokens")
        asked, said = (next((stated[name] for name in group if name in stated), None) for group in names)
        assert (call["usage"]["input"], call["usage"].get("output")) == (asked, said)
        assert call["cost_status"] == ("unpriced" if call["model"].startswith("cohere") else "priced")
        assert bool(call.get("stream")) == bool(call.get("first_chunk")) == sent.stream
    assert [call["op"] for call in calls[-2:]] == ["embeddings"] * 2
    assert len({call["response_id"] for call in calls}) == len(calls)


@pytest.mark.odd("a body that nobody reads does not say why the answer ended")
@pytest.mark.surface("boto3", "invoke_model, its body read in pieces, by lines, closed, unread")
def test_a_body_is_read_as_the_program_reads_it(run: Run, providers: ProviderServer) -> None:
    """Whole, in pieces, by lines, into a buffer, through the raw response; and one closed or dropped without being read."""
    program = (
        CALLS
        + """
print(ask()["body"].read())
body = ask()["body"]
assert isinstance(body, StreamingBody) and type(body) is StreamingBody and isinstance(body, io.IOBase)
print(list(body.iter_lines()), body.tell())
print(b"".join(ask()["body"].iter_chunks(7)), b"".join(ask()["body"]), next(ask()["body"]))
body = ask()["body"]
pieces = []
while piece := body.read(5):
    pieces.append(piece)
print(b"".join(pieces), body.read(), body.readable())
buffer = bytearray(4096)
whole = ask()["body"]
print(whole.readinto(buffer) if hasattr(whole, "readinto") else whole.read(), bytes(buffer).rstrip(b"\\0"))
with ask()["body"] as raw:
    print(type(raw).__name__, raw.read())
print(list(ask()["body"]._raw_stream))
read = ask()["body"]._raw_stream.read
print(list(iter(lambda: read(5), b"")))
ask()["body"].close()
ask()
print(json.load(io.TextIOWrapper(io.BufferedReader(ask()["body"])))["stop_reason"])
body = ask()["body"]
body.set_socket_timeout(5)
print(len(body.read()))
"""
    )
    done = alike(run, providers, program, lambda: None)
    assert [call["cost_status"] for call in done.calls] == ["priced"] * 14 == ["priced"] * len(providers.sent)
    counts = sorted((each["usage"]["input"], each["usage"]["output"]) for each in done.calls)
    assert counts == sorted(((each.usage or {})["input"], (each.usage or {})["output"]) for each in providers.sent)
    assert sum(call.get("finish") == ["stop"] for call in done.calls) >= 10


@pytest.mark.surface("boto3", "streams closed, left, dropped, failed, cut")
def test_streams_end_once_however_they_end(run: Run, providers: ProviderServer) -> None:
    """Closed, left and gone on with, dropped, failed by an exception event, and cut by the network."""
    program = (
        CALLS
        + """
import gc
stream = lambda: client.converse_stream(modelId="amazon.nova-lite-v1:0", messages=SAY)["stream"]
closed = stream()
next(iter(closed))
closed.close()
left = stream()
for event in left:
    break
print(event, len(list(left)))
dropped = stream()
next(iter(dropped))
del dropped
gc.collect()
for _ in range(2):
    try:
        print(list(stream()))
    except Exception as error:
        print(type(error), getattr(error, "response", None))
"""
    )

    def script() -> None:
        providers.reply(times=3)
        providers.reply(error_after=3)
        providers.reply(cut_after=3)

    done = alike(run, providers, program, script)
    closed, left, dropped, failed, cut = done.calls
    assert [each["cost_status"] for each in (closed, left, dropped, failed, cut)] == [
        "partial",
        "priced",
        "partial",
        "partial",
        "partial",
    ]
    assert failed["error"] == "throttlingException"
    assert cut["error"].startswith("urllib3.")
    assert "error" not in closed


@pytest.mark.surface("boto3", "errors")
def test_an_error_has_the_code_and_status_of_aws(run: Run, providers: ProviderServer) -> None:
    """The exception is the client's own; `error.type` is its code, with the status; retries inside are one record."""
    program = (
        CALLS
        + """
from botocore.config import Config
client = boto3.client("bedrock-runtime", config=Config(retries={"max_attempts": 2, "mode": "standard"}))
for model in ("error-400", "x-does-not-exist"):
    try:
        client.converse(modelId=model, messages=SAY)
    except client.exceptions.ClientError as error:
        print(type(error), error.response["Error"], error.operation_name)
print(client.converse(modelId=CLAUDE, messages=SAY)["ResponseMetadata"]["RetryAttempts"])
try:
    client.converse(modelId=CLAUDE, messages=3)
except Exception as error:
    print(type(error), error)
"""
    )

    def script() -> None:
        for status in (400, 404, 503, 200):
            providers.reply(status=status)

    done = alike(run, providers, program, script)
    told = [(call.get("error"), call.get("status")) for call in done.calls]
    assert told == [
        ("ValidationException", 400),
        ("ResourceNotFoundException", 404),
        (None, None),
        ("botocore.exceptions.ParamValidationError", None),
    ]


def test_other_services_are_left_alone(run: Run) -> None:
    """A program that uses other services has no wrapper on them and loads none of our rooms."""
    done = run("""
import sys, boto3
from botocore.client import BaseClient
from botocore.stub import Stubber
before = BaseClient.__dict__["_make_api_call"]
client = boto3.client("s3")
with Stubber(client) as stub:
    stub.add_response("list_buckets", {"Buckets": []})
    print(client.list_buckets())
assert BaseClient.__dict__["_make_api_call"] is before and type(before).__name__ == "function"
print(sorted(name for name in sys.modules if name.startswith(("hexr_instrument.", "opentelemetry"))
             and name.split(".")[1] not in ("start", "config", "private", "values", "redact", "endpoints", "guard", "first_use", "call")))
""")
    assert (done.returncode, done.err) == (0, "")
    assert done.out.splitlines()[1:] == ["[]"]
    assert not done.store.exists()


def test_the_very_same_objects_are_put_back() -> None:
    """`uninstrument` restores botocore's classes; so does the first use what waited for it."""
    source = """
import boto3, hexr_instrument
from botocore.client import BaseClient, ClientCreator
call, create = BaseClient._make_api_call, ClientCreator._create_methods
hexr_instrument.instrument()
client = boto3.client("bedrock-runtime", region_name="us-east-1")
assert BaseClient._make_api_call is not call and ClientCreator._create_methods is create
hexr_instrument.uninstrument()
assert BaseClient._make_api_call is call and ClientCreator._create_methods is create
"""
    exec(compile(source, "program", "exec"), {})  # noqa: S102  (no launcher, no server)


def test_a_registered_client_has_a_role(run: Run) -> None:
    """A handle is a client of the same class on the same endpoint; the client itself stays without a role."""
    done = run(
        CALLS
        + """
from hexr import hexr_llm
writer = hexr_llm(client, role="writer")
assert type(writer) is type(client) and writer.meta is client.meta and writer.exceptions is client.exceptions
for each in (writer, client, hexr_llm(client, role="editor")):
    each.converse(modelId=CLAUDE, messages=SAY)
try:
    hexr_llm(boto3.client("s3"), role="x")
except Exception as error:
    print(type(error).__name__)
"""
    )
    assert (done.returncode, done.out) == (0, "HexrError\n"), done.err
    assert [call.get("role") for call in done.calls] == ["writer", None, "editor"]


@pytest.mark.surface("boto3", "hexr_llm")
def test_the_direct_call_goes_through_boto3(run: Run) -> None:
    """Sync and async, whole and streamed: the answer agrees with the record, which has the role."""
    done = run("""
import asyncio
from hexr import hexr_llm
ask = dict(provider="bedrock", model="us.amazon.nova-lite-v1:0", prompt="hi", system="Be brief.", role="tester", max_tokens=50)
whole = hexr_llm(**ask)
pieces = hexr_llm(stream=True, **ask)
texts = list(pieces)
async def main():
    stream = await hexr_llm.aio(stream=True, **ask)
    return await hexr_llm.aio(**ask), [piece async for piece in stream], stream.response
one, more, last = asyncio.run(main())
assert len(texts) > 1 and "".join(texts) == "".join(more) == whole.text == one.text == pieces.response.text
for each in (whole, pieces.response, one, last):
    print(each.provider, each.model, each.usage.input, each.usage.output, round(each.cost_usd * 10**12))
""")
    assert (done.returncode, done.err) == (0, "")
    told = [line.split() for line in done.out.splitlines()]
    kept = [
        [each["provider"], each["model"], *(str(count) for count in (*each["usage"].values(), each["cost"]))]
        for each in done.calls
    ]
    assert sorted(kept) == sorted(told)
    assert [each["role"] for each in done.calls] == ["tester"] * 4


def test_content_is_kept_where_it_is_asked_for(run: Run, receiver: OtlpReceiver) -> None:
    """Prompt, system, tools and answer of Converse and InvokeModel, whole and streamed, are on the spans that leave."""
    done = run(
        CALLS
        + """
TOOL = {"toolSpec": {"name": "weather", "inputSchema": {"json": {"type": "object", "properties": {"city": {"type": "string"}}}}}}
asked = dict(modelId=CLAUDE, messages=SAY, system=[{"text": "Be brief."}])
client.converse(**asked)
list(client.converse_stream(**asked)["stream"])
client.converse(**asked, toolConfig={"tools": [TOOL]})
list(client.converse_stream(**asked, toolConfig={"tools": [TOOL]})["stream"])
ask()["body"].read()
list(ask("invoke_model_with_response_stream")["body"])
""",
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint,
        OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT="SPAN_ONLY",
    )
    assert (done.returncode, done.err) == (0, "")
    spans = [each.attributes for each in receiver.spans]
    assert len(spans) == 6
    said = [json.loads(each["gen_ai.output.messages"])[0]["parts"][0] for each in spans]
    assert said[0] == said[1]
    assert said[2]["type"] == said[3]["type"] == "tool_call"
    assert said[4]["content"] == said[5]["content"] != ""
    assert all("Say hello." in each["gen_ai.input.messages"] for each in spans[:4])
    assert all("hi there" in each["gen_ai.input.messages"] for each in spans[4:])
    assert "Be brief." in spans[0]["gen_ai.system_instructions"]
    assert "weather" in spans[2]["gen_ai.tool.definitions"]
    assert spans[0]["gen_ai.provider.name"] == "aws.bedrock"
    assert spans[0]["hexr.llm.cost_usd"] > 0


def test_doctor_says_that_boto3_is_recorded(run: Run) -> None:
    """It names the SDK and its version, and that a call of it is patched once it is used for a model."""
    code = "from hexr_instrument import imported; imported.main('bedrock')"
    done = run(command=[sys.executable, "-c", code])
    told = json.loads(done.out.splitlines()[-1])
    assert (told["patched"], told["left"], told["absent"]) == (["_make_api_call"], {}, None)
