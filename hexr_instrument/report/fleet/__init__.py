"""`costs --from`: the same tree for a fleet, from what Prometheus or Tempo holds of it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from datetime import time as clock
from typing import Any

from ... import names
from ...call import USD
from ...store import TIMES, Filter, Row, fold
from .. import Selection, UsageError, iso, moment
from ..money import exact
from ..table import as_csv
from . import prometheus, tempo
from .http import Backend

FIELDS = ("calls", "priced", "unpriced", "no_usage", "partial", "failed", "input", "output")
"""What a backend can count, beside the cost."""
_ATTRIBUTES = {
    "agent": names.HEXR_AGENT,
    "tenant": names.HEXR_TENANT,
    "role": names.HEXR_ROLE,
    "provider": names.PROVIDER,
    "model": names.RESPONSE_MODEL,
    "requested": names.REQUEST_MODEL,
    "operation": names.OPERATION,
}
_SPAN = {"prometheus": 30 * 86400 * 10**9, "tempo": 86400 * 10**9}
"""How far back a report goes without --since, in nanoseconds."""
_MOST = 800
"""Windows of one report; each is some questions to the backend."""
_NOTES = {
    "prometheus": (
        "From the samples themselves, first ones too (increase() loses those); what a process counted after its last"
        " scrape or push is not there, and what folded labels hold is `__other__`"
    ),
    "tempo": "From the spans that Tempo holds: exact for them; what sampling left out, or what is not ingested, is not there",
}


@dataclass(frozen=True, slots=True)
class Fleet:
    """What a backend holds, in groups."""

    by: tuple[str, ...]
    rows: list[Row]
    others: list[Row]
    """The groups that `--top` left out, as one; empty if there are none."""
    total: Row
    hidden: int
    source: str
    since: int
    until: int
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it; what a backend cannot say is left out."""
        return {
            "total": _data(self.total),
            "rows": [dict(zip(self.by, row.group, strict=True)) | _data(row) for row in self.rows],
            "by": list(self.by),
            "from": self.source,
            "since": iso(self.since),
            "until": iso(self.until),
            "hidden": self.hidden,
            "notes": list(self.notes),
        }

    def csv_lines(self) -> list[str]:
        """As CSV."""
        rows = [
            [
                *(each or "" for each in row.group),
                "" if row.cost is None else exact(row.cost),
                *(str(getattr(row, name)) for name in FIELDS),
            ]
            for row in self.rows
        ]
        return as_csv((*self.by, "cost_usd", *FIELDS), rows, len(self.by))

    def uncovered(self, zone: tzinfo) -> list[str]:
        """What the total does not cover, and how exact it is."""
        whole = self.total
        counts = (
            ("Unpriced", whole.unpriced, ", not in the total"),
            ("No usage", whole.no_usage, ", not in the total"),
            ("Partial", whole.partial, ", priced at what is known (>=)"),
            ("Failed", whole.failed, ""),
        )
        said = [f"{word}: {count:,} call{'' if count == 1 else 's'}{rest}" for word, count, rest in counts if count]
        return [*said, f"From {self.source}, {moment(self.since, zone)} to {moment(self.until, zone)}", *self.notes]


def _data(row: Row) -> dict[str, Any]:
    cost = {"cost_usd": None if row.cost is None else exact(row.cost), "cost": row.cost}
    return cost | {name: getattr(row, name) for name in FIELDS}


def gather(source: str, by: Sequence[str], selection: Selection, top: int | None = None) -> Fleet:
    """The report on what a backend holds.

    Args:
        source: `prometheus=URL` or `tempo=URL`.
        by: The groups.
        selection: Which calls.
        top: How many groups at most.

    Raises:
        UsageError: the backend cannot be asked, or not this.
    """
    kind, equals, url = source.partition("=")
    if not equals or kind not in _SPAN:
        raise UsageError(f"--from: {source.partition('=')[0]!r} is no backend; use prometheus=URL or tempo=URL")
    backend = Backend(kind, url)
    only = selection.only
    _check(by, only)
    until = min(only.until, time.time_ns())
    since = only.since or until - _SPAN[kind]
    read = _of_prometheus if kind == "prometheus" else _of_tempo
    found: list[Row] = []
    for times, start, end in _windows(since, until, by, selection.zone):
        if len(found) > 10**6:
            raise UsageError("--from: more than a million groups; use fewer of them, or a shorter time")
        found += read(
            backend, [name for name in by if name not in TIMES], by, times, replace(only, since=start, until=end)
        )
    rows = fold(found, lambda group: group)
    _check_labels(by, rows)
    for name in ("hour", "day"):
        if name in by:
            at = by.index(name)
            rows.sort(key=lambda row: row.group[at] or "")
    total = next(iter(fold(rows, lambda _: ())), Row(group=(), first=0, cost=0))
    shown = rows if top is None else sorted(rows, key=lambda row: -(row.cost or 0))[:top]
    others = fold([row for row in rows if row not in shown], lambda _: ()) if len(shown) < len(rows) else []
    hidden = len(rows) - len(shown)
    return Fleet(tuple(by), shown, others, total, hidden, backend.shown, since, until, (_NOTES[kind],))


def _check(by: Sequence[str], only: Filter) -> None:
    known = (*_ATTRIBUTES, *TIMES)
    for name in ("run", "service", "cost_status", "cost_source", "error"):
        if name in by or any(each == name for each, _ in only.where):
            raise UsageError(f"--by: {name} is not known of a fleet; the groups are {', '.join(known)}, and labels")
    if only.run is not None:
        raise UsageError("--run: a backend knows no runs; leave --run or --from out")
    if only.status or only.mismatched:
        raise UsageError("--status: a backend's costs are not known by status; leave --status or --from out")


def _check_labels(by: Sequence[str], rows: Sequence[Row]) -> None:
    for at, name in enumerate(by):
        if name not in (*_ATTRIBUTES, *TIMES) and rows and all(row.group[at] is None for row in rows):
            raise UsageError(f"--by: nothing there has a label {name!r}; the groups are {', '.join(_ATTRIBUTES)}")


def _windows(
    since: int, until: int, by: Sequence[str], zone: tzinfo
) -> Iterator[tuple[dict[str, str | None], int, int]]:
    """(day and hour, bounds): one window, or each day or hour of it."""
    if not set(by) & set(TIMES):
        yield {}, since, until
        return
    at, count = since, 0
    while at < until:
        count += 1
        if count > _MOST:
            raise UsageError(f"--from: more than {_MOST} days or hours; choose less with --since")
        here = datetime.fromtimestamp(at // 10**9, zone)
        # By the wall clock: days have 23 or 25 hours when the clocks change.
        end = int(datetime.combine(here.date() + timedelta(days=1), clock(), zone).timestamp())
        times: dict[str, str | None] = {"day": here.date().isoformat()}
        if "hour" in by:
            whole = at // 10**9 - here.minute * 60 - here.second
            end = min(end, whole + 3600)
            times["hour"] = datetime.fromtimestamp(whole, zone).isoformat(timespec="minutes")
        end = min(max(end * 10**9, at + 1), until)
        yield times, at, end
        at = end


_Values = dict[str, str | None]
"""Name of a group -> its value."""


def _attribute(name: str) -> str:
    return _ATTRIBUTES.get(name, names.LABEL + name)


def _admits(only: Filter, values: _Values) -> bool:
    """Whether calls with these values count."""
    for name in ("agent", "tenant", "role", "provider"):
        wanted: tuple[str, ...] = getattr(only, name)
        if wanted and (values[name] or "") not in wanted:
            return False
    if only.model and (values["model"] or "") not in only.model and values["requested"] not in only.model:
        return False
    return all((values[name] or "") in wanted for name, wanted in only.wanted().items())


def _of_prometheus(
    backend: Backend, groups: Sequence[str], by: Sequence[str], times: _Values, only: Filter
) -> Iterator[Row]:
    wanted = dict.fromkeys((*_ATTRIBUTES, *groups, *only.wanted()))
    for what, labels, amount in prometheus.counted(backend, only.since, only.until):
        values: dict[str, str | None] = {
            name: labels.get(prometheus.label(_attribute(name))) or None for name in wanted
        }
        values["model"] = values["model"] or values["requested"]
        if amount and _admits(only, values):
            values |= times
            group = tuple(values[name] for name in by)
            if what == "cost":
                yield Row(group=group, first=0, cost=round(amount * USD))
            elif what == "tokens":
                kind = labels.get(prometheus.label(names.TOKEN_TYPE))
                if kind in ("input", "output"):
                    yield replace(Row(group=group, first=0), **{kind: round(amount)})
            else:
                status = labels.get(prometheus.label(names.COST_STATUS), "")
                failed = bool(labels.get(prometheus.label(names.ERROR_TYPE)))
                yield _calls(group, round(amount), status, failed=failed)


def _calls(group: tuple[str | None, ...], count: int, status: str, *, failed: bool) -> Row:
    row = Row(group=group, first=0, calls=count, failed=count if failed else 0)
    if status == "no_usage" and failed:
        return replace(row, unbilled=count)
    return replace(row, **{status: count}) if status in tempo.STATUSES else row


def _of_tempo(
    backend: Backend, groups: Sequence[str], by: Sequence[str], times: _Values, only: Filter
) -> Iterator[Row]:
    attributes = list(dict.fromkeys(map(_attribute, groups)))
    if "model" in groups and names.REQUEST_MODEL not in attributes:
        attributes.append(names.REQUEST_MODEL)
    if len(attributes) > tempo.MOST:
        raise UsageError(
            f"--by: Tempo groups by {tempo.MOST} attributes at most (model is two: as served, else as requested);"
            " leave one out"
        )
    for what, labels, amount in tempo.counted(backend, only.since, only.until, attributes, _conditions(only)):
        values: dict[str, str | None] = {name: labels.get(_attribute(name)) for name in groups}
        if "model" in groups:
            values["model"] = values["model"] or labels.get(names.REQUEST_MODEL)
        row = Row(group=tuple((values | times)[name] for name in by), first=0)
        count = round(amount)
        if what == "cost":
            yield replace(row, cost=round(amount * USD))
        elif what in tempo.STATUSES:
            yield replace(row, **{what: count}, calls=count)
        elif what == "unbilled":  # a failed call that used nothing lacks no usage
            yield replace(row, unbilled=count, no_usage=-count)
        else:
            yield replace(row, **{what: count})


def _conditions(only: Filter) -> list[str]:
    wanted = {name: getattr(only, name) for name in ("agent", "tenant", "role", "provider") if getattr(only, name)}
    found = [[tempo.equal(_attribute(name), each) for each in values] for name, values in wanted.items()]
    found += [[tempo.equal(_attribute(name), each) for each in values] for name, values in only.wanted().items()]
    if only.model:
        both = (names.RESPONSE_MODEL, names.REQUEST_MODEL)
        found.append([tempo.equal(name, each) for each in only.model for name in both])
    return [f"({' || '.join(each)})" for each in found]
