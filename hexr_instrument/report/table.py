"""Rows as an aligned table, and as CSV that is safe in a spreadsheet."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Iterable, Sequence
from typing import TextIO

from rich.cells import cell_len, set_cell_size

from . import plain

_NARROW = 12
"""Cells that a name keeps on the narrowest terminal."""


_SHORTEST, _LONGEST = 8, 32
"""Cells that the longest bar of a report has at least (else there are none) and at most."""
_EIGHTHS = " ▏▎▍▌▋▊▉"


def room_of_bar(cells: int) -> int:
    """How long the longest bar may be where so many cells are free, a gap among them; 0: too short for any."""
    free = min(cells - 2, _LONGEST)
    return free if free >= _SHORTEST else 0


def bar(share: float, cells: int) -> str:
    """A bar of this share of so many cells, to an eighth of one; never nothing for what is something."""
    eighths = max(round(share * cells * 8), 1 if share > 0 else 0)
    return ("█" * (eighths // 8) + _EIGHTHS[eighths % 8]).rstrip()


def shortened(name: str, cells: int) -> str:
    """The name in at most this many cells: what it lacks is left out in its middle, as names differ at both ends."""
    if cell_len(name) <= cells:
        return name
    tail = (cells - 1) // 2
    end = name[::-1]
    while cell_len(end) > tail:
        end = end[:-1]
    return f"{set_cell_size(name, cells - 1 - cell_len(end)).rstrip()}…{end[::-1]}"


def _fitted(header: Sequence[str], names: int, rows: Sequence[Sequence[str]], width: int) -> list[Sequence[str]]:
    """The rows with names that leave the other columns their place; the longest names give way first."""
    sizes = [max(map(cell_len, column)) for column in zip(header, *rows, strict=True)]
    excess = sum(sizes) + 2 * (len(sizes) - 1) - width
    while excess > 0:
        at = max(range(names), key=lambda at: sizes[at])
        if sizes[at] <= max(_NARROW, cell_len(header[at])):
            break
        sizes[at] -= 1
        excess -= 1
    return [[*map(shortened, row[:names], sizes), *row[names:]] for row in rows]


def table(
    names: Sequence[str],
    numbers: Sequence[str],
    rows: Iterable[Sequence[str]],
    stdout: TextIO,
    *,
    last: Sequence[str] = (),
    colours: bool,
    bars: Sequence[tuple[float, str]] = (),
) -> list[str]:
    """The lines of a table.

    Args:
        names: Headers of the columns on the left, which are shortened (or folded) on a narrow terminal.
        numbers: Headers of the columns behind them, aligned to the right.
        rows: The cells, in the order of the headers.
        stdout: Where the lines will go: a terminal has a width.
        last: Headers of columns of text behind the numbers.
        colours: Whether the header is bold.
        bars: For each row the share of the longest bar and its colour, drawn where the terminal is wide enough.
    """
    if not stdout.isatty():
        return _aligned([*names, *numbers, *last], rows, range(len(names), len(names) + len(numbers)))
    from rich.console import Console  # noqa: PLC0415  (a tenth of a second that the tree does not need)
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    grid = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    for name in names:
        grid.add_column(Text(plain(name)), overflow="fold")
    for name in numbers:
        grid.add_column(name, justify="right", no_wrap=True)
    for name in last:
        grid.add_column(name)
    width = shutil.get_terminal_size().columns
    header = [*names, *numbers, *last]
    fitted = _fitted(header, len(names), list(rows), width)
    free = width - sum(max(map(cell_len, column)) + 2 for column in zip(header, *fitted, strict=True)) + 2
    long = room_of_bar(free) if bars and colours else 0
    if long:
        grid.add_column("", no_wrap=True)
    for at, row in enumerate(fitted):
        drawn = [Text(bar(bars[at][0], long), style=bars[at][1])] if long else []
        grid.add_row(*map(Text, row), *drawn)  # Text, not str: a name such as "[red]" is no markup
    text = io.StringIO()
    console = Console(
        file=text,
        force_terminal=colours,
        color_system="standard" if colours else None,
        highlight=False,
    )
    console.print(grid)
    return text.getvalue().splitlines()


def _aligned(header: Sequence[str], rows: Iterable[Sequence[str]], right: range) -> list[str]:
    """The same without a terminal: nothing is wrapped or cut, and a thousand rows take no time."""
    cells = [[plain(each) for each in header], *rows]
    sizes = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(
            " " * (size - cell_len(cell)) + cell if at in right else cell + " " * (size - cell_len(cell))
            for at, (cell, size) in enumerate(zip(row, sizes, strict=True))
        )
        for row in cells
    ]


def as_csv(header: Sequence[str], rows: Iterable[Sequence[str]], names: int) -> list[str]:
    """The lines of a CSV file in which no cell is a formula.

    Args:
        header: The names of the columns.
        rows: The cells.
        names: How many columns from the left hold recorded names; the others are numbers and words of ours.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(_guarded, header))
    writer.writerows([*map(_guarded, row[:names]), *row[names:]] for row in rows)
    return text.getvalue().splitlines()


def _guarded(cell: str) -> str:
    """The cell so that no spreadsheet takes it for a formula (OWASP: CSV injection)."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
