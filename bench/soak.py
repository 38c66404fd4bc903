"""A long run of the real SDK: `python bench/soak.py [--calls N] [--streams N] [--http]`.

Calls and streams (a third of them abandoned after their first chunk) go through the SDK's own mock transport, or with
`--http` to OPENAI_BASE_URL. After a warm-up, memory, threads, file descriptors, live calls and contexts must stay as
they are; then 1,000 calls at once in one event loop and 64 threads at once must each have their own role and tokens.
Prints one JSON line of figures, and ends with status 1 if one of them has grown.
"""

import argparse
import asyncio
import contextvars
import gc
import json
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import hexr_instrument

hexr_instrument.instrument()

import openai

from hexr_instrument import guard, hexr_agent, hexr_role, hub
from hexr_instrument.live import CURRENT, Live

httpx = getattr(openai._base_client, "httpx2", None) or openai._base_client.httpx
PAGE = os.sysconf("SC_PAGE_SIZE")


def handle(request):
    """An answer whose input tokens are the number that was asked."""
    asked = json.loads(request.content)
    number = int(asked["messages"][0]["content"])
    usage = {"prompt_tokens": number, "completion_tokens": 20, "total_tokens": number + 20}
    answer = {"id": "c", "created": 1, "model": "gpt-4o-2024-08-06"}
    if not asked.get("stream"):
        message = {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
        return httpx.Response(200, json={**answer, "object": "chat.completion", "choices": [message], "usage": usage})
    chunk = {**answer, "object": "chat.completion.chunk"}
    deltas = [{"index": 0, "delta": {"content": "word "}, "finish_reason": None}] * 9
    chunks = [{**chunk, "choices": [each]} for each in deltas]
    chunks += [{**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}]
    chunks += [{**chunk, "choices": [], "usage": usage}]
    text = "".join(f"data: {json.dumps(each)}\n\n" for each in chunks) + "data: [DONE]\n\n"
    return httpx.Response(200, text=text, headers={"content-type": "text/event-stream"})


def figures() -> dict[str, int]:
    """What must not grow."""
    gc.collect()
    with open("/proc/self/statm") as file:
        resident = int(file.read().split()[1]) * PAGE
    return {
        "resident": resident,
        "threads": threading.active_count(),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "live": sum(type(each) is Live for each in gc.get_objects()),
        "context": len(contextvars.copy_context()),
        "current": int(CURRENT.get() is not None),
    }


def main() -> int:
    """Runs it; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=200_000)
    parser.add_argument("--streams", type=int, default=50_000)
    parser.add_argument("--tasks", type=int, default=1_000, help="calls at once in one event loop")
    parser.add_argument("--http", action="store_true", help="over HTTP to OPENAI_BASE_URL")
    asked = parser.parse_args()
    make, amake = openai.OpenAI, openai.AsyncOpenAI
    if asked.http:
        client, aclient = make(max_retries=0), amake(max_retries=0)
    else:
        transport = httpx.MockTransport(handle)
        common = {"api_key": "k", "base_url": "http://soak/v1", "max_retries": 0}
        client = make(**common, http_client=httpx.Client(transport=transport))
        aclient = amake(**common, http_client=httpx.AsyncClient(transport=transport))

    mine = []  # what is recorded of the calls at once
    recorder = hub.recorder()
    keep = recorder.keep
    total = [0, 0]

    def note(record):
        total[0] += record["kind"] == "call"
        total[1] += record.get("cost_status") == "partial"
        if "role" in record:
            mine.append((record["role"], record.get("usage", {}).get("input")))
        keep(record)

    recorder.keep = note

    def ask(number, which=client):
        return which.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": str(number)}])

    def stream(number, abandoned):
        found = client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": str(number)}], stream=True
        )
        for _ in found:
            if abandoned:
                break

    @hexr_agent("soak")
    def part(calls, streams):
        for number in range(max(calls, streams)):
            if number < calls:
                ask(number)
            if number < streams:
                stream(number, number % 3 == 0)

    def tenth():
        part(max(1, asked.calls // 10), max(1, asked.streams // 10))

    began = time.monotonic()
    tenth()
    rows = [figures()]
    for _ in range(9):
        tenth()
        rows.append(figures())
        print(json.dumps({"seconds": round(time.monotonic() - began), **rows[-1]}), file=sys.stderr, flush=True)
    seconds = time.monotonic() - began

    async def many():
        async def one(number):
            with hexr_role(str(number)):
                await ask(number, aclient)

        await asyncio.gather(*(one(number) for number in range(1, asked.tasks + 1)))
        await aclient.close()

    asyncio.run(many())

    def mixed(numbers):
        """Whether the calls at once are not exactly these, each with its own role and tokens."""
        roles = sorted(int(role) for role, _ in mine)
        return roles != sorted(numbers) or (not asked.http and any(int(role) != tokens for role, tokens in mine))

    tangled = mixed(range(1, asked.tasks + 1))
    mine.clear()
    ready = threading.Barrier(64)

    def thread(number):
        ready.wait()
        for turn in range(20):
            with hexr_role(str(number * 100 + turn)):
                ask(number * 100 + turn)

    with ThreadPoolExecutor(64) as pool:
        list(pool.map(thread, range(1, 65)))
    tangled |= mixed(number * 100 + turn for number in range(1, 65) for turn in range(20))
    first, last = rows[0], rows[-1]
    grown = {name: last[name] - first[name] for name in first}
    result = {
        "calls": asked.calls,
        "streams": asked.streams,
        "recorded": total[0],
        "partial": total[1],
        "seconds": round(seconds, 1),
        "grown": grown,
        "tangled": tangled,
        "faults": guard.faults,
    }
    print(json.dumps(result))
    # Sixteen megabytes are the allocator's own business; a leak of a hundred bytes a call is twenty-five.
    bad = grown["resident"] > 16 << 20 or any(grown[name] > 0 for name in ("live", "context", "current"))
    bad |= grown["threads"] > 1 or grown["descriptors"] > 4  # the worker, and what it has open
    parts = 10 * (max(1, asked.calls // 10) + max(1, asked.streams // 10))
    bad |= total[0] != parts + asked.tasks + 64 * 20
    return int(bad or tangled or bool(guard.faults))


if __name__ == "__main__":
    sys.exit(main())
