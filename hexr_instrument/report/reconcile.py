"""`costs --reconcile FILE`: our calls beside what the provider says, by its days and models, and why they may differ."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any, TextIO

from ..store import FOREVER, Row, Store, fold
from . import Selection, UsageError, covered, moment, plain
from .exports import PROVIDERS, Export, Line, added, hashed, read, undated
from .money import USD_DIGITS, decimals, dollars, exact
from .table import as_csv, table
from .tree import counted, percent

_LABELS = {"project": "project", "workspace": "project", "key": "key"}
"""What an export can be compared by beside day and model -> what its lines call it; our calls have it as a label."""
_NEAR = 0.001
"""A difference of less than this share is rounding."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One day and model; amounts in 1e-12 USD, None where the provider does not say it."""

    day: str
    model: str | None
    by: tuple[str | None, ...]
    """The project, workspace or key, where it is compared by these."""
    theirs: int | None
    ours: int
    their_calls: int | None
    our_calls: int
    their_tokens: int | None
    our_tokens: int
    share: float | None
    """How much of the provider's cost (or tokens, or calls) our calls cover."""
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Share:
    """What the export has of one project, workspace or key."""

    name: str
    theirs: int
    """In `unit`."""
    missing: int
    """How much of it surely is not recorded here: what is beyond all of our calls of the same days and models."""
    unit: str
    """`requests`, `tokens`, or `usd` (in 1e-12): the first of these that the export states."""


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The whole comparison."""

    export: Export
    rows: tuple[Compared, ...]
    total: Compared
    by: tuple[str, ...]
    """What it is compared by beside day and model."""
    projects: tuple[Share, ...]
    keys: tuple[Share, ...]
    """Keys by a hash of their id."""
    notes: tuple[str, ...]


def gather(
    stores: Sequence[Store], selection: Selection, path: Path, by: Sequence[str] = (), *, zoned: bool
) -> Reconciliation:
    """Compares the calls of the export's days with the export.

    Args:
        stores: Where the calls are.
        selection: Which of them; the provider's own if no provider was chosen.
        path: The export.
        by: `project`, `workspace` or `key`: our calls have labels of these names with the provider's ids.
        zoned: Whether the selection's zone was asked for; otherwise days are the provider's.

    Raises:
        UsageError: the file is no export that is known, or cannot be compared so.
    """
    if odd := [name for name in by if name not in (*_LABELS, "day", "model")]:
        raise UsageError(f"--by: an export is compared by day, model, {', '.join(_LABELS)}; not by {odd[0]}")
    by = tuple(name for name in by if name in _LABELS)
    export = read(path, selection.zone if zoned else None)
    days = sorted({line.day for line in export.lines})
    first, last = date.fromisoformat(days[0]), date.fromisoformat(days[-1])
    only = selection.only
    since = int(datetime.combine(first, time(), export.zone).timestamp()) * 10**9
    until = int(datetime.combine(last + timedelta(days=1), time(), export.zone).timestamp()) * 10**9
    only = replace(
        only,
        since=max(since, only.since),
        until=min(until, only.until) if only.until != FOREVER else until,
        provider=only.provider or PROVIDERS[export.provider],
    )
    found = [row for store in stores for row in store.costs(("day", "model", *by), only, zone=export.zone)]
    ours = {row.group: row for row in fold(found, lambda group: _ours(by, group))}
    theirs: dict[tuple[str | None, ...], list[Line]] = defaultdict(list)
    for line in export.lines:
        theirs[(line.day, line.model, *(getattr(line, _LABELS[name]) for name in by))].append(line)
    nothing = Row(group=(), first=0)
    newest = days[-1]
    keys = sorted({*ours, *theirs}, key=lambda key: (key[0] or "", *(each or "~" for each in key[1:])))
    rows = [_compared(key, theirs.get(key, []), ours.get(key, nothing), newest) for key in keys]
    whole = next(iter(fold(ours.values(), lambda _: ())), nothing)
    total = _compared(("total", None, *[None] * len(by)), list(export.lines), whole, newest)
    notes = _notes(export, selection, covered(stores), since)
    cells = {row.group: row for row in fold(ours.values(), lambda group: group[:2])}
    projects, callers = (_shares(export, name, cells) for name in ("project", "key"))
    return Reconciliation(export, tuple(rows), total, tuple(by), projects, callers, tuple(notes))


def _ours(by: Sequence[str], group: tuple[str | None, ...]) -> tuple[str | None, ...]:
    """One of our groups as the export spells it."""
    labels = (hashed(each) if each and name == "key" else each for name, each in zip(by, group[2:], strict=True))
    return group[0], undated(group[1] or "") or None, *labels


def _compared(key: tuple[str | None, ...], lines: Sequence[Line], ours: Row, newest: str) -> Compared:
    theirs, calls = added(lines, "cost"), added(lines, "calls")
    tokens = None
    if (put := added(lines, "input")) is not None or added(lines, "output") is not None:
        tokens = (put or 0) + (added(lines, "output") or 0)
    mine = (ours.cost or 0, ours.input + ours.output, ours.calls)
    share = next((our / their for our, their in zip(mine, (theirs, tokens, calls), strict=True) if their), None)
    return Compared(
        key[0] or "",
        key[1],
        key[2:],
        theirs,
        mine[0],
        calls,
        ours.calls,
        tokens,
        mine[1],
        share,
        tuple(_reasons(lines, ours, theirs, tokens, calls, share, recent=(key[0] or "") >= newest)),
    )


def _reasons(
    lines: Sequence[Line],
    ours: Row,
    theirs: int | None,
    tokens: int | None,
    calls: int | None,
    share: float | None,
    *,
    recent: bool,
) -> list[str]:
    """What may explain the difference, the surest first."""
    if share is not None and abs(share - 1) < _NEAR:
        return []
    found: list[str] = []
    if not lines:
        return ["the provider does not list it: not exported yet, another organisation's key, or credits"]
    if not ours.calls and (theirs or tokens or calls):
        is_model = any(line.model for line in lines)
        return (
            ["no such call is recorded: programs without hexr-instrument, or another key"]
            if is_model
            else ["tax, credits or a service that is no call of a model"]
        )
    missing = (calls or 0) - ours.calls
    if missing > 0:
        found.append(
            f"{counted(missing, 'request')} not recorded: programs without hexr-instrument, retries, other keys"
        )
    if any(line.batch for line in lines):
        found.append("batches are in it")
    for count, words in (
        (ours.unpriced + ours.no_usage, "without a cost here"),
        (ours.partial, "that ended early here, and were billed whole"),
        (ours.failed, "that failed here: a timeout or its retry may have been billed"),
    ):
        if count:
            found.append(f"{counted(count, 'call')} {words}")
    if any(line.currency != "USD" for line in lines):
        found.append("it is in " + ", ".join(sorted({line.currency for line in lines if line.currency != "USD"})))
    ours_tokens = ours.input + ours.output
    if theirs is not None and tokens and abs(ours_tokens / tokens - 1) < _NEAR:
        found.append("the tokens are the same: a discount, another tier or credits (HEXR_PRICES holds your own prices)")
    if share is not None and share > 1:
        found.append(
            "we count more: credits or discounts" + (", or its newest day is not complete yet" if recent else "")
        )
    return found or ["credits, tax, a discount or another tier"]


def _notes(export: Export, selection: Selection, kept: int | None, since: int) -> list[str]:
    found: list[str] = []
    if kept is not None and kept > since:
        found.append(f"Calls before {moment(kept, export.zone)} were removed from the store")
    if any(getattr(selection.only, name) for name in ("agent", "tenant", "role", "model", "run", "where")):
        found.append("Only a part of our calls was chosen; the export is of all")
    if all(line.cost is None for line in export.lines):
        found.append("The export has no cost in USD: shares are of tokens (or of calls)")
    if any(line.key for line in export.lines):
        found.append(
            "Keys are shown by a hash of their id. Calls are not recorded by key, unless they have a label with its id"
            " (HEXR_LABELS=key=ID, then --by key)"
        )
    return found


def _shares(export: Export, name: str, ours: Mapping[tuple[str | None, ...], Row]) -> tuple[Share, ...]:
    """What the export has of each project or key, and what of it cannot be among our calls."""
    unit, read = next(
        ((unit, read) for unit, (_, read) in _UNITS.items() if any(read(line) for line in export.lines)),
        ("requests", _UNITS["requests"][1]),
    )
    mine = _UNITS[unit][0]
    cells: dict[str, dict[tuple[str | None, ...], int]] = defaultdict(lambda: defaultdict(int))
    for line in export.lines:
        if (value := getattr(line, name)) is not None:
            cells[value][line.day, line.model] += read(line) or 0
    nothing = Row(group=(), first=0)
    shares = [
        Share(
            value,
            sum(theirs.values()),
            sum(max(0, amount - mine(ours.get(cell, nothing))) for cell, amount in theirs.items()),
            unit,
        )
        for value, theirs in cells.items()
    ]
    return tuple(sorted(shares, key=lambda share: (-share.theirs, share.name)))


def _tokens(line: Line) -> int | None:
    return None if line.input is None and line.output is None else (line.input or 0) + (line.output or 0)


_UNITS: dict[str, tuple[Callable[[Row], int], Callable[[Line], int | None]]] = {
    "requests": (lambda row: row.calls, lambda line: line.calls),
    "tokens": (lambda row: row.input + row.output, _tokens),
    "usd": (lambda row: row.cost or 0, lambda line: line.cost),
}
"""What shares are counted in -> how much of it our calls have, and a line of the export."""


def lines(found: Reconciliation, stdout: TextIO, *, colours: bool) -> list[str]:
    """The table, the sum with the share covered, and what may explain the differences."""
    rows = [*found.rows, found.total]
    places = min(6, decimals([abs(each) for row in rows for each in (row.theirs or 0, row.ours) if each]))
    cells = [
        [
            row.day,
            plain(row.model) if row.model or row is not found.total else "",
            *("" if row is found.total else plain(each) for each in row.by),
            *(_pair(row.their_calls, row.our_calls), _pair(row.their_tokens, row.our_tokens)),
            _amount(row.theirs, places),
            _amount(row.ours, places),
            "-" if row.theirs is None else _amount(row.ours - row.theirs, places),
            "-" if row.share is None else percent(row.share),
        ]
        for row in rows
    ]
    numbers = ("calls", "tokens", "theirs", "ours", "difference", "covered")
    shown = table(["day", "model", *found.by], numbers, cells, stdout, colours=colours)
    reasons = [
        f"  {row.day} {' '.join(map(plain, (row.model, *row.by)))}: {'; '.join(row.reasons)}"
        for row in found.rows
        if row.reasons
    ]
    parts = [
        line for title, shares in (("Project", found.projects), ("Key", found.keys)) for line in _said(title, shares)
    ]
    zone = f"Days of {found.export.zone} as {found.export.provider} has them; calls and tokens are theirs/ours"
    return [*shown, "", zone, *found.notes, *parts, *(["Likely reasons:", *reasons] if reasons else [])]


def _said(title: str, shares: Sequence[Share]) -> list[str]:
    """A line for each share, with what of it is surely not recorded."""

    def amount(share: Share, value: int) -> str:
        return f"${exact(value)}" if share.unit == "usd" else f"{value:,} {share.unit}"

    return [
        f"{title} {plain(share.name)}: {amount(share, share.theirs)}"
        + (
            f", of which at least {amount(share, share.missing)} are not recorded: a caller without hexr-instrument?"
            if share.missing
            else ", as many as are recorded of its days and models"
        )
        for share in shares
    ]


def _pair(theirs: int | None, ours: int) -> str:
    return f"{'-' if theirs is None else f'{theirs:,}'}/{ours:,}"


def _amount(amount: int | None, places: int) -> str:
    unit = 10 ** (USD_DIGITS - places)
    return "-" if amount is None else dollars((amount + unit // 2) // unit, places)


def csv_lines(found: Reconciliation) -> list[str]:
    """The same as CSV."""
    header = (
        *(
            "day",
            "model",
            *found.by,
            "their_usd",
            "our_usd",
            "their_calls",
            "our_calls",
            "their_tokens",
            "our_tokens",
            "covered",
        ),
        "reasons",
    )
    rows = [
        [
            row.day,
            row.model or "",
            *(each or "" for each in row.by),
            "" if row.theirs is None else exact(row.theirs),
            exact(row.ours),
            *("" if each is None else str(each) for each in (row.their_calls, row.our_calls)),
            *("" if each is None else str(each) for each in (row.their_tokens, row.our_tokens, row.share)),
            "; ".join(row.reasons),
        ]
        for row in (*found.rows, found.total)
    ]
    return as_csv(header, rows, 2 + len(found.by))


def as_data(found: Reconciliation) -> dict[str, Any]:
    """The same for JSON: exact decimals, null where the provider does not say it."""

    def one(row: Compared) -> dict[str, Any]:
        return {
            "day": row.day,
            "model": row.model,
            **dict(zip(found.by, row.by, strict=True)),
            "their_usd": None if row.theirs is None else exact(row.theirs),
            "our_usd": exact(row.ours),
            "their_calls": row.their_calls,
            "our_calls": row.our_calls,
            "their_tokens": row.their_tokens,
            "our_tokens": row.our_tokens,
            "covered": row.share,
            "reasons": list(row.reasons),
        }

    return {
        "provider": found.export.provider,
        "zone": str(found.export.zone),
        "total": one(found.total),
        "rows": [one(row) for row in found.rows],
        "projects": [_share(each) for each in found.projects],
        "keys": [_share(each) for each in found.keys],
        "notes": list(found.notes),
    }


def _share(share: Share) -> dict[str, Any]:
    usd = share.unit == "usd"
    return {
        "name": share.name,
        "unit": share.unit,
        "theirs": exact(share.theirs) if usd else share.theirs,
        "not_recorded": exact(share.missing) if usd else share.missing,
    }
