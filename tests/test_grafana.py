"""`hexr-instrument grafana`: the dashboard is whole, its queries are PromQL, and what a user changed stays."""

from __future__ import annotations

import argparse
import io
import json
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import ROOT, clean_environment

from hexr_instrument import costs, names
from hexr_instrument.report import grafana

DASHBOARD = json.loads((grafana.FILES / "dashboards/hexr-llm-costs.json").read_text())
SEED = (
    "Token usage over time",
    "Cost per tenant",
    "Model distribution by calls",
    "Latency p50, p95, p99",
    "Error rate by provider",
)
"""The panels that a cost dashboard is asked for first."""


def write(directory: Path, *options: str) -> tuple[int, str]:
    """The command's status and what it printed."""
    parser = argparse.ArgumentParser()
    grafana.add_arguments(parser)
    out = io.StringIO()
    return grafana.run(parser.parse_args([str(directory), *options]), out), out.getvalue()


def panels() -> Iterator[dict[str, Any]]:
    """Every panel that is no row."""
    for each in DASHBOARD["panels"]:
        if each["type"] == "row":
            yield from each["panels"]
        else:
            yield each


def queries() -> list[tuple[str, str]]:
    """Title and PromQL of every query of a panel."""
    return [(each["title"], target["expr"]) for each in panels() for target in each["targets"] if "expr" in target]


def concrete(query: str) -> str:
    """A query as Grafana sends it, with nothing filtered."""
    query = query.replace("$__rate_interval", "1m").replace("$__range", "1h")
    return re.sub(r"\$\{\w+:regex\}", ".*", query)


def test_the_panels_that_are_asked_for_first_come_first() -> None:
    """Behind a row of figures; each panel has a title, a description and a query."""
    found = [each["title"] for each in panels()]
    assert [each for each in found if each in SEED] == list(SEED)
    assert found.index("Token usage over time") == 6
    for each in panels():
        assert each["description"]
        assert each["targets"]
    assert {each["name"] for each in DASHBOARD["templating"]["list"]} == {
        "metrics", "traces", "tenant", "agent", "role", "provider", "model",
    }  # fmt: skip
    assert DASHBOARD["uid"] == "hexr-llm-costs"


def test_every_query_is_promql() -> None:
    """In both styles of metric names."""
    parser = pytest.importorskip("promql_parser", reason="`make grafana` runs this")
    found = queries()
    assert len(found) == 25
    for title, query in found:
        assert parser.parse(concrete(query)), title
        assert "__name__=~" in query


def test_every_metric_and_label_is_one_of_ours() -> None:
    """No panel asks for a series that nobody emits."""
    metrics = {
        each.name.replace(".", "_") for each in (*names.METRICS["default"].values(), *names.OUR_METRICS.values())
    }
    labels = {
        value.replace(".", "_") for key, value in vars(names).items() if isinstance(value, str) and key.isupper()
    } | {"le", "__name__"}
    for title, query in queries():
        for name in re.findall(r'__name__=~"(\w+)', query):
            assert re.sub(r"(_seconds)?(_bucket|_sum|_count)?$", "", name) in metrics, title
        for text in re.findall(r"by \(([^)]*)\)", query):
            assert {each.strip() for each in text.split(",")} <= labels, title
        assert set(re.findall(r"[,{](\w+)=", query)) <= labels, title


def test_the_dashboard_is_what_the_script_makes() -> None:
    """It is built with Grafana's own typed builders, and never edited by hand."""
    pytest.importorskip("grafana_foundation_sdk", reason="`make grafana` runs this")
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/make_grafana.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_files_are_written_once_and_what_was_changed_stays(tmp_path: Path) -> None:
    """A second run changes nothing; a file of the user's own is written over only if he says so."""
    folder = tmp_path / "new" / "grafana"
    status, said = write(folder)
    assert status == 0
    assert "compose.yaml" in said
    assert (folder / "dashboards/hexr-llm-costs.json").is_file()
    assert write(folder)[0] == 0
    (folder / "tempo.yaml").write_text("mine")
    assert write(folder)[0] == 2
    assert (folder / "tempo.yaml").read_text() == "mine"
    assert write(folder, "--force")[0] == 0
    assert (folder / "tempo.yaml").read_text() != "mine"
    file = tmp_path / "file"
    file.write_text("")
    assert write(file)[0] == 2


# -- with a Prometheus

CREW = """
import sys
from hexr import hexr_agent, hexr_role
import openai, anthropic
first, second = openai.OpenAI(max_retries=0), anthropic.Anthropic()
HI = [{"role": "user", "content": "Say hello to everybody in a friendly way."}]
def work():
    for tenant in ("acme", "globex"):
        with hexr_agent("crew", tenant=tenant):
            for role in ("writer", "editor"):
                with hexr_role(role):
                    first.chat.completions.create(model="gpt-4o", messages=HI)
                    for _ in first.chat.completions.create(model="gpt-4o-mini", messages=HI, stream=True,
                                                           stream_options={"include_usage": True}): pass
                    second.messages.create(model="claude-sonnet-4-5", max_tokens=64, messages=HI)
    first.chat.completions.create(model="unheard-of", messages=HI)
    try:
        first.chat.completions.create(model="error-429", messages=HI)
    except openai.RateLimitError:
        pass
work()
for line in sys.stdin:
    work()
    print("again", flush=True)
"""
EMPTY = {"Over budget", "Doubled since yesterday"}
"""What has nothing to show of a program without budgets that started a moment ago."""


class Prometheus:
    """Debian's, scraping one program every second."""

    def __init__(self, folder: Path, port: int) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        config = folder / "prometheus.yaml"
        config.write_text(
            "global: {scrape_interval: 1s}\n"
            f"scrape_configs: [{{job_name: crew, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}]\n"
        )
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}",
             f"--web.listen-address=127.0.0.1:{self.port}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def ask(self, query: str) -> list[dict[str, Any]]:
        """The series of an instant query."""
        asked = urllib.parse.urlencode({"query": query})
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/query?{asked}", timeout=10) as answer:
            return json.load(answer)["data"]["result"]

    def until(self, query: str, value: float) -> None:
        """Waits until a query has one value."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                if any(float(each["value"][1]) == value for each in self.ask(query)):
                    return
            except OSError:  # it is not listening yet
                pass
            time.sleep(0.2)
        raise AssertionError(f"{query} is never {value}")


@pytest.mark.skipif(shutil.which("prometheus") is None, reason="`make grafana` installs Debian's and runs this")
def test_every_panel_has_data_that_agrees_with_the_store(tmp_path: Path, providers: Any) -> None:
    """Each query of each panel, run by a real Prometheus on what a real program emits; sums are those of `costs`."""
    pytest.importorskip("prometheus_client", reason="`make grafana` runs this")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = tmp_path / "crew.py"
    program.write_text(CREW)
    environ = clean_environment(
        HEXR_STORE=str(tmp_path / "store"),
        HEXR_KEEP="1d",
        OTEL_METRICS_EXPORTER="prometheus",
        OTEL_EXPORTER_PROMETHEUS_HOST="127.0.0.1",
        OTEL_EXPORTER_PROMETHEUS_PORT=str(port),
        **providers.environment(),
    )
    crew = subprocess.Popen(
        [sys.executable, "-m", "hexr_instrument", sys.executable, str(program)],
        env=environ, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    prometheus = Prometheus(tmp_path, port)
    try:
        count = 'sum({__name__=~"hexr_llm_calls(_total)?"})'
        prometheus.until(count, 14)
        assert crew.stdin and crew.stdout
        for rounds in (2, 3):
            crew.stdin.write("again\n")
            crew.stdin.flush()
            assert crew.stdout.readline() == "again\n"
            prometheus.until(count, 14 * rounds)
        found = {(title, query): prometheus.ask(concrete(query)) for title, query in queries()}
    finally:
        crew.communicate()
        prometheus.process.terminate()
        prometheus.process.wait()
    empty = {title for (title, _), series in found.items() if not series and title not in EMPTY}
    assert empty == set()
    report = costs(store=tmp_path / "store")
    figures = {title: float(series[0]["value"][1]) for (title, _), series in found.items() if len(series) == 1}
    assert figures["Cost"] == pytest.approx(float(report.cost_usd or 0), rel=1e-9)
    assert figures["Calls"] == report.total.calls == 42
    assert figures["Tokens"] == report.total.input + report.total.output
    assert figures["Unpriced calls"] == report.total.unpriced == 3
    assert figures["Error rate"] == pytest.approx(3 / 42)
    for title, label, name in (
        ("Cost per tenant", "hexr_agent_tenant", "tenant"),
        ("Model distribution by cost", "gen_ai_request_model", "requested"),
    ):
        (series,) = (each for (known, _), each in found.items() if known == title)
        shown = {each["metric"].get(label): float(each["value"][1]) for each in series}
        rows = {
            row.group[name]: float(row.cost_usd) for row in costs(name, store=tmp_path / "store").rows if row.cost_usd
        }
        assert {key: value for key, value in shown.items() if value} == pytest.approx(rows, rel=1e-9)
