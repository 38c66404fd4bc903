"""`hexr-instrument costs` and `calls`: which calls they are about, and their tables, JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
import re
import sqlite3
import time
from datetime import datetime, timezone
from pathlib import Path

import pytest
from rich.cells import cell_len
from stores import CENT, NOON, Shop, Terminal

from hexr_instrument.call import USD
from hexr_instrument.report import calls, costs
from hexr_instrument.store import Store


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """An empty one."""
    return Shop(tmp_path / "store")


# -- which calls


def test_nothing_recorded_is_one_helpful_line(shop: Shop) -> None:
    """It says where it looked and what to run."""
    output = shop.costs()
    assert output.count("\n") == 1
    assert str(shop.directory) in output
    assert "hexr-instrument python my_agent.py" in output
    assert shop.data()["total"]["calls"] == 0
    assert not shop.directory.exists()


def test_options_that_match_nothing_say_so(shop: Shop) -> None:
    """Which is not the same as nothing recorded."""
    shop.add()
    assert "No call in" in shop.costs("--agent", "nobody")
    assert "No call" in shop.run(calls, "--agent", "nobody")[1]


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (["--since", "24h"], 1),
        (["--since", "7d"], 2),
        (["--since", "90m", "--until", "30m"], 1),
        (["--until", "2001-01-01"], 0),
        (["--since", "2020-01-01T00:00:00Z"], 3),
        (["--agent", "a", "--agent", "b"], 2),
        (["--agent", ""], 1),
        (["--run", "last"], 1),
        (["--run", "run-1"], 1),
    ],
)
def test_options_choose_calls(shop: Shop, options: list[str], count: int) -> None:
    """Ages, dates, names and runs."""
    now = time.time_ns()
    for agent, hours in (("a", 400), ("b", 48), (None, 1)):
        shop.add(agent=agent, start=now - hours * 3600 * 10**9)
    assert shop.data(*options)["total"]["calls"] == count


def test_dates_and_days_are_in_the_zone(shop: Shop) -> None:
    """A day of Berlin begins an hour or two before that of UTC."""
    shop.add(start=int(datetime(2026, 11, 19, 23, 30, tzinfo=timezone.utc).timestamp()) * 10**9)
    berlin = ("--tz", "Europe/Berlin")
    assert [row["day"] for row in shop.data("--by", "day")["rows"]] == ["2026-11-19"]
    assert [row["day"] for row in shop.data("--by", "day", *berlin)["rows"]] == ["2026-11-20"]
    assert shop.data("--since", "2026-11-20")["total"]["calls"] == 0
    assert shop.data("--since", "2026-11-20", *berlin)["total"]["calls"] == 1


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--since", "yesterday"], "--since: 'yesterday'"),
        (["--until", "24 hours"], "--until: '24 hours'"),
        (["--since", "1h", "--until", "2h"], "--since 1h is not before --until 2h"),
        (["--tz", "Mars/Base"], "--tz: no zone is named 'Mars/Base'"),
        (["--tz", "../../etc/passwd"], "--tz: no zone"),
        (["--max", "lots"], "--max: 'lots'"),
        (["--max", "nan"], "--max: 'nan'"),
        (["--by", "agent,,role"], "--by: 'agent,,role'"),
        (["--by", "calls"], "--by: calls is a sum"),
        (["--by", "agnet"], "--by: no call has a label 'agnet'"),
        (["--store", "/does/not/exist"], "--store: there is no directory /does/not/exist"),
        (["--store", "/"], "--store: there is no store in /"),
    ],
)
def test_a_wrong_option_is_one_line_and_status_two(
    shop: Shop, capsys: pytest.CaptureFixture[str], options: list[str], named: str
) -> None:
    """It names the option and what would do."""
    shop.add()
    assert shop.costs(*options, status=2) == ""
    error = capsys.readouterr().err
    assert error.startswith(f"hexr-instrument costs: {named}")
    assert error.count("\n") == 1
    assert ";" in error


@pytest.mark.parametrize("limit", ["0", "-1", "many", "1e3", "²"])
def test_a_wrong_limit_is_one_line_and_status_two(shop: Shop, capsys: pytest.CaptureFixture[str], limit: str) -> None:
    """It names the value."""
    assert shop.run(calls, f"--limit={limit}") == (2, "")
    assert capsys.readouterr().err.startswith(f"hexr-instrument calls: --limit: {limit!r}")


@pytest.mark.parametrize(("maximum", "status"), [("0.01", 0), ("$0.01", 0), ("5", 0), ("0.009999999999", 1), ("0", 1)])
def test_max_sets_the_exit_status(shop: Shop, capsys: pytest.CaptureFixture[str], maximum: str, status: int) -> None:
    """To the last digit; the report is printed all the same."""
    shop.add()
    assert "Total: $0.01 / 1 call\n" in shop.costs("--max", maximum, status=status)
    assert ("is over --max" in capsys.readouterr().err) == bool(status)


def test_several_stores_are_added_up(shop: Shop, tmp_path: Path) -> None:
    """Named by their directory or their file; the default one is not among them."""
    others = [Shop(tmp_path / name) for name in ("one", "two")]
    for at, other in enumerate(others):
        other.number = 100 * at
        other.add(2, 3 * CENT)
    shop.add()
    others[1].costs()
    paths = (str(others[0].directory), str(others[1].directory / "hexr.db"))
    assert "Total: $0.06 / 4 calls\n" in shop.costs("--store", paths[0], "--store", paths[1])


# -- the state of the store


def test_removed_calls_are_mentioned(shop: Shop) -> None:
    """Only if there were any, and not if the report is about a later time."""
    shop.add(start=NOON - 200 * 86400 * 10**9)
    shop.add(start=time.time_ns())
    assert "Covers since" not in shop.costs()
    Store(shop.directory).prune()
    assert re.search(r"\nCovers since \d{4}-\d\d-\d\d \d\d:\d\d UTC; older calls were removed\n", shop.costs())
    assert "Covers since" not in shop.costs("--since", "24h")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", shop.data()["covers_since"])


def test_damaged_lines_are_mentioned(shop: Shop) -> None:
    """They may have been calls."""
    shop.add()
    path = next(iter(shop.journal.iterdir()))
    path.write_text(path.read_text() + "oops\n")
    assert shop.costs().endswith("Damaged: 1 line of the journal could not be read\n")
    assert shop.data()["skipped_lines"] == 1


def test_a_store_that_takes_nothing_in_is_reported_as_it_is(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    """One line on stderr says so."""
    shop.add()
    shop.costs()
    connection = sqlite3.connect(shop.directory / "hexr.db")
    connection.execute("PRAGMA user_version = 2")
    connection.close()
    shop.add()
    for command in (costs, calls):
        status, output = shop.run(command)
        assert (status, "$0.01" in output) == (0, True)
        error = capsys.readouterr().err
        assert "upgrade hexr-instrument" in error
        assert error.endswith("the report shows what is there\n")
        assert error.count("\n") == 1


def test_a_damaged_store_is_one_line_and_status_two(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    """It names the file and the mend."""
    shop.add()
    (shop.directory / "hexr.db").write_bytes(b"no database" * 1000)
    for command in (costs, calls):
        assert shop.run(command) == (2, "")
        error = capsys.readouterr().err
        assert "hexr.db is damaged" in error
        assert "move it away" in error
        assert error.count("\n") == 1


# -- tables and data


def test_by_gives_a_flat_table(shop: Shop) -> None:
    """Groups, calls, tokens, cost; the total and what it leaves out follow."""
    shop.crew()
    shop.add(2, None, model="acme-7b", tenant="acme-corp")
    assert shop.costs("--by", "tenant,model") == (
        "tenant     model        calls  tokens in/out      cost\n"
        "acme-corp  gpt-4o       3,659      4.4M/1.2M     $6.90\n"
        "acme-corp  claude-3.5     423      508k/144k     $1.12\n"
        "acme-corp  gpt-4o-mini    890      1.1M/303k     $0.23\n"
        "acme-corp  acme-7b          2       2400/680  unpriced\n"
        "\n"
        "Total: $8.25 / 4,974 calls\n"
        "Covers: 4,972 of 4,974 calls (99.9 %)\n"
        "Unpriced: 2 calls (2,400 tokens in, 680 out), not in the total\n"
        "  acme-7b: 2 calls (2,400 tokens in, 680 out)\n"
        "  hexr-instrument prices MODEL shows what the price table knows of it\n"
    )


def test_days_are_in_their_order(shop: Shop) -> None:
    """Not in that of their cost."""
    for day in (2, 1, 3):
        shop.add(1, day * CENT, start=NOON + day * 86400 * 10**9, labels={"team": "x"})
    days = ["2026-11-21", "2026-11-22", "2026-11-23"]
    assert [line.split()[0] for line in shop.costs("--by", "day,team").splitlines()[1:4]] == days


def test_json_is_as_documented(shop: Shop) -> None:
    """Amounts as exact decimal strings and as integers, null for unknown."""
    shop.add(3, USD // 3, role="writer")
    shop.add(2, None, model="acme-7b")
    data = shop.data()
    assert list(data) == [
        *("total", "rows", "by", "since", "until", "covers_since", "kinds", "coverage", "mismatched", "unpriced"),
        *("prices", "skipped_lines", "hidden"),
    ]
    assert data["total"] == {
        "cost_usd": "0.333333333333",
        "cost": USD // 3,
        "calls": 5,
        "covered": 3,
        "priced": 3,
        "stated": 0,
        "unpriced": 2,
        "no_usage": 0,
        "partial": 0,
        "failed": 0,
        "input": 6000,
        "output": 1700,
        "cache_read": 0,
        "cache_write": 0,
        "reasoning": 0,
    }
    names = ("agent", "tenant", "role", "model", "cost_usd", "cost", "calls")
    assert [tuple(row[name] for name in names) for row in data["rows"]] == [
        ("content-crew", None, "writer", "gpt-4o", "0.333333333333", USD // 3, 3),
        ("content-crew", None, None, "acme-7b", None, None, 2),
    ]
    assert data["unpriced"] == [{"model": "acme-7b", "calls": 2, "input": 2400, "output": 680}]
    assert data["prices"] == ["genai-prices 0.2.3"]


def test_csv_is_safe_in_a_spreadsheet(shop: Shop) -> None:
    """No cell is a formula."""
    for name in ("=cmd()", "+1", "-1", "@x", "plain"):
        shop.add(agent=name)
    shop.add(agent="unknown cost", cost=None)
    rows = list(csv.reader(io.StringIO(shop.costs("--csv", "--by", "agent,role"))))
    assert rows[0][:4] == ["agent", "role", "cost_usd", "calls"]
    assert {row[0] for row in rows[1:]} == {"'=cmd()", "'+1", "'-1", "'@x", "plain", "unknown cost"}
    assert {row[2] for row in rows[1:]} == {"0.01", ""}


# -- calls


def test_calls_are_one_line_each(shop: Shop) -> None:
    """Time, who, model, tokens, duration, cost or why there is none; the newest first."""
    shop.add(agent="crew", role="writer", served="gpt-4o-2024-08-06", cost=USD // 400)
    shop.add(agent=None, provider=None, model=None, usage={"input": 123_456}, end=None, cost=None)
    shop.add(error="openai.RateLimitError", status=429, usage=None, cost=None, cost_status="no_usage")
    shop.add(cost_status="partial", error="cancelled")
    output = shop.run(calls)[1]
    assert [" ".join(line.split()) for line in output.splitlines()] == [
        "11-20 12:00 content-crew openai gpt-4o 1200/340 1.2s >= $0.0100 cancelled",
        "11-20 12:00 content-crew openai gpt-4o -/- 1.2s HTTP 429",
        "11-20 12:00 (unknown) (unknown) 123k/- - unpriced",
        "11-20 12:00 crew/writer openai gpt-4o-2024-08-06 1200/340 1.2s $0.0025",
    ]


def test_calls_of_today_show_the_time_only(shop: Shop) -> None:
    """In the zone that was asked for."""
    shop.add(start=time.time_ns() - 1)
    assert re.match(r"\d\d:\d\d:\d\d  content-crew", shop.run(calls)[1])


def test_the_limit_is_the_number_of_lines(shop: Shop) -> None:
    """20 by default."""
    shop.add(30)
    assert shop.run(calls)[1].count("\n") == 20
    assert shop.run(calls, "--limit", "25")[1].count("\n") == 25


def test_lines_are_cut_to_the_terminal(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The longer names give way; tokens and cost do not."""
    monkeypatch.setenv("COLUMNS", "80")
    shop.add(agent="an-agent-with-a-long-name" * 3, model="a-model-with-a-long-name" * 2)
    output = shop.run(calls, stdout=Terminal())[1]
    assert cell_len(output.rstrip("\n")) <= 80
    assert output.count("…") == 2
    assert output.endswith("1200/340 1.2s $0.01\n")


def test_a_model_gives_way_after_its_provider(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where both do not fit, the line has the model alone, whole where it can be; a pipe has both."""
    monkeypatch.setenv("COLUMNS", "80")
    shop.add(agent="content-crew", role="researcher", provider="azure.ai.openai", model="gpt-4o-2024-08-06")
    shown = shop.run(calls, stdout=Terminal())[1]
    assert " gpt-4o-2024-08-06 " in shown
    assert "azure" not in shown
    assert "azure.ai.openai gpt-4o-2024-08-06" in shop.run(calls)[1]


@pytest.mark.parametrize(
    "options", [(), ("--by", "model,tenant"), ("--compare",), ("--diff", "9000d", "--by", "model")]
)
def test_long_names_do_not_widen_a_terminal(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    """They are shortened in their middle, where they do not differ; a pipe and JSON have them whole."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    long = "vertex/publishers/a-model-with-a-name-" + "x" * 90
    shop.add(3, model=long + "-1", tenant="t" * 90, role="r" * 90)
    shop.add(1, None, model="日" * 90)
    shown = shop.run(costs, *options, stdout=Terminal())[1]
    assert max(map(cell_len, shown.splitlines())) <= 80
    assert "…" in shown
    assert not options or "-1" in shown
    assert long in shop.costs(*options)


def test_calls_as_json_are_as_documented(shop: Shop) -> None:
    """Times in UTC, durations in milliseconds, null for unknown."""
    shop.add(usage={"input": 5, "web_searches": 1}, labels={"team": "x"}, start=NOON, end=NOON + 1_500_000)
    [call] = json.loads(shop.run(calls, "--json")[1])["calls"]
    assert call["start"] == "2026-11-20T12:00:00.000Z"
    assert (call["end"], call["duration_ms"]) == ("2026-11-20T12:00:00.001Z", 1.5)
    assert (call["usage"], call["labels"]) == ({"input": 5, "web_searches": 1}, {"team": "x"})
    assert (call["cost_usd"], call["cost"], call["role"]) == ("0.01", CENT, None)
