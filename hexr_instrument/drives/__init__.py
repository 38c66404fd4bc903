"""What a wrapper does around the method that it stands for: a `Target` names its drive. Knows no provider, and no wrapt."""

from __future__ import annotations

from collections.abc import Callable

from ..call import Target
from ..recorder import Recorder
from . import accounts, calls, connections, managers, roles, steps, tools, wires
from .patch import Hook, Link, Patch, Wrapped, Wrapper

__all__ = ["DRIVES", "EITHER", "FEEDS", "Hook", "Link", "Patch", "Wrapped", "Wrapper", "roles", "wires"]

DRIVES: dict[str, Callable[[Patch, Target, Recorder], Wrapper]] = {
    "call": calls.call,
    "acall": calls.acall,
    "stream": calls.stream,
    "astream": calls.astream,
    "reply": calls.reply,
    "areply": calls.areply,
    "flow": calls.flow,
    "aflow": calls.aflow,
    "enter": managers.enter,
    "late": calls.late,
    "alate": calls.alate,
    "step": steps.step,
    "astep": steps.astep,
    "shut": steps.shut,
    "ashut": steps.ashut,
    "unspan": calls.unspan,
    "mute": calls.mute,
    "idle": calls.idle,
    "open": connections.opening,
    "aopen": connections.aopening,
    "connect": connections.connect,
    "ask": connections.ask,
    "aask": connections.aask,
    "receive": connections.receive,
    "areceive": connections.areceive,
    "watch": connections.watch,
    "awatch": connections.awatch,
    "leave": connections.leave,
    "order": accounts.order,
    "statements": accounts.statements,
    "tool": tools.tool,
    "atool": tools.atool,
    "untraced": tools.untraced,
}
FEEDS = {"feed": calls.feed}
"""Drives of what runs with every chunk of a stream: the function's keyword arguments go to them first."""
EITHER = frozenset({"reply", "flow", "late", "open", "ask", "receive", "watch", "tool"})
"""Drives whose twin is taken by the target's own kind."""
