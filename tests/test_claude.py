"""What only Anthropic has: batches, iterations and prices of their own, in a program under the launcher."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from typing import Any

import pytest
from support import Run, alike

from hexr_instrument.demo.providers import ProviderServer

MESSAGE = {"model": "claude-opus-5-5", "max_tokens": 100, "messages": [{"role": "user", "content": "Say hello."}]}
BATCH = {
    "id": "msgbatch_1",
    "type": "message_batch",
    "processing_status": "in_progress",
    "request_counts": {"processing": 3, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0},
    "created_at": "2026-11-20T12:00:00Z",
    "expires_at": "2026-11-21T12:00:00Z",
}


def message(identifier: str, model: str, **usage: Any) -> dict[str, Any]:
    """A message as a batch's result or a scripted answer has it."""
    return {
        "id": identifier,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [{"type": "text", "text": "Hello."}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, **usage},
    }


def line(name: str, result: dict[str, Any]) -> str:
    """One line of a batch's results."""
    return json.dumps({"custom_id": name, "result": result})


RESULTS = "\n".join(
    [
        line("a", {"type": "succeeded", "message": message(
            "msg_1", "claude-opus-5-5", input_tokens=1000, output_tokens=100, service_tier="batch")}),
        line("b", {"type": "succeeded", "message": message(
            "msg_2", "claude-sonnet-5", input_tokens=2000, output_tokens=200, service_tier="batch")}),
        line("c", {"type": "errored", "error": {"type": "error", "error": {"type": "api_error", "message": "no"}}}),
        line("d", {"type": "expired"}),
    ]
)  # fmt: skip
ENDED = {**BATCH, "processing_status": "ended", "results_url": "URL/v1/messages/batches/msgbatch_1/results"}


def script_batch(providers: ProviderServer, reads: int) -> None:
    """What the server says to a program that creates a batch, polls it, and reads its results so often."""
    ended = json.dumps(ENDED).replace("URL", providers.url)
    providers.reply(body=BATCH, route="/messages/batches")
    providers.reply(body=BATCH, route="/batches/msgbatch_1")
    providers.reply(body=ended, route="/batches/msgbatch_1", times=reads)
    providers.reply(body=RESULTS, headers={"content-type": "application/x-jsonl"}, route="/results", times=reads)


SYNC = """
import anthropic
from hexr import hexr_role

client = anthropic.Anthropic()
batches = client{beta}.messages.batches
with hexr_role("creator"):
    batch = batches.create(requests=[{{"custom_id": "a", "params": {message}}}])
with hexr_role("reader"):
    print(batches.retrieve(batch.id).processing_status)
    for _ in range(2):
        results = batches.results(batch.id)
        print(type(results).__name__, [(each.custom_id, each.result.type) for each in results])
"""
ASYNC = """
import asyncio, anthropic
from hexr import hexr_role

async def main():
    batches = anthropic.AsyncAnthropic(){beta}.messages.batches
    with hexr_role("creator"):
        batch = await batches.create(requests=[{{"custom_id": "a", "params": {message}}}])
    with hexr_role("reader"):
        print((await batches.retrieve(batch.id)).processing_status)
        for _ in range(2):
            results = await batches.results(batch.id)
            print(type(results).__name__, [(each.custom_id, each.result.type) async for each in results])

asyncio.run(main())
"""


def has(module: str) -> bool:
    """Whether this version of the SDK has a module."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # not even its package
        return False


stable = pytest.mark.skipif(
    not has("anthropic.resources.messages.batches"), reason="this version of anthropic has batches in its beta only"
)


@pytest.mark.parametrize("beta", [pytest.param("", marks=stable), ".beta"])
@pytest.mark.parametrize("program", [SYNC, ASYNC], ids=["sync", "async"])
@pytest.mark.odd("a batch has many answers: neither one model nor one reason")
@pytest.mark.surface("anthropic", "batches results")
def test_a_batch_is_billed_once_to_its_creator(run: Run, providers: ProviderServer, program: str, beta: str) -> None:
    """Its record is one, has what all its answers used at each model's batch price, and the role that created it."""
    done = alike(run, providers, program.format(beta=beta, message=MESSAGE), lambda: script_batch(providers, 2))
    (call,) = done.calls
    assert call["role"] == "creator"
    assert (call["op"], call["provider"], call["model"]) == ("chat", "anthropic", "claude-opus-5-5")
    assert (call["usage"]["input"], call["usage"]["output"], call["tier"]) == (3000, 300, "batch")
    # opus at 2 and 10, sonnet at 1 and 5 USD for a million
    assert call["cost"] == (1000 * 2 + 100 * 10 + 2000 * 1 + 200 * 5) * 10**6
    assert (call["cost_status"], call["cost_source"]) == ("priced", "table")


PEEK = """
import anthropic
batches = anthropic.Anthropic().beta.messages.batches
batch = batches.create(requests=[{"custom_id": "a", "params": MESSAGE}])
results = batches.results(batch.id)
print(next(iter(results)).custom_id)
results.http_response.close()
""".replace("MESSAGE", repr(MESSAGE))


def test_results_that_are_not_read_to_their_end_are_a_lower_bound(run: Run, providers: ProviderServer) -> None:
    """What was not read is billed all the same: the cost says that it is at least so much."""

    def script() -> None:
        providers.reply(body=BATCH, route="/messages/batches")
        providers.reply(body=json.dumps(ENDED).replace("URL", providers.url), route="/batches/msgbatch_1")
        providers.reply(body=RESULTS, headers={"content-type": "application/x-jsonl"}, route="/results")

    (call,) = alike(run, providers, PEEK, script).calls
    assert call["cost_status"] == "partial"
    assert call["cost"] == (1000 * 2 + 100 * 10) * 10**6


def test_a_batch_without_an_answer_costs_nothing(run: Run, providers: ProviderServer) -> None:
    """Where every request failed there is nothing to record."""

    def script() -> None:
        providers.reply(body=BATCH, route="/messages/batches")
        providers.reply(body=json.dumps(ENDED).replace("URL", providers.url), route="/batches/msgbatch_1")
        failed = "\n".join(RESULTS.split("\n")[2:])
        providers.reply(body=failed, headers={"content-type": "application/x-jsonl"}, route="/results")

    assert alike(run, providers, PEEK, script).calls == []


ASK = """
import anthropic
client = anthropic.Anthropic()
answer = client.beta.messages.create(**MESSAGE)
print(type(answer).__name__, answer.usage.to_json() if hasattr(answer.usage, "to_json") else answer.usage)
print(client.beta.messages.count_tokens(model="claude-opus-5-5", messages=MESSAGE["messages"]).input_tokens)
""".replace("MESSAGE", repr(MESSAGE))

# USD for a million of claude-opus-5-5: 4 in, 20 out, 0.2 read, 5 and 8 written; of claude-sonnet-5: 2 in, 10 out.
PLAIN = {"input_tokens": 1000, "output_tokens": 100, "service_tier": "standard"}
BILLS: dict[str, tuple[dict[str, Any], int | None]] = {
    "plain": (PLAIN, 6000),
    "cached for an hour and for five minutes": ({
        **PLAIN, "cache_creation_input_tokens": 300, "cache_read_input_tokens": 50, "cache_creation":
        {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200}}, 6000 + 500 + 1600 + 10),
    "searched": ({**PLAIN, "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 1}}, 6000 + 20_000),
    "compacted": ({**PLAIN, "iterations": [
        {"type": "compaction", "input_tokens": 500, "output_tokens": 10, "cache_creation_input_tokens": 0,
         "cache_read_input_tokens": 0},
        {"type": "message", "input_tokens": 1000, "output_tokens": 100, "cache_creation_input_tokens": 0,
         "cache_read_input_tokens": 0}]}, 6000 + 2200),
    "fallen back": ({**PLAIN, "iterations": [
        {"type": "message", "model": "claude-sonnet-5", "input_tokens": 900, "output_tokens": 5,
         "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0},
        {"type": "fallback_message", "model": "claude-opus-5-5", "input_tokens": 1000, "output_tokens": 100,
         "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}]}, 6000 + 1850),
    "fast": ({**PLAIN, "speed": "fast"}, 12_000),
    "in the US": ({**PLAIN, "inference_geo": "us"}, 6600),
    "elsewhere": ({**PLAIN, "inference_geo": "eu"}, None),
    "with reserved capacity": ({**PLAIN, "service_tier": "priority"}, None),
}  # fmt: skip


@pytest.mark.surface("anthropic", "messages cache, server tools, iterations, tier, speed")
def test_a_message_costs_what_its_usage_says(run: Run, providers: ProviderServer) -> None:
    """Caches, searches, iterations, speed, place and tier: each to the last digit, or honestly without a price."""
    for usage, _ in BILLS.values():
        providers.reply(body=message("msg_1", "claude-opus-5-5", **usage), route="/messages")
    done = run(ASK.replace("answer =", f"for _ in range({len(BILLS)}): answer ="))
    assert done.returncode == 0, done.err
    expected = {name: (None if cost is None else cost * 10**6) for name, (_, cost) in BILLS.items()}
    assert {name: call.get("cost") for name, call in zip(BILLS, done.calls, strict=True)} == expected
    assert {call["cost_status"] for call in done.calls} == {"priced", "unpriced"}
    again = run(command=[sys.executable, "-m", "hexr_instrument", "costs", "--reprice", "all"], bare=True)
    assert again.out.startswith("Nothing to price anew"), again.out + again.err


# ---- What the caller holds ----------------------------------------------------------------------------------------

HOLDS = """
import asyncio, copy, inspect, pickle
import anthropic

def turns():
    print("asked for a turn")
    yield {"role": "user", "content": "Say hello."}

client = anthropic.Anthropic()
dumped = []
for kind in (anthropic.types.Message, anthropic.types.Usage):
    kind.model_dump = kind.model_dump_json = lambda self, **options: dumped.append(self) or {}
base = anthropic._base_client.SyncAPIClient
print(inspect.signature(base.request), list(inspect.signature(client.messages.create).parameters))
print([inspect.iscoroutinefunction(kind.request) for kind in (base, anthropic._base_client.AsyncAPIClient)])
ask = {"model": "claude-opus-5-5", "max_tokens": 100}
answer = client.messages.create(messages=turns(), **ask)
print(type(answer), isinstance(client, anthropic.Anthropic), isinstance(client.messages, type(client.messages)))
again = pickle.loads(pickle.dumps(answer))
print(again == answer, copy.deepcopy(answer) == answer, copy.copy(answer) == answer, sorted(vars(answer)))
print(type(copy.copy(client)).__name__, type(client.with_options(timeout=9)).__name__, dumped)
stream = client.messages.create(messages=turns(), stream=True, **ask)
print(type(stream), isinstance(stream, anthropic.Stream), [type(event).__name__ for event in stream])
"""


def test_what_the_caller_holds_is_as_without_us(run: Run, providers: ProviderServer) -> None:
    """Types, signatures, copies and pickles; a generator of turns is read once, by the SDK; nothing is dumped."""
    done = alike(run, providers, HOLDS, lambda: None)
    assert done.out.count("asked for a turn") == 2
    assert " []\n" in done.out
    assert [call["cost_status"] for call in done.calls] == ["priced"] * 2
