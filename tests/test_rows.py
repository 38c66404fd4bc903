"""Recorded bodies through the real SDK: the server sends them word for word, and the record says what the row says.

The rows are those of test_wire.py, which reads them as plain dicts; here the SDK parses them, sync and async, whole and
streamed, directly and as a raw response.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import openai
import pytest
from test_surfaces import (
    Bench,
    Seen,
    Surface,
    bench,  # noqa: F401  (a fixture)
    failure,
    offered,
    seen,
    shared,  # noqa: F401  (a fixture)
)
from test_wire import ROWS, TEXTS

from hexr_instrument.call import USD

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning"),
]

METHODS = {
    "chat": ("chat.completions", "create"),
    "completions": ("completions", "create"),
    "embeddings": ("embeddings", "create"),
    "responses": ("responses", "create"),
    "decisions": ("decisions", "create"),
    "images": ("images", "generate"),
    "transcriptions": ("audio.transcriptions", "create"),
    "videos": ("videos", "create"),
}
"""Format -> where the SDK's method is."""
REQUIRED = {
    "chat": {"messages": []},
    "completions": {"prompt": "hello"},
    "embeddings": {"input": "hello"},
    "decisions": {"input": "hello"},
    "transcriptions": {"file": ("a.wav", b"RIFF")},
    "videos": {"prompt": "A cat."},
}
ENDED = ("chat", "completions")
"""Formats whose streams end with a message that is no JSON."""
UNSAID = {"chat/more_cached_than_asked", "responses/openai_compact", "decisions/openai_plain"}
"""Rows whose answers leave out, or contradict, what the conventions want of a span."""
OPENAI = [
    pytest.param(name, marks=pytest.mark.odd("the row's own")) if "odd" in name or name in UNSAID else name
    for name in ROWS
    if name.partition("/")[0] in METHODS
]


def surface(name: str, data: dict[str, Any], raw: bool) -> Surface:
    """The row's request through the SDK's method; what that has no name for goes into the body beside it."""
    wire = name.partition("/")[0]
    path, method = METHODS[wire]
    streamed = "chunks" in data
    asked = {**REQUIRED.get(wire, {}), **data["request"]} | ({"stream": True} if streamed else {})

    def make(client: Any) -> Any:
        resource = client
        for step in path.split("."):
            resource = getattr(resource, step)
        known = inspect.signature(getattr(resource, method)).parameters
        if streamed and "stream" not in known:
            pytest.skip("not streamed in this version of the SDK")
        unknown = {key: value for key, value in asked.items() if key not in known}
        arguments = {key: value for key, value in asked.items() if key in known}
        caller: Callable[..., Any] = getattr(resource.with_raw_response if raw else resource, method)
        return caller(**arguments, **({"extra_body": unknown} if unknown else {}))

    use = ("parsed each" if streamed else "parsed") if raw else ("each" if streamed else "value")
    return Surface(name, use, make)


def answer(bench: Bench, name: str, data: dict[str, Any]) -> None:
    """Has the server send the row's body next."""
    if "chunks" in data:
        ending = ["[DONE]"] if name.partition("/")[0] in ENDED else []
        bench.server.reply(chunks=[chunk for chunk in data["chunks"] if chunk is not None] + ending)
    else:
        bench.server.reply(body=json.dumps(data["response"]))


@pytest.mark.parametrize("name", OPENAI)
@pytest.mark.parametrize("raw", [False, True], ids=["parsed", "raw"])
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_recorded_body_through_the_sdk_is_what_the_row_says(bench: Bench, mode: str, raw: bool, name: str) -> None:
    """One record, whose model, reasons, usage, tier, error and cost are the row's; the caller sees what he would."""
    data = json.loads(TEXTS[name])
    expect = data["expect"]
    if name.startswith("embeddings/") and tuple(map(int, openai.__version__.split(".")[:2])) < (1, 60):
        pytest.importorskip("numpy")  # what the SDK unpacks vectors with, until it can do without
    made = surface(name, data, raw)

    def run() -> Any:
        """What the caller gets: all that he sees, or the exception."""
        found: Seen = []
        error = failure(Surface(name, made.use, lambda c: made.make(c)), bench, mode) if "odd" in name else None
        if error is None and "odd" not in name:
            found = seen(offered(made, bench, mode))
        return error or found

    with bench.bare():
        answer(bench, name, data)
        expected = run()
    bench.clear()
    answer(bench, name, data)
    assert run() == expected
    if data["request"].get("background"):
        assert not bench.records, "it is recorded when it is fetched"
        return
    record = bench.one()
    if "odd" in name:
        return
    usage = {unit: count for unit, count in record.get("usage", {}).items() if unit != "stated_total"}
    assert usage == (expect["usage"] or {})
    assert record.get("finish", []) == (["error"] if name.endswith("stream_cut") else expect["finish"])
    assert record.get("served") == expect["model"]
    for key, ours in (("tier", "tier"), ("error", "error"), ("id", "response_id")):
        if key in expect:
            assert record.get(ours) == expect[key]
    if "stated_usd" in expect and expect["stated_usd"] is not None:
        assert record["cost_source"] == "provider"
    if data["provider"] == "openai" and "cost_usd" in expect:
        cost = expect["cost_usd"]
        assert record.get("cost") == (None if cost is None else int(Decimal(cost) * USD))
        assert record["cost_status"] == expect.get("cost_status", record["cost_status"])
