"""The dashboard on what a fleet leaves: two days of it, and of two hundred tenants, on a real Prometheus."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from scraped import Prometheus, concrete, queries
from support import clean_environment

from hexr_instrument import costs
from hexr_instrument.metrics import points

pytestmark = [
    pytest.mark.shown,
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="`make grafana` installs Debian's and runs this"),
]
HOUR = 3600


def backfilled(folder: Path, series: dict[str, list[tuple[float, float]]]) -> Prometheus:
    """A Prometheus that has these samples, (time, value) of each series of one counter."""
    rows = [f"{labels} {value} {at:.3f}" for labels, samples in series.items() for at, value in samples]
    (folder / "in.txt").write_text("\n".join(["# TYPE hexr_llm_cost_usd_total unknown", *rows, "# EOF", ""]))
    made = ["promtool", "tsdb", "create-blocks-from", "openmetrics", folder / "in.txt", folder / "tsdb"]
    subprocess.run(made, check=True, capture_output=True)
    started = Prometheus(folder)
    started.until("vector(1)", 1)
    return started


def test_what_doubled_since_yesterday_is_named(tmp_path: Path) -> None:
    """Of two days, to the cent: more than twice, and new; not what is as dear as before, cheaper, or short of twice."""
    now = time.time() - 60
    # USD of the day before and of the last one; a process of one sample for each call, or one that lives for both days.
    spent = {
        ("steady", "short"): (5.0, 5.0),
        ("fallen", "short"): (9.0, 3.0),
        ("nearly", "short"): (3.0, 6.0),
        ("doubled", "short"): (2.0, 7.5),
        ("new", "short"): (0.0, 1.25),
        ("grown", "long"): (1.0, 4.0),
        ("lives", "long"): (4.0, 4.0),
    }
    series: dict[str, list[tuple[float, float]]] = {}
    for (agent, life), days in spent.items():
        labels = f'hexr_agent_name="{agent}",gen_ai_request_model="gpt-4o",hexr_agent_tenant="acme"'
        if life == "short":
            for day, dollars in enumerate(days):
                for hour in range(1, 5) if dollars else ():
                    at = now - (2 - day) * 24 * HOUR + hour * 5 * HOUR
                    name = f'hexr_llm_cost_usd_total{{{labels},service_instance_id="{day}-{hour}"}}'
                    series[name] = [(at, dollars / 4)]
        else:
            steps = [(now - 48 * HOUR + 600 * at, at / 144) for at in range(289)]
            series[f'hexr_llm_cost_usd_total{{{labels},service_instance_id="one"}}'] = [
                (at, days[0] * min(share, 1) + days[1] * max(share - 1, 0)) for at, share in steps
            ]
    prometheus = backfilled(tmp_path, series)
    try:
        last, before = (
            prometheus.ask(concrete(asked)) for title, asked in queries() if title == "Doubled since yesterday"
        )
    finally:
        prometheus.process.terminate()
        prometheus.process.wait()
    found = {each["metric"]["hexr_agent_name"]: float(each["value"][1]) for each in last}
    earlier = {each["metric"]["hexr_agent_name"]: float(each["value"][1]) for each in before}
    assert list(found) == ["doubled", "grown", "new"]
    for agent, life in (("doubled", "short"), ("new", "short")):
        assert (earlier[agent], found[agent]) == pytest.approx(spent[agent, life], abs=1e-9)
    # What lives on is read between two samples ten minutes apart.
    assert (earlier["grown"], found["grown"]) == pytest.approx(spent["grown", "long"], abs=0.05)


FLEET = """
import sys
from hexr import hexr_agent, hexr_llm
def answer(model, prompt): return "fine"
ask = hexr_llm(answer, provider="openai", usage=lambda result: {"input_tokens": 1000, "output_tokens": 100})
for tenant in range(205):
    for agent in range(6):
        with hexr_agent(f"agent-{agent}", tenant=f"tenant-{tenant}"):
            for model in ("gpt-4o", "gpt-4o-mini"):
                ask(model=model, prompt="hi")
print("done", flush=True)
sys.stdin.read()
"""


@pytest.mark.timeout(400)
def test_two_hundred_tenants_do_not_kill_a_prometheus(tmp_path: Path) -> None:
    """205 tenants, 6 agents, 2 models: series are capped, the sums are whole, the rest is counted; `doctor` tells before."""
    pytest.importorskip("prometheus_client", reason="`make grafana` runs this")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = tmp_path / "fleet.py"
    program.write_text(FLEET)
    store = tmp_path / "store"
    environ = clean_environment(
        HEXR_STORE=str(store),
        HEXR_KEEP="1d",
        OTEL_METRICS_EXPORTER="prometheus",
        OTEL_EXPORTER_PROMETHEUS_HOST="127.0.0.1",
        OTEL_EXPORTER_PROMETHEUS_PORT=str(port),
    )
    hexr = [sys.executable, "-m", "hexr_instrument"]
    fleet = subprocess.Popen(
        [*hexr, sys.executable, str(program)], env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert fleet.stdout
    try:
        assert fleet.stdout.readline() == "done\n"
        prometheus = Prometheus(tmp_path, port, every=20)  # a page of 100,000 series
        try:
            calls = 205 * 6 * 2
            prometheus.until('sum({__name__=~"hexr_llm_calls(_total)?"})', calls, within=200)
            ask = prometheus.ask
            found = {title: ask(concrete(asked)) for title, asked in queries()}
            # A slow machine may miss a scrape: what was said last.
            (whole,) = ask("max_over_time(scrape_samples_scraped[30m])")
            names = ('{__name__=~"hexr_llm_calls(_total)?"}', '{__name__=~"gen_ai_client_token_usage_count"}')
            sets = [len(ask(f"last_over_time({name}[30m])")) for name in names]
            others = ask(
                'sum(last_over_time({__name__=~"hexr_llm_calls(_total)?",hexr_agent_tenant="__other__"}[30m]))'
            )
            counted = ask('last_over_time({__name__=~"hexr_metric_folded(_total)?"}[30m])')
            folded = {each["metric"]["hexr_metric_label"]: float(each["value"][1]) for each in counted}
        finally:
            prometheus.process.terminate()
            prometheus.process.wait()
    finally:
        fleet.communicate()
    assert max(sets) <= points.SETS
    assert len(found["Cost per tenant"]) <= 201
    # Five tenants too many, and every set beyond the cap.
    assert float(others[0]["value"][1]) >= 5 * 6 * 2
    assert folded["hexr.agent.tenant"] > 0
    assert folded["series"] > 0
    report = costs(store=store)
    assert float(found["Calls"][0]["value"][1]) == report.total.calls == calls
    assert float(found["Cost"][0]["value"][1]) == pytest.approx(float(report.cost_usd or 0), rel=1e-9)
    told = subprocess.run([*hexr, "doctor", "--json"], env=environ, capture_output=True, text=True, check=False)
    estimate = next(each for each in walk(json.loads(told.stdout), "series"))
    assert float(whole["value"][1]) <= estimate


def walk(value: Any, name: str) -> Any:
    """Every number of that name in a JSON document."""
    if isinstance(value, dict):
        for key, each in value.items():
            if key == name and isinstance(each, int):
                yield each
            yield from walk(each, name)
    elif isinstance(value, list):
        for each in value:
            yield from walk(each, name)
