"""Every reader, on damaged payloads: never an exception, never a wrong number that is reported as right."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutations import NO_COUNTS, ODD, ROWS, check, mutated, objects, read, reads_requests
from test_wire import FORMATS, MOMENT

from hexr_instrument import journal, pricing
from hexr_instrument.call import LARGEST_COUNT, Call, Caller, Request, Usage, number
from hexr_instrument.recorder import price
from hexr_instrument.store import Store, lines

steady = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
"""The same examples in each run: new ones are for the fuzzer to find."""


def chooser(data: st.DataObject) -> Any:
    return lambda count: data.draw(st.integers(0, count - 1))


@pytest.mark.parametrize("name", sorted({each.partition("/")[0] for each in ROWS}))
@steady
@given(data=st.data())
def test_a_damaged_exchange_is_read_without_fault(name: str, data: st.DataObject) -> None:
    """Bodies and streams with values replaced, retyped, nested, dropped, doubled, swapped or cut: see `check`."""
    rows = [each for each in ROWS if each.startswith(name + "/")]
    read(rows[data.draw(st.integers(0, len(rows) - 1))], chooser(data))


@steady
@given(data=st.data())
def test_a_damaged_request_is_read_without_fault(data: st.DataObject) -> None:
    """Whatever the SDK hands over as client, options and arguments."""
    reads_requests(chooser(data))


def counts(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all whole numbers inside of `value`."""
    if type(value) is int:
        return [path]
    inner = value.items() if type(value) is dict else enumerate(value) if type(value) is list else ()
    return [found for key, each in inner for found in counts(each, (*path, key))]


USAGES = [
    (name, key, path)
    for name, data in ROWS.items()
    if "odd" not in name and data["expect"].get("cost_usd") and data["expect"].get("cost_source", "table") == "table"
    for key in ("usage", "usageMetadata", "usage_metadata")
    if "response" in data and type(data["response"]) is dict
    for path in counts(data["response"].get(key, {}))
    if "embed" not in name and path[-1] != "seconds"  # a length may be a fraction, or be said a second time
]


@pytest.mark.parametrize("kind", [dict, object], ids=["wire", "objects"])
@pytest.mark.parametrize(("name", "key", "path"), USAGES, ids=[f"{n} {'.'.join(map(str, p))}" for n, _, p in USAGES])
def test_a_bill_with_one_wrong_count_is_not_priced(name: str, key: str, path: tuple[Any, ...], kind: type) -> None:
    """Negative, true, fractional, infinite, absurd or textual: the call is not `priced`, and the count is not there."""
    data = ROWS[name]
    wire = FORMATS[name.partition("/")[0]]
    for wrong in NO_COUNTS:
        payload = copy.deepcopy(data["response"])
        inner: Any = payload[key]
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = wrong
        request = Request(wire, data["provider"], data["request"].get("model"))
        call = Call(request, Caller(), 1, 1, None, sampled=True, start=int(MOMENT.timestamp()) * 10**9)
        call.end = call.start
        call.response = wire.response(payload if kind is dict or key != "usage" else objects(payload))
        price(call)
        check(call)
        assert call.cost_status != "priced" or call.cost_source == "provider", wrong


@pytest.mark.parametrize("wrong", NO_COUNTS, ids=repr)
def test_what_is_no_count_is_no_number(wrong: object) -> None:
    """`number` reads counts, and nothing else."""
    assert number({"n": wrong}, "n") in (None, 2**53 if LARGEST_COUNT > 2**53 else None)


count = st.one_of(st.none(), st.integers(0, 3), st.integers(0, LARGEST_COUNT - 1))


@steady
@given(values=st.lists(count, min_size=12, max_size=12), tier=st.sampled_from([None, "flex", "batch", "x", ""]),
       model=st.sampled_from(["gpt-4o", "claude-sonnet-4-5", "gemini-2.5-pro", "gpt-4o-audio-preview", "", None, "\0"]),
       provider=st.sampled_from(["openai", "anthropic", "gcp.gemini", "huggingface", "", "x" * 900]),
       when=st.integers(-(2**62), 2**62))  # fmt: skip
def test_any_usage_has_a_cost_or_none(
    values: list[int | None], tier: str | None, model: str | None, provider: str, when: int
) -> None:
    """Whatever the counts, the name, the tier and the time: an exact amount, not negative, or none."""
    found = pricing.cost(Usage(*values), provider, model, when, tier=tier)
    assert found is None or (type(found) is int and found >= 0)
    explained = pricing.explain(Usage(*values), provider, model, when, tier=tier)
    assert explained.cost == found


LINE = {
    "kind": "call", "id": "00f067aa0ba902b7", "trace": "4bf92f3577b34da6a3ce929d0e0e4736", "sampled": True, "start": 5,
    "end": 9, "op": "chat", "provider": "openai", "model": "gpt-4o", "usage": {"input": 3, "output": 4}, "cost": 47,
    "cost_status": "priced", "labels": {"team": "search"}, "finish": ["stop"], "stream": True, "status": 200,
}  # fmt: skip


def encoded(value: Any) -> bytes:
    return json.dumps(value, default=str).encode("utf-8", "surrogatepass")


@steady
@given(data=st.data(), noise=st.binary(max_size=60))
def test_a_damaged_segment_costs_its_damaged_lines_only(
    data: st.DataObject, noise: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The journal's reader and the store take what is whole, whoever wrote what around it."""
    choose = chooser(data)
    damaged = [encoded(mutated(mutated(LINE, choose), choose)) for _ in range(3)]
    good = encoded({**LINE, "id": "00000000000000ff"})
    header = encoded(mutated({"v": 1, "kind": "segment", "pid": 1, "run": "r", "keep": True, "resource": {}}, choose))
    for line in (*damaged, noise, header):
        try:
            lines.read_entry(line)
        except ValueError:
            pass
        lines.read_header(line)
    store = tmp_path_factory.mktemp("store")
    (store / "journal").mkdir()
    path = store / "journal" / "1-1-0000.jsonl"
    path.write_bytes(b"\n".join([b'{"v":1,"kind":"segment","keep":true}', *damaged, noise, good]) + b"\n")
    found, end = journal.lines(path)
    assert end == path.stat().st_size
    assert json.loads(good) in found
    Store(store).ingest(path)
    with Store(store).connect() if hasattr(Store, "connect") else _connection(store) as connection:
        (there,) = connection.execute(
            "SELECT count(*) FROM calls WHERE id = ?", (bytes.fromhex("00000000000000ff"),)
        ).fetchone()
        (wrong,) = connection.execute(
            "SELECT count(*) FROM calls WHERE input < 0 OR output < 0 OR duration < 0"
        ).fetchone()
    assert (there, wrong) == (1, 0)


def _connection(store: Path) -> Any:
    import contextlib
    import sqlite3

    return contextlib.closing(sqlite3.connect(store / "hexr.db"))


def test_the_odd_values_are_odd() -> None:
    """The values that payloads are damaged with are of every kind that JSON and the SDKs have."""
    assert {type(each) for each in ODD} >= {type(None), bool, int, float, str, list, dict, object}
