"""Wire formats: recorded bodies as plain dicts through each format's own functions, and their costs.

A row is a file `wire/<format>/<name>.json`: a `fact`, the `provider`, the wire `request`, the `response` or the `chunks`
of a stream, and what to `expect`. A key that `expect` leaves out is not compared; without `cost_usd` the row is not
priced; `oracle` says why genai-prices is not asked, or answers something else.
"""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from hexr_instrument import pricing, telemetry
from hexr_instrument.call import USD, Call, Caller, Format, Request
from hexr_instrument.formats.agent_result import AGENT_RESULT
from hexr_instrument.formats.ai21 import CHAT as AI21_CHAT
from hexr_instrument.formats.audio import SPEECH, TRANSCRIPTIONS
from hexr_instrument.formats.batches import BATCHES
from hexr_instrument.formats.chat import CHAT
from hexr_instrument.formats.cohere import CHAT as COHERE_CHAT
from hexr_instrument.formats.cohere import EMBED as COHERE_EMBED
from hexr_instrument.formats.cohere import RERANK as COHERE_RERANK
from hexr_instrument.formats.completions import COMPLETIONS
from hexr_instrument.formats.conversations import CONVERSATIONS
from hexr_instrument.formats.converse import CONVERSE
from hexr_instrument.formats.embeddings import EMBEDDINGS
from hexr_instrument.formats.gemini import EMBED_CONTENT, GENERATE_CONTENT
from hexr_instrument.formats.gemini_live import GEMINI_LIVE
from hexr_instrument.formats.google_batches import GOOGLE_BATCHES
from hexr_instrument.formats.google_media import IMAGES as GOOGLE_IMAGES
from hexr_instrument.formats.google_media import VIDEOS as GOOGLE_VIDEOS
from hexr_instrument.formats.images import IMAGES
from hexr_instrument.formats.interactions import INTERACTIONS
from hexr_instrument.formats.invoke import INVOKE
from hexr_instrument.formats.litellm import CHAT as LITELLM_CHAT
from hexr_instrument.formats.message_batches import MESSAGE_BATCHES
from hexr_instrument.formats.messages import MESSAGES
from hexr_instrument.formats.mistral import CHAT as MISTRAL_CHAT
from hexr_instrument.formats.mistral import FIM
from hexr_instrument.formats.ollama import CHAT as OLLAMA_CHAT
from hexr_instrument.formats.ollama import EMBED as OLLAMA_EMBED
from hexr_instrument.formats.ollama import GENERATE as OLLAMA_GENERATE
from hexr_instrument.formats.realtime import REALTIME
from hexr_instrument.formats.replicate import PREDICTION
from hexr_instrument.formats.responses import DECISIONS, RESPONSES
from hexr_instrument.formats.runs import RUNS
from hexr_instrument.formats.videos import VIDEOS
from hexr_instrument.formats.voyage import EMBED as VOYAGE_EMBED
from hexr_instrument.formats.watsonx import EMBEDDING, GENERATION
from hexr_instrument.recorder import price

FORMATS: dict[str, Format] = {
    "agent_result": AGENT_RESULT,
    "chat": CHAT,
    "completions": COMPLETIONS,
    "cohere_chat": COHERE_CHAT,
    "cohere_embed": COHERE_EMBED,
    "cohere_rerank": COHERE_RERANK,
    "litellm_chat": LITELLM_CHAT,
    "ai21_chat": AI21_CHAT,
    "voyage_embed": VOYAGE_EMBED,
    "mistral_chat": MISTRAL_CHAT,
    "fim": FIM,
    "conversations": CONVERSATIONS,
    "converse": CONVERSE,
    "invoke": INVOKE,
    "embeddings": EMBEDDINGS,
    "responses": RESPONSES,
    "decisions": DECISIONS,
    "images": IMAGES,
    "transcriptions": TRANSCRIPTIONS,
    "speech": SPEECH,
    "videos": VIDEOS,
    "batches": BATCHES,
    "runs": RUNS,
    "replicate": PREDICTION,
    "watsonx_generation": GENERATION,
    "watsonx_embedding": EMBEDDING,
    "realtime": REALTIME,
    "messages": MESSAGES,
    "message_batches": MESSAGE_BATCHES,
    "gemini": GENERATE_CONTENT,
    "embed_content": EMBED_CONTENT,
    "interactions": INTERACTIONS,
    "gemini_live": GEMINI_LIVE,
    "google_batches": GOOGLE_BATCHES,
    "google_images": GOOGLE_IMAGES,
    "google_videos": GOOGLE_VIDEOS,
    "ollama_chat": OLLAMA_CHAT,
    "ollama_generate": OLLAMA_GENERATE,
    "ollama_embed": OLLAMA_EMBED,
}
CONFIGURED = (EMBED_CONTENT, GENERATE_CONTENT, GEMINI_LIVE, GOOGLE_BATCHES, GOOGLE_IMAGES, GOOGLE_VIDEOS)
"""Formats whose parameters are read from the SDK's `config`."""
FLAVORS = {
    "chat": "chat",
    "completions": "chat",
    "runs": "chat",
    "embeddings": "embeddings",
    "cohere_embed": "embeddings",
    "responses": "responses",
    "decisions": "responses",
    "batches": "responses",
    "images": "images",
    "realtime": "realtime",
}
"""What genai-prices calls the format, where it has several for one provider."""

MOMENT = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
WIRE = Path(__file__).parent / "wire"
TEXTS = {str(path.relative_to(WIRE).with_suffix("")): path.read_text() for path in sorted(WIRE.rglob("*.json"))}
ROWS = list(TEXTS)
EXPECTED: dict[str, Any] = {name: json.loads(text)["expect"] for name, text in TEXTS.items()}
PRICED = [name for name in ROWS if "cost_usd" in EXPECTED[name]]
BY_TABLE = [
    name for name in PRICED if EXPECTED[name]["cost_usd"] and EXPECTED[name].get("cost_source", "table") == "table"
]

oracle = pytest.mark.skipif(importlib.util.find_spec("genai_prices") is None, reason="genai-prices is not installed")


@dataclass
class Row:
    """One recorded exchange, read by its format."""

    data: dict[str, Any]
    wire: Format
    payload: Any
    """The response, or what the chunks fold into; None for a stream without any."""
    first: int | None
    """The first chunk with output."""

    @property
    def expect(self) -> dict[str, Any]:
        """What the row says must come out."""
        return self.data["expect"]

    def call(self) -> Call:
        """The call as the recorder would have it when it ends."""
        request = self.data["request"]
        asked = Request(self.wire, self.data["provider"], model=request.get("model"), stream="chunks" in self.data)
        call = Call(asked, Caller(), 1, 1, None, sampled=True, start=int(MOMENT.timestamp()) * 10**9)
        call.response = None if self.payload is None else self.wire.response(self.payload)
        call.partial = asked.stream and self.payload is not None and not self.wire.finished(self.payload)
        return call


def row(name: str) -> Row:
    """The row of that name; its chunks are folded one by one, and each is left as it was."""
    data = json.loads(TEXTS[name])
    wire = FORMATS[name.partition("/")[0]]
    if "chunks" not in data:
        return Row(data, wire, data["response"], None)
    payload, first = None, None
    for index, chunk in enumerate(data["chunks"]):
        if chunk is None:  # the engine passes over nothing
            continue
        before = json.dumps(chunk)
        if first is None and wire.substance(chunk):
            first = index
        payload = wire.fold(payload, chunk)
        assert json.dumps(chunk) == before, "the chunk is the caller's"
    return Row(data, wire, payload, first)


@pytest.mark.parametrize("name", ROWS)
def test_a_recorded_body_is_read_as_the_row_says(name: str) -> None:
    """Request, response or chunks of each row give the parameters, model, reasons, usage and times that it states."""
    row_ = row(name)
    expect = row_.expect
    response = None if row_.payload is None else row_.wire.response(row_.payload)
    found: dict[str, Any] = {
        "id": response and response.id,
        "model": response and response.model,
        "finish": list(response.finish_reasons) if response else [],
        "usage": response.usage.known() if response and response.usage else None,
        "tier": response and response.service_tier,
        "error": response and response.error,
        "extras": response and response.extras,
        "finished": row_.payload is not None and row_.wire.finished(row_.payload),
        "first": row_.first,
    }
    found["parameters"] = row_.wire.request(
        row_.data["request"]["config"] if row_.wire in CONFIGURED else row_.data["request"]
    )
    if "stated_usd" in expect:
        stated = response and response.stated_cost
        found["stated_usd"] = None if stated is None else plain(stated)
    assert {"model", "finish", "usage"} <= expect.keys()
    known = expect.keys() & found.keys()
    assert {key: found[key] for key in known} == {key: expect[key] for key in known}


@pytest.mark.parametrize("name", ROWS)
def test_the_counts_add_up_to_the_providers_own_total(name: str) -> None:
    """Input plus output is the total that the provider states; a row where it is not says so, and so does its record."""
    row_ = row(name)
    call = row_.call()
    call.end = call.start
    usage = telemetry.of_call(call).get("usage", {})
    assert usage.get("stated_total") == row_.expect.get("stated_total")
    if call.response is not None and call.response.usage is not None:
        parts = call.response.usage
        for whole, names in (("input", INPUT), ("output", OUTPUT)):
            if "odd" not in name and getattr(parts, whole) is not None and "exceeds" not in row_.expect:
                assert all((getattr(parts, each) or 0) <= getattr(parts, whole) for each in names), whole


INPUT = ("cache_read", "cache_write", "input_audio", "input_image")
OUTPUT = ("reasoning", "output_audio", "output_image")


@pytest.mark.parametrize("name", PRICED)
def test_a_recorded_body_costs_what_the_row_says(name: str) -> None:
    """The cost of each row is the one worked out by hand, to the last digit; unknown is None."""
    expect = row(name).expect
    call = row(name).call()
    price(call)
    assert (None if call.cost is None else plain(call.cost)) == expect["cost_usd"]
    if "cost_status" in expect:
        assert call.cost_status == expect["cost_status"]
    if "cost_source" in expect:
        assert call.cost_source == expect["cost_source"]


@oracle
@pytest.mark.parametrize("name", BY_TABLE)
def test_a_recorded_body_costs_what_genai_prices_says(name: str) -> None:
    """genai-prices, with its own reader of the same body, comes to the same cost; or the row says why not."""
    from genai_prices import calc_price, extract_usage  # noqa: PLC0415  (takes half a second; not always installed)

    row_ = row(name)
    expect = row_.expect
    provider = pricing.PROVIDERS.get(row_.data["provider"], row_.data["provider"])
    flavor = "default" if provider == "groq" else FLAVORS.get(name.partition("/")[0], "default")
    reader = "anthropic" if row_.wire is MESSAGES else provider  # whoever serves Claude, it is the same body
    body = row_.payload
    if "usage_metadata" in body and "chunks" in row_.data:  # folded under the names that the SDK's objects have
        body = {"usageMetadata": body["usage_metadata"], "modelVersion": body.get("model_version")}
    if flavor == "realtime":
        body = {"response": body}
    tier = expect.get("tier")
    context = dict.fromkeys(("processing", "service_tier", "speed"), tier) if tier else None
    try:
        read = extract_usage(body, provider_id=reader, api_flavor=flavor)
        at = {"genai_request_timestamp": MOMENT, "price_context": context}
        # Images, sounds, Cohere and Bedrock do not say who made them, Claude not who serves it.
        unsaid = flavor in ("images", "realtime", "responses") or provider == "cohere" or row_.wire is CONVERSE
        if reader != provider or (read.model is None and unsaid):
            model = (row_.wire is CONVERSE and expect["model"]) or row_.data["request"]["model"]
            found = calc_price(read.usage, model, provider_id=provider, **at).total_price
        else:
            found = read.calc_price(**at).total_price
    except (LookupError, ValueError) as error:
        found = error
    if "oracle" in expect:
        assert found != Decimal(expect["cost_usd"]), "it agrees now: the row can drop its `oracle`"
    else:
        assert found == Decimal(expect["cost_usd"])


def plain(amount: int) -> str:
    """1e-12 USD as the shortest decimal number."""
    return format((Decimal(amount) / USD).normalize(), "f")


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_reads_anything(name: str) -> None:
    """No body, chunk or request makes a reader fail, whatever kind of value it is."""
    wire = FORMATS[name]
    for odd in (None, "x", 5, 1.5, True, [], [None], (), {}, {"usage": "n/a"}, object()):
        wire.request(odd)
        wire.response(odd)
        wire.finished(odd)
        wire.substance(odd)
        for so_far in (None, *([] if name in ("embeddings", "ollama_embed") else [{}])):
            wire.fold(so_far, odd)


@pytest.mark.parametrize("name", [each for each in ROWS if "/odd" not in each and not each.endswith("/raw_body")])
def test_a_body_with_a_hole_is_still_read(name: str) -> None:
    """Whatever single value of a good body is null or of another kind, the readers do not fail."""
    data = json.loads(TEXTS[name])
    wire = FORMATS[name.partition("/")[0]]
    chunked = "chunks" in data
    for odd in (None, "n/a", 7, [None], {"x": None}):
        for holed in holes(data["chunks"] if chunked else data["response"], odd):
            payload = holed
            if chunked:
                payload = None
                for chunk in holed if type(holed) is list else ():
                    wire.substance(chunk)
                    payload = payload if chunk is None else wire.fold(payload, chunk)
            wire.response(payload)
            wire.finished(payload)
        for holed in holes(data["request"], odd):
            wire.request(holed)


def holes(value: Any, odd: Any) -> list[Any]:
    """Copies of `value`, in each of which one inner value is `odd`."""
    found = [odd]
    if type(value) is dict:
        found += [{**value, key: holed} for key, inner in value.items() for holed in holes(inner, odd)]
    elif type(value) is list:
        found += [
            [*value[:at], holed, *value[at + 1 :]] for at, inner in enumerate(value) for holed in holes(inner, odd)
        ]
    return found
