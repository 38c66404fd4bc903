"""`costs --reconcile`: a provider's export beside our calls."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from stores import CENT, Shop

from hexr_instrument.call import USD


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """An empty one."""
    return Shop(tmp_path / "store")


def at(text: str) -> int:
    """The nanoseconds of a moment in UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp()) * 10**9


def reconciled(shop: Shop, tmp_path: Path, export: Any, name: str = "export.json", *options: str) -> dict[str, Any]:
    """The JSON of the comparison."""
    path = tmp_path / name
    path.write_text(export if isinstance(export, str) else json.dumps(export))
    return json.loads(shop.costs("--reconcile", str(path), "--json", *options))


def day(text: str) -> int:
    """OpenAI's seconds of a day's start."""
    return at(text) // 10**9


def openai_usage(text: str, **result: Any) -> dict[str, Any]:
    """A bucket of OpenAI's completions usage."""
    whole = {"object": "organization.usage.completions.result", "input_tokens": 0, "output_tokens": 0, **result}
    return {"object": "bucket", "start_time": day(text), "end_time": day(text) + 86400, "results": [whole]}


def openai_cost(text: str, usd: float, item: str, **result: Any) -> dict[str, Any]:
    """A bucket of OpenAI's costs."""
    amount = {"amount": {"value": usd, "currency": "usd"}, "line_item": item, "object": "organization.costs.result"}
    return {"object": "bucket", "start_time": day(text), "end_time": day(text) + 86400, "results": [amount | result]}


def fill(shop: Shop) -> None:
    """Two days of OpenAI, and something else that is not."""
    usage = {"input": 1000, "output": 100}
    for _ in range(3):
        shop.add(1, CENT, start=at("2026-11-19T23:59:59"), served="gpt-4o-2024-08-06", usage=usage)
    shop.add(
        2, 2 * CENT, start=at("2026-11-20T00:00:01"), served="gpt-4o-2024-08-06", usage=usage, cost_status="partial"
    )
    shop.add(1, 9 * CENT, start=at("2026-11-20T10:00:00"), provider="anthropic", model="claude-sonnet-4-5")


def test_openais_usage_is_compared_by_day_and_model(shop: Shop, tmp_path: Path) -> None:
    """Requests and tokens; pages of an API or one after the other."""
    fill(shop)
    pages = [
        {
            "object": "page",
            "data": [
                openai_usage(
                    "2026-11-19", model="gpt-4o-2024-08-06", num_model_requests=3, input_tokens=3000, output_tokens=300
                )
            ],
        },
        {
            "object": "page",
            "data": [
                openai_usage(
                    "2026-11-20",
                    model="gpt-4o-2024-08-06",
                    num_model_requests=4,
                    input_tokens=4000,
                    output_tokens=400,
                    api_key_id="key_abc",
                    batch=False,
                )
            ],
        },
    ]
    data = reconciled(shop, tmp_path, pages)
    same, other = data["rows"]
    assert (data["provider"], data["zone"]) == ("openai", "UTC")
    assert (same["day"], same["model"], same["covered"], same["reasons"]) == ("2026-11-19", "gpt-4o", 1.0, [])
    assert (other["their_calls"], other["our_calls"], other["their_tokens"], other["our_tokens"]) == (4, 2, 4400, 2200)
    assert other["covered"] == 0.5
    assert other["reasons"][0].startswith("2 requests not recorded")
    assert any("ended early" in each for each in other["reasons"])
    key = hashlib.sha256(b"key_abc").hexdigest()[:8]
    assert data["keys"] == [{"name": key, "unit": "requests", "theirs": 4, "not_recorded": 2}]
    assert (data["total"]["their_calls"], data["total"]["our_calls"]) == (7, 5)
    assert data == reconciled(shop, tmp_path, "\n".join(map(json.dumps, pages)))


def test_a_key_of_a_program_that_is_not_instrumented_is_found(shop: Shop, tmp_path: Path) -> None:
    """What one key alone used beyond all that is recorded; with a label of the key's id, key by key."""
    model = "gpt-4o-2024-08-06"
    when = at("2026-11-20T10:00:00")
    shop.add(3, 3 * CENT, start=when, served=model, labels={"key": "key_ours", "project": "proj_1"})
    buckets = [
        openai_usage("2026-11-20", model=model, num_model_requests=calls, input_tokens=1, output_tokens=1, **ids)
        for calls, ids in (
            (3, {"api_key_id": "key_ours", "project_id": "proj_1"}),
            (40, {"api_key_id": "key_strange", "project_id": "proj_2"}),
        )
    ]
    ours, strange = (hashlib.sha256(key).hexdigest()[:8] for key in (b"key_ours", b"key_strange"))
    export = {"object": "page", "data": buckets}
    data = reconciled(shop, tmp_path, export)
    assert [(each["name"], each["theirs"], each["not_recorded"]) for each in data["keys"]] == [
        (strange, 40, 37),
        (ours, 3, 0),
    ]
    text = shop.costs("--reconcile", str(tmp_path / "export.json"))
    assert f"Key {strange}: 40 requests, of which at least 37 requests are not recorded" in text
    assert "key_" not in text
    data = reconciled(shop, tmp_path, export, "export.json", "--by", "project,key")
    assert [(row["project"], row["key"], row["their_calls"], row["our_calls"]) for row in data["rows"]] == [
        ("proj_1", ours, 3, 3),
        ("proj_2", strange, 40, 0),
    ]
    shop.costs("--reconcile", str(tmp_path / "export.json"), "--by", "role", status=2)


def test_openais_costs_are_compared_in_dollars(shop: Shop, tmp_path: Path) -> None:
    """Line items of one model are added up; what is no model is said to be none."""
    fill(shop)
    buckets = [
        openai_cost("2026-11-19", 0.02, "gpt-4o-2024-08-06, input", project_id="proj_1"),
        openai_cost("2026-11-19", 0.01, "gpt-4o-2024-08-06, output", project_id="proj_1"),
        openai_cost("2026-11-20", 0.02, "gpt-4o-2024-08-06, input", project_id="proj_2"),
        openai_cost("2026-11-20", 0.5, "gpt-5.4, input", project_id="proj_2"),
    ]
    data = reconciled(shop, tmp_path, {"object": "page", "data": buckets})
    assert [(row["model"], row["their_usd"], row["our_usd"], row["covered"]) for row in data["rows"]] == [
        ("gpt-4o", "0.03", "0.03", 1.0),
        ("gpt-4o", "0.02", "0.02", 1.0),
        ("gpt-5.4", "0.50", "0.00", 0.0),
    ]
    assert data["rows"][2]["reasons"] == ["no such call is recorded: programs without hexr-instrument, or another key"]
    assert data["projects"] == [
        {"name": "proj_2", "unit": "usd", "theirs": "0.52", "not_recorded": "0.50"},
        {"name": "proj_1", "unit": "usd", "theirs": "0.03", "not_recorded": "0.00"},
    ]
    assert data["total"]["covered"] == pytest.approx(0.05 / 0.55)
    text = shop.costs("--reconcile", str(tmp_path / "export.json"))
    assert [line.split() for line in text.splitlines()[1:5]] == [
        ["2026-11-19", "gpt-4o", "-/3", "-/3,300", "$0.03", "$0.03", "$0.00", "100", "%"],
        ["2026-11-20", "gpt-4o", "-/2", "-/2,200", "$0.02", "$0.02", "$0.00", "100", "%"],
        ["2026-11-20", "gpt-5.4", "-/0", "-/0", "$0.50", "$0.00", "-$0.50", "0", "%"],
        ["total", "-/5", "-/5,500", "$0.55", "$0.05", "-$0.50", "9.1", "%"],
    ]
    rows = list(csv.reader(io.StringIO(shop.costs("--csv", "--reconcile", str(tmp_path / "export.json")))))
    assert rows[1][:4] == ["2026-11-19", "gpt-4o", "0.03", "0.03"]


def test_a_csv_says_the_same_as_json(shop: Shop, tmp_path: Path) -> None:
    """OpenAI's columns as its dashboard exports them."""
    fill(shop)
    text = (
        "start_time,end_time,start_time_iso,amount_value,amount_currency,line_item,project_id\n"
        f'{day("2026-11-19")},{day("2026-11-20")},x,0.03,usd,"gpt-4o-2024-08-06, input",proj_1\n'
    )
    (row,) = reconciled(shop, tmp_path, text, "costs.csv")["rows"]
    assert (row["day"], row["model"], row["their_usd"], row["our_usd"]) == ("2026-11-19", "gpt-4o", "0.03", "0.03")


def test_anthropics_usage_and_cost(shop: Shop, tmp_path: Path) -> None:
    """The parts of the input are added up; its cost report is in cents."""
    usage = {"input": 600, "output": 50, "cache_read": 400, "cache_write": 100}
    shop.add(1, 9 * CENT, start=at("2026-11-20T10:00:00"), provider="anthropic", model="claude-sonnet-4-5", usage=usage)
    bucket = {"starting_at": "2026-11-20T00:00:00Z", "ending_at": "2026-11-21T00:00:00Z"}
    result = {
        "uncached_input_tokens": 100,
        "cache_creation": {"ephemeral_1h_input_tokens": 40, "ephemeral_5m_input_tokens": 60},
        "cache_read_input_tokens": 400,
        "output_tokens": 50,
        "server_tool_use": {"web_search_requests": 0},
        "api_key_id": None,
        "workspace_id": "wrk_1",
        "model": "claude-sonnet-4-5-20250929",
        "service_tier": "standard",
    }
    (row,) = reconciled(shop, tmp_path, {"data": [{**bucket, "results": [result]}], "has_more": False})["rows"]
    assert (row["model"], row["their_tokens"], row["our_tokens"], row["covered"]) == (
        "claude-sonnet-4-5",
        650,
        650,
        1.0,
    )
    cost = {"amount": "12.00", "currency": "USD", "model": "claude-sonnet-4-5-20250929", "workspace_id": None}
    (row,) = reconciled(shop, tmp_path, {"data": [{**bucket, "results": [cost]}]})["rows"]
    assert (row["their_usd"], row["our_usd"], row["covered"]) == ("0.12", "0.09", 0.75)
    text = (
        "usage_date_utc,model_version,api_key,workspace,usage_type,usage_input_tokens_no_cache,"
        "usage_input_tokens_cache_read,usage_input_tokens_cache_write_5m,usage_output_tokens\n"
        "2026-11-20,claude-sonnet-4-5-20250929,prod,Default,message,100,400,100,50\n"
    )
    assert reconciled(shop, tmp_path, text, "usage.csv")["rows"][0]["their_tokens"] == 650


def test_googles_days_are_those_of_the_pacific(shop: Shop, tmp_path: Path) -> None:
    """SKUs of one model are added up with their credits; --tz says otherwise."""
    shop.add(1, 3 * CENT, start=at("2026-11-21T07:59:00"), provider="gcp.gemini", model="gemini-2.5-flash")
    head = {
        "service": {"description": "Gemini API"},
        "project": {"id": "p"},
        "usage_start_time": "2026-11-21 05:00:00 UTC",
    }
    rows = [
        {
            **head,
            "sku": {"description": "Generate content input token count gemini 2.5 flash"},
            "cost": 0.02,
            "currency": "USD",
        },
        {
            **head,
            "sku": {"description": "Generate content output token count gemini 2.5 flash"},
            "cost": 0.03,
            "currency": "USD",
            "credits": [{"amount": -0.02}],
        },
        {**head, "sku": {"description": "Tax"}, "cost": 0.01, "currency": "USD"},
    ]
    data = reconciled(shop, tmp_path, "\n".join(map(json.dumps, rows)))
    assert data["zone"] == "America/Los_Angeles"
    assert [(row["day"], row["model"], row["their_usd"], row["our_usd"]) for row in data["rows"]] == [
        ("2026-11-20", "gemini-2.5-flash", "0.03", "0.03"),
        ("2026-11-20", None, "0.01", "0.00"),
    ]
    assert data["rows"][1]["reasons"] == ["tax, credits or a service that is no call of a model"]
    assert (
        reconciled(shop, tmp_path, "\n".join(map(json.dumps, rows)), "e.json", "--tz", "UTC")["rows"][0]["day"]
        == "2026-11-21"
    )


def test_another_currency_is_no_dollars(shop: Shop, tmp_path: Path) -> None:
    """It is named, and not compared."""
    text = "Usage start date,Service description,SKU description,SKU ID,Cost,Currency\n2026-11-20,Gemini API,Output gemini 2.5 pro,ID-1,5.00,EUR\n"
    shop.add(1, CENT, start=at("2026-11-20T18:00:00"), provider="gcp.gemini", model="gemini-2.5-pro")
    data = reconciled(shop, tmp_path, text, "billing.csv")
    (row,) = data["rows"]
    assert (row["their_usd"], row["our_usd"], row["covered"]) == (None, "0.01", None)
    assert row["reasons"] == ["it is in EUR"]
    assert "The export has no cost in USD: shares are of tokens (or of calls)" in data["notes"]


@pytest.mark.parametrize("content", ["", "{", "[1]", "a,b\n1,2\n", '{"data": 5}', "\x00\xff", '[{"results": [1]}]'])
def test_what_is_no_export_is_one_line(
    shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    """The status is 2."""
    shop.add(cost=USD)
    path = tmp_path / "odd"
    path.write_text(content)
    assert shop.costs("--reconcile", str(path), status=2) == ""
    error = capsys.readouterr().err
    assert error.startswith("hexr-instrument costs: --reconcile: ")
    assert error.count("\n") == 1
