"""Who spends: the scopes that programs set."""

from __future__ import annotations

from . import context, hub
from .call import Caller
from .context import LIMIT, Change, Scoped
from .guard import guarded


def hexr_agent(name: str, tenant: str | None = None, role: str | None = None) -> Scoped:
    """An agent: every LLM call inside belongs to it. Decorates functions (sync, async, generators), or `with` it.

    Emits one `invoke_agent {name}` span with the totals of the calls under it. Inside an agent that is inside another
    agent, the inner one is the caller. Entering an agent clears the role.

    The caller goes along to threads, executors and pools, asyncio tasks, generators, child processes (`multiprocessing`,
    and `subprocess` where the environment is inherited or made of the program's own) and celery tasks whose worker is
    recorded too. The totals count what ends before the agent does, in its threads and tasks too; calls of an inner agent
    are in the inner one's totals alone, calls of another process in none. After HEXR_AGENT_ROLLOVER (1 h) the span ends
    with its totals so far, and a linked one begins with the next call.

    Example:
        ```python
        @hexr_agent(name="my-agent", tenant="acme-corp")
        def main(): ...
        ```

    Args:
        name: The agent's name, at most 256 characters.
        tenant: Who pays; None inherits the tenant around it.
        role: The agent's role; None is no role.

    Raises:
        TypeError: a value is not a string.
    """
    return _scoped(Change(agent=_value("name", name), tenant=_optional("tenant", tenant), role=_optional("role", role)))


def hexr_role(name: str) -> Scoped:
    """A role within the agent around it: decorates functions, or `with` it.

    Args:
        name: The role's name, at most 256 characters.

    Raises:
        TypeError: `name` is not a string.
    """
    return _scoped(Change(role=_value("name", name)))


def hexr_tenant(name: str) -> Scoped:
    """A tenant: one agent may serve thirty of them in one process. Decorates functions, or `with` it.

    Args:
        name: The tenant's name, at most 256 characters.

    Raises:
        TypeError: `name` is not a string.
    """
    return _scoped(Change(tenant=_value("name", name)))


def hexr_labels(**labels: str) -> Scoped:
    """Labels on the records of the calls inside, added to those around. Decorates functions, or `with` it.

    Args:
        **labels: Label names and values; a value has at most 256 characters.

    Raises:
        TypeError: a value is not a string.
    """
    return _scoped(Change(labels=tuple((name, _value(name, value)) for name, value in sorted(labels.items()))))


def current_caller() -> Caller:
    """The agent, role, tenant and labels that a call made here would be recorded with by the `hexr_*` scopes."""
    guarded(hub.ensure)
    return context.current_caller()


def _scoped(change: Change) -> Scoped:
    guarded(hub.ensure)
    return Scoped(change)


def _value(parameter: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise TypeError(
            f"{parameter} must be a non-empty string, not {value!r}: write it as in hexr_agent(name='crew')"
        )
    return value.strip()[:LIMIT]


def _optional(parameter: str, value: object) -> str | None:
    return None if value is None else _value(parameter, value)
