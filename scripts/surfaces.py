"""Writes which surfaces of the SDKs are tested, and with which versions: `docs/surfaces.md`, and a table in the README.

The surfaces are the tests' own: each test whose parameter has a `name` and a `make` (a call of an SDK) is a row, and
each test marked `surface(sdk, name)`; new ones appear by themselves. The versions are those of the last run of
`scripts/matrix.py` (`docs/versions.json`); of SDKs that have environments of their own, versions and surfaces are those
of the last `scripts/environments.py providers` (`docs/providers.json`), with what their tests have recorded. What the
first three count and what prices them is in the rows of `tests/wire/`. `--check` compares only.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "surfaces.md"
README = ROOT / "README.md"
VERSIONS = ROOT / "docs" / "versions.json"
OUTCOMES = ROOT / "docs" / "providers.json"
WIRE = ROOT / "tests" / "wire"
SDKS = ("openai", "anthropic", "google-genai")
START, END = "<!-- surfaces: made by scripts/surfaces.py -->", "<!-- /surfaces -->"
_OWNERS = {
    "openai": "openai",
    "module": "openai",
    "azure": "openai",
    "anthropic": "anthropic",
    "google": "google-genai",
    "vertex": "google-genai",
}
"""The client that a surface is called on (its first word that is known) -> its SDK."""
_SERVERS = {
    "openai": ("openai", "azure.ai.openai"),
    "anthropic": ("anthropic", "aws.bedrock", "azure.ai.inference", "gcp.vertex_ai"),
    "google-genai": ("gcp.gemini", "gcp.vertex_ai"),
}
"""Who serves the calls of the first three: the rows of `tests/wire/` that have these providers are theirs."""
_WIRES = {
    "openai": r"chat|completions|responses|decisions|embeddings|images|transcriptions|speech|videos|batches|runs|realtime",
    "anthropic": "messages|message_batches",
    "google-genai": "gemini|gemini_live|embed_content|interactions|google_.*",
}
"""And whose folder is one of these formats."""
_TOKENS = {
    "input": "in",
    "output": "out",
    "cache_read": "cached",
    "cache_write": "cache written",
    "reasoning": "reasoning",
    "input_audio": "audio",
    "output_audio": "audio",
    "input_image": "images",
    "output_image": "images",
    "input_video": "video",
}
"""What the table calls a count of tokens; what is billed by other units is not in it."""
_PRICED = {"table": "table", "provider": "stated"}
"""The source of a cost -> how the table says it."""
TESTS = ("test_a_surface_is_recorded_and_unchanged", "test_what_is_made_is_recorded_and_unchanged")


class Collected:
    """What pytest has collected: SDK -> surface -> the tests of it, each with its way of calling (sync, async)."""

    def __init__(self) -> None:
        self.surfaces: dict[str, dict[str, dict[str, str]]] = {sdk: {} for sdk in SDKS}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Reads the collected tests; none of them runs."""
        for item in items:
            for sdk, name in _surfaces(item):
                parameters: dict[str, Any] = getattr(getattr(item, "callspec", None), "params", {})
                way = next((each for each in parameters.values() if each in ("sync", "async")), "sync")
                key = f"{item.path.stem}::{item.name}"
                self.surfaces[sdk].setdefault(name, {})[key] = way


def _surfaces(item: pytest.Item) -> Iterator[tuple[str, str]]:
    for mark in item.iter_markers("surface"):
        yield mark.args[0], mark.args[1]
    if getattr(item, "originalname", "") in TESTS:
        for parameter in getattr(item, "callspec").params.values():  # noqa: B009  (only parametrized items have it)
            if hasattr(parameter, "name") and hasattr(parameter, "make") and getattr(parameter, "calls", 1):
                yield _owner(item, f"{getattr(parameter, 'client', '')} {parameter.name}"), parameter.name


def _owner(item: pytest.Item, client: str) -> str:
    if "claude" in client or "claude" in item.path.stem:
        return "anthropic"
    named = [sdk for word, sdk in _OWNERS.items() if client.startswith(word) or word in item.path.stem]
    return named[0] if named else "openai"


def collect() -> dict[str, dict[str, dict[str, str]]]:
    """The surfaces of all test files that have some."""
    found = Collected()
    files = [str(path) for path in sorted((ROOT / "tests").glob("test_*.py")) if re.search(
        "|".join((*TESTS, r"mark\.surface")), path.read_text())]  # fmt: skip
    quiet = ["--collect-only", "-qqq", "-n", "0", "-p", "no:cacheprovider", "--rootdir", str(ROOT)]
    code = pytest.main([*quiet, *files], plugins=[found])
    if code != pytest.ExitCode.OK:
        raise SystemExit(f"the tests cannot be collected: {code!r}")
    return found.surfaces


def columns(sdk: str, runs: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Version of an SDK -> the runs that had it, the oldest version first."""
    found: dict[str, list[dict[str, Any]]] = {}
    for run in sorted(runs, key=lambda run: tuple(int(part) for part in re.findall(r"\d+", run[sdk]))):
        found.setdefault(run[sdk], []).append(run)
    return found


def ways(tests: dict[str, str], runs: list[dict[str, Any]]) -> str:
    """How a surface passed with one version; a dash where that version does not have it, a blank where it was not run."""
    there = {way for test, way in tests.items() if any(test in run["surfaces"] for run in runs)}
    lacking = any(test in run["lacking"] for test in tests for run in runs)
    return ", ".join(sorted(there, reverse=True)) or ("-" if lacking else "")


@dataclass
class Row:
    """One SDK as the README's table has it."""

    sdk: str
    servers: list[str]
    """As `gen_ai.provider.name` spells them."""
    surfaces: dict[str, set[str]]
    """Name -> the ways in which it passed, `sync` or `async`."""
    tokens: set[str]
    """Fields of `Usage`."""
    costs: set[str]
    """Sources of costs; `unpriced` is none."""
    versions: list[str]

    def line(self) -> str:
        """The line of the table."""
        kinds = dict.fromkeys(name.partition(" ")[0].rstrip(",") for name, its in self.surfaces.items() if its)
        passed = {way for its in self.surfaces.values() for way in its}
        streams = any("stream" in name for name, its in self.surfaces.items() if its)
        modes = [way for way in ("sync", "async") if way in passed] + ["stream"] * streams
        tokens = dict.fromkeys(said for name, said in _TOKENS.items() if name in self.tokens)
        costs = [said for source, said in _PRICED.items() if source in self.costs] or ["unpriced"]
        parts = (sorted(self.servers), kinds, modes, tokens, costs, self.versions)
        return f"| {self.sdk} | {' | '.join(', '.join(each) for each in parts)} |"


def first_three(surfaces: dict[str, dict[str, dict[str, str]]], runs: list[dict[str, Any]]) -> list[Row]:
    """The SDKs of the matrix."""
    made: list[Row] = []
    for sdk in SDKS:
        passed = {
            name: {way for test, way in tests.items() if any(test in run["surfaces"] for run in runs)}
            for name, tests in surfaces[sdk].items()
        }
        tokens: set[str] = set()
        costs: set[str] = set()
        for path in WIRE.rglob("*.json"):
            row = json.loads(path.read_text())
            if row["provider"] in _SERVERS[sdk] and re.fullmatch(_WIRES[sdk], path.parent.name):
                tokens.update(row["expect"].get("usage") or ())
                if row["expect"].get("cost_usd"):
                    costs.add(row["expect"].get("cost_source", "table"))
        made.append(Row(sdk, [*_SERVERS[sdk]], passed, tokens, costs, [*columns(sdk, runs)]))
    return made


def further(outcomes: list[dict[str, Any]]) -> dict[str, list[tuple[dict[str, Any], dict[str, Any]]]]:
    """SDK -> (row of environments, what it proved), the oldest version first."""
    found: dict[str, list[tuple[dict[str, Any], dict[str, Any]]]] = {}
    for row in outcomes:
        for sdk, proved in row["sdks"].items():
            found.setdefault(sdk, []).append((row, proved))
    for each in found.values():
        each.sort(key=lambda pair: [int(part) for part in re.findall(r"\d+", pair[1]["version"])])
    return dict(sorted(found.items()))


def joined(sdk: str, proofs: list[tuple[dict[str, Any], dict[str, Any]]]) -> Row:
    """One SDK of the environments, over all its versions."""
    row = Row(sdk, [], {}, set(), set(), [])
    for _, proved in proofs:
        for name, its in proved["surfaces"].items():
            row.surfaces.setdefault(name, set()).update(its)
        row.servers = sorted({*row.servers, *proved["providers"]})
        row.tokens.update(proved["tokens"])
        row.costs.update(proved["cost"])
        row.versions = [*dict.fromkeys([*row.versions, proved["version"]])]
    return row


def page(
    surfaces: dict[str, dict[str, dict[str, str]]], runs: list[dict[str, Any]], outcomes: list[dict[str, Any]]
) -> str:
    """docs/surfaces.md."""
    lines = [
        "# Surfaces and versions",
        "",
        "Made by `scripts/surfaces.py` from the tests: each line is a way to call a provider that is run twice through",
        "the real SDK, without us and with us, and compared: results, types, wire, and the one exact record. A dash: the",
        "SDK did not have it yet; a blank: it was not run. The versions are those of `make matrix`, and of",
        "`make providers` for the SDKs after the first three.",
        "",
        "| Python | " + " | ".join(SDKS) + " | tests |",
        "| --- " * (len(SDKS) + 2) + "|",
    ]
    lines += [f"| {run['python']} | " + " | ".join(run[sdk] for sdk in SDKS) + f" | {run['passed']} |" for run in runs]
    for sdk in SDKS:
        versions = columns(sdk, runs)
        cells = {name: [ways(tests, having) for having in versions.values()] for name, tests in surfaces[sdk].items()}
        lines += _section(sdk, list(versions), cells)
    for sdk, proofs in further(outcomes).items():
        names = dict.fromkeys(name for _, proved in proofs for name in proved["surfaces"])
        cells = {
            name: [
                ", ".join(proved["surfaces"][name]) or "-" if name in proved["surfaces"] else "" for _, proved in proofs
            ]
            for name in names
        }
        lines += _section(sdk, [f"{proved['version']} (Python {row['python']})" for row, proved in proofs], cells)
    return "\n".join(lines) + "\n"


def _section(sdk: str, versions: list[str], cells: dict[str, list[str]]) -> list[str]:
    head = ["", f"## {sdk}", "", f"| surface | {' | '.join(versions)} |", "| --- " * (len(versions) + 1) + "|"]
    return head + [f"| {name} | {' | '.join(each)} |" for name, each in cells.items()]


def table(
    surfaces: dict[str, dict[str, dict[str, str]]], runs: list[dict[str, Any]], outcomes: list[dict[str, Any]]
) -> str:
    """The README's table: one line for each SDK; the page has each surface of it."""
    lines = ["| SDK | served by | surfaces | ways | tokens | cost | tested versions |", "| --- " * 7 + "|"]
    lines += [row.line() for row in first_three(surfaces, runs)]
    lines += [joined(sdk, proofs).line() for sdk, proofs in further(outcomes).items()]
    pythons = sorted({run["python"] for run in (*runs, *outcomes)}, key=lambda each: int(each.split(".")[1]))
    return "\n".join(
        [*lines, "", f"On Python {', '.join(pythons)}; each surface by version: [docs/surfaces.md](docs/surfaces.md)."]
    )


def main() -> int:
    """Writes both, or with `--check` returns 1 if they are not what is written."""
    surfaces, runs = collect(), json.loads(VERSIONS.read_text())
    outcomes: list[dict[str, Any]] = json.loads(OUTCOMES.read_text()) if OUTCOMES.exists() else []
    readme = README.read_text()
    head, found, rest = readme.partition(START)
    _, closed, tail = rest.partition(END)
    if not found or not closed:
        raise SystemExit(f"README.md has no {START} ... {END}")
    wanted = {
        README: f"{head}{START}\n{table(surfaces, runs, outcomes)}\n{END}{tail}",
        PAGE: page(surfaces, runs, outcomes),
    }
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is not what scripts/surfaces.py makes")
        return int(bool(stale))
    for path in stale:
        path.write_text(wanted[path])
    return 0


if __name__ == "__main__":
    sys.exit(main())
