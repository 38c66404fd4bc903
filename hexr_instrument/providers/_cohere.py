"""Handles of Cohere's clients."""

from __future__ import annotations

import copy
from types import CellType, FunctionType, MethodType
from typing import Any

from ..call import pick


def owner(part: Any) -> Any:
    """All parts of a client share what wraps its transport."""
    return pick(part, "_client_wrapper")


def _twin(whole: Any, known: dict[int, Any]) -> Any:
    """A copy of a client's part, with copies of its own parts; what is no part of it is shared."""
    made: Any = object.__new__(whole.__class__)
    known[id(whole)] = made
    made.__dict__ |= {name: _copied(value, known) for name, value in whole.__dict__.items()}
    return made


def _copied(value: Any, known: dict[int, Any]) -> Any:
    if id(value) in known:
        return known[id(value)]
    if type(value) is MethodType:
        return MethodType(value.__func__, known.get(id(value.__self__), value.__self__))
    if type(value) is FunctionType and value.__closure__ and value.__module__.startswith("cohere."):
        cells = tuple(CellType() for _ in value.__closure__)
        made = FunctionType(value.__code__, value.__globals__, value.__name__, value.__defaults__, cells)
        made.__doc__ = value.__doc__
        known[id(value)] = made
        for cell, found in zip(cells, value.__closure__, strict=True):
            cell.cell_contents = _copied(found.cell_contents, known)
        return made
    part = type(value).__module__.startswith("cohere.") and hasattr(value, "__dict__")
    return _twin(value, known) if part and owner(value) is not None else value


def handle(client: Any) -> Any:
    """A second client on the same transport; the methods that it keeps of itself are its own."""
    wrapper: Any = owner(client)
    return _twin(client, {id(wrapper): copy.copy(wrapper)})
