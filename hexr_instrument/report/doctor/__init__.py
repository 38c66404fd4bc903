"""`hexr-instrument doctor`: what is recorded, where it goes, whether that works, and what was or will be lost."""

from __future__ import annotations

import argparse
import json
import platform
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timezone
from pathlib import Path
from typing import TextIO

from ... import boot, injected, pricing, private
from ...config import Config, is_true, on_python_path
from ...names import package_version
from ...store import Store, StoreError
from .. import emit, plain, styled
from . import delivery, frameworks, sdks, wires
from .section import Section

NAME = "doctor"
WIDTH = 80
STALE = 90
"""Days after which a price table is said to be stale."""
EXIT_TROUBLE = 1
_EPILOG = """\
Changes nothing, sends nothing but an empty export request, and starts one
interpreter for each installed SDK, agent framework and wire to other processes,
to see what becomes of it in a recorded program.

marks: ok; -- worth knowing; !! loses calls, or will

exit status:
  0  all well
  1  something loses calls or will: an SDK that is installed and not recorded, a
     store that cannot be used, an endpoint that does not take calls, calls that
     were dropped in the last 24 hours or are about to be, a setting of these
     that is not usable
  2  an option is wrong

As a container's health check: hexr-instrument doctor --quick. It asks nobody: while an endpoint
refuses, it shows the calls that wait, and fails once they are about to be dropped.

--json prints one object: status, problems (the lines marked !!), and sections, each
with findings (level `ok`, `note` or `problem`, and text) and its facts as data.
"""


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
    yield sdks.recorded(config, environ, quick=quick)
    yield frameworks.followed(config, environ, quick=quick)
    yield wires.carried(config, environ, quick=quick)
    yield _changes(config)
    yield delivery.series(delivery.telemetry(config, environ, quick=quick), store, config)
    yield delivery.kept(store, config)
    yield delivery.losses(store)
    yield _prices(store)
    if config.complaints:
        yield _settings(config)


def _program(config: Config, environ: Mapping[str, str]) -> Section:
    section = Section("Program")
    section.data = {"version": package_version(), "python": platform.python_version(), "executable": sys.executable}
    section.ok(f"hexr-instrument {package_version()} on Python {platform.python_version()}, {sys.executable}")
    folder = Path(boot.boot_directory())
    image = boot.injected()
    misfits = injected.misfits(str(Path(image, "pkgs"))) if image else ()
    folders = boot.places(image) if image else [str(folder)]
    here = any(on_python_path(Path(each), environ) for each in folders)
    section.data |= {"boot": str(folder), "on_pythonpath": here, "disabled": config.disabled}
    section.data |= {"image": image, "misfits": list(misfits)}
    if config.disabled:
        names = [name for name in ("HEXR_DISABLED", "OTEL_SDK_DISABLED") if is_true(name)]
        section.note(f"off: {' and '.join(names)} is set, so nothing is recorded")
    elif (why := boot.refusal()) is not None:
        section.problem(why)
    elif misfits:
        section.problem(f"off: the libraries of {image} do not fit those of the program: {'; '.join(misfits)}")
    elif here:
        of = f"that of {image}" if image else "the boot folder"
        section.ok(f"on in this environment: PYTHONPATH has {of}")
    else:
        section.ok("on under `hexr-instrument COMMAND`; PYTHONPATH does not have the boot folder here")
    return section


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
        section.note(f"unpriced calls: {named}{more}; `hexr-instrument prices MODEL` says what is known")
    return section


_LOSING = ("OTEL_EXPORTER_", "OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER", "HEXR_KEEP")
"""Settings that say where calls go: one of them that is not usable loses calls, as far as their reader knows."""


def _settings(config: Config) -> Section:
    section = Section("Settings")
    for each in config.complaints:
        (section.problem if each.startswith(_LOSING) else section.note)(each)
    return section
