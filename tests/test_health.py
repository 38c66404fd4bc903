"""Notes of processes that are gone: written by many, bounded, read by `doctor`."""

from __future__ import annotations

import threading
from pathlib import Path

from hexr_instrument import health


def test_a_note_is_read_back(tmp_path: Path) -> None:
    """What was noted comes back with its reason, count and facts, oldest first."""
    health.note(tmp_path, "dropped", "older than 48 h", 12, destination="http://collector:4318")
    health.note(tmp_path, "breaker", "openai", exception="KeyError")
    first, second = health.notes(tmp_path)
    assert (first["kind"], first["count"], first["destination"]) == ("dropped", 12, "http://collector:4318")
    assert (second["reason"], second["exception"]) == ("openai", "KeyError")
    assert health.notes(tmp_path, since=first["time"] + 1) == [second]


def test_a_torn_or_foreign_line_is_passed_over(tmp_path: Path) -> None:
    """A damaged file costs its damaged lines only."""
    health.file_of(tmp_path).write_text('{"time": 1, "kind": "dro\n[]\n{"time": "now"}\n')
    health.note(tmp_path, "dropped", "full")
    assert [each["reason"] for each in health.notes(tmp_path)] == ["full"]


def test_the_file_is_bounded_and_private(tmp_path: Path) -> None:
    """Notes do not grow without end; the newest stay, and only the user may read them."""
    many = health.LIMIT // 60
    for number in range(many):
        health.note(tmp_path, "dropped", "x" * 40, number)
    assert health.file_of(tmp_path).stat().st_size <= health.LIMIT
    assert health.file_of(tmp_path).stat().st_mode & 0o777 == 0o600
    assert health.notes(tmp_path)[-1]["count"] == many - 1


def test_threads_write_whole_lines(tmp_path: Path) -> None:
    """Notes of many writers are all there."""
    writers = [
        threading.Thread(target=lambda: [health.note(tmp_path, "dropped", "r") for _ in range(50)]) for _ in range(8)
    ]
    for each in writers:
        each.start()
    for each in writers:
        each.join()
    assert len(health.notes(tmp_path)) == 400


def test_a_store_that_cannot_be_written_loses_the_note_only(tmp_path: Path) -> None:
    """No directory, no note, no error."""
    health.note(tmp_path / "none" / "here", "dropped", "r")
    assert health.notes(tmp_path / "none" / "here") == []
