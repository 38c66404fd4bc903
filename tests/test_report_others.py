"""`costs` beyond the tree: --compare, --diff, --verify, --reprice, --top, further choices, and the report as data."""

from __future__ import annotations

import csv
import io
import json
import random
import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from stores import CENT, NOON, Shop

import hexr_instrument
from hexr_instrument.call import USD
from hexr_instrument.report import calls
from hexr_instrument.report.money import exact
from hexr_instrument.store import Store

DAY = 86400 * 10**9
END = "2026-11-22"
TODAY, YESTERDAY = NOON + DAY, NOON
"""Moments in the two days before END."""


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """An empty one."""
    return Shop(tmp_path / "store")


def listed(shop: Shop, *options: str) -> list[dict[str, Any]]:
    """What `calls` lists with these options."""
    status, output = shop.run(calls, "--limit", "100000", "--json", *options)
    assert status == 0
    return json.loads(output)["calls"]


def assorted(shop: Shop, seed: int) -> None:
    """Calls of every kind."""
    chance = random.Random(seed)
    for at in range(60):
        kind = chance.choice(["priced", "priced", "custom", "stated", "partial", "unpriced", "no_usage", "failed"])
        fields: dict[str, Any] = {"cost_status": kind, "cost_source": "table"}
        cost: int | None = chance.randrange(10**12)
        if kind in ("custom", "stated"):
            fields = {"cost_status": "priced", "cost_source": {"stated": "provider"}.get(kind, kind)}
        if kind in ("unpriced", "no_usage", "failed"):
            fields, cost = {"cost_status": kind}, None
        if kind in ("no_usage", "failed"):
            fields |= {"usage": None, "cost_status": "no_usage"}
        if kind == "failed":
            fields["error"] = "openai.APIError"
        elif at % 3:
            usage = {"input": chance.randrange(5000), "output": chance.randrange(900), "cache_read": 3}
            fields["usage"] = None if kind == "no_usage" else usage | ({"stated_total": 7} if at % 5 == 0 else {})
        shop.add(
            cost=cost,
            tenant=chance.choice(["acme", "zeta", None]),
            role=chance.choice(["writer", "critic"]),
            model=chance.choice(["gpt-4o", "gpt-4o-mini", "acme-7b"]),
            labels={"team": chance.choice(["search", "ads"])} if at % 2 else None,
            start=NOON + chance.randrange(-3 * DAY, 3 * DAY),
            **fields,
        )


SELECTIONS = [
    [],
    ["--tenant", "acme"],
    ["--role", "writer", "--model", "gpt-4o"],
    ["--where", "team=search"],
    ["--where", "team=search", "--where", "team=ads", "--status", "priced"],
    ["--where", "team="],
    ["--where", "cost_source=custom"],
    ["--since", "2026-11-19T17:00", "--until", "2026-11-21T05:00"],
    ["--since", "2026-11-20T03:00", "--until", "2026-11-20T21:00"],
    ["--status", "unpriced", "--status", "no_usage"],
    ["--status", "mismatched"],
    ["--run", "last"],
    ["--run", "run-7", "--tz", "Asia/Kolkata"],
]


@pytest.mark.parametrize("options", SELECTIONS, ids=[" ".join(each) or "all" for each in SELECTIONS])
@pytest.mark.parametrize("by", ["agent,tenant,role,model", "day", "hour", "day,cost_source", "team", "cost_status"])
def test_every_number_is_a_sum_of_calls_that_can_be_listed(shop: Shop, by: str, options: list[str]) -> None:
    """With the same options `calls` lists the rows of which every count, token sum and cost is made."""
    assorted(shop, 5)
    found = listed(shop, *options)
    if by == "team" and not any(call["labels"] for call in found):
        by = "operation"
    data = shop.data("--by", by, *options)
    for row in (data["total"], *data["kinds"]):
        if "kind" in row:
            mine = [call for call in found if kind_of(call) == row["kind"]]
        else:
            mine = found
        known = [call["cost"] for call in mine if call["cost"] is not None]
        assert row["calls"] == len(mine)
        assert (row["cost"] or 0) == sum(known)
        assert row["covered"] == len(known)
        for name in ("input", "output", "cache_read"):
            assert row[name] == sum(call["usage"].get(name, 0) for call in mine)
    for name in ("calls", "covered", "priced", "stated", "unpriced", "no_usage", "partial", "failed", "input"):
        assert sum(row[name] for row in data["rows"]) == data["total"][name]
    assert sum(row["cost"] or 0 for row in data["rows"]) == (data["total"]["cost"] or 0)
    assert data["mismatched"] == sum("stated_total" in call["usage"] for call in found)


def kind_of(call: dict[str, Any]) -> str:
    """How a listed call's cost is known."""
    if call["cost_status"] == "priced":
        return {"provider": "stated", "custom": "custom"}.get(call["cost_source"], "priced")
    return "failed" if call["cost_status"] == "no_usage" and call["error"] else call["cost_status"]


def test_what_the_total_covers_is_said(shop: Shop) -> None:
    """Stated, own and partial costs apart, with their tokens; a failed call that used nothing is no gap."""
    shop.add(5, 5 * CENT)
    shop.add(2, 2 * CENT, cost_source="provider")
    shop.add(1, 3 * CENT, cost_source="custom")
    shop.add(1, None, usage=None, cost_status="no_usage", error="openai.APIError")
    shop.add(1, None, usage={"input": 5, "output": 6, "stated_total": 20})
    assert shop.costs("--by", "role").split("\n\n")[1] == (
        "Total: $0.10 / 10 calls\n"
        "Covers: 8 of 9 calls (88.9 %)\n"
        "Stated: 2 calls (2,400 tokens in, 680 out) as the provider stated it\n"
        "Custom: 1 call (1,200 tokens in, 340 out) by your own prices\n"
        "Unpriced: 1 call (5 tokens in, 6 out), not in the total\n"
        "  gpt-4o: 1 call (5 tokens in, 6 out)\n"
        "  hexr-instrument prices MODEL shows what the price table knows of it\n"
        "Failed: 1 call\n"
        "Mismatched: 1 call whose tokens do not add up to the provider's own total (calls --status mismatched)\n"
    )


def test_top_keeps_the_total(shop: Shop) -> None:
    """The most expensive groups; the others are one line, and printed parts still add up."""
    for cents in (1, 5, 3, 2):
        shop.add(cents, cents * CENT, model=f"m{cents}")
    lines = shop.costs("--by", "model", "--top", "2").splitlines()
    assert [line.split()[0] for line in lines[1:3]] == ["m5", "m3"]
    assert lines[4:] == ["Others: $0.03 / 3 calls in 2 groups", "Total: $0.11 / 11 calls"]
    data = shop.data("--by", "model", "--top", "2")
    assert (len(data["rows"]), data["hidden"], data["total"]["calls"]) == (2, 2, 11)


def test_hours_have_their_offset(shop: Shop) -> None:
    """Also where a zone is not whole hours from UTC."""
    for minutes in (0, 20, 40):
        shop.add(start=NOON + minutes * 60 * 10**9)
    rows = shop.data("--by", "hour", "--tz", "Asia/Kolkata")["rows"]
    assert [(row["hour"], row["calls"]) for row in rows] == [
        ("2026-11-20T17:00+05:30", 2),
        ("2026-11-20T18:00+05:30", 1),
    ]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--top", "0"], "--top: '0'"),
        (["--status", "cheap"], "--status: 'cheap'"),
        (["--where", "team"], "--where: 'team'"),
        (["--where", "day=2026-11-20"], "--where: day is a time"),
        (["--diff", "yesterday"], "--diff: 'yesterday'"),
        (["--diff", "24h", "--since", "2d"], "--since: --diff says"),
        (["--dry-run"], "--dry-run: there is nothing to try"),
        (["--reconcile", "/does/not/exist.csv"], "--reconcile: /does/not/exist.csv"),
    ],
)
def test_a_wrong_option_is_one_line(
    shop: Shop, capsys: pytest.CaptureFixture[str], options: list[str], named: str
) -> None:
    """It names the option and what would do; the status is 2."""
    shop.add()
    assert shop.costs(*options, status=2) == ""
    error = capsys.readouterr().err
    assert error.startswith(f"hexr-instrument costs: {named}")
    assert (error.count("\n"), ";" in error) == (1, True)


# -- compare


def test_models_side_by_side(shop: Shop) -> None:
    """Latency of the calls that succeeded, cost per call and per 1,000 output tokens, errors."""
    for at in range(1, 101):
        shop.add(cost=CENT, end=NOON + (shop.number + 1) * 10**9 + at * 10**7, role="writer")
    shop.add(
        4,
        None,
        model="slow",
        cost_status="no_usage",
        usage=None,
        error="openai.APITimeoutError",
        status=None,
        role="writer",
    )
    shop.add(1, 2 * CENT, model="slow", usage={"input": 10, "output": 500}, role="writer")
    shop.add(9, 9 * CENT, role="critic")
    fast, slow = json.loads(shop.costs("--compare", "--role", "writer", "--json"))["models"]
    assert (fast["calls"], fast["p50_ms"], fast["p95_ms"], fast["error_rate"]) == (100, 500.0, 950.0, 0.0)
    assert (fast["cost_usd"], fast["cost_per_call_usd"], fast["cost_per_1k_output_usd"]) == (
        "1.00",
        "0.01",
        "0.02941176",
    )
    assert (slow["calls"], slow["error_rate"], slow["cost_per_call_usd"]) == (5, 0.8, "0.02")
    assert slow["cost_per_1k_output_usd"] == "0.04"
    text = shop.costs("--compare", "--role", "writer").splitlines()
    assert text[0].split() == [
        *("model", "calls", "p50", "p95", "tokens", "in/out", "$/call", "$/1k", "output", "errors")
    ]
    assert text[1].split() == [
        "openai",
        "gpt-4o",
        "100",
        "500ms",
        "950ms",
        "120k/34.0k",
        "$0.01",
        "$0.029412",
        "0",
        "%",
    ]
    assert list(csv.reader(io.StringIO(shop.costs("--compare", "--csv"))))[0][:3] == ["provider", "model", "calls"]


# -- diff


def spend(shop: Shop, when: int, calls: int, each: int, usage: dict[str, int], **fields: Any) -> None:
    """Calls around a moment, each at the same cost."""
    for at in range(calls):
        shop.add(cost=each, usage=usage, start=when + at, **fields)


def parts(shop: Shop, *options: str) -> dict[str, Decimal]:
    """The parts of the whole change."""
    data = json.loads(shop.costs("--diff", "24h", "--until", END, "--json", *options))
    assert sum(map(Decimal, data["total"]["parts_usd"].values())) == Decimal(data["total"]["change_usd"])
    return {name: Decimal(value) for name, value in data["total"]["parts_usd"].items() if Decimal(value)}


BASE = {"input": 1000, "output": 100}
PRICE = (1000 * 25 + 100 * 100) * USD // 10**7
"""gpt-4o: 2.5 and 10 USD per million."""


def test_more_calls_are_a_change_of_calls(shop: Shop) -> None:
    """And of nothing else."""
    spend(shop, YESTERDAY, 4, PRICE, BASE)
    spend(shop, TODAY, 6, PRICE, BASE)
    assert parts(shop) == {"calls": Decimal(exact(2 * PRICE))}


def test_longer_prompts_are_a_change_of_tokens(shop: Shop) -> None:
    """At the prices of the earlier span."""
    spend(shop, YESTERDAY, 4, PRICE, BASE)
    spend(shop, TODAY, 4, PRICE + 500 * 25 * USD // 10**7, {"input": 1500, "output": 100})
    assert parts(shop) == {"tokens": Decimal(exact(4 * 500 * 25 * USD // 10**7))}


def test_a_warm_cache_is_a_change_of_the_cache_share(shop: Shop) -> None:
    """Half of the input at half of the price."""
    spend(shop, YESTERDAY, 4, PRICE, BASE)
    spend(shop, TODAY, 4, PRICE - 500 * 25 * USD // (2 * 10**7), {**BASE, "cache_read": 500})
    assert parts(shop) == {"cache": Decimal(exact(-4 * 500 * 25 * USD // (2 * 10**7)))}


def test_a_move_to_another_model_is_a_change_of_models(shop: Shop) -> None:
    """For the agent; of the models themselves it is one of calls."""
    spend(shop, YESTERDAY, 4, PRICE, BASE)
    spend(shop, YESTERDAY, 4, PRICE // 10, BASE, model="gpt-4o-mini")
    spend(shop, TODAY, 2, PRICE, BASE)
    spend(shop, TODAY, 6, PRICE // 10, BASE, model="gpt-4o-mini")
    assert parts(shop) == {"models": Decimal(exact(-2 * (PRICE - PRICE // 10)))}
    assert set(parts(shop, "--by", "model")) == {"calls"}


def test_a_discount_is_a_change_of_price(shop: Shop) -> None:
    """What no other part explains."""
    spend(shop, YESTERDAY, 4, PRICE, BASE)
    spend(shop, TODAY, 4, PRICE * 8 // 10, BASE)
    assert parts(shop) == {"price": Decimal(exact(-4 * PRICE * 2 // 10))}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("by", ["agent", "tenant", "model", "role,model"])
def test_parts_always_add_up_to_the_change(shop: Shop, seed: int, by: str) -> None:
    """Exactly, in every group, whatever was called; printed ones add up to what is printed."""
    assorted(shop, seed)
    data = json.loads(shop.costs("--diff", "60h", "--until", END, "--json", "--by", by))
    for row in (data["total"], *data["rows"]):
        change = Decimal(row["after_usd"]) - Decimal(row["before_usd"])
        assert Decimal(row["change_usd"]) == change == sum(map(Decimal, row["parts_usd"].values()))
    for name in ("before_usd", "after_usd", "change_usd"):
        assert sum(Decimal(row[name]) for row in data["rows"]) == Decimal(data["total"][name])
    for line in shop.costs("--diff", "60h", "--until", END, "--by", by).splitlines()[1:]:
        before, after, change, *rest = [Decimal(each.replace("$", "")) for each in line.split() if "$" in each]
        assert change == after - before == sum(rest)


# -- verify


def test_verify_proves_the_sums(shop: Shop) -> None:
    """Leaves, days, total and single calls are the same; a sum that was tampered with is found, with status 1."""
    assorted(shop, 2)
    assert shop.costs("--verify").endswith("Verified: they are the same\n")
    assert shop.costs("--verify", "--where", "team=ads", "--tz", "Asia/Tokyo").endswith("they are the same\n")
    connection = sqlite3.connect(shop.directory / "hexr.db")
    connection.execute("UPDATE daily SET output = output + 1 WHERE facet = (SELECT min(facet) FROM daily)")
    connection.commit()
    connection.close()
    assert "Different" in shop.costs("--verify", status=1)


def test_verify_after_calls_were_removed(shop: Shop) -> None:
    """The sums of days follow the calls."""
    assorted(shop, 3)
    shop.add(start=NOON - 300 * DAY)
    shop.costs()
    store = Store(shop.directory)
    store.prune(keep_bytes=40_000)
    assert shop.costs("--verify").endswith("Verified: they are the same\n")


# -- reprice


def test_a_dry_run_shows_the_change_and_makes_none(shop: Shop) -> None:
    """Then it is made, once; what had a price keeps it."""
    shop.add(2, None, usage={"input": 1000, "output": 100})
    shop.add(1, 7 * CENT, usage={"input": 1000, "output": 100})
    shop.add(1, None, model="unheard-of")
    change = "openai gpt-4o: $0.000 -> $0.007 (2 calls)"
    assert change in shop.costs("--reprice", "--dry-run").splitlines()
    assert shop.data()["total"]["cost"] == 7 * CENT
    assert change in shop.costs("--reprice").splitlines()
    assert shop.costs("--reprice").startswith("Nothing to price anew")
    total = shop.data()["total"]
    assert (total["cost"], total["priced"], total["unpriced"]) == (7 * CENT + 2 * PRICE, 3, 1)
    assert {call["prices"] for call in listed(shop, "--status", "priced")} != {"genai-prices 0.2.3"}
    assert shop.costs("--verify").endswith("the same\n")


def test_all_may_be_priced_anew_but_what_the_provider_stated(shop: Shop) -> None:
    """A partial call stays a lower bound, and the tier that served counts."""
    usage = {"input": 1000, "output": 100}
    shop.add(1, 1 * CENT, usage=usage)
    shop.add(1, 2 * CENT, usage=usage, cost_source="provider")
    shop.add(1, 3 * CENT, usage=usage, cost_status="partial")
    shop.add(1, 4 * CENT, usage=usage, tier="batch")
    shop.add(1, 5 * CENT, usage=usage, surcharge=10, parts=[["gpt-4o", usage], [None, usage]], role="two samplings")
    shop.costs("--reprice", "all")
    (two,) = listed(shop, "--role", "two samplings")
    assert two["cost"] == 2 * PRICE * 11 // 10
    costs = {
        (call["cost_status"], call["cost_source"], call["tier"]): call["cost"] for call in listed(shop, "--role", "")
    }
    assert costs == {
        ("priced", "table", None): PRICE,
        ("priced", "provider", None): 2 * CENT,
        ("partial", "table", None): PRICE,
        ("priced", "table", "batch"): PRICE // 2,
    }


# -- stores of before


def test_a_store_of_before_gets_the_sums_of_its_days(shop: Shop) -> None:
    """And the version before goes on writing it."""
    assorted(shop, 4)
    before = shop.data()
    connection = sqlite3.connect(shop.directory / "hexr.db")
    for name in ("daily_insert", "daily_delete", "daily_update"):
        connection.execute(f"DROP TRIGGER {name}")
    connection.executescript("DROP TABLE daily; DROP INDEX calls_mismatched;")
    for name in ("tier", "bill", "repriced"):
        connection.execute(f"ALTER TABLE calls DROP COLUMN {name}")
    connection.commit()
    connection.close()
    assert shop.data()["total"] == before["total"]
    assert len(listed(shop)) == before["total"]["calls"]
    shop.add(cost=CENT)
    assert shop.data()["total"]["cost"] == before["total"]["cost"] + CENT
    assert shop.costs("--verify").endswith("the same\n")
    connection = sqlite3.connect(shop.directory / "hexr.db")
    assert connection.execute("SELECT sum(calls) FROM daily").fetchone()[0] == before["total"]["calls"] + 1
    connection.close()


# -- as data


def test_the_report_as_data(shop: Shop) -> None:
    """The same numbers as the command's, with exact amounts."""
    shop.crew()
    report = hexr_instrument.costs(by="role", tenant="acme-corp", store=shop.directory)
    assert (report.cost_usd, report.total.calls, report.coverage) == (Decimal("8.25"), 4972, 1.0)
    assert [(row.group["role"], row.cost_usd, row.calls) for row in report.rows] == [
        ("writer", Decimal("3.90"), 2990),
        ("researcher", Decimal("3.46"), 1670),
        ("editor", Decimal("0.89"), 312),
    ]
    assert json.loads(json.dumps(report.as_dict())) == shop.data("--by", "role", "--tenant", "acme-corp")
    with pytest.raises(ValueError, match="--since: 'yesterday' is no time"):
        hexr_instrument.costs(since="yesterday", store=shop.directory)
