"""Requests from process to process, where they leave and where they are served; and what must not leave with them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from typing import Any

from opentelemetry import context as otel
from opentelemetry.trace import NoOpTracer

from .. import context, propagation, traceparent
from ..call import Target, sequence
from ..context import NOBODY, Change
from ..guard import attempt, guarded
from ..propagation import TRACEPARENT, TRACESTATE, Remote
from ..recorder import Recorder
from ..wires import PARENT
from .patch import Link, Wrapper

_leads: dict[int, str] = {}
"""Where the streams that are open lead to: id -> URL, CHILD or PARENT."""
_KIN: ContextVar[bool] = ContextVar("hexr_kin", default=False)
"""Whether this context serves the process that started this one."""


def _blame(link: Link) -> None:
    if link.breaker is not None:
        link.breaker.failed()


# -- going out


def _departing(
    link: Link, target: Target, recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    if link.breaker is None:
        return None
    peer = link.wire.peer(instance, args, kwargs)
    url = peer if isinstance(peer, str) else _leads.get(id(peer))
    carrier = propagation.carrier(recorder, url, traced=target.drive == "depart")
    sent = link.wire.put(instance, args, kwargs, carrier) if carrier else None
    link.breaker.worked()
    return sent


def depart(link: Link, target: Target, recorder: Recorder) -> Wrapper:
    """A request that leaves (`depart`, `send`); what it returns, also a coroutine, is passed on as it is."""

    def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        sent = attempt(partial(_blame, link), _departing, link, target, recorder, instance, args, kwargs)
        args, kwargs = sent or (args, kwargs)
        return wrapped(*args, **kwargs)

    return wrapper


def link(link: Link, target: Target, recorder: Recorder) -> Wrapper:
    """A function that returns a context manager of streams: it notes where they lead while they are open."""

    def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        manager = wrapped(*args, **kwargs)
        guarded(_note, manager, guarded(link.wire.leads, args, kwargs))
        return manager

    return wrapper


def _note(manager: Any, url: str | None) -> None:
    kind: type[Any] = manager.__class__

    async def enter(self: Any) -> Any:
        if url == PARENT:
            _KIN.set(True)  # before the tasks are started that read
        streams: Any = await kind.__aenter__(self)
        guarded(_opened, self, streams, url)
        return streams

    async def leave(self: Any, *error: Any) -> Any:
        guarded(_closed, self)
        return await kind.__aexit__(self, *error)

    # `async with` looks these two up on the class; it stays a subclass of what the SDK returned.
    manager.__class__ = type(kind.__name__, (kind,), {"__aenter__": enter, "__aexit__": leave, "__slots__": ()})


def _opened(manager: Any, streams: Any, url: str | None) -> None:
    ids = manager.__dict__["_hexr_streams"] = [id(each) for each in sequence(streams)]
    if url is not None:
        _leads.update(dict.fromkeys(ids, url))


def _closed(manager: Any) -> None:
    for each in manager.__dict__.pop("_hexr_streams", ()):
        _leads.pop(each, None)


def withhold(link: Link, target: Target, recorder: Recorder) -> Wrapper:
    """`inject(carrier, context, setter)` of a propagator of baggage: ours goes only where `send` and `depart` put it."""

    def without(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        given = args[1] if len(args) > 1 else kwargs.get("context")
        around = otel.get_current() if given is None else given
        kept = propagation.without_ours(around)
        if kept is around:
            return None
        return ((args[0], kept, *args[2:]), kwargs) if len(args) > 1 else (args, {**kwargs, "context": kept})

    def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        args, kwargs = guarded(without, args, kwargs) or (args, kwargs)
        return wrapped(*args, **kwargs)

    return wrapper


# -- coming in


def _changes(
    link: Link, recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> list[Change]:
    """What serving a request changes: outermost the span around it and the tenant of a believed side, then the agent."""
    if link.breaker is None:
        return []
    carried = link.wire.got(instance, args, kwargs) or {}
    link.breaker.worked()
    config = recorder.config
    # Who started this process is around everything in it: a request says more of what is done for it.
    own = NOBODY if (scope := context.current()) is None or scope is context.base else scope.caller
    span, tenant = traceparent.read(carried.get(TRACEPARENT)), None
    kin = _KIN.get() and link.wire.kin(instance, args, kwargs)
    if (kin or config.trust_inbound) and config.tenant is None and own.tenant is None:
        tenant = propagation.remote_tenant(carried)
    changes: list[Change] = []
    if span is not None or tenant is not None:
        changes.append(
            Change(
                tenant=tenant, remote=None if span is None else partial(Remote, recorder, span, carried.get(TRACESTATE))
            )
        )
    # A service's name is no agent's where the agent that runs in it has one of its own.
    if link.wire.agent and config.agent not in (None, config.service) and own.agent is None:
        changes.append(Change(agent=config.agent))
    return changes


def _served(
    link: Link,
    recorder: Recorder,
    function: Callable[..., Any],
    instance: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Callable[..., Any]:
    for change in reversed(_changes(link, recorder, instance, args, kwargs)):
        function = context.within(function, change)
    return function


def arrive(link: Link, target: Target, recorder: Recorder) -> Wrapper:
    """A coroutine function that serves a request."""

    def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        serve = attempt(partial(_blame, link), _served, link, recorder, wrapped, instance, args, kwargs)
        return (serve or wrapped)(*args, **kwargs)

    return wrapper


def arrivals(link: Link, target: Target, recorder: Recorder) -> Wrapper:
    """A function that serves a request as an asynchronous generator, whatever decorates it."""

    def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        async def steps(*args: Any, **kwargs: Any) -> Any:
            async with contextlib.aclosing(wrapped(*args, **kwargs)) as served:
                async for each in served:
                    yield each

        serve = attempt(partial(_blame, link), _served, link, recorder, steps, instance, args, kwargs)
        return (serve or wrapped)(*args, **kwargs)

    return wrapper


class Silence:
    """What an SDK traces itself with, switched off: `get_tracer` of the tracing API gives a tracer that does nothing."""

    def __init__(self, loud: Any) -> None:
        """Has whatever else `loud` has."""
        self._loud = loud

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loud, name)

    def get_tracer(self, *args: Any, **kwargs: Any) -> NoOpTracer:
        """A tracer without spans."""
        return NoOpTracer()


DRIVES: dict[str, Callable[[Link, Target, Recorder], Wrapper]] = {
    "depart": depart,
    "send": depart,
    "link": link,
    "withhold": withhold,
    "arrive": arrive,
    "arrivals": arrivals,
}
