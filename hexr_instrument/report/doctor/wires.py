"""What becomes of the wires to other processes: A2A, MCP and HTTP. Costs do not depend on them."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from typing import Any

from ... import redact
from ...config import Config
from ...wires import WIRES, Wire
from .sdks import SLOW, UNBOOTED, child, said, version_of
from .section import Section

_PACKAGES = {"a2a": "a2a-sdk"}
"""Module -> distribution, where they are not called alike."""


def carried(config: Config, environ: Mapping[str, str], *, quick: bool) -> Section:
    """Each library of a wire that is installed: its version, and which of its tables' targets are patched or left.

    In the data, a library has `version`, `patched` (how many methods, or null where nobody has looked) and `left`
    (what stays as it is -> why; a table that is for another version of the library is named as a whole).
    """
    section = Section("Wires")
    tables: dict[str, list[Wire]] = {}
    for wire in WIRES:
        module = wire.module.partition(".")[0]
        if module != "opentelemetry":  # a part of what we need ourselves
            tables.setdefault(_PACKAGES.get(module, module), []).append(wire)
    versions = {name: version_of(name) for name in tables}
    asked = {name: [wire for wire in tables[name] if config.propagate or not _sends(wire)] for name in tables}
    children: dict[str, subprocess.Popen[str]] = {}
    if not quick and not config.disabled:
        children = {name: child(asked[name], environ) for name, found in versions.items() if found and asked[name]}
    alone: list[str] = []
    for name, installed in versions.items():
        data: dict[str, Any] = {"version": installed, "patched": None, "left": {}}
        section.data[name] = data
        if name in children:
            _tell(section, data, f"{name} {installed}", children[name])
        elif installed is not None and config.disabled:
            section.note(f"{name} {installed}: off")
        elif installed is not None and not asked[name]:
            data["patched"] = 0
            alone.append(f"{name} {installed}")
        elif installed is not None:
            section.note(f"{name} {installed}: not tried (--quick)")
    if alone:
        section.note(f"{', '.join(alone)}: left alone, as HEXR_PROPAGATE names no host")
    if absent := [name for name, installed in versions.items() if installed is None]:
        section.note(f"not installed: {', '.join(absent)}")
    return section


def _sends(wire: Wire) -> bool:
    """Whether a table is for any request to any host: such are patched only where a host may be told who asks."""
    return all(target.drive == "send" for target in wire.targets)


def _tell(section: Section, data: dict[str, Any], name: str, child: subprocess.Popen[str]) -> None:
    """What one library's interpreter says of each of its tables."""
    told = said(child)
    if told is None:
        section.note(f"{name}: {SLOW}")
        return
    found, last_words = told
    there = [each for each in found.values() if each["absent"] is None]
    data["patched"] = sum(len(each["patched"]) for each in there)
    for each in there:
        data["left"] |= each["left"]
    for each in found.values():
        if each["absent"] is not None:
            data["left"][each["table"]] = redact.text(each["absent"])
    if not there:
        why = next(iter(data["left"].values()), redact.text(last_words))
        section.note(f"{name}: cannot be imported: {why}")
    elif not there[0]["booted"]:
        section.note(f"{name}: left alone: {UNBOOTED}")
    else:
        left = [f"{target}: {why}" for each in there for target, why in each["left"].items()]
        left += [] if data["patched"] else [why for each in there for why in each["faults"]]
        words = [f"carries who asks ({data['patched']} methods)"] if data["patched"] else []
        words += [f"left alone: {'; '.join(left) or 'no reason is known'}"] if left or not words else []
        (section.note if left or not data["patched"] else section.ok)(f"{name}: {'; '.join(words)}")
