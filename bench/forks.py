"""Forks of a busy program, as `python bench/forks.py [--forks N] [--threads N]`.

Threads call the real SDK without a pause (over its own mock transport, so that no lock but ours is shared) while the
main thread forks again and again; each child makes one call, and ends on its own or by `os._exit`, in turn. Everything
goes to the store and to an OTLP endpoint on loopback. Prints one JSON line, and ends with status 1 if a child hung or
failed, if a call is missing or twice in the store, or if the endpoint got one span id for two calls.
"""

import argparse
import collections
import faulthandler
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

HUNG = 60
"""Seconds after which a child that has not ended is one that hangs."""


def program(forks: int, threads: int) -> int:
    """What runs under the launcher: prints how each child ended, and how many calls the threads have made."""
    import openai
    from soak import handle, httpx

    from hexr_instrument import hexr_role

    warnings.simplefilter("ignore", DeprecationWarning)  # Python's own, of any fork beside threads

    def asker():
        """Asks by a client of its own: a connection is no child's, and before Python 3.12 `client.chat` takes a lock
        that all clients share, which hangs a child without us just as well."""
        http = httpx.Client(transport=httpx.MockTransport(handle))
        made = openai.OpenAI(api_key="k", base_url="http://forks/v1", max_retries=0, http_client=http)
        create = made.chat.completions.create

        def ask(role: str, number: int) -> None:
            with hexr_role(role):
                create(model="gpt-4o", messages=[{"role": "user", "content": str(number)}])

        return ask

    faulthandler.register(signal.SIGALRM, chain=True)  # a child that hangs says where
    asker()("first", 1)
    stop, made = threading.Event(), [0] * threads
    ready = threading.Barrier(threads + 1)

    def busy(mine: int) -> None:
        ask = asker()
        ready.wait()
        while not stop.is_set():
            ask("busy", 1)
            made[mine] += 1

    running = [threading.Thread(target=busy, args=(each,)) for each in range(threads)]
    for each in running:
        each.start()
    ready.wait()
    ways, slowest = collections.Counter(), 0.0
    for number in range(1, forks + 1):
        pid = os.fork()
        if pid == 0:
            signal.alarm(HUNG)
            asker()(f"child {number}", number)
            if number % 2:
                os._exit(0)
            sys.exit(0)
        began = time.monotonic()
        ways[os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])] += 1
        slowest = max(slowest, time.monotonic() - began)
    stop.set()
    for each in running:
        each.join()
    print(json.dumps({"ways": ways, "busy": sum(made), "slowest": round(slowest, 1)}), flush=True)
    return 0


def main() -> int:
    """Runs it; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--forks", type=int, default=1_000)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.inside:
        return program(asked.forks, asked.threads)
    from hexr_instrument.demo.receiver import OtlpReceiver
    from hexr_instrument.store import Store

    with tempfile.TemporaryDirectory() as folder, OtlpReceiver() as receiver:
        environ = os.environ | receiver.environment() | {"HEXR_STORE": folder, "HEXR_KEEP": "30d"}
        inside = [sys.executable, __file__, "--inside", "--forks", str(asked.forks), "--threads", str(asked.threads)]
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "hexr_instrument", *inside], env=environ, stdout=subprocess.PIPE, check=True
        )
        seconds = time.monotonic() - began
        told = json.loads(done.stdout)
        store = Store(Path(folder))
        store.ingest_all()
        roles = {row.group[0]: row.calls for row in store.costs(("role",))}
        waiting = sum(each.calls for each in store.backlog() if each.destination is not None)
        spans = [span for span in receiver.spans if span.name.startswith("chat")]
    children = [roles.pop(f"child {number}", 0) for number in range(1, asked.forks + 1)]
    sent = {(span.span_id, span.attributes.get("hexr.agent.role")) for span in spans}
    found = {
        "seconds": round(seconds),
        "forks": asked.forks,
        "ended": told["ways"].get("0", 0),
        "slowest child, seconds": told["slowest"],
        "children lost": children.count(0),
        "children twice": sum(each > 1 for each in children),
        "busy calls": told["busy"],
        "busy calls lost or twice": told["busy"] - roles.pop("busy", 0),
        "others": roles,
        "spans sent": len(sent),
        "calls that wait for the endpoint": waiting,
        "ids twice": len(sent) - len({each for each, _ in sent}),
    }
    print(json.dumps(found))
    good = found["ended"] == asked.forks and found["others"] == {"first": 1}
    wrong = ("children lost", "children twice", "busy calls lost or twice", "ids twice")
    return int(not good or any(found[each] for each in wrong))


if __name__ == "__main__":
    sys.exit(main())
