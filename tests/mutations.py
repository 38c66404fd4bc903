"""Damaged provider payloads: a recorded one, changed in as many places as somebody else chooses.

`choose(n)` is the only source of chance, a number from 0 to n - 1: hypothesis draws it in the tests, atheris in `fuzz/`.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from test_wire import FORMATS, MOMENT, TEXTS

from hexr_instrument import telemetry
from hexr_instrument.call import LARGEST_COUNT, Call, Caller, Format, Request
from hexr_instrument.providers import PROVIDERS
from hexr_instrument.recorder import price
from hexr_instrument.store import lines

Choose = Callable[[int], int]

DEEP: Any = []
for _ in range(200):
    DEEP = [DEEP]
NO_COUNTS: tuple[Any, ...] = (
    -1, -(2**63), True, 1.5, float("nan"), float("inf"), 2**53, 2**64, 10**400, "n/a", "12", "", [1], {"x": 1},
)  # fmt: skip
"""What a count must not be."""
ODD: tuple[Any, ...] = (
    None, False, 0, 7, 5.0, -1.5, float("-inf"), [], {}, [None], {"x": None}, {"usage": 1}, "\ud800", "\0", "x" * 5000,
    DEEP, object(), *NO_COUNTS,
)  # fmt: skip
ROWS = {name: json.loads(text) for name, text in TEXTS.items()}


def mutated(value: Any, choose: Choose) -> Any:
    """A copy of `value` with one change somewhere inside."""
    if type(value) is dict and value and choose(4):
        key = list(value)[choose(len(value))]
        if not choose(6):
            return {name: each for name, each in value.items() if name != key}
        return {**value, key: mutated(value[key], choose)}
    if type(value) is list and value and choose(4):
        at = choose(len(value))
        inner = value[at]
        changed = ([], [inner, inner], [mutated(inner, choose)], [mutated(inner, choose)])[choose(4)]
        return [*value[:at], *changed, *value[at + 1 :]]
    if not choose(8):
        return [value]
    if not choose(8):
        return {"x": value}
    return ODD[choose(len(ODD))]


def shuffled(chunks: list[Any], choose: Choose) -> list[Any]:
    """The chunks with some dropped, doubled, swapped, cut off or damaged."""
    chunks = list(chunks)
    for _ in range(choose(4)):
        if not chunks:
            break
        at, other = choose(len(chunks)), choose(len(chunks))
        match choose(5):
            case 0:
                del chunks[at]
            case 1:
                chunks.insert(other, chunks[at])
            case 2:
                chunks[at], chunks[other] = chunks[other], chunks[at]
            case 3:
                del chunks[at:]
            case _:
                chunks[at] = mutated(chunks[at], choose)
    return chunks


def objects(value: Any) -> Any:
    """The same as an SDK's objects have it: attributes instead of keys."""
    if type(value) is dict:
        return SimpleNamespace(**{str(name): objects(each) for name, each in value.items()})
    return [objects(each) for each in value] if type(value) is list else value


def read(name: str, choose: Choose) -> Call:
    """A damaged row, read, priced and written as a record and a store's entry; every promise of it is asserted."""
    data = ROWS[name]
    wire: Format = FORMATS[name.partition("/")[0]]
    body = data["request"]
    for _ in range(choose(3)):
        body = mutated(body, choose)
    google = name.startswith(("gemini", "embed_content"))
    asked = wire.request(body["config"] if google and type(body) is dict and "config" in body else body)
    payload: Any = None
    if "chunks" in data:
        for chunk in shuffled(copy.deepcopy(data["chunks"]), choose):
            if chunk is None:
                continue
            before = repr(chunk)
            wire.substance(chunk)
            if wire.usage_only is not None:
                wire.usage_only(chunk)
            if wire.answer is not None:
                assert type(wire.answer(chunk)) is str
            payload = wire.fold(payload, chunk)
            assert repr(chunk) == before, "the chunk is the caller's"
    else:
        payload = data["response"]
        for _ in range(choose(4)):
            payload = mutated(payload, choose)
        if not choose(4):
            payload = objects(payload)
    model = ("gpt-4o", None, "m" * 5000)[choose(3)]
    request = Request(wire, data["provider"], model, stream="chunks" in data, parameters=asked)
    call = Call(request, Caller(), 1, 1, None, sampled=True, start=int(MOMENT.timestamp()) * 10**9)
    call.end = call.start + 5
    call.response = None if payload is None else wire.response(payload)
    call.partial = request.stream and not wire.finished(payload)
    price(call)
    check(call)
    return call


def check(call: Call) -> None:
    """No number in a call is one that the provider cannot have meant, and only a whole bill is `priced`."""
    usage = call.response.usage if call.response else None
    known = usage.known() if usage else {}
    assert all(type(count) is int and 0 <= count < LARGEST_COUNT for count in known.values()), known
    assert call.cost is None or (type(call.cost) is int and call.cost >= 0)
    bound = call.partial or (call.response is not None and call.response.lower_bound)
    assert (call.cost_status == "priced") == (call.cost is not None and not bound)
    if call.cost_source == "table":
        assert known.get("cache_read", 0) <= known.get("input", 0)
    record = telemetry.of_call(call)
    for value in telemetry.attributes(record).values():
        for each in value if type(value) is list else [value]:
            assert type(each) in (str, bool, int, float), (value, record)
            assert type(each) is not int or -(2**63) <= each < 2**63
            assert type(each) is not float or each - each == 0, "neither NaN nor infinite"
    telemetry.span_name(record)
    line = json.dumps(record, default=str).encode()
    entry = lines.read_entry(line)
    assert entry is not None


def reads_requests(choose: Choose) -> None:
    """Each provider's reader of requests takes whatever an SDK, or a program that calls it wrongly, hands over."""
    provider = PROVIDERS[choose(len(PROVIDERS))]
    target = provider.targets[choose(len(provider.targets))].name
    url = ("/chat/completions", "/v1/messages", "/responses", "?", "", None)[choose(6)]
    options: Any = {"method": "post", "url": url, "json_data": {"model": "gpt-4o", "stream": True}, "extra_json": None}
    client: Any = {"_base_url": {"host": "api.openai.com", "port": None, "scheme": "https"}, "_api_client": {}}
    kwargs: Any = {"options": options, "model": "models/gemini", "config": {"http_options": {"base_url": "http://h:1"}}}
    for _ in range(choose(4)):
        options, client, kwargs = mutated(options, choose), mutated(client, choose), mutated(kwargs, choose)
    args = (None, options if choose(2) else objects(options))[: choose(3)]
    found = provider.request(objects(client), args, kwargs if type(kwargs) is dict else {}, target)
    if found is not None:
        assert type(found.provider) is str
        assert found.model is None or type(found.model) is str
        assert found.port is None or 0 <= found.port < 1 << 16
