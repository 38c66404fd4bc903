"""What the user says of budgets: `HEXR_BUDGET` as text, or a file of TOML or JSON; every mistake is one line."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timezone, tzinfo
from decimal import Decimal
from typing import Any, cast

from .. import settings
from ..call import USD

PERIODS = ("run", "hour", "day", "month")
MOST = 1000
_SCOPES = ("tenant", "agent", "role")
_KEYS = {"per", "soft", "hard", *_SCOPES}
_INLINE = re.compile(r"\$?(\d{1,9}(?:\.\d{1,12})?)/(run|hour|day|month)")


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
    for number, each in enumerate(cast("list[Any]", listed)[:MOST]):

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
