"""Who called, as it travels to another process: names, and the span that the calls there belong under."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .. import context, traceparent
from ..call import Caller, mapping
from ..context import LIMIT, Scope
from ..guard import guarded
from ..traceparent import Span

FIELDS = ("agent", "role", "tenant")


@dataclass(frozen=True, slots=True)
class Ticket:
    """One caller on its way."""

    caller: Caller
    span: Span | None
    running: str | None = None
    """The role where the caller has none: the name of a framework's agent."""

    def scope(self) -> Scope:
        """The scope that the caller has where it arrives."""
        invocation = None if self.span is None else Elsewhere(self.span)
        return Scope(self.caller, invocation, None, object(), [], self.running)

    def __reduce__(self) -> tuple[Any, ...]:
        """By plain values."""
        caller = self.caller
        return _unpacked, ((caller.agent, caller.role, caller.tenant, caller.labels), self.span, self.running)


def _unpacked(caller: tuple[Any, ...], span: Span | None, running: str | None) -> Ticket:
    return Ticket(Caller(*caller), span, running)


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """An agent that runs in another process: calls belong under its span, which is ended and totalled there."""

    span: Span
    entered: list[tuple[Callable[[Any], Any], Any]] = field(default_factory=list[tuple[Callable[[Any], Any], Any]])

    def enter(self) -> None:
        """The context is the new thread's or process's own already."""

    def turn(self, *, billed: bool = False) -> None:
        """Rolls over where it runs."""

    def add(self, call: object) -> None:
        """Its totals are those of its own process."""

    def end(self, error: BaseException | None) -> None:
        """It ends where it runs."""


def here() -> Ticket | None:
    """The ticket of whoever calls here; None where no scope says."""
    scope = context.carried()
    if scope is None:
        return None
    span = None if context.parent is None else guarded(context.parent)
    return Ticket(scope.caller, span, scope.running)


def of(scope: Scope) -> Ticket:
    """The ticket of a scope, under its agent's span."""
    invocation = scope.invocation
    return Ticket(scope.caller, None if invocation is None else invocation.span, scope.running)


def said(ticket: Ticket) -> dict[str, Any]:
    """A ticket as JSON has it: `agent`, `role`, `tenant`, `running`, `labels` and `parent` (a W3C traceparent)."""
    caller, span = ticket.caller, ticket.span
    found: dict[str, Any] = {name: value for name in FIELDS if (value := getattr(caller, name)) is not None}
    if ticket.running is not None:
        found["running"] = ticket.running
    if caller.labels:
        found["labels"] = dict(caller.labels)
    if span is not None:
        found["parent"] = traceparent.write(span)
    return found


def heard(said: Any) -> Ticket | None:
    """The ticket that `said` made, whatever has become of it on its way; None for what is none."""
    if type(said) is not dict:
        return None
    fields = mapping(said)
    labels = mapping(fields.get("labels")).items()
    pairs = sorted((name, value) for name, value in labels if _name(name) and _name(value))
    agent, role, tenant = (_name(fields.get(name)) for name in FIELDS)
    parent = traceparent.read(fields.get("parent"))
    return Ticket(Caller(agent, role, tenant, tuple(pairs)), parent, _name(fields.get("running")))


def _name(value: Any) -> str | None:
    return value[:LIMIT] or None if isinstance(value, str) else None
