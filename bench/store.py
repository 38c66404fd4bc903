"""What the reports cost: `python bench/store.py [CALLS] [DIRECTORY]`. CPU and peak memory of each, a process of its own.

The store is made once in DIRECTORY (a temporary one by default) with CALLS calls (a million by default): 6 agents, 5
tenants, 4 roles, 6 models, spread evenly over 90 days.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPORTS = [
    ["costs"],
    ["costs", "--by", "day"],
    ["costs", "--by", "day", "--agent", "crew-1", "--since", "30d"],
    ["costs", "--by", "day,model", "--tenant", "tenant-3", "--role", "writer", "--tz", "Europe/Berlin"],
    ["costs", "--by", "hour", "--since", "7d", "--agent", "crew-1"],
    ["costs", "--compare", "--agent", "crew-1"],
    ["costs", "--diff", "24h"],
    ["costs", "--verify"],
    ["calls"],
]
MODELS = ["gpt-4o", "gpt-4o-mini", "claude-sonnet-4-5", "gemini-2.5-pro", "gpt-5.4", "local-llama"]
PROBE = """
import resource, sys
before = resource.getrusage(resource.RUSAGE_SELF)
from hexr_instrument.cli import main
sys.argv = ["hexr-instrument", *sys.argv[1:]]
sys.stdout = open("/dev/null", "w")
try:
    status = main()
except SystemExit as end:
    status = end.code
after = resource.getrusage(resource.RUSAGE_SELF)
cpu = after.ru_utime + after.ru_stime
print(f"{cpu:.2f} s CPU, {after.ru_maxrss / 1024:.0f} MB, status {status}", file=sys.stderr)
"""


def fill(directory, count):
    """Takes in `count` calls as the journal would have them."""
    from hexr_instrument.store import Store
    from hexr_instrument.store.file import writing
    from hexr_instrument.store.lines import Header, read_entry
    from hexr_instrument.store.write import _insert, transaction

    chance = random.Random(1)
    now = time.time_ns()
    span = 90 * 86400 * 10**9
    with writing(Store(directory).path) as connection:
        for base in range(0, count, 20_000):
            entries = []
            for at in range(base, min(base + 20_000, count)):
                model = MODELS[at % 6]
                start = now - span + span * at // count
                record = {
                    "kind": "call",
                    "id": f"{at + 1:016x}",
                    "trace": f"{at + 1:032x}",
                    "sampled": True,
                    "op": "chat",
                    "start": start,
                    "end": start + chance.randrange(10**8, 4 * 10**9),
                    "provider": "openai",
                    "model": model,
                    "served": model,
                    "agent": f"crew-{at % 7 % 6}",
                    "tenant": f"tenant-{at % 31 % 5}",
                    "role": ("writer", "editor", "critic", "planner")[at % 5 % 4],
                    "usage": {"input": 1200 + at % 100, "output": 340, "cache_read": 200},
                    "cost": None if model == "local-llama" else 5 * 10**9 + at,
                    "cost_status": "unpriced" if model == "local-llama" else "priced",
                    "cost_source": "table",
                    "error": "openai.RateLimitError" if at % 997 == 0 else None,
                    "labels": {"team": "search"},
                }
                entries.append(read_entry(json.dumps(record).encode()))
            with transaction(connection):
                _insert(connection, f"{(now - span) // 10**6 + base}-1-a.jsonl", Header(run=f"run-{base}"), entries)


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    directory = Path(sys.argv[2] if len(sys.argv) > 2 else tempfile.mkdtemp())
    if not (directory / "hexr.db").exists():
        began = time.process_time()
        fill(directory, count)
        print(f"{count:,} calls stored in {time.process_time() - began:.0f} s CPU")
    for report in REPORTS:
        done = subprocess.run(
            [sys.executable, "-c", PROBE, *report, "--store", str(directory)],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "COLUMNS": "100"},
        )
        print(f"{' '.join(report):<90} {done.stderr.strip().splitlines()[-1]}", flush=True)


if __name__ == "__main__":
    main()
