"""Side by side with bare and with each peer: `python bench/run.py [--only PEER,...] [--fresh] [--table]`.

Installs each in an environment of its own (bench/out/env), measures it, and keeps what was measured in
bench/out/results/PEER.json: a run that was ended goes on where it was, `--only` measures some anew, `--fresh` all.
Then it prints the table and writes it, with its picture, into README.md and docs/overhead.svg. A peer that cannot be
installed or measured is passed over, and said to be.

Instructions are callgrind's (see instructions.py) and do not depend on the machine's load. Times and memory do: they are
the least or the median of interleaved rounds, and the load is said beside them.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import instructions
from peers import NAMES, OUT, PEERS, ROOT, Peer, environ, install, named, versions
from sink import Sink

RESULTS = OUT / "results"
ROUNDS = 5
SHAPES = ("chat", "responses", "messages", "generate", "chat stream", "messages stream")
START = """
import os, time
{start}
print(time.process_time() * 1000, {rss})
os._exit(0)
"""
_RSS = "int(open('/proc/self/statm').read().split()[1]) * 4 / 1024 if os.path.exists('/proc/self/statm') else 0"


def kept(name: str) -> dict:
    """What is known of a peer."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def keep(name: str, found: dict) -> None:
    """Adds to what is known of a peer."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps({**kept(name), **found}, indent=1))


def count(peer: Peer, sink: str) -> None:
    """Instructions per call of a peer."""
    try:
        keep(peer.name, {"instructions": instructions.counted(peer, sink, SHAPES), "failed": None})
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        keep(peer.name, {"failed": f"not measured: {str(error)[:200]}"})
    print(
        f"  {peer.name}: instructions {'counted' if not kept(peer.name).get('failed') else kept(peer.name)['failed']}",
        flush=True,
    )


def cpu(command: list[str], env: dict[str, str]) -> tuple[float, float, str]:
    """CPU milliseconds of a command with its children, seconds on the clock, and its output."""
    before, began = os.times(), time.monotonic()
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return spent * 1000, time.monotonic() - began, done.stdout


def starts(peers: list[Peer], sink: str) -> None:
    """CPU to start, with and without a client's import, and memory, in interleaved rounds."""
    rows: dict[str, dict[str, list[float]]] = {peer.name: {"pass": [], "import": [], "memory": []} for peer in peers}
    with tempfile.TemporaryDirectory() as store:
        for turn in range(ROUNDS + 1):
            for peer in peers:
                env = environ(peer, sink, store)
                begin = f"{peer.start}\n"
                empty, _, _ = cpu(peer.command("-c", begin + "import os; os._exit(0)"), env)
                imported, _, out = cpu(peer.command("-c", START.format(start=begin + "import openai", rss=_RSS)), env)
                if turn:  # the first one writes byte code
                    rows[peer.name]["pass"].append(empty)
                    rows[peer.name]["import"].append(imported)
                    rows[peer.name]["memory"].append(float(out.split()[-1]) if out.split() else 0.0)
    for name, row in rows.items():
        keep(name, {"start": {key: min(values) for key, values in row.items()}})


def exits(peers: list[Peer], sink: str) -> None:
    """Seconds on the clock to the end of a program with one call, where nobody listens at the endpoint."""
    call = (
        "import sys; sys.argv = ['program', 'none']; sys.path.insert(0, %r); import program; c = program.shapes(['chat'])"
        "['chat']; c(); import time; print(time.time(), flush=True)" % str(ROOT / "bench")
    )
    with tempfile.TemporaryDirectory() as store:
        for peer in peers:
            env = environ(peer, "http://127.0.0.1:9", store)
            found = []
            for _ in range(2):
                try:
                    _, _, out = cpu(peer.command("-c", f"{peer.start}\n{call}"), env)
                    found.append(time.time() - float(out.split()[-1]))
                except (subprocess.TimeoutExpired, IndexError, ValueError):
                    continue
            keep(peer.name, {"exit": min(found) if found else None})


def table(peers: list[Peer]) -> str:
    """The table, as Markdown: what is added to bare."""
    bare = kept("bare")
    lines = [
        "| added to the bare program | chat call, caller's thread | with delivery | stream of 200 chunks | "
        "anthropic stream | start, CPU | memory after `import openai` | exit, endpoint closed |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for peer in peers:
        found = kept(peer.name)
        if found.get("failed"):
            lines.append(f"| {peer.title} | {found['failed'][:80]} |  |  |  |  |  |  |")
            continue
        row = [peer.title]
        for shape, which in (("chat", "caller"), ("chat", "all"), ("chat stream", "all"), ("messages stream", "all")):
            there = found.get("instructions", {}).get(shape)
            base = bare.get("instructions", {}).get(shape)
            row.append("" if not there or not base else _count(there[which], base[which], peer.name == "bare"))
        there, base = found.get("start", {}), bare.get("start", {})
        for key, unit in (("pass", "ms"), ("memory", "MiB")):
            if key not in there or key not in base:
                row.append("")
            elif peer.name == "bare":
                row.append(f"({there[key]:,.0f} {unit})")
            else:
                row.append(f"{there[key] - base[key]:,.0f} {unit}")
        ended = found.get("exit")
        row.append("" if ended is None else f"{ended:.1f} s")
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines)


def _count(value: float, base: float, is_bare: bool) -> str:
    thousands = (value if is_bare else value - base) / 1000
    text = f"{thousands / 1000:.1f} M" if abs(thousands) >= 10_000 else f"{thousands:,.0f} k"
    return f"({text})" if is_bare else text


def picture(peers: list[Peer]) -> str:
    """The same as bars: instructions added per chat call in the caller's thread; legible on light and dark."""
    bare = kept("bare").get("instructions", {})
    rows = []
    for peer in peers:
        there = kept(peer.name).get("instructions", {})
        if peer.name != "bare" and not kept(peer.name).get("failed") and "chat" in there and "chat" in bare:
            rows.append((peer.title.strip("*"), max(0.0, there["chat"]["caller"] - bare["chat"]["caller"]) / 1000))
    rows.sort(key=lambda row: row[1])
    most = max((value for _, value in rows), default=1) or 1
    bars = []
    for at, (title, value) in enumerate(rows):
        top, ours = 44 + at * 26, title.startswith("hexr")
        width = 340 * value / most
        bars.append(
            f'<text class="t" x="250" y="{top + 14}" text-anchor="end">{title}</text>'
            f'<rect class="{"o" if ours else "b"}" x="260" y="{top}" width="{width:.0f}" height="18" rx="2"/>'
            f'<text class="t" x="{266 + width:.0f}" y="{top + 14}">{value:,.0f} k</text>'
        )
    style = (
        "text{font:13px system-ui,sans-serif}.t{fill:#24292f}.o{fill:#1a7f37}.b{fill:#8c959f}"
        "@media(prefers-color-scheme:dark){.t{fill:#e6edf3}.o{fill:#3fb950}.b{fill:#6e7681}}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="700" height="{56 + 26 * len(rows)}" role="img">'
        f"<title>Instructions added per chat call in the caller's thread</title><style>{style}</style>"
        f'<text class="t" x="12" y="24">Thousand instructions added per chat call, in the caller\'s thread</text>'
        f"{''.join(bars)}</svg>\n"
    )


def note(peers: list[Peer]) -> str:
    """What the table was made with."""
    found = [f"{name} {version}" for name, version in kept("bare").get("versions", {}).items()]
    others = {}
    for peer in peers:
        for name, version in kept(peer.name).get("versions", {}).items():
            if name not in ("openai", "anthropic", "google-genai", "hexr-instrument", "opentelemetry-sdk"):
                others[name] = version
    load = kept("bare").get("load", "?")
    return (
        f"One run of `make bench` on {kept('bare').get('day', '?')}: Python {sys.version.split()[0]}, {', '.join(found)}; "
        f"{', '.join(f'{name} {version}' for name, version in sorted(others.items()))}. {os.cpu_count()} processors, load "
        f"{load}. Instructions are callgrind's, in thousands (k) or millions (M); of bare, in brackets, all of them. "
        "Prompts are not captured, except by Logfire and ddtrace, which cannot leave them out. OpenLIT needs openai 2 and "
        "anthropic 0.x: its numbers are less bare of the newer ones, and only of the same order."
    )


def write(peers: list[Peer]) -> None:
    """Puts table and picture where users see them."""
    (ROOT / "docs" / "overhead.svg").write_text(picture(peers))
    readme = ROOT / "README.md"
    text = readme.read_text()
    start, end = "<!-- bench -->\n", "<!-- /bench -->\n"
    if start in text:
        head, _, rest = text.partition(start)
        text = head + start + table(peers) + "\n\n" + note(peers) + "\n" + end + rest.partition(end)[2]
        readme.write_text(text)


def main() -> None:
    """Runs what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(NAMES), help="peers to measure anew, by name")
    parser.add_argument("--fresh", action="store_true", help="forget what earlier runs have measured")
    parser.add_argument("--table", action="store_true", help="print and write the table of what is there")
    asked = parser.parse_args()
    chosen = [named(name) for name in asked.only.split(",")]
    if asked.fresh or asked.only != ",".join(NAMES):
        for peer in chosen:
            (RESULTS / f"{peer.name}.json").unlink(missing_ok=True)
    if not asked.table:
        began = time.monotonic()
        for peer in chosen:
            if "versions" not in kept(peer.name):
                why = install(peer)
                keep(peer.name, {"failed": f"not installed: {why}"} if why else {"versions": versions(peer)})
                print(f"  {peer.name}: {why or 'installed'}", flush=True)
        there = [peer for peer in chosen if not kept(peer.name).get("failed")]
        with Sink() as sink:
            todo = [peer for peer in there if "start" not in kept(peer.name)]
            starts(todo, sink.url)
            print(f"  starts measured ({time.monotonic() - began:.0f} s)", flush=True)
            exits([peer for peer in there if "exit" not in kept(peer.name)], sink.url)
            print(f"  exits measured ({time.monotonic() - began:.0f} s)", flush=True)
            if "bare" in {peer.name for peer in there}:
                load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
                keep("bare", {"load": load, "day": time.strftime("%Y-%m-%d")})
            if instructions.available():
                todo = [peer for peer in there if "instructions" not in kept(peer.name)]
                with ThreadPoolExecutor(os.cpu_count()) as pool:
                    list(pool.map(lambda peer: count(peer, sink.url), todo))
            else:
                print("  no instructions: install valgrind (apt-get install valgrind), on x86-64", flush=True)
        print(f"  {time.monotonic() - began:.0f} s", flush=True)
    print(table(list(PEERS)))
    write(list(PEERS))


if __name__ == "__main__":
    main()
