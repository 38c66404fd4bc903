"""No secret leaves: keys, headers, prompts and paths planted in every input channel are in nothing that we write."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from support import Run, clean_environment
from test_keep import collector_down

from hexr_instrument.demo.providers import ProviderServer
from hexr_instrument.store import Store

MARK = "plnt"
"""Every planted text has it; nothing else does."""
OPENAI_KEY = f"sk-proj-{MARK}AbCdEf0123456789"
ANTHROPIC_KEY = f"sk-ant-api03-{MARK}AbCdEf0123456789"
GOOGLE_KEY = f"AIzaSy{MARK}AbCdEf0123456789AbCdEf0123"
PROMPT = f"my {MARK} prompt"
MAIL = f"ann.{MARK}@corp.example"
PATH = f"/home/ann/{MARK}/notes.txt"
TOKEN = f"Bearer {MARK}-token-0123456789"
ODD = f"ODD_{MARK.upper()}0123456789ABCDEF"
"""A finish reason that is none; the SDK itself warns of it."""
JWT = f"eyJhbGciOiJIUzI1NiJ9.eyJ{MARK}AbCd.sgn{MARK}"
ECHOES = (400, 401, 403, 404, 422, 429, 500, 529)
"""Statuses whose bodies echo the key, the prompt and a path."""
PROGRAM = f"""
import asyncio, os, sys
from hexr import hexr_agent, hexr_llm, hexr_role, hexr_tenant
import anthropic, openai
from google import genai
from google.genai import types

PROMPT, MAIL, PATH, TOKEN, JWT = {PROMPT!r}, {MAIL!r}, {PATH!r}, {TOKEN!r}, {JWT!r}
SAID = [{{"role": "user", "content": PROMPT}}]
TOOLS = [{{"type": "function", "function": {{"name": "t_plnt", "description": PROMPT, "parameters": {{}}}}}}]
made = failed = 0

def attempt(function):
    global made, failed
    try:
        result = function()
        if hasattr(result, "__next__") or hasattr(result, "__iter__") and not isinstance(result, str):
            if not hasattr(result, "model_dump"):
                list(result)
    except Exception:
        failed += 1
    made += 1

host = os.environ["OPENAI_BASE_URL"].removeprefix("http://")
o = openai.OpenAI(max_retries=0, default_headers={{"x-secret": TOKEN}}, default_query={{"key": "plnt-query"}})
userinfo = openai.OpenAI(max_retries=0, base_url=f"http://ann:plnt-pass@{{host}}")
query = openai.OpenAI(max_retries=0, base_url=f"http://{{host}}?sig=plnt-sig")
extra = dict(extra_headers={{"Authorization": TOKEN, "x-k": JWT}}, extra_query={{"api_key": "plnt-q"}},
             extra_body={{"secret": "plnt-body", "service_tier": "sk-plnt-0123456789", "nested": {{"k": PROMPT}}}})
rich = dict(user=MAIL, metadata={{"k": "plnt-meta"}}, tools=TOOLS, stop=[MAIL, PATH, OPENAI_KEY := {OPENAI_KEY!r}, "fine"],
            safety_identifier=MAIL, prompt_cache_key="plnt-cache")

def further():
    # Surfaces of which one call is not one record: attempted, whatever this version of the SDK has.
    def voice():
        with o.realtime.connect(model="gpt-realtime", extra_headers={{"x": TOKEN}}, extra_query={{"k": JWT}}) as connection:
            connection.session.update(session={{"type": "realtime", "instructions": PROMPT}})
            connection.response.create(response={{"instructions": PROMPT, "metadata": {{"k": MAIL}}}})
            for event in connection:
                if event.type == "response.done":
                    break
    def background():
        queued = o.responses.create(model="gpt-5", input=PROMPT, background=True, metadata={{"k": MAIL}}, user=MAIL)
        o.responses.retrieve(queued.id)
        o.responses.retrieve(queued.id)
    def batch():
        made = o.batches.create(completion_window="24h", endpoint="/v1/responses", input_file_id=PATH, metadata={{"k": MAIL}})
        o.batches.retrieve(made.id)
        o.batches.retrieve(made.id)
    for each in (
        lambda: o.images.generate(model="gpt-image-1", prompt=PROMPT, user=MAIL),
        lambda: o.audio.transcriptions.create(model="whisper-1", file=(PATH, b"RIFF"), prompt=PROMPT),
        lambda: o.audio.speech.create(model="tts-1", voice="alloy", input=PROMPT, instructions=PROMPT).content,
        background, batch, voice,
    ):
        try:
            each()
        except Exception:
            pass

@hexr_agent(name="crew", tenant="ops@acme.com")
def main():
    for _ in range({len(ECHOES)}):
        attempt(lambda: o.chat.completions.create(model="gpt-4o", messages=SAID))
        attempt(lambda: a.messages.create(model="claude-sonnet-4-5", max_tokens=9, messages=SAID))
        attempt(lambda: g.models.generate_content(model="gemini-2.5-flash", contents=PROMPT))
    attempt(lambda: o.chat.completions.create(model="gpt-4o", messages=SAID, stream=True))  # breaks with an error event
    attempt(lambda: list(a.messages.create(model="claude-sonnet-4-5", max_tokens=9, messages=SAID, stream=True)))  # too
    attempt(lambda: list(g.models.generate_content_stream(model="gemini-2.5-flash", contents=PROMPT)))  # too
    attempt(lambda: o.responses.create(model="gpt-4o", input=PROMPT))  # status failed, the code echoes the key
    attempt(lambda: o.chat.completions.create(model="gpt-4o", messages=SAID, **rich, **extra))
    attempt(lambda: o.chat.completions.create(model="gpt-4o", messages=SAID, stream=True, **rich, **extra))
    attempt(lambda: o.chat.completions.with_raw_response.create(model="gpt-4o", messages=SAID, **extra).parse())
    attempt(lambda: o.chat.completions.create(model=OPENAI_KEY, messages=SAID))
    attempt(lambda: userinfo.chat.completions.create(model="gpt-4o", messages=SAID))
    attempt(lambda: query.chat.completions.create(model="gpt-4o", messages=SAID))
    attempt(lambda: o.responses.create(model="gpt-4o", input=PROMPT, user=MAIL, instructions=PROMPT,
                                       previous_response_id=JWT, conversation=None, metadata={{"k": MAIL}}))
    attempt(lambda: o.responses.create(model="gpt-4o", input=PROMPT, extra_body={{"conversation": PATH}}))
    attempt(lambda: o.embeddings.create(model="text-embedding-3-small", input=[PROMPT, PATH], user=MAIL,
                                        extra_body={{"encoding_format": OPENAI_KEY}}))
    attempt(lambda: o.completions.create(model="gpt-3.5-turbo-instruct", prompt=PROMPT, user=MAIL))
    attempt(lambda: a.messages.create(model="claude-sonnet-4-5", max_tokens=9, messages=SAID, system=PROMPT,
                                      metadata={{"user_id": MAIL}}, stop_sequences=[TOKEN], extra_headers={{"x": JWT}}))
    attempt(lambda: list(a.messages.create(model="claude-sonnet-4-5", max_tokens=9, messages=SAID, stream=True)))
    attempt(lambda: g.models.generate_content(model="gemini-2.5-flash", contents=PROMPT, config=types.GenerateContentConfig(
        system_instruction=PROMPT, stop_sequences=[MAIL], labels={{"k": "plnt-label"}},
        http_options=types.HttpOptions(headers={{"x-secret": TOKEN}}))))
    attempt(lambda: list(g.models.generate_content_stream(model="gemini-2.5-flash", contents=PROMPT)))
    with hexr_role("writer"):
        attempt(lambda: str(hexr_llm(provider="openai", model="gpt-4o", prompt=PROMPT, api_key=OPENAI_KEY, user=MAIL)))
    try:
        hexr_llm(provider="plain", model="x", prompt=PROMPT, api_key=OPENAI_KEY)
    except Exception:
        pass

    print("made", made + 1)
    further()

    async def twins():
        client = openai.AsyncOpenAI(max_retries=0)
        await client.chat.completions.create(model="gpt-4o", messages=SAID, user=MAIL)
        await client.close()
    asyncio.run(twins())
    raise ValueError(PROMPT + TOKEN)

a = anthropic.Anthropic(max_retries=0, default_headers={{"x-secret": TOKEN}})
g = genai.Client(http_options=types.HttpOptions(retry_options=types.HttpRetryOptions(attempts=1)))
try:
    main()
except ValueError:
    pass
"""


def script(providers: ProviderServer) -> None:
    """What the provider answers first: errors that echo what they were given, in whatever field."""
    told = f"Incorrect API key provided: {OPENAI_KEY}; {PROMPT} {PATH} {TOKEN}"
    for status in ECHOES:
        openai = {"error": {"message": told, "type": TOKEN, "code": OPENAI_KEY, "param": PROMPT}}
        providers.reply(route="/chat/completions", status=status, body=openai)
        fault = {"type": "error", "error": {"type": ANTHROPIC_KEY, "message": told}, "request_id": JWT}
        providers.reply(route="/messages", status=status, body=fault)
        google = {"error": {"code": status, "message": told + GOOGLE_KEY, "status": GOOGLE_KEY}}
        providers.reply(route=":generateContent", status=status, body=google)
    first = {"id": JWT, "object": "chat.completion.chunk", "model": "gpt-4o", "created": 1, "service_tier": TOKEN}
    first |= {"system_fingerprint": OPENAI_KEY, "choices": [{"index": 0, "delta": {"content": PROMPT}}]}
    error = {"error": {"message": told, "code": OPENAI_KEY, "type": TOKEN}}
    providers.reply(route="/chat/completions", chunks=[first, error])
    started = {"id": JWT, "type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "content": []}
    started |= {"stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 3, "output_tokens": 1}}
    broken = {"type": "error", "error": {"type": ANTHROPIC_KEY, "message": told}}
    providers.reply(route="/messages", chunks=[{"type": "message_start", "message": started}, broken])
    part = {"candidates": [{"content": {"parts": [{"text": PROMPT}]}, "index": 0, "finishReason": ODD}]}
    fault = {"error": {"code": 500, "message": told + GOOGLE_KEY, "status": GOOGLE_KEY}}
    providers.reply(route=":streamGenerateContent", chunks=[part | {"responseId": JWT, "modelVersion": TOKEN}, fault])
    failed: dict[str, Any] = {"id": JWT, "object": "response", "model": "gpt-4o", "status": "failed", "output": []}
    failed |= {"error": {"code": OPENAI_KEY, "message": told}, "service_tier": TOKEN, "created_at": 1}
    providers.reply(route="/responses", body=failed | {"tools": [], "tool_choice": "auto", "parallel_tool_calls": True})


class Sink:
    """An OTLP endpoint over HTTP that keeps the bytes of what it gets."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                sink.bodies.append(self.rfile.read(int(self.headers["content-length"])))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                """Silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        self.host = f"127.0.0.1:{self.server.server_port}"


@pytest.fixture
def sink() -> Iterator[Sink]:
    """A raw OTLP endpoint."""
    made = Sink()
    yield made
    made.server.shutdown()
    made.server.server_close()
    made.thread.join()


RESOURCE = ",".join(
    (
        "service.name=shop",
        f"api.key={MARK}-opaque-key",
        f"team.owner={MAIL}",
        f"config.file={PATH}",
        f"url=https%3A%2F%2Fann%3A{MARK}-pw%40db.example%2Fx%3Fk%3D{MARK}",
        f"auth={JWT}",
        "deployment.environment.name=prod",
    )
)
OWN_PROVIDER = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(out=open("spans.txt", "w"))))
trace.set_tracer_provider(provider)
"""
TOOLS = (
    ("doctor", "--quick"),
    ("doctor", "--quick", "--json"),
    ("calls", "--limit", "200"),
    ("calls", "--limit", "200", "--json"),
    ("costs",),
    ("costs", "--json"),
    ("costs", "--by", "model,provider,service,run,error,operation,team.owner,api.key"),
    ("costs", "--csv", "--by", "requested"),
)


def leaks(text: str | bytes) -> list[str]:
    """What stands around each planted text."""
    shown = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    low = shown.lower()
    return [shown[max(0, at - 60) : at + 30] for at in range(len(low)) if low.startswith(MARK, at)]


@pytest.mark.parametrize("way", ["embedded", "endpoint", "down", "own provider", "hash"])
def test_no_planted_secret_is_in_anything_that_is_written(
    way: str, run: Run, providers: ProviderServer, sink: Sink, tmp_path: Path
) -> None:
    """Every channel, every surface, echoing errors: OTLP bytes, journal, store, stdout, stderr, and each tool's output."""
    script(providers)
    variables = {
        "OPENAI_API_KEY": OPENAI_KEY,
        "ANTHROPIC_API_KEY": ANTHROPIC_KEY,
        "GOOGLE_API_KEY": GOOGLE_KEY,
        "OTEL_RESOURCE_ATTRIBUTES": RESOURCE,
        "HEXR_STREAM_USAGE": f"sk-{MARK}-0123456789/x",
    }
    if way in ("endpoint", "hash"):
        variables["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://ann:{MARK}-pw@{sink.host}"
        variables["OTEL_EXPORTER_OTLP_HEADERS"] = f"x-key={MARK}-header"
        variables["HEXR_KEEP"] = "30d"
    if way == "hash":
        variables["HEXR_REDACT"] = "hash"
    if way == "down":
        variables |= collector_down()
        variables["OTEL_EXPORTER_OTLP_HEADERS"] = f"authorization=Bearer%20{MARK}-header"
        variables["HEXR_KEEP"] = "30d"
    if way == "own provider":
        (tmp_path / "site").mkdir()
        (tmp_path / "site" / "own.py").write_text(OWN_PROVIDER)
        variables["PYTHONPATH"] = str(tmp_path / "site")
        variables["OTEL_RESOURCE_ATTRIBUTES"] = "service.name=shop"  # its provider's own resource is not ours to change
    source = ("import own\n" if way == "own provider" else "") + PROGRAM
    done = run(source, **variables)
    assert done.returncode == 0, done.err
    made = int(done.out.split()[-1])
    written = {"stdout": done.out, "stderr": done.err, "otlp": b"".join(sink.bodies)}
    for path in (*done.store.rglob("*"), *tmp_path.glob("spans.txt")):
        if path.is_file():
            written[f"before the tools: {path.name}"] = path.read_bytes()
    for tool in TOOLS:
        shown = subprocess.run(
            [sys.executable, "-m", "hexr_instrument", *tool],
            env=clean_environment(HEXR_STORE=str(done.store), **variables),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        written[" ".join(tool)] = shown.stdout + shown.stderr
    for path in done.store.rglob("*"):
        if path.is_file():
            written[path.name] = path.read_bytes()
    written["stderr"] = "\n".join(line for line in done.err.splitlines() if ODD not in line)
    assert {name: found for name, text in written.items() if (found := leaks(text))} == {}
    calls = Store(done.store).calls(1000)
    assert len(calls) >= made, "each call was recorded, and those of the further surfaces"
    assert {"chat", "embeddings", "generate_content"} <= {call.facet.operation for call in calls}
    assert sum(call.facet.error is not None for call in calls) >= 3 * len(ECHOES) + 4
    tenants = {call.facet.tenant for call in calls}
    hashed = f"[email:{hashlib.sha256(b'ops@acme.com').hexdigest()[:12]}]"
    assert tenants == {hashed if way == "hash" else "ops@acme.com"}, "an identity stays, or is the same hash everywhere"
    if way in ("endpoint", "hash"):
        assert b"crew" in written["otlp"]
        assert b"deployment.environment.name" in written["otlp"]
    if way == "own provider":
        assert "chat gpt-4o" in (tmp_path / "spans.txt").read_text()
