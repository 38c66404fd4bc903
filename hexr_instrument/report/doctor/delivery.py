"""Where calls go, what waits, and what was lost on the way."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from datetime import timezone
from typing import Any

from ... import health, owed, private, redact
from ...config import Config
from ...endpoints import endpoint
from ...metrics.points import LABEL, SETS
from ...outbox import WAITING_BYTES, WAITING_SECONDS
from ...store import DATABASE, Store, StoreError
from .. import iso, moment, plain
from . import probe
from .section import DAY, Section, size, span


def telemetry(config: Config, environ: Mapping[str, str], *, quick: bool) -> Section:
    """Where telemetry goes, and whether it is taken there."""
    section = Section("Telemetry")
    section.data = {
        "exporters": list(config.exporters),
        "metrics": list(config.metrics),
        "endpoints": [],
        "series": None,
    }
    if not config.exports:
        section.ok("stays in the local store: no OTLP endpoint is set")
    for signal, exporters, protocol in (
        ("traces", config.exporters, config.protocol),
        ("metrics", config.metrics, config.metrics_protocol),
        ("logs", config.events, config.logs_protocol),
    ):
        if "console" in exporters:
            section.ok(f"{signal}: printed (OTEL_{signal.upper()}_EXPORTER=console)")
        if "otlp" in exporters:
            _endpoint(section, config, environ, signal, protocol, quick=quick)
    if "prometheus" in config.metrics:
        host, port = config.prometheus
        section.ok(f"metrics: served at http://{host}:{port}/metrics from a program's first call on")
    return section


def _endpoint(
    section: Section, config: Config, environ: Mapping[str, str], signal: str, protocol: str, *, quick: bool
) -> None:
    """Asks the endpoint of one signal."""
    where = endpoint(signal, protocol, environ)
    names = [name for name, _ in where.headers]
    url = probe.shown(where.url)
    text = f"{signal}: {url}, {protocol}" + (f", headers {', '.join(names)}" if names else "")
    data: dict[str, Any] = {"signal": signal, "url": url, "protocol": protocol, "headers": names}
    data |= {"answers": None, "said": None}
    section.data["endpoints"].append(data)
    if quick or config.disabled:
        section.note(f"{text}: not asked{' (--quick)' if quick else ''}")
    elif config.credential_provider and protocol != "grpc":
        section.note(f"{text}: not asked, as {plain(config.credential_provider)} makes its sessions")
    else:
        data["answers"], data["said"] = probe.ask(where, signal, protocol)
        if data["answers"]:
            section.ok(f"{text}: {data['said']}")
        elif signal == "metrics":  # no call is lost with them
            section.note(f"{text}: {data['said']}; without metrics: OTEL_METRICS_EXPORTER=none")
        else:
            section.problem(f"{text}: {data['said']}")


_PER_SET = 5 * 17 + 3
"""Series of one set of labels in a Prometheus: five histograms (14 buckets and the last, sum, count) and three counters."""
_COLUMNS = {
    "request_model": "requested",
    "response_model": "model",
    "agent": "agent",
    "tenant": "tenant",
    "role": "role",
}


def series(section: Section, store: Store, config: Config) -> Section:
    """The same section with how many series the calls of the store would be in a Prometheus, where there are metrics."""
    if not config.metrics:
        return section
    chosen = [_COLUMNS[word] for word in config.metric_labels if word in _COLUMNS]
    own = [word.removeprefix(LABEL) for word in config.metric_labels if word.startswith(LABEL)]
    by = ("provider", *chosen, *own)
    try:
        sets = len(store.costs(by)) if store.path.exists() else 0
    except StoreError:  # said where the store is
        return section
    if not sets:
        section.note(
            f"metrics: {_PER_SET} series at most for each set of labels; the store has no calls to tell how many"
        )
        return section
    count = min(sets, SETS) * _PER_SET
    section.data["series"] = count
    what = f"metrics: about {count:,} series for each process of a program, of {sets:,} sets of labels"
    if sets > SETS:
        section.note(f"{what}, of which {SETS:,} are kept apart: choose fewer labels (HEXR_METRIC_LABELS)")
    else:
        section.ok(what)
    return section


def kept(store: Store, config: Config) -> Section:
    """What the store has, and what waits in the journal."""
    section = Section("Store")
    section.data = {"path": str(store.directory), "kept": config.keep, "waiting": []}
    usable = _directory(store, section)
    if not usable:
        return section
    try:
        _contents(store, section, config)
        for each in store.backlog():
            _waiting(section, config, each.destination, each.calls, each.bytes, each.oldest)
    except (StoreError, OSError) as error:
        section.problem(str(error))
    return section


def _directory(store: Store, section: Section) -> bool:
    """Says what is wrong with the store's directories; whether they can be used at all."""
    mend = "set HEXR_STORE to a directory of your own"
    existing = store.directory
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    for each in (store.directory, store.journal):
        try:
            why = private.fault(each)
        except OSError as error:
            why = f"cannot be reached ({error.strerror})"
        if why is not None:
            section.problem(f"{each} {why}: calls are kept in memory only; {mend}")
            return False
    if not (existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)):
        section.problem(f"{store.directory} cannot be written: calls are kept in memory only; {mend}")
        return False
    disk = shutil.disk_usage(existing)
    if disk.total == 0:  # no disk at all, such as /proc
        section.problem(f"{store.directory} cannot be written: calls are kept in memory only; {mend}")
        return False
    if disk.free < 16 << 20:
        section.problem(f"the disk of {store.directory} has {size(disk.free)} left: make room")
    return True


def _contents(store: Store, section: Section, config: Config) -> None:
    if (later := owed.waiting(store.directory)) > 0:
        section.data["owed"] = later
        many = "1 batch or background response" if later == 1 else f"{later:,} batches or background responses"
        section.note(f"{many} whose usage nobody has fetched yet: recorded, to whoever started it, when somebody does")
    stays = f"kept {span(config.keep_seconds)}" if config.keep else "only until delivered (HEXR_KEEP keeps calls)"
    if not store.path.exists():
        section.ok(f"{store.directory}: no calls {'yet' if config.keep else 'here'}, {stays}")
        return
    held = sum(each.stat().st_size for each in store.directory.glob(f"{DATABASE}*"))
    mode = store.directory.stat().st_mode & 0o777
    state = store.state()
    rows = store.costs(("model",))
    calls = sum(row.calls for row in rows)
    since = f", covers since {moment(state.covers_since, timezone.utc)}" if state.covers_since is not None else ""
    section.data |= {"calls": calls, "bytes": held, "mode": f"{mode:04o}", "covers_since": iso(state.covers_since)}
    section.ok(
        f"{store.directory} (mode {mode:04o}): {calls:,} {'call' if calls == 1 else 'calls'}, {size(held)}, {stays}{since}"
    )
    if state.newer:
        section.note("it was written by a newer hexr-instrument: until this one is upgraded, calls wait in the journal")
    if state.skipped:
        section.note(f"{state.skipped:,} damaged lines of the journal were passed over")


def _waiting(
    section: Section, config: Config, destination: str | None, calls: int, held: int, oldest: int | None
) -> None:
    """Says what waits for one destination."""
    age = 0 if oldest is None else max(0, time.time_ns() - oldest)
    where = {None: "store", config.destination: "endpoint"}.get(destination, "another endpoint")
    section.data["waiting"].append({"for": where, "calls": calls, "bytes": held, "oldest": iso(oldest)})
    events = destination is not None and destination == config.events_destination
    one = "event" if events else "call"
    many = f"1 {one} waits" if calls == 1 else f"{calls:,} {one}s wait"
    what = f"{many} ({size(held)}, the oldest {span(age / 1e9)})"
    if destination is None:
        section.ok(f"{what} in the journal, for the next `costs`")
        return
    whose = (
        "the endpoint" if events or destination == config.destination else "another endpoint than this environment's"
    )
    if held > WAITING_BYTES * 0.8 or age > WAITING_SECONDS * 10**9 / 2:
        section.problem(f"{what} for {whose}: beyond 48 h or 50 MiB the oldest are dropped")
    else:
        section.note(f"{what} for {whose}")


_KINDS = {
    "dropped": "calls dropped",
    "refused": "calls refused by the endpoint",
    "breaker": "left alone until its program restarts, as recording it failed again and again",
    "fault": "fault of ours",
    "metrics": "metrics refused by the endpoint; no call is lost",
}
"""Kinds of notes, in words."""


def losses(store: Store) -> Section:
    """What processes of the last seven days noted in the store's health file, summed by reason."""
    section = Section("Lost in the last 7 days")
    now = time.time_ns()
    sums: dict[tuple[str, str], tuple[int, int]] = {}
    for each in health.notes(store.directory, now - 7 * DAY):
        key = (str(each.get("kind")), redact.text(str(each.get("reason"))))
        before, last = sums.get(key, (0, 0))
        count = each.get("count")
        sums[key] = (before + (count if type(count) is int else 1), max(last, each["time"]))
    section.data["notes"] = [
        {"kind": kind, "reason": reason, "count": count, "last": iso(last)}
        for (kind, reason), (count, last) in sums.items()
    ]
    for (kind, reason), (count, last) in sums.items():
        add = section.problem if now - last < DAY and kind != "metrics" else section.note
        add(f"{_KINDS.get(kind, kind)}: {reason} ({count:,}, last {moment(last, timezone.utc)})")
    if not sums:
        section.ok("nothing")
    return section
