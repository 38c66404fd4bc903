"""`hexr-instrument costs`: what was spent, by whom, on which model."""

from __future__ import annotations

import argparse
import json
import re
import shutil
import time
from collections.abc import Sequence
from datetime import timezone
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TextIO

from .. import pricing
from ..call import USD
from ..store import COLUMNS, Filter, Row, Store
from . import (
    Selection,
    UsageError,
    add_selection,
    answered,
    compare,
    complain,
    covered,
    diff,
    emit,
    fleet,
    instant,
    introduce,
    plain,
    prepare,
    reconcile,
    reprice,
    select,
    styled,
    tokens,
    verify,
)
from .data import FIELDS, TREE, CostRow, Sums, checked, gather
from .money import exact
from .table import as_csv, bar, table
from .tree import amounts, counted, notes, total, tree, uncovered

NAME = "costs"
EXIT_OVER = 1
"""The total is over `--max`; the sums that `--verify` compares differ."""
_EPILOG = """\
exit status:
  0  the report was printed
  1  the total is over --max, or --verify found sums that differ
  2  an option is wrong, or a store cannot be read

Every number is a sum of calls that `hexr-instrument calls` lists with the same options.

--json prints one object: total and rows (each with cost_usd, an exact decimal, or
null if no cost is known; cost, the same in 1e-12 USD; calls; covered, those whose cost
is known; priced, of which stated by the provider; unpriced, no_usage, partial, failed;
input, output, cache_read, cache_write, reasoning tokens; rows also with their groups),
by, since, until, covers_since, kinds (the same calls by how their cost is known),
coverage (0 to 1), mismatched, unpriced (by model), prices (the price tables),
skipped_lines, hidden (groups beyond --top). The other reports have objects of their
own. Amounts are sums of 1e-12 USD; nothing is a float before it is printed.

--from asks a backend for what it holds of all processes that export to it, by --by,
--since (default: 30 days of Prometheus, 24 hours of Tempo), --until, --tz, --agent,
--tenant, --role, --provider, --model, --where, --top, --max, --json and --csv; user and
password may stand in the URL. Prometheus (Mimir, Thanos, VictoriaMetrics) holds
counters, Tempo (2.7 or later, with TraceQL metrics) spans; how exact it is, is said.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `costs`."""
    introduce(parser, "What was spent: by agent, role and model, or by other groups.", _EPILOG)
    text = f"a table by these groups, separated by commas: {', '.join(COLUMNS)}, or names of labels"
    parser.add_argument("--by", metavar="A,B", help=text)
    parser.add_argument("--top", metavar="N", help="only the N most expensive groups; the others as one line")
    add_selection(parser)
    text = "exit with status 1 if the total is more than this amount"
    parser.add_argument("--max", metavar="USD", dest="maximum", help=text)
    others = parser.add_argument_group("other reports on these calls").add_mutually_exclusive_group()
    text = "models side by side: latency, tokens, cost per call and per 1k output tokens, errors"
    others.add_argument("--compare", action="store_true", help=text)
    text = "what changed since the SPAN before the last one (24h: yesterday against today), by --by (default: agent)"
    others.add_argument("--diff", metavar="SPAN", help=text)
    text = "prove that the leaves, the days and the single calls have the same sums"
    others.add_argument("--verify", action="store_true", help=text)
    text = "compare with a provider's usage, cost or billing export (CSV or JSON); --by project, workspace or key, too"
    others.add_argument("--reconcile", metavar="FILE", help=text)
    text = (
        "price stored calls that have no price, or with `all` every call whose provider did not state its cost;"
        " changes the store at once, --dry-run shows it before"
    )
    others.add_argument(
        "--reprice", metavar="WHAT", nargs="?", const="unpriced", choices=("unpriced", "all"), help=text
    )
    text = "the same of a fleet: prometheus=URL or tempo=URL, instead of the local store; see below"
    parser.add_argument("--from", metavar="BACKEND=URL", dest="source", help=text)
    parser.add_argument("--dry-run", action="store_true", help="with --reprice: show the change and make none")
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="one JSON object, see below")
    output.add_argument("--csv", action="store_true", help="comma-separated values with a header line")


def run(args: argparse.Namespace, directory: Path, stdout: TextIO) -> int:
    """Prints the report.

    Args:
        args: The options of `add_arguments`.
        directory: The default store.
        stdout: Where the report goes; complaints go to stderr.

    Returns:
        The exit status: 0, 1 if the total is over `--max`, 2 if an option or a store cannot be used.
    """
    return answered(NAME, lambda: _run(args, directory, stdout))


def _run(args: argparse.Namespace, directory: Path, stdout: TextIO) -> int:
    by = checked(TREE if args.by is None else [name.strip() for name in args.by.split(",")])
    maximum = _maximum(args.maximum)
    top = _top(args.top)
    selection = select(args)
    if args.source is not None:
        found = _of_fleet(args, by, selection, top, stdout)
        return _verdict(found.total.cost or 0, maximum)
    stores = prepare(args, directory, NAME)
    if args.compare or args.diff or args.verify or args.reprice or args.reconcile:
        return _other(args, stores, selection, stdout)
    if args.dry_run:
        raise UsageError("--dry-run: there is nothing to try; it goes with --reprice")
    sums, report = gather(stores, by, selection, top)
    if args.json:
        emit(stdout, [json.dumps(report.as_dict(), indent=2)])
    elif args.csv:
        emit(stdout, as_csv((*by, "cost_usd", *FIELDS), map(_cells, report.rows), len(by)))
    elif not sums.rows:
        emit(stdout, [_nothing(selection, stores)])
    else:
        colours = styled(stdout)
        shown = _tree if args.by is None else _table
        lines = shown(by, sums, stdout, colours=colours)
        since = covered(stores)
        since = None if since is None or since <= selection.only.since else since
        lines += ["", *_others(sums, report.hidden), total(sums.rows, sums.others)]
        emit(stdout, [*lines, *uncovered(sums, report, since, selection.zone, _width(stdout)), *_stale()])
    return _verdict(report.total.cost or 0, maximum)


def _of_fleet(
    args: argparse.Namespace, by: Sequence[str], selection: Selection, top: int | None, stdout: TextIO
) -> fleet.Fleet:
    """The report on what a backend holds, instead of a store."""
    for name in ("compare", "diff", "verify", "reconcile", "reprice", "store", "dry_run"):
        if getattr(args, name):
            raise UsageError(f"--{name.replace('_', '-')}: it needs the calls of a store; leave it or --from out")
    found = fleet.gather(args.source, by, selection, top)
    if args.json:
        emit(stdout, [json.dumps(found.as_dict(), indent=2)])
    elif args.csv:
        emit(stdout, found.csv_lines())
    elif not found.rows:
        emit(stdout, ["No call there matches these options", *found.uncovered(selection.zone)])
    else:
        sums = Sums(found.rows, found.others, found.total, [], [])
        shown = _tree if args.by is None else _table
        lines = shown(by, sums, stdout, colours=styled(stdout))
        lines += ["", *_others(sums, found.hidden), total(found.rows, found.others)]
        emit(stdout, [*lines, *found.uncovered(selection.zone)])
    return found


def _other(args: argparse.Namespace, stores: Sequence[Store], selection: Selection, stdout: TextIO) -> int:
    """The reports that are no cost tree."""
    colours = styled(stdout)
    status = 0
    if args.compare:
        rows = compare.gather(stores, selection)
        data: Any = {"models": rows}
        text = compare.csv_lines(rows) if args.csv else compare.lines(rows, stdout, colours=colours)
    elif args.diff:
        span, end = _span(args)
        by = ("agent",) if args.by is None else checked([name.strip() for name in args.by.split(",")])
        found, bounds = diff.gather(stores, by, selection, span, end)
        data = diff.as_data(by, found, bounds)
        text = diff.csv_lines(by, found) if args.csv else diff.lines(by, found, stdout, colours=colours)
    elif args.reconcile:
        by = () if args.by is None else checked([name.strip() for name in args.by.split(",")])
        compared = reconcile.gather(stores, selection, Path(args.reconcile), by, zoned=args.tz is not None)
        data = reconcile.as_data(compared)
        text = reconcile.csv_lines(compared) if args.csv else reconcile.lines(compared, stdout, colours=colours)
    elif args.verify:
        data = verify.gather(stores, selection)
        text = verify.lines(data)
        status = 0 if data["same"] else EXIT_OVER
    else:
        everything, apply = args.reprice == "all", not args.dry_run
        changes = reprice.gather(stores, selection, everything=everything, apply=apply)
        data = reprice.as_data(changes, apply=apply)
        text = reprice.lines(changes, apply=apply)
    emit(stdout, [json.dumps(data, indent=2)] if args.json else text)
    return status


def _span(args: argparse.Namespace) -> tuple[int, int]:
    """The length of the spans that `--diff` compares and the end of the later one, in nanoseconds."""
    if args.since is not None:
        raise UsageError("--since: --diff says how long the spans are; leave --since out, --until may set their end")
    selected = select(args).only.until
    end = time.time_ns() if selected == Filter().until else selected
    start = instant("--diff", args.diff, timezone.utc, end)
    if not 0 < start < end or 2 * (end - start) > end or not re.fullmatch(r"[\d.]+[smhdw]", args.diff.strip()):
        raise UsageError(f"--diff: {args.diff!r} is no span; use one such as 24h or 7d")
    return end - start, end


def _stale() -> list[str]:
    """Says that the table by which calls are priced now is old."""
    days = pricing.stale_days(time.time_ns())
    if days is None:
        return []
    return [f"Prices: {pricing.version()} are {days} days old; hexr-instrument prices update takes newer ones"]


def _others(sums: Sums, hidden: int) -> list[str]:
    """What `--top` left out, so that the printed parts still add up to the total."""
    if not sums.others:
        return []
    cells, _ = amounts([*sums.rows, *sums.others])
    return [f"Others: {cells[-1]} / {counted(sums.others[0].calls, 'call')} in {counted(hidden, 'group')}"]


def _cells(row: CostRow) -> list[str]:
    groups = ["" if each is None else plain(each) for each in row.group.values()]
    return [*groups, "" if row.cost is None else exact(row.cost), *(str(getattr(row, name)) for name in FIELDS)]


def _top(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise UsageError(f"--top: {text!r} is no number of groups; use one such as 10")
    return int(text)


def _maximum(text: str | None) -> Decimal | None:
    if text is None:
        return None
    try:
        amount = Decimal(text.strip().removeprefix("$"))
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        raise UsageError(f"--max: {text!r} is no amount; use US dollars such as 5 or 0.25")
    return amount


def _verdict(spent: int, maximum: Decimal | None) -> int:
    if maximum is None or Decimal(spent) <= maximum * USD:
        return 0
    complain(NAME, f"the total of ${exact(spent)} is over --max {maximum}")
    return EXIT_OVER


def _nothing(selection: Selection, stores: Sequence[Store]) -> str:
    where = ", ".join(plain(str(store.directory)) for store in stores)
    if selection.everything:
        if waiting := sum(store.waiting() for store in stores):
            calls = "1 call waits" if waiting == 1 else f"{waiting:,} calls wait"
            return f"{calls} in {where} for the endpoint; with HEXR_KEEP=90d calls also stay here"
        return f"Nothing recorded yet in {where}; run: hexr-instrument python my_agent.py"
    return f"No call in {where} matches these options"


def _width(stdout: TextIO) -> int | None:
    """Cells of the terminal; None where there is none: nothing is shortened then."""
    return shutil.get_terminal_size().columns if stdout.isatty() else None


def _tree(by: Sequence[str], sums: Sums, stdout: TextIO, *, colours: bool) -> list[str]:
    width = _width(stdout)
    if not colours:
        return tree(sums.rows, sums.others, width=width)
    shares = _shares(sums.rows, [row.group[-1] for row in sums.rows])
    drawn = {row.group: share for row, share in zip(sums.rows, shares, strict=True)}

    def drawn_bar(row: Row, cells: int) -> str:
        share, colour = drawn[row.group]
        return f"\x1b[{_ANSI[colour]}m{bar(share, cells)}\x1b[0m" if share else ""

    return tree(
        sums.rows,
        sums.others,
        width=width,
        strong=lambda text: f"\x1b[1m{text}\x1b[0m",
        faint=lambda text: f"\x1b[2m{text}\x1b[0m",
        bar=drawn_bar if _has_blocks(stdout) else None,
    )


_ANSI = {"blue": 34, "yellow": 33, "green": 32, "magenta": 35, "cyan": 36, "red": 31}
"""The colours of bars, of the terminal's own palette: they are readable on light and dark, as its user has chosen them."""


def _shares(rows: Sequence[Row], names: Sequence[str | None]) -> list[tuple[float, str]]:
    """For each row its share of the largest cost, and a colour: what has one name has one colour, the dearest first."""
    most = max((row.cost or 0 for row in rows), default=0) or 1
    spent: dict[str | None, int] = {}
    for row, name in zip(rows, names, strict=True):
        spent[name] = spent.get(name, 0) + (row.cost or 0)
    order = sorted(spent, key=lambda name: -spent[name])
    colours = {name: list(_ANSI)[at % len(_ANSI)] for at, name in enumerate(order)}
    return [((row.cost or 0) / most, colours[name]) for row, name in zip(rows, names, strict=True)]


def _has_blocks(stdout: TextIO) -> bool:
    """Whether its encoding has what bars are made of."""
    try:
        "█▏".encode(stdout.encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _table(by: Sequence[str], sums: Sums, stdout: TextIO, *, colours: bool) -> list[str]:
    rows = sums.rows
    cells = amounts([*rows, *sums.others])[0][: len(rows)]
    remarks = [", ".join(notes(row, cell)) for row, cell in zip(rows, cells, strict=True)]
    last = ["notes"] if any(remarks) else []
    return table(
        by,
        [*("calls", "tokens in/out", "cost")],
        [
            [*map(plain, row.group), f"{row.calls:,}", tokens(row.input, row.output), cell, *([remark] if last else [])]
            for row, cell, remark in zip(rows, cells, remarks, strict=True)
        ],
        stdout,
        last=last,
        colours=colours,
        bars=_shares(rows, [row.group[0] for row in rows]) if colours and _has_blocks(stdout) else (),
    )
