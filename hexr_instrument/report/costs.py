"""`hexr-instrument costs`: what was spent, by whom, on which model."""

from __future__ import annotations

import argparse
import csv
import io
import json
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TextIO

from ..call import USD
from ..store import COLUMNS, Row, Store, StoreError, fold
from . import (
    EXIT_TROUBLE,
    Selection,
    UsageError,
    add_selection,
    complain,
    covered,
    emit,
    iso,
    plain,
    prepare,
    select,
    styled,
    tokens,
)
from .money import exact
from .tree import amounts, notes, total, tree, uncovered

NAME = "costs"
TREE = ("agent", "tenant", "role", "model")
"""The groups of the tree."""
FIELDS = (
    "calls",
    "priced",
    "unpriced",
    "no_usage",
    "partial",
    "failed",
    "input",
    "output",
    "cache_read",
    "cache_write",
    "reasoning",
)
"""The counts of a row in JSON and CSV, beside its groups and its cost."""
EXIT_OVER = 1
_EPILOG = """\
exit status:
  0  the report was printed
  1  the total is over --max
  2  an option is wrong, or a store cannot be read

--json prints one object: total and rows (each with cost_usd, an exact decimal, or
null if no cost is known; cost, the same in 1e-12 USD; calls, priced, unpriced,
no_usage, partial, failed; input, output, cache_read, cache_write, reasoning tokens;
rows also with their groups), by, since, until, covers_since, unpriced (by model),
prices (the price tables), skipped_lines.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `costs`."""
    parser.description = "What was spent: by agent, role and model, or by other groups."
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    text = f"a table by these groups, separated by commas: {', '.join(COLUMNS)}, or names of labels"
    parser.add_argument("--by", metavar="A,B", help=text)
    add_selection(parser)
    text = "exit with status 1 if the total is more than this amount"
    parser.add_argument("--max", metavar="USD", dest="maximum", help=text)
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
    try:
        return _run(args, directory, stdout)
    except (UsageError, StoreError) as error:
        complain(NAME, error)
        return EXIT_TROUBLE


def _run(args: argparse.Namespace, directory: Path, stdout: TextIO) -> int:
    by = _groups(args.by)
    maximum = _maximum(args.maximum)
    selection = select(args)
    stores = prepare(args, directory, NAME)
    finest = (*by, "model")  # unpriced models are named, whatever the groups are
    found = [row for store in stores for row in store.costs(finest, selection.only, zone=selection.zone)]
    rows = fold(found, lambda group: group[:-1])
    models = fold(found, lambda group: group[-1:])
    _check_labels(by, rows)
    if "day" in by:
        day = by.index("day")
        rows.sort(key=lambda row: row.group[day] or "")
    if args.json:
        emit(stdout, [json.dumps(as_data(by, rows, models, selection, stores), indent=2)])
    elif args.csv:
        emit(stdout, _csv(by, rows))
    elif not rows:
        emit(stdout, [_nothing(selection, stores)])
    else:
        colours = styled(stdout)
        emit(
            stdout,
            _tree(rows, colours=colours) if args.by is None else _table(by, rows, stdout, colours=colours),
        )
        skipped = sum(store.state().skipped for store in stores)
        since = covered(stores)
        since = None if since is None or since <= selection.only.since else since
        emit(stdout, ["", total(rows), *uncovered(rows, models, skipped, since, selection.zone)])
    return _verdict(rows, maximum)


def _groups(by: str | None) -> tuple[str, ...]:
    if by is None:
        return TREE
    names = tuple(dict.fromkeys(name.strip() for name in by.split(",")))
    for name in names:
        if not name:
            raise UsageError(f"--by: {by!r} has an empty name; use names such as {','.join(TREE)}")
        if name in (*FIELDS, "cost", "cost_usd"):
            raise UsageError(f"--by: {name} is a sum, not a group; use {', '.join(COLUMNS)}, or the name of a label")
    return names


def _check_labels(by: Sequence[str], rows: Sequence[Row]) -> None:
    """A misspelt group must not look like calls of which nothing is known."""
    for at, name in enumerate(by):
        if name not in COLUMNS and rows and all(row.group[at] is None for row in rows):
            raise UsageError(f"--by: no call has a label {name!r}; the groups are {', '.join(COLUMNS)}, and labels")


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


def _verdict(rows: Sequence[Row], maximum: Decimal | None) -> int:
    spent = sum(row.cost or 0 for row in rows)
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


def _tree(rows: Sequence[Row], *, colours: bool) -> list[str]:
    if not colours:
        return tree(rows)
    return tree(rows, strong=lambda text: f"\x1b[1m{text}\x1b[0m", faint=lambda text: f"\x1b[2m{text}\x1b[0m")


def _table(by: Sequence[str], rows: Sequence[Row], stdout: TextIO, *, colours: bool) -> list[str]:
    from rich.console import Console  # noqa: PLC0415  (a tenth of a second that the tree does not need)
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    cells, _ = amounts(rows)
    remarks = [", ".join(notes(row, cell)) for row, cell in zip(rows, cells, strict=True)]
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    for name in by:
        table.add_column(Text(plain(name)), overflow="fold")
    for name in ("calls", "tokens in/out", "cost"):
        table.add_column(name, justify="right", no_wrap=True)
    if any(remarks):
        table.add_column("notes")
    for row, cell, remark in zip(rows, cells, remarks, strict=True):
        counts = (f"{row.calls:,}", tokens(row.input, row.output))
        # Text, not str: a name such as "[red]" is no markup.
        table.add_row(*(Text(plain(each)) for each in row.group), *counts, cell, *([remark] if any(remarks) else []))
    text = io.StringIO()
    console = Console(
        file=text,
        # Nothing is wrapped or cut where no terminal sets a width.
        width=None if stdout.isatty() else 1 << 16,
        force_terminal=colours,
        color_system="standard" if colours else None,
        highlight=False,
    )
    console.print(table)
    return text.getvalue().splitlines()


def _csv(by: Sequence[str], rows: Sequence[Row]) -> list[str]:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*map(_guarded, by), "cost_usd", *FIELDS])
    for row in rows:
        names = ["" if each is None else _guarded(plain(each)) for each in row.group]
        cost = "" if row.cost is None else exact(row.cost)
        writer.writerow([*names, cost, *(getattr(row, name) for name in FIELDS)])
    return text.getvalue().splitlines()


def _guarded(cell: str) -> str:
    """The cell so that no spreadsheet takes it for a formula (OWASP: CSV injection)."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def as_data(
    by: Sequence[str],
    rows: Sequence[Row],
    models: Sequence[Row],
    selection: Selection,
    stores: Sequence[Store],
) -> dict[str, Any]:
    """The report as JSON has it; the structure is described in the help of the command.

    Args:
        by: The names of the groups.
        rows: One for each group.
        models: The same calls as groups of (model,).
        selection: Which calls these are.
        stores: Where they are from.
    """
    states = [store.state() for store in stores]
    everything = fold(rows, lambda _: ())
    only = selection.only
    return {
        "total": _data(everything[0]) if everything else _data(Row(group=(), first=0, cost=0)),
        "rows": [dict(zip(by, row.group, strict=True)) | _data(row) for row in rows],
        "by": list(by),
        "since": iso(only.since) if only.since else None,
        "until": iso(only.until) if only.until != type(only)().until else None,
        "covers_since": iso(covered(stores)),
        "unpriced": [
            {
                "model": row.group[0],
                "calls": row.unpriced,
                "input": row.unpriced_input,
                "output": row.unpriced_output,
            }
            for row in models
            if row.unpriced
        ],
        "prices": sorted({table for state in states for table in state.prices}),
        "skipped_lines": sum(state.skipped for state in states),
    }


def _data(row: Row) -> dict[str, Any]:
    cost = {"cost_usd": None if row.cost is None else exact(row.cost), "cost": row.cost}
    return cost | {name: getattr(row, name) for name in FIELDS}
