"""Instructions per call, as valgrind's callgrind counts them: the machine's load does not matter.

Each peer runs once under callgrind, with translation only while it warms up. Threads are counted apart: what the
caller's thread pays, and what is paid until everything is delivered to a sink that drops it.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from peers import Peer, environ

SHAPES = ("chat", "achat", "responses", "messages", "generate", "chat stream", "messages stream")
TIMES = 20
PROGRAM = str(Path(__file__).resolve().parent / "program.py")


def available() -> bool:
    """Whether instructions can be counted here."""
    import platform

    return shutil.which("valgrind") is not None and platform.machine() in ("x86_64", "AMD64")


def counted(peer: Peer, sink: str | None, shapes: tuple[str, ...] = SHAPES, **more: str) -> dict[str, dict[str, float]]:
    """Shape -> instructions per call: `caller` (its thread), `all` (every thread, with the delivery)."""
    with tempfile.TemporaryDirectory() as folder:
        env = environ(peer, sink, f"{folder}/store")
        env |= {"BENCH_START": peer.start, "BENCH_FLUSH": peer.flush, **more}
        count = [
            *("valgrind", "--tool=callgrind", "--instr-atstart=no", "--separate-threads=yes", "--fair-sched=yes"),
            *("--trace-children=yes", f"--callgrind-out-file={folder}/out.%p"),
        ]
        # The launcher's own process gives way to the program's (exec), which valgrind follows.
        command = [*count, *peer.command(PROGRAM, "count", str(TIMES), *shapes)]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=900, cwd=folder)
        times = {}
        for line in done.stdout.splitlines():
            if line.startswith('{"shape"'):
                row = json.loads(line)
                times[row["shape"]] = row["times"]
        if set(times) != set(shapes):
            lines = [line for line in done.stderr.splitlines() if not line.startswith("==")]
            raise RuntimeError("; ".join(lines[-3:])[-300:] or "no output")
        return _read(Path(folder), times)


def _read(folder: Path, times: dict[str, int]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {name: {"caller": 0.0, "all": 0.0} for name in times}
    for path in folder.glob("out.*"):
        with path.open(errors="replace") as file:
            head = file.read(4000)
        trigger = re.search(r"desc: Trigger: Client Request: (.+)", head)
        thread = re.search(r"^thread: (\d+)", head, re.M)
        sums = re.search(r"^(?:totals|summary): (\d+)", head, re.M) or _tail(path)
        if trigger is None or sums is None:
            continue
        name, flushed = re.subn(r" flush$", "", trigger[1])
        if name not in found:
            continue
        each = int(sums[1]) / times[name]
        found[name]["all"] += each
        if not flushed and thread is not None and thread[1] == "1":
            found[name]["caller"] += each
    return found


def _tail(path: Path) -> re.Match[str] | None:
    return re.search(r"^totals: (\d+)", path.read_bytes()[-500:].decode(errors="replace"), re.M)


if __name__ == "__main__":
    import sys

    from peers import named
    from sink import Sink

    with Sink() as sink:
        for name in sys.argv[1].split(","):
            for shape, row in counted(named(name), sink.url, tuple(sys.argv[2:]) or SHAPES).items():
                print(name, shape, {key: round(value / 1000) for key, value in row.items()}, flush=True)
