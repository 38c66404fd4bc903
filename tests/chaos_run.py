"""A program again and again in one process, under the launcher, with a fault at one step of ours after the other.

`python -c "import chaos_run; chaos_run.main(SOURCE, COUNT)"` prints what the program printed without a fault; each
difference is a line on stderr, and the status 1.
"""

from __future__ import annotations

import contextlib
import gc
import io
import sys
from collections.abc import Callable

from chaos import FAULTS, Watch, faults

from hexr_instrument import guard

SEEN = 40
"""A program in which fewer steps of ours are seen than this is not recorded at all."""


def main(source: str, count: int) -> None:
    """Runs `source` twice as it is, and then with a fault at each of up to `count` steps, evenly chosen."""
    guard.BREAK_AFTER = 1 << 30
    code = compile(source, "program", "exec")

    def once() -> str:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(code, {"__name__": "__main__"})
            gc.collect()
        return out.getvalue()

    expected = once()
    watch = Watch()
    wrong = [] if watch(once) == expected else ["another output at the second time"]
    found = list(watch.seen)
    if len(found) < SEEN:
        wrong.append(f"{len(found)} steps of ours only")
    chosen = found[:: max(1, -(-len(found) // count))]
    fired = 0
    for number, fault in enumerate(faults(chosen)):
        fault.fault = FAULTS[number % len(FAULTS)]
        guard.faults = fault
        said = _said(fault, once)
        if said != expected:
            wrong.append(f"{fault.fault.__name__} at {fault.target}: {said[-300:]}")
        fired += bool(fault.fired)
    if fired <= len(chosen) // 2:
        wrong.append(f"{fired} of {len(chosen)} faults only")
    guard.faults = {}
    sys.stdout.write(expected)
    sys.stderr.write("".join(f"{each}\n" for each in wrong))
    sys.exit(bool(wrong))


def _said(fault: Watch, once: Callable[[], str]) -> str:
    try:
        return str(fault(once))
    except BaseException as error:
        return f"raised {error!r}"
