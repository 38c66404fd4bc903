"""The alert rules for fleets, by Prometheus' own tool: they are valid, and they ring when they should."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support import ROOT

pytestmark = pytest.mark.shown
RULES = ROOT / "hexr_instrument/report/grafana/files/prometheus/alerts.yaml"


@pytest.fixture(autouse=True)
def promtool() -> None:
    """Skips where it is not installed."""
    if shutil.which("promtool") is None:
        pytest.skip("promtool (Debian's prometheus) is not installed")


def tried(folder: Path, series: dict[str, str], *, at: str, alerts: dict[str, list[dict[str, Any]]]) -> str:
    """What `promtool test rules` says of samples a minute apart and the alerts that are expected of them."""
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [
            {"eval_time": at, "alertname": name, "exp_alerts": expected} for name, expected in alerts.items()
        ],
    }
    path = folder / "test.json"
    path.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [test]}))
    done = subprocess.run(["promtool", "test", "rules", str(path)], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_the_rules_are_valid() -> None:
    """`promtool check rules` takes all of them."""
    done = subprocess.run(["promtool", "check", "rules", str(RULES)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "10 rules found" in done.stdout


def test_a_tenant_rings_for_short_processes_alone(tmp_path: Path) -> None:
    """Three short processes of 20 USD each, of which increase() would see nothing; what another day had counts no more."""
    labels = 'hexr_agent_tenant="acme",hexr_agent_name="crew"'
    series = {
        f'hexr_llm_cost_usd_total{{{labels},instance="{name}"}}': f"{late * '_ '}20 20 20 stale"
        for name, late in (("a", 1450), ("b", 1460), ("c", 1470))
    }
    series[f'hexr_llm_cost_usd_total{{{labels},instance="old"}}'] = "1000x1480"
    one = {"severity": "warning", "hexr_agent_tenant": "acme"}
    said = tried(
        tmp_path,
        series,
        at="1480m",
        alerts={
            "HexrTenantOverDailyBudget": [
                {"exp_labels": one, "exp_annotations": {"summary": "Tenant acme spent $60.00 in 24 hours"}}
            ],
            "HexrFleetOverDailyBudget": [],
        },
    )
    assert "SUCCESS" in said, said


def test_failures_and_models_without_a_price_ring(tmp_path: Path) -> None:
    """Both namings of the counters are taken."""
    common = 'gen_ai_provider_name="openai",gen_ai_response_model="mine"'
    said = tried(
        tmp_path,
        {
            f'hexr_llm_calls{{{common},hexr_llm_cost_status="unpriced"}}': "0+8x60",
            f'hexr_llm_calls{{{common},hexr_llm_cost_status="no_usage",error_type="429"}}': "0+2x60",
        },
        at="50m",
        alerts={
            "HexrCallsFail": [
                {
                    "exp_labels": {"severity": "warning", "gen_ai_provider_name": "openai"},
                    "exp_annotations": {"summary": "More than 10 % of the calls to openai fail"},
                }
            ],
            "HexrCallsWithoutPrice": [
                {
                    "exp_labels": {"severity": "info", "gen_ai_response_model": "mine"},
                    "exp_annotations": {"summary": "Calls of mine have no price, so that no total has them"},
                }
            ],
        },
    )
    assert "SUCCESS" in said, said


def test_a_budget_rings_before_it_is_spent(tmp_path: Path) -> None:
    """From four fifths on, once for all processes that say it, with the share."""
    said = tried(
        tmp_path,
        {
            'hexr_llm_budget_used_ratio{hexr_llm_budget_name="tenant=acme 5.00/day",instance="a"}': "0.5 0.85 0.85",
            'hexr_llm_budget_used_ratio{hexr_llm_budget_name="tenant=acme 5.00/day",instance="b"}': "0.5 0.7 0.7",
            'hexr_llm_budget_used_ratio{hexr_llm_budget_name="total 9.00/day",instance="a"}': "0.5 0.5 0.5",
        },
        at="2m",
        alerts={
            "HexrBudgetNearlySpent": [
                {
                    "exp_labels": {"severity": "warning", "hexr_llm_budget_name": "tenant=acme 5.00/day"},
                    "exp_annotations": {"summary": "Budget tenant=acme 5.00/day: 85% is spent"},
                }
            ]
        },
    )
    assert "SUCCESS" in said, said
