"""What becomes of each SDK: one interpreter for each that is installed tells."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ... import boot, redact
from ...call import Framework, Provider
from ...config import Config
from ...providers import PROVIDERS
from ...wires import Wire
from .section import Finding, Section

PATIENCE = 60.0
"""Seconds that an SDK may take to be imported: some need ten on a small machine."""
SLOW = f"not known: its import takes longer than {PATIENCE:g} s"
UNBOOTED = "the boot file is not run (another sitecustomize is before it on PYTHONPATH)"


def recorded(config: Config, environ: Mapping[str, str], *, quick: bool) -> Section:
    """Each SDK that is installed: its version, and whether its calls are recorded."""
    section = Section("SDKs")
    packages: dict[str, list[Provider]] = {}
    for provider in PROVIDERS:
        packages.setdefault(_package(provider), []).append(provider)
    versions = {name: version_of(name) for name in packages}
    children: dict[str, subprocess.Popen[str]] = {}
    if not quick and not config.disabled:
        children = {name: child(packages[name], environ) for name, installed in versions.items() if installed}
    for name, installed in versions.items():
        data: dict[str, Any] = {"version": installed, "recorded": None}
        section.data[name] = data
        if name in children:
            level, words = _verdict(packages[name], children[name])
            data["recorded"] = level == "ok"
            section.findings.append(Finding(level, f"{name} {installed}: {words}"))
        elif installed is not None:
            why = "not recorded, as nothing is" if config.disabled else "not tried (--quick)"
            section.note(f"{name} {installed}: {why}")
    if absent := [name for name, installed in versions.items() if installed is None]:
        section.note(f"not installed: {', '.join(absent)}")
    return section


def _package(provider: Provider) -> str:
    """The distribution that a table is for: its own, or that of another table of the same SDK."""
    if provider.package is not None:
        return provider.package
    top = provider.module.partition(".")[0]
    same = (provider, *(each for each in PROVIDERS if each.module.partition(".")[0] == top))
    return next((each.direct.package for each in same if each.direct is not None), top)


def version_of(package: str) -> str | None:
    """The version of a distribution, if it is installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def child(tables: Sequence[Provider | Framework | Wire], environ: Mapping[str, str]) -> subprocess.Popen[str]:
    """An interpreter under the boot file that imports one SDK, framework or wire; see `hexr_instrument/imported.py`."""
    # `-c` puts the working directory first on sys.path: nothing may be imported from there.
    code = "import sys; sys.path[:1] == [''] and sys.path.pop(0); from hexr_instrument import imported; "
    code += "imported.main(*sys.argv[1:])"
    return subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", code, *(each.name for each in tables)],
        env=boot.environment(environ, {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )


def said(child: subprocess.Popen[str]) -> tuple[dict[str, dict[str, Any]], str] | None:
    """What a child says of each table, and its last words on stderr; None if it takes too long."""
    try:
        out, err = child.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()
        return None
    found = {each["table"]: each for each in map(_answer, out.splitlines()) if each is not None}
    return found, (err.strip() or "no reason given").rpartition("\n")[2]


def _verdict(tables: list[Provider], child: subprocess.Popen[str]) -> tuple[str, str]:
    """What became of one SDK: level and words."""
    told = said(child)
    if told is None:
        return "note", SLOW
    found, last_words = told
    first = found.get(tables[0].name)
    if first is None or first["absent"] is not None:
        return "note", f"cannot be imported: {redact.text(last_words if first is None else first['absent'])}"
    if not first["booted"]:
        return "problem", f"not recorded: {UNBOOTED}"
    there = [each for each in found.values() if each["absent"] is None]
    left = "; ".join(f"{name}: {why}" for each in there for name, why in each["left"].items())
    needed = {table.name for table in tables if not all(target.optional for target in table.targets)}
    unpatched = [each["table"] for each in there if each["table"] in needed and not each["patched"]]
    left = left or "; ".join(unpatched) or "; ".join(there[-1]["faults"])
    methods = sum(len(each["patched"]) for each in there)
    if not first["patched"]:
        return "problem", f"not recorded: {left or 'no reason is known'}"
    if left:
        return "problem", f"recorded in part; left alone: {left}"
    return "ok", f"recorded ({methods} methods)"


def _answer(line: str) -> dict[str, Any] | None:
    """What a line of the child says, if it is not one of the SDK's own."""
    try:
        said: dict[str, Any] | None = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) and "table" in said else None
