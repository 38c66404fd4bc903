"""The user's own prices, discounts and names of models; newer tables; which model's price a served name has."""

from __future__ import annotations

import argparse
import dataclasses
import io
import json
import os
import stat
import threading
from collections.abc import Iterator
from datetime import datetime, timezone
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from support import ROOT

from hexr_instrument import pricing
from hexr_instrument.call import USD, Response, Usage
from hexr_instrument.pricing import newer
from hexr_instrument.report import prices

try:
    import genai_prices.data as oracle
except ImportError:
    oracle = None

TABLE: dict[str, Any] = json.loads((ROOT / "hexr_instrument" / "prices.json").read_text(encoding="utf-8"))
MICRO = USD // 10**6
THOUSAND = Usage(input=1000, output=100)


def at(text: str) -> int:
    """The nanoseconds of a moment in UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp()) * 10**9


NOW = at("2026-11-20T12:00:00")


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """The settings of this process are put back."""
    yield
    pricing.configure(None, None, {})


def own(tmp_path: Path, text: str, name: str = "prices.toml", **models: str) -> list[str]:
    """What is said when these prices are used."""
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    said: list[str] = []
    pricing.configure(None, str(path), models, said.append)
    pricing.version()
    return said


def spent(provider: str, model: str, usage: Usage = THOUSAND, tier: str | None = None, when: int = NOW) -> Any:
    """(cost in 1e-6 USD, source) of a response of that model."""
    response = Response(model=model, usage=usage, service_tier=tier)
    cost, source = pricing.of_response(response, provider, model, when)
    return (None if cost is None else Decimal(cost) / MICRO, source)


def test_images_cost_by_size_and_quality(tmp_path: Path) -> None:
    """The first entry that fits holds; a size that no entry names, or that nobody says, has no price."""
    text = """
[[price]]
model = "dall-e-3"
size = "1024x1792"
quality = "hd"
images = 0.12

[[price]]
model = "dall-e-3"
size = "1024x1024"
images = "0.04"

[[price]]
model = "sora-2"
video_seconds = 0.10
"""
    assert own(tmp_path, text) == []

    def cost(model: str, usage: Usage, *grade: str | None) -> Any:
        response = Response(model=model, usage=usage, grade=(*grade, None, None)[:2])
        found, source = pricing.of_response(response, "openai", model, NOW)
        return found and (Decimal(found) / USD, source)

    assert cost("dall-e-3", Usage(images=2), "1024x1792", "hd") == (Decimal("0.24"), "custom")
    assert cost("dall-e-3", Usage(images=1), "1024x1024", "standard") == (Decimal("0.04"), "custom")
    assert cost("dall-e-3", Usage(images=1), "1024x1792", "standard") is None
    assert cost("dall-e-3", Usage(images=1)) is None
    assert cost("sora-2", Usage(video_seconds=8), "1280x720") == (Decimal("0.80"), "custom")
    assert cost("gpt-image-1", Usage(input=1000, output=0), "1024x1024", "hd") == (Decimal("0.005"), "table")


MINE = """
[[price]]
provider = "vllm"
model = "llama-3*"
input = "0.20"
output = 0.60

[[price]]
provider = "openai"
model = "gpt-4o"
input = 2
output = "8"
cache_read = 1.0
from = 2026-06-01
until = "2026-12-01"

[[price]]
provider = "openai"
model = "gpt-4o"
tier = "batch"
input = 1
output = 4

[[price]]
provider = "azure.ai.openai"
model = "*"
discount = 12.5

[[price]]
model = "gpt-5.4"
tier = "flex"
discount = "10"
"""


def test_own_models_overrides_and_discounts(tmp_path: Path) -> None:
    """They win over the table, by provider, model, tier and day; the source is `custom`."""
    assert own(tmp_path, MINE) == []
    assert spent("vllm", "Llama-3-70B") == (1000 * Decimal("0.2") + 100 * Decimal("0.6"), "custom")
    assert spent("ollama", "llama-3-70b") == (None, None)
    assert spent("openai", "gpt-4o") == (2800, "custom")
    assert spent("openai", "gpt-4o", Usage(input=1000, output=100, cache_read=500)) == (2300, "custom")
    assert spent("openai", "gpt-4o", when=at("2026-05-31T23:59:59")) == (3500, "table")
    assert spent("openai", "gpt-4o", when=at("2026-06-01T00:00:00")) == (2800, "custom")
    assert spent("openai", "gpt-4o", when=at("2026-12-01T00:00:00")) == (3500, "table")
    assert spent("openai", "gpt-4o", tier="default") == (2800, "custom")
    assert spent("openai", "gpt-4o", tier="batch") == (1400, "custom")
    assert spent("openai", "gpt-4o-mini") == (210, "table")
    assert spent("azure.ai.openai", "gpt-4o") == (Decimal("3062.5"), "custom")
    assert spent("openai", "gpt-5.4", tier="flex") == (Decimal(1250 + 750) * 9 / 10, "custom")
    assert spent("openai", "gpt-5.4") == (2500 + 1500, "table")
    assert " + own " in pricing.version()


def test_a_discount_is_shown_in_the_explanation(tmp_path: Path) -> None:
    """Its prices are those that the call is billed by."""
    own(tmp_path, MINE)
    explained = pricing.explain(THOUSAND, "azure.ai.openai", "gpt-4o", NOW)
    assert {bucket.unit: bucket.price for bucket in explained.buckets}["input"] == "2.1875"
    assert sum(bucket.amount for bucket in explained.buckets) == explained.cost == Decimal("3062.5") * MICRO


def test_json_says_the_same(tmp_path: Path) -> None:
    """The same entries under `price`."""
    entry = {"provider": "openai", "model": "gpt-4o", "input": 0.1, "output": "0.3"}
    assert own(tmp_path, json.dumps({"price": [entry]}), "prices.json") == []
    assert spent("openai", "gpt-4o") == (130, "custom")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[price]\n", "prices.toml:1: "),
        (
            'x = 1\n[[price]]\nmodel = "m"\ninput = 1\n',
            "prices.toml: the file is a list of [[price]] entries, and has 'x'",
        ),
        ("\n[[price]]\ninput = 1\n", "prices.toml:2: an entry needs a model"),
        ('[[price]]\nmodel = "m"\n', "prices.toml:1: an entry needs prices"),
        (
            '[[price]]\nmodel = "m"\ninput = 1\n\n[[price]]\nmodel = "n"\ninptu = 2\n',
            "prices.toml:7: 'inptu' is no unit",
        ),
        ('[[price]]\nmodel = "m"\ninput = "cheap"\n', "prices.toml:3: 'cheap' is no amount"),
        ('[[price]]\nmodel = "m"\ninput = -1\n', "prices.toml:3: '-1' is no amount"),
        ('[[price]]\nmodel = "m"\ninput = nan\n', "prices.toml:3: 'NaN' is no amount"),
        ('[[price]]\nmodel = "m"\ninput = true\n', "prices.toml:3: 'True' is no amount"),
        ('[[price]]\nmodel = "m"\ndiscount = 101\n', "prices.toml:3: a discount is at most 100 percent"),
        ('[[price]]\nmodel = "m"\ninput = 1\ndiscount = 1\n', "prices.toml:4: an entry has prices or a discount"),
        ('[[price]]\nmodel = "m*x"\ninput = 1\n', "prices.toml:2: a * may only be the last character"),
        ('[[price]]\nmodel = "m"\ncache_read = 1\n', "prices.toml:3: a price of cache_read needs one of input"),
        (
            '[[price]]\nmodel = "m"\ninput = 1\ncache_read = 1\ninput_audio = 1\n',
            "prices.toml:5: prices of cache_read and input_audio need one of cache_read_audio",
        ),
        ('[[price]]\nmodel = "m"\ninput = 1\nfrom = "soon"\n', "prices.toml:4: from is a day"),
        ('[[price]]\nmodel = "m"\ninput = 1\nfrom = 2026-02-01\nuntil = 2026-01-01\n', "prices.toml:5: it ends before"),
        ("price = 1\n", "prices.toml: the file is a list of [[price]] entries"),
        ("#" * (1 << 20) + "\n", "prices.toml: it is larger than 1 MiB"),
    ],
)
def test_a_broken_file_is_one_line_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    """And the shipped prices are used."""
    (line,) = own(tmp_path, text)
    assert line.startswith(said)
    assert line.endswith("; your own prices are not used")
    assert "\n" not in line
    assert spent("openai", "gpt-4o") == (3500, "table")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """With the variable that names it."""
    said: list[str] = []
    pricing.configure(None, str(tmp_path / "none.toml"), {}, said.append)
    assert spent("openai", "gpt-4o") == (3500, "table")
    assert said == [
        f"HEXR_PRICES={tmp_path}/none.toml cannot be read (No such file or directory); your own prices are not used"
    ]


# -- names of models

SERVED = [
    # (fact, provider, served, asked, cost in 1e-6 USD)
    ("the served model counts", "openai", "gpt-4o-mini", "gpt-4o", 210),
    ("without a served name the asked one counts", "openai", None, "gpt-4o", 3500),
    ("an unknown served name is unpriced", "openai", "internal-name", "gpt-4o", None),
    ("a date behind the asked name is a new snapshot of it", "openai", "gpt-4o-2031-02-03", "gpt-4o", 3500),
    ("a date without dashes, too", "anthropic", "claude-sonnet-4-5-20310203", "claude-sonnet-4-5", 4500),
    ("another word behind it is another model", "openai", "gpt-4o-turbo", "gpt-4o", None),
    ("a deployment has no price", "azure.ai.openai", "prod", "prod", None),
    ("a mapped deployment has its model's", "azure.ai.openai", "Mapped", "mapped", 3500),
    ("also where only the asked name is mapped", "azure.ai.openai", "who-knows", "mapped", 3500),
    ("a map of one provider is not that of another", "openai", "fast", "fast", None),
    ("a map of a provider's own name", "azure.ai.openai", "fast", "fast", 210),
    ("a map to another provider's model", "vllm", "mine", "mine", 4500),
]


@pytest.mark.parametrize(
    ("provider", "served", "asked", "micros"), [pytest.param(*row[1:], id=row[0]) for row in SERVED]
)
def test_the_price_is_that_of_the_served_model(
    provider: str, served: str | None, asked: str, micros: int | None
) -> None:
    """An unknown one is never priced as another; HEXR_MODEL_MAP says what a name stands for."""
    models = {"mapped": "gpt-4o", "azure.ai.openai/fast": "gpt-4o-mini", "mine": "anthropic/claude-sonnet-4-5"}
    pricing.configure(None, None, models)
    cost, source = pricing.of_response(Response(model=served, usage=THOUSAND), provider, asked, NOW)
    assert cost == (None if micros is None else micros * MICRO)
    assert source == (None if micros is None else "table")


# -- newer tables


def command(directory: Path, *options: str) -> tuple[int, str]:
    """Status and output of `prices`."""
    parser = argparse.ArgumentParser()
    prices.add_arguments(parser)
    stdout = io.StringIO()
    pricing.configure(str(directory), None, {})
    return prices.run(parser.parse_args(options), directory, stdout), stdout.getvalue()


def test_a_price_is_explained_bucket_by_bucket(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Unit prices with those of long inputs, at a moment and in a tier; or the bill of one call, which adds up."""
    status, output = command(tmp_path, "gemini-2.5-pro", "--provider", "gcp.gemini", "--at", "2026-11-20")
    lines = [line.split() for line in output.splitlines()]
    assert status == 0
    assert ["input", "$1.25", "per", "million"] in lines
    assert lines.index(["beyond", "200,000", "input", "tokens:"]) < lines.index(["input", "$2.5", "per", "million"])
    bill = ("gpt-4o", "--provider", "openai", "--usage", "input=1200,output=340,cache_read=200")
    assert command(tmp_path, *bill)[1].splitlines()[1:] == [
        "           200 cache_read           at $1.25 per million   $0.00025",
        "         1,000 input                at $2.5 per million   $0.0025",
        "           340 output               at $10 per million   $0.0034",
        "  cost: $0.00615",
    ]
    assert "0.003075" in command(tmp_path, "gpt-5.4", "--tier", "flex", "--usage", "input=1230,output=205")[1]
    assert command(tmp_path, "gpt-4o", "--usage", "gold=1")[0] == 2
    assert "--usage: 'gold=1' is no count; use NAME=N" in capsys.readouterr().err
    assert command(tmp_path, "gpt-unheard-of")[0] == 1


def changed(**fields: Any) -> dict[str, Any]:
    """The shipped table of a later day, in which gpt-4o costs a dollar."""
    table = json.loads(json.dumps(TABLE))
    for line in table["providers"]["openai"]["models"]:
        if line[0] == "gpt-4o":
            line[2:] = [{"input": "1", "output": "1"}]
    return table | {"version": "9.9.9", "released": "2027-01-01"} | fields


def test_an_update_is_used_from_then_on(tmp_path: Path) -> None:
    """Private to the user, and the version says which table it is."""
    file, store = tmp_path / "new.json", tmp_path / "store"
    file.write_text(json.dumps(changed()))
    status, output = command(store, "update", "--from", str(file))
    assert (status, output.startswith("Prices updated: genai-prices 9.9.9 (2027-01-01) in ")) == (0, True)
    assert stat.S_IMODE((store / "prices.json").stat().st_mode) == 0o600
    assert os.listdir(store) == ["prices.json"]
    pricing.configure(str(store), None, {})
    assert spent("openai", "gpt-4o") == (1100, "table")
    assert pricing.version() == "genai-prices 9.9.9 (2027-01-01)"
    assert command(store, "update", "--from", str(file))[0] == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "it is no JSON"),
        (b"[]", "it has no units or no providers"),
        (b"5", "it is no table of prices"),
        (b"[" * 100_000, "it is no JSON"),
        (b" " * (newer.LARGEST + 1), "it is larger than 8 MiB"),
        (json.dumps(changed(released="soon")).encode(), "released: it is no day"),
        (json.dumps(changed(providers={"p": {"models": [["m", "m", {"gold": "1"}]]}})).encode(), "'gold' is no unit"),
        (json.dumps(changed(providers={"p": {"models": [["m", "m", {"input": "-1"}]]}})).encode(), "price of input"),
        (json.dumps(changed(providers={"p": {"models": [["m", {"regex": "("}, {}]]}})).encode(), "regular expression"),
        (json.dumps(changed(providers={"p": {"models": [["m"]]}})).encode(), "no list of name, rule and prices"),
    ],
)
def test_a_broken_update_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, said: str
) -> None:
    """One line says what is wrong; no file is left behind."""
    file = tmp_path / "new.json"
    file.write_bytes(content)
    assert command(tmp_path / "store", "update", "--from", str(file)) == (2, "")
    error = capsys.readouterr().err
    assert said in error
    assert error.endswith("the prices stay as they are\n")
    assert error.count("\n") == 1
    assert not (tmp_path / "store").exists()


def test_a_table_that_was_damaged_later_is_not_used(tmp_path: Path) -> None:
    """One line names it; the shipped one is used."""
    (tmp_path / "prices.json").write_text('{"released": "2030-01-01"')
    said: list[str] = []
    pricing.configure(str(tmp_path), None, {}, said.append)
    assert spent("openai", "gpt-4o") == (3500, "table")
    assert len(said) == 1
    assert said[0].startswith(f"{tmp_path}/prices.json cannot be used")


def test_an_older_update_gives_way_to_a_newer_package(tmp_path: Path) -> None:
    """The newest data is used, wherever it is."""
    (tmp_path / "prices.json").write_text(json.dumps(changed(released="2020-01-01")))
    pricing.configure(str(tmp_path), None, {})
    assert pricing.released() == TABLE["released"]


def test_a_stale_table_is_said_to_be_stale() -> None:
    """After 90 days."""
    day = at(f"{TABLE['released']}T00:00:00")
    assert pricing.stale_days(day + 90 * 86400 * 10**9) is None
    assert pricing.stale_days(day + 91 * 86400 * 10**9) == 91


def raw() -> list[dict[str, Any]]:
    """genai-prices' own objects as the JSON that it publishes."""
    assert oracle is not None

    def plain(value: Any) -> Any:
        if dataclasses.is_dataclass(value):
            names = {"or_": "or", "and_": "and"}
            return {
                names.get(each.name, each.name): plain(getattr(value, each.name)) for each in dataclasses.fields(value)
            }
        if type(value).__name__ == "ModelPrice":
            return {key: plain(each) for key, each in vars(value).items()}
        if isinstance(value, list):
            return [plain(each) for each in value]
        if isinstance(value, dict):
            return {key: plain(each) for key, each in value.items()}
        if isinstance(value, Decimal):
            return float(value) if Decimal(str(float(value))) == value else str(value)
        return value.isoformat() if hasattr(value, "isoformat") else value

    return [
        {key: each for key, each in plain(provider).items() if key != "extractors"} for provider in oracle.providers
    ]


class Source(BaseHTTPRequestHandler):
    """Serves one body."""

    body = b""

    def do_GET(self) -> None:
        """Answers with the body and its day."""
        self.send_response(200)
        self.send_header("Last-Modified", "Fri, 01 Jan 2027 10:00:00 GMT")
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def source() -> Iterator[str]:
    """A loopback server's URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Source)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/data.json"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.skipif(oracle is None, reason="genai-prices is not installed")
def test_what_genai_prices_publishes_becomes_our_table(tmp_path: Path, source: str) -> None:
    """From a URL; every model and price is that of the script which makes the shipped file."""
    Source.body = json.dumps(raw()).encode()
    status, output = command(tmp_path, "update", "--from", source)
    assert (status, "data of 2027-01-01" in output) == (0, True)
    made = json.loads((tmp_path / "prices.json").read_text())
    assert made["providers"] == TABLE["providers"]


def test_only_https_and_loopback_are_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A table from anybody on the way is none."""
    assert command(tmp_path, "update", "--from", "http://example.com/data.json")[0] == 2
    assert "only an https URL can be used" in capsys.readouterr().err
