"""What the tests of the store and of the reports share: journal lines, segments, processes, a full store."""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from types import ModuleType
from typing import Any

from support import ROOT

from hexr_instrument.call import USD
from hexr_instrument.report import costs
from hexr_instrument.store import Store

CENT = USD // 100
NOON = int(datetime(2026, 11, 20, 12, tzinfo=timezone.utc).timestamp()) * 10**9
HEADER = {
    "v": 1,
    "kind": "segment",
    "pid": 1,
    "run": "00000000000000aa",
    "service": "shop",
    "resource": {"service.name": "shop", "service.version": "1.2"},
    "prices": "genai-prices 0.2.3",
    "destination": None,
    "keep": True,
}


def line(number: int, **fields: Any) -> dict[str, Any]:
    """One call as the journal has it; None leaves a key out."""
    record = {
        "kind": "call",
        "id": f"{number:016x}",
        "trace": f"{number:032x}",
        "sampled": True,
        "start": NOON + number,
        "end": NOON + number + 10**9,
        "op": "chat",
        "provider": "openai",
        "model": "gpt-4o",
        "agent": "crew",
        "usage": {"input": 1200, "output": 340},
        "cost": USD // 100,
        "cost_status": "priced",
        "cost_source": "table",
    }
    return {key: value for key, value in {**record, **fields}.items() if value is not None}


def segment(store: Store, name: str, *lines: dict[str, Any] | bytes, **header: Any) -> Path:
    """A segment of a writer that is gone."""
    store.journal.mkdir(parents=True, exist_ok=True)
    path = store.journal / f"{name}.jsonl"
    whole = [each if isinstance(each, bytes) else json.dumps(each).encode() for each in ({**HEADER, **header}, *lines)]
    path.write_bytes(b"".join(each + b"\n" for each in whole))
    return path


def python(code: str, *args: object) -> subprocess.Popen[str]:
    """A process of its own that runs `code` with `sys`, `os`, `Store` at hand."""
    head = f"import os, sys, json; sys.path.insert(0, {str(ROOT)!r}); from hexr_instrument.store import *\n"
    command = [sys.executable, "-c", head + code, *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ids(store: Store) -> list[str]:
    """Ids of all calls in the store."""
    return [record.id for record in store.calls(1_000_000)]


CREW = [
    ("researcher", "gpt-4o", 234, 1247),
    ("researcher", "claude-3.5", 112, 423),
    ("writer", "gpt-4o", 367, 2100),
    ("writer", "gpt-4o-mini", 23, 890),
    ("editor", "gpt-4o", 89, 312),
]


class Terminal(io.StringIO):
    """A stdout that says it is a terminal."""

    def isatty(self) -> bool:
        """It is."""
        return True


class Shop:
    """A store and its commands."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.journal = directory / "journal"
        self.number = 0

    def add(self, count: int = 1, cost: int | None = CENT, **fields: Any) -> None:
        """Calls of a killed process: their segment is still in the journal; together they cost `cost`."""
        lines: list[dict[str, Any]] = [{"v": 1, "kind": "segment", "run": f"run-{self.number}", "keep": True}]
        lines[0]["prices"] = "genai-prices 0.2.3"
        for at in range(count):
            self.number += 1
            record = {
                "kind": "call",
                "id": f"{self.number:016x}",
                "start": NOON + self.number * 10**9,
                "end": NOON + self.number * 10**9 + 1_234_000_000,
                "op": "chat",
                "provider": "openai",
                "model": "gpt-4o",
                "usage": {"input": 1200, "output": 340},
                # Shares that add up, whatever the count.
                "cost": None if cost is None else cost * (at + 1) // count - cost * at // count,
                "cost_status": "unpriced" if cost is None else "priced",
                "agent": "content-crew",
                **fields,
            }
            lines.append({key: value for key, value in record.items() if value is not None})
        self.journal.mkdir(parents=True, exist_ok=True)
        path = self.journal / f"{self.number}-1-a.jsonl"
        path.write_text("".join(json.dumps(each) + "\n" for each in lines))

    def crew(self) -> None:
        """The calls of the seed's tree."""
        for role, model, cents, count in CREW:
            self.add(count, cents * CENT, tenant="acme-corp", role=role, model=model)

    def run(self, command: ModuleType, *options: str, stdout: io.StringIO | None = None) -> tuple[int, str]:
        """Exit status and output."""
        parser = argparse.ArgumentParser()
        command.add_arguments(parser)
        stdout = io.StringIO() if stdout is None else stdout
        return command.run(parser.parse_args(options), self.directory, stdout), stdout.getvalue()

    def costs(self, *options: str, status: int = 0) -> str:
        """Output of `costs` that ends as expected."""
        got, output = self.run(costs, *options)
        assert got == status
        return output

    def data(self, *options: str) -> dict[str, Any]:
        """The JSON of `costs`."""
        return json.loads(self.costs("--json", *options))
