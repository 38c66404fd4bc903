"""Runs the tests that drive the SDKs against old and new versions of them, each in an environment of its own.

`python scripts/matrix.py [--small [--note]] [--keep] [NAME ...]`: all rows, or those of CI, or those named. Pairs of versions, not
their product: each SDK's oldest, middle and newest majors, mixed as real installs mix them, on every Python. A Python
that is not here is said and left out. The outcome is written to `docs/versions.json`, from which `scripts/surfaces.py`
makes the tables of surfaces and versions; with `--small` nothing is written unless `--note` says so.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from venvs import ROOT, environment

if sys.version_info >= (3, 11):
    import tomllib as tomli
else:
    import tomli

HOME = ROOT / ".matrix"
OUTCOME = ROOT / "docs" / "versions.json"
SDKS = ("openai", "anthropic", "google-genai")
TESTS = ("test_wire.py", "test_main_path.py", "test_who.py", "test_content.py", "test_content_surfaces.py", "test_gemini.py",
         "test_rows.py", "test_rows_others.py")  # fmt: skip
SDK_TESTS = ("test_surfaces.py", "test_openai.py", "test_main_path.py")
PYTHON_TESTS = ("test_who.py", "test_boot.py", "test_launch.py", "test_tracer_providers.py")
SURFACES = ("test_a_surface_is", "test_what_is_made_is")
"""Tests that are one surface each: `scripts/surfaces.py` shows which of them passed with which versions."""
LACKING = "not in this version"

# Name: Python, then the versions of the three SDKs, then what these need of others.
# The newest that Python 3.10 gets of google-genai is a 2.
ROWS: dict[str, tuple[str, tuple[str, str, str], tuple[str, ...]]] = {
    "oldest": ("3.10", ("==1.40.*", "==0.40.*", "==1.10.*"), ("httpx<0.28",)),
    "middle": ("3.11", ("==1.109.*", "==0.125.*", "==1.75.*"), ()),
    "second": ("3.12", ("==2.54.*", "==1.17.*", "==2.34.*"), ()),
    "newest": ("3.13", (">=3,<4", ">=2,<3", ">=3,<4"), ()),
    "newest-310": ("3.10", (">=3,<4", ">=2,<3", ">=2,<3"), ()),
    "mixed-old-openai": ("3.12", ("==1.109.*", ">=2,<3", "==1.75.*"), ()),
    "mixed-old-claude": ("3.13", (">=3,<4", "==0.125.*", "==2.0.*"), ()),
}
# The oldest openai and anthropic hand httpx what 0.28 took away, and the oldest google-genai asks for 0.28, though it
# works without: no resolver puts them together, so this one is installed without its requirements, which follow.
ALONE = {"oldest": ("google-genai", ("google-auth", "requests", "websockets"))}
SMALL = {
    "oldest": SDK_TESTS + PYTHON_TESTS,
    "second": ("test_surfaces.py", "test_main_path.py", "test_boot.py"),
    "newest": SDK_TESTS + PYTHON_TESTS,
}
"""CI's part: the SDKs' surfaces on each of these rows, and what depends on the Python on the oldest and the newest."""


def surfaces() -> tuple[str, ...]:
    """What the names of such tests begin with: those above, and each that is marked as a surface."""
    marked = re.compile(r"^@pytest\.mark\.surface\(.*\n(?:@.*\n)*def (test_\w+)", re.MULTILINE)
    files = (ROOT / "tests").glob("test_*.py")
    return SURFACES + tuple(name for path in files for name in marked.findall(path.read_text()))


def python_of(version: str, *, otherwise: str | None = None) -> str | None:
    """The interpreter of that version: pyenv's newest, or the one on PATH."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = sorted(versions.glob(f"{version}.*/bin/python"), key=lambda each: int(each.parts[-3].rsplit(".", 1)[1]))
    return str(found[-1]) if found else shutil.which(f"python{version}") or otherwise


def tests() -> list[str]:
    """The files of tests that drive the SDKs: the surfaces of every one of them, and what else depends on them."""
    own = [each.name for pattern in ("test_surfaces*", "test_openai*", "test_claude*", "test_google*")
           for each in (ROOT / "tests").glob(f"{pattern}.py")]  # fmt: skip
    return [f"tests/{name}" for name in sorted({*own, *TESTS}) if (ROOT / "tests" / name).exists()]


def made(name: str, python: str) -> Path:
    """The interpreter of the row's virtual environment, with its versions installed."""
    _, versions, others = ROWS[name]
    wanted = [f"{sdk}{version}" for sdk, version in zip(SDKS, versions, strict=True)]
    alone, needed = ALONE.get(name, ("", ()))
    apart = [each for each in wanted if alone and each.startswith(alone)]
    tests = tomli.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["test"]
    together = [each for each in wanted if each not in apart]
    return environment(HOME / name, python, [*tests, *together, *others, *needed], alone=apart)


def run(name: str, python: str, *, keep: bool, small: bool) -> dict[str, Any]:
    """One row: what was installed, how many tests passed, which failed, and which surfaces the SDKs do not have."""
    started = time.monotonic()
    bin_ = made(name, python)
    report = HOME / f"{name}.xml"
    report.unlink(missing_ok=True)
    listed = f"import importlib.metadata as m, platform; print(platform.python_version(), *map(m.version, {SDKS}))"
    python_version, *installed = subprocess.check_output([bin_, "-c", listed], text=True).split()
    flags = ["-q", "-p", "no:cacheprovider", "-n", os.environ.get("MATRIX_WORKERS", "auto"), f"--junitxml={report}"]
    chosen = [f"tests/{each}" for each in SMALL[name]] if small else tests()
    done = subprocess.run(
        [bin_, "-m", "pytest", *flags, *chosen], check=False, cwd=ROOT, capture_output=True, text=True
    )
    (HOME / f"{name}.log").write_text(done.stdout + done.stderr)
    found: dict[str, Any] = {
        "name": name,
        "python": ".".join(python_version.split(".")[:2]),
        **dict(zip(SDKS, installed, strict=True)),
        "passed": 0,
        "failed": [],
        "lacking": [],
        "surfaces": [],
    }
    shown = surfaces()
    for case in ET.parse(report).iter("testcase") if report.exists() else ():  # noqa: S314  (our own file)
        where = f"{str(case.get('classname')).rpartition('.')[2]}::{case.get('name')}"
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            found["failed"].append(where)
        elif skipped is None:
            found["passed"] += 1
            if where.partition("::")[2].startswith(shown):
                found["surfaces"].append(where)
        elif LACKING in str(skipped.get("message")) or "could not import" in str(skipped.get("message")):
            found["lacking"].append(where)
    if not found["passed"]:
        found["failed"].append("no test ran")
    if not keep:
        shutil.rmtree(HOME / name, ignore_errors=True)
    minutes = (time.monotonic() - started) / 60
    print(f"{name:17} {found['python']:5} {' '.join(f'{each:9}' for each in installed)} "
          f"{found['passed']:5} passed {len(found['failed']):3} failed {len(found['lacking']):3} not there  {minutes:.1f} min",
          flush=True)  # fmt: skip
    for each in found["failed"][:10]:
        print(f"    {each}", flush=True)
    return found


def note(found: dict[str, Any]) -> None:
    """Writes one row's outcome in the place of its last one."""
    before = json.loads(OUTCOME.read_text()) if OUTCOME.exists() else []
    kept = {each["name"]: each for each in [*before, found]}
    OUTCOME.write_text(json.dumps([kept[name] for name in ROWS if name in kept], indent=1) + "\n")


def main() -> int:
    """Runs the rows; 1 if a test failed in one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"rows to run: {', '.join(ROWS)}")
    parser.add_argument("--small", action="store_true", help="CI's part: fewer rows and fewer tests")
    parser.add_argument("--note", action="store_true", help="write the outcome, with --small as well")
    parser.add_argument("--keep", action="store_true", help="keep the environments in .matrix")
    args = parser.parse_args()
    HOME.mkdir(exist_ok=True)
    outcome: list[dict[str, Any]] = []
    for name in args.names or (SMALL if args.small else ROWS):
        python = python_of(ROWS[name][0], otherwise=sys.executable if args.small else None)
        if python is None:
            print(f"{name:17} Python {ROWS[name][0]} is not here")
            continue
        outcome.append(run(name, python, keep=args.keep, small=args.small))
        if args.note or not args.small:
            note(outcome[-1])
    return int(not outcome or any(each["failed"] for each in outcome))


if __name__ == "__main__":
    sys.exit(main())
