"""What becomes of each agent framework: whether the names of its agents are the roles of their calls."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from typing import Any

from ... import redact
from ...call import Framework
from ...config import Config
from ...frameworks import FRAMEWORKS
from .sdks import SLOW, UNBOOTED, child, said, version_of
from .section import Section


def followed(config: Config, environ: Mapping[str, str], *, quick: bool) -> Section:
    """Each framework that is installed: its version, and whether its agents' names are roles. Costs do not depend on it."""
    section = Section("Agent frameworks")
    packages: dict[str, list[Framework]] = {}
    for framework in FRAMEWORKS:
        packages.setdefault(framework.package, []).append(framework)
    versions = {name: version_of(name) for name in packages}
    children: dict[str, subprocess.Popen[str]] = {}
    if not quick and not config.disabled:
        children = {name: child(packages[name], environ) for name, installed in versions.items() if installed}
    for name, installed in versions.items():
        data: dict[str, Any] = {"version": installed, "followed": None}
        section.data[name] = data
        if name in children:
            why = _trouble(children[name])
            data["followed"] = why is None
            add = section.ok if why is None else section.note
            add(f"{name} {installed}: {'names the roles' if why is None else f'names no roles: {why}'}")
        elif installed is not None:
            section.note(f"{name} {installed}: {'off' if config.disabled else 'not tried (--quick)'}")
    if absent := [name for name, installed in versions.items() if installed is None]:
        section.note(f"not installed: {', '.join(absent)}")
    return section


def _trouble(child: subprocess.Popen[str]) -> str | None:
    """Why a framework's agents are not known, or None: its first table is enough, as versions differ in the others."""
    told = said(child)
    if told is None:
        return SLOW
    found, last_words = list(told[0].values()), told[1]
    if found and (found[0]["patched"] or found[0]["asked"]):
        return None
    if not found or found[0]["absent"]:
        return f"cannot be imported: {redact.text(found[0]['absent'] if found else last_words)}"
    if not found[0]["booted"]:
        return UNBOOTED
    left = [f"{name}: {why}" for name, why in found[0]["left"].items()]
    return "; ".join(left) or "; ".join(found[0]["faults"]) or "no reason is known"
