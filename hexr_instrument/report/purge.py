"""`hexr-instrument purge`: removes calls from the local store and from what waits in its journal."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TextIO

from ..store import Filter, Purged, Store
from . import add_zone, answered, emit, instant, introduce, moment, named, plain, zone_of
from .money import exact

NAME = "purge"
EXIT_KEPT = 1
_EPILOG = """\
Without --tenant and --before, everything goes; at a terminal it asks first. What was
removed is not in the file any more. Calls that wait for an endpoint go unsent where
their whole file is to go; what is left, and why, is said.

exit status:
  0  done, also if there was nothing to remove
  1  the question was not answered with yes: nothing was removed
  2  an option is wrong, or the store cannot be used
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `purge`."""
    introduce(parser, "Removes calls from the local store, for good.", _EPILOG)
    text = 'only calls of this tenant; may be repeated; "" is a call without one'
    parser.add_argument("--tenant", metavar="NAME", action="append", default=[], help=text)
    parser.add_argument("--before", metavar="TIME", help="only calls before TIME: 24h, 7d, 30m ago, or an ISO date")
    add_zone(parser, "dates")
    parser.add_argument("--store", metavar="PATH", help="directory of a store instead of the default one")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def run(args: argparse.Namespace, directory: Path, stdout: TextIO) -> int:
    """Removes calls and says what was removed.

    Args:
        args: The options of `add_arguments`.
        directory: The default store.
        stdout: Where the result goes; complaints go to stderr.

    Returns:
        The exit status: 0, 1 if the user did not want it, 2 if an option or the store cannot be used.
    """
    return answered(NAME, lambda: _run(args, directory, stdout))


def _run(args: argparse.Namespace, directory: Path, stdout: TextIO) -> int:
    zone = zone_of(args.tz)
    before = None if args.before is None else instant("--before", args.before, zone, time.time_ns())
    store = Store(named(Path(args.store)) if args.store else directory)
    store.ingest_all()
    rows = store.costs((), Filter(tenant=tuple(args.tenant), until=Filter().until if before is None else before))
    what = f"{_calls(sum(row.calls for row in rows))} (${exact(sum(row.cost or 0 for row in rows))})"
    where = plain(str(store.directory))
    everything = not args.tenant and before is None
    if everything and not args.yes and sys.stdin.isatty() and stdout.isatty():
        stdout.write(f"Remove all {what} of {where}? [y/N] ")
        stdout.flush()
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            emit(stdout, ["Nothing removed"])
            return EXIT_KEPT
    done = store.purge(args.tenant, before)
    whose = f" of {', '.join(plain(each or None) for each in args.tenant)}" if args.tenant else ""
    until = "" if before is None else f" before {moment(before, zone)}"
    removed = what if done.calls == sum(row.calls for row in rows) else _calls(done.calls)
    emit(stdout, [f"Removed {removed}{whose}{until} from {where}", *_rest(done)])
    return 0


def _rest(done: Purged) -> list[str]:
    """What else is to be known."""
    said: list[str] = []
    if done.unsent:
        said.append(f"Removed {_calls(done.unsent)} that waited for an endpoint")
    if done.running:
        said.append(f"Left: {_calls(done.running)} in journal files of programs that still run; purge again after them")
    if done.mixed:
        said.append(f"Left: {_calls(done.mixed)} that wait for an endpoint in one file with others; they go with it")
    if not done.compacted:
        said.append("Left: the file is not rewritten, as somebody reads it or the disk is full; purge again to do it")
    return said


def _calls(count: int) -> str:
    return "1 call" if count == 1 else f"{count:,} calls"
