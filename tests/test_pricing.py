"""Prices: arithmetic by hand, and every model of the table against genai-prices, whose data and rules they are."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from dataclasses import fields
from datetime import datetime, timedelta, timezone
from decimal import ROUND_HALF_EVEN, Decimal
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as distribution_version
from pathlib import Path
from typing import Any

import pytest

from hexr_instrument import pricing
from hexr_instrument.call import USD, Usage
from hexr_instrument.pricing import plan
from hexr_instrument.pricing import table as room

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "hexr_instrument" / "prices.json").read_text(encoding="utf-8")
TABLE: dict[str, Any] = json.loads(TEXT)

try:
    INSTALLED = distribution_version("genai-prices")
except PackageNotFoundError:
    INSTALLED = None
if INSTALLED == TABLE["version"]:
    import genai_prices
    from genai_prices.data_snapshot import get_snapshot
    from genai_prices.types import ConditionalPrice, ModelPrice, PriceVariant
    from genai_prices.units import _get_registry

oracle = pytest.mark.skipif(
    INSTALLED != TABLE["version"],
    reason=f"needs genai-prices {TABLE['version']} (on Python 3.11 or later); installed: {INSTALLED}",
)

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def at(text: str) -> int:
    """The nanoseconds of a moment in UTC."""
    moment = datetime.fromisoformat(text).replace(tzinfo=timezone.utc)
    return (moment - EPOCH) // timedelta(microseconds=1) * 1000


NOW = at("2026-11-20T12:00:00")

# fmt: off
ARITHMETIC = [
    # (fact, provider, model, tier, moment, usage, cost in 1e-6 USD)
    ("a cached token costs less than a fresh one", "openai", "gpt-4o", None, NOW,
     Usage(input=1200, output=340, cache_read=200), 1000 * 2.5 + 200 * 1.25 + 340 * 10),
    ("a dated name is the model of that name", "openai", "gpt-4o-2024-08-06", None, NOW,
     Usage(input=1200, output=340, cache_read=200), 1000 * 2.5 + 200 * 1.25 + 340 * 10),
    ("a date without dashes is the same date", "openai", "gpt-5.4-20260305", None, NOW,
     Usage(input=4, output=2), 4 * 2.5 + 2 * 15),
    ("case does not matter", "OpenAI", "GPT-4o-Mini", None, NOW,
     Usage(input=100, output=100), 100 * 0.15 + 100 * 0.6),
    ("reasoning tokens are output tokens", "openai", "gpt-5.4", None, NOW,
     Usage(input=10, output=1000, reasoning=900), 10 * 2.5 + 1000 * 15),
    ("an embedding has no output", "openai", "text-embedding-3-small", None, NOW,
     Usage(input=5000), 5000 * 0.02),
    ("the ordinary tier has the standard price", "openai", "gpt-5.4", "default", NOW,
     Usage(input=1000, output=100), 1000 * 2.5 + 100 * 15),
    ("priority costs more", "openai", "gpt-5.4", "priority", NOW,
     Usage(input=1000, output=100), 1000 * 5 + 100 * 30),
    ("flex costs half", "openai", "gpt-5.4", "flex", NOW,
     Usage(input=1000, output=100), 1000 * 1.25 + 100 * 7.5),
    ("a batch costs half", "openai", "gpt-4o", "batch", NOW,
     Usage(input=1000, output=100), 1000 * 1.25 + 100 * 5),
    ("what a tier has no price for keeps the standard one", "openai", "gpt-4o", "batch", NOW,
     Usage(input=1000, output=100, cache_read=400), 600 * 1.25 + 400 * 1.25 + 100 * 5),
    ("cache writes of an hour cost more than those of five minutes", "anthropic", "claude-sonnet-4-5-20250929", None,
     NOW, Usage(input=10_000, output=500, cache_read=6000, cache_write=3000, cache_write_1h=1000),
     1000 * 3 + 6000 * 0.3 + 2000 * 3.75 + 1000 * 6 + 500 * 15),
    ("a cache write is of five minutes unless it says an hour", "anthropic", "claude-sonnet-4-20250514", None, NOW,
     Usage(input=4000, output=1, cache_write=3000), 1000 * 3 + 3000 * 3.75 + 15),
    ("a web search has a price of its own", "anthropic", "claude-sonnet-4-20250514", "standard", NOW,
     Usage(input=1, output=1, web_searches=2), 3 + 15 + 2 * 10_000),
    ("the day before, the price was another", "anthropic", "claude-opus-4-6", None, at("2026-03-12T23:59:59"),
     Usage(input=200_001, output=1), 200_001 * 10 + 37.5),
    ("a price begins at midnight UTC of its day", "anthropic", "claude-opus-4-6", None, at("2026-03-13T00:00:00"),
     Usage(input=200_001, output=1), 200_001 * 5 + 25),
    ("an input of exactly the threshold has the base price", "gcp.gemini", "gemini-2.5-pro", None, NOW,
     Usage(input=200_000, output=340), 200_000 * 1.25 + 340 * 10),
    ("beyond the threshold every token has the long-context price", "gcp.gemini", "gemini-2.5-pro", None, NOW,
     Usage(input=300_000, output=340, cache_read=200), 299_800 * 2.5 + 200 * 0.25 + 340 * 15),
    ("Vertex AI serves Gemini", "gcp.vertex_ai", "gemini-1.5-pro", "ON_DEMAND", NOW,
     Usage(input=1000, output=100), 1000 * 1.25 + 100 * 5),
    ("a fee is charged for every request", "perplexity", "sonar-pro", None, NOW,
     Usage(input=10, output=10), 10 * 3 + 10 * 15 + 14_000),
    ("a model without a price for cached tokens charges them as input", "gcp.gemini", "gemini-1.5-pro", None, NOW,
     Usage(input=1000, output=100, cache_read=400), 1000 * 1.25 + 100 * 5),
    ("Azure sells OpenAI's models", "azure.ai.openai", "gpt-4o-2024-11-20", None, NOW,
     Usage(input=1000, output=100), 1000 * 2.5 + 100 * 10),
    ("the day has a time of its own price", "deepseek", "deepseek-reasoner", None, at("2025-08-01T00:30:00"),
     Usage(input=1000, output=100), 1000 * 0.55 + 100 * 2.19),
    ("the night is cheaper", "deepseek", "deepseek-reasoner", None, at("2025-08-01T16:30:00"),
     Usage(input=1000, output=100), 1000 * 0.135 + 100 * 0.55),
    ("known to be nothing costs nothing", "openai", "gpt-4o", None, NOW, Usage(input=0, output=0), 0),
]

UNKNOWN = [
    # (fact, provider, model, tier, usage, a part of the reason)
    ("an unknown model", "openai", "gpt-unheard-of", None, Usage(input=1, output=1), "gpt-unheard-of"),
    ("no model", "openai", None, None, Usage(input=1, output=1), "None"),
    ("an unknown provider", "ollama", "llama3", None, Usage(input=1, output=1), "ollama"),
    ("a model of another provider", "anthropic", "gpt-4o", None, Usage(input=1, output=1), "gpt-4o"),
    ("a longer name, however similar", "openai", "gpt-4o-2099-01-01", None, Usage(input=1, output=1), "gpt-4o-2099"),
    ("nothing is known of the usage", "openai", "gpt-4o", None, Usage(), "token counts"),
    ("neither input nor output is known", "openai", "gpt-4o", None, Usage(web_searches=1), "token counts"),
    ("an output of a model that has no price for it", "openai", "text-embedding-3-small", None,
     Usage(input=1, output=1), "output"),
    ("a search of a model that has no price for it", "openai", "text-embedding-3-small", None,
     Usage(input=1, web_searches=1), "web_searches"),
    ("tokens of a model that is priced by the second", "openai", "whisper-1", None, Usage(input=1, output=1), "price"),
    ("a model whose price is left empty", "github-copilot", "gpt-4o-mini", None, Usage(input=1, output=1), "price"),
    ("a tier that the model has no price for", "openai", "gpt-4o", "flex", Usage(input=1, output=1), "flex"),
    ("capacity that is paid by the month", "openai", "gpt-4o", "scale", Usage(input=1, output=1), "scale"),
    ("committed capacity", "anthropic", "claude-sonnet-4-5", "priority", Usage(input=1, output=1), "priority"),
    ("a tier of the maker on a reseller", "azure.ai.openai", "gpt-4o", "batch", Usage(input=1, output=1), "batch"),
    ("a part whose whole is unknown", "openai", "gpt-4o", None, Usage(output=1, cache_read=1), "input"),
    ("parts that exceed their whole", "openai", "gpt-4o", None, Usage(input=1, output=1, cache_read=2), "input"),
    ("cached and audio tokens that may be the same", "gcp.gemini", "gemini-2.5-flash", None,
     Usage(input=9, output=1, cache_read=1, input_audio=1), "cache_read_audio"),
]

PROVIDERS = [
    # (gen_ai.provider.name, model, provider in the table)
    ("anthropic", "claude-sonnet-4-5", "anthropic"),
    ("aws.bedrock", "us.anthropic.claude-sonnet-4-20250514-v1:0", "aws"),
    ("azure.ai.inference", "gpt-4o", "azure"),
    ("azure.ai.openai", "gpt-4o", "azure"),
    ("cerebras", "gpt-oss-120b", "cerebras"),
    ("cohere", "command-r", "cohere"),
    ("deepseek", "deepseek-chat", "deepseek"),
    ("fireworks_ai", "accounts/fireworks/models/deepseek-v3p2", "fireworks"),
    ("gcp.gemini", "gemini-2.5-flash", "google"),
    ("gcp.gen_ai", "gemini-2.5-flash", "google"),
    ("gcp.vertex_ai", "claude-sonnet-4@20250514", "google"),
    ("groq", "llama-3.3-70b-versatile", "groq"),
    ("huggingface", "moonshotai/Kimi-K2-Instruct:novita", "huggingface_novita"),
    ("mistral_ai", "mistral-large-latest", "mistral"),
    ("moonshot_ai", "kimi-k2-0905-preview", "moonshotai"),
    ("openai", "gpt-4o", "openai"),
    ("openrouter", "openai/gpt-4o", "openrouter"),
    ("perplexity", "sonar", "perplexity"),
    ("together_ai", "meta-llama/Llama-3.3-70B-Instruct-Turbo", "together"),
    ("voyage_ai", "voyage-3-large", "voyageai"),
    ("x_ai", "grok-4", "x-ai"),
    ("z_ai", "glm-4.6", "zai"),
    ("zhipu_ai", "glm-4.7", "zhipuai"),
]
# fmt: on


@pytest.mark.parametrize(
    ("provider", "model", "tier", "when", "usage", "micros"),
    [pytest.param(*row[1:], id=row[0]) for row in ARITHMETIC],
)
def test_cost_by_hand(provider: str, model: str, tier: str | None, when: int, usage: Usage, micros: float) -> None:
    """The cost is what a person computes from the provider's price page."""
    expected = round(Decimal(str(round(micros, 6))) * 10**6)
    assert pricing.cost(usage, provider, model, when, tier=tier) == expected
    explained = pricing.explain(usage, provider, model, when, tier=tier)
    assert (explained.cost, explained.reason) == (expected, None)
    assert sum(bucket.amount for bucket in explained.buckets) == expected


@pytest.mark.parametrize(
    ("provider", "model", "tier", "usage", "reason"), [pytest.param(*row[1:], id=row[0]) for row in UNKNOWN]
)
def test_unknown_is_none(provider: str, model: str | None, tier: str | None, usage: Usage, reason: str) -> None:
    """What is not known is None with a reason, and neither 0 nor a guess."""
    assert pricing.cost(usage, provider, model, NOW, tier=tier) is None
    explained = pricing.explain(usage, provider, model, NOW, tier=tier)
    assert (explained.cost, explained.buckets) == (None, ())
    assert reason in (explained.reason or "")


@pytest.mark.parametrize(("name", "model", "provider"), PROVIDERS)
def test_provider_names(name: str, model: str, provider: str) -> None:
    """A provider's OpenTelemetry name leads to its prices."""
    usage = Usage(input=1_000_000)
    explained = pricing.explain(usage, name, model, NOW)
    assert (explained.provider, explained.reason) == (provider, None)
    assert explained.cost == pricing.cost(usage, name, model, NOW)
    assert explained.cost


def test_mapped_providers_exist() -> None:
    """Every provider that a name is mapped to is in the table."""
    assert set(pricing.PROVIDERS.values()) <= TABLE["providers"].keys()


def test_explanation_shows_each_bucket() -> None:
    """An explanation names what matched and lists each unit once, with its quantity, exact price and amount."""
    explained = pricing.explain(
        Usage(input=300_000, output=340, cache_read=200), "gcp.gemini", "gemini-2.5-pro-preview", NOW
    )
    assert (explained.provider, explained.model, explained.above) == ("google", "gemini-2.5-pro", 200_000)
    assert [bucket for bucket in explained.buckets if bucket.quantity] == [
        ("cache_read", 200, "0.25", 1_000_000, 200 * 250_000),
        ("input", 299_800, "2.5", 1_000_000, 299_800 * 2_500_000),
        ("output", 340, "15", 1_000_000, 340 * 15_000_000),
    ]


def test_every_count_is_priced_or_refused() -> None:
    """No field of `Usage` can be overlooked: each is a unit of the table, or one that has no price at all."""
    assert {*plan._COUNTED} == {each.name for each in fields(Usage)}
    assert {*plan._COUNTED, "cache_write_5m"} <= TABLE["units"].keys() | plan.OWN_UNITS.keys()


def made(prices: Any) -> pricing.Table:
    """A table with the shipped units and one model, `m` of `p`."""
    head = {"source": "test", "version": "1", "released": "2026-01-01", "units": TABLE["units"]}
    return pricing.Table({**head, "providers": {"p": {"models": [["m", "m", prices]]}}})


@pytest.mark.parametrize(
    ("tokens", "amount"), [(1, 0), (2, 1), (3, 2), (4, 2), (5, 2), (6, 3), (7, 4), (10**15 + 1, 5 * 10**14)]
)
def test_rounding_is_half_even(tokens: int, amount: int) -> None:
    """Half of 1e-12 USD is rounded to the even neighbour."""
    assert made({"input": "0.0000005"}).cost(Usage(input=tokens), "p", "m", NOW) == amount


def test_rounding_happens_once() -> None:
    """Two halves are a whole: nothing is rounded before the sum."""
    table = made({"input": "0.0000005", "output": "0.0000005"})
    assert table.cost(Usage(input=1, output=1), "p", "m", NOW) == 1
    assert table.cost(Usage(input=1, output=0), "p", "m", NOW) == 0


def test_five_minutes_is_the_rest() -> None:
    """Cache writes that do not live for an hour have the five-minute price, where there is one."""
    table = made({"input": "1", "cache_write": "2", "cache_write_5m": "3", "cache_write_1h": "4", "output": "1"})
    usage = Usage(input=100, output=0, cache_write=50, cache_write_1h=20)
    assert table.cost(usage, "p", "m", NOW) == (50 * 1 + 30 * 3 + 20 * 4) * USD // 10**6


def test_prices_change_within_a_process() -> None:
    """A price that was looked up is used only for the time in which it holds, forwards and backwards."""
    dated = [
        [None, {"input": "1"}],
        ["2026-02-01", {"input": "2"}],
        ["22:00:00-06:00:00", {"input": "3"}],
        ["2026-03-01", {"input": "4"}],
    ]
    table = made(dated)
    moments = {
        "1969-12-31T12:00:00": 1,
        "2026-01-31T21:59:59.999999": 1,
        "2026-01-31T22:00:00": 3,
        "2026-02-01T05:59:59.999999": 3,
        "2026-02-01T06:00:00": 2,
        "2026-02-28T23:59:59.999999": 3,
        "2026-03-01T00:00:00": 4,
        "2026-03-01T23:00:00": 4,
    }
    for moment, price in [*moments.items(), *reversed(moments.items())]:
        assert table.cost(Usage(input=10**6), "p", "m", at(moment)) == price * USD, moment


def test_lookups_are_bounded() -> None:
    """A program that makes up model names does not grow the memory without limit."""
    table = made({"input": "1"})
    for index in range(room._PLANS + 10):
        assert table.cost(Usage(input=1), "p", f"made-up-{index}", NOW) is None
    assert len(table._plans) <= room._PLANS
    assert table.cost(Usage(input=1), "p", "m", NOW) == USD // 10**6


def test_import_reads_no_table() -> None:
    """Importing the module reads nothing; the version names the data and its day."""
    script = (
        "import sys, hexr_instrument.pricing as p; assert p._shipped is None; assert 'genai_prices' not in sys.modules;"
        "print(p.version())"
    )
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == f"genai-prices {TABLE['version']} ({TABLE['released']})" == pricing.version()


def test_no_float_in_the_table() -> None:
    """The table has no float, and carries its license."""

    def refuse(text: str) -> None:
        raise AssertionError(f"a float: {text}")

    json.loads(TEXT, parse_float=refuse, parse_constant=refuse)
    assert "MIT" in TABLE["license"]
    assert "Permission is hereby granted" in TABLE["license"]


@oracle
def test_table_is_what_the_script_writes() -> None:
    """The shipped file is, byte for byte, what the script makes of the installed genai-prices."""
    spec = importlib.util.spec_from_file_location("make_prices", ROOT / "scripts" / "make_prices.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.render(script.table(script.RELEASED[TABLE["version"]])) == TEXT


# The oracle: genai-prices itself, and four stricter rules of ours, stated in `expected`.

GRID = [
    Usage(),
    Usage(input=0, output=0),
    Usage(input=1234),
    Usage(output=77),
    Usage(input=1200, output=340),
    Usage(input=1200, output=341, cache_read=200),
    Usage(input=50_000, output=1003, cache_read=20_001, cache_write=12_345, cache_write_1h=2345, reasoning=500),
    Usage(input=999, output=333, input_audio=111, output_audio=222, cache_read=50, cache_read_audio=13),
    Usage(input=999, output=333, input_audio=111, cache_read=50),
    Usage(input=4321, output=1290, input_image=321, output_image=1280),
    Usage(input=4321, output=1290, input_image=321, cache_read=7),
    Usage(input=7, output=5, web_searches=3),
    Usage(input=7, output=5, storage_searches=2),
    Usage(output=5, cache_read=3),
    Usage(input=5, output=5, cache_read=6),
    Usage(input=5, output=5, cache_write=2, cache_write_1h=3),
    Usage(input=1_000_003, output=65_537, cache_read=300_001),
    Usage(input=200_000, output=1),
    Usage(input=272_000, output=1),
]
TIERS = ("batch", "flex", "priority", "fast", "default")
KEYS = ("processing", "service_tier", "speed")
UNITS = {
    "input": "input_tokens",
    "output": "output_tokens",
    "cache_read": "cache_read_tokens",
    "cache_write": "cache_write_tokens",
    "cache_write_1h": "cache_write_1h_tokens",
    "reasoning": "output_reasoning_tokens",
    "input_audio": "input_audio_tokens",
    "output_audio": "output_audio_tokens",
    "cache_read_audio": "cache_audio_read_tokens",
    "input_image": "input_image_tokens",
    "output_image": "output_image_tokens",
    "input_video": "input_video_tokens",
    "output_video": "output_video_tokens",
    "web_searches": "web_searches",
    "storage_searches": "storage_searches",
}


def context(tier: str | None) -> dict[str, str] | None:
    """The properties that a request of this tier has for genai-prices."""
    return dict.fromkeys(KEYS, tier) if tier else None


def expected(usage: Usage, provider: str, reference: str, when: int, tier: str | None) -> int | None:
    """What genai-prices charges; None where it fails, and where it has no price yet charges nothing for it."""
    moment = EPOCH + timedelta(microseconds=when // 1000)
    if usage.input is None and usage.output is None:
        return None  # It charges nothing for nothing known.
    try:
        result = genai_prices.calc_price(
            genai_prices.Usage(**{UNITS[name]: value for name, value in usage.known().items()}),
            reference,
            provider_id=provider,
            genai_request_timestamp=moment,
            price_context=context(tier),
        )
    except (LookupError, ValueError):
        return None
    owned = any(result.model is each for each in result.provider.models)
    variants = (result.model.price_variants or ()) if owned else ()
    if tier not in (None, "default") and not any(applies(each, tier, moment) for each in variants):
        return None  # It charges the standard price for a tier that it knows no price of.
    registry = _get_registry()
    priced = [
        registry.unit_for_price_key(key).dimensions.items()
        for key, price in vars(result.model_price).items()
        if price is not None
    ]
    countable = [registry.units[key].dimensions.items() for key in (*UNITS.values(), "requests")]
    if not any(unit in countable for unit in priced):
        return None  # It charges nothing where it has no price of anything that could be counted.
    for name, value in usage.known().items():
        dimensions = registry.units[UNITS[name]].dimensions.items()
        if value and not any(whole <= dimensions for whole in priced):
            return None  # It charges nothing for units that it knows no price of.
    return int((result.total_price * USD).to_integral_value(ROUND_HALF_EVEN))


def applies(variant: PriceVariant, tier: str, moment: datetime) -> bool:
    """Whether genai-prices would use a variant for this tier at this moment."""
    return (variant.constraint is None or variant.constraint.active(moment)) and all(
        key in KEYS and value == tier for key, value in variant.when.items()
    )


def moments(model: Any) -> list[int]:
    """Today, and just before and at each change of the model's price."""
    changes: set[int] = set()
    dated: list[ConditionalPrice | PriceVariant] = [
        *([] if isinstance(model.prices, ModelPrice) else model.prices),
        *(model.price_variants or ()),
    ]
    for each in dated:
        if hasattr(each.constraint, "start_date"):
            changes.add(at(each.constraint.start_date.isoformat()))
        elif each.constraint is not None:
            for time in (each.constraint.start_time, each.constraint.end_time):
                changes.add(at(f"2026-10-30T{time.strftime('%H:%M:%S')}"))
    return [NOW, *(when for change in sorted(changes) for when in (change - 1000, change))]


def literals(rule: Any) -> list[str]:
    """The texts of a rule, as names to look up."""
    if isinstance(rule, str):
        return [rule]
    if isinstance(rule, list):
        return [text for each in rule for text in literals(each)]
    ((kind, value),) = rule.items()
    return literals(value) if kind == "and" else [] if kind == "regex" else [value]


@oracle
@pytest.mark.parametrize("provider", TABLE["providers"])
def test_every_model_against_genai_prices(provider: str) -> None:
    """Each model costs exactly what genai-prices says, over usages, the moments of its changes, and tiers."""
    snapshot = get_snapshot()
    owner = next(each for each in snapshot.providers if each.id == provider)
    lines = TABLE["providers"][provider]["models"]
    assert [line[0] for line in lines] == [model.id for model in owner.models]
    for model, line in zip(owner.models, lines):
        names = [model.id, *literals(line[1])]
        reference = next(name for name in names if owner.find_model(name) is model)
        tiers = [None, *TIERS] if model.price_variants else [None, "default"]
        for when in moments(model):
            for tier in tiers if when == NOW or model.price_variants else [None]:
                for usage in GRID if tier is None else GRID[4:8]:
                    cost = pricing.cost(usage, provider, reference, when, tier=tier)
                    case = (reference, when, tier, usage)
                    assert cost == expected(usage, provider, reference, when, tier), case


@oracle
@pytest.mark.parametrize("provider", TABLE["providers"])
def test_every_name_against_genai_prices(provider: str) -> None:
    """Each name, and names made from it, lead to the same provider and model as in genai-prices."""
    snapshot = get_snapshot()
    for line in TABLE["providers"][provider]["models"]:
        for name in dict.fromkeys([line[0], *literals(line[1])]):
            for reference in (name, f"{name.upper()}-20260228", f"x-{name}-20260230"):
                try:
                    found = snapshot.find_provider_model(reference, None, provider, None)
                except LookupError:
                    found = None
                explained = pricing.explain(Usage(), provider, reference, NOW)
                assert explained.provider == provider
                assert explained.model == (found and found[1].id), reference
