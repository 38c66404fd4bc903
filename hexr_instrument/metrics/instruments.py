"""The instruments of one meter provider, through the metrics API alone."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from opentelemetry import context, metrics, trace
from opentelemetry.metrics import Observation
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from .. import names

_NOWHERE = context.Context()


class Instruments:
    """Our instruments on one provider."""

    def __init__(
        self,
        provider: Any,
        version: str,
        folded: Callable[[], Mapping[str, int]],
        budgets: Callable[[], Mapping[str, float]] | None = None,
    ) -> None:
        """Makes them.

        Args:
            provider: The meter provider.
            version: Of the conventions, `default` or `latest`.
            folded: Called at each collection, before anything of it is read: how many measurements were folded, by
                attribute. It may record what still waits.
            budgets: Called at each collection: the share of each budget that is spent, by its name. None: there is none.
        """
        _keep_random_alone()
        self.provider = provider
        self._record: dict[str, Any] = {}
        meter: metrics.Meter = provider.get_meter(names.SCOPE, names.package_version(), names.SCHEMA_URL)
        for key, metric in {**names.METRICS[version], **names.OUR_METRICS}.items():
            if metric.buckets:
                bounds = list(metric.buckets)
                self._record[key] = meter.create_histogram(
                    metric.name, metric.unit, metric.meaning, explicit_bucket_boundaries_advisory=bounds
                ).record
            else:
                self._record[key] = meter.create_counter(metric.name, metric.unit, metric.meaning).add

        def observe(options: Any) -> Iterable[Observation]:
            return [Observation(count, {names.FOLDED_LABEL: label}) for label, count in folded().items()]

        meter.create_observable_counter(names.FOLDED.name, [observe], names.FOLDED.unit, names.FOLDED.meaning)
        if budgets is not None:

            def spent(options: Any) -> Iterable[Observation]:
                return [Observation(share, {names.BUDGET: name}) for name, share in budgets().items()]

            used = names.BUDGET_USED
            meter.create_observable_gauge(used.name, [spent], used.unit, used.meaning)

    def record(self, metric: str, value: float, attributes: Mapping[str, Any], around: Any) -> None:
        """Records one measurement in the context `around`, so that an exemplar can name its trace."""
        self._record[metric](value, attributes, around)


def around(record: Mapping[str, Any]) -> context.Context:
    """The context of a record's span; none for one that was not sampled, whose trace is nowhere."""
    if not record.get("sampled") or "trace" not in record:
        return _NOWHERE
    span = SpanContext(int(record["trace"], 16), int(record["id"], 16), is_remote=False, trace_flags=TraceFlags(1))
    return trace.set_span_in_context(NonRecordingSpan(span), _NOWHERE)


def _keep_random_alone() -> None:
    """Gives the SDK's exemplars a `randrange` of their own: theirs draws from the program's `random`."""
    for name, module in list(sys.modules.items()):
        if name.startswith("opentelemetry.sdk.metrics.") and vars(module).get("randrange") == random.randrange:
            vars(module)["randrange"] = random.Random().randrange  # noqa: S311  (a choice of exemplars)
