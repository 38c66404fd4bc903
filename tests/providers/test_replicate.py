"""Replicate's own SDK: predictions that are waited for, polled and streamed, bare and recorded."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from providers.vendor import WORDS, VendorHandler, VendorServer, spent, tokens
from support import Done, Run, alike

PROGRAM = """
import asyncio, os
import replicate
from replicate import Client

PROMPT = {"prompt": "Do cats purr?", "temperature": 0.5, "max_tokens": 99}


def shown(name, make):
    try:
        print(name, make())
    except Exception as error:
        print(name, type(error).__mro__, error)


def said(stream):
    print(type(stream).__name__)
    return [str(event) for event in stream]


client = Client("k", base_url=os.environ["REPLICATE_BASE_URL"])
shown("waits", lambda: client.run("meta/llama", input=PROMPT))
shown("polls", lambda: client.run("meta/llama", input=PROMPT, wait=False))
shown("module's", lambda: replicate.run("meta/llama", input=PROMPT))
made = client.predictions.create(version="abc", input=PROMPT)
print(made.status)
made.reload()
made.reload()
print(made.status, made.output, made.metrics)
shown("draws", lambda: client.run("black-forest/flux", input=PROMPT, use_file_output=False))
shown("stream", lambda: said(client.stream("meta/llama", input=PROMPT)))
shown("cut", lambda: said(client.stream("meta/cut", input=PROMPT)))
half = client.stream("meta/llama", input=PROMPT)
print(str(next(half)))
half.close()
shown("apart", lambda: said(client.models.predictions.create("meta/llama", input=PROMPT, stream=True).stream()))
shown("error", lambda: client.run("error/422", input=PROMPT))
shown("stream error", lambda: said(client.stream("error/422", input=PROMPT)))
shown("fails", lambda: client.run("meta/fails", input=PROMPT))
shown("other", lambda: client.predictions.cancel("p1").status)


async def main():
    client = Client("k", base_url=os.environ["REPLICATE_BASE_URL"])
    print(await client.async_run("meta/llama", input=PROMPT, wait=False))
    print([str(event) async for event in await client.async_stream("meta/llama", input=PROMPT)])


asyncio.run(main())
"""
HANDLES = """
import os
from replicate import Client
from hexr import hexr_llm

client = Client("k", base_url=os.environ["REPLICATE_BASE_URL"])
writer = hexr_llm(client, role="writer")
assert type(writer) is Client
print(writer.run("meta/llama", input={"prompt": "hi"}), [str(each) for each in writer.stream("meta/llama", input={})])
client.run("meta/llama", input={"prompt": "hi"})
"""


class ReplicateHandler(VendorHandler):
    """Predictions as Replicate's HTTP reference has them: `Prefer: wait` keeps the request, others are polled."""

    reason = "detail"

    def answer(self, path: str, body: dict[str, Any], model: str) -> None:
        """A prediction is made, or cancelled."""
        named = path.removesuffix("/predictions").removeprefix("/v1/models/")
        named = "meta/llama" if named == "/v1" else named
        if named == "error/422":
            self.whole({"title": "Input validation failed", "status": 422, "detail": "no"}, 422)
            return
        if path.endswith("/cancel"):
            self.whole(self.prediction("meta--llama--0", "canceled"))
            return
        waits = "prefer" in self.lower_headers()
        identity = f"{named.replace('/', '--')}--{self.number}"
        self.whole(self.prediction(identity, "processing" if waits else "starting", over=waits), 201)

    def do_GET(self) -> None:
        """A prediction is polled, or its stream read."""
        path = self.path.partition("?")[0]
        identity = path.rpartition("/")[2]
        if path.startswith("/stream/"):
            self.send_head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"})
            for number, word in enumerate(WORDS):
                self.line(f"event: output\nid: {number}\ndata: {word}\n\n")
            if "cut" in identity:
                self.close_connection = True
                return
            self.line("event: done\nid: 9\ndata: {}\n\n")
            self.wfile.write(b"0\r\n\r\n")
            self.wfile.flush()
            return
        self.whole(self.prediction(identity, "succeeded", over=True))

    def prediction(self, identity: str, status: str, *, over: bool = False) -> dict[str, Any]:
        """A prediction in one status, or `over`: as it ended."""
        model = "/".join(identity.split("--")[:2])
        words, fails = "flux" not in model, "fails" in model
        found: dict[str, Any] = {
            "id": identity,
            "model": model,
            "version": "v1",
            "status": ("failed" if fails else "succeeded") if over else status,
            "input": {"prompt": "Do cats purr?"},
            "output": None,
            "logs": "",
            "error": "out of memory" if over and fails else None,
            "metrics": {},
            "created_at": "2026-11-20T12:00:00Z",
            "urls": {"get": "", "cancel": "", "stream": f"{self.server_of.url}/stream/{identity}"},
        }
        if over:
            found["output"] = WORDS if words else ["https://replicate.delivery/a.png"]
            found["metrics"] = {
                "predict_time": 1.5,
                **(
                    {"input_token_count": tokens("Do cats purr?"), "output_token_count": tokens(*WORDS)}
                    if words
                    else {"image_count": 1}
                ),
            }
        return found


@pytest.fixture
def server() -> Iterator[VendorServer]:
    """A loopback Replicate."""
    with VendorServer(ReplicateHandler) as server:
        yield server


@pytest.fixture
def ask(run: Run, server: VendorServer) -> Callable[..., Done]:
    """Runs a program against it."""
    environ = {"REPLICATE_BASE_URL": server.url, "REPLICATE_API_TOKEN": "k", "REPLICATE_POLL_INTERVAL": "0.01"}
    return lambda source, **more: run(source, **environ, **more)


@pytest.mark.surface("replicate", "predictions", "sync", "async")
@pytest.mark.surface("replicate", "predictions stream", "sync", "async")
def test_every_prediction_is_one_record_and_unchanged(ask: Run, server: VendorServer) -> None:
    """Waited for, polled, streamed, failed: seen and sent as bare, one record each, when it is seen to end."""
    done = alike(ask, server, PROGRAM, server.clear)
    assert spent(done.calls) == [
        ("generate_content", "meta/llama", 30, 40, "unpriced"),
        ("generate_content", "meta/llama", 30, 40, "unpriced"),
        ("generate_content", "meta/llama", 30, 40, "unpriced"),
        ("generate_content", "meta/llama", 30, 40, "unpriced"),
        ("generate_content", "black-forest/flux", None, None, "no_usage"),
        ("generate_content", "meta/llama", None, None, "no_usage"),
        ("generate_content", "meta/cut", None, None, "partial"),
        ("generate_content", "meta/llama", None, None, "partial"),
        ("generate_content", "meta/llama", None, None, "no_usage"),
        ("generate_content", "error/422", None, None, "no_usage"),
        ("generate_content", "error/422", None, None, "no_usage"),
        ("generate_content", "meta/fails", 30, 40, "unpriced"),
        ("generate_content", "meta/llama", 30, 40, "unpriced"),
        ("generate_content", "meta/llama", None, None, "no_usage"),
    ]
    first = done.calls[0]
    assert (first["provider"], first["params"]) == ("replicate", {"temperature": 0.5, "max_tokens": 99})
    assert [call["status"] for call in done.calls if "status" in call] == [422, 422]
    assert "first_chunk" in json.dumps(done.calls[5])


def test_a_registered_client_carries_its_role(ask: Run) -> None:
    """Its calls have the role, those of the client that it was made from have none."""
    done = ask(HANDLES)
    assert done.returncode == 0, done.err
    assert [call.get("role") for call in done.calls] == ["writer", "writer", None]
