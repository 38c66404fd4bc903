"""`costs --reconcile FILE`: our calls beside what the provider says, by its days and models, and why they may differ."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any, TextIO

from ..store import FOREVER, Row, Store, fold
from . import Selection, covered, moment, plain
from .exports import PROVIDERS, Export, Line, added, read, undated
from .money import USD_DIGITS, decimals, dollars, exact
from .table import as_csv, table
from .tree import counted, percent

_NEAR = 0.001
"""A difference of less than this share is rounding."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One day and model; amounts in 1e-12 USD, None where the provider does not say it."""

    day: str
    model: str | None
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
class Reconciliation:
    """The whole comparison."""

    export: Export
    rows: tuple[Compared, ...]
    total: Compared
    projects: dict[str, int]
    """What the export has of each project or workspace: cost, or tokens where it has no cost."""
    keys: dict[str, int]
    """The same for each key, by a hash of its id; calls are not recorded by key."""
    notes: tuple[str, ...]


def gather(stores: Sequence[Store], selection: Selection, path: Path, *, zoned: bool) -> Reconciliation:
    """Compares the calls of the export's days with the export.

    Args:
        stores: Where the calls are.
        selection: Which of them; the provider's own if no provider was chosen.
        path: The export.
        zoned: Whether the selection's zone was asked for; otherwise days are the provider's.

    Raises:
        UsageError: the file is no export that is known.
    """
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
    found = [row for store in stores for row in store.costs(("day", "model"), only, zone=export.zone)]
    ours = {row.group: row for row in fold(found, lambda group: (group[0], undated(group[1] or "") or None))}
    theirs: dict[tuple[str | None, ...], list[Line]] = defaultdict(list)
    for line in export.lines:
        theirs[(line.day, line.model)].append(line)
    nothing = Row(group=(), first=0)
    newest = days[-1]
    keys = sorted({*ours, *theirs}, key=lambda key: (key[0] or "", key[1] or "~"))
    rows = [_compared(key, theirs.get(key, []), ours.get(key, nothing), newest) for key in keys]
    whole = next(iter(fold(ours.values(), lambda _: ())), nothing)
    total = _compared(("total", None), list(export.lines), whole, newest)
    notes = _notes(export, selection, covered(stores), since)
    return Reconciliation(export, tuple(rows), total, _shares(export, "project"), _shares(export, "key"), tuple(notes))


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
            "Calls are not recorded by key: a key that no instrumented program has explains calls not recorded"
        )
    return found


def _shares(export: Export, name: str) -> dict[str, int]:
    groups: dict[str, list[Line]] = defaultdict(list)
    for line in export.lines:
        if (value := getattr(line, name)) is not None:
            groups[value].append(line)
    sums = {
        group: added(lines, "cost") or (added(lines, "input") or 0) + (added(lines, "output") or 0)
        for group, lines in groups.items()
    }
    return dict(sorted(sums.items(), key=lambda item: (-item[1], item[0])))


def lines(found: Reconciliation, stdout: TextIO, *, colours: bool) -> list[str]:
    """The table, the sum with the share covered, and what may explain the differences."""
    rows = [*found.rows, found.total]
    places = min(6, decimals([abs(each) for row in rows for each in (row.theirs or 0, row.ours) if each]))
    cells = [
        [
            row.day,
            plain(row.model) if row.model or row is not found.total else "",
            *(_pair(row.their_calls, row.our_calls), _pair(row.their_tokens, row.our_tokens)),
            _amount(row.theirs, places),
            _amount(row.ours, places),
            "-" if row.theirs is None else _amount(row.ours - row.theirs, places),
            "-" if row.share is None else percent(row.share),
        ]
        for row in rows
    ]
    numbers = ("calls", "tokens", "theirs", "ours", "difference", "covered")
    shown = table(["day", "model"], numbers, cells, stdout, colours=colours)
    reasons = [f"  {row.day} {plain(row.model)}: {'; '.join(row.reasons)}" for row in found.rows if row.reasons]
    parts = [
        f"{title}: {', '.join(f'{plain(name)} {_said(found, amount)}' for name, amount in shares.items())}"
        for title, shares in (("Projects", found.projects), ("Keys (hashed)", found.keys))
        if shares
    ]
    zone = f"Days of {found.export.zone} as {found.export.provider} has them; calls and tokens are theirs/ours"
    return [*shown, "", zone, *found.notes, *parts, *(["Likely reasons:", *reasons] if reasons else [])]


def _said(found: Reconciliation, amount: int) -> str:
    if all(line.cost is None for line in found.export.lines):
        return f"{amount:,} tokens"
    return f"${exact(amount)}"


def _pair(theirs: int | None, ours: int) -> str:
    return f"{'-' if theirs is None else f'{theirs:,}'}/{ours:,}"


def _amount(amount: int | None, places: int) -> str:
    unit = 10 ** (USD_DIGITS - places)
    return "-" if amount is None else dollars((amount + unit // 2) // unit, places)


def csv_lines(found: Reconciliation) -> list[str]:
    """The same as CSV."""
    header = (
        *("day", "model", "their_usd", "our_usd", "their_calls", "our_calls", "their_tokens", "our_tokens", "covered"),
        "reasons",
    )
    rows = [
        [
            row.day,
            row.model or "",
            "" if row.theirs is None else exact(row.theirs),
            exact(row.ours),
            *("" if each is None else str(each) for each in (row.their_calls, row.our_calls)),
            *("" if each is None else str(each) for each in (row.their_tokens, row.our_tokens, row.share)),
            "; ".join(row.reasons),
        ]
        for row in (*found.rows, found.total)
    ]
    return as_csv(header, rows, 2)


def as_data(found: Reconciliation) -> dict[str, Any]:
    """The same for JSON: exact decimals, null where the provider does not say it."""

    def one(row: Compared) -> dict[str, Any]:
        return {
            "day": row.day,
            "model": row.model,
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
        "projects": found.projects,
        "keys": found.keys,
        "notes": list(found.notes),
    }
