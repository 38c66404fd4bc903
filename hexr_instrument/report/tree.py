"""The cost tree: agent (tenant), role, model, and what the total does not cover. Pure: rows in, lines out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import tzinfo

from rich.cells import cell_len

from ..store import Row, fold
from . import moment, plain
from .data import CostReport, Sums
from .money import apportion, decimals, dollars
from .table import room_of_bar, shortened

Style = Callable[[str], str]
"""Text -> the text as a terminal shows it."""
Bar = Callable[[Row, int], str]
"""A row and how many cells the longest bar may have -> its bar."""


def amounts(rows: Sequence[Row]) -> tuple[list[str], str]:
    """The cost column for each row, and for all of them together: printed parts add up to the printed sum."""
    known = [row.cost for row in rows if row.cost is not None]
    places = decimals(known)
    parts, whole = apportion(known, places)
    units = iter(parts)
    cells = [_amount(row, None if row.cost is None else dollars(next(units), places)) for row in rows]
    for everything in fold(rows, lambda _: ()):
        return cells, _amount(everything, dollars(whole, places) if known else None)
    return cells, dollars(0, places)


def _amount(row: Row, known: str | None) -> str:
    """The amount, or what is instead of one: an unknown cost is never $0.00."""
    if known is not None:
        return f">= {known}" if row.partial else known
    if row.unpriced:
        return "unpriced"
    if row.partial:
        return "partial"
    return "no usage" if row.no_usage else "failed"


def notes(row: Row, cell: str = "") -> list[str]:
    """How many calls of a row are out of the ordinary, unless the cell says it of all of them."""
    counts = (
        (row.failed, "failed"),
        (row.unpriced, "unpriced"),
        (row.no_usage, "no usage"),
        (row.partial, "partial"),
    )
    return [f"{count:,} {word}" for count, word in counts if count and not (word == cell and count == row.calls)]


def counted(count: int, word: str) -> str:
    """`1 call`, `1,247 calls`."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def tree(
    rows: Sequence[Row],
    others: Sequence[Row] = (),
    *,
    width: int | None = None,
    strong: Style = str,
    faint: Style = str,
    bar: Bar | None = None,
) -> list[str]:
    """The lines of the tree.

    Agents and models are in the order of their cost, roles in the order of their first calls: the order in
    which a crew works.

    Args:
        rows: Groups of (agent, tenant, role, model).
        others: What is not printed here, but in the same report: amounts have decimals for both.
        width: Cells of the terminal, for which names are shortened; None shortens nothing.
        strong: Marks agents.
        faint: Marks the branches.
        bar: Draws the cost of each model behind its line, where `width` leaves enough room for it.
    """
    cells = amounts([*rows, *others])[0][: len(rows)]
    wide = max(map(len, cells), default=0)
    agents: dict[tuple[str | None, ...], list[_Leaf]] = {}
    for row, cell in zip(rows, cells, strict=True):
        tail = f"{cell:>{wide}} ({', '.join([counted(row.calls, 'call'), *notes(row, cell)])})"
        agents.setdefault(row.group[:2], []).append((row, tail))
    lines: list[_Line] = []
    for agent in fold(rows, lambda group: group[:2]):
        lines += [("", "", None)] if lines else []
        whole = _agent(agent.group)
        lines.append(("", strong(whole if width is None else shortened(whole, width)), None))
        lines += _branches(agents[agent.group])
    if width is not None:
        room = width - max((cell_len(branch) + cell_len(leaf[1]) + 1 for branch, _, leaf in lines if leaf), default=0)
        lines = [
            (branch, label if leaf is None and not branch else _cut(label, leaf, max(room, _NARROW)), leaf)
            for branch, label, leaf in lines
        ]
    column = max((cell_len(branch + label) for branch, label, leaf in lines if leaf is not None), default=0)
    end = column + 1 + max((cell_len(leaf[1]) for _, _, leaf in lines if leaf is not None), default=0)
    long = 0 if bar is None or width is None else room_of_bar(width - end)

    def drawn(branch: str, label: str, leaf: _Leaf | None) -> str:
        if leaf is None:
            return faint(branch) + label
        row, tail = leaf
        text = faint(branch) + label + " " * (column - cell_len(branch + label) + 1) + tail
        if not long or bar is None:
            return text
        return text + " " * (end - column - 1 - cell_len(tail) + 2) + bar(row, long)

    return [drawn(*each) for each in lines]


_Leaf = tuple[Row, str]
"""A row and what is printed behind its model."""
_Line = tuple[str, str, "_Leaf | None"]
"""The branch, the name, and the model whose columns are behind it (None: no model)."""


_NARROW = 12
"""Cells that a model's name keeps on the narrowest terminal."""


def _cut(label: str, leaf: _Leaf | None, cells: int) -> str:
    return shortened(label, cells) if leaf is None else shortened(label.removesuffix(":"), cells - 1) + ":"


def _branches(leaves: Sequence[_Leaf]) -> Iterator[_Line]:
    """The roles of one agent with their models, then the models that were called without a role."""
    roles: dict[str | None, list[_Leaf]] = {}
    for leaf in leaves:
        roles.setdefault(leaf[0].group[2], []).append(leaf)
    bare = roles.pop(None, [])
    named = sorted(roles.items(), key=lambda item: (min(row.first for row, _ in item[1]), item[0]))
    for at, (role, models) in enumerate(named):
        last = at + 1 == len(named) and not bare
        yield "└── " if last else "├── ", plain(role), None
        yield from _models("    " if last else "│   ", models)
    yield from _models("", bare)


def _models(indent: str, leaves: Sequence[_Leaf]) -> Iterator[_Line]:
    for at, (row, tail) in enumerate(leaves):
        yield indent + ("└── " if at + 1 == len(leaves) else "├── "), f"{plain(row.group[3])}:", (row, tail)


def _agent(group: Sequence[str | None]) -> str:
    agent, tenant = group
    return f"Agent: {plain(agent)}" + (f" (tenant: {plain(tenant)})" if tenant is not None else "")


def total(rows: Sequence[Row], others: Sequence[Row] = ()) -> str:
    """The seed's last line.

    Args:
        rows: The rows of the report.
        others: What `--top` left out, as one row.
    """
    _, whole = amounts([*rows, *others])
    return f"Total: {whole} / {counted(sum(row.calls for row in [*rows, *others]), 'call')}"


def uncovered(
    sums: Sums, report: CostReport, covers_since: int | None, zone: tzinfo, width: int | None = None
) -> list[str]:
    """What the total does not cover, and what it has from elsewhere than the shipped prices, a line or more for each.

    Args:
        sums: The report.
        report: The same as data.
        covers_since: Calls before this time (nanoseconds since the epoch) were removed, if not None.
        zone: The zone in which to print that time.
        width: As for `tree`.
    """
    lines: list[str] = []
    whole = sums.total
    kinds = {row.group[0]: row for row in sums.kinds}
    if report.coverage is not None and report.coverage < 1:
        billed = whole.calls - whole.unbilled
        lines.append(f"Covers: {whole.covered:,} of {counted(billed, 'call')} ({percent(report.coverage)})")
    for kind, words in (("stated", "as the provider stated it"), ("custom", "by your own prices")):
        if kind in kinds:
            lines.append(f"{kind.capitalize()}: {counted(kinds[kind].calls, 'call')} {_tokens(kinds[kind])} {words}")
    if whole.unpriced:
        lines.append(f"Unpriced: {counted(whole.unpriced, 'call')} {_tokens(kinds['unpriced'])}, not in the total")
        for row in sums.models:
            tail = f": {counted(row.calls, 'call')} {_tokens(row)}"
            name = plain(row.group[0])
            lines.append(
                "  " + (name if width is None else shortened(name, max(_NARROW, width - 2 - len(tail)))) + tail
            )
        lines.append("  hexr-instrument prices MODEL shows what the price table knows of it")
    if whole.no_usage:
        lines.append(f"No usage: {counted(whole.no_usage, 'call')} without token counts, not in the total")
    if whole.partial:
        lines.append(
            f"Partial: {counted(whole.partial, 'call')} {_tokens(kinds['partial'])} ended early, priced at what is"
            " known (>=)"
        )
    if whole.failed:
        lines.append(f"Failed: {counted(whole.failed, 'call')}")
    if report.mismatched:
        lines.append(
            f"Mismatched: {counted(report.mismatched, 'call')} whose tokens do not add up to the provider's own total"
            " (calls --status mismatched)"
        )
    if report.skipped_lines:
        lines.append(f"Damaged: {counted(report.skipped_lines, 'line')} of the journal could not be read")
    if covers_since is not None:
        lines.append(f"Covers since {moment(covers_since, zone)}; older calls were removed")
    return lines


def percent(share: float) -> str:
    """A share to a tenth of a percent; it is 100 % (or 0 %) only if it is all (or nothing)."""
    shown = f"{share * 100:.1f}"
    if shown == "100.0" and share < 1:
        shown = "99.9"
    if shown == "0.0" and share > 0:
        shown = "0.1"
    return f"{shown.removesuffix('.0')} %"


def _tokens(row: Row) -> str:
    return f"({row.input:,} tokens in, {row.output:,} out)"
