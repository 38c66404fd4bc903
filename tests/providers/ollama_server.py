"""A loopback Ollama: chat, generate and embeddings as its API documents them, ten tokens for every word.

Models: `error-500` answers with that status, `mid-error` ends its stream with an error, `cut` breaks it off, `warm` says
nothing of the prompt's tokens (as Ollama did for a cached one).
"""

from __future__ import annotations

import json
import threading
from types import TracebackType
from typing import Any

from hexr_instrument.demo.loopback import LoopbackHandler, LoopbackServer
from hexr_instrument.demo.providers import Received

WORDS = ["Cats ", "purr ", "all day."]
TOOL = {"id": "call_1", "function": {"name": "weather", "arguments": {"city": "Bonn"}}}


def _tokens(body: dict[str, Any]) -> int:
    said = [body.get("prompt"), body.get("system"), *(each.get("content") for each in body.get("messages") or ())]
    asked = body.get("input")
    said += asked if isinstance(asked, list) else [asked]
    return 10 * sum(len(each.split()) for each in said if each)


class OllamaServer:
    """Serves from construction to `close()`."""

    def __init__(self) -> None:
        """Listen on any free port."""
        self.requests: list[Received] = []
        self._lock = threading.Lock()
        ollama = self

        class Handler(_Handler):
            server_of = ollama

        self._server = LoopbackServer(Handler)

    @property
    def url(self) -> str:
        """`OLLAMA_HOST`."""
        return self._server.url

    def clear(self) -> None:
        """Forgets what was asked."""
        self.requests = []

    def note(self, received: Received) -> None:
        """Keeps one request."""
        with self._lock:
            self.requests.append(received)

    def __enter__(self) -> OllamaServer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.close()


class _Handler(LoopbackHandler):
    server_of: OllamaServer

    def do_GET(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        raw = self.read_body()
        body = json.loads(raw) if raw else {}
        self.server_of.note(Received(self.command, self.path, self.lower_headers(), raw, body))
        model = body.get("model", "")
        if model.startswith("error-"):
            self._whole({"error": f"model '{model}' is broken"}, int(model[6:]))
        elif self.path == "/api/tags":
            self._whole({"models": []})
        elif self.path == "/api/embed":
            vectors = [[0.5, 0.25]] * (len(body["input"]) if isinstance(body["input"], list) else 1)
            self._whole({"model": model, "embeddings": vectors, **_times(), "prompt_eval_count": _tokens(body)})
        elif self.path == "/api/embeddings":
            self._whole({"embedding": [0.5, 0.25]})
        elif self.path == "/v1/systemone":
            answers = {name: {"type": "noul", "noul": 0.75} for name in body["questions"]}
            self._whole({"model": model, "answers": answers, "usage": {"input_tokens": 70, "output_tokens": 10}})
        elif not body.get("messages") and not body.get("prompt"):
            said = {"message": {"role": "assistant", "content": ""}} if self.path == "/api/chat" else {"response": ""}
            self._whole({"model": model, **said, "done": True, "done_reason": "load"})
        else:
            self._answer(model, body)

    def _answer(self, model: str, body: dict[str, Any]) -> None:
        end = {**_times(), "prompt_eval_count": _tokens(body), "eval_count": 10 * len(WORDS)}
        if model == "warm":
            del end["prompt_eval_count"]
        if not body.get("stream"):
            self._whole({**self._piece(model, "".join(WORDS), body), "done": True, "done_reason": "stop", **end})
            return
        self.send_head(200, {"content-type": "application/x-ndjson", "transfer-encoding": "chunked"})
        for word in WORDS:
            self._line(self._piece(model, word, body))
        if model == "mid-error":
            self._line({"error": "the model ran out of memory"})
        elif model == "cut":
            self.close_connection = True
            return
        else:
            self._line({**self._piece(model, "", body), "done": True, "done_reason": "stop", **end})
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def _piece(self, model: str, said: str, body: dict[str, Any]) -> dict[str, Any]:
        piece: dict[str, Any] = {"model": model, "created_at": "2026-11-23T12:00:00.5Z", "done": False}
        if self.path == "/api/generate":
            return piece | {"response": said}
        message: dict[str, Any] = {"role": "assistant", "content": said}
        if body.get("think") and said:
            message["thinking"] = "Hm. "
        if body.get("tools") and said.startswith("Cats"):
            message["tool_calls"] = [TOOL]
        return piece | {"message": message}

    def _line(self, piece: dict[str, Any]) -> None:
        line = json.dumps(piece).encode() + b"\n"
        self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
        self.wfile.flush()

    def _whole(self, answer: dict[str, Any], status: int = 200) -> None:
        self.send_whole(status, {"content-type": "application/json"}, json.dumps(answer).encode())


def _times() -> dict[str, int]:
    return {"total_duration": 5_000_000, "load_duration": 1_000_000, "prompt_eval_duration": 1_000_000}
