"""What each step of ours costs by itself, for a change to be judged by: `python bench/steps.py [STEP ...]`.

Instructions under callgrind where it is there (the machine's load does not matter), and nanoseconds, the least of many
rounds. The steps: request, response, message, responses, generated, usage, chunk, price, record, encode, append, measure,
begin, whole.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def steps():
    """Name -> a function without arguments."""
    from hexr_instrument import config, journal, pricing, telemetry
    from hexr_instrument.call import Request
    from hexr_instrument.formats.chat import CHAT
    from hexr_instrument.formats.gemini import GENERATE_CONTENT
    from hexr_instrument.formats.messages import MESSAGES
    from hexr_instrument.formats.responses import RESPONSES
    from hexr_instrument.recorder import Recorder, price

    import program

    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], "temperature": 0.2}
    recorder = Recorder(config.Config.from_env())
    metrics = recorder.worker.metrics

    def begun():
        request = Request(CHAT, "openai", "gpt-4o", host="api.openai.com", port=443, parameters=CHAT.request(body))
        return recorder.begin(request, None)

    live = begun()
    live.call.payload = program.CHAT
    recorder.read(live, program.CHAT)
    live.call.end = live.call.start + 10**9
    response = live.call.response
    price(live.call)
    record = recorder.redact.record(telemetry.of_call(live.call))
    chunk, folded = program._DELTA, CHAT.fold(None, program._DELTA)
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "word "}}
    heard = MESSAGES.fold(None, {"type": "message_start", "message": program.MESSAGE})
    streamed = begun()
    streamed.call.request.stream = True
    streamed.feed(chunk)

    def whole():
        each = begun()
        each.feed(program.CHAT)
        each.end()

    return {
        "request": lambda: CHAT.request(body),
        "response": lambda: CHAT.response(program.CHAT),
        "message": lambda: MESSAGES.response(program.MESSAGE),
        "responses": lambda: RESPONSES.response(program.RESPONSE),
        "generated": lambda: GENERATE_CONTENT.response(program.GENERATED),
        "usage": lambda: response.usage.known(),
        "fold chat": lambda: CHAT.fold(folded, chunk),
        "fold message": lambda: MESSAGES.fold(heard, delta),
        "chunk": lambda: streamed.feed(chunk),
        "price": lambda: pricing.of_response(response, "openai", "gpt-4o", live.call.start),
        "record": lambda: recorder.redact.record(telemetry.of_call(live.call)),
        "encode": lambda: journal.written(record),
        "append": lambda: recorder.journal.append(record),
        "measure": lambda: metrics.measure(record),
        "begin": begun,
        "whole": whole,
    }


def run(wanted):
    """The steps, timed; under callgrind with a dump for each."""
    found, times = steps(), 100
    ask = None
    if os.environ.get("BENCH_COUNT"):
        import ctypes
        import gc

        from program import Callgrind

        ask = Callgrind()
        gc.disable()
    for name, step in found.items():
        if wanted and name not in wanted:
            continue
        for _ in range(20):
            step()
        if ask is not None:
            ask(Callgrind.START)
            step()
            ask(Callgrind.ZERO)
            for _ in range(times):
                step()
            ask(Callgrind.DUMP, ctypes.c_char_p(name.encode()))
            ask(Callgrind.STOP)
            print(json.dumps({"shape": name, "times": times}), flush=True)
            continue
        best = float("inf")
        for _ in range(50):
            began = time.perf_counter_ns()
            for _ in range(times):
                step()
            best = min(best, (time.perf_counter_ns() - began) / times)
        print(json.dumps({"step": name, "ns": round(best)}), flush=True)
    os._exit(0)


def main(wanted):
    """Prints and returns step -> {"ns": ..., "instructions": ...}."""
    from instructions import _read, available

    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "HEXR_STORE": f"{folder}/store", "PYTHONHASHSEED": "0"}
        command = [sys.executable, __file__, "--run", *wanted]
        for line in subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout.splitlines():
            row = json.loads(line)
            found[row["step"]] = {"ns": row["ns"]}
        if available():
            count = ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--separate-threads=yes"]
            count += [f"--callgrind-out-file={folder}/out.%p", *command]
            done = subprocess.run(count, env={**env, "BENCH_COUNT": "1"}, capture_output=True, text=True, check=True)
            times = {row["shape"]: row["times"] for row in map(json.loads, done.stdout.splitlines())}
            for name, row in _read(Path(folder), times).items():
                found[name]["instructions"] = round(row["all"])
    for name, row in found.items():
        print(f"{name:>14} {row['ns']:>8} ns {row.get('instructions', 0):>9,} instructions")
    return found


if __name__ == "__main__":
    run(sys.argv[2:]) if sys.argv[1:2] == ["--run"] else main(sys.argv[1:])
