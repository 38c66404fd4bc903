"""`hexr-instrument prices`: what a model costs and by which rule; `prices update` takes a newer table."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from dataclasses import fields
from datetime import datetime, timezone
from fractions import Fraction
from pathlib import Path
from typing import TextIO

from .. import pricing
from ..call import Usage
from ..pricing import newer
from . import EXIT_TROUBLE, UsageError, complain, emit, instant, plain
from .money import exact

NAME = "prices"
SOURCE = "https://raw.githubusercontent.com/pydantic/genai-prices/refs/heads/main/prices/new_data/v2/data.json"
"""Where genai-prices itself takes its newest data from."""
_TRIED = ("openai", "anthropic", "gcp.gemini", "gcp.vertex_ai", "groq", "mistral_ai", "deepseek", "x_ai", "cohere")
_PER = {1: "each", 1_000: "per thousand", 3_600: "per hour", 1_000_000: "per million"}
_COUNTS = tuple(each.name for each in fields(Usage))
_PATIENCE = 30
_EPILOG = f"""\
`prices` alone says which table is used and how old it is. `prices update` takes a newer
one, from --from FILE or URL or else from genai-prices' newest data at
  {SOURCE}
It is used only if it is whole and newer than the one at hand, by every program with
this store; to go back, remove {pricing.UPDATED} from the store's directory. Nothing is
ever fetched without being asked for.

exit status:
  0  printed, or updated
  1  the model has no price; the table is not newer
  2  the file or URL cannot be used
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `prices`."""
    parser.epilog = _EPILOG
    text = "as the provider names it, such as gpt-4o-2024-08-06; or `update`"
    parser.add_argument("model", metavar="MODEL", nargs="?", help=text)
    parser.add_argument(
        "--provider", metavar="NAME", help="as gen_ai.provider.name spells it (default: each that has it)"
    )
    parser.add_argument("--tier", metavar="NAME", help="the price of this service tier: batch, flex, priority, ...")
    text = "the price at that moment: an ISO date, in UTC (default: now)"
    parser.add_argument("--at", metavar="TIME", help=text)
    text = "the bill of such a call, such as input=1200,output=340,cache_read=200"
    parser.add_argument("--usage", metavar="UNIT=N,...", help=text)
    parser.add_argument("--from", metavar="FILE", dest="source", help="with update: a file or a URL")


def run(args: argparse.Namespace, directory: Path, stdout: TextIO) -> int:
    """Prints prices or takes a newer table.

    Args:
        args: The options of `add_arguments`.
        directory: The store's, where a newer table is kept.
        stdout: Where the answer goes; complaints go to stderr.

    Returns:
        The exit status, see the help.
    """
    if args.model == "update":
        return _update(args.source or SOURCE, directory, stdout)
    if args.source is not None:
        complain(NAME, "--from: it goes with `prices update`")
        return EXIT_TROUBLE
    now = time.time_ns()
    if args.model is None:
        emit(stdout, [f"{pricing.version()}{_age(now)}"])
        return 0
    try:
        when = now if args.at is None else instant("--at", args.at, timezone.utc, now)
        usage = None if args.usage is None else _usage(args.usage)
    except UsageError as error:
        complain(NAME, error)
        return EXIT_TROUBLE
    return _show(args, when, usage, stdout)


def _usage(text: str) -> Usage:
    counts: dict[str, int] = {}
    for pair in text.split(","):
        name, _, count = pair.strip().partition("=")
        if name not in _COUNTS or not (count.isascii() and count.isdigit()):
            raise UsageError(f"--usage: {pair!r} is no count; use NAME=N with names of {', '.join(_COUNTS)}")
        counts[name] = int(count)
    return Usage(**counts)


def _age(now: int) -> str:
    days = pricing.stale_days(now)
    return "" if days is None else f": {days} days old; hexr-instrument prices update takes a newer one"


def _show(args: argparse.Namespace, when: int, usage: Usage | None, stdout: TextIO) -> int:
    """One table of unit prices (or one bill) for each provider that has the model."""
    lines: list[str] = []
    for name in (args.provider,) if args.provider else _TRIED:
        listed = pricing.explain(usage or Usage(input=0, output=0), name, args.model, when, tier=args.tier)
        if listed.cost is None:
            if args.provider and listed.reason:
                complain(NAME, listed.reason)
            continue
        served = f", tier {args.tier}" if args.tier else ""
        day = datetime.fromtimestamp(when // 10**9, timezone.utc)
        lines.append(f"{plain(listed.model)} at {name}{served}, {day:%Y-%m-%d} ({pricing.version()})")
        if usage is not None:
            lines += _bill(listed)
            continue
        lines += _prices(listed)
        # The longest input that there is has the last of the long-context prices.
        longest = pricing.explain(Usage(input=1 << 40, output=0), name, args.model, when, tier=args.tier)
        if longest.above is not None:
            lines += [f"  beyond {longest.above:,} input tokens:", *_prices(longest)]
    if not lines:
        where = f" of {args.provider}" if args.provider else ""
        complain(NAME, f"{pricing.version()} has no price for {args.model!r}{where}: its calls are kept as unpriced")
        return 1
    emit(stdout, lines)
    if (age := _age(time.time_ns())) != "":
        complain(NAME, f"{pricing.version()}{age}")
    return 0


def _prices(listed: pricing.Explanation) -> list[str]:
    return [
        f"  {bucket.unit:<20} ${bucket.price} {_PER.get(bucket.per, f'per {bucket.per:,}')}"
        for bucket in listed.buckets
    ]


def _bill(listed: pricing.Explanation) -> list[str]:
    """Each bucket with its quantity and amount; the amounts add up to the cost, which is rounded once."""
    lines = [
        f"  {bucket.quantity:>12,} {bucket.unit:<20} at ${bucket.price} {_PER.get(bucket.per, f'per {bucket.per:,}'):<13}"
        f" ${_exact(bucket.amount)}"
        for bucket in listed.buckets
        if bucket.quantity
    ]
    beyond = "" if listed.above is None else f" (prices beyond {listed.above:,} input tokens)"
    return [*lines, f"  cost: ${exact(listed.cost or 0)}{beyond}"]


def _exact(amount: Fraction) -> str:
    """An amount of 1e-12 USD; what is smaller is rounded."""
    return exact(round(amount))


def _update(source: str, directory: Path, stdout: TextIO) -> int:
    try:
        text, day = _fetched(source) if "://" in source else _read(Path(source))
        table, left_out = newer.read(text, day, pricing.shipped_data())
    except (OSError, ValueError) as error:
        # PricesError is a ValueError; urllib's errors are OSErrors.
        complain(NAME, f"{source}: {getattr(error, 'strerror', None) or error}; the prices stay as they are")
        return EXIT_TROUBLE
    if table["released"] <= pricing.released():
        complain(NAME, f"{source} is of {table['released']}, no newer than {pricing.version()}; the prices stay")
        return 1
    before = pricing.version()
    _replace(directory, json.dumps(table, ensure_ascii=False, separators=(",", ":")).encode())
    skipped = f"; {left_out} models are priced by units that this version cannot count" if left_out else ""
    now = f"{table['source']} {table['version']} ({table['released']})"
    emit(stdout, [f"Prices updated: {now} in {directory / pricing.UPDATED}, instead of {before}{skipped}"])
    return 0


def _read(path: Path) -> tuple[bytes, str]:
    with path.open("rb") as file:
        text = file.read(newer.LARGEST + 1)
        changed = os.fstat(file.fileno()).st_mtime
    return text, datetime.fromtimestamp(changed, timezone.utc).date().isoformat()


def _fetched(url: str) -> tuple[bytes, str]:
    """The content of a URL and the day that the server says it is of; nothing else than HTTPS, but for loopback."""
    # A tenth of a second that no other tool needs.
    import urllib.parse  # noqa: PLC0415
    import urllib.request  # noqa: PLC0415
    from email.utils import parsedate_to_datetime  # noqa: PLC0415

    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost")):
        raise ValueError("only an https URL can be used")
    request = urllib.request.Request(url, headers={"User-Agent": "hexr-instrument"})  # noqa: S310  (checked above)
    with urllib.request.urlopen(request, timeout=_PATIENCE) as answer:  # noqa: S310
        text = answer.read(newer.LARGEST + 1)
        said = answer.headers.get("Last-Modified")
    day = datetime.now(timezone.utc)
    if said is not None:
        day = parsedate_to_datetime(said).astimezone(timezone.utc)
    return text, day.date().isoformat()


def _replace(directory: Path, text: bytes) -> None:
    """Puts the table in its place in one step: a reader sees the old one or the new one."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    number, name = tempfile.mkstemp(prefix=f"{pricing.UPDATED}.", dir=directory)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, directory / pricing.UPDATED)
    except BaseException:  # whatever stopped it: nothing of it stays, and it is raised again
        os.unlink(name)
        raise
