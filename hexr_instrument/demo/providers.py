"""A loopback server that speaks the wire of OpenAI, Anthropic and Google, so that their SDKs run against it.

`python -m hexr_instrument.demo.providers` runs it and prints what to export. The answers to unscripted
requests, and their token counts, are derived from the request (`wire.py` has the rule). A model named like
`error-429` provokes that status, and one that ends in `-does-not-exist` the provider's 404.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shlex
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any
from urllib.parse import unquote

from ..call import pick
from . import sockets, wire_media
from .loopback import LoopbackHandler, LoopbackServer
from .routes import OPENAI, RESPONSES, provoked, route, served
from .wire import JSON, NO_USAGE, Answer, Ask, Reply, Wire, compact
from .wire_responses import events_of

__all__ = ["NO_USAGE", "ProviderServer", "Received", "Reply", "Sent"]


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it arrived, or one message on a websocket."""

    method: str
    """`MESSAGE` for what is no request."""
    path: str
    """With the query."""
    headers: Mapping[str, str]
    """By lower-case name."""
    raw: bytes
    body: Any
    """The parsed JSON; None if it is none."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One billed answer, noted before its first byte; one that breaks before its usage is not here."""

    route: str
    requested: str
    served: str
    usage: Mapping[str, Any] | None
    """As this provider spells it; None for an answer that carries none."""
    stream: bool = False


class ProviderServer:
    """The three providers on one port of 127.0.0.1, from construction to `close()`."""

    def __init__(self, port: int = 0) -> None:
        """Listen on `port`, or on any free one."""
        self._lock = threading.Condition()
        self._requests: list[Received] = []
        self._sent: list[Sent] = []
        self._scripts: list[tuple[str | None, Reply]] = []
        self._stored: dict[str, list[JSON]] = {}
        self._due: dict[str, Sent] = {}
        self._number = 0
        provider = self

        class Handler(_ProviderHandler):
            server_of = provider

        self._server = LoopbackServer(Handler, port)

    @property
    def url(self) -> str:
        """The root, without a trailing slash."""
        return self._server.url

    @property
    def openai(self) -> str:
        """`base_url` of the OpenAI SDK."""
        return self.url + "/v1"

    @property
    def anthropic(self) -> str:
        """`base_url` of the Anthropic SDK."""
        return self.url

    @property
    def google(self) -> str:
        """`http_options.base_url` of the Google SDK."""
        return self.url

    def environment(self) -> dict[str, str]:
        """Variables under which an unmodified program talks to this server, with keys that are no keys."""
        exempt = os.environ.get("NO_PROXY") or os.environ.get("no_proxy")
        no_proxy = f"{exempt},127.0.0.1" if exempt else "127.0.0.1"
        return {
            "OPENAI_BASE_URL": self.openai,
            "OPENAI_API_KEY": "sk-fake-hexr-demo-0000",
            "ANTHROPIC_BASE_URL": self.anthropic,
            "ANTHROPIC_API_KEY": "sk-ant-fake-hexr-demo-0000",
            "GOOGLE_GEMINI_BASE_URL": self.google,
            "GOOGLE_VERTEX_BASE_URL": self.google,
            # Every google-genai reads this name, and warns where the other one is set beside it.
            "GOOGLE_API_KEY": "fake-hexr-demo-0000",
            "GEMINI_API_KEY": "",
            # A project of the user's must not win here.
            "GOOGLE_GENAI_USE_VERTEXAI": "false",
            "GOOGLE_GENAI_USE_ENTERPRISE": "false",
            "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": self.url,
            "AWS_ACCESS_KEY_ID": "AKIAFAKEHEXRDEMO0000",
            "AWS_SECRET_ACCESS_KEY": "fake-hexr-demo-0000",
            "AWS_SESSION_TOKEN": "",
            "AWS_DEFAULT_REGION": "us-east-1",
            "NO_PROXY": no_proxy,
            "no_proxy": no_proxy,
        }

    def script(self, *replies: Reply, route: str | None = None) -> None:
        """Answer the next requests with `replies`, one each, in order.

        Args:
            replies: What to answer.
            route: Only requests whose path ends so, such as `/chat/completions`; None is any.
        """
        with self._lock:
            self._scripts += [(route, reply) for reply in replies]

    def reply(self, *, route: str | None = None, times: int = 1, **fields: Any) -> None:
        """Answer the next `times` requests with `Reply(**fields)`."""
        self.script(*[Reply(**fields)] * times, route=route)

    def clear(self) -> None:
        """Forget all requests, answers and scripts."""
        with self._lock:
            self._requests.clear()
            self._sent.clear()
            self._scripts.clear()

    @property
    def requests(self) -> list[Received]:
        """What arrived so far, in order."""
        with self._lock:
            return list(self._requests)

    @property
    def sent(self) -> list[Sent]:
        """What was billed so far, in order."""
        with self._lock:
            return list(self._sent)

    def wait(self, requests: int, timeout: float = 10.0) -> list[Received]:
        """The requests, as soon as there are that many.

        Raises:
            TimeoutError: There are fewer after `timeout` seconds.
        """
        with self._lock:
            if not self._lock.wait_for(lambda: len(self._requests) >= requests, timeout):
                raise TimeoutError(f"{len(self._requests)} of {requests} requests arrived in {timeout} s")
            return list(self._requests)

    def close(self) -> None:
        """Stop, and drop the connections that clients keep alive."""
        self._server.close()

    def __enter__(self) -> ProviderServer:
        """The server itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    # ---- For the handler ----------------------------------------------------------------------------------

    def receive(self, received: Received) -> tuple[int, Reply | None]:
        """Note a request: its number, and the reply that was scripted for it."""
        path = received.path.partition("?")[0]
        with self._lock:
            self._number += 1
            self._requests.append(received)
            self._lock.notify_all()
            for at, (route, reply) in enumerate(self._scripts):
                if route is None or path.endswith(route):
                    del self._scripts[at]
                    return self._number, reply
            return self._number, None

    def hear(self, received: Received) -> None:
        """Note a message on a websocket."""
        with self._lock:
            self._requests.append(received)
            self._lock.notify_all()

    def note(self, sent: Sent) -> None:
        """Note a billed answer."""
        with self._lock:
            self._sent.append(sent)

    def store(self, stages: Sequence[JSON], due: Sent | None = None) -> None:
        """Keep an answer for later GETs: its states, one after the other; `due` is billed with the last of them."""
        identifier = stages[0]["id"]
        with self._lock:
            self._stored[identifier] = list(stages)
            if due is not None:
                self._due[identifier] = due

    def stored(self, identifier: str) -> JSON | None:
        """The next state of an answer that was kept."""
        with self._lock:
            stages = self._stored.get(identifier)
            if not stages:
                return None
            if len(stages) == 1 and (due := self._due.pop(identifier, None)) is not None:
                self._sent.append(
                    replace(due, usage=stages[0].get("usage"), served=stages[0].get("model") or due.served)
                )
            return stages[0] if len(stages) == 1 else stages.pop(0)


_COLLECTIONS = ("/responses", "/chat/completions", "/batches", "/runs", "/videos")


class _ProviderHandler(LoopbackHandler):
    server_of: ProviderServer

    def do_GET(self) -> None:
        """A stored response or chat completion."""
        received, number, reply = self._receive()
        ask = self._ask(received, "", number, None)
        if self.headers.get("upgrade", "").lower() == "websocket":
            self._talk(ask)
            return
        if reply is not None and (reply.body is not None or reply.status != 200):
            self._answer(ask, OPENAI, reply, Answer(billed=False), reply.status)
            return
        path, _, query = received.path.partition("?")
        collection, _, identifier = path.rpartition("/")
        stored = self.server_of.stored(identifier)
        if stored is None or not collection.endswith(_COLLECTIONS):
            fault = {"message": f"No such object: {identifier}", "type": "invalid_request_error"}
            body = compact({"error": {**fault, "param": None, "code": None}}).encode()
            self.send_whole(404, {"content-type": "application/json", **OPENAI.headers(404, number)}, body)
        elif "stream=true" in query:
            opened: JSON = {**stored, "status": "in_progress", "output": [], "usage": None}
            events = events_of(opened, stored)
            self._answer(ask, RESPONSES, Reply(), Answer(events=events, billed=False), 200)
        else:
            self._answer(ask, OPENAI, Reply(), Answer(body=stored, billed=False), 200)

    def do_POST(self) -> None:
        """A call."""
        received, number, scripted = self._receive()
        wire, end = route(unquote(received.path.partition("?")[0]))
        ask = self._ask(received, end, number, scripted)
        reply = scripted or Reply(status=provoked(ask.model))
        status = reply.status
        if not reply.raw and status == 200:
            readable = isinstance(received.body, dict)
            status = 404 if not end else 200 if readable else 400
        answer = wire.routes[end](ask, reply) if end and status == 200 else Answer()
        self._answer(ask, wire, reply, answer, status)

    def do_DELETE(self) -> None:
        """Nothing is ever deleted, but it is allowed."""
        self._receive()
        self.send_whole(200, {"content-type": "application/json"}, b'{"deleted":true}')

    def _talk(self, ask: Ask) -> None:
        accepted = sockets.accept(self.headers.get("sec-websocket-key", ""))
        self.send_head(101, {"upgrade": "websocket", "connection": "Upgrade", "sec-websocket-accept": accepted})
        self.wfile.flush()
        path = ask.path.partition("?")[0]
        speak = sockets.realtime if path.endswith("/realtime") else sockets.response_socket
        if "BidiGenerateContent" in path:
            speak = sockets.live

        def heard(data: bytes) -> None:
            self.server_of.hear(Received("MESSAGE", path, {}, data, json.loads(data)))

        for usage in speak(sockets.Socket(self.rfile, self.wfile, heard), ask):
            self.server_of.note(Sent(path, ask.model, ask.served, usage, stream=True))
        self.close_connection = True

    def _receive(self) -> tuple[Received, int, Reply | None]:
        raw = self.read_body()
        try:
            body: Any = json.loads(raw) if raw else None
        except ValueError:  # a form, or nothing that can be read
            body = wire_media.form(raw, self.headers.get("content-type", ""))
        received = Received(self.command, self.path, self.lower_headers(), raw, body)
        return received, *self.server_of.receive(received)

    def _ask(self, received: Received, end: str, number: int, reply: Reply | None) -> Ask:
        readable = isinstance(received.body, dict)
        body: JSON = received.body if readable else {}
        in_path = re.search(
            r"/(?:(?:models|deployments)/([^/:?]+)|model/(.+)/[^/]+$)", unquote(received.path.partition("?")[0])
        )
        model = body.get("model") or (in_path and (in_path[1] or in_path[2])) or ""
        name = (reply and reply.model) or served(str(model))
        return Ask(received.path, end, body, received.headers, str(model), name, number, int(time.time()))

    def _answer(self, ask: Ask, wire: Wire, reply: Reply, answer: Answer, status: int) -> None:
        if answer.stored or answer.stages:
            due = None if answer.billed else Sent(ask.route, ask.model, ask.served, None)
            self.server_of.store(answer.stages or [answer.stored or {}], due)
        if reply.delay:
            time.sleep(reply.delay)
        headers = {**wire.headers(status, ask.number), **answer.headers}
        if reply.body is not None:
            usage = reply.usage or pick(reply.body, "usage") or pick(reply.body, "usageMetadata")
            answer = replace(answer, body=reply.body, usage=usage, billed=answer.billed and status == 200)
            self._whole(ask, reply, answer, status, headers)
        elif status != 200:
            self._whole(ask, reply, Answer(body=wire.error(status, ask), billed=False), status, headers)
        elif reply.chunks is not None:
            last = len(reply.chunks) - 1
            answer = replace(answer, events=reply.chunks, usage=reply.usage, usage_event=last)
            self._stream(ask, reply, answer, wire, headers)
        elif answer.events is not None:
            self._stream(ask, reply, answer, wire, headers)
        else:
            self._whole(ask, reply, answer, status, headers)

    def _whole(self, ask: Ask, reply: Reply, answer: Answer, status: int, headers: Mapping[str, str]) -> None:
        body = answer.body if isinstance(answer.body, bytes) else _text(answer.body).encode()
        if reply.gate is not None:
            reply.gate.wait()
        headers = {"content-type": answer.kind, **headers, **reply.headers}
        if reply.cut_after is None:
            self._bill(ask, answer, stream=False)
            self.send_whole(status, headers, body)
            return
        self.send_head(status, {**headers, "content-length": str(len(body))})
        self.wfile.write(body[: reply.cut_after])
        self.close_connection = True

    def _stream(self, ask: Ask, reply: Reply, answer: Answer, wire: Wire, headers: Mapping[str, str]) -> None:
        events = [_framed(wire, each) for each in answer.events or ()]
        ends = (reply.cut_after, reply.error_after, len(events))
        stop = min(end for end in ends if end is not None)
        failure: list[bytes] = []
        if reply.error_after is not None and answer.failure is not None:
            failure = [wire.frame(each) for each in answer.failure(stop)]
        if answer.usage_event < stop:
            self._bill(ask, answer, stream=True)
        head = {"content-type": wire.stream_type, "cache-control": "no-cache", **headers}
        # In chunks, as the real servers send: a connection that ends without the last one is an error.
        self.send_head(200, {**head, **reply.headers, "transfer-encoding": "chunked"})
        self.wfile.flush()
        for at, event in enumerate([*events[:stop], *failure]):
            if reply.gate is not None and at == reply.gate_after:
                reply.gate.wait()
            if reply.pause:
                time.sleep(reply.pause)
            self.wfile.write(b"%x\r\n%b\r\n" % (len(event), event))
            self.wfile.flush()
        if reply.cut_after is not None:
            self.close_connection = True
        else:
            self.wfile.write(b"0\r\n\r\n")
            self.wfile.flush()

    def _bill(self, ask: Ask, answer: Answer, *, stream: bool) -> None:
        if answer.billed:
            self.server_of.note(Sent(ask.route, ask.model, ask.served, answer.usage, stream))


def _framed(wire: Wire, chunk: bytes | str | Mapping[str, Any]) -> bytes:
    return chunk if isinstance(chunk, bytes) else wire.frame(chunk)


def _text(body: Any) -> str:
    return body if isinstance(body, str) else compact(body)


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m hexr_instrument.demo.providers",
        description="Loopback LLM providers: the wire of OpenAI, Anthropic and Google, without keys.",
    )
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: any free one)")
    port: int = parser.parse_args(arguments).port
    with contextlib.suppress(KeyboardInterrupt), ProviderServer(port) as server:
        lines = (f"export {name}={shlex.quote(value)}" for name, value in server.environment().items())
        print("\n".join(lines), flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
