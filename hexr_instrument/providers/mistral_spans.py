"""The spans that Mistral's SDK makes of its requests itself: by default before 3.x, where it is asked for since."""

from __future__ import annotations

from typing import Any

from ..call import Outcome, Provider, Target


def _nothing(*asked: Any) -> None:
    """No request is billed here."""


def _no_outcome(result: Any) -> Outcome:
    return Outcome()


def _itself(source: Any) -> Any:
    return source


TABLES = tuple(
    Provider(
        name=name,
        module=f"{module}._hooks.tracing",
        targets=(Target("get_traced_request_and_span", "idle", ("tracing_enabled", "tracer"), optional=True),),
        request=_nothing,
        outcome=_no_outcome,
        owner=_itself,
        handle=_itself,
        clients=(),
    )
    for name, module in (("mistral spans", "mistralai.client"), ("mistral.1 spans", "mistralai"))
)
