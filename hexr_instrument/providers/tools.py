"""Tools that the SDKs run themselves: anthropic's tool runner, Google's automatic function calling, openai's runner.

A run of a tool is no billed request: it is a span of its own where spans leave, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..call import Outcome, Provider, Target, Tool, Tools, pick, text


def _nothing(*asked: Any) -> None:
    """No request is billed here."""


def _no_outcome(result: Any) -> Outcome:
    return Outcome()


def _itself(source: Any) -> Any:
    return source


def _table(name: str, module: str, targets: tuple[Target, ...], tools: Tools) -> Provider:
    return Provider(
        name=name,
        module=module,
        targets=targets,
        request=_nothing,
        outcome=_no_outcome,
        owner=_itself,
        handle=_itself,
        clients=(),
        tools=tools,
    )


def _run(name: str, *parameters: str) -> Target:
    return Target(name, "tool", parameters, optional=True)


def _claude(runner: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tool | None:
    """`_run_tool(tool, tool_use)`."""
    tool = args[0] if args else kwargs.get("tool")
    use = args[1] if len(args) > 1 else kwargs.get("tool_use")
    name = text(use, "name")
    return Tool(name, text(use, "id"), text(tool, "description"), pick(use, "input")) if name else None


def _claude_function(tool: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tool | None:
    """`call(input)`: where the runner of this version has no method of its own for one run."""
    name = text(tool, "name")
    return Tool(name, None, text(tool, "description"), args[0] if args else kwargs.get("input")) if name else None


def _claude_result(result: Any) -> tuple[Any, str | None]:
    return pick(result, "content"), "tool_error" if pick(result, "is_error") is True else None


def _gemini(nothing: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tool | None:
    """`invoke_function_from_dict_args(args, function_to_invoke)`."""
    given = args[0] if args else kwargs.get("args")
    function = args[1] if len(args) > 1 else kwargs.get("function_to_invoke")
    name = text(function, "__name__")
    return Tool(name, None, text(function, "__doc__"), given) if name else None


def _gpt(runner: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tool | None:
    """`_execute_function(run, item)`."""
    item = args[1] if len(args) > 1 else kwargs.get("item")
    name = text(item, "name")
    return Tool(name, text(item, "call_id"), None, text(item, "arguments")) if name else None


def _result(result: Any) -> tuple[Any, str | None]:
    return result, None


def _gpt_result(result: Any) -> tuple[Any, str | None]:
    return pick(result, "output"), None


TABLES = (
    _table(
        "anthropic tools",
        "anthropic.lib.tools._beta_runner",
        (
            _run("BaseSyncToolRunner._run_tool", "tool", "tool_use"),
            _run("BaseAsyncToolRunner._run_tool", "tool", "tool_use"),
            Target("tool_use_span", "untraced", ("client",), optional=True),
        ),
        Tools(_claude, _claude_result),
    ),
    _table(
        "anthropic functions",
        "anthropic.lib.tools._beta_functions",
        (_run("BetaFunctionTool.call", "input"), _run("BetaAsyncFunctionTool.call", "input")),
        Tools(_claude_function, _result),
    ),
    _table(
        "google tools",
        "google.genai._extra_utils",
        (
            _run("invoke_function_from_dict_args", "args", "function_to_invoke"),
            _run("invoke_function_from_dict_args_async", "args", "function_to_invoke"),
        ),
        Tools(_gemini, _result),
    ),
    _table(
        "openai tools",
        "openai.lib.responses_tool_runner",
        (
            _run("ResponsesToolRunner._execute_function", "run", "item"),
            _run("AsyncResponsesToolRunner._execute_function", "run", "item"),
        ),
        Tools(_gpt, _gpt_result),
    ),
)
