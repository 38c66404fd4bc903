"""The server's side of a websocket (RFC 6455), and what OpenAI says on one: voice agents and responses.

Only what the demonstration and the tests need: whole text frames, no extensions, no fragments.
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from io import BufferedIOBase
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ..call import pick
from .routes import served
from .wire import JSON, Ask, Reply, compact, count, items, pieces
from .wire_responses import responses

HANG_UP = "hang up"
"""Instructions at which the connection is dropped in the middle of the answer."""
REFUSE = "refuse"
"""Instructions at which no answer is begun."""
_TEXT, _CLOSE, _PING, _PONG = 1, 8, 9, 10


def accept(key: str) -> str:
    """The `Sec-WebSocket-Accept` header for a client's key."""
    digest = hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11", usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


class Socket:
    """An accepted connection."""

    def __init__(self, reader: BufferedIOBase, writer: BufferedIOBase, heard: Callable[[bytes], None]) -> None:
        """Takes the two ends of the TCP connection, and who is told of each message of the client."""
        self._reader = reader
        self._writer = writer
        self._heard = heard

    def messages(self) -> Iterator[JSON]:
        """The client's messages, until it closes the connection."""
        while len(head := self._reader.read(2)) == 2:
            kind, size = head[0] & 15, head[1] & 127
            if size > 125:
                wide = size == 127
                (size,) = struct.unpack("!Q" if wide else "!H", self._reader.read(8 if wide else 2))
            mask = self._reader.read(4)
            data = bytes(byte ^ mask[at % 4] for at, byte in enumerate(self._reader.read(size)))
            if kind == _CLOSE:
                self._frame(_CLOSE, data)
                return
            if kind == _PING:
                self._frame(_PONG, data)
            elif kind == _TEXT:
                self._heard(data)
                yield json.loads(data)

    def send(self, message: Mapping[str, Any]) -> None:
        """One message."""
        self._frame(_TEXT, compact(message).encode())

    def _frame(self, kind: int, data: bytes) -> None:
        size = len(data)
        length = bytes([size]) if size < 126 else struct.pack("!BH", 126, size)
        if size >= 1 << 16:
            length = struct.pack("!BQ", 127, size)
        self._writer.write(bytes([128 | kind]) + length + data)
        self._writer.flush()


def realtime(socket: Socket, ask: Ask) -> Iterator[JSON]:
    """A voice agent: answers what it is asked, and every recording that is committed; yields each usage it bills."""
    query = parse_qs(urlsplit(ask.path).query)
    session: JSON = {"id": "sess_1", "type": "realtime", "model": served(query.get("model", [""])[0])}
    socket.send({"type": "session.created", "event_id": "event_1", "session": session})
    number = 0
    for message in socket.messages():
        kind = message.get("type")
        if kind == "session.update":
            session = {**session, **message["session"]}
            socket.send({"type": "session.updated", "event_id": "event_2", "session": session})
        elif kind == "input_audio_buffer.commit":
            number += 1
            item = {"type": "input_audio_buffer.committed", "item_id": f"item_{number}", "previous_item_id": None}
            socket.send({**item, "event_id": "event_3"})
            yield from _answer(socket, number, {})
            if pick(session, "audio", "input", "transcription", "model"):
                usage = {"type": "duration", "seconds": 3}
                socket.send(
                    {
                        "type": "conversation.item.input_audio_transcription.completed",
                        "event_id": "event_4",
                        "item_id": f"item_{number}",
                        "content_index": 0,
                        "transcript": "Hello.",
                        "usage": usage,
                    }
                )
                yield usage
        elif kind == "response.create":
            number += 1
            asked: JSON = message.get("response") or {}
            if asked.get("instructions") == REFUSE:
                fault = {"type": "invalid_request_error", "code": "conversation_already_has_active_response"}
                socket.send({"type": "error", "event_id": "event_5", "error": {**fault, "message": "Wait."}})
                continue
            yield from _answer(socket, number, asked)
            if asked.get("instructions") == HANG_UP:
                return


def _answer(socket: Socket, number: int, asked: Mapping[str, Any]) -> Iterator[JSON]:
    identifier = f"resp_{number}"
    opened: JSON = {
        "id": identifier,
        "object": "realtime.response",
        "status": "in_progress",
        "status_details": None,
        "output": [],
        "conversation_id": "conv_1",
        "usage": None,
    }
    socket.send({"type": "response.created", "event_id": "event_6", "response": opened})
    place = {"response_id": identifier, "item_id": f"answer_{number}", "output_index": 0, "content_index": 0}
    for piece in pieces("Plain words travel further."):
        socket.send({"type": "response.output_text.delta", "event_id": "event_7", **place, "delta": piece})
    if asked.get("instructions") == HANG_UP:
        return
    said = 100 + count(asked.get("instructions"))
    usage: JSON = {
        "total_tokens": said + 60,
        "input_tokens": said,
        "output_tokens": 60,
        "input_token_details": {
            "text_tokens": said - 60,
            "audio_tokens": 60,
            "image_tokens": 0,
            "cached_tokens": 40,
            "cached_tokens_details": {"text_tokens": 20, "audio_tokens": 20, "image_tokens": 0},
        },
        "output_token_details": {"text_tokens": 20, "audio_tokens": 40},
    }
    done = {**opened, "status": "completed", "usage": usage}
    yield usage
    socket.send({"type": "response.done", "event_id": "event_8", "response": done})


def response_socket(socket: Socket, ask: Ask) -> Iterator[JSON]:
    """Responses, one for each `response.create`; yields each usage it bills."""
    for number, message in enumerate(socket.messages()):
        lane = {"stream_id": message["stream_id"]} if "stream_id" in message else {}
        if message.get("type") != "response.create" or message.get("instructions") == REFUSE:
            fault = {"type": "invalid_request_error", "code": "invalid_value", "message": "No.", "param": None}
            socket.send({"type": "error", "status": 400, "error": fault, **lane})
            continue
        model = str(message.get("model"))
        body: JSON = {**message, "stream": True}
        answer = responses(
            replace(ask, body=body, model=model, served=served(model), number=1000 * ask.number + number), Reply()
        )
        cut = message.get("instructions") == HANG_UP
        for at, event in enumerate(answer.events or ()):
            if cut and at == 4:
                return
            if at == answer.usage_event and answer.usage is not None:
                yield dict(answer.usage)
            if isinstance(event, Mapping):
                socket.send({**event, **lane})


def live(socket: Socket, ask: Ask) -> Iterator[JSON]:
    """Google's live session: answers each turn and each tool's result; yields each usage it bills."""
    socket_messages = socket.messages()
    setup = pick(next(socket_messages, None), "setup")
    socket.send({"setupComplete": {}})
    tools = items(setup, "tools")
    for message in socket_messages:
        said = pick(message, "client_content")  # the API takes both spellings, the SDK sends this one
        turns = items(said, "turns")
        answered = pick(message, "tool_response") is not None
        if not answered and (pick(said, "turn_complete") or pick(said, "turnComplete")) is not True:
            continue
        prompt = 10 + sum(count(turn) for turn in turns)
        if tools and not answered:
            usage = _live_usage(prompt, 50)
            call = {"id": "call_1", "name": "weather", "args": {"city": "Rome"}}
            socket.send({"toolCall": {"functionCalls": [call]}, "usageMetadata": usage})
            yield usage
            continue
        for piece in ("Good ", "day."):
            socket.send({"serverContent": {"modelTurn": {"role": "model", "parts": [{"text": piece}]}}})
        usage = _live_usage(prompt, 20)
        socket.send({"serverContent": {"generationComplete": True}})
        socket.send({"serverContent": {"turnComplete": True}, "usageMetadata": usage})
        yield usage


def _live_usage(asked: int, said: int) -> JSON:
    return {
        "promptTokenCount": asked,
        "responseTokenCount": said,
        "totalTokenCount": asked + said,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": asked}],
        "responseTokensDetails": [{"modality": "TEXT", "tokenCount": said}],
    }
