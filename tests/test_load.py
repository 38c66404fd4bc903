"""Many calls: what must not grow does not, what runs at once does not mix, what does not fit is counted."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from support import ROOT, Run

from hexr_instrument import health
from hexr_instrument.journal import MEMORY_LIMIT, Journal

linux = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")


@linux
@pytest.mark.parametrize("transport", ["mock", "http"])
def test_a_soak_of_calls_and_streams_leaves_nothing_behind(run: Run, transport: str) -> None:
    """Memory, threads, descriptors and contexts stay flat, a third of the streams abandoned; nothing is mixed or lost.

    The same program runs for hours with more calls (`make soak`).
    """
    http = transport == "http"
    options = ["--calls", "400", "--streams", "200", "--http"] if http else ["--calls", "1500", "--streams", "600"]
    soak = [sys.executable, str(ROOT / "bench" / "soak.py"), *options, "--tasks", "100" if http else "1000"]
    done = run(command=soak, bare=True, timeout=170)
    assert done.returncode == 0, done.out + done.err
    told = json.loads(done.out)
    assert not told["tangled"]
    assert not told["faults"]
    assert told["recorded"] == (400 + 200 + 100 if http else 1500 + 600 + 1000) + 64 * 20
    if not http:
        assert told["partial"] == 200


def test_records_that_fall_out_of_memory_are_counted(tmp_path: Path) -> None:
    """Where nothing can be written, the latest calls wait in memory; how many gave way is known."""
    (tmp_path / "journal").write_text("in the way")
    journal = Journal(tmp_path, dict)
    for number in range(MEMORY_LIMIT + 7):
        assert journal.append({"number": number}) == 0
    assert len(journal.memory) == MEMORY_LIMIT
    assert journal.memory[-1] == {"number": MEMORY_LIMIT + 6}
    notes = [note for note in health.notes(tmp_path) if note["kind"] == "dropped"]
    assert [note["count"] for note in notes] == [1, 1, 2]  # the first, the second, and two more
    assert journal.fell_out == 7
