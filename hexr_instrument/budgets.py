"""Budgets: what may be spent by whom in a run, an hour, a day or a month, and the ledger of what was.

The ledger is a file of its own beside the store. All processes with that store share it; it is kept whatever happens to
the records, and a call costs it a few system calls on one page. It counts what calls did cost when they ended, so that
what a hard budget lets through beyond its limit is at most what is in flight. A call without a known cost adds nothing.
A rule counts from the first call that was made under it.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import struct
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any, cast

from . import settings
from .call import USD, Caller

try:
    import fcntl
except ImportError:  # Windows: no promise that processes share a budget
    fcntl = None

PERIODS = ("run", "hour", "day", "month")
_SCOPES = ("tenant", "agent", "role")
_SECOND = 10**9
_LASTING = 90 * 86400 * _SECOND
"""How long a run's spend is kept after its last call."""
_KEYS = {"per", "soft", "hard", *_SCOPES}
_MOST = 1000
_INLINE = re.compile(r"\$?(\d{1,9}(?:\.\d{1,12})?)/(run|hour|day|month)")


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


class BudgetError(ValueError):
    """A budget that cannot be used; the message is one line that names the place."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One budget."""

    scope: tuple[tuple[str, str], ...]
    """(tenant, agent or role; its name, or `*`: each one has this budget); empty is everything."""
    per: str
    soft: int | None
    """In 1e-12 USD: beyond it, one line on stderr and an attribute on each call."""
    hard: int | None
    """In 1e-12 USD: from it on, calls are refused."""
    zone: tzinfo = timezone.utc


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

    def _of(self, caller: Caller, now: int) -> tuple[_Account, ...]:
        """The accounts of a caller: looked up once for each period."""
        known = self._accounts.get(caller)
        if known is not None and now < known[0]:
            return known[1]
        if len(self._accounts) > _MOST:
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


# -- the ledger

_MAGIC = b"hexr budgets 1\n"
_HEAD = 64
_SLOTS = 1 << 14
_PROBES = 32
"""Slots in a row of which a key's is one; behind the last there are as many more."""
_SLOT = struct.Struct("<16sQ12sI")
"""Key, end of its period, spent in 1e-12 USD, which limits were said to be passed (1 soft, 2 hard)."""
_SIZE = _HEAD + (_SLOTS + _PROBES) * _SLOT.size
_PATIENCE = 0.01
"""Seconds to wait for another process's write (it takes microseconds; who holds the lock longer was stopped)."""


class Ledger:
    """What was spent, by key: a table in a file, written under a lock and read without one.

    It never fails and never waits for long: what cannot be written now is kept in this process and written with a later
    call. The file is opened for each step: nothing is left to a fork, and nothing to a program that closes its files.
    """

    def __init__(self, path: str, say: Callable[[str], None]) -> None:
        """Names the file; it is made with the first call."""
        self._path = path
        self._say = say
        self._waiting: deque[tuple[int, bytes, int]] = deque()
        """(process, key, amount) of what could not be written."""

    def spent(self, key: bytes) -> int:
        """What was spent, in 1e-12 USD."""
        try:
            file = _opened(self._path)
            try:
                found = _find(file, key, 0)
            finally:
                os.close(file)
        except OSError as error:
            self._complain(error)
            found = None
        return self._kept(key) + (found[1] if found is not None else 0)

    def add(self, key: bytes, cost: int, ends: int, limit: int | None, mark: int) -> tuple[int, bool]:
        """Adds to what was spent.

        Args:
            key: Whose.
            cost: In 1e-12 USD.
            ends: From when on its place may be used for another key, in nanoseconds since the epoch.
            limit: What is said to be passed once, whatever process passes it.
            mark: 1 for a soft limit, 2 for a hard one.

        Returns:
            What was spent now, and whether it is this call that passed the limit.
        """
        cost += self._taken(key)
        try:
            file = _opened(self._path)
            try:
                if _locked(file) and (found := _find(file, key, time.time_ns())) is not None:
                    place, before, said = found
                    spent = before + cost
                    first = limit is not None and spent >= limit and not said & mark
                    slot = _SLOT.pack(key, ends, spent.to_bytes(12, "little"), said | mark if first else said)
                    os.pwrite(file, slot, place)
                    return spent, first
                before = _find(file, key, 0)
            finally:
                os.close(file)  # and gives the lock back
        except OSError as error:
            self._complain(error)
            before = None
        if cost:
            self._waiting.append((os.getpid(), key, cost))
        return cost + (before[1] if before is not None else 0), False

    def _kept(self, key: bytes) -> int:
        return sum(cost for process, whose, cost in list(self._waiting) if whose == key and process == os.getpid())

    def _taken(self, key: bytes) -> int:
        """What waits for this key, no longer waiting; a forked child leaves its parent's to the parent."""
        total = 0
        for _ in range(len(self._waiting)):
            try:
                process, whose, cost = self._waiting.popleft()
            except IndexError:  # another thread was quicker
                break
            if process != os.getpid():
                continue
            if whose == key:
                total += cost
            else:
                self._waiting.append((process, whose, cost))
        return total

    def _complain(self, error: OSError) -> None:
        reason = error.strerror or str(error)
        self._say(f"{self._path} cannot be used ({reason}): each process counts its budgets for itself")


def _find(file: int, key: bytes, now: int) -> tuple[int, int, int] | None:
    """The place of a key, what it has spent, and which of its limits were said to be passed.

    Args:
        file: The ledger.
        key: Whose.
        now: To find a new place, too: a free one, or one whose period is over. 0 finds only what is there.
    """
    place = _HEAD + int.from_bytes(key[:4], "little") % _SLOTS * _SLOT.size
    data = os.pread(file, _PROBES * _SLOT.size, place)
    free = None
    for at in range(0, len(data) - _SLOT.size + 1, _SLOT.size):
        owner, ends, spent, said = _SLOT.unpack_from(data, at)
        if owner == key:
            return place + at, int.from_bytes(spent, "little"), said
        if free is None and ends < now:
            free = place + at
        if not ends:
            break
    return None if free is None or not now else (free, 0, 0)


def _opened(path: str) -> int:
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        file = os.open(path, flags, 0o600)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        file = os.open(path, flags, 0o600)
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode) or (hasattr(os, "geteuid") and status.st_uid != os.geteuid()):
            raise OSError("it is not a file of this user")
        if status.st_size < _SIZE:
            _lengthened(file, status.st_size)
        elif os.pread(file, len(_MAGIC), 0) != _MAGIC:
            raise OSError("it is no ledger: remove it")
    except OSError:
        os.close(file)
        raise
    return file


def _lengthened(file: int, size: int) -> None:
    """A file that is new: all who see it so write the same head, and a file is only ever made longer."""
    if size and os.pread(file, len(_MAGIC), 0) != _MAGIC:
        raise OSError("it is no ledger: remove it")
    os.pwrite(file, _MAGIC, 0)
    os.ftruncate(file, _SIZE)


def _locked(file: int) -> bool:
    """Takes the lock, and does not wait long for it: a process that was stopped must not stop others."""
    if fcntl is None:
        return True
    begun = time.monotonic()
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() - begun > _PATIENCE:
                return False
            time.sleep(0.0002)
        else:
            return True


# -- what the user says


def rules_of(setting: str) -> tuple[Rule, ...]:
    """The rules of `HEXR_BUDGET`: a path of a TOML (or JSON) file, or rules such as `hard tenant=acme 50/month`.

    Raises:
        BudgetError: it says something that cannot be meant; one line that names the place.
    """
    value = setting.strip()
    if value.endswith((".toml", ".json")):
        return _of_file(os.path.abspath(os.path.expanduser(value)))
    return tuple(_of_text(each.strip()) for each in re.split(r"[,;]", value) if each.strip())


def _of_text(text: str) -> Rule:
    """One rule: `[soft|hard] [tenant=NAME] [agent=NAME] [role=NAME] USD/PERIOD [tz=ZONE]`."""
    limit, scope, kind, zone, per = None, list[tuple[str, str]](), "soft", "UTC", ""
    for word in text.split():
        name, equals, wanted = word.partition("=")
        if word in ("soft", "hard"):
            kind = word
        elif equals and name in _SCOPES and wanted:
            scope.append((name, wanted))
        elif equals and name == "tz":
            zone = wanted
        elif (found := _INLINE.fullmatch(word)) and limit is None:
            limit, per = Decimal(found[1]), found[2]
        elif word != "total":
            raise BudgetError(f"HEXR_BUDGET: {word!r} in {text!r} is not understood; write `hard tenant=acme 50/month`")
    if limit is None:
        raise BudgetError(f"HEXR_BUDGET: {text!r} has no amount; write USD/run, /hour, /day or /month, such as 5/day")
    amount = int(limit * USD)
    return Rule(tuple(scope), per, amount if kind == "soft" else None, amount if kind == "hard" else None, _zone(zone))


def _of_file(path: str) -> tuple[Rule, ...]:
    try:
        content, text = settings.read(path, "HEXR_BUDGET")
    except settings.SettingsError as error:
        raise BudgetError(str(error)) from None
    shown = os.path.basename(path)
    zone = content.pop("zone", "UTC")
    listed: Any = content.pop("budget", None)
    if content or type(listed) is not list or type(zone) is not str:
        raise BudgetError(f"{shown}: the file is a zone and a list of [[budget]] entries")
    rules: list[Rule] = []
    for number, each in enumerate(cast("list[Any]", listed)[:_MOST]):

        def wrong(key: str | None, what: str, number: int = number) -> BudgetError:
            return BudgetError(f"{settings.place(shown, text, 'budget', number, key)}: {what} (entry {number + 1})")

        rules.append(_of_entry(each, _zone(zone), wrong))
    return tuple(rules)


def _of_entry(entry: Any, zone: tzinfo, wrong: Callable[[str | None, str], BudgetError]) -> Rule:
    if type(entry) is not dict:
        raise wrong(None, "a budget is a table of names and values")
    said = cast("Mapping[str, Any]", entry)
    for key in said:
        if key not in _KEYS:
            raise wrong(key, f"{key!r} is unknown; a budget has {', '.join(sorted(_KEYS))}")
    if said.get("per") not in PERIODS:
        raise wrong("per", f"per is one of {', '.join(PERIODS)}")
    scope: list[tuple[str, str]] = []
    for name in _SCOPES:
        if name in said:
            if type(said[name]) is not str or not said[name]:
                raise wrong(name, f'{name} is a name in quotes; "*" gives each one this budget')
            scope.append((name, said[name]))
    limits: dict[str, int | None] = {"soft": None, "hard": None}
    for name in limits:
        if name in said:
            amount = settings.decimal(said[name])
            if amount is None:
                raise wrong(name, f"{str(said[name])[:40]!r} is no amount in USD; write one such as 2.50")
            limits[name] = int(amount * USD)
    soft, hard = limits["soft"], limits["hard"]
    if soft is None and hard is None:
        raise wrong(None, "a budget has a soft or a hard limit in USD")
    if soft is not None and hard is not None and soft > hard:
        raise wrong("soft", "the soft limit is beyond the hard one")
    return Rule(tuple(scope), said["per"], soft, hard, zone)


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return timezone.utc
    from zoneinfo import ZoneInfo  # noqa: PLC0415  (only where a budget has a zone)

    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        raise BudgetError(f"HEXR_BUDGET: no zone is named {name!r}; use one such as Europe/Berlin") from None


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
