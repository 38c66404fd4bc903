"""What usage costs by a price table, exact to 1e-12 USD, and None for whatever the table does not know.

The table is the data of genai-prices (`scripts/make_prices.py` makes it and describes its format), and the rules are
those of that package: a model is found by the data's own match rules, the last price that is active at the time of the
call holds, a part without a price of its own (cached tokens, say) is priced as the whole that it belongs to, and a
long-context price applies to every token of the call. Where that package would charge nothing for something it has no
price for, and where the served tier has no price of its own, the cost here is None: unknown is never 0 and never a
guess.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from operator import mul
from typing import TYPE_CHECKING, Any, NamedTuple

from ..call import Usage
from .own import NOTHING, UNGRADED, Grade, Own
from .plan import OWN_UNITS, Plan, Units, band, compiled, quantities, rounded, times
from .rules import ALWAYS, DATE, active, dashed, matches, window

if TYPE_CHECKING:
    from fractions import Fraction

PROVIDERS = {
    "aws.bedrock": "aws",
    "azure.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "fireworks_ai": "fireworks",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gcp.vertex_ai": "google",
    "mistral_ai": "mistral",
    "moonshot_ai": "moonshotai",
    "together_ai": "together",
    "voyage_ai": "voyageai",
    "x_ai": "x-ai",
    "z_ai": "zai",
    "zhipu_ai": "zhipuai",
}
"""`gen_ai.provider.name` -> the table's id, where they differ; other names are tried as they are."""

ORDINARY = frozenset({"auto", "default", "on_demand", "standard", "traffic_type_unspecified", "unspecified"})
"""What providers call the tier that has the standard price."""

_TIERS = {"on_demand_flex": "flex", "on_demand_priority": "priority"}
"""Vertex AI's names of traffic -> the table's names of tiers."""

_TIER_KEYS = frozenset({"processing", "service_tier", "speed"})
"""The properties of a request by which the table knows a tier; others (`search_type`, `route`) are no tiers."""

_PLANS = 4096
"""How many plans are kept: far more than a program's models, and a bound where model names are made up."""


# Named tuples here and below, since dataclasses would double the time that it takes to import this package.
class Bucket(NamedTuple):
    """One line of a bill: how many of a unit, at which price."""

    unit: str
    quantity: int
    """What is billed as this unit: `input` without the cached tokens where those have a price of their own."""
    price: str
    """USD for `per` units, as exact decimal text."""
    per: int
    amount: Fraction
    """In 1e-12 USD, exact."""


class Explanation(NamedTuple):
    """How a cost came about, or why there is none."""

    provider: str | None
    """The table's id of the provider; None if unknown."""
    model: str | None
    """The table's id of the model; None if unknown."""
    buckets: tuple[Bucket, ...]
    """Every unit that the model has a price for and `Usage` can hold; empty if there is no cost."""
    above: int | None
    """The number of input tokens whose passing made a long-context price apply, or None."""
    cost: int | None
    """The rounded sum of the amounts in 1e-12 USD; None if unknown."""
    reason: str | None
    """Why the cost is unknown; None if it is known."""


class Table:
    """A price table and what has been looked up in it."""

    __slots__ = ("_models", "_own", "_plans", "_providers", "_units", "released", "version")

    def __init__(self, data: Mapping[str, Any], own: Own = NOTHING, models: Mapping[str, str] | None = None) -> None:
        """Takes a table and what the user adds to it.

        Args:
            data: The content of a file in the format of `scripts/make_prices.py`.
            own: The user's own prices and discounts.
            models: Other names of models, in lower case: `deployment` or `provider/deployment` -> `model` or
                `provider/model`.
        """
        self.released: str = data["released"]
        self.version = f"{data['source']} {data['version']} ({data['released']}){own.version}"
        self._own = own
        self._models = models or {}
        self._providers: dict[str, Any] = data["providers"]
        self._units: Units = {
            name: (per, frozenset(dimensions.items())) for name, (per, dimensions) in data["units"].items()
        } | OWN_UNITS
        self._plans: dict[tuple[str, str | None, str | None, Grade], Plan] = {}

    def cost(self, usage: Usage, provider: str, model: str | None, when: int, *, tier: str | None = None) -> int | None:
        """See `pricing.cost`."""
        return self.price(usage, provider, model, when, tier)[0]

    def price(
        self,
        usage: Usage,
        provider: str,
        model: str | None,
        when: int,
        tier: str | None,
        grade: Grade = UNGRADED,
    ) -> tuple[int | None, str]:
        """The cost, and whether it is from this `table` or `custom`: by the user's own prices."""
        plan = self._plans.get((provider, model, tier, grade))
        if plan is None or not plan.since <= when < plan.until:
            plan = self._remember(provider, model, when, tier, grade)
        if plan.reason is not None:
            return None, plan.source
        billed = quantities(plan, usage)
        if isinstance(billed, str):
            return None, plan.source
        total = sum(map(mul, billed, plan.rates[band(plan, usage)]))
        return (total if plan.denominator == 1 else rounded(total, plan.denominator)), plan.source

    def mapped(self, provider: str, model: str | None) -> bool:
        """Whether the user says which model this name stands for."""
        name = (model or "").lower()
        return f"{provider.lower()}/{name}" in self._models or name in self._models

    def explain(
        self, usage: Usage, provider: str, model: str | None, when: int, *, tier: str | None = None
    ) -> Explanation:
        """See `explain`."""
        # Only tools explain, and this import costs more than all of this module.
        from fractions import Fraction  # noqa: PLC0415

        plan = self._remember(provider, model, when, tier)
        billed = plan.reason or quantities(plan, usage)
        if isinstance(billed, str):
            return Explanation(plan.provider, plan.model, (), None, None, billed)
        reached = band(plan, usage)
        buckets = tuple(
            Bucket(unit, quantity, price, per, Fraction(quantity * rate, plan.denominator))
            for (unit, per), quantity, price, rate in zip(
                plan.units, billed, plan.prices[reached], plan.rates[reached], strict=True
            )
        )
        total = sum(map(mul, billed, plan.rates[reached]))
        above = plan.starts[reached - 1] if reached else None
        return Explanation(plan.provider, plan.model, buckets, above, rounded(total, plan.denominator), None)

    def _remember(self, provider: str, model: str | None, when: int, tier: str | None, grade: Grade = UNGRADED) -> Plan:
        plan = self._plan(provider, model, when, tier, grade)
        if len(self._plans) >= _PLANS:
            self._plans.clear()
        self._plans[provider, model, tier, grade] = plan
        return plan

    def _plan(self, provider: str, model: str | None, when: int, tier: str | None, grade: Grade) -> Plan:
        """The plan for the calls of one model in one tier, as long as no price begins or ends."""
        name, reference = provider.lower().strip(), (model or "").lower()
        reference = self._models.get(f"{name}/{reference}") or self._models.get(reference, reference)
        if name == "huggingface" and ":" in reference:
            # The router of Hugging Face reads who is to serve the call after the model's name.
            reference, _, server = reference.rpartition(":")
            name = f"huggingface_{server}"
        if name in ("gcp.vertex_ai", "gcp.gemini"):  # behind OpenAI's wire the publisher stands before the model
            reference = reference.removeprefix("google/")
        names = {name, PROVIDERS.get(name, name)}
        served_as = None if not tier else _TIERS.get(tier.lower(), tier.lower())
        ordinary = served_as is None or served_as in ORDINARY
        since, until = window(self._own.days(), when)
        own = self._own.prices(names, reference, when, None if ordinary else served_as, grade)
        if own is not None:
            plan = compiled(self._units, since, until, name, reference, dict(own))
            return plan._replace(source="custom")
        plan = self._listed(name, reference, served_as, when, ordinary=ordinary)
        plan = plan._replace(since=max(since, plan.since), until=min(until, plan.until))
        kept = self._own.kept(names, reference, when, None if ordinary else served_as)
        if kept is None or plan.reason is not None:
            return plan
        return plan._replace(
            source="custom",
            denominator=plan.denominator * 10 ** kept[1],
            rates=tuple(tuple(rate * kept[0] for rate in band) for band in plan.rates),
            prices=tuple(tuple(times(price, *kept) for price in band) for band in plan.prices),
        )

    def _listed(self, name: str, reference: str, tier: str | None, when: int, *, ordinary: bool) -> Plan:
        """The plan by the table alone."""
        identity = self._provider(PROVIDERS.get(name, name))
        found = self._model(identity, reference) if reference and identity else None
        if found is None and reference in self._models.values():
            maker, _, model = reference.partition("/")  # the map may name another provider's model
            owner = self._provider(PROVIDERS.get(maker, maker)) if model else None
            if owner is not None:
                identity, found = owner, self._model(owner, model)
        if identity is None:
            return Plan(*ALWAYS, reason=f"no prices for provider {name}")
        if found is None:
            return Plan(*ALWAYS, provider=identity, reason=f"no prices for model {reference or None}")
        owner, line = found
        # As in genai-prices, variants are the owner's: who resells a model need not offer its tiers.
        variants: list[Any] = line[3] if len(line) > 3 and owner == identity else []
        standard: Any = line[2]
        dated: list[Any] = [[None, standard]] if type(standard) is dict else standard
        since, until = window([*(pair[0] for pair in dated), *(variant[1] for variant in variants)], when)
        prices = dict(next((group for start, group in reversed(dated) if active(start, when)), dated[0][1]))
        if tier:
            served = [
                group
                for properties, start, group in variants
                if all(key in _TIER_KEYS and value == tier for key, value in properties.items()) and active(start, when)
            ]
            if not served and not ordinary:
                return Plan(since, until, identity, line[0], f"no price for tier {tier}")
            for group in reversed(served):
                prices.update(group)
        return compiled(self._units, since, until, identity, line[0], prices)

    def _provider(self, name: str) -> str | None:
        """The id of a provider: its own name, or the first whose rule takes the name."""
        if name in self._providers:
            return name
        return next(
            (key for key, each in self._providers.items() if "match" in each and matches(each["match"], name)),
            None,
        )

    def _model(self, provider: str, name: str) -> tuple[str, list[Any]] | None:
        """(id of the provider whose price it is, line of the table) of a model by its lower-case name."""
        owners = [provider, *self._providers[provider].get("fallback", ())]
        # Gateways write dates without dashes, which counts only where the name as it is finds nothing.
        for each in dict.fromkeys((name, re.sub(DATE, dashed, name))):
            for owner in owners:
                for line in self._providers.get(owner, {"models": ()})["models"]:
                    if matches(line[1], each):
                        return owner, line
        return None
