"""Celery: the caller of `.delay()` is the caller in the worker, by a header of the message."""

from __future__ import annotations

import sys
from typing import Any

from ..context import Scope, put
from ..guard import guarded
from . import ticket

MODULE = "celery.signals"
HEADER = "hexr_caller"

_before: dict[str, Scope | None] = {}
"""Id of a task that is running here -> the scope that was around it."""


def connect() -> None:
    """Listens to celery's own signals, where it is imported; a second time does nothing."""
    signals: Any = sys.modules.get(MODULE)
    for name, receiver in _RECEIVERS.items():
        signal = getattr(signals, name, None)
        if signal is not None:
            signal.connect(receiver, weak=False, dispatch_uid=f"hexr-{name}")


def disconnect() -> None:
    """Listens no more."""
    signals: Any = sys.modules.get(MODULE)
    for name in _RECEIVERS:
        signal = getattr(signals, name, None)
        if signal is not None:
            signal.disconnect(dispatch_uid=f"hexr-{name}")


def _published(headers: Any = None, **_: Any) -> None:
    guarded(_write, headers)


def _write(headers: Any) -> None:
    found = ticket.here()
    if found is not None and isinstance(headers, dict):
        headers[HEADER] = ticket.said(found)


def _started(task_id: str = "", task: Any = None, **_: Any) -> None:
    found = guarded(ticket.heard, getattr(getattr(task, "request", None), HEADER, None))
    if found is not None:
        _before[task_id] = put(found.scope())


def _ended(task_id: str = "", **_: Any) -> None:
    if task_id in _before:
        put(_before.pop(task_id))


_RECEIVERS = {"before_task_publish": _published, "task_prerun": _started, "task_postrun": _ended}
