"""The program that is measured: real SDKs on a transport of their own that answers at once.

`python program.py WHAT` prints one line of JSON. WHAT is `shapes` (CPU of the caller's thread for each shape of call), or
`count SHAPE TIMES` under valgrind (callgrind then counts the instructions of TIMES calls, thread by thread, apart from
those of `flush`). BENCH_START holds the lines that start a peer, BENCH_FLUSH those that define `flush`.
"""

import asyncio
import ctypes
import gc
import json
import mmap
import os
import sys
import time

exec(os.environ.get("BENCH_START", ""))

CHUNKS = 200
MODEL, CLAUDE, GEMINI = "gpt-4o", "claude-opus-4-6", "gemini-2.5-pro"
PROMPT = os.environ.get("BENCH_PROMPT", "hi")


def _events(items, named=False):
    lines = (f"event: {each['type']}\n" if named else "" for each in items)
    return "".join(f"{line}data: {json.dumps(each)}\n\n" for line, each in zip(lines, items))


USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
CHAT = {
    "id": "chatcmpl-12345678901234567890",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-2024-08-06",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
    "usage": USAGE,
}
_PART = {"id": CHAT["id"], "object": "chat.completion.chunk", "created": 1, "model": CHAT["model"]}
_DELTA = {**_PART, "choices": [{"index": 0, "delta": {"content": "word "}, "finish_reason": None}]}
_LAST = {**_PART, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
CHAT_STREAM = _events([_DELTA] * (CHUNKS - 1) + [_LAST, {**_PART, "choices": [], "usage": USAGE}]) + "data: [DONE]\n\n"
RESPONSE = {
    "id": "resp_12345678901234567890",
    "object": "response",
    "created_at": 1,
    "model": "gpt-4o-2024-08-06",
    "status": "completed",
    "output": [
        {
            "type": "message",
            "id": "m",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "hi", "annotations": []}],
        }
    ],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": {
        "input_tokens": 100,
        "output_tokens": 20,
        "total_tokens": 120,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    },
}
MESSAGE = {
    "id": "msg_12345678901234567890",
    "type": "message",
    "role": "assistant",
    "model": "claude-opus-4-6",
    "content": [{"type": "text", "text": "hi"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 100, "output_tokens": 20},
}
MESSAGE_STREAM = _events(
    [
        {"type": "message_start", "message": {**MESSAGE, "content": [], "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *[{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "word "}}] * CHUNKS,
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 20},
        },
        {"type": "message_stop"},
    ],
    named=True,
)
GENERATED = {
    "responseId": "r",
    "modelVersion": "gemini-2.5-pro",
    "candidates": [{"content": {"role": "model", "parts": [{"text": "hi"}]}, "finishReason": "STOP", "index": 0}],
    "usageMetadata": {"promptTokenCount": 100, "candidatesTokenCount": 20, "totalTokenCount": 120},
}


def _answer(httpx, request):
    path = str(request.url)
    if "/chat/" in path or "/messages" in path:
        if b'"stream":true' in request.content.replace(b" ", b""):
            text = CHAT_STREAM if "/chat/" in path else MESSAGE_STREAM
            return httpx.Response(200, text=text, headers={"content-type": "text/event-stream"})
        return httpx.Response(200, json=CHAT if "/chat/" in path else MESSAGE)
    return httpx.Response(200, json=RESPONSE if "/responses" in path else GENERATED)


def _library(client):
    """The HTTP library that an SDK's client is built on."""
    return sys.modules[type(client).__module__.partition(".")[0]]


def shapes(wanted):
    """Name -> a function that makes one such call, for the shapes that are wanted."""
    messages = [{"role": "user", "content": PROMPT}]
    found = {}
    if any(name in wanted for name in ("chat", "achat", "responses", "chat stream")):
        import openai

        base = next(k for k in openai.DefaultHttpxClient.__mro__ if k.__module__.startswith("httpx"))
        httpx = sys.modules[base.__module__.partition(".")[0]]
        transport = httpx.MockTransport(lambda request: _answer(httpx, request))
        common = {"api_key": "k", "base_url": "http://bench/v1"}
        client = openai.OpenAI(**common, http_client=httpx.Client(transport=transport))
        aclient = openai.AsyncOpenAI(**common, http_client=httpx.AsyncClient(transport=transport))
        loop = asyncio.new_event_loop()
        found["chat"] = lambda: client.chat.completions.create(model=MODEL, messages=messages)
        found["achat"] = lambda: loop.run_until_complete(
            aclient.chat.completions.create(model=MODEL, messages=messages)
        )
        found["responses"] = lambda: client.responses.create(model=MODEL, input=PROMPT)

        def stream():
            for _ in client.chat.completions.create(
                model=MODEL, messages=messages, stream=True, stream_options={"include_usage": True}
            ):
                pass

        found["chat stream"] = stream
    if any(name in wanted for name in ("messages", "messages stream")):
        import anthropic

        base = next(k for k in anthropic.DefaultHttpxClient.__mro__ if k.__module__.startswith("httpx"))
        ahttpx = sys.modules[base.__module__.partition(".")[0]]
        transport = ahttpx.MockTransport(lambda request: _answer(ahttpx, request))
        claude = anthropic.Anthropic(
            api_key="k", base_url="http://bench", http_client=ahttpx.Client(transport=transport)
        )
        asked = {"model": CLAUDE, "messages": messages, "max_tokens": 100}
        found["messages"] = lambda: claude.messages.create(**asked)

        def message_stream():
            for _ in claude.messages.create(**asked, stream=True):
                pass

        found["messages stream"] = message_stream
    if "generate" in wanted:
        from google import genai
        import google.genai._api_client as api

        ghttpx = getattr(api, "httpx2", None) or api.httpx
        transport = ghttpx.MockTransport(lambda request: _answer(ghttpx, request))
        options = {"base_url": "http://bench", "client_args": {"transport": transport}}
        gemini = genai.Client(api_key="k", http_options=options)
        found["generate"] = lambda: gemini.models.generate_content(model=GEMINI, contents=PROMPT)
    return {name: found[name] for name in wanted}


class Callgrind:
    """Requests to the callgrind that this process runs under: valgrind knows them by a row of instructions."""

    _CODE = bytes.fromhex("4889f8 4889f2 48c1c703 48c1c70d 48c1c73d 48c1c733 4887db 4889d0 c3".replace(" ", ""))
    ZERO, START, STOP, DUMP = (ord("C") << 24 | ord("T") << 16 | each for each in (1, 4, 5, 3))

    def __init__(self):
        self._page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        self._page.write(self._CODE)
        address = ctypes.addressof(ctypes.c_char.from_buffer(self._page))
        self._ask = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_void_p, ctypes.c_uint64)(address)

    def __call__(self, request, text=None):
        given = (ctypes.c_uint64 * 6)(request, ctypes.cast(text, ctypes.c_void_p).value if text else 0, 0, 0, 0, 0)
        self._ask(ctypes.addressof(given), 0)


def count(names, times):
    """Under callgrind: dumps named `SHAPE` for the calls, then `SHAPE flush` for what is left to be delivered."""
    exec(os.environ.get("BENCH_FLUSH", "def flush(): pass"), globals())
    calls = shapes(names)
    ask = Callgrind()
    for name, call in calls.items():
        many = max(1, times // 10) if "stream" in name else times
        for _ in range(3 if "stream" in name else 12):
            call()
        flush()
        gc.collect()
        gc.disable()
        gc.freeze()
        ask(Callgrind.START)
        ask(Callgrind.ZERO)
        call()  # what is translated once more, and caches that are cold again
        ask(Callgrind.ZERO)
        for _ in range(many):
            call()
        ask(Callgrind.DUMP, ctypes.c_char_p(name.encode()))
        flush()
        ask(Callgrind.DUMP, ctypes.c_char_p(f"{name} flush".encode()))
        ask(Callgrind.STOP)
        gc.enable()
        print(json.dumps({"shape": name, "times": many}), flush=True)
    os._exit(0)


def measure(names):
    """CPU of this thread in microseconds for each shape."""
    found = {}
    for name, call in shapes(names).items():
        times = 20 if "stream" in name else 200
        for _ in range(max(10, times // 5)):
            call()
        began = time.thread_time_ns()
        for _ in range(times):
            call()
        found[name] = (time.thread_time_ns() - began) / times / 1000
    print(json.dumps(found))


if __name__ == "__main__":
    if sys.argv[1] == "count":
        count(sys.argv[3:], int(sys.argv[2]))
    elif sys.argv[1] == "shapes":
        measure(sys.argv[2:])
