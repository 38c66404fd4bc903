"""`hexr-instrument grafana`: the dashboard, its alerts, and a stack to try them on, as files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TextIO

from .. import EXIT_TROUBLE, UsageError, complain, emit

NAME = "grafana"
FILES = Path(__file__).with_name("files")
"""What is written: `dashboards/hexr-llm-costs.json` (made by `scripts/make_grafana.py`), provisioning, alert rules, and
the compose file of Collector, Prometheus, Tempo and Grafana."""
_EPILOG = """\
Writes the "LLM Costs" dashboard, alert rules, provisioning, and a compose file of
Collector, Prometheus, Tempo and Grafana. Files that you have changed are left
alone, unless --force is given.

exit status: 0; 2 if a file cannot be written, or was changed
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `grafana`."""
    parser.epilog = _EPILOG
    parser.add_argument("directory", metavar="DIR", nargs="?", default="grafana", help="where to (default: ./grafana)")
    parser.add_argument("--force", action="store_true", help="write over files that were changed")


def run(args: argparse.Namespace, stdout: TextIO) -> int:
    """Writes the files.

    Returns:
        The exit status: 0, or 2 if one of them was changed or cannot be written; then none is.
    """
    try:
        written = _write(Path(args.directory), force=args.force)
    except (UsageError, OSError) as error:
        complain(NAME, error)
        return EXIT_TROUBLE
    emit(
        stdout,
        [f"{args.directory}: {written} files written", f"Try them: docker compose -f {args.directory}/compose.yaml up"],
    )
    emit(stdout, ["Or import dashboards/hexr-llm-costs.json into your Grafana, and prometheus/alerts.yaml as rules."])
    return 0


def _write(directory: Path, *, force: bool) -> int:
    if directory.exists() and not directory.is_dir():
        raise UsageError(f"{directory} is a file; name a directory")
    texts = {path.relative_to(FILES): path.read_bytes() for path in sorted(FILES.rglob("*")) if path.is_file()}
    changed = [
        name for name, text in texts.items() if (directory / name).exists() and (directory / name).read_bytes() != text
    ]
    if changed and not force:
        names = ", ".join(map(str, changed))
        raise UsageError(f"{directory} has files that differ: {names}; name another directory, or add --force")
    for name, text in texts.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
    return len(texts)
