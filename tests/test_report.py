"""`hexr-instrument costs` and `calls` as people read them."""

from __future__ import annotations

import argparse
import io
import os
import random
import re
import time
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from stores import CENT, Shop, Terminal

from hexr_instrument.call import USD
from hexr_instrument.report import calls, costs
from hexr_instrument.report.money import USD_DIGITS, apportion, decimals, dollars, exact

SEED = """\
Agent: content-crew (tenant: acme-corp)
├── researcher
│   ├── gpt-4o:      $2.34 (1,247 calls)
│   └── claude-3.5:  $1.12 (423 calls)
├── writer
│   ├── gpt-4o:      $3.67 (2,100 calls)
│   └── gpt-4o-mini: $0.23 (890 calls)
└── editor
    └── gpt-4o:      $0.89 (312 calls)

Total: $8.25 / 4,972 calls
"""


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """An empty one."""
    return Shop(tmp_path / "store")


# -- money


@pytest.mark.parametrize(
    ("amounts", "places"),
    [
        ([], 2),
        ([0], 2),
        ([5 * USD], 2),
        ([234 * CENT, 12 * CENT], 2),
        ([USD // 1000], 3),
        ([5 * USD, USD // 10**6], 6),
        ([5 * USD + 1, 0], 2),
        ([5 * USD + 1, USD * 23 // 100 + 1], 2),
        ([5 * USD + 1, USD * 23 // 10_000], 4),
        ([47 * USD // 10**7], 7),
        ([1], 8),
    ],
)
def test_decimals_show_all_or_two_digits_of_the_smallest(amounts: list[int], places: int) -> None:
    """At least 2, at most 6 if that is exact, at most 8 at all."""
    assert decimals(amounts) == places


def test_printed_parts_always_add_up_to_the_printed_sum() -> None:
    """And none is further from its amount than one unit of the last decimal."""
    chance = random.Random(20261120)  # noqa: S311
    for _ in range(2000):
        spread = chance.choice([10**3, 10**8, 10**10, 10**13, 10**19])
        amounts = [chance.randrange(spread) for _ in range(chance.randrange(1, 40))]
        places = decimals(amounts)
        parts, whole = apportion(amounts, places)
        unit = 10 ** (USD_DIGITS - places)
        assert sum(parts) == whole
        assert abs(whole * unit - sum(amounts)) * 2 <= unit
        assert all(abs(part * unit - amount) < unit for part, amount in zip(parts, amounts, strict=True))


@pytest.mark.parametrize("seed", range(8))
def test_printed_leaves_add_up_to_the_printed_total(shop: Shop, seed: int) -> None:
    """The tree as a person with a pocket calculator reads it."""
    chance = random.Random(seed)  # noqa: S311
    for _ in range(chance.randrange(2, 12)):
        fields = {name: chance.choice(["a", "b", "c"]) for name in ("agent", "role", "model")}
        shop.add(chance.randrange(1, 4), chance.randrange(10 ** chance.randrange(6, 15)), **fields)
    output = shop.costs()
    *leaves, total = [int(each.replace(",", "").replace(".", "")) for each in re.findall(r"\$([\d,.]+)", output)]
    assert sum(leaves) == total


def test_amounts_are_written_as_dollars() -> None:
    """Thousands are set apart; exact amounts have all their digits."""
    assert [dollars(units, 2) for units in (0, 5, 123456789, -5)] == [
        "$0.00",
        "$0.05",
        "$1,234,567.89",
        "-$0.05",
    ]
    assert [exact(units) for units in (0, 1, USD * 33 // 4, -USD)] == [
        "0.00",
        "0.000000000001",
        "8.25",
        "-1.00",
    ]


# -- the tree


def test_the_seeds_tree_is_reproduced_byte_for_byte(shop: Shop) -> None:
    """From records that add up to it."""
    shop.crew()
    assert shop.costs() == SEED


def test_names_that_are_unknown_are_said_to_be(shop: Shop) -> None:
    """No agent, no role, no tenant, no model; agents follow each other, the most expensive first."""
    shop.add(2, 7 * CENT, agent=None)
    shop.add(1, 5 * CENT, agent=None, tenant="acme")
    shop.add(1, 9 * CENT, agent="solo", role="planner")
    shop.add(3, 4 * CENT, agent="solo", model=None)
    assert shop.costs() == (
        "Agent: solo\n"
        "├── planner\n"
        "│   └── gpt-4o: $0.09 (1 call)\n"
        "└── (unknown):  $0.04 (3 calls)\n"
        "\n"
        "Agent: (unknown)\n"
        "└── gpt-4o:     $0.07 (2 calls)\n"
        "\n"
        "Agent: (unknown) (tenant: acme)\n"
        "└── gpt-4o:     $0.05 (1 call)\n"
        "\n"
        "Total: $0.25 / 7 calls\n"
    )


def test_an_unknown_cost_is_never_zero_dollars(shop: Shop) -> None:
    """Words stand where no cost is known; what the total leaves out follows it."""
    shop.add(2, None, model="acme-7b")
    shop.add(1, None, model="silent", usage=None, cost_status="no_usage")
    shop.add(3, None, model="broken", usage=None, cost_status="no_usage", error="openai.APIError")
    shop.add(1, 5 * CENT, model="cut", cost_status="partial")
    shop.add(4, 8 * CENT)
    shop.add(1, None)
    shop.add(1, None, usage=None, cost_status="no_usage", error="openai.APIError")
    assert shop.costs() == (
        "Agent: content-crew\n"
        "├── gpt-4o:     $0.08 (6 calls, 1 failed, 1 unpriced)\n"
        "├── cut:     >= $0.05 (1 call, 1 partial)\n"
        "├── acme-7b: unpriced (2 calls)\n"
        "├── broken:    failed (3 calls)\n"
        "└── silent:  no usage (1 call)\n"
        "\n"
        "Total: >= $0.13 / 13 calls\n"
        "Covers: 5 of 9 calls (55.6 %)\n"
        "Unpriced: 3 calls (3,600 tokens in, 1,020 out), not in the total\n"
        "  acme-7b: 2 calls (2,400 tokens in, 680 out)\n"
        "  gpt-4o: 1 call (1,200 tokens in, 340 out)\n"
        "  hexr-instrument prices MODEL shows what the price table knows of it\n"
        "No usage: 1 call without token counts, not in the total\n"
        "Partial: 1 call (1,200 tokens in, 340 out) ended early, priced at what is known (>=)\n"
        "Failed: 4 calls\n"
    )


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"cost": None}, "unpriced"),
        ({"cost": None, "usage": None, "cost_status": "no_usage"}, "no usage"),
        ({"cost": None, "cost_status": "partial"}, "partial"),
        ({"cost": None, "usage": None, "cost_status": "no_usage", "error": "x"}, "failed"),
        ({"cost": 0}, "$0.00"),
    ],
)
def test_a_total_of_nothing_known_says_why(shop: Shop, fields: dict[str, Any], word: str) -> None:
    """Only a known price of nothing is $0.00."""
    shop.add(2, **fields)
    assert f"Total: {word} / 2 calls\n" in shop.costs()


def test_a_report_fits_in_eighty_columns_where_names_are_ordinary(shop: Shop) -> None:
    """Tree, table and list."""
    now: dict[str, Any] = {"start": time.time_ns(), "role": "researcher", "tenant": "acme-corp"}
    failed: dict[str, Any] = {"usage": None, "cost_status": "no_usage", "error": "openai.RateLimitError"}
    shop.add(1_000, 123_456 * CENT, served="gpt-4o-2024-08-06", **now)
    shop.add(20, None, model="o4-mini-2025-04-16", **now)
    shop.add(1, None, status=429, **failed, **now)
    outputs = [shop.costs(), shop.costs("--by", "agent,model"), shop.run(calls)[1]]
    assert [max(map(cell_len, output.splitlines())) <= 80 for output in outputs] == [True] * 3


def test_columns_stay_aligned_behind_wide_characters(shop: Shop) -> None:
    """A character may take two cells."""
    shop.add(model="模型")
    shop.add(model="gpt")
    lines = [line for line in shop.costs().splitlines() if "── " in line]
    assert len({cell_len(line.partition("$")[0]) for line in lines}) == 1


NASTY = "\x1b[31mred\x07\u202eevil\u2066\x9b2J\n\u2028[bold]x"


@pytest.mark.parametrize("options", [(), ("--by", "agent,role,model"), ("--csv", "--by", "agent,role,model")])
def test_names_cannot_steer_the_terminal(shop: Shop, options: tuple[str, ...]) -> None:
    """No escape, control or direction character is printed, and no markup is obeyed."""
    shop.add(agent=NASTY, role=NASTY, model=NASTY, tenant=NASTY, cost=None)
    output = shop.costs(*options) + shop.run(calls)[1]
    assert "[31mredevil2J[bold]x" in output
    assert not set("\x1b\x07\x9b\u202e\u2066\u2028") & set(output)


def test_nothing_is_cut_or_wrapped_when_piped(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the names and the width of the terminal."""
    monkeypatch.setenv("COLUMNS", "40")
    name = "a-very-long-name-" * 20
    shop.add(agent=name, role=name, model=name)
    assert f"└── {name}: $0.01 (1 call)" in shop.costs()
    for output in (shop.costs("--by", "agent,role,model"), shop.run(calls)[1]):
        assert any(line.count(name) == 3 for line in output.splitlines())


def test_output_is_plain_unless_a_terminal_wants_colours(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR and TERM=dumb are honoured; a pipe gets no escapes even if FORCE_COLOR is set."""
    shop.add()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    for options in ((), ("--by", "agent")):
        monkeypatch.setenv("FORCE_COLOR", "1")
        assert "\x1b" not in shop.costs(*options)
        monkeypatch.delenv("FORCE_COLOR")
        assert "\x1b[1m" in shop.run(costs, *options, stdout=Terminal())[1]
        for name, value in (("NO_COLOR", "1"), ("TERM", "dumb")):
            with monkeypatch.context() as context:
                context.setenv(name, value)
                assert "\x1b" not in shop.run(costs, *options, stdout=Terminal())[1]


def test_a_reader_that_has_seen_enough_is_no_error(shop: Shop) -> None:
    """`costs | head -1` ends quietly."""
    shop.crew()
    reader, writer = os.pipe()
    os.close(reader)
    parser = argparse.ArgumentParser()
    costs.add_arguments(parser)
    with os.fdopen(writer, "w", encoding="utf-8") as stdout:
        assert costs.run(parser.parse_args([]), shop.directory, stdout) == 0


def test_an_output_without_line_drawing_gets_ascii(shop: Shop) -> None:
    """A pipe in an old locale is no reason to fail."""
    shop.crew()
    shop.add(agent="Müller")
    raw = io.BytesIO()
    stdout = io.TextIOWrapper(raw, encoding="ascii")
    parser = argparse.ArgumentParser()
    costs.add_arguments(parser)
    assert costs.run(parser.parse_args([]), shop.directory, stdout) == 0
    stdout.flush()
    assert b"|-- researcher\n|   |-- gpt-4o:" in raw.getvalue()
    assert b"Agent: M?ller" in raw.getvalue()


@pytest.mark.parametrize("options", [(), ("--by", "model")])
def test_bars_where_there_is_room(shop: Shop, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]) -> None:
    """At 80 columns each amount has a bar of its share, within the width; a narrow terminal and NO_COLOR have none."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    shop.crew()
    monkeypatch.setenv("COLUMNS", "80")
    lines = re.sub(r"\x1b\[\d*m", "", shop.run(costs, *options, stdout=Terminal())[1]).splitlines()
    assert max(map(len, lines)) <= 80
    bars = {
        float(found[1]): len(found[2])
        for line in lines
        if (found := re.search(r"\$(\d+\.\d\d)\D.*?([█▏▎▍▌▋▊▉]+)", line))
    }
    assert len(bars) == (3 if options else 5)
    assert sorted(bars.values()) == [bars[each] for each in sorted(bars)]
    assert max(bars.values()) > 8 * min(bars.values())
    for name, value in (("COLUMNS", "44"), ("NO_COLOR", "1")):
        monkeypatch.setenv(name, value)
        assert "█" not in shop.run(costs, *options, stdout=Terminal())[1]
        monkeypatch.setenv("COLUMNS", "80")
