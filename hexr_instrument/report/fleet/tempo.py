"""What Tempo holds of our spans, added up by TraceQL metrics: from the spans themselves, with no counter between."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

from ... import names
from ...call import mapping, pick, sequence
from .http import Backend, Refused, amount

MOST = 5
"""By how many attributes Tempo groups at most."""
_SHORTEST = 60 * 10**9
"""A window of this many nanoseconds is not divided further."""
_NOTHING = ("nil", "<nil>", "")
"""How Tempo spells an attribute that a span does not have."""
STATUSES = ("priced", "unpriced", "no_usage", "partial")


def counted(
    backend: Backend, since: int, until: int, attributes: Sequence[str], conditions: Sequence[str]
) -> Iterator[tuple[str, dict[str, str], float]]:
    """(what, attributes, how much): `cost` in USD, `input` and `output` tokens, calls by status, `failed`, `unbilled`.

    Args:
        backend: Where it is asked.
        since: In nanoseconds since the epoch.
        until: The end, exclusive.
        attributes: To group by, at most `MOST`.
        conditions: Of TraceQL, all of which must hold.
    """
    status, error = _attribute(names.COST_STATUS), _attribute(names.ERROR_TYPE)
    groups = f" by ({', '.join(map(_attribute, attributes))})" if attributes else ""
    sums = {"cost": names.COST, "input": names.USAGE["input"], "output": names.USAGE["output"]}
    counts = {each: [f'{status} = "{each}"'] for each in STATUSES}
    counts |= {"failed": [f"{error} != nil"], "unbilled": [f"{error} != nil", f'{status} = "no_usage"']}
    functions = {what: f"sum_over_time({_attribute(name)})" for what, name in sums.items()}
    for what, function in (functions | dict.fromkeys(counts, "count_over_time()")).items():
        where = " && ".join([f"{status} != nil", *conditions, *counts.get(what, ())])
        for labels, value in _asked(backend, f"{{ {where} }} | {function}{groups}", since, until):
            yield what, labels, value


def equal(attribute: str, value: str) -> str:
    """The condition that an attribute has a value; an empty one stands for none."""
    return f"{_attribute(attribute)} = {json.dumps(value, ensure_ascii=False) if value else 'nil'}"


def _attribute(name: str) -> str:
    plain = name.replace(".", "").replace("_", "").isalnum()
    return f"span.{name}" if plain else f"span.{json.dumps(name, ensure_ascii=False)}"


def _asked(backend: Backend, query: str, since: int, until: int) -> Iterator[tuple[dict[str, str], float]]:
    """The series of a question; a window that is too long for this Tempo is asked in halves."""
    try:
        answer = backend.get("/api/metrics/query", {"q": query, "start": str(since), "end": str(until)})
    except Refused as error:
        if "exceed" not in str(error) or until - since < _SHORTEST:
            raise
        middle = (since + until) // 2
        yield from _asked(backend, query, since, middle)
        yield from _asked(backend, query, middle, until)
        return
    for series in sequence(answer.get("series")):
        value = amount(pick(series, "value") or 0)
        labels = {str(pick(each, "key")): _text(pick(each, "value")) for each in sequence(pick(series, "labels"))}
        if not math.isnan(value):
            yield (
                {name.removeprefix("span.").strip('"'): text for name, text in labels.items() if text not in _NOTHING},
                value,
            )


def _text(value: Any) -> str:
    return next((str(each) for each in mapping(value).values()), "")
