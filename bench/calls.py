"""What recording costs: `python bench/calls.py`. Interleaved rounds, medians, and the ratio to the bare program.

Each round is a process of its own that makes calls over the SDK's own mock transport, so that neither a network nor a
server is measured. CPU is that of the caller's thread.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = 7
CALLS = 400
PROGRAM = """
import json, sys, time
import httpx2 as httpx
import openai
answer = {"id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4o-2024-08-06", "choices": [
    {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}}
chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o", "choices": [
    {"index": 0, "delta": {"content": "word "}, "finish_reason": None}]}
last = {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
events = "".join("data: " + json.dumps(each) + "\\n\\n" for each in [chunk] * 199 + [last]) + "data: [DONE]\\n\\n"
def handle(request):
    if b'"stream":true' in request.content.replace(b" ", b""):
        return httpx.Response(200, text=events, headers={"content-type": "text/event-stream"})
    return httpx.Response(200, json=answer)
client = openai.OpenAI(api_key="k", base_url="http://bench/v1", http_client=httpx.Client(transport=httpx.MockTransport(handle)))
messages = [{"role": "user", "content": "hi"}]
def chat(): client.chat.completions.create(model="gpt-4o", messages=messages)
def stream():
    for _ in client.chat.completions.create(model="gpt-4o", messages=messages, stream=True): pass
result = {}
for name, call, times in (("chat", chat, CALLS), ("stream of 200", stream, CALLS // 20)):
    for _ in range(max(20, times // 10)): call()
    began = time.thread_time_ns()
    for _ in range(times): call()
    result[name] = (time.thread_time_ns() - began) / times / 1000
print(json.dumps(result))
""".replace("CALLS", str(CALLS))


def once(command: list[str], store: str) -> tuple[str, float]:
    """A run's output and its CPU seconds."""
    before = os.times()
    out = subprocess.run(command, env={**os.environ, "HEXR_STORE": store}, capture_output=True, text=True, check=True)
    after = os.times()
    return out.stdout, after.children_user + after.children_system - before.children_user - before.children_system


def main() -> None:
    """Prints the table."""
    launcher = [sys.executable, "-m", "hexr_instrument"]
    kinds = {"bare": [], "recorded": launcher}
    calls: dict[str, dict[str, list[float]]] = {kind: {} for kind in kinds}
    starts: dict[str, list[float]] = {kind: [] for kind in kinds}
    with tempfile.TemporaryDirectory() as store:
        for _ in range(ROUNDS):
            for kind, prefix in kinds.items():
                out, _cpu = once([*prefix, sys.executable, "-c", PROGRAM], store)
                for name, micros in json.loads(out).items():
                    calls[kind].setdefault(name, []).append(micros)
                starts[kind].append(once([*prefix, sys.executable, "-c", "pass"], store)[1] * 1000)
    print(f"medians of {ROUNDS} interleaved rounds, {time.strftime('%Y-%m-%d')}, Python {sys.version.split()[0]}")
    for name in calls["bare"]:
        bare, recorded = (statistics.median(calls[kind][name]) for kind in kinds)
        print(
            f"{name:>14}: bare {bare:8.0f} us, recorded {recorded:8.0f} us: {recorded - bare:+6.0f} us, x {recorded / bare:.3f}"
        )
    bare, recorded = (statistics.median(starts[kind]) for kind in kinds)
    print(
        f"{'-c pass':>14}: bare {bare:8.1f} ms, launched {recorded:6.1f} ms (two interpreters): {recorded - bare:+6.1f} ms CPU"
    )


if __name__ == "__main__":
    main()
