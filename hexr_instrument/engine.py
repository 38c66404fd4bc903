"""Patching: puts one wrapper on each target of a provider's table, and takes it off again. The only user of wrapt."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from types import ModuleType
from typing import Any

import wrapt

from . import sessions, streams
from .budgets import BudgetExceeded
from .call import REGISTRATION, Provider, Target, mapping
from .executions import RUNNING, Execution
from .guard import Breaker, attempt, guarded, undo
from .providers import PROVIDERS
from .recorder import CURRENT, Live, Recorder

Wrapper = Callable[[Callable[..., Any], Any, tuple[Any, ...], dict[str, Any]], Any]


@dataclass(slots=True)
class Patch:
    """One patched provider: what was put where, and what was left alone and why."""

    provider: Provider
    originals: list[tuple[Any, str, Any]] = field(default_factory=list[tuple[Any, str, Any]])
    """(where, name, what was there; None where it was inherited)."""
    left: dict[str, str] = field(default_factory=dict[str, str])
    breaker: Breaker | None = None
    """None after it has taken the wrappers off, because our steps failed in call after call."""


class _Bound(wrapt.BoundFunctionWrapper):  # pyright: ignore[reportMissingTypeArgument]  (older wrapt has none)
    """A patched method as one gets it from its class or from an instance; pickled as `getattr`, as methods are."""

    def __copy__(self) -> Any:
        """Itself, as a function's copy is."""
        return self

    def __deepcopy__(self, memo: Any) -> Any:
        """Itself."""
        return self

    def __reduce_ex__(self, protocol: Any) -> Any:
        """By name: who loads it gets what is there."""
        owner: Any = self._self_instance
        return getattr, (self._self_owner if owner is None else owner, self.__name__)


class Patched(wrapt.FunctionWrapper):  # pyright: ignore[reportMissingTypeArgument]
    """A target's wrapper; unlike wrapt's own it can be pickled and copied, as the function that it stands for."""

    __bound_function_wrapper__ = _Bound
    __copy__ = _Bound.__copy__
    __deepcopy__ = _Bound.__deepcopy__

    def __reduce_ex__(self, protocol: Any) -> Any:
        """By name."""
        return self.__qualname__


patches: dict[str, Patch] = {}
"""Patched providers by name."""


def patch_module(module: ModuleType, recorder: Recorder, *, executed: bool = False) -> None:
    """Patches the provider whose targets `module` defines; a second time does nothing.

    Args:
        module: The provider's module.
        recorder: Where its calls are begun.
        executed: Whether it has just been executed: a reload has made its classes anew, and they are patched again.
    """
    for provider in PROVIDERS:
        patch = patches.get(provider.name)
        if provider.module == module.__name__ and (patch is None or (executed and patch.breaker is not None)):
            if patch is None:
                patch = patches[provider.name] = Patch(provider)
                patch.breaker = Breaker(partial(_break, patch, recorder))
            for target in provider.targets:
                if target.drive in ("mute", "untraced") and recorder.config.native_spans:
                    continue
                guarded(_wrap, module, provider, target, recorder, patch)


def patch_loaded(recorder: Recorder) -> None:
    """Patches what was imported before us."""
    for provider in PROVIDERS:
        module = sys.modules.get(provider.module)
        # Another thread may be executing it still: then its targets are not there yet, and the finder's turn comes.
        if module is not None and not getattr(module.__spec__, "_initializing", False):
            patch_module(module, recorder)


def unpatch() -> None:
    """Puts back the very same objects."""
    for patch in patches.values():
        _restore(patch)
    patches.clear()


def _break(patch: Patch, recorder: Recorder) -> None:
    """Takes one provider's wrappers off for good: the program goes on with the SDK's own objects, unrecorded."""
    _restore(patch)
    patch.breaker = None
    guarded(recorder.note_breaker, patch.provider.name)


def _restore(patch: Patch) -> None:
    for parent, name, original in reversed(patch.originals):
        if original is None:
            delattr(parent, name)
        else:
            setattr(parent, name, original)
    patch.originals.clear()


def _wrap(module: ModuleType, provider: Provider, target: Target, recorder: Recorder, patch: Patch) -> None:
    *path, name = target.name.split(".")
    parent: Any = module
    for step in path:
        parent = getattr(parent, step, None)
    members: dict[str, Any] = {} if parent is None else parent.__dict__
    own: Any = members.get(name)
    original: Any = own if own is not None or parent is None else inspect.getattr_static(parent, name, None)
    if original is None:
        if not target.optional:
            patch.left[target.name] = "this version of the SDK does not have it"
        return
    if target.instead_of in members:
        return
    known = inspect.signature(original).parameters
    if missing := [each for each in target.parameters if each not in known]:
        patch.left[target.name] = f"its signature has no {', '.join(missing)}"
        return
    drive = ("a" if target.drive in _EITHER and inspect.iscoroutinefunction(original) else "") + target.drive
    wrapper = _DRIVES[drive](provider, target, recorder)
    setattr(parent, name, Patched(original, wrapper))
    patch.originals.append((parent, name, own))


def _begin(
    provider: Provider, target: Target, recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Live | BudgetExceeded | None:
    patch = patches.get(provider.name)
    if patch is None or patch.breaker is None:  # taken off while this call was on its way here
        return None
    live = attempt(patch.breaker.failed, _begun, provider, target, recorder, instance, args, kwargs)
    if isinstance(live, Live):
        live.breaker = patch.breaker
    return live


def _begun(
    provider: Provider, target: Target, recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Live | BudgetExceeded | None:
    request = provider.request(instance, args, kwargs, target.name)
    if request is None:
        return None
    amended = None
    hosts = recorder.config.stream_usage
    if request.stream and provider.amend is not None and ("*" in hosts or request.host in hosts):
        amended = guarded(provider.amend, args, kwargs, request)
    registered = getattr(provider.owner(instance), REGISTRATION, None)
    if (refusal := recorder.refusal(request, registered)) is not None:
        return refusal
    live = recorder.begin(request, registered)
    live.amended = amended
    return live


def _settle(provider: Provider, live: Live, result: Any) -> None:
    outcome = guarded(provider.outcome, result)
    if outcome is not None and outcome.body is not None:
        guarded(streams.follow, result, live, outcome.chunks)
        streams.defer(outcome.body, live, outcome.late, held=outcome.chunks is not None)
        return
    if outcome is not None and outcome.payload is not None:
        guarded(live.feed, outcome.payload)
    live.end()


def _failed(live: Live, error: BaseException) -> None:
    if isinstance(error, GeneratorExit):
        live.entered.clear()  # a coroutine closed from another context: there is nothing here to put back
    undo(live.entered)
    guarded(live.end, error)


def _call(provider: Provider, target: Target, recorder: Recorder) -> Wrapper:
    def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        live = guarded(_begin, provider, target, recorder, instance, args, kwargs)
        if isinstance(live, BudgetExceeded):  # on purpose, and outside of every guard: nothing is sent
            raise live
        if live is None:
            return wrapped(*args, **kwargs)
        guarded(recorder.enter, live)
        args, kwargs = live.amended or (args, kwargs)
        try:
            result = wrapped(*args, **kwargs)
        except BaseException as error:  # the caller's own, also a cancellation: noted and raised again
            _failed(live, error)
            raise
        undo(live.entered)
        guarded(_settle, provider, live, result)
        return result

    return wrapper


def _acall(provider: Provider, target: Target, recorder: Recorder) -> Wrapper:
    async def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        live = guarded(_begin, provider, target, recorder, instance, args, kwargs)
        if isinstance(live, BudgetExceeded):  # on purpose, and outside of every guard: nothing is sent
            raise live
        if live is None:
            return await wrapped(*args, **kwargs)
        guarded(recorder.enter, live)
        args, kwargs = live.amended or (args, kwargs)
        try:
            result = await wrapped(*args, **kwargs)
        except BaseException as error:  # the caller's own, also a cancellation: noted and raised again
            _failed(live, error)
            raise
        undo(live.entered)
        guarded(_settle, provider, live, result)
        return result

    return wrapper


def _stream(provider: Provider, target: Target, recorder: Recorder) -> Wrapper:
    """A target that is a generator function: nothing is sent before the first chunk is asked for."""

    def chunks(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        live = guarded(_begin, provider, target, recorder, instance, args, kwargs)
        if isinstance(live, BudgetExceeded):  # on purpose, and outside of every guard: nothing is sent
            raise live
        if live is None:
            yield from wrapped(*args, **kwargs)
            return
        yield from streams.passed_on(wrapped(*args, **kwargs), live, feed=True)

    def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return chunks(wrapped, instance, args, kwargs)

    return wrapper


def _astream(provider: Provider, target: Target, recorder: Recorder) -> Wrapper:
    """A target that is a coroutine function whose result is an asynchronous generator."""

    async def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        live = guarded(_begin, provider, target, recorder, instance, args, kwargs)
        if isinstance(live, BudgetExceeded):  # on purpose, and outside of every guard: nothing is sent
            raise live
        if live is None:
            return await wrapped(*args, **kwargs)
        guarded(recorder.enter, live)
        try:
            chunks = await wrapped(*args, **kwargs)
        except BaseException as error:  # the caller's own, also a cancellation: noted and raised again
            _failed(live, error)
            raise
        undo(live.entered)
        return guarded(streams.AsyncChunks, chunks, live, feed=True) or chunks

    return wrapper


def _feed(provider: Provider, target: Target, recorder: Recorder) -> Wrapper:
    """A parsed body or an event: it belongs to its response's call, or else to the one under way."""

    def feed(kwargs: dict[str, Any]) -> Live | None:
        """The call whose added usage chunk this is, if it is one."""
        live = streams.live_of(kwargs.get("response")) or CURRENT.get()
        if live is None:
            return None
        data: Any = kwargs.get("data")
        live.feed(data)
        if live.amended is None:
            return None
        added = live.call.request.format.usage_only
        if added is not None and added(data):
            return live
        if mapping(data).get("usage", live) is None:  # asking for usage puts a null into each other chunk
            del data["usage"]
        return None

    def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        live = guarded(feed, kwargs)
        result = wrapped(*args, **kwargs)
        if live is not None:
            live.hidden = result
        return result

    return wrapper


def _mute(provider: Provider, target: Target, recorder: Recorder) -> Wrapper:
    """An SDK's own span for a request that is already recorded."""

    def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        live = CURRENT.get()
        return wrapped(*args, **kwargs) if live is None or guarded(getattr, live, "quiet") else None

    return wrapper


# -- Long connections: each drive has a twin for coroutine functions, which differs in an `await`


def _open(provider: Provider, target: Target, recorder: Recorder) -> Wrapper:
    def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        connection = wrapped(*args, **kwargs)
        guarded(sessions.opened, connection, provider, recorder, instance)
        return connection

    return wrapper


def _aopen(provider: Provider, target: Target, recorder: Recorder) -> Wrapper:
    async def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        connection = await wrapped(*args, **kwargs)
        guarded(sessions.opened, connection, provider, recorder, instance)
        return connection

    return wrapper


def _connect(provider: Provider, target: Target, recorder: Recorder) -> Wrapper:
    def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        manager = wrapped(*args, **kwargs)
        guarded(sessions.entering, manager, provider, recorder, instance, kwargs)
        return manager

    return wrapper


def _ask(provider: Provider, target: Target, recorder: Recorder) -> Wrapper:
    def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        session = guarded(sessions.opened, instance, provider, recorder, instance)
        live = None if session is None else guarded(session.ask, instance, args, kwargs, target.name)
        if isinstance(live, BudgetExceeded):
            raise live
        try:
            return wrapped(*args, **kwargs)
        except BaseException as error:  # the caller's own: noted and raised again
            if session is not None and live is not None:
                guarded(session.refused, live, error)
            raise

    return wrapper


def _aask(provider: Provider, target: Target, recorder: Recorder) -> Wrapper:
    async def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        session = guarded(sessions.opened, instance, provider, recorder, instance)
        live = None if session is None else guarded(session.ask, instance, args, kwargs, target.name)
        if isinstance(live, BudgetExceeded):
            raise live
        try:
            return await wrapped(*args, **kwargs)
        except BaseException as error:  # the caller's own, also a cancellation: noted and raised again
            if session is not None and live is not None:
                guarded(session.refused, live, error)
            raise

    return wrapper


def _received(provider: Provider, target: Target, recorder: Recorder, connection: Any, message: Any) -> None:
    session = guarded(sessions.opened, connection, provider, recorder, connection)
    if session is not None:
        guarded(session.receive, connection, message, target.name)


def _receive(provider: Provider, target: Target, recorder: Recorder) -> Wrapper:
    def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        message = wrapped(*args, **kwargs)
        _received(provider, target, recorder, instance, message)
        return message

    return wrapper


def _areceive(provider: Provider, target: Target, recorder: Recorder) -> Wrapper:
    async def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        message = await wrapped(*args, **kwargs)
        _received(provider, target, recorder, instance, message)
        return message

    return wrapper


def _broke(connection: Any, error: BaseException) -> None:
    session = sessions.of(connection)
    # A cancelled wait loses nothing, and a connection that the server closes in good order has not failed.
    if session is not None and isinstance(error, Exception):
        session.over(None if type(error).__name__ == "ConnectionClosedOK" else error)


def _watch(provider: Provider, target: Target, recorder: Recorder) -> Wrapper:
    def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        try:
            return wrapped(*args, **kwargs)
        except BaseException as error:  # the caller's own: noted and raised again
            guarded(_broke, instance, error)
            raise

    return wrapper


def _awatch(provider: Provider, target: Target, recorder: Recorder) -> Wrapper:
    async def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        try:
            return await wrapped(*args, **kwargs)
        except BaseException as error:  # the caller's own, also a cancellation: noted and raised again
            guarded(_broke, instance, error)
            raise

    return wrapper


def _leave(provider: Provider, target: Target, recorder: Recorder) -> Wrapper:
    """Sync or async: what is under way is over before the connection is closed."""

    def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        session = guarded(sessions.of, instance)
        if session is not None:
            guarded(session.over)
        return wrapped(*args, **kwargs)

    return wrapper


def _execution(
    provider: Provider, recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Execution | None:
    """A run of a tool, where its span has somewhere to go."""
    if provider.tools is None or not recorder.shares_context():
        return None
    tool = provider.tools.tool(instance, args, kwargs)
    # An SDK that has a method for the run of a tool calls the tool's own method in it: that is one run.
    if tool is None or (tool.call_id is None and tool.name == RUNNING.get()):
        return None
    return Execution(recorder, tool)


def _ended(provider: Provider, execution: Execution, result: Any) -> None:
    execution.end(*(provider.tools.result(result) if provider.tools is not None else (None, None)))


def _tool(provider: Provider, target: Target, recorder: Recorder) -> Wrapper:
    def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        execution = guarded(_execution, provider, recorder, instance, args, kwargs)
        if execution is None:
            return wrapped(*args, **kwargs)
        guarded(execution.enter)
        try:
            result = wrapped(*args, **kwargs)
        except BaseException as error:  # the program's own: noted and raised again
            undo(execution.entered)
            guarded(execution.end, None, error)
            raise
        undo(execution.entered)
        guarded(_ended, provider, execution, result)
        return result

    return wrapper


def _atool(provider: Provider, target: Target, recorder: Recorder) -> Wrapper:
    async def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        execution = guarded(_execution, provider, recorder, instance, args, kwargs)
        if execution is None:
            return await wrapped(*args, **kwargs)
        guarded(execution.enter)
        try:
            result = await wrapped(*args, **kwargs)
        except BaseException as error:  # the program's own, also a cancellation: noted and raised again
            if isinstance(error, GeneratorExit):
                execution.entered.clear()  # a coroutine closed from another context: there is nothing to put back
            undo(execution.entered)
            guarded(execution.end, None, error)
            raise
        undo(execution.entered)
        guarded(_ended, provider, execution, result)
        return result

    return wrapper


class _Untraced:
    """A client as an SDK's own tracing sees it where tracing is off."""

    _tracer = None


def _untraced(provider: Provider, target: Target, recorder: Recorder) -> Wrapper:
    """An SDK's own span for a run of a tool that has ours."""

    def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if args and guarded(recorder.shares_context):
            args = (_Untraced(), *args[1:])
        return wrapped(*args, **kwargs)

    return wrapper


_DRIVES: dict[str, Callable[[Provider, Target, Recorder], Wrapper]] = {
    "call": _call,
    "acall": _acall,
    "stream": _stream,
    "astream": _astream,
    "feed": _feed,
    "mute": _mute,
    "open": _open,
    "aopen": _aopen,
    "connect": _connect,
    "ask": _ask,
    "aask": _aask,
    "receive": _receive,
    "areceive": _areceive,
    "watch": _watch,
    "awatch": _awatch,
    "leave": _leave,
    "tool": _tool,
    "atool": _atool,
    "untraced": _untraced,
}
_EITHER = frozenset({"open", "ask", "receive", "watch", "tool"})
"""Drives whose twin is taken by the target's own kind."""
