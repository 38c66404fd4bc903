"""A loopback Mistral: the answers of its API in the shapes of the SDK's own types, ten tokens for every word."""

from __future__ import annotations

import json
import threading
from types import TracebackType
from typing import Any

from hexr_instrument.demo.loopback import LoopbackHandler, LoopbackServer
from hexr_instrument.demo.providers import Received

WORDS = ["Cats ", "purr ", "all day."]


def _tokens(*texts: Any) -> int:
    return 10 * sum(len(each.split()) for each in texts if isinstance(each, str))


class VendorServer:
    """One vendor on a port of 127.0.0.1, from construction to `close()`: `answer(handler, path, body)` is its API."""

    def __init__(self, handler: type[VendorHandler]) -> None:
        """Listen on any free port."""
        self.requests: list[Received] = []
        self._lock = threading.Lock()
        vendor = self

        class Handler(handler):
            server_of = vendor

        self._server = LoopbackServer(Handler)

    @property
    def url(self) -> str:
        """The root, without a trailing slash."""
        return self._server.url

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
            self.whole({"message": f"model '{model}' is broken"}, int(model[6:9]))
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

    def line(self, text: str) -> None:
        """One piece of a body in chunks."""
        self.wfile.write(b"%x\r\n%s\r\n" % (len(text.encode()), text.encode()))
        self.wfile.flush()


class MistralHandler(VendorHandler):
    """Models: `error-429` answers with that status, `cut` breaks its stream off, `thinker` thinks aloud."""

    def answer(self, path: str, body: dict[str, Any], model: str) -> None:
        """By the end of the path."""
        head = {"id": f"cmpl-{self.number}", "created": 1795176000, "model": model}
        if path.endswith("/conversations") or "/conversations/" in path:
            self._conversation(body, model or "mistral-medium-2508")
        elif path.endswith("/embeddings"):
            inputs = body["input"] if isinstance(body["input"], list) else [body["input"]]
            data = [{"object": "embedding", "index": at, "embedding": [0.5, 0.25]} for at in range(len(inputs))]
            spent = {"prompt_tokens": _tokens(*inputs), "completion_tokens": 0, "total_tokens": _tokens(*inputs)}
            self.whole({"object": "list", "data": data, "usage": spent, **head})
        else:
            self._completion(body, head)

    def _completion(self, body: dict[str, Any], head: dict[str, Any]) -> None:
        asked = _tokens(body.get("prompt"), body.get("suffix"), *(each["content"] for each in body.get("messages", ())))
        spent: dict[str, Any] = {"prompt_tokens": asked, "completion_tokens": 30, "total_tokens": asked + 30}
        if "agent_id" in body:
            head["model"] = "mistral-large-2512"
        if head["model"] == "thinker":
            spent["prompt_tokens_details"] = {"cached_tokens": 10}
            spent["service_tier"] = "standard"
        said = "".join(WORDS) if not body.get("response_format") else '{"sound": "purr"}'
        if not body.get("stream"):
            message = {"role": "assistant", "content": said, "tool_calls": None, "prefix": False}
            choice = {"index": 0, "finish_reason": "stop", "message": message}
            self.whole({"object": "chat.completion", "choices": [choice], "usage": spent, **head})
            return
        pieces: list[Any] = list(WORDS) if not body.get("response_format") else [said]
        if head["model"] == "thinker":
            pieces.insert(0, [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}])
        deltas = [{"role": "assistant", "content": ""}, *({"content": each} for each in pieces)]
        events: list[dict[str, Any]] = [
            {"object": "chat.completion.chunk", **head, "choices": [{"index": 0, "delta": each, "finish_reason": None}]}
            for each in deltas
        ]
        last = {"index": 0, "delta": {"content": ""}, "finish_reason": "stop"}
        events.append({"object": "chat.completion.chunk", **head, "choices": [last], "usage": spent})
        self.events(events, cut=head["model"] == "cut")

    def _conversation(self, body: dict[str, Any], model: str) -> None:
        asked = _tokens(body["inputs"])
        spent: dict[str, Any] = {"prompt_tokens": asked, "completion_tokens": 30, "total_tokens": asked + 30}
        if body.get("tools"):
            spent |= {"connector_tokens": 500, "connectors": {"web_search": 1}, "total_tokens": asked + 530}
        entry = {"id": f"msg_{self.number}", "type": "message.output", "role": "assistant", "model": model}
        if not body.get("stream"):
            made = {**entry, "object": "entry", "content": "".join(WORDS)}
            answer = {"object": "conversation.response", "conversation_id": "conv_1", "outputs": [made], "usage": spent}
            self.whole(answer)
            return
        pieces = [{**entry, "type": "message.output.delta", "content": each} for each in WORDS]
        started = {"type": "conversation.response.started", "conversation_id": "conv_1"}
        ended = {"type": "conversation.response.done", "usage": spent}
        self.events([started, *pieces, ended], named=True, done=False)
