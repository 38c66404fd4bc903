"""The local store: what goes in once, what stays, and what can be asked of it."""

from __future__ import annotations

import fcntl
import json
import os
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from stores import HEADER, NOON, ids, line, segment

from hexr_instrument.call import USD
from hexr_instrument.store import Filter, Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store that does not exist yet."""
    return Store(tmp_path / "store")


# -- taking in


def test_a_store_that_was_never_written_is_empty_and_is_not_made(store: Store) -> None:
    """Asking makes nothing on disk."""
    assert (store.costs(), store.calls(), store.ingest_all(), store.prune()) == ([], [], 0, 0)
    assert store.state().covers_since is None
    assert not store.directory.exists()


def test_calls_one_by_one_have_the_columns_that_are_asked_for_or_none(store: Store) -> None:
    """Row and facet alone, or with what is named."""
    store.ingest(segment(store, "1-1-a", line(1), line(2)))
    assert [len(each) for each in store.each()] == [2, 2]
    assert [each[2:] for each in store.each(Filter(), "cost", "duration")] == [(USD // 100, 10**9)] * 2


def test_every_field_of_a_line_comes_back(store: Store) -> None:
    """A record is what the journal line said."""
    fields = {
        "parent": "00000000000000ff",
        "served": "gpt-4o-2024-08-06",
        "tenant": "acme",
        "role": "writer",
        "labels": {"team": "search"},
        "usage": {
            "input": 5,
            "output": 4,
            "cache_read": 3,
            "cache_write": 2,
            "reasoning": 1,
            "web_searches": 7,
        },
        "error": "openai.RateLimitError",
        "status": 429,
        "stream": True,
        "first_chunk": 250,
        "finish": ["stop"],
        "response_id": "resp-1",
        "params": {"temperature": 0},
    }
    store.ingest(segment(store, "1-1-a", line(1, **fields)))
    [record] = store.calls()
    assert (record.id, record.trace, record.parent) == (f"{1:016x}", f"{1:032x}", fields["parent"])
    assert (record.start, record.duration, record.first_chunk) == (NOON + 1, 10**9, 250)
    assert (record.usage, record.labels, record.finish) == (
        fields["usage"],
        fields["labels"],
        fields["finish"],
    )
    assert (record.response_id, record.status, record.stream, record.sampled) == ("resp-1", 429, True, True)
    assert (record.run, record.service, record.cost) == (HEADER["run"], "shop", USD // 100)
    assert record.facet._asdict() == {
        "agent": "crew",
        "tenant": "acme",
        "role": "writer",
        "provider": "openai",
        "requested": "gpt-4o",
        "served": "gpt-4o-2024-08-06",
        "operation": "chat",
        "cost_status": "priced",
        "cost_source": "table",
        "error": "openai.RateLimitError",
    }


def test_a_segment_goes_in_once(store: Store) -> None:
    """Lines that were taken in are passed over, and so are their copies in another segment."""
    path = segment(store, "1-1-a", line(1), line(2))
    assert [store.ingest(path), store.ingest(path)] == [2, 0]
    assert store.ingest(segment(store, "1-2-b", line(2), line(3))) == 1
    assert sorted(ids(store)) == [f"{number:016x}" for number in (1, 2, 3)]


def test_a_torn_line_is_read_when_it_is_whole(store: Store) -> None:
    """What has no line end is not read yet."""
    path = segment(store, "1-1-a", line(1))
    torn = json.dumps(line(2)).encode()
    with path.open("ab") as file:
        file.write(torn[:40])
        file.flush()
        assert store.ingest(path) == 1
        file.write(torn[40:] + b"\n")
    assert store.ingest(path) == 1
    assert store.state().skipped == 0


def test_a_line_longer_than_one_read_comes_in(store: Store) -> None:
    """Content in a line may be larger than a chunk."""
    path = segment(store, "1-1-a", line(1, input="x" * (3 << 20)), line(2))
    assert store.ingest(path) == 2


@pytest.mark.parametrize(
    "damaged",
    [
        b"{",
        b"[1]",
        b"\xff\xfe",
        b"[" * 100_000,
        json.dumps(line(1, id="xyz")).encode(),
        json.dumps(line(1, id=None)).encode(),
        json.dumps(line(1, start=None)).encode(),
        json.dumps(line(1, start=-1)).encode(),
        json.dumps(line(1, start=10**30)).encode(),
        b'{"kind":"call","id":' + b"9" * 5000 + b"}",
    ],
)
def test_a_damaged_line_is_skipped_and_counted(store: Store, damaged: bytes) -> None:
    """One bad line costs one line."""
    assert store.ingest(segment(store, "1-1-a", line(7), damaged, line(8))) == 2
    assert store.state().skipped == 1


def test_an_empty_line_is_no_damage(store: Store) -> None:
    """A writer puts one where a write failed before its first byte."""
    assert store.ingest(segment(store, "1-1-a", line(1), b"", line(2))) == 2
    assert store.state().skipped == 0


@pytest.mark.parametrize("other", [line(2, op="fetch_response"), {"kind": "agent", "name": "crew"}, {"kind": "new"}])
def test_what_is_no_call_is_passed_over(store: Store, other: dict[str, Any]) -> None:
    """Fetched responses, agents and kinds of the future are neither calls nor damage."""
    assert store.ingest(segment(store, "1-1-a", line(1), other)) == 1
    assert store.state().skipped == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"cost": 10**30},
        {"cost": True},
        {"usage": {"input": 10**30, "output": -1, "reasoning": True, "x": "y"}},
        {"agent": "\ud800", "labels": {"a\udfff": "b", "c": 3}},
        {"agent": "x" * 10_000},
        {"agent": 5, "model": None, "provider": [], "finish": "stop", "labels": [], "usage": 3},
        {"end": None},
        {"trace": "short"},
    ],
)
def test_an_odd_value_does_not_lose_the_call(store: Store, fields: dict[str, Any]) -> None:
    """What cannot be kept is unknown; the call counts."""
    assert store.ingest(segment(store, "1-1-a", line(1, **fields), line(2))) == 2
    assert sum(row.calls for row in store.costs()) == len(store.calls()) == 2
    if "cost" in fields:
        assert [row.unpriced for row in store.costs()] == [1]


def test_a_segment_that_is_not_to_be_kept_stays_as_it_is(store: Store) -> None:
    """`keep: false` waits for its endpoint."""
    path = segment(store, "1-1-a", line(1), keep=False)
    assert (store.ingest(path), store.ingest_all(), path.exists()) == (0, 0, True)


def test_a_segment_of_a_newer_format_stays_as_it_is(store: Store) -> None:
    """A newer hexr-instrument will read it."""
    path = segment(store, "1-1-a", line(1), v=2)
    assert (store.ingest_all(), path.exists()) == (0, True)


def test_a_segment_without_its_header_still_gives_its_calls(store: Store) -> None:
    """A damaged first line costs the run and the service, not the calls."""
    path = segment(store, "1-1-a", line(1))
    path.write_bytes(b"damaged" + path.read_bytes())
    assert (store.ingest_all(), store.state().skipped) == (1, 1)


# -- segments that may go


def test_a_segment_in_the_store_whose_writer_is_gone_is_removed(store: Store) -> None:
    """Also if the process that took it in died before it could remove it."""
    path = segment(store, "1-1-a", line(1))
    assert store.ingest(path) == 1
    assert path.exists()
    assert (store.ingest_all(), path.exists(), len(ids(store))) == (0, False, 1)


def test_a_segment_whose_writer_lives_is_never_removed(store: Store) -> None:
    """The lock says that more may come."""
    path = segment(store, "1-1-a", line(1))
    with path.open("ab") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        assert (store.ingest_all(), path.exists()) == (1, True)
        writer.write(json.dumps(line(2)).encode() + b"\n")
    assert (store.ingest_all(), path.exists()) == (1, False)


def test_a_file_that_was_just_made_is_left_alone(store: Store) -> None:
    """Its writer has not locked it yet; after an hour without a header there is none."""
    segment(store, "1-1-a")
    fresh = store.journal / "2-2-b.jsonl"
    fresh.write_bytes(b'{"v":1,')
    store.ingest_all()
    assert fresh.exists()
    os.utime(fresh, (time.time() - 7200, time.time() - 7200))
    store.ingest_all()
    assert not fresh.exists()


def test_a_segment_with_a_destination_stays_until_it_was_delivered(store: Store) -> None:
    """The worker notes beside it how much of it the endpoint has."""
    path = segment(store, "1-1-a", line(1), destination="abc")
    assert (store.ingest_all(), path.exists()) == (1, True)
    sent = path.with_suffix(".sent")
    sent.write_text(f"{path.stat().st_size:020d}")
    assert (store.ingest_all(), path.exists(), sent.exists()) == (0, False, False)


def test_links_and_directories_in_the_journal_are_left_alone(store: Store, tmp_path: Path) -> None:
    """Only regular files are segments."""
    path = segment(store, "1-1-a", line(1))
    elsewhere = path.rename(tmp_path / "elsewhere")
    (store.journal / "2-2-b.jsonl").symlink_to(elsewhere)
    (store.journal / "3-3-c.jsonl").mkdir()
    os.mkfifo(store.journal / "4-4-d.jsonl")
    assert store.ingest_all() == 0
    assert len(list(store.journal.iterdir())) == 3


# -- asking


def test_the_model_of_a_group_is_the_one_that_served(store: Store) -> None:
    """Or the requested one, where nobody said which one served."""
    store.ingest(segment(store, "1-1-a", line(1, served="gpt-4o-2024-08-06"), line(2), line(3, model=None)))
    assert {row.group for row in store.costs(("model",))} == {("gpt-4o-2024-08-06",), ("gpt-4o",), (None,)}
    assert {row.group for row in store.costs(("requested",))} == {("gpt-4o",), (None,)}


def test_calls_are_counted_by_what_is_known_of_their_cost(store: Store) -> None:
    """An unknown cost is None, and a failed call that used nothing is not missing its usage."""
    unknown = {"cost": None}
    lines = [
        line(1),
        line(2, **unknown, cost_status="unpriced"),
        line(3, **unknown, cost_status="priced"),
        line(4, **unknown, usage=None, cost_status="no_usage"),
        line(5, **unknown, usage=None, cost_status="no_usage", error="openai.APIError"),
        line(6, cost_status="partial", error="cancelled"),
        line(7, cost=0),
    ]
    store.ingest(segment(store, "1-1-a", *lines))
    [row] = store.costs()
    assert (row.calls, row.priced, row.unpriced, row.no_usage, row.partial, row.failed) == (7, 2, 2, 1, 1, 2)
    assert (row.cost, row.input, row.unpriced_input, row.unpriced_output) == (2 * USD // 100, 6000, 2400, 680)
    assert {row.group[0]: row.cost for row in store.costs(("cost_status",))} == {
        "priced": USD // 100,
        "partial": USD // 100,
        "unpriced": None,
        "no_usage": None,
    }


def test_sums_do_not_overflow(store: Store) -> None:
    """Totals beyond 64 bits are exact."""
    store.ingest(segment(store, "1-1-a", *(line(at, cost=9 * 10**18 + at) for at in range(5))))
    assert [row.cost for row in store.costs()] == [45 * 10**18 + 10]


def test_rows_are_ordered_by_cost_then_name(store: Store) -> None:
    """The most expensive first; what has no known cost last."""
    calls = [("b", 5), ("a", 5), ("dear", 9), ("unknown", None)]
    store.ingest(segment(store, "1-1-a", *(line(at, agent=name, cost=cost) for at, (name, cost) in enumerate(calls))))
    assert [row.group[0] for row in store.costs(("agent",))] == ["dear", "a", "b", "unknown"]


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        (Filter(), {1, 2, 3, 4}),
        (Filter(agent=("a",)), {1, 2}),
        (Filter(agent=("a",), role=("r",)), {1}),
        (Filter(agent=("a", "b")), {1, 2, 3}),
        (Filter(agent=("",)), {4}),
        (Filter(tenant=("t",)), {3}),
        (Filter(provider=("azure",)), {4}),
        (Filter(model=("gpt-4o",)), {1, 2, 3}),
        (Filter(model=("dated",)), {2}),
        (Filter(since=NOON + 2), {2, 3, 4}),
        (Filter(since=NOON + 2, until=NOON + 4), {2, 3}),
        (Filter(run="bb"), {3, 4}),
        (Filter(run="bb", agent=("b",), until=NOON + 4), {3}),
        (Filter(run="last"), {3, 4}),
        (Filter(run="none"), set[int]()),
    ],
)
def test_filters_choose_the_same_calls_in_sums_and_lists(store: Store, only: Filter, expected: set[int]) -> None:
    """Names, times and runs, alone and together."""
    first = [line(1, agent="a", role="r"), line(2, agent="a", served="dated")]
    second = [line(3, agent="b", tenant="t"), line(4, agent=None, model="o3", provider="azure")]
    segment(store, "2000-1-a", *second, run="bb")
    segment(store, "1000-1-a", *first, run="aa")
    segment(store, "3000-1-a", run="cc")
    store.ingest_all()
    assert {int(record.id, 16) for record in store.calls(10, only)} == expected
    for by in (("agent",), ("run",), ("team",), ("day",), ("day", "service")):
        assert sum(row.calls for row in store.costs(by, only)) == len(expected)


def test_groups_may_be_labels_resource_attributes_runs_and_services(store: Store) -> None:
    """What the narrow index does not hold is read from the calls and their segments."""
    segment(store, "1-1-a", line(1, labels={"team": "search"}), line(2, labels={"team": "ads"}), line(3))
    segment(store, "2-1-a", line(4), run="bb", service=None, resource=None)
    store.ingest_all()

    def counts(*by: str) -> dict[tuple[str | None, ...], int]:
        return {row.group: row.calls for row in store.costs(by)}

    assert counts("team") == {("search",): 1, ("ads",): 1, (None,): 2}
    assert counts("run", "service") == {(HEADER["run"], "shop"): 3, ("bb", None): 1}
    assert counts("service.version") == {("1.2",): 3, (None,): 1}
    assert counts("model", "team", "day") == {
        ("gpt-4o", "search", "2026-11-20"): 1,
        ("gpt-4o", "ads", "2026-11-20"): 1,
        ("gpt-4o", None, "2026-11-20"): 2,
    }


def test_days_begin_at_midnight_of_the_zone(store: Store) -> None:
    """Also on the day when the clocks change, and years apart."""
    berlin = ZoneInfo("Europe/Berlin")
    moments = [
        datetime(1970, 1, 2, tzinfo=timezone.utc),
        datetime(2026, 10, 24, 21, 59, tzinfo=timezone.utc),
        datetime(2026, 10, 24, 22, 0, tzinfo=timezone.utc),  # midnight in Berlin; this day has 25 hours
        datetime(2026, 10, 25, 22, 59, tzinfo=timezone.utc),
        datetime(2026, 10, 25, 23, 0, tzinfo=timezone.utc),
    ]
    lines = [line(at, start=int(moment.timestamp()) * 10**9) for at, moment in enumerate(moments)]
    store.ingest(segment(store, "1-1-a", *lines))
    assert {row.group[0]: row.calls for row in store.costs(("day",), zone=berlin)} == {
        "1970-01-02": 1,
        "2026-10-24": 1,
        "2026-10-25": 2,
        "2026-10-26": 1,
    }
    assert {row.group[0] for row in store.costs(("day",))} == {"1970-01-02", "2026-10-24", "2026-10-25"}


def test_the_newest_calls_come_first(store: Store) -> None:
    """However they are spread over agents, and no more than asked for."""
    store.ingest(segment(store, "1-1-a", *(line(at, agent=f"agent-{at % 7}") for at in range(100))))
    assert [int(record.id, 16) for record in store.calls(5)] == [99, 98, 97, 96, 95]


def test_the_state_names_the_price_tables(store: Store) -> None:
    """Each table once."""
    segment(store, "1-1-a", line(1))
    segment(store, "2-1-a", line(2))
    segment(store, "3-1-a", line(3), prices="custom")
    store.ingest_all()
    assert store.state().prices == ("custom", "genai-prices 0.2.3")
