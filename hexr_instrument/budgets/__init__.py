"""Budgets: what may be spent by whom in a run, an hour, a day or a month.

What was spent is kept in a ledger, a file of its own beside the store. It counts what calls did cost when they ended, so
that what a hard budget lets through beyond its limit is at most what is in flight. A call without a known cost adds
nothing. A rule counts from the first call that was made under it.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ..call import USD, Caller
from .ledger import Ledger
from .rules import MOST, PERIODS, BudgetError, Rule, rules_of

__all__ = ["PERIODS", "BudgetError", "BudgetExceeded", "Budgets", "Ledger", "Rule", "of_setting", "rules_of"]

_SECOND = 10**9
_SHOWN = 200
"""How many budgets are measured, as many as a label of a metric takes values."""
_LASTING = 90 * 86400 * _SECOND
"""How long a run's spend is kept after its last call."""


class BudgetExceeded(RuntimeError):  # noqa: N818  (the name that the documentation promises)
    """A hard budget is spent: the call was not sent. Nothing else of ours ever raises into a call."""

    def __init__(self, rule: str, spent: int, limit: int, until: str) -> None:
        """Takes amounts in 1e-12 USD."""
        self._given = (rule, spent, limit, until)
        self.rule = rule
        """The budget, as in `tenant=acme 50/month`."""
        self.spent_usd = spent / USD
        self.limit_usd = limit / USD
        super().__init__(
            f"the budget {rule} is spent: ${_dollars(spent)} of ${_dollars(limit)}; calls are refused {until}"
            " (HEXR_BUDGET)"
        )

    def __reduce__(self) -> tuple[type[BudgetExceeded], tuple[str, int, int, str]]:
        """It reaches the parent of a worker process whole."""
        return BudgetExceeded, self._given


@dataclass(frozen=True, slots=True)
class _Account:
    """What one rule means for one caller in one period."""

    rule: Rule
    key: bytes
    name: str
    ends: int
    """Nanoseconds since the epoch."""


@dataclass(slots=True)
class Budgets:
    """The rules in force in this process and the ledger of what was spent."""

    rules: tuple[Rule, ...]
    ledger: Ledger
    run: str
    say: Callable[[str], None]
    _accounts: dict[Caller, tuple[int, tuple[_Account, ...]]] = field(
        default_factory=dict[Caller, tuple[int, tuple["_Account", ...]]]
    )

    def refusal(self, caller: Caller) -> BudgetExceeded | None:
        """What is to be raised instead of a call, or None: a hard budget is spent."""
        now = time.time_ns()
        for account in self._of(caller, now):
            limit = account.rule.hard
            if limit is not None and (spent := self.ledger.spent(account.key)) >= limit:
                return BudgetExceeded(account.name, spent, limit, self._until(account))
        return None

    def spend(self, caller: Caller, cost: int | None) -> list[str]:
        """Counts what a call cost.

        Args:
            caller: Who made it.
            cost: In 1e-12 USD; None if unknown.

        Returns:
            The names of the budgets that are beyond their soft limit (or their hard one).
        """
        over: list[str] = []
        counted: set[bytes] = set()
        for account in self._of(caller, time.time_ns()):
            rule = account.rule
            limit, mark = (rule.hard, 2) if rule.soft is None else (rule.soft, 1)
            # Two rules with the same scope and period have one account.
            mine = 0 if account.key in counted else cost or 0
            counted.add(account.key)
            spent, first = self.ledger.add(account.key, mine, account.ends, limit, mark)
            if limit is None or spent < limit:
                continue
            over.append(account.name)
            if first:
                what = "calls are refused" if limit == rule.hard else "calls go on"
                self.say(
                    f"budget {account.name}: ${_dollars(spent)} of ${_dollars(limit)} spent; {what}"
                    f" {self._until(account)}"
                )
        return over

    def used(self) -> dict[str, float]:
        """The share of each budget that is spent, by its name: of the callers that this process has, the fullest."""
        now = time.time_ns()
        accounts = {account.key: account for caller in list(self._accounts) for account in self._of(caller, now)}
        shares: dict[str, float] = {}
        for account in accounts.values():
            limit = account.rule.soft if account.rule.hard is None else account.rule.hard
            shares[account.name] = self.ledger.spent(account.key) / limit if limit else 1.0
        return dict(sorted(shares.items(), key=lambda each: -each[1])[:_SHOWN])

    def _of(self, caller: Caller, now: int) -> tuple[_Account, ...]:
        """The accounts of a caller: looked up once for each period."""
        known = self._accounts.get(caller)
        if known is not None and now < known[0]:
            return known[1]
        if len(self._accounts) > MOST:
            self._accounts.clear()
        accounts = tuple(account for rule in self.rules if (account := self._account(rule, caller, now)) is not None)
        ends = min((account.ends for account in accounts if account.rule.per != "run"), default=now + _LASTING)
        self._accounts[caller] = (ends, accounts)
        return accounts

    def _account(self, rule: Rule, caller: Caller, now: int) -> _Account | None:
        names: list[str] = []
        for scope, wanted in rule.scope:
            name = getattr(caller, scope)
            if name is None or wanted not in ("*", name):
                return None
            names.append(f"{scope}={name}")
        period, ends = _period(rule, self.run, now)
        who = " ".join(names) or "total"
        limit = rule.soft if rule.hard is None else rule.hard
        # The limits are no part of the key: who raises one does not start anew.
        text = "\0".join((*names, rule.per, period, str(rule.zone)))
        key = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()
        return _Account(rule, key, f"{who} {_dollars(limit or 0)}/{rule.per}", ends)

    def _until(self, account: _Account) -> str:
        if account.rule.per == "run":
            return "for this run"
        moment = datetime.fromtimestamp(account.ends // _SECOND, account.rule.zone)
        return f"until {moment.isoformat(timespec='minutes')}"


def _period(rule: Rule, run: str, now: int) -> tuple[str, int]:
    """The name of the period that `now` is in, and its end in nanoseconds since the epoch."""
    if rule.per == "run":
        return run, now + _LASTING
    moment = datetime.fromtimestamp(now // _SECOND, rule.zone)
    if rule.per == "hour":
        start = now // _SECOND - moment.minute * 60 - moment.second
        return str(start), (start + 3600) * _SECOND
    first = moment.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if rule.per == "month":
        first = first.replace(day=1)
        after = (first + timedelta(days=32)).replace(day=1)
    else:
        after = first + timedelta(days=1)
    # By the wall clock: a day has 23 or 25 hours when the clocks change.
    return first.date().isoformat(), int(after.timestamp()) * _SECOND


def _dollars(amount: int) -> str:
    """An amount with at least two decimals and no more than it has, up to six."""
    whole, part = divmod(amount, USD)
    return f"{whole}.{(f'{part:012}'[:6]).rstrip('0').ljust(2, '0')}"


def of_setting(setting: str | None, directory: str, run: str, say: Callable[[str], None]) -> Budgets | None:
    """The budgets that are in force, or None if there are none. What cannot be used is said in one line.

    Args:
        setting: The value of `HEXR_BUDGET`.
        directory: The store's, where the ledger is.
        run: This run's id.
        say: Takes a line for the user.
    """
    if setting is None:
        return None
    try:
        rules = rules_of(setting)
    except BudgetError as error:
        say(f"{error}; no budget is in force")
        return None
    return Budgets(rules, Ledger(os.path.join(directory, "budgets.ledger"), say), run, say) if rules else None
