"""Runs of tools by an SDK, sync or async alike: spans that cost nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..call import Provider, Target
from ..executions import RUNNING, Execution
from ..guard import guarded, undo
from ..recorder import Recorder
from .patch import Patch, Wrapper


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


def tool(patch: Patch, target: Target, recorder: Recorder) -> Wrapper:
    """A function that runs one tool."""
    provider = patch.provider

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


def atool(patch: Patch, target: Target, recorder: Recorder) -> Wrapper:
    """The same, awaited."""
    provider = patch.provider

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


def untraced(patch: Patch, target: Target, recorder: Recorder) -> Wrapper:
    """An SDK's own span for a run of a tool that has ours."""

    def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if args and guarded(recorder.shares_context):
            args = (_Untraced(), *args[1:])
        return wrapped(*args, **kwargs)

    return wrapper
