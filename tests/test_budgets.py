"""Budgets: refused before the request is sent, shared by processes, kept over restarts, and never in the way."""

from __future__ import annotations

import os
import pickle
import stat
import threading
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from stores import python
from support import Run

from hexr_instrument import budgets
from hexr_instrument.budgets import BudgetError, BudgetExceeded, Budgets, Ledger
from hexr_instrument.budgets.ledger import _PROBES, _SIZE
from hexr_instrument.call import USD, Caller
from hexr_instrument.demo.providers import ProviderServer

PROGRAM = """
import os, sys, asyncio
import openai, anthropic
from google import genai
from hexr_instrument import BudgetExceeded, hexr_tenant
chat = dict(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
client = openai.OpenAI()
def call(): return client.chat.completions.create(**chat)
"""


def made(tmp_path: Path, setting: str, run: str = "r") -> tuple[Budgets, list[str]]:
    """The budgets of that setting, and what is said."""
    said: list[str] = []
    found = budgets.of_setting(setting, str(tmp_path), run, said.append)
    assert found is not None, said
    return found, said


# -- in programs


def test_a_spent_budget_refuses_before_the_request_is_sent(run: Run, providers: ProviderServer) -> None:
    """Sync, async and streamed calls of every SDK; the exception says what and until when, and nothing is recorded."""
    done = run(
        PROGRAM
        + """
call()
messages = chat["messages"]
def claude(): anthropic.Anthropic().messages.create(model="claude-sonnet-4-5", max_tokens=9, messages=messages)
def claude_stream():
    with anthropic.Anthropic().messages.stream(model="claude-sonnet-4-5", max_tokens=9, messages=messages) as stream:
        list(stream)
google = genai.Client()
from hexr_instrument import hexr_llm
ask = dict(provider="openai", model="gpt-4o", prompt="hi")
ways = [
    lambda: hexr_llm(**ask),
    lambda: list(hexr_llm(**ask, stream=True)),
    lambda: asyncio.run(hexr_llm.aio(**ask)),
    call,
    lambda: list(client.chat.completions.create(**chat, stream=True)),
    lambda: client.chat.completions.with_raw_response.create(**chat),
    lambda: client.responses.create(model="gpt-4o", input="hi"),
    lambda: client.embeddings.create(model="text-embedding-3-small", input="hi"),
    lambda: asyncio.run(openai.AsyncOpenAI().chat.completions.create(**chat)),
    claude, claude_stream,
    lambda: google.models.generate_content(model="gemini-2.5-flash", contents="hi"),
    lambda: list(google.models.generate_content_stream(model="gemini-2.5-flash", contents="hi")),
    lambda: asyncio.run(google.aio.models.generate_content(model="gemini-2.5-flash", contents="hi")),
]
for way in ways:
    try:
        way()
        print("not refused")
    except BudgetExceeded as error:
        print(error.rule, error.limit_usd, error.spent_usd > 0, isinstance(error, RuntimeError), str(error)[:30])
        assert error.__context__ is None and error.__cause__ is None
""",
        HEXR_BUDGET="hard 0.000001/run",
    )
    assert done.returncode == 0, done.err
    line = "total 0.000001/run 1e-06 True True the budget total 0.000001/run "
    assert done.out.splitlines() == [line] * 14
    assert len(providers.requests) == len(done.calls) == 1
    assert "for this run" in done.err
    assert done.err.count("hexr-instrument: ") == 1


def test_a_soft_budget_warns_once_and_marks_calls(run: Run) -> None:
    """Calls go on; the record (and so the span) names the budget."""
    done = run(PROGRAM + "for _ in range(3): call()", HEXR_BUDGET="0.000001/day")
    assert done.returncode == 0, done.err
    assert done.err.startswith("hexr-instrument: budget total 0.000001/day: $0.")
    assert done.err.count("\n") == 1
    assert [call["over_budget"] for call in done.calls] == [["total 0.000001/day"]] * 3


def test_a_tenant_that_has_spent_its_own_stops_alone(run: Run) -> None:
    """Each tenant has the budget by itself; calls without a tenant have none."""
    done = run(
        PROGRAM
        + """
for name in ("acme", "acme", "zeta", None):
    try:
        if name is None: call()
        else:
            with hexr_tenant(name): call()
        print(name, "sent")
    except BudgetExceeded as error:
        print(error.rule)
""",
        HEXR_BUDGET="hard tenant=* 0.000001/month",
    )
    assert done.out.splitlines() == ["acme sent", "tenant=acme 0.000001/month", "zeta sent", "None sent"]


def test_what_was_spent_outlives_the_process(run: Run) -> None:
    """And delivery: a second program finds the budget spent."""
    source = PROGRAM + "try: call()\nexcept BudgetExceeded: print('refused')"
    outputs = [run(source, HEXR_BUDGET="hard 0.000001/month").out for _ in range(2)]
    assert outputs == ["", "refused\n"]


@pytest.mark.parametrize("setting", ["hard 5", "budget.toml", "hard 5/week", "tz=Mars/Base 5/day", "5/day 6/day"])
def test_a_broken_budget_stops_no_call(run: Run, setting: str) -> None:
    """One line says what is wrong."""
    done = run(PROGRAM + "call(); call()", HEXR_BUDGET=setting)
    assert (done.returncode, len(done.calls)) == (0, 2)
    assert done.err.endswith("no budget is in force\n")
    assert done.err.count("\n") == 1


def test_a_broken_ledger_stops_no_call(run: Run, tmp_path: Path) -> None:
    """Each process counts for itself then; one line says so."""
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "budgets.ledger").write_text("something else")
    source = PROGRAM + "call()\ntry: call()\nexcept BudgetExceeded: print('refused')"
    done = run(source, HEXR_BUDGET="hard 0.000001/day")
    assert (done.returncode, done.out) == (0, "refused\n"), done.err
    assert "it is no ledger: remove it" in done.err
    assert (tmp_path / "store" / "budgets.ledger").read_text() == "something else"


RACE = (
    PROGRAM
    + """
gate, wide = os.pipe()
children = []
for _ in range(16):
    answer, speak = os.pipe()
    if not (child := os.fork()):
        os.close(wide)
        os.read(gate, 1)  # until the parent closes its end
        own, sent = openai.OpenAI(), 0
        try:
            while True:
                own.chat.completions.create(**chat)
                sent += 1
        except BudgetExceeded:
            os.write(speak, b"%d" % sent)
        os._exit(0)
    os.close(speak)
    children.append((child, answer))
os.close(wide)
for child, answer in children:
    print(int(os.read(answer, 9)))
    os.waitpid(child, 0)
"""
)


def test_sixteen_processes_overshoot_by_what_is_in_flight(run: Run, providers: ProviderServer) -> None:
    """They race for one budget of 20 calls: each may send at most one too many, and one of them says that it is spent."""
    price = run(PROGRAM + "call()").calls[0]["cost"]
    before = len(providers.requests)
    done = run(RACE, HEXR_BUDGET=f"hard {20 * price / USD:.9f}/day", timeout=150)
    assert done.returncode == 0, done.err
    sent = sum(map(int, done.out.split()))
    assert sent == len(providers.requests) - before
    assert 20 <= sent <= 20 + 16 - 1
    assert done.err.count("calls are refused") == 1


# -- rules


RULES = [
    ("5/day", ["total 5.00/day soft"]),
    ("hard $5.50/run", ["total 5.50/run hard"]),
    (
        "hard tenant=acme role=writer 50/month; agent=* 2/hour",
        ["tenant=acme role=writer 50.00/month hard", "agent=crew 2.00/hour soft"],
    ),
    ("tenant=other 1/day, soft total 0.25/day", ["total 0.25/day soft"]),
]


@pytest.mark.parametrize(("setting", "expected"), RULES)
def test_rules_in_a_variable(tmp_path: Path, setting: str, expected: list[str]) -> None:
    """Kind, scope, amount and period; a rule of somebody else does not count."""
    found, _ = made(tmp_path, setting)
    accounts = found._of(Caller("crew", "writer", "acme"), 10**18)
    assert [f"{each.name} {'hard' if each.rule.hard is not None else 'soft'}" for each in accounts] == expected


FILE = """
zone = "Europe/Berlin"

[[budget]]
per = "month"
soft = 40
hard = "50.00"

[[budget]]
tenant = "*"
per = "day"
hard = 0.5
"""


def test_rules_in_a_file(tmp_path: Path) -> None:
    """Soft and hard limits of one budget, and the zone of days and months."""
    path = tmp_path / "budget.toml"
    path.write_text(FILE)
    month, day = budgets.rules_of(str(path))
    assert (month.scope, month.per, month.soft, month.hard, str(month.zone)) == (
        (),
        "month",
        40 * USD,
        50 * USD,
        "Europe/Berlin",
    )
    assert (day.scope, day.per, day.soft, day.hard) == ((("tenant", "*"),), "day", None, USD // 2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[budget]\n", "budget.toml:1: "),
        ("[[budget]]\nhard = 5\n", "budget.toml:1: per is one of run, hour, day, month (entry 1)"),
        ('[[budget]]\nper = "week"\nhard = 5\n', "budget.toml:2: per is one of"),
        ('[[budget]]\nper = "day"\n', "budget.toml:1: a budget has a soft or a hard limit"),
        (
            '[[budget]]\nper = "day"\nhard = 1\n[[budget]]\nper = "day"\nhard = "lots"\n',
            "budget.toml:6: 'lots' is no amount",
        ),
        ('[[budget]]\nper = "day"\nsoft = 2\nhard = 1\n', "budget.toml:3: the soft limit is beyond the hard one"),
        ('[[budget]]\nper = "day"\nhard = 1\nmodel = "x"\n', "budget.toml:4: 'model' is unknown"),
        ('[[budget]]\nper = "day"\nhard = 1\ntenant = 5\n', "budget.toml:4: tenant is a name in quotes"),
        ("budget = 5\n", "budget.toml: the file is a zone and a list"),
        ('zone = "Mars"\n[[budget]]\nper = "day"\nhard = 1\n', "HEXR_BUDGET: no zone is named 'Mars'"),
    ],
)
def test_a_broken_file_is_one_line_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    """File and line, or entry."""
    path = tmp_path / "budget.toml"
    path.write_text(text)
    with pytest.raises(BudgetError) as error:
        budgets.rules_of(str(path))
    assert str(error.value).startswith(said)
    assert "\n" not in str(error.value)


PERIODS = [
    ("hour", "UTC", "2026-11-20T14:59:59", "2026-11-20T15:00:00"),
    ("hour", "Asia/Kolkata", "2026-11-20T14:29:59", "2026-11-20T14:30:00"),
    ("day", "UTC", "2026-11-20T23:59:59", "2026-11-21T00:00:00"),
    ("day", "Europe/Berlin", "2026-10-25T12:00:00", "2026-10-25T23:00:00"),
    ("day", "Europe/Berlin", "2026-03-29T12:00:00", "2026-03-29T22:00:00"),
    ("month", "UTC", "2026-12-31T23:59:59", "2027-01-01T00:00:00"),
    ("month", "Europe/Berlin", "2026-02-10T00:00:00", "2026-02-28T23:00:00"),
]


@pytest.mark.parametrize(("per", "zone", "moment", "ends"), PERIODS)
def test_periods_end_where_the_zone_says(tmp_path: Path, per: str, zone: str, moment: str, ends: str) -> None:
    """Also when the clocks change; just before the end it is the same period, and then another."""
    found, _ = made(tmp_path, f"hard 1/{per} tz={zone}")

    def account(nanoseconds: int) -> Any:
        found._accounts.clear()
        (each,) = found._of(Caller(), nanoseconds)
        return each

    at, end = (
        int(datetime.fromisoformat(each).replace(tzinfo=timezone.utc).timestamp()) * 10**9 for each in (moment, ends)
    )
    assert account(at).ends == end
    assert account(end - 1).key == account(at).key != account(end).key


def test_a_new_period_begins_at_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was refused is let through again."""
    found, _ = made(tmp_path, "hard 1/hour")
    now = 1_795_176_000 * 10**9
    monkeypatch.setattr(budgets.time, "time_ns", lambda: now)
    found.spend(Caller(), USD)
    assert "until 2026-11-20T13:00+00:00" in str(found.refusal(Caller()))
    monkeypatch.setattr(budgets.time, "time_ns", lambda: now + 3600 * 10**9)
    assert found.refusal(Caller()) is None


def test_two_limits_of_one_scope_count_once(tmp_path: Path) -> None:
    """And each is said to be passed, once."""
    found, said = made(tmp_path, "1/day, hard 2/day")
    for _ in range(3):
        found.spend(Caller(), USD)
    (account, _) = found._of(Caller(), 0)
    assert found.ledger.spent(account.key) == 3 * USD
    assert [line.split(":")[0] for line in said] == ["budget total 1.00/day", "budget total 2.00/day"]


def test_a_raised_limit_does_not_start_anew(tmp_path: Path) -> None:
    """The ledger knows who and when, not how much is allowed."""
    made(tmp_path, "hard 1/day")[0].spend(Caller(), USD)
    assert isinstance(made(tmp_path, "hard 0.5/day")[0].refusal(Caller()), BudgetExceeded)
    assert made(tmp_path, "hard 1.5/day")[0].refusal(Caller()) is None


# -- the ledger


def test_the_ledger_is_private_and_of_one_size(tmp_path: Path) -> None:
    """However many keys there are; the oldest that are over give way."""
    ledger = Ledger(str(tmp_path / "new" / "budgets.ledger"), print)
    for number in range(3000):
        key = number.to_bytes(4, "little") + bytes(12)
        assert ledger.add(key, number, 1, None, 1) == (number, False)
    status = os.stat(tmp_path / "new" / "budgets.ledger")
    assert (stat.S_IMODE(status.st_mode), status.st_size) == (0o600, _SIZE)


def test_keys_that_meet_are_kept_apart(tmp_path: Path) -> None:
    """Places that are taken are passed over; a full neighbourhood counts in the process."""
    ledger = Ledger(str(tmp_path / "budgets.ledger"), print)
    far = 2**62
    for number in range(_PROBES + 5):
        key = bytes(15) + bytes([number + 1])
        assert ledger.add(key, 10 + number, far, None, 1) == (10 + number, False)
        assert ledger.add(key, 1, far, None, 1) == (11 + number, False)
    assert all(ledger.spent(bytes(15) + bytes([number + 1])) == 11 + number for number in range(_PROBES + 5))


def test_threads_and_processes_lose_nothing(tmp_path: Path) -> None:
    """Eight processes of four threads add up to the whole; the limit is passed once."""
    code = """
import threading
from hexr_instrument.budgets import Ledger
ledger = Ledger(sys.argv[1], print)
def work():
    for _ in range(50):
        if ledger.add(b"k" * 16, 10**12, 2**62, 800 * 10**12, 2)[1]: print("passed")
threads = [threading.Thread(target=work) for _ in range(4)]
for each in threads: each.start()
for each in threads: each.join()
ledger.add(b"k" * 16, 0, 2**62, None, 2)
"""
    processes = [python(code, tmp_path / "budgets.ledger") for _ in range(8)]
    outputs = [process.communicate(timeout=120) for process in processes]
    assert [error for _, error in outputs] == [""] * 8
    assert Ledger(str(tmp_path / "budgets.ledger"), print).spent(b"k" * 16) == 8 * 4 * 50 * 10**12
    assert sum(out.count("passed") for out, _ in outputs) == 1


def test_who_holds_the_lock_for_long_stops_nobody(tmp_path: Path) -> None:
    """What cannot be written waits in the process, counts there, and is written later."""
    import fcntl

    path = tmp_path / "budgets.ledger"
    ledger = Ledger(str(path), print)
    ledger.add(b"k" * 16, 5, 2**62, None, 1)
    with path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert ledger.add(b"k" * 16, 7, 2**62, None, 1) == (12, False)
        assert ledger.spent(b"k" * 16) == 12
        assert Ledger(str(path), print).spent(b"k" * 16) == 5
    assert ledger.add(b"k" * 16, 1, 2**62, None, 1) == (13, False)
    assert Ledger(str(path), print).spent(b"k" * 16) == 13


def test_a_forked_child_leaves_its_parents_waiting_spend(tmp_path: Path) -> None:
    """It is written once, by the parent."""
    ledger = Ledger(str(tmp_path / "budgets.ledger"), print)
    ledger._waiting.append((os.getpid() + 1, b"k" * 16, 100))
    assert ledger.add(b"k" * 16, 1, 2**62, None, 1) == (1, False)


def test_the_exception_crosses_processes() -> None:
    """A pool's parent gets it as it was raised."""
    error = BudgetExceeded("total 5.00/day", 6 * USD, 5 * USD, "until tomorrow")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.rule, again.spent_usd, again.limit_usd) == (str(error), error.rule, 6.0, 5.0)


def test_no_budget_costs_nothing(tmp_path: Path) -> None:
    """There is no object, no file and no thread."""
    before = threading.active_count()
    assert budgets.of_setting(None, str(tmp_path / "none"), "r", print) is None
    assert not (tmp_path / "none").exists()
    assert threading.active_count() == before
