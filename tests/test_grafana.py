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
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from scraped import DASHBOARD, Prometheus, concrete, panels, queries
from support import ROOT, clean_environment

from hexr_instrument import costs, names
from hexr_instrument.report import grafana

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


def test_the_panels_that_are_asked_for_first_come_first() -> None:
    """Behind a row of figures; each panel has a title, a description and a query."""
    found = [each["title"] for each in panels()]
    assert [each for each in found if each in SEED] == list(SEED)
    assert found.index("Token usage over time") == 7
    asked = {"Cost by agent, role and model", "Time to first chunk, p95", "Cache hits", "Unpriced calls", "Budget use"}
    assert asked | {"Provider comparison", "Doubled since yesterday", "Cost, exact, from traces"} <= set(found)
    for each in panels():
        assert each["description"]
        assert each["targets"]
    assert {each["name"] for each in DASHBOARD["templating"]["list"]} == {
        "metrics", "traces", "tenant", "agent", "role", "provider", "model",
    }  # fmt: skip
    assert DASHBOARD["uid"] == "hexr-llm-costs"


def test_no_panel_lies_beyond_the_grid_and_each_chart_says_whose_its_lines_are() -> None:
    """24 columns, none over another; what has several series has a legend, what may be empty says what that means."""
    taken: set[tuple[int, int]] = set()
    for each in DASHBOARD["panels"]:
        at = each["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert at["x"] + at["w"] <= 24, each["title"]
        assert not taken & cells, each["title"]
        taken |= cells
        if each["type"] in {"timeseries", "piechart"}:
            assert each["options"]["legend"]["showLegend"], each["title"]
        if each["type"] != "row" and "from traces" in each["title"]:
            assert each["fieldConfig"]["defaults"]["noValue"] == "no Tempo"
    rows = {y for _, y in taken}
    empty = [y for y in rows if len([x for x, at in taken if at == y]) < 24]
    assert empty == []


@pytest.mark.shown
def test_every_query_is_promql() -> None:
    """In both styles of metric names."""
    parser = pytest.importorskip("promql_parser", reason="`make grafana` runs this")
    found = queries()
    assert len(found) == 28
    for title, query in found:
        assert parser.parse(concrete(query)), title
        assert "__name__=~" in query


def test_every_metric_and_label_is_one_of_ours() -> None:
    """No panel asks for a series that nobody emits."""
    metrics = {
        each.name.replace(".", "_")
        for each in (*names.METRICS["default"].values(), *names.OUR_METRICS.values(), names.BUDGET_USED)
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


@pytest.mark.shown
def test_the_dashboard_is_what_the_script_makes() -> None:
    """It is built with Grafana's own typed builders, and never edited by hand."""
    pytest.importorskip("grafana_foundation_sdk", reason="`make grafana` runs this")
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/make_grafana.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.shown
def test_an_agent_leads_to_its_traces_in_explore() -> None:
    """The link is one that Grafana takes: panes of JSON, percent-encoded, also with an agent of a strange name."""
    links = [
        item["value"][0]["url"]
        for each in panels()
        for override in each["fieldConfig"].get("overrides", ())
        for item in override["properties"]
        if item["id"] == "links"
    ]
    assert links
    values = {"__value.raw:percentencode": urllib.parse.quote("a&b #1%+ü", safe=""), "traces": "tempo"}
    values |= {"__from": "1000", "__to": "2000"}
    for link in links:
        url = re.sub(r"\$\{([^}]*)\}", lambda found: values[found[1]], link)
        path, _, query = url.partition("?")
        asked = urllib.parse.parse_qs(query, strict_parsing=True)
        assert (path, asked["schemaVersion"], set(asked)) == ("/explore", ["1"], {"schemaVersion", "panes"})
        (pane,) = json.loads(asked["panes"][0]).values()
        (search,) = pane["queries"]
        assert (pane["datasource"], pane["range"]) == ("tempo", {"from": "1000", "to": "2000"})
        assert search["datasource"] == {"type": "tempo", "uid": "tempo"}
        assert search["queryType"] == "traceql"
        assert search["query"].startswith('{ span.hexr.agent.name = "a&b #1%+ü" && ')


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


@pytest.mark.shown
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
        HEXR_BUDGET="tenant=acme 100/day",
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
    empty = {title for (title, _), series in found.items() if not series}
    assert empty == set()
    report = costs(store=tmp_path / "store")
    (used,) = (series for (title, _), series in found.items() if title == "Budget use")
    assert [each["metric"] for each in used] == [{"hexr_llm_budget_name": "tenant=acme 100.00/day"}]
    acme = costs("tenant", tenant="acme", store=tmp_path / "store").cost_usd
    assert float(used[0]["value"][1]) == pytest.approx(float(acme or 0) / 100, abs=1e-9)
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


FIFTY = """
import os
from hexr import flush, hexr_agent, hexr_role
import openai
client = openai.OpenAI(max_retries=0)
HI = [{"role": "user", "content": "Say hello to everybody in a friendly way."}]
def call(number):
    with hexr_agent(f"agent-{number % 3}", tenant=f"tenant-{number % 5}"), hexr_role("writer"):
        client.chat.completions.create(model=("gpt-4o", "gpt-4o-mini")[number % 2], messages=HI)
call(0)
assert flush(30)  # what a child needs to export is loaded once, here
for wave in range(0, 49, 7):
    children = []
    for number in range(wave + 1, wave + 8):
        child = os.fork()
        if not child:
            client = openai.OpenAI(max_retries=0)
            call(number)
            os._exit(0 if flush(60) else 1)
        children.append(child)
    assert not any(os.waitpid(child, 0)[1] for child in children)
"""


def openmetrics(points: list[Any], *, suffixed: bool) -> str:
    """What Prometheus' OTLP receiver makes of these points, in either style of names (with those suffixes or without)."""
    families: dict[str, dict[str, dict[float, float]]] = {}

    def put(name: str, labels: dict[str, str], at: int, value: float) -> None:
        inner = ",".join(f"{key}={json.dumps(each)}" for key, each in sorted(labels.items()))
        families.setdefault(name, {}).setdefault(inner, {})[at / 1e9] = value

    for point in points:
        name = point.name.replace(".", "_")
        labels = {key.replace(".", "_"): str(value) for key, value in point.attributes.items()}
        labels["service_instance_id"] = point.resource["service.instance.id"]
        if point.kind == "histogram":
            name += "_seconds" if suffixed and point.unit == "s" else ""
            put(f"{name}_sum", labels, point.time, point.sum)
            put(f"{name}_count", labels, point.time, point.count)
            for at, bound in enumerate((*point.bounds, float("inf"))):
                le = "+Inf" if bound == float("inf") else str(bound)
                put(f"{name}_bucket", {**labels, "le": le}, point.time, sum(point.buckets[: at + 1]))
        else:
            name += "_total" if suffixed and point.kind == "sum" else ""
            name += "_ratio" if suffixed and point.unit == "1" and point.kind == "gauge" else ""
            put(name, labels, point.time, point.value)
    lines: list[str] = []
    for name, series in sorted(families.items()):
        lines.append(f"# TYPE {name} unknown")
        for inner, samples in sorted(series.items()):
            lines += [f"{name}{{{inner}}} {value} {at:.3f}" for at, value in sorted(samples.items())]
    return "\n".join([*lines, "# EOF"]) + "\n"


@pytest.mark.shown
@pytest.mark.skipif(shutil.which("prometheus") is None, reason="`make grafana` installs Debian's and runs this")
def test_fifty_short_processes_are_counted_in_full(tmp_path: Path, run: Any, receiver: Any) -> None:
    """Each makes a call and ends: the dashboard's figures are the bill, in both styles of names; increase() is not."""
    done = run(FIFTY, HEXR_KEEP="1d", **receiver.environment())
    assert done.returncode == 0, done.err
    store = done.store
    bill = costs(store=store)
    assert bill.total.calls == 50
    assert len({point.resource["service.instance.id"] for point in receiver.points}) == 50
    for suffixed in (True, False):
        folder = tmp_path / f"prometheus-{suffixed}"
        folder.mkdir()
        (folder / "in.txt").write_text(openmetrics(receiver.points, suffixed=suffixed))
        made = ["promtool", "tsdb", "create-blocks-from", "openmetrics", folder / "in.txt", folder / "tsdb"]
        subprocess.run(made, check=True, capture_output=True)
        prometheus = Prometheus(folder)
        try:
            prometheus.until("vector(1)", 1)
            ask = prometheus.ask
            found = {(title, query): ask(concrete(query)) for title, query in queries()}
            guessed = ask(concrete('sum(increase({__name__=~"hexr_llm_cost_usd(_total)?"}[$__range]))'))
        finally:
            prometheus.process.terminate()
            prometheus.process.wait()
        figures = {title: float(series[0]["value"][1]) for (title, _), series in found.items() if len(series) == 1}
        assert figures["Cost"] == pytest.approx(float(bill.cost_usd or 0), rel=1e-9)
        assert figures["Calls"] == 50
        assert figures["Tokens"] == bill.total.input + bill.total.output
        for title, name, label in (
            ("Cost per tenant", "tenant", "hexr_agent_tenant"),
            ("Cost over time by agent", "agent", "hexr_agent_name"),
        ):
            (series,) = (each for (known, _), each in found.items() if known == title)
            shown = {each["metric"][label]: float(each["value"][1]) for each in series}
            assert shown == pytest.approx(
                {row.group[name]: float(row.cost_usd) for row in costs(name, store=store).rows}
            )
        assert float(guessed[0]["value"][1]) != pytest.approx(float(bill.cost_usd or 0), rel=0.01)


@pytest.mark.shown
@pytest.mark.filterwarnings("ignore:Prefer using dashboardv2:DeprecationWarning")  # this one imports into every Grafana
def test_the_file_is_one_of_the_pinned_grafana() -> None:
    """Read by the types of its schema and written again, it is the same: nothing in it that this Grafana does not know."""
    encoder = pytest.importorskip("grafana_foundation_sdk.cog.encoder", reason="`make grafana` runs this")
    from grafana_foundation_sdk.models.dashboard import Dashboard

    again = json.loads(encoder.JSONEncoder().encode(Dashboard.from_json(DASHBOARD)))
    assert again == DASHBOARD
    assert DASHBOARD["schemaVersion"] == Dashboard().schema_version
