"""The tools of the command: what each takes, and where it is. Never loaded in a recorded program."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path

from . import pricing
from .call import Usage
from .config import default_store
from .report import calls, costs, doctor, purge


def parser() -> argparse.ArgumentParser:
    """The command line of all tools."""
    top = argparse.ArgumentParser(prog="hexr-instrument")
    tools = top.add_subparsers(dest="tool", required=True, metavar="TOOL")

    def add(name: str, summary: str) -> argparse.ArgumentParser:
        return tools.add_parser(
            name, help=summary, description=summary, formatter_class=argparse.RawDescriptionHelpFormatter
        )

    costs.add_arguments(add("costs", "Who spent what: agent (tenant) > role > model, from the local store."))
    calls.add_arguments(add("calls", "The latest calls, one line each."))
    prices = add("prices", "What a model costs, with the rule of each price.")
    prices.add_argument("model", metavar="MODEL", help="as the provider names it, such as gpt-4o-2024-08-06")
    prices.add_argument(
        "--provider", metavar="NAME", help="as gen_ai.provider.name spells it (default: each that has it)"
    )
    doctor.add_arguments(add("doctor", "What is recorded, where it goes, and what was or will be lost."))
    purge.add_arguments(add("purge", "Removes calls from the local store, for good."))
    demo = add("demo", "A content crew on a local provider server: real SDKs, HTTP and OTLP; no key, no network.")
    demo.add_argument("--store", metavar="PATH", help="keep the calls there (default: a folder that is removed)")
    return top


def run(arguments: Sequence[str]) -> int:
    """Runs a tool and returns its exit status."""
    options = parser().parse_args(arguments)
    try:
        return _run(options)
    except BrokenPipeError:
        raise
    except OSError as error:
        sys.stderr.write(f"hexr-instrument: {options.tool}: {error.strerror or error}\n")
        return 2


def _run(options: argparse.Namespace) -> int:
    directory = default_store(os.environ)
    if options.tool == "costs":
        return costs.run(options, directory, sys.stdout)
    if options.tool == "calls":
        return calls.run(options, directory, sys.stdout)
    if options.tool == "purge":
        return purge.run(options, directory, sys.stdout)
    if options.tool == "doctor":
        return doctor.run(options, directory, sys.stdout, os.environ)
    if options.tool == "prices":
        return _prices(options.model, options.provider)
    from .demo import show  # noqa: PLC0415  (the servers and their libraries are for the demo alone)

    return show.run(None if options.store is None else Path(options.store), _print_costs)


def _print_costs(directory: Path) -> None:
    costs.run(parser().parse_args(["costs"]), directory, sys.stdout)


def report(run_id: str, environ: Mapping[str, str]) -> None:
    """Prints one run's cost tree to stderr, for `hexr-instrument --report`."""
    options = parser().parse_args(["costs", "--run", run_id])
    costs.run(options, default_store(environ), sys.stderr)


_TRIED = ("openai", "anthropic", "gcp.gemini", "gcp.vertex_ai", "groq", "mistral_ai", "deepseek", "x_ai", "cohere")


def _prices(model: str, provider: str | None) -> int:
    """One table of unit prices for each provider that has the model."""
    now = datetime.now(timezone.utc)
    found = False
    for name in (provider,) if provider else _TRIED:
        listed = pricing.explain(Usage(input=0, output=0), name, model, int(now.timestamp()) * 10**9)
        if listed.cost is None:
            continue
        found = True
        print(f"{listed.model} at {name}, {now:%Y-%m-%d} ({pricing.version()})")
        for bucket in listed.buckets:
            per = {1: "each", 1_000: "per thousand", 1_000_000: "per million"}.get(bucket.per, f"per {bucket.per:,}")
            print(f"  {bucket.unit:<20} ${bucket.price} {per}")
    if not found:
        where = f" of {provider}" if provider else ""
        print(
            f"hexr-instrument: {pricing.version()} has no price for {model!r}{where}: its calls are kept as unpriced",
            file=sys.stderr,
        )
    return 0 if found else 1
