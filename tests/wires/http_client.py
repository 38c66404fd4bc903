"""An agent that asks others by plain HTTP: LIBRARY URL. OpenTelemetry's instrumentation of the library is on."""

from __future__ import annotations

import asyncio
import sys

from opentelemetry import trace
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.sdk.trace import TracerProvider

from hexr import hexr_agent

if sys.argv[3] == "provider":
    trace.set_tracer_provider(TracerProvider())
HTTPXClientInstrumentor().instrument()
RequestsInstrumentor().instrument()

import httpx  # noqa: E402
import requests  # noqa: E402


async def get(url: str) -> str:
    """With an asynchronous client."""
    async with httpx.AsyncClient(timeout=60) as client:
        return (await client.get(url)).text


with hexr_agent("planner", tenant="acme"):
    library, url = sys.argv[1:3]
    how = {
        "requests": lambda: requests.get(url).text,
        "httpx": lambda: httpx.get(url, timeout=60).text,
        "async": lambda: asyncio.run(get(url)),
    }
    print(how[library]())
