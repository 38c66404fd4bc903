"""Reports on the local store; what its commands share: which calls, which stores, and how text is written."""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone, tzinfo
from pathlib import Path
from typing import TextIO
from zoneinfo import ZoneInfo

from ..private import own_folder
from ..store import DATABASE, STATUSES, TIMES, Filter, Store, StoreError, StoreUnwritableError

__all__ = [
    "Selection",
    "StoreError",
    "UsageError",
    "add_selection",
    "add_zone",
    "answered",
    "complain",
    "emit",
    "introduce",
    "plain",
    "prepare",
    "select",
]

UNKNOWN = "(unknown)"
EXIT_TROUBLE = 2
"""A wrong option, or a store that cannot be read."""
_STATUS_NAMES = (*STATUSES, "mismatched")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_NAMES = ("agent", "tenant", "role", "provider", "model")
_ASCII = str.maketrans({"├": "|", "└": "`", "│": "|", "─": "-", "…": "~"})


class UsageError(ValueError):
    """An option that cannot be used; the message is one line that names it and what would do."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which calls a report is about, and in which zone its days are."""

    only: Filter
    zone: tzinfo

    @property
    def everything(self) -> bool:
        """Whether no call is left out."""
        return self.only == Filter()


@dataclass(frozen=True, slots=True)
class Options:
    """The same as `Selection` in the words of the user."""

    since: str | None = None
    until: str | None = None
    tz: str | None = None
    run: str | None = None
    agent: tuple[str, ...] = ()
    tenant: tuple[str, ...] = ()
    role: tuple[str, ...] = ()
    provider: tuple[str, ...] = ()
    model: tuple[str, ...] = ()
    status: tuple[str, ...] = ()
    where: tuple[str, ...] = ()


def introduce(parser: argparse.ArgumentParser, description: str, epilog: str) -> None:
    """Says what a command does, above its options, and what else is to be known, below them."""
    parser.description = description
    parser.epilog = epilog
    parser.formatter_class = argparse.RawDescriptionHelpFormatter


def add_zone(group: argparse._ActionsContainer, what: str) -> None:  # pyright: ignore[reportPrivateUsage]
    """Adds `--tz`, the zone of `what`."""
    group.add_argument("--tz", metavar="ZONE", help=f"zone of {what}, such as Europe/Berlin (default: UTC)")


def answered(name: str, answer: Callable[[], int]) -> int:
    """The exit status of a command; an option or a store that cannot be used is one line on stderr and status 2."""
    try:
        return answer()
    except (UsageError, StoreError) as error:
        complain(name, error)
        return EXIT_TROUBLE


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Adds the options that every report has."""
    group = parser.add_argument_group("which calls")
    group.add_argument("--since", metavar="TIME", help="only calls from TIME on: 24h, 7d, 30m ago, or an ISO date")
    group.add_argument("--until", metavar="TIME", help="only calls before TIME; a date means its first moment")
    add_zone(group, "days and dates")
    group.add_argument("--run", metavar="ID", help="only calls of one run; `last` is the one that started last")
    for name in _NAMES:
        text = f'only this {name}; may be repeated; "" is a call without one'
        group.add_argument(f"--{name}", metavar="NAME", action="append", default=[], help=text)
    text = f"only calls whose cost is so known: {', '.join(_STATUS_NAMES)}; may be repeated"
    group.add_argument("--status", metavar="STATUS", action="append", default=[], help=text)
    text = "only calls with this value of a column or label, such as team=search; may be repeated"
    group.add_argument("--where", metavar="NAME=VALUE", action="append", default=[], help=text)
    text = "directory of a store instead of the default one; may be repeated, then the stores are added up"
    group.add_argument("--store", metavar="PATH", action="append", default=[], help=text)


def select(args: argparse.Namespace, now: int | None = None) -> Selection:
    """What the options of `add_selection` say.

    Args:
        args: The parsed options.
        now: Nanoseconds since the epoch from which ages count; the clock by default.

    Raises:
        UsageError: a time or zone cannot be read.
    """
    lists = {name: tuple(getattr(args, name)) for name in (*_NAMES, "status", "where")}
    return chosen(Options(args.since, args.until, args.tz, args.run, **lists), now)


def chosen(options: Options, now: int | None = None) -> Selection:
    """What the options mean.

    Args:
        options: In the words of the user.
        now: As for `select`.

    Raises:
        UsageError: one of them cannot be read.
    """
    now = time.time_ns() if now is None else now
    zone = zone_of(options.tz)
    for name in options.status:
        if name not in _STATUS_NAMES:
            raise UsageError(f"--status: {name!r} is no status; use one of {', '.join(_STATUS_NAMES)}")
    only = Filter(
        since=0 if options.since is None else instant("--since", options.since, zone, now),
        until=Filter().until if options.until is None else instant("--until", options.until, zone, now),
        run=options.run,
        status=tuple(name for name in options.status if name in STATUSES),
        mismatched="mismatched" in options.status,
        where=tuple(map(_condition, options.where)),
        **{name: getattr(options, name) for name in _NAMES},
    )
    if only.since >= only.until:
        raise UsageError(f"--since {options.since} is not before --until {options.until}; swap them")
    return Selection(only, zone)


def _condition(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip() or '"' in name:
        raise UsageError(f"--where: {text!r} is no condition; use NAME=VALUE such as team=search")
    if name.strip() in TIMES:
        raise UsageError(f"--where: {name.strip()} is a time; use --since and --until")
    return name.strip(), value


def zone_of(name: str | None) -> tzinfo:
    """The zone of a name, UTC without one; raises UsageError for one that nobody knows."""
    if name is None:
        return timezone.utc
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        text = f"--tz: no zone is named {name!r}; use one such as Europe/Berlin (pip install tzdata has all)"
        raise UsageError(text) from None


def instant(option: str, text: str, zone: tzinfo, now: int) -> int:
    """Nanoseconds since the epoch for an age (`24h`) or an ISO date; raises UsageError for what is none."""
    if age := re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)([smhdw])", text.strip()):
        return max(0, now - int(float(age[1]) * _UNITS[age[2]] * 1e9))
    try:
        # Python 3.10 does not know the Z.
        moment = datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", text.strip()))
        moment = moment if moment.tzinfo else moment.replace(tzinfo=zone)
        return max(0, int(moment.timestamp()) * 10**9 + moment.microsecond * 1000)
    except (ValueError, OverflowError):
        text = f"{option}: {text!r} is no time; use 24h, 7d or 30m, or 2026-01-31 or 2026-01-31T14:00"
        raise UsageError(text) from None


def prepare(args: argparse.Namespace, directory: Path, name: str) -> list[Store]:
    """The stores to report on, with the waiting calls of processes that are gone taken in.

    A store that cannot take them in is reported as it is, and a line on stderr says so.

    Args:
        args: The parsed options.
        directory: The default store.
        name: The command's name, for the line on stderr.

    Raises:
        UsageError: `--store` names what is no store.
        StoreError: a store cannot be used.
    """
    stores = [Store(named(Path(path))) for path in dict.fromkeys(args.store)] or [Store(directory)]
    for store in stores:
        take_in(store, name)
    return stores


def take_in(store: Store, name: str) -> None:
    """Takes the waiting calls of a store in; where that cannot be, a line on stderr says so."""
    try:
        store.ingest_all()
    except StoreUnwritableError as error:
        complain(name, f"{error}; the report shows what is there")


def named(path: Path) -> Path:
    """The directory of the store that `--store` names; raises UsageError if there is none."""
    directory = path.parent if path.name == DATABASE and path.is_file() else own_folder(path)
    if not directory.is_dir():
        raise UsageError(f"--store: there is no directory {path}; name the one that HEXR_STORE names")
    if not any((directory / part).exists() for part in (DATABASE, "journal")):
        raise UsageError(
            f"--store: there is no store in {path} (no {DATABASE}, no journal); name the one HEXR_STORE names"
        )
    return directory


def plain(name: str | None) -> str:
    """A recorded name as it may be printed: one line without control characters, never empty."""
    if name is None:
        return UNKNOWN
    kept = (each for each in name if unicodedata.category(each) not in ("Cc", "Cf", "Cs", "Zl", "Zp"))
    return "".join(kept).strip() or UNKNOWN


def tokens(given: int | None, made: int | None) -> str:
    """Input and output tokens in few cells: `1200/340`, `4.4M/-`."""
    return f"{_short(given)}/{_short(made)}"


def _short(count: int | None) -> str:
    if count is None:
        return "-"
    for unit, letter in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if count >= 10_000 and count >= 0.9995 * unit:  # 999,960 is 1.0M, not 1000k
            value = count / unit
            return f"{value:.1f}{letter}" if value < 99.95 else f"{value:.0f}{letter}"
    return str(count)


def styled(stdout: TextIO) -> bool:
    """Whether colours are welcome: on a terminal, unless NO_COLOR (no-color.org) or TERM says otherwise."""
    if not stdout.isatty():
        return False
    from rich.console import Console  # noqa: PLC0415  (a tenth of a second that a pipe does not need)

    console = Console(file=stdout)
    return not (console.no_color or console.is_dumb_terminal)


def emit(stdout: TextIO, lines: Iterable[str]) -> bool:
    """Writes lines without trailing blanks; what the encoding of `stdout` lacks is written in ASCII's way.

    Returns:
        Whether anybody reads on: `| head` ends when it has seen enough.
    """
    text = "".join(f"{line.rstrip()}\n" for line in lines)
    encoding = getattr(stdout, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text.translate(_ASCII).encode(encoding, "replace").decode(encoding)
    try:
        stdout.write(text)
        stdout.flush()
    except BrokenPipeError:  # `| head` has seen enough; nor may the interpreter's own flush at exit complain
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stdout.fileno())
        os.close(nowhere)
        return False
    return True


def complain(name: str, line: object) -> None:
    """Writes one line to stderr."""
    emit(sys.stderr, [f"hexr-instrument {name}: {plain(str(line))}"])


def moment(nanoseconds: int, zone: tzinfo) -> str:
    """A time to the minute, with its zone."""
    return f"{datetime.fromtimestamp(nanoseconds // 10**9, zone):%Y-%m-%d %H:%M %Z}"


def iso(nanoseconds: int | None) -> str | None:
    """A time as ISO 8601 in UTC, to the millisecond."""
    if nanoseconds is None:
        return None
    whole, rest = divmod(nanoseconds, 10**9)
    return f"{datetime.fromtimestamp(whole, timezone.utc):%Y-%m-%dT%H:%M:%S}.{rest // 10**6:03}Z"


def covered(stores: Sequence[Store]) -> int | None:
    """From when on all calls are there (nanoseconds since the epoch); None if none was ever removed."""
    return max((since for store in stores if (since := store.state().covers_since) is not None), default=None)
