"""A vendor's API on 127.0.0.1: what all of them share."""

from __future__ import annotations

import json
import ssl
import threading
from types import TracebackType
from typing import Any

from support import Done

from hexr_instrument.demo.loopback import LoopbackHandler, LoopbackServer
from hexr_instrument.demo.providers import Received

WORDS = ["Cats ", "purr ", "all day."]


def tokens(*texts: Any) -> int:
    """Ten for every word."""
    return 10 * sum(len(each.split()) for each in texts if isinstance(each, str))


def spent(calls: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Operation, models, tokens and how it was priced, of each call."""
    return [
        (
            call["op"],
            call.get("served") or call.get("model"),
            call.get("usage", {}).get("input"),
            call.get("usage", {}).get("output"),
            call["cost_status"],
        )
        for call in calls
    ]


class VendorServer:
    """One vendor on a port of 127.0.0.1, from construction to `close()`: `answer(handler, path, body)` is its API."""

    def __init__(self, handler: type[VendorHandler], tls: ssl.SSLContext | None = None) -> None:
        """Listen on any free port; over TLS, if there is a key for it."""
        self.requests: list[Received] = []
        self._lock = threading.Lock()
        vendor = self

        class Handler(handler):
            server_of = vendor

        self._server = LoopbackServer(Handler)
        self._scheme = "http" if tls is None else "https"
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)

    @property
    def url(self) -> str:
        """The root, without a trailing slash."""
        return self._server.url.replace("http", self._scheme, 1)

    def clear(self) -> None:
        """Forgets what was asked."""
        self.requests = []

    def note(self, received: Received) -> int:
        """Keeps one request; its number."""
        with self._lock:
            self.requests.append(received)
            return len(self.requests)

    def __enter__(self) -> VendorServer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.close()


class VendorHandler(LoopbackHandler):
    """Reads JSON requests; answers JSON or server-sent events."""

    server_of: VendorServer
    streamed = "text/event-stream"
    reason = "message"

    def do_POST(self) -> None:
        """Notes one request, and answers it."""
        raw = self.read_body()
        try:
            body = json.loads(raw) if raw else {}
        except ValueError:
            body = {}
        received = Received(self.command, self.path, self.lower_headers(), raw, body)
        self.number = self.server_of.note(received)
        model = str(body.get("model") or body.get("agent_id") or "")
        if model.startswith("error-"):
            self.whole({self.reason: f"model '{model}' is broken"}, int(model[6:9]))
        else:
            self.answer(self.path.partition("?")[0], body, model)

    def answer(self, path: str, body: dict[str, Any], model: str) -> None:
        """Answers one request."""
        raise NotImplementedError

    def whole(self, answer: Any, status: int = 200) -> None:
        """A JSON answer."""
        self.send_whole(status, {"content-type": "application/json"}, json.dumps(answer).encode())

    def events(self, events: list[Any], *, named: bool = False, done: bool = True, cut: bool = False) -> None:
        """Server-sent events; `cut` breaks off before the last one."""
        self.send_head(200, {"content-type": self.streamed, "transfer-encoding": "chunked"})
        for each in events[:-1] if cut else events:
            self.line((f"event: {each['type']}\n" if named else "") + f"data: {json.dumps(each)}\n\n")
        if cut:
            self.close_connection = True
            return
        if done:
            self.line("data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def lines(self, events: list[Any]) -> None:
        """A JSON text on each line."""
        self.send_head(200, {"content-type": "application/stream+json", "transfer-encoding": "chunked"})
        for each in events:
            self.line(json.dumps(each) + "\n")
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def line(self, text: str) -> None:
        """One piece of a body in chunks."""
        self.wfile.write(b"%x\r\n%s\r\n" % (len(text.encode()), text.encode()))
        self.wfile.flush()


DIRECT = """
import asyncio
from hexr import hexr_llm


def said(answer):
    usage = answer.usage
    cost = answer.cost_usd
    return len(answer.text.split()) > 2, answer.provider, usage and (usage.input, usage.output), cost and cost > 0


def asked(**ask):
    ask |= dict(prompt="Do cats purr?", system="Be brief.")
    print(said(hexr_llm(**ask, role="writer", temperature=0.5)))
    stream = hexr_llm(**ask, stream=True)
    print(len(list(stream)) > 1, said(stream.response))

    async def main():
        print(said(await hexr_llm.aio(**ask, role="editor")))
        stream = await hexr_llm.aio(**ask, stream=True)
        print(len([piece async for piece in stream]) > 1, said(stream.response))

    asyncio.run(main())


"""
"""`asked(provider=, model=, ...)`: a direct call in its four ways; prints whether it has words, provider, tokens, and whether it has a cost."""


def direct(done: Done, provider: str, tokens: tuple[int, int], cost: bool | None) -> list[dict[str, Any]]:
    """The records of such a program, which has printed the same answer in each way."""
    assert done.returncode == 0, done.err
    said = (True, provider, tokens, cost)
    assert done.out.splitlines() == [str(said), f"True {said}"] * 2
    assert [call.get("role") for call in done.calls] == ["writer", None, "editor", None]
    assert [bool(call.get("stream")) for call in done.calls] == [False, True, False, True]
    return done.calls
