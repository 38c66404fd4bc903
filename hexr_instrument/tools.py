"""The tools of the command: what each takes, and where it is. Never loaded in a recorded program."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from . import pricing
from .config import Config, default_store
from .guard import say
from .report import calls, costs, doctor, grafana, page, prices, purge


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
    page.add_arguments(add("dashboard", "The costs as a page in the browser, on this machine alone."))
    grafana.add_arguments(add("grafana", "The LLM Costs dashboard for Grafana, with alerts and a stack to try it on."))
    prices.add_arguments(add("prices", "What a model costs, with the rule of each price; or take a newer table."))
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
    config = Config.from_env()
    pricing.configure(str(directory), config.prices, dict(config.models), say)
    if options.tool == "costs":
        return costs.run(options, directory, sys.stdout)
    if options.tool == "calls":
        return calls.run(options, directory, sys.stdout)
    if options.tool == "dashboard":
        return page.run(options, directory, sys.stdout)
    if options.tool == "grafana":
        return grafana.run(options, sys.stdout)
    if options.tool == "purge":
        return purge.run(options, directory, sys.stdout)
    if options.tool == "doctor":
        return doctor.run(options, directory, sys.stdout, os.environ)
    if options.tool == "prices":
        return prices.run(options, directory, sys.stdout)
    from .demo import show  # noqa: PLC0415  (the servers and their libraries are for the demo alone)

    return show.run(None if options.store is None else Path(options.store), _print_costs)


def _print_costs(directory: Path) -> None:
    costs.run(parser().parse_args(["costs"]), directory, sys.stdout)


def report(run_id: str, environ: Mapping[str, str]) -> None:
    """Prints one run's cost tree to stderr, for `hexr-instrument --report`."""
    options = parser().parse_args(["costs", "--run", run_id])
    costs.run(options, default_store(environ), sys.stderr)
