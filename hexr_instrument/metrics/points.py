"""What a record measures: metric, value and labels. Pure, and without OpenTelemetry.

Labels are made once for each set of them. A label takes at most `VALUES` values and an instrument at most `SETS` sets
of labels in one process; what comes later has `__other__` instead, and is counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .. import names
from ..call import USD

VALUES = 200
SETS = 2000
"""OpenTelemetry's own limit, beyond which an SDK would fold what is left in one point without any label."""
OTHER = "__other__"
_ROOM = 100
"""How many of the sets are for what is folded."""
_CACHED = 8192
LABEL = "label."
"""How HEXR_METRIC_LABELS names a label of `hexr_labels` or HEXR_LABELS: `label.team`."""

Value = str | int
Extra = tuple[tuple[str, str], ...]
Measurement = tuple[str, float, Mapping[str, Value]]
"""Key of the metric in `names`, value, attributes."""


def known_label(word: str) -> bool:
    """Whether HEXR_METRIC_LABELS may have this word."""
    return word in names.METRIC_LABELS or (word.startswith(LABEL) and len(word) > len(LABEL))


@dataclass(slots=True)
class _Set:
    """The labels of a call, as its points have them."""

    attributes: dict[str, Value]
    fixed: int
    """How many of the attributes, the first ones, are never folded."""
    folded: tuple[str, ...]
    """Which of the attributes had one value too many."""
    made: dict[tuple[str, Extra], Mapping[str, Value]] = field(
        default_factory=dict[tuple[str, "Extra"], "Mapping[str, Value]"]
    )


class Points:
    """What records measure, in one process."""

    def __init__(self, labels: Sequence[str], version: str) -> None:
        """Takes the words of HEXR_METRIC_LABELS and the version of the conventions, `default` or `latest`."""
        self._version = version
        self._chosen = tuple(word for word in labels if not word.startswith(LABEL))
        self._labels = tuple(word.removeprefix(LABEL) for word in labels if word.startswith(LABEL))
        self._caller = "agent" in self._chosen
        self._sets: dict[tuple[Any, ...], _Set] = {}
        self._values: dict[str, set[Value]] = {}
        self._series: dict[str, set[tuple[Any, ...]]] = {}
        self.folded: dict[str, int] = {}
        """How many measurements had `__other__` instead of a value, by attribute; `series`: for want of room."""

    def of(self, record: Mapping[str, Any]) -> Iterator[Measurement]:
        """What a record measures."""
        kind = record["kind"]
        found = self._set(record, kind)
        if kind == "call":
            rows = _call(record, self._version)
        elif kind == "tool":
            rows = _tool(record)
        else:
            rows = _agent(record) if kind == "agent" else iter([("refused", 1, ((names.BUDGET, record["budget"]),))])
        for metric, value, extra in rows:
            attributes = found.made.get((metric, extra))
            if attributes is None:
                if len(found.made) >= _CACHED:
                    found.made.clear()
                attributes = found.made[metric, extra] = self._attributes(found, metric, extra)
            for name in found.folded:
                self.folded[name] = self.folded.get(name, 0) + 1
            if OTHER in attributes.values() and not found.folded:
                self.folded["series"] = self.folded.get("series", 0) + 1
            yield metric, value, attributes

    def _set(self, record: Mapping[str, Any], kind: str) -> _Set:
        labels: Mapping[str, str] = record.get("labels") or {}
        get = record.get
        key = (
            kind,
            *(get(name) for name in ("op", "provider", "model", "served", "host", "port", "agent", "tenant", "role")),
            *(labels.get(name) for name in self._labels),
        )
        found = self._sets.get(key)
        if found is None:
            if len(self._sets) >= _CACHED:
                self._sets.clear()
            found = self._sets[key] = self._made(record, kind, labels)
        return found

    def _made(self, record: Mapping[str, Any], kind: str, labels: Mapping[str, str]) -> _Set:
        fixed: dict[str, Value] = {}
        wanted: dict[str, Any] = {}
        if kind == "call":
            fixed = {names.OPERATION: record["op"], names.PROVIDER: record["provider"]}
            given = {"request_model": record.get("model"), "response_model": record.get("served")}
            if record.get("host") and record.get("port"):
                given["server"] = (record["host"], record["port"])
        else:
            given = {}
        given |= {name: record.get(name) for name in ("agent", "tenant", "role")}
        for word in self._chosen:
            wanted[names.METRIC_LABELS[word]] = given.get(word)
        wanted |= {names.LABEL + name: labels.get(name) for name in self._labels}
        attributes, folded = dict(fixed), list[str]()
        for name, value in wanted.items():
            if value is None:
                continue
            kept = self._capped(name, value)
            if kept == OTHER:
                folded.append(name)
            if name == names.SERVER_ADDRESS:
                attributes[name], attributes[names.SERVER_PORT] = (OTHER, 0) if kept == OTHER else value
            else:
                attributes[name] = kept
        if kind in ("agent", "tool") and names.HEXR_AGENT in attributes:
            attributes[names.AGENT_NAME] = attributes[names.HEXR_AGENT]
        return _Set(attributes, len(fixed), tuple(folded))

    def _capped(self, name: str, value: Any) -> Any:
        seen = self._values.setdefault(name, set())
        if value in seen or len(seen) < VALUES:
            seen.add(value)
            return value
        return OTHER

    def _attributes(self, found: _Set, metric: str, extra: Extra) -> Mapping[str, Value]:
        own = {name: self._capped(name, value) for name, value in extra}
        attributes = {**found.attributes, **own}
        series = self._series.setdefault(metric, set())
        key = tuple(attributes.items())
        if key in series or len(series) < SETS - _ROOM:
            series.add(key)
            return attributes
        rest = {
            name: value if at < found.fixed else 0 if name == names.SERVER_PORT else OTHER
            for at, (name, value) in enumerate(found.attributes.items())
        }
        return {**rest, **own}


def _seconds(record: Mapping[str, Any]) -> float:
    return (record["end"] - record["start"]) / 1e9


def _error(record: Mapping[str, Any]) -> Extra:
    return ((names.ERROR_TYPE, record["error"]),) if record.get("error") else ()


def _call(record: Mapping[str, Any], version: str) -> Iterator[tuple[str, float, Extra]]:
    operation, error = record["op"], _error(record)
    usage: Mapping[str, int] = record.get("usage") or {}
    fetched = operation == names.FETCH_RESPONSE
    if version == "latest":
        inference = operation in names.INFERENCE
        yield "duration" if inference else "other_duration", _seconds(record), error
        if inference:
            yield from _usage(usage)
        streamed, error_of_stream = inference, ()
    else:
        yield "duration", _seconds(record), error
        for kind in ("input",) if operation == names.EMBEDDINGS else ("input", "output"):
            if kind in usage:
                yield "tokens", usage[kind], ((names.TOKEN_TYPE, kind), *error)
        streamed, error_of_stream = not fetched, error
    if streamed and record.get("stream") and record.get("first_chunk") is not None:
        yield "first_chunk", record["first_chunk"] / 1e9, error_of_stream
        for gap in record.get("gaps") or ():
            yield "per_chunk", gap / 1e9, error_of_stream
    if fetched:
        return
    yield "calls", 1, ((names.COST_STATUS, record["cost_status"]), *error)
    if "cost" in record:
        yield "cost", record["cost"] / USD, ()
    if usage.get("cache_read"):
        yield "cached", usage["cache_read"], ()
    for budget in record.get("over_budget") or ():
        yield "over_budget", 1, ((names.BUDGET, budget),)


_MODALITIES = ("audio", "image")


def _usage(usage: Mapping[str, int]) -> Iterator[tuple[str, float, Extra]]:
    """The counters and histograms of the registry to come; where a provider tells modalities apart, one point each."""
    for kind in ("input", "output"):
        if kind in usage:
            yield f"{kind}_tokens", usage[kind], ()
            yield from _by_modality(
                f"{kind}_usage", usage[kind], {each: usage.get(f"{kind}_{each}", 0) for each in _MODALITIES}
            )
    if usage.get("cache_read"):
        parts = {each: usage.get(f"cache_read_{each}", 0) for each in _MODALITIES}
        yield from _by_modality("cache_read_usage", usage["cache_read"], parts)
    for kind in ("cache_write", "reasoning"):
        if usage.get(kind):
            yield from _by_modality(f"{kind}_usage", usage[kind], {})


def _by_modality(metric: str, whole: int, parts: Mapping[str, int]) -> Iterator[tuple[str, float, Extra]]:
    rest = whole - sum(parts.values())
    told = any(parts.values()) and rest >= 0
    if not told:
        yield metric, whole, ((names.MODALITY, "unknown"),)
        return
    for modality, count in {**parts, "text": rest}.items():
        if count:
            yield metric, count, ((names.MODALITY, modality),)


def _tool(record: Mapping[str, Any]) -> Iterator[tuple[str, float, Extra]]:
    tool = ((names.TOOL_NAME, record["tool"]), (names.TOOL_TYPE, "function"))
    yield "tool_duration", _seconds(record), (*tool, *_error(record))


def _agent(record: Mapping[str, Any]) -> Iterator[tuple[str, float, Extra]]:
    yield "agent_duration", _seconds(record), _error(record)
    yield "agent_calls", record["calls"], ()
