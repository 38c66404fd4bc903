"""`hexr-instrument doctor`: what is recorded, where it goes, whether that works, and what was or will be lost."""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TextIO

from .. import boot, health, pricing, private, redact
from ..call import Provider
from ..config import Config, endpoint, is_true, on_python_path
from ..names import package_version
from ..outbox import WAITING_BYTES, WAITING_SECONDS
from ..providers import PROVIDERS
from ..store import DATABASE, Store, StoreError
from . import emit, iso, moment, plain, probe, styled

NAME = "doctor"
WIDTH = 80
PATIENCE = 60.0
"""Seconds that an SDK may take to be imported: some need ten on a small machine."""
STALE = 90
"""Days after which a price table is said to be stale."""
DAY = 86400 * 10**9
EXIT_TROUBLE = 1
_EPILOG = """\
Changes nothing, sends nothing but an empty export request, and starts one
interpreter for each installed SDK, to see what becomes of it in a recorded program.

marks: ok; -- worth knowing; !! loses calls, or will

exit status:
  0  all well
  1  something loses calls or will: an SDK that is installed and not recorded, a
     store that cannot be used, an endpoint that does not take calls, calls that
     were dropped in the last 24 hours or are about to be, a setting of these
     that is not usable
  2  an option is wrong

As a container's health check: hexr-instrument doctor --quick

--json prints one object: status, problems (the lines marked !!), and sections, each
with findings (level `ok`, `note` or `problem`, and text) and its facts as data.
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the screen."""

    level: str
    """`ok`, `note`, or `problem` (calls are lost, or will be)."""
    text: str


@dataclass(slots=True)
class Section:
    """One matter that was looked at."""

    title: str
    findings: list[Finding] = field(default_factory=list[Finding])
    data: dict[str, Any] = field(default_factory=dict[str, Any])

    def ok(self, text: str) -> None:
        """Notes what is as it should be."""
        self.findings.append(Finding("ok", text))

    def note(self, text: str) -> None:
        """Notes what is worth knowing and loses nothing."""
        self.findings.append(Finding("note", text))

    def problem(self, text: str) -> None:
        """Notes what loses calls, or will."""
        self.findings.append(Finding("problem", text))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `doctor`."""
    parser.description = "What is recorded, where it goes, whether that works, and what was or will be lost."
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--quick", action="store_true", help="import no SDK and use no network")
    parser.add_argument("--store", metavar="PATH", help="directory of a store instead of the default one")
    parser.add_argument("--json", action="store_true", help="one JSON object, see below")


def run(args: argparse.Namespace, directory: Path, stdout: TextIO, environ: Mapping[str, str]) -> int:
    """Prints the screen.

    Args:
        args: The options of `add_arguments`.
        directory: The default store.
        stdout: Where the screen goes.
        environ: The environment to explain.

    Returns:
        The exit status: 0, or 1 if calls are lost or will be.
    """
    store = Store(private.own_folder(Path(args.store)) if args.store else directory)
    sections = list(examine(store, environ, quick=args.quick))
    problems = [each.text for section in sections for each in section.findings if each.level == "problem"]
    status = EXIT_TROUBLE if problems else 0
    if args.json:
        shown = {
            section.title.lower(): {
                "findings": [{"level": each.level, "text": each.text} for each in section.findings],
                **section.data,
            }
            for section in sections
        }
        emit(stdout, [json.dumps({"status": status, "problems": problems, "sections": shown}, indent=2)])
    else:
        emit(stdout, lines(sections, colours=styled(stdout)))
    return status


def lines(sections: list[Section], *, colours: bool) -> Iterator[str]:
    """The screen, at most 80 columns wide."""
    marks = {"ok": "ok", "note": "--", "problem": "!!"}
    paint = {"ok": "32", "note": "2", "problem": "1;31"} if colours else {}
    count = 0
    for section in sections:
        yield f"\x1b[1m{section.title}\x1b[0m" if colours else section.title
        for each in section.findings:
            count += each.level == "problem"
            head, *rest = textwrap.wrap(plain(each.text), WIDTH - 5, break_on_hyphens=False)
            mark = marks[each.level]
            yield f"  \x1b[{paint[each.level]}m{mark}\x1b[0m {head}" if colours else f"  {mark} {head}"
            yield from (f"     {line}" for line in rest)
    yield ""
    yield "All well." if not count else f"{count} {'problem' if count == 1 else 'problems'}, marked !!"


def examine(store: Store, environ: Mapping[str, str], *, quick: bool) -> Iterator[Section]:
    """Looks at everything, in the order in which a call meets it."""
    config = Config.from_env(environ)
    yield _program(config, environ)
    yield _sdks(config, environ, quick=quick)
    yield _changes(config)
    yield _telemetry(config, environ, quick=quick)
    yield _store(store, config)
    yield _losses(store)
    yield _prices(store)
    if config.complaints:
        yield _settings(config)


def _program(config: Config, environ: Mapping[str, str]) -> Section:
    section = Section("Program")
    section.data = {"version": package_version(), "python": platform.python_version(), "executable": sys.executable}
    section.ok(f"hexr-instrument {package_version()} on Python {platform.python_version()}, {sys.executable}")
    folder = boot.boot_directory()
    here = on_python_path(folder, environ)
    section.data |= {"boot": str(folder), "on_pythonpath": here, "disabled": config.disabled}
    if config.disabled:
        names = [name for name in ("HEXR_DISABLED", "OTEL_SDK_DISABLED") if is_true(name)]
        section.note(f"off: {' and '.join(names)} is set, so nothing is recorded")
    elif (why := boot.refusal()) is not None:
        section.problem(why)
    elif here:
        section.ok("on in this environment: PYTHONPATH has the boot folder")
    else:
        section.ok("on under `hexr-instrument COMMAND`; PYTHONPATH does not have the boot folder here")
    return section


# -- the SDKs


def _sdks(config: Config, environ: Mapping[str, str], *, quick: bool) -> Section:
    section = Section("SDKs")
    packages: dict[str, list[Provider]] = {}
    for provider in PROVIDERS:
        packages.setdefault(_package(provider), []).append(provider)
    versions = {name: _version(name) for name in packages}
    children: dict[str, subprocess.Popen[str]] = {}
    if not quick and not config.disabled:
        children = {name: _child(packages[name], environ) for name, installed in versions.items() if installed}
    for name, installed in versions.items():
        data: dict[str, Any] = {"version": installed, "recorded": None}
        section.data[name] = data
        if name in children:
            level, words = _verdict(packages[name], children[name])
            data["recorded"] = level == "ok"
            section.findings.append(Finding(level, f"{name} {installed}: {words}"))
        elif installed is not None:
            why = "not recorded, as nothing is" if config.disabled else "not tried (--quick)"
            section.note(f"{name} {installed}: {why}")
    if absent := [name for name, installed in versions.items() if installed is None]:
        section.note(f"not installed: {', '.join(absent)}")
    return section


def _package(provider: Provider) -> str:
    """The distribution that a table is for: its own, or that of another table of the same SDK."""
    top = provider.module.partition(".")[0]
    same = (provider, *(each for each in PROVIDERS if each.module.partition(".")[0] == top))
    return next((each.direct.package for each in same if each.direct is not None), top)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _child(tables: list[Provider], environ: Mapping[str, str]) -> subprocess.Popen[str]:
    """An interpreter under the boot file that imports one SDK; see `hexr_instrument/imported.py`."""
    # `-c` puts the working directory first on sys.path: nothing may be imported from there.
    code = "import sys; sys.path[:1] == [''] and sys.path.pop(0); from hexr_instrument import imported; "
    code += "imported.main(*sys.argv[1:])"
    return subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", code, *(each.name for each in tables)],
        env=boot.environment(environ, {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )


def _verdict(tables: list[Provider], child: subprocess.Popen[str]) -> tuple[str, str]:
    """What became of one SDK: level and words."""
    try:
        out, err = child.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()
        return "note", f"not known: its import takes longer than {PATIENCE:g} s"
    found = {each["table"]: each for each in map(_answer, out.splitlines()) if each is not None}
    first = found.get(tables[0].name)
    if first is None or first["absent"] is not None:
        last = (err.strip() or "no reason given").rpartition("\n")[2]
        return "note", f"cannot be imported: {redact.text(last if first is None else first['absent'])}"
    if not first["booted"]:
        return "problem", "not recorded: the boot file is not run (another sitecustomize is before it on PYTHONPATH)"
    there = [each for each in found.values() if each["absent"] is None]
    left = "; ".join(f"{name}: {why}" for each in there for name, why in each["left"].items())
    left = left or "; ".join(each["table"] for each in there if not each["patched"]) or "; ".join(there[-1]["faults"])
    methods = sum(len(each["patched"]) for each in there)
    if not first["patched"]:
        return "problem", f"not recorded: {left or 'no reason is known'}"
    if left:
        return "problem", f"recorded in part; left alone: {left}"
    return "ok", f"recorded ({methods} methods)"


def _answer(line: str) -> dict[str, Any] | None:
    """What a line of the child says, if it is not one of the SDK's own."""
    try:
        said: dict[str, Any] | None = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) and "table" in said else None


def _changes(config: Config) -> Section:
    section = Section("Changed on purpose")
    hosts = config.stream_usage
    where = "every host" if "*" in hosts else ", ".join(hosts)
    section.data = {"stream_usage": list(hosts), "native_spans": "keep" if config.native_spans else "mute"}
    if config.disabled:
        section.ok("nothing: recording is off")
        return section
    if hosts:
        section.ok(f"OpenAI chat streams ask for usage, at {where} (HEXR_STREAM_USAGE=never)")
    else:
        section.note("OpenAI chat streams are left alone: one that does not ask for usage has no cost")
    if config.native_spans:
        section.note("anthropic's own span for the same request stays: tokens may be counted twice")
    else:
        section.ok("anthropic's own span for the same request is muted (HEXR_NATIVE_SPANS=keep)")
    return section


# -- where it goes


def _telemetry(config: Config, environ: Mapping[str, str], *, quick: bool) -> Section:
    section = Section("Telemetry")
    section.data = {"exporters": list(config.exporters), "endpoints": []}
    if not config.exports:
        section.ok("stays in the local store: no OTLP endpoint is set")
    if "console" in config.exporters:
        section.ok("traces: printed (OTEL_TRACES_EXPORTER=console)")
    if "otlp" in config.exporters:
        where = endpoint("traces", config.protocol, environ)
        names = [name for name, _ in where.headers]
        url = probe.shown(where.url)
        text = f"traces: {url}, {config.protocol}" + (f", headers {', '.join(names)}" if names else "")
        data: dict[str, Any] = {"signal": "traces", "url": url, "protocol": config.protocol, "headers": names}
        data |= {"answers": None, "said": None}
        section.data["endpoints"].append(data)
        if quick or config.disabled:
            section.note(f"{text}: not asked{' (--quick)' if quick else ''}")
        elif config.credential_provider and config.protocol != "grpc":
            section.note(f"{text}: not asked, as {plain(config.credential_provider)} makes its sessions")
        else:
            data["answers"], data["said"] = probe.ask(where, "traces", config.protocol)
            add = section.ok if data["answers"] else section.problem
            add(f"{text}: {data['said']}")
    return section


def _store(store: Store, config: Config) -> Section:
    section = Section("Store")
    section.data = {"path": str(store.directory), "kept": config.keep, "waiting": []}
    usable = _directory(store, section)
    if not usable:
        return section
    kept = f"kept {_span(config.keep_seconds)}" if config.keep else "only until delivered (HEXR_KEEP keeps calls)"
    try:
        _contents(store, section, kept)
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
    elif (room := shutil.disk_usage(existing).free) < 16 << 20:
        section.problem(f"the disk of {store.directory} has {_size(room)} left: make room")
    return True


def _contents(store: Store, section: Section, kept: str) -> None:
    if not store.path.exists():
        section.ok(f"{store.directory}: no calls yet, {kept}")
        return
    size = sum(each.stat().st_size for each in store.directory.glob(f"{DATABASE}*"))
    mode = store.directory.stat().st_mode & 0o777
    state = store.state()
    rows = store.costs(("model",))
    calls = sum(row.calls for row in rows)
    since = f", covers since {moment(state.covers_since, timezone.utc)}" if state.covers_since is not None else ""
    section.data |= {"calls": calls, "bytes": size, "mode": f"{mode:04o}", "covers_since": iso(state.covers_since)}
    section.ok(
        f"{store.directory} (mode {mode:04o}): {calls:,} {'call' if calls == 1 else 'calls'}, {_size(size)}, {kept}{since}"
    )
    if state.newer:
        section.note("it was written by a newer hexr-instrument: until this one is upgraded, calls wait in the journal")
    if state.skipped:
        section.note(f"{state.skipped:,} damaged lines of the journal were passed over")


def _waiting(
    section: Section, config: Config, destination: str | None, calls: int, size: int, oldest: int | None
) -> None:
    """Says what waits for one destination."""
    age = 0 if oldest is None else max(0, time.time_ns() - oldest)
    where = {None: "store", config.destination: "endpoint"}.get(destination, "another endpoint")
    section.data["waiting"].append({"for": where, "calls": calls, "bytes": size, "oldest": iso(oldest)})
    many = "1 call waits" if calls == 1 else f"{calls:,} calls wait"
    what = f"{many} ({_size(size)}, the oldest {_span(age / 1e9)})"
    if destination is None:
        section.ok(f"{what} in the journal, for the next `costs`")
    elif destination != config.destination:
        section.note(f"{what} for another endpoint than this environment's")
    elif size > WAITING_BYTES * 0.8 or age > WAITING_SECONDS * 10**9 / 2:
        section.problem(f"{what} for the endpoint: beyond 48 h or 50 MiB the oldest are dropped")
    else:
        section.note(f"{what} for the endpoint")


_KINDS = {
    "dropped": "calls dropped",
    "refused": "calls refused by the endpoint",
    "breaker": "left alone until its program restarts, as recording it failed again and again",
    "fault": "fault of ours",
}
"""Kinds of notes, in words."""


def _losses(store: Store) -> Section:
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
        add = section.problem if now - last < DAY else section.note
        add(f"{_KINDS.get(kind, kind)}: {reason} ({count:,}, last {moment(last, timezone.utc)})")
    if not sums:
        section.ok("nothing")
    return section


def _prices(store: Store) -> Section:
    section = Section("Prices")
    table = pricing.version()
    released = re.search(r"\d{4}-\d\d-\d\d", table)
    age = (datetime.now(timezone.utc).date() - date.fromisoformat(released[0])).days if released else None
    section.data = {"table": table, "days": age, "unpriced": []}
    if age is None:
        section.ok(table)
    elif age > STALE:
        section.note(f"{table}: {age} days old, so stale; upgrade hexr-instrument for a newer one")
    else:
        section.ok(f"{table}: {age} {'day' if age == 1 else 'days'} old")
    try:
        rows = [row for row in store.costs(("model", "provider")) if row.unpriced]
    except StoreError:  # said where the store is
        return section
    section.data["unpriced"] = [
        {"model": row.group[0], "provider": row.group[1], "calls": row.unpriced} for row in rows
    ]
    if rows:
        rows = sorted(rows, key=lambda row: -row.unpriced)
        named = ", ".join(f"{plain(row.group[0])} at {plain(row.group[1])} ({row.unpriced:,})" for row in rows[:5])
        more = f" and {len(rows) - 5} more" if len(rows) > 5 else ""
        section.note(f"no price for {named}{more}: these calls count as unpriced")
    return section


_LOSING = ("OTEL_EXPORTER_", "OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER", "HEXR_KEEP")
"""Settings that say where calls go: one of them that is not usable loses calls, as far as their reader knows."""


def _settings(config: Config) -> Section:
    section = Section("Settings")
    for each in config.complaints:
        (section.problem if each.startswith(_LOSING) else section.note)(each)
    return section


def _size(count: int) -> str:
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count} bytes"


def _span(seconds: float) -> str:
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"
