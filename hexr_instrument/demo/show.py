"""`hexr-instrument demo`: an example program, unchanged, under the real launcher against loopback servers."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console
from rich.table import Table

from .providers import ProviderServer
from .receiver import OtlpReceiver, Span

_SDKS = {"openai": "openai", "anthropic": "anthropic", "google.genai": "google-genai"}
_OURS = ("HEXR_", "OTEL_", "OPENAI_", "ANTHROPIC_", "GOOGLE_", "GEMINI_")


def examples_directory() -> Path:
    """The folder of the example programs, in the installed package or in the repository."""
    package = Path(__file__).resolve().parent.parent
    shipped = package / "_examples"
    return shipped if shipped.is_dir() else package.parent / "examples"


def run(store: Path | None, costs: Callable[[Path], object]) -> int:
    """Runs the demo and prints what the program's calls became: spans, then the cost tree.

    Args:
        store: Where its calls are kept; None for a folder that is removed at the end.
        costs: Prints a store's cost tree.

    Returns:
        0; 1 if the program failed; 2 if an SDK is missing.
    """
    missing = [package for module, package in _SDKS.items() if not _installed(module)]
    if missing:
        sys.stderr.write(f"hexr-instrument: the demo needs {', '.join(missing)}: pip install 'hexr-instrument[demo]'\n")
        return 2
    if store is not None:
        return _run(store, costs)
    with tempfile.TemporaryDirectory(prefix="hexr-demo-") as directory:
        return _run(Path(directory), costs)


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the parent package is not there
        return False


def _run(store: Path, costs: Callable[[Path], object]) -> int:
    program = examples_directory() / "content_crew.py"
    console = Console(soft_wrap=True, highlight=False)
    console.print(f"[bold]$ hexr-instrument python {program.name}[/bold]")
    with ProviderServer() as providers, OtlpReceiver() as receiver:
        environ = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        environ |= providers.environment()
        environ |= {
            "HEXR_STORE": str(store),
            "HEXR_KEEP": "1d",
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
            # As at api.openai.com: see HEXR_STREAM_USAGE.
            "HEXR_STREAM_USAGE": "127.0.0.1",
        }
        command = [sys.executable, "-m", "hexr_instrument", sys.executable, str(program)]
        status = subprocess.run(command, env=environ, check=False).returncode  # noqa: S603
        spans, sent, requests = receiver.spans, sum(receiver.bytes.values()), len(providers.requests)
    if status:
        sys.stderr.write(f"hexr-instrument: {program} ended with status {status}\n")
        return 1
    console.print(
        f"\n[bold]Spans[/bold]: {requests} HTTP requests to the providers became\n{len(spans)} OpenTelemetry spans "
        f"({sent:,} bytes of OTLP)\n"
    )
    console.print(_table(spans), crop=False)
    console.print("\n[bold]$ hexr-instrument costs[/bold]\n")
    costs(store)
    console.print(
        "\nNo key was used and nothing left this machine: the providers and the collector\n"
        "were servers on 127.0.0.1, and their answers are made up. The same program with\n"
        f"your own keys: [bold]hexr-instrument python {_shown(program)}[/bold]"
    )
    return 0


def _shown(program: Path) -> str:
    try:
        return str(program.relative_to(Path.cwd()))
    except ValueError:
        return str(program)


def _table(spans: Sequence[Span]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("span", no_wrap=True)
    table.add_column("role", no_wrap=True)
    for name in ("in", "out", "ms", "cost USD"):
        table.add_column(name, justify="right", no_wrap=True)
    known = {span.span_id for span in spans}
    for span in sorted(spans, key=lambda each: each.start):
        attributes = span.attributes
        cost = attributes.get("hexr.llm.cost_usd", attributes.get("hexr.agent.cost_usd"))
        table.add_row(
            ("  " if span.parent_id in known else "") + span.name,
            str(attributes.get("hexr.agent.role", "")),
            _number(attributes.get("gen_ai.usage.input_tokens")),
            _number(attributes.get("gen_ai.usage.output_tokens")),
            f"{(span.end - span.start) / 1e6:,.0f}",
            "failed" if "error.type" in attributes else "unknown" if cost is None else f"{cost:.7f}",
        )
    return table


def _number(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else ""
