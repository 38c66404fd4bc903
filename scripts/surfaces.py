"""Writes which surfaces of the SDKs are tested, and with which versions: `docs/surfaces.md`, and a table in the README.

The surfaces are the tests' own: each test whose parameter has a `name` and a `make` (a call of an SDK) is a row, and
each test marked `surface(sdk, name)`; new ones appear by themselves. The versions are those of the last run of
`scripts/matrix.py` (`docs/versions.json`). `--check` compares only.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "surfaces.md"
README = ROOT / "README.md"
VERSIONS = ROOT / "docs" / "versions.json"
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


def page(surfaces: dict[str, dict[str, dict[str, str]]], runs: list[dict[str, Any]]) -> str:
    """docs/surfaces.md."""
    lines = [
        "# Surfaces and versions",
        "",
        "Made by `scripts/surfaces.py` from the tests: each line is a way to call a provider that is run twice through",
        "the real SDK, without us and with us, and compared: results, types, wire, and the one exact record. A dash: the",
        "SDK did not have it yet; a blank: it was not run. The versions are those of `make matrix`.",
        "",
        "| Python | " + " | ".join(SDKS) + " | tests |",
        "| --- " * (len(SDKS) + 2) + "|",
    ]
    lines += [f"| {run['python']} | " + " | ".join(run[sdk] for sdk in SDKS) + f" | {run['passed']} |" for run in runs]
    for sdk in SDKS:
        versions = columns(sdk, runs)
        lines += ["", f"## {sdk}", "", f"| surface | {' | '.join(versions)} |", "| --- " * (len(versions) + 1) + "|"]
        lines += [
            f"| {name} | {' | '.join(ways(tests, having) for having in versions.values())} |"
            for name, tests in surfaces[sdk].items()
        ]
    return "\n".join(lines) + "\n"


def table(surfaces: dict[str, dict[str, dict[str, str]]], runs: list[dict[str, Any]]) -> str:
    """The README's table: for each SDK the versions and the surfaces, with the first version where not all have it."""
    lines = ["| SDK | tested versions | surfaces |", "| --- | --- | --- |"]
    for sdk in SDKS:
        versions = columns(sdk, runs)
        groups: dict[str, list[str]] = {}
        for name, tests in surfaces[sdk].items():
            having = [version for version, its in versions.items() if ways(tests, its) not in ("", "-")]
            since = "" if not having or having[0] == next(iter(versions)) else f" (from {having[0]})"
            kind, _, rest = name.partition(" ")
            groups.setdefault(kind, []).append(rest + since)
        said = "<br>".join(f"**{kind}** {', '.join(filter(None, each))}".strip() for kind, each in groups.items())
        lines.append(f"| {sdk} | {', '.join(versions)} | {said} |")
    pythons = sorted({run["python"] for run in runs}, key=lambda each: int(each.split(".")[1]))
    return "\n".join(
        [*lines, "", f"On Python {', '.join(pythons)}; each surface by version: [docs/surfaces.md](docs/surfaces.md)."]
    )


def main() -> int:
    """Writes both, or with `--check` returns 1 if they are not what is written."""
    surfaces, runs = collect(), json.loads(VERSIONS.read_text())
    readme = README.read_text()
    head, found, rest = readme.partition(START)
    _, closed, tail = rest.partition(END)
    if not found or not closed:
        raise SystemExit(f"README.md has no {START} ... {END}")
    wanted = {README: f"{head}{START}\n{table(surfaces, runs)}\n{END}{tail}", PAGE: page(surfaces, runs)}
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
