"""`hexr-instrument calls`: the latest calls, one line each; with `--follow` also those to come."""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from datetime import datetime, timezone, tzinfo
from pathlib import Path
from typing import Any, TextIO

from rich.cells import cell_len

from ..store import Filter, Record, Store
from . import (
    UNKNOWN,
    Selection,
    UsageError,
    add_selection,
    answered,
    complain,
    covered,
    emit,
    follow,
    introduce,
    iso,
    plain,
    prepare,
    select,
    tokens,
)
from .money import USD_DIGITS, decimals, dollars, exact
from .table import shortened

NAME = "calls"
_WIDTH = 80
_NARROW = 12
"""Cells that a name keeps on the narrowest terminal."""
_SIZES = (8, 12, 12, 9, 6, 0)
"""Cells that a column has from the start, where it is not known what will come."""
_EPILOG = """\
Columns: time (UTC, or --tz; with the date if it is not today's), agent/role, provider
and model, input/output tokens, duration, cost, or why there is none.

--follow prints the latest calls, the oldest first, and then each call as it ends, until
Ctrl-C; of --json, each call is one line. With the options that choose calls, but --until.

exit status:
  0  the calls were printed
  2  an option is wrong, or a store cannot be read

--json prints one object: calls (the newest first; times in UTC, durations in
milliseconds, cost_usd an exact decimal or null, cost in 1e-12 USD; what is unknown is
null) and covers_since.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `calls`."""
    introduce(parser, "The latest calls, the newest first, one line each.", _EPILOG)
    text = "how many calls at most (default: 20); with --follow, how many of before, also 0"
    parser.add_argument("--limit", metavar="N", default="20", help=text)
    parser.add_argument("--follow", action="store_true", help="go on with each call as it ends, until Ctrl-C")
    add_selection(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object, see below")


def run(args: argparse.Namespace, directory: Path, stdout: TextIO) -> int:
    """Prints the latest calls.

    Args:
        args: The options of `add_arguments`.
        directory: The default store.
        stdout: Where the calls go; complaints go to stderr.

    Returns:
        The exit status: 0, or 2 if an option or a store cannot be used.
    """
    return answered(NAME, lambda: _run(args, directory, stdout))


def _run(args: argparse.Namespace, directory: Path, stdout: TextIO) -> int:
    least = 0 if args.follow else 1
    if not (args.limit.isascii() and args.limit.isdigit() and least <= int(args.limit) <= 1_000_000):
        raise UsageError(f"--limit: {args.limit!r} is no number of calls; use one from {least} to 1000000")
    limit = int(args.limit)
    if args.follow and args.until is not None:
        raise UsageError("--until: --follow goes on until Ctrl-C; leave one of them out")
    selection = select(args)
    stores = prepare(args, directory, NAME)
    # Before the calls are read: one that is taken in between is printed once, and none is left out.
    marks = [store.later(None, Filter(until=1))[1] for store in stores] if args.follow else []
    found = [record for store in stores for record in store.calls(limit, selection.only)] if limit else []
    found = sorted(found, key=lambda record: record.start, reverse=True)[:limit]
    where = ", ".join(plain(str(store.directory)) for store in stores)
    if args.follow:
        if stdout.isatty() and not found:
            complain(NAME, f"waiting for calls in {where}; Ctrl-C ends it")
        _follow(args, stores, marks, found[::-1], selection, stdout)
    elif args.json:
        data = {"calls": [as_data(record) for record in found], "covers_since": iso(covered(stores))}
        emit(stdout, [json.dumps(data, indent=2)])
    elif not found:
        what = "Nothing recorded yet" if selection.everything else "No call matches these options"
        emit(stdout, [f"{what} in {where}"])
    else:
        emit(stdout, lines(found, selection.zone, _width(stdout), datetime.now(timezone.utc)))
    return 0


def _width(stdout: TextIO) -> int | None:
    return shutil.get_terminal_size().columns if stdout.isatty() else None


def _follow(
    args: argparse.Namespace,
    stores: Sequence[Store],
    marks: Sequence[str | None],
    found: Sequence[Record],
    selection: Selection,
    stdout: TextIO,
) -> None:
    """Prints the calls that were found, then those to come."""
    sizes = list[int](_SIZES)
    printed = {record.id for record in found}

    def show(records: Sequence[Record]) -> bool:
        if args.json:
            return emit(stdout, [json.dumps(as_data(record)) for record in records])
        text = lines(records, selection.zone, _width(stdout), datetime.now(timezone.utc), sizes)
        return emit(stdout, text)

    if not found or show(found):
        follow.follow(
            stores, marks, selection.only, stdout, lambda new: show([one for one in new if one.id not in printed])
        )


def lines(
    found: Sequence[Record], zone: tzinfo, width: int | None, now: datetime, least: list[int] | None = None
) -> list[str]:
    """One line for each call, aligned.

    Args:
        found: The calls.
        zone: In which times are printed.
        width: Cells of the terminal, to which names are cut; None cuts nothing.
        now: Tells which calls are of today.
        least: Cells that each column has at least; it is left as wide as these calls need it.
    """
    if not found:
        return []
    places = decimals([record.cost for record in found if record.cost is not None])
    rows = [
        [
            _time(record.start, zone, now),
            f"{plain(record.facet.agent)}{'/' + plain(record.facet.role) if record.facet.role else ''}",
            f"{plain(record.facet.provider)} {plain(record.facet.model)}".replace(f"{UNKNOWN} {UNKNOWN}", UNKNOWN),
            tokens(record.usage.get("input"), record.usage.get("output")),
            _duration(record.duration),
            _outcome(record, places),
        ]
        for record in found
    ]
    sizes = [max(cell_len(row[at]) for row in rows) for at in range(len(rows[0]))]
    if least is not None:
        least[:] = sizes = list(map(max, sizes, least))
    gap = 2 if sum(sizes) + 2 * (len(sizes) - 1) <= _WIDTH else 1
    if width is not None:
        excess = sum(sizes) + gap * (len(sizes) - 1) - width
        for at in sorted((1, 2), key=lambda at: -sizes[at]):  # the longer names give way first
            cut = max(0, min(excess, sizes[at] - _NARROW))
            sizes[at] -= cut
            excess -= cut
    for row, record in zip(rows, found, strict=True):
        if cell_len(row[2]) > sizes[2]:  # a model says its provider sooner than a provider its model
            row[2] = plain(record.facet.model)
    right = (3, 4)
    return [
        (" " * gap).join(
            _fit(cell, size, right=at in right) for at, (cell, size) in enumerate(zip(row, sizes, strict=True))
        )
        for row in rows
    ]


def _fit(cell: str, size: int, *, right: bool) -> str:
    cell = shortened(cell, size)
    blank = " " * (size - cell_len(cell))
    return blank + cell if right else cell + blank


def _time(start: int, zone: tzinfo, now: datetime) -> str:
    moment = datetime.fromtimestamp(start // 10**9, zone)
    today = moment.date() == now.astimezone(zone).date()
    return f"{moment:%H:%M:%S}" if today else f"{moment:%m-%d %H:%M}"


def _duration(nanoseconds: int | None) -> str:
    if nanoseconds is None:
        return "-"
    milliseconds = nanoseconds // 10**6
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    if milliseconds < 60_000:
        return f"{milliseconds / 1000:.1f}s"
    return f"{milliseconds // 60_000}m{milliseconds // 1000 % 60:02}s"


def _outcome(record: Record, places: int) -> str:
    """The cost, and the error of a failed call; what is unknown is said in words."""
    facet = record.facet
    words: list[str] = []
    if record.cost is not None:
        unit = 10 ** (USD_DIGITS - places)
        amount = dollars((record.cost + unit // 2) // unit, places)
        words.append(f">= {amount}" if facet.cost_status == "partial" else amount)
    if facet.error is not None:
        # Enough beside the provider's name; --json has it all.
        words.append(f"HTTP {record.status}" if record.status else plain(facet.error).rpartition(".")[2])
    return " ".join(words) or facet.cost_status.replace("_", " ")


def as_data(record: Record) -> dict[str, Any]:
    """A call as JSON has it; the structure is described in the help of the command."""
    facet = record.facet
    return {
        "id": record.id,
        "trace": record.trace,
        "parent": record.parent,
        "start": iso(record.start),
        "end": None if record.duration is None else iso(record.start + record.duration),
        "duration_ms": _milliseconds(record.duration),
        "first_chunk_ms": _milliseconds(record.first_chunk),
        "agent": facet.agent,
        "tenant": facet.tenant,
        "role": facet.role,
        "labels": record.labels,
        "provider": facet.provider,
        "model": facet.model,
        "requested": facet.requested,
        "served": facet.served,
        "operation": facet.operation,
        "stream": record.stream,
        "usage": record.usage,
        "cost_usd": None if record.cost is None else exact(record.cost),
        "cost": record.cost,
        "cost_status": facet.cost_status,
        "cost_source": facet.cost_source,
        "error": facet.error,
        "status": record.status,
        "finish": record.finish,
        "response_id": record.response_id,
        "tier": record.tier,
        "prices": record.prices,
        "run": record.run,
        "service": record.service,
    }


def _milliseconds(nanoseconds: int | None) -> float | None:
    return None if nanoseconds is None else nanoseconds / 1e6
