"""Writes docs/reference.md: the API from its docstrings, and every environment variable. `--check` compares only."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hexr_instrument
from hexr_instrument import names
from hexr_instrument.direct import AsyncLLMStream, LLMResponse, LLMStream
from hexr_instrument.llm import HexrLLM
from hexr_instrument.variables import VARIABLES

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference.md"
SCOPES = ("hexr_agent", "hexr_role", "hexr_tenant", "hexr_labels")
PLAIN = ("current_caller", "instrument", "uninstrument", "flush")


METRICS_HEAD = """## Metrics

Where an endpoint (or `OTEL_METRICS_EXPORTER`) is set, or the program has a meter provider of its own, each finished call
is counted; [metrics.md](metrics.md) says what to do with it. Labels of every point of a call: `gen_ai.operation.name`,
`gen_ai.provider.name`, and what `HEXR_METRIC_LABELS` chooses of `gen_ai.request.model`, `gen_ai.response.model`,
`server.address` with `server.port`, `hexr.agent.name`, `hexr.agent.tenant`, `hexr.agent.role` and `hexr.label.NAME`.
Beside them: `gen_ai.token.type` (token usage), `gen_ai.token.modality` (usage by the names to come),
`hexr.llm.cost.status` and `error.type` (calls), `error.type` (durations), `hexr.llm.budget.name` (budgets),
`gen_ai.tool.name` (tools), `hexr.metric.label` (folded)."""


def signature(name: str, function: Any) -> str:
    """`name(parameters) -> result`, as one would write it."""
    shown = str(inspect.signature(function)).replace("(self, ", "(").replace("(self)", "()")
    shown = re.sub(r"hexr_instrument\.\w+\.|typing\.|collections\.abc\.", "", shown.replace("'", ""))
    return f"{name}{shown}"


def text(function: Any) -> str:
    """A docstring as Markdown: its sections become bold words, its parameters a list."""
    lines: list[str] = []
    section = ""
    fenced = False
    for line in (inspect.getdoc(function) or "").splitlines():
        fenced ^= line.strip().startswith("```")
        if re.fullmatch(r"(Args|Returns|Raises|Example):", line):
            section = line[:-1]
            lines += [f"**{section}**", ""]
        elif section in ("Args", "Raises") and re.match(r"    \S", line):
            name, _, rest = line.strip().partition(":")
            lines.append(f"- `{name}`:{rest}")
        elif section and line.startswith("    "):
            kept = line[4:] if section in ("Example", "Returns") or fenced else "  " + line.strip()
            lines.append(kept)
        else:
            lines.append(line)
    return "\n".join(lines)


def parts() -> Iterator[str]:
    """The page, part by part."""
    yield "# Reference\n\nMade from the docstrings by `scripts/make_reference.py`; all names are importable from `hexr`"
    yield "and from `hexr_instrument`.\n\n## Who spends\n"
    for name in SCOPES:
        function = getattr(hexr_instrument, name)
        yield f"### `{signature(name, function)}`\n\n{text(function)}\n"
    yield f"## `hexr_llm`\n\n{text(HexrLLM.__call__)}\n"
    yield f"### `{signature('await hexr_llm.aio', HexrLLM.aio)}`\n\n{text(HexrLLM.aio)}\n"
    for kind in (LLMResponse, LLMStream, AsyncLLMStream):
        yield f"### `{kind.__name__}`\n\n{text(kind)}\n"
        if kind is LLMResponse:
            fields = ", ".join(f"`{name}`" for name in kind.__dataclass_fields__)
            yield f"Fields: {fields}.\n"
    yield f"### `HexrError`\n\n{text(hexr_instrument.HexrError)}\n"
    yield "## Switching on and off\n"
    for name in PLAIN:
        function = getattr(hexr_instrument, name)
        yield f"### `{signature(name, function)}`\n\n{text(function)}\n"
    yield f"## The report as data\n\n### `{signature('costs', hexr_instrument.costs)}`\n\n{text(hexr_instrument.costs)}\n"
    for kind in (hexr_instrument.CostReport, hexr_instrument.CostRow):
        fields = ", ".join(f"`{name}`" for name in kind.__dataclass_fields__)
        yield f"### `{kind.__name__}`\n\n{text(kind)}\n\nFields: {fields}; `cost_usd`; `as_dict()`.\n"
    yield f"## Budgets\n\n### `BudgetExceeded`\n\n{text(hexr_instrument.BudgetExceeded)}\n\nFields: `rule`, `spent_usd`, `limit_usd`.\n"
    yield METRICS_HEAD
    for title, metrics in (
        (
            "By default (`HEXR_SEMCONV=default`, the names of the last release of the conventions)",
            names.METRICS["default"],
        ),
        ("The same in every version", {**names.OUR_METRICS, "used": names.BUDGET_USED, "folded": names.FOLDED}),
        ("`HEXR_SEMCONV=latest`, instead of the first table", names.METRICS["latest"]),
    ):
        yield f"\n{title}:\n\n| metric | type, unit | what |\n| --- | --- | --- |"
        for each in metrics.values():
            kind = "histogram" if each.buckets else "gauge" if each is names.BUDGET_USED else "counter"
            yield f"| `{each.name}` | {kind}, `{each.unit}` | {each.meaning} |"
    yield "\n## Environment\n\nAn empty value is an unset one; a wrong value is named in one line on stderr and its default\nis used.\n"
    yield "| variable | default | meaning |\n| --- | --- | --- |"
    for each in VARIABLES:
        yield f"| `{each.name}` | {each.default} | {each.meaning} |"


def main() -> int:
    """Writes the page, or with `--check` returns 1 if it is not what is written."""
    page = "\n".join(parts()) + "\n"
    if "--check" in sys.argv[1:]:
        return int(not PAGE.exists() or PAGE.read_text() != page)
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
