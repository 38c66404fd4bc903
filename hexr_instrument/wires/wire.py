"""What a table of a wire says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..call import Target

Args = tuple[Any, ...]
Kwargs = Mapping[str, Any]
Carrier = Mapping[str, str]

CHILD, PARENT = "child", "parent"
"""In place of a URL: a process that this one started, and the one that it was started by. They are trusted."""


def nothing(*asked: Any) -> None:
    """What a table answers that has none."""
    return


@dataclass(frozen=True, slots=True)
class Wire:
    """How requests from process to process carry who asks: W3C trace context and baggage, in headers or metadata.

    Each function gets `(instance, args, kwargs)` of a target, as it was called.
    """

    name: str
    module: str
    """The module that defines the targets; importing it triggers the patch."""
    targets: tuple[Target, ...]
    """Their drives: `depart` (asks another agent), `send` (any HTTP request), `arrive` (a coroutine that serves a
    request), `arrivals` (an asynchronous generator that does), `link` (returns a context manager of two streams to
    another process), `withhold` (puts the baggage of the context into a request), `silence` (the attribute is what an
    SDK traces itself with). `depart`, `send` are sync or async alike."""
    put: Callable[[Any, Args, Kwargs, Carrier], tuple[Args, dict[str, Any]] | None] = nothing
    """And a carrier -> arguments that carry it, in copies of what is the program's; None where nothing can."""
    peer: Callable[[Any, Args, Kwargs], Any] = nothing
    """The URL that is asked, or the stream that leads there; None where nobody knows."""
    got: Callable[[Any, Args, Kwargs], Mapping[Any, Any] | None] = nothing
    """What a request that is served carries, by names in lower case."""
    kin: Callable[[Any, Args, Kwargs], bool] = lambda instance, args, kwargs: False
    """Whether a request that is served came without a network of the SDK's."""
    agent: bool = False
    """Whether what is served is a run of this process's agent, with a span of its own."""
    leads: Callable[[Args, Kwargs], str | None] = nothing
    """`(args, kwargs)` of a `link` -> the URL that it leads to, or CHILD or PARENT."""
