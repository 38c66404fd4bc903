"""What Prometheus (or what speaks its API: Mimir, Thanos, VictoriaMetrics) holds of our counters.

`increase()` guesses: it loses what a new series already had at its first sample and stretches the rest to the edges of the
window. Here the samples themselves are taken: the last one of each series in the window, less the last one before it; a
series that begins in the window began at nothing. Where a counter was reset, all of its samples are added up.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ... import names
from ...call import mapping, pick, sequence
from .http import Backend, amount

_BEFORE = 86400
"""Seconds before the window in which the last sample before it is looked for: scrapes may fail, pushes be late."""
_MEANING = {
    f"{names.COST}_total": ("cost", ""),
    names.COST: ("cost", ""),
    f"{names.CALLS}_total": ("calls", ""),
    names.CALLS: ("calls", ""),
    f"{names.METRICS['default']['tokens'].name}_sum": ("tokens", ""),
    f"{names.METRICS['latest']['input_tokens'].name}_sum": ("tokens", "input"),
    f"{names.METRICS['latest']['output_tokens'].name}_sum": ("tokens", "output"),
}
"""Name with dots -> what it counts, and of which type where the name says it; with and without suffixes of units."""


def label(attribute: str) -> str:
    """An attribute's name as Prometheus spells it."""
    return re.sub(r"[^a-zA-Z0-9_]", "_", attribute)


_NAMES = {label(name): meaning for name, meaning in _MEANING.items()}


def counted(backend: Backend, since: int, until: int) -> Iterator[tuple[str, dict[str, str], float]]:
    """(`cost` in USD, `calls` or `tokens`; labels; how much) of each series in a window.

    Args:
        backend: Where it is asked.
        since: The window's begin, in nanoseconds since the epoch.
        until: Its end.
    """
    bounds = (since / 1e9, until / 1e9)
    for name in _present(backend, *bounds):
        what, kind = _NAMES[name]
        for labels, grown in _series(backend, name, *bounds):
            if kind:
                labels[label(names.TOKEN_TYPE)] = kind
            yield what, labels, grown


def _present(backend: Backend, since: float, until: float) -> list[str]:
    pattern = "|".join(_NAMES)
    answer = backend.get(
        "/api/v1/label/__name__/values",
        {"match[]": f'{{__name__=~"{pattern}"}}', "start": str(since), "end": str(until)},
    )
    return [name for name in map(str, sequence(answer.get("data"))) if name in _NAMES]


def _series(backend: Backend, name: str, since: float, until: float) -> Iterator[tuple[dict[str, str], float]]:
    window = _milliseconds(until - since)
    wide = _milliseconds(until - since + _BEFORE)
    before = {_key(each): value for each, value in _vector(backend, f"last_over_time({name}[{_BEFORE}s])", since)}
    reset = {_key(each) for each, _ in _vector(backend, f"resets({name}[{wide}]) > 0", until)}
    for labels, value in _vector(backend, f"last_over_time({name}[{window}])", until):
        key = _key(labels)
        if key in reset:
            yield labels, _summed(backend, f"{_selector(name, labels)}[{wide}]", since, until)
        else:
            yield labels, value - before.get(key, 0.0)


def _milliseconds(seconds: float) -> str:
    return f"{max(1, round(seconds * 1000))}ms"


def _key(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(labels.items()))


def _selector(name: str, labels: Mapping[str, str]) -> str:
    # A JSON string is one of PromQL's, too: the same escapes.
    return (
        name + "{" + ",".join(f"{each}={json.dumps(value, ensure_ascii=False)}" for each, value in _key(labels)) + "}"
    )


def _vector(backend: Backend, query: str, moment: float) -> Iterator[tuple[dict[str, str], float]]:
    for each in _result(backend, query, moment):
        labels = {str(name): str(value) for name, value in mapping(pick(each, "metric")).items() if name != "__name__"}
        yield labels, amount(pick(each, "value", 1))


def _summed(backend: Backend, query: str, since: float, until: float) -> float:
    """What a counter grew by between two moments, with its resets."""
    total = last = 0.0
    for each in _result(backend, query, until):
        for pair in sequence(pick(each, "values")):
            value = amount(pick(pair, 1))
            if amount(pick(pair, 0)) > since:
                total += value - last if value >= last else value
            last = value
    return total


def _result(backend: Backend, query: str, moment: float) -> list[Any]:
    return sequence(
        pick(backend.get("/api/v1/query", {"query": query, "time": f"{moment:.3f}"}, form=True), "data", "result")
    )
