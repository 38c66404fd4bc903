"""Recorded bodies of Claude and Gemini through their real SDKs: what the record says is what the row says."""

from __future__ import annotations

import inspect
import json
import re
from decimal import Decimal
from typing import Any

import pytest
from test_surfaces import (
    Bench,
    Surface,
    bench,  # noqa: F401  (a fixture)
    offered,
    seen,
    shared,  # noqa: F401  (a fixture)
)
from test_wire import ROWS, TEXTS

from hexr_instrument.call import USD

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning"),
    pytest.mark.filterwarnings("ignore:.* is not a valid TrafficType:UserWarning"),  # an older SDK of a newer word
]

CLAUDE = {
    "anthropic": "anthropic",
    "aws.bedrock": "bedrock",
    "gcp.vertex_ai": "vertex claude",
    "azure.ai.inference": "foundry",
}
"""Who serves -> whose client it is."""
GEMINI = {"gcp.gemini": "google", "gcp.vertex_ai": "vertex"}
CLAUDE_ROWS = [name for name in ROWS if name.startswith("messages/") and "/odd" not in name]
GEMINI_ROWS = [name for name in ROWS if name.startswith("gemini/") and "/odd" not in name and "raw_body" not in name]
DROPPED = {"gemini/google_batch", "gemini/google_flex", "gemini/google_priority", "gemini/google_live_turn",
           "gemini/google_tier_header"}  # fmt: skip
"""What the SDK's types have no field for: it reaches nobody (the tier comes by a header, live turns by a socket)."""


def claude(name: str, data: dict[str, Any], raw: bool) -> Surface:
    """The row's request through `messages.create`; what that has no name for goes into the body beside it."""
    streamed = "chunks" in data
    asked = {"max_tokens": 9, "messages": [], **data["request"]} | ({"stream": True} if streamed else {})

    def make(client: Any) -> Any:
        resource = client.beta.messages
        known = inspect.signature(resource.create).parameters
        unknown = {key: value for key, value in asked.items() if key not in known}
        arguments = {key: value for key, value in asked.items() if key in known}
        caller = (resource.with_raw_response if raw else resource).create
        return caller(**arguments, **({"extra_body": unknown} if unknown else {}))

    use = ("parsed each" if streamed else "parsed") if raw else ("each" if streamed else "value")
    return Surface(name, use, make, client=CLAUDE[data["provider"]])


def gemini(name: str, data: dict[str, Any]) -> Surface:
    """The row's model, asked for its answer; its parameters are read as plain dicts elsewhere."""
    ask = {"model": data["request"]["model"], "contents": "Say hello."}
    if "chunks" in data:
        return Surface(name, "each", lambda c: c.models.generate_content_stream(**ask), client=GEMINI[data["provider"]])
    return Surface(name, "value", lambda c: c.models.generate_content(**ask), client=GEMINI[data["provider"]])


def answer(bench: Bench, data: dict[str, Any]) -> None:
    """Has the server send the row's body next."""
    if "chunks" in data:
        bench.server.reply(chunks=[chunk for chunk in data["chunks"] if chunk is not None])
    else:
        bench.server.reply(body=json.dumps(data["response"]))


def timeless(pieces: list[str]) -> list[str]:
    """What the caller saw, without the time at which the server said it."""
    return [re.sub(r"\d\d:\d\d:\d\d GMT", "#", piece) for piece in pieces]


def check(bench: Bench, made: Surface, data: dict[str, Any], mode: str) -> None:
    """One record, as the row has it; the caller sees what he would without us."""
    if bench.clients[made.client][0] is None:
        pytest.skip("this version of the SDK has no such client")
    with bench.bare():
        answer(bench, data)
        expected = timeless(seen(offered(made, bench, mode)))
    bench.clear()
    answer(bench, data)
    assert timeless(seen(made.run(bench, mode))) == expected
    record, expect = bench.one(), data["expect"]
    assert record["provider"] == data["provider"]
    assert record.get("usage") == (expect["usage"] or None)
    cut = "chunks" in data and expect.get("finished") is False
    assert record.get("finish", []) == (expect["finish"] or (["error"] if cut else []))
    assert record.get("served") == expect["model"]
    for key, ours in (("tier", "tier"), ("error", "error"), ("id", "response_id")):
        if key in expect:
            assert record.get(ours) == expect[key]
    if "cost_usd" in expect:
        cost = expect["cost_usd"]
        assert record.get("cost") == (None if cost is None else int(Decimal(cost) * USD))
        assert record["cost_status"] == expect.get("cost_status", record["cost_status"])


@pytest.mark.parametrize("name", CLAUDE_ROWS)
@pytest.mark.parametrize("raw", [False, True], ids=["parsed", "raw"])
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_claude_through_the_sdk_is_what_the_row_says(bench: Bench, mode: str, raw: bool, name: str) -> None:
    """Model, reasons, usage, tier and cost of the record are the row's, on each platform's own client."""
    data = json.loads(TEXTS[name])
    check(bench, claude(name, data, raw), data, mode)


def checked(name: str) -> Any:
    """The row's name; a prompt that was blocked has no answer, and so neither a reason nor an id."""
    return pytest.param(name, marks=pytest.mark.odd("no answer")) if name.endswith("blocked") else name


@pytest.mark.parametrize("name", [checked(name) for name in GEMINI_ROWS if name not in DROPPED])
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_gemini_through_the_sdk_is_what_the_row_says(bench: Bench, mode: str, name: str) -> None:
    """The same, on the Gemini API and on Vertex AI."""
    data = json.loads(TEXTS[name])
    check(bench, gemini(name, data), data, mode)
