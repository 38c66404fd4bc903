"""An agent behind FastAPI or Flask, instrumented by OpenTelemetry: KIND FD. It asks an LLM, with an instrumented httpx."""

from __future__ import annotations

import socket
import sys

from opentelemetry import trace
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider

if sys.argv[3] == "provider":
    trace.set_tracer_provider(TracerProvider())
HTTPXClientInstrumentor().instrument()

import httpx  # noqa: E402
from openai import OpenAI  # noqa: E402

listening = socket.socket(fileno=int(sys.argv[2]))


def answer() -> dict[str, str]:
    """Asks the LLM with the SDK, and a model of it by plain HTTP."""
    client = OpenAI()
    client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "hi"}])
    httpx.get(f"{client.base_url}elsewhere")
    return {"said": "hello"}


if sys.argv[1] == "fastapi":
    import uvicorn
    from fastapi import FastAPI
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

    app = FastAPI()
    app.get("/")(answer)
    FastAPIInstrumentor.instrument_app(app)
    uvicorn.Server(uvicorn.Config(app, log_level="error")).run([listening])
else:
    from flask import Flask
    from opentelemetry.instrumentation.flask import FlaskInstrumentor
    from werkzeug.serving import make_server

    web = Flask("agent")
    web.get("/")(answer)
    FlaskInstrumentor().instrument_app(web)
    make_server("127.0.0.1", 0, web, fd=listening.fileno()).serve_forever()
