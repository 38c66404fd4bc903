"""Upgrade and removal: files of the version before are read, those of the next do no harm, and nothing stays behind."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT, Run, clean_environment
from test_packaging import build, hatchling, wheel

from hexr_instrument.config import Config
from hexr_instrument.demo.receiver import OtlpReceiver
from hexr_instrument.store import Store
from hexr_instrument.store.file import SCHEMA

__all__ = ["build", "wheel"]
HERE = Path(__file__).resolve().parent / "upgrade"
"""What version 0.1.0 has written: a segment, and its store as SQL."""
SEGMENT = (HERE / "segment-0.1.jsonl").read_text().splitlines()
EXPECTED = {
    "claude-sonnet-4-5-20250929": 1,
    "gemini-2.5-flash": 1,
    "gpt-4o-2024-08-06": 3,
    "text-embedding-3-small": 1,
    "acme-1": 1,
    "error-429": 1,
}
"""The calls of both, by model."""
CALL = """
from openai import OpenAI
OpenAI().chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
"""


def tool(store: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a tool on a store."""
    command = [sys.executable, "-m", "hexr_instrument", *arguments]
    environ = clean_environment(HEXR_STORE=str(store))
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=120)


def counts(store: Path) -> dict[str, int]:
    """Calls by model, as `costs` says."""
    done = tool(store, "costs", "--by", "model", "--json")
    assert done.returncode == 0, done.stderr
    return {row["model"]: row["calls"] for row in json.loads(done.stdout)["rows"]}


def written(store: Path, lines: list[str], **header: object) -> Path:
    """A journal with one segment, with some fields of its header changed."""
    (store / "journal").mkdir(parents=True)
    path = store / "journal" / "1795450597895-15553-f6f50591.jsonl"
    head = json.loads(lines[0]) | {"keep_for": 36500 * 86400} | header  # the files age, and must not be pruned for it
    path.write_text("".join(f"{line}\n" for line in (json.dumps(head), *lines[1:])))
    return path


def test_a_segment_of_the_version_before_is_taken_in(tmp_path: Path) -> None:
    """Every call of it, with its money, tokens, names and labels."""
    written(tmp_path / "store", SEGMENT, destination=None, keep=True)
    assert counts(tmp_path / "store") == EXPECTED
    calls = Store(tmp_path / "store").calls(100)
    records = [json.loads(line) for line in SEGMENT if '"kind":"call"' in line]
    assert {call.id: call.cost for call in calls} == {each["id"]: each.get("cost") for each in records}
    assert {call.facet.tenant for call in calls} == {"acme-corp", None}
    assert {call.labels["team"] for call in calls} == {"search"}


def test_a_segment_of_the_version_before_is_delivered(run: Run, receiver: OtlpReceiver, tmp_path: Path) -> None:
    """By the next process of this version, with its own ids, times and resource."""
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint}
    written(tmp_path / "store", SEGMENT, destination=Config.from_env(variables).destination)
    records = [json.loads(line) for line in SEGMENT[1:]]
    run(CALL, **variables)
    spans = {span.span_id: span for span in receiver.wait(len(records) + 1)}
    for each in records:
        span = spans[each["id"]]
        assert (span.start, span.end) == (each["start"], each["end"])
        assert span.resource["service.version"] == "1.2"
    assert not list((tmp_path / "store" / "journal").glob("*.jsonl"))


def test_a_store_of_the_version_before_is_read_and_written(tmp_path: Path) -> None:
    """Its calls are shown, new ones come in beside them, and the purge and the doctor know it."""
    store = tmp_path / "store"
    store.mkdir(mode=0o700)
    connection = sqlite3.connect(store / "hexr.db")
    connection.executescript((HERE / "store-0.1.sql").read_text())
    connection.close()
    (store / "hexr.db").chmod(0o600)
    assert counts(store) == EXPECTED
    line = json.dumps({"kind": "call", "id": "f" * 16, "start": json.loads(SEGMENT[1])["start"], "model": "new"})
    written(store, [SEGMENT[0], line], destination=None, keep=True)
    assert counts(store) == EXPECTED | {"new": 1}
    assert "9 calls" in tool(store, "doctor", "--quick").stdout
    assert tool(store, "purge", "--tenant", "acme-corp").returncode == 0
    assert counts(store) == {"new": 1, "text-embedding-3-small": 1}


def test_least_and_most_of_a_line_are_read(tmp_path: Path) -> None:
    """A header and a call with nothing but what makes them one, and ones with keys that are not known yet."""
    least = ['{"v":1,"kind":"segment"}', '{"kind":"call","id":"00000000000000aa","start":1}']
    written(tmp_path / "least", least)
    assert counts(tmp_path / "least") == {None: 1}
    most = [json.dumps(json.loads(line) | {"mood": "good", "more": {"deep": [1]}}) for line in SEGMENT]
    most.insert(1, '{"kind":"mood","id":"x"}')
    written(tmp_path / "most", most, destination=None, keep=True)
    assert counts(tmp_path / "most") == EXPECTED


def test_a_segment_of_a_later_version_is_left_to_it(run: Run, receiver: OtlpReceiver, tmp_path: Path) -> None:
    """It is neither taken in, nor delivered, nor removed."""
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint}
    destination = Config.from_env(variables).destination
    path = written(tmp_path / "store", SEGMENT, v=2, keep=True, destination=destination)
    before = path.read_bytes()
    run(CALL, **variables)
    receiver.wait(1)
    assert counts(tmp_path / "store") == {}
    assert len(receiver.spans) == 1
    assert path.read_bytes() == before


def test_a_store_of_a_later_version_is_read_only(run: Run, tmp_path: Path) -> None:
    """Reports show it, with one line; a program runs on and its calls wait; purge says to upgrade; doctor says it."""
    store = tmp_path / "store"
    written(store, SEGMENT, destination=None, keep=True)
    assert counts(store) == EXPECTED
    connection = sqlite3.connect(store / "hexr.db")
    connection.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    connection.execute("ALTER TABLE calls ADD COLUMN mood TEXT")
    connection.close()
    done = run(CALL + "print('done')")
    assert (done.returncode, done.out) == (0, "done\n")
    assert len(done.calls) == 1
    shown = tool(store, "costs")
    assert shown.returncode == 0
    assert "8 calls" in shown.stdout
    assert "newer hexr-instrument" in shown.stderr
    assert len(shown.stderr.splitlines()) == 1
    refused = tool(store, "purge", "--yes")
    assert refused.returncode == 2
    assert "upgrade hexr-instrument" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert len(done.calls) == 1
    examined = tool(store, "doctor", "--quick")
    assert "written by a newer hexr-instrument" in " ".join(examined.stdout.split())


def test_this_version_writes_for_the_version_before(run: Run) -> None:
    """Journal version 1 and schema 1, which 0.1 reads; no key that 0.1 knows has another kind of value."""
    done = run(CALL)
    (path,) = (done.store / "journal").glob("*.jsonl")
    header, call = map(json.loads, path.read_text().splitlines())
    before, first = json.loads(SEGMENT[0]), json.loads(SEGMENT[1])
    assert header["v"] == before["v"] == 1
    assert SCHEMA == 1
    for new, old in ((header, before), (call, first)):
        for key in set(new) & set(old):
            assert new[key] is None or old[key] is None or type(new[key]) is type(old[key]), key


# -- removal

NAMES = """
from hexr import hexr_agent, hexr_labels, hexr_llm, hexr_role, hexr_tenant
import hexr_instrument, os, sys, threading
from openai import OpenAI

@hexr_agent(name="crew", tenant="acme")
def main():
    client = hexr_llm(OpenAI(), role="writer")
    with hexr_role("r"), hexr_tenant("t"), hexr_labels(team="x"):
        print(client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}]).model)
    print(hexr_llm(provider="openai", model="gpt-4o", prompt="hi").model)

main()
hexr_instrument.instrument()
print(hexr_instrument.flush(), threading.active_count())
"""


@pytest.mark.parametrize("variable", ["HEXR_DISABLED", "OTEL_SDK_DISABLED"])
def test_switched_off_everything_works_and_nothing_is_written(variable: str, run: Run, receiver: OtlpReceiver) -> None:
    """Decorators, handles and direct calls work; no store, no export, no thread, no word."""
    served = "gpt-4o-2024-08-06\n"
    done = run(NAMES, **{variable: "true"}, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint)
    assert (done.returncode, done.out, done.err) == (0, f"{served}{served}True 1\n", "")
    assert not done.store.exists()
    assert receiver.requests == []


@hatchling
@pytest.mark.skipif(importlib.util.find_spec("pip") is None, reason="pip is not installed")
def test_the_readmes_removal_leaves_nothing_behind(wheel: Path, run: Run, tmp_path: Path) -> None:
    """In a fresh environment: installed, used, removed by the README's own commands; Python then starts as before."""
    home = tmp_path / "home"
    home.mkdir()
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True, timeout=120)
    python = venv / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
    (packages,) = (venv / "lib").glob("python*/site-packages")
    theirs = Path(importlib.util.find_spec("openai").origin).parents[1]  # the SDKs and libraries of this environment
    (packages / "libraries.pth").write_text(f"{theirs}\n")
    before = sorted(path.name for path in packages.iterdir())
    subprocess.run([*pip, "install", "-q", "--no-deps", "--no-index", str(wheel)], check=True, timeout=120)
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "pip").write_text(f'#!/bin/sh\nexec {" ".join(pip)} "$@"\n')
    (tools / "pip").chmod(0o755)
    path = os.pathsep.join([str(tools), str(venv / "bin"), os.environ.get("PATH", os.defpath)])
    own = {"HOME": str(home), "PATH": path, "XDG_STATE_HOME": "", "HEXR_STORE": ""}
    program = tmp_path / "program.py"
    program.write_text(CALL + "import hexr_instrument; print(hexr_instrument.__file__)")
    done = run(command=["hexr-instrument", "python", str(program)], bare=True, **own)
    assert (done.returncode, done.err) == (0, "")
    assert done.out.startswith(str(packages))
    assert (home / ".local" / "state" / "hexr").is_dir()
    switched_on = run(command=["hexr-instrument", "env"], bare=True, **own).out
    (steps,) = re.findall(r"<!-- remove -->\n```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    removed = run(command=["sh", "-ec", steps], bare=True, **own)
    assert removed.returncode == 0, removed.err
    assert "Removed 1 call" in removed.out
    assert sorted(path.name for path in packages.iterdir()) == before
    assert [each.name for each in (venv / "bin").iterdir() if "hexr" in each.name] == []
    assert [each for each in home.rglob("*") if "hexr" in each.name] == []
    # A shell that still has what `hexr-instrument env` printed.
    after = run(command=["sh", "-ec", f"{switched_on}\npython -c 'print(1)'"], bare=True, **own)
    assert (after.returncode, after.out, after.err) == (0, "1\n", "")
