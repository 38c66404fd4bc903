"""What a section of the screen says, and how sizes and spans of time are said."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

DAY = 86400 * 10**9
"""In nanoseconds."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the screen."""

    level: str
    """`ok`, `note`, or `problem` (calls are lost, or will be)."""
    text: str


@dataclass(slots=True)
class Section:
    """One matter that was looked at."""

    title: str
    findings: list[Finding] = field(default_factory=list[Finding])
    data: dict[str, Any] = field(default_factory=dict[str, Any])

    def ok(self, text: str) -> None:
        """Notes what is as it should be."""
        self.findings.append(Finding("ok", text))

    def note(self, text: str) -> None:
        """Notes what is worth knowing and loses nothing."""
        self.findings.append(Finding("note", text))

    def problem(self, text: str) -> None:
        """Notes what loses calls, or will."""
        self.findings.append(Finding("problem", text))


def size(count: int) -> str:
    """Bytes in words."""
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count} bytes"


def span(seconds: float) -> str:
    """A span of time in its largest unit."""
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"
