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
from itertools import combinations
from math import gcd, lcm
from operator import attrgetter, mul
from typing import TYPE_CHECKING, Any, NamedTuple

from ..call import USD, Usage
from .own import NOTHING, Own

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

_COUNTED = (
    "input", "output", "cache_read", "cache_write", "cache_write_1h", "reasoning", "input_audio", "output_audio",
    "cache_read_audio", "input_image", "output_image", "cache_read_image", "input_video", "output_video",
    "web_searches", "audio_seconds", "input_characters",
)  # fmt: skip
"""The fields of `Usage`, by the names of their units in the table; a plan speaks of them by index."""

_NEVER_PRICED = ("images", "video_seconds")
"""The fields of `Usage` that no price of the table speaks of."""

_PLACES = {name: index for index, name in enumerate((*_COUNTED, "cache_write_5m"))}
_FIVE_MINUTES = _PLACES["cache_write_5m"]
"""Behind the fields: `Usage` has all cache writes and the part that lives an hour; the rest lives five minutes."""
_WHOLE = frozenset(_PLACES[name] for name in ("input", "output", "audio_seconds", "input_characters"))
"""The fields of which at least one must be known; the others are parts of them or come beside them."""

_read = attrgetter(*_COUNTED)

_ALWAYS = (-(2**63), 2**63)

_DAY = 86_400 * 10**9
_PLANS = 4096
"""How many plans are kept: far more than a program's models, and a bound where model names are made up."""


# Named tuples here and below, since dataclasses would double the time that it takes to import this module.
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


class _Plan(NamedTuple):
    """Everything about a price that does not depend on the usage; it holds from `since` until just before `until`."""

    since: int
    until: int
    provider: str | None = None
    model: str | None = None
    reason: str | None = None
    steps: tuple[tuple[int, tuple[int, ...]], ...] = ()
    """Priced fields, parts before wholes: (index in the usage, the earlier steps that are parts of this one)."""
    checks: tuple[tuple[str, int | None, tuple[int, ...], tuple[tuple[int, int], ...]], ...] = ()
    """(unit that is read, its index if it has one, its parts, pairs that meet in it): unknown is 0 without these."""
    unpriced: tuple[int, ...] = ()
    """Fields that nothing in the price covers."""
    per_request: bool = False
    starts: tuple[int, ...] = ()
    """Input tokens beyond which the next band of prices applies."""
    units: tuple[tuple[str, int], ...] = ()
    """(name, per) of each step, and of the request."""
    prices: tuple[tuple[str, ...], ...] = ()
    """Per band, per unit: USD for `per` units."""
    rates: tuple[tuple[int, ...], ...] = ()
    """The same as whole numbers of 1e-12 USD / `denominator` for one unit."""
    denominator: int = 1
    source: str = "table"
    """`custom` where the user's own prices or discounts had a part in it."""


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
        self._units: dict[str, tuple[int, frozenset[tuple[str, str]]]] = {
            name: (per, frozenset(dimensions.items())) for name, (per, dimensions) in data["units"].items()
        }
        self._plans: dict[tuple[str, str | None, str | None], _Plan] = {}

    def cost(self, usage: Usage, provider: str, model: str | None, when: int, *, tier: str | None = None) -> int | None:
        """See `pricing.cost`."""
        return self.price(usage, provider, model, when, tier)[0]

    def price(
        self, usage: Usage, provider: str, model: str | None, when: int, tier: str | None
    ) -> tuple[int | None, str]:
        """The cost, and whether it is from this `table` or `custom`: by the user's own prices."""
        plan = self._plans.get((provider, model, tier))
        if plan is None or not plan.since <= when < plan.until:
            plan = self._remember(provider, model, when, tier)
        if plan.reason is not None:
            return None, plan.source
        quantities = _quantities(plan, usage)
        if isinstance(quantities, str):
            return None, plan.source
        total = sum(map(mul, quantities, plan.rates[_band(plan, usage)]))
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
        quantities = plan.reason or _quantities(plan, usage)
        if isinstance(quantities, str):
            return Explanation(plan.provider, plan.model, (), None, None, quantities)
        band = _band(plan, usage)
        buckets = tuple(
            Bucket(unit, quantity, price, per, Fraction(quantity * rate, plan.denominator))
            for (unit, per), quantity, price, rate in zip(
                plan.units, quantities, plan.prices[band], plan.rates[band], strict=True
            )
        )
        total = sum(map(mul, quantities, plan.rates[band]))
        above = plan.starts[band - 1] if band else None
        return Explanation(plan.provider, plan.model, buckets, above, rounded(total, plan.denominator), None)

    def _remember(self, provider: str, model: str | None, when: int, tier: str | None) -> _Plan:
        plan = self._plan(provider, model, when, tier)
        if len(self._plans) >= _PLANS:
            self._plans.clear()
        self._plans[provider, model, tier] = plan
        return plan

    def _plan(self, provider: str, model: str | None, when: int, tier: str | None) -> _Plan:
        """The plan for the calls of one model in one tier, as long as no price begins or ends."""
        name, reference = provider.lower().strip(), (model or "").lower()
        reference = self._models.get(f"{name}/{reference}") or self._models.get(reference, reference)
        if name == "huggingface" and ":" in reference:
            # The router of Hugging Face reads who is to serve the call after the model's name.
            reference, _, server = reference.rpartition(":")
            name = f"huggingface_{server}"
        names = {name, PROVIDERS.get(name, name)}
        served_as = None if not tier else _TIERS.get(tier.lower(), tier.lower())
        ordinary = served_as is None or served_as in ORDINARY
        since, until = _window(self._own.days(), when)
        own = self._own.prices(names, reference, when, None if ordinary else served_as)
        if own is not None:
            plan = self._compiled(since, until, name, reference, dict(own))
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
            prices=tuple(tuple(_times(price, *kept) for price in band) for band in plan.prices),
        )

    def _listed(self, name: str, reference: str, tier: str | None, when: int, *, ordinary: bool) -> _Plan:
        """The plan by the table alone."""
        identity = self._provider(PROVIDERS.get(name, name))
        found = self._model(identity, reference) if reference and identity else None
        if found is None and reference in self._models.values():
            maker, _, model = reference.partition("/")  # the map may name another provider's model
            owner = self._provider(PROVIDERS.get(maker, maker)) if model else None
            if owner is not None:
                identity, found = owner, self._model(owner, model)
        if identity is None:
            return _Plan(*_ALWAYS, reason=f"no prices for provider {name}")
        if found is None:
            return _Plan(*_ALWAYS, provider=identity, reason=f"no prices for model {reference or None}")
        owner, line = found
        # As in genai-prices, variants are the owner's: who resells a model need not offer its tiers.
        variants: list[Any] = line[3] if len(line) > 3 and owner == identity else []
        standard: Any = line[2]
        dated: list[Any] = [[None, standard]] if type(standard) is dict else standard
        since, until = _window([*(pair[0] for pair in dated), *(variant[1] for variant in variants)], when)
        prices = dict(next((group for start, group in reversed(dated) if _active(start, when)), dated[0][1]))
        if tier:
            served = [
                group
                for properties, start, group in variants
                if all(key in _TIER_KEYS and value == tier for key, value in properties.items())
                and _active(start, when)
            ]
            if not served and not ordinary:
                return _Plan(since, until, identity, line[0], f"no price for tier {tier}")
            for group in reversed(served):
                prices.update(group)
        return self._compiled(since, until, identity, line[0], prices)

    def _provider(self, name: str) -> str | None:
        """The id of a provider: its own name, or the first whose rule takes the name."""
        if name in self._providers:
            return name
        return next(
            (key for key, each in self._providers.items() if "match" in each and _matches(each["match"], name)),
            None,
        )

    def _model(self, provider: str, name: str) -> tuple[str, list[Any]] | None:
        """(id of the provider whose price it is, line of the table) of a model by its lower-case name."""
        owners = [provider, *self._providers[provider].get("fallback", ())]
        # Gateways write dates without dashes, which counts only where the name as it is finds nothing.
        for each in dict.fromkeys((name, re.sub(_DATE, _dashed, name))):
            for owner in owners:
                for line in self._providers.get(owner, {"models": ()})["models"]:
                    if _matches(line[1], each):
                        return owner, line
        return None

    def _compiled(self, since: int, until: int, provider: str, model: str, prices: dict[str, Any]) -> _Plan:
        """The plan for a set of prices."""
        within = {name: dimensions for name, (_, dimensions) in self._units.items()}
        fields = [within[name] for name in _COUNTED]

        def parts(unit: str) -> tuple[int, ...]:
            return tuple(index for index, field in enumerate(fields) if within[unit] < field)

        def meeting(unit: str) -> tuple[tuple[int, int], ...]:
            # Counts of cached and of audio tokens do not say how many tokens are both.
            return tuple(
                (left, right)
                for left, right in combinations(range(len(fields)), 2)
                if (both := fields[left] | fields[right]) == within[unit] and both not in (fields[left], fields[right])
            )

        counts = sorted((name for name in prices if name != "requests"), key=lambda name: -len(within[name]))
        starts = sorted({start for price in prices.values() for start in _starts(price)})
        read = dict.fromkeys([*counts, "input"] if starts else counts, "")
        checks = [(name, _PLACES.get(name), parts(name), meeting(name)) for name in read]
        known = [name for name in counts if name in _PLACES]
        billed = [*known, "requests"] if "requests" in prices else known
        bands = [[_at(prices[name], start) for name in billed] for start in (0, *starts)]
        exact = [
            [_rate(price, self._units[name][0]) for name, price in zip(billed, band, strict=True)] for band in bands
        ]
        denominator = lcm(*(bottom for band in exact for _, bottom in band))
        return _Plan(
            since,
            until,
            provider,
            model,
            reason=None if billed else "the table has no price for what is counted",
            steps=tuple(
                (_PLACES[name], tuple(step for step, part in enumerate(known) if within[name] < within[part]))
                for name in known
            ),
            checks=tuple(check for check in checks if check[2] or check[3]),
            unpriced=tuple(
                index for index, field in enumerate(fields) if not any(within[name] <= field for name in counts)
            ),
            per_request=billed is not known,
            starts=tuple(starts),
            units=tuple((name, self._units[name][0]) for name in billed),
            prices=tuple(map(tuple, bands)),
            rates=tuple(tuple(top * (denominator // bottom) for top, bottom in band) for band in exact),
            denominator=denominator,
        )


def _quantities(plan: _Plan, usage: Usage) -> list[int] | str:
    """How much is billed at each price of the plan, nothing twice; or why that is not known."""
    values: tuple[int | None, ...] = _read(usage)
    counted = {index for index in _WHOLE if values[index] is not None}
    if not counted:
        return "no token counts"
    if plan.steps and counted.isdisjoint(index for index, _ in plan.steps):
        return "the table has no price for what is counted"
    if any(getattr(usage, name) for name in _NEVER_PRICED):
        return "no price for images or videos by the piece"
    for index in plan.unpriced:
        if values[index]:
            return f"no price for {_COUNTED[index]}"
    for name, index, parts, pairs in plan.checks:
        if (index is None or values[index] is None) and (
            any(values[part] for part in parts) or any(values[left] and values[right] for left, right in pairs)
        ):
            return f"{name} is not known, and other counts say that there is some"
    quantities: list[int] = []
    for index, parts in plan.steps:
        if index == _FIVE_MINUTES:
            quantity = (usage.cache_write or 0) - (usage.cache_write_1h or 0)
        else:
            quantity = values[index] or 0
        for part in parts:
            quantity -= quantities[part]
        if quantity < 0:
            return f"the parts of {plan.units[len(quantities)][0]} exceed it"
        quantities.append(quantity)
    if plan.per_request:
        quantities.append(1)
    return quantities


def _band(plan: _Plan, usage: Usage) -> int:
    """Which of the plan's prices apply to an input of this length."""
    length = usage.input or 0
    return sum(length > start for start in plan.starts) if plan.starts else 0


def rounded(total: int, denominator: int) -> int:
    """The quotient, rounded half to even."""
    quotient, rest = divmod(total, denominator)
    return quotient + (2 * rest > denominator or (2 * rest == denominator and quotient % 2))


def _times(price: str, factor: int, places: int) -> str:
    """A price text times `factor` / 10^`places`, exact."""
    whole, _, part = price.partition(".")
    places += len(part)
    text = f"{int(whole + part) * factor:0{places + 1}}"
    return f"{text[:-places]}.{text[-places:]}".rstrip("0").rstrip(".") if places else text


def _starts(price: Any) -> list[int]:
    """The numbers of input tokens beyond which the price changes."""
    return [] if type(price) is str else price[1::2]


def _at(price: Any, start: int) -> str:
    """The price for inputs of more tokens than `start`, up to the next step."""
    return price if type(price) is str else price[2 * sum(each <= start for each in price[1::2])]


def _rate(price: str, per: int) -> tuple[int, int]:
    """(numerator, denominator) of one unit's price in 1e-12 USD."""
    whole, _, part = price.partition(".")
    top, bottom = int(whole + part) * USD, 10 ** len(part) * per
    shared = gcd(top, bottom)
    return top // shared, bottom // shared


def _matches(rule: str | list[Any] | dict[str, Any], name: str) -> bool:
    """Whether a rule of the table takes a lower-case name."""
    if isinstance(rule, str):
        return rule == name
    if isinstance(rule, list):
        return any(_matches(each, name) for each in rule)
    ((kind, text),) = rule.items()
    if kind == "starts_with":
        return name.startswith(text)
    if kind == "ends_with":
        return name.endswith(text)
    if kind == "contains":
        return text in name
    if kind == "regex":
        return re.search(text, name) is not None
    return all(_matches(each, name) for each in text)


_DATE = r"-(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)"


def _dashed(match: re.Match[str]) -> str:
    """`-20251211` as `-2025-12-11`, if there is such a day."""
    from datetime import date  # noqa: PLC0415  (a millisecond that most programs never need)

    try:
        return f"-{date(*map(int, match.groups())).isoformat()}"
    except ValueError:
        return match.group()


def _midnight(day: str) -> int:
    from datetime import date  # noqa: PLC0415  (a millisecond that most programs never need)

    return (date.fromisoformat(day) - date(1970, 1, 1)).days * _DAY


def _daily(span: str) -> tuple[int, int]:
    """(start, end) of a daily span, in nanoseconds since midnight."""
    start, end = (
        (int(hours) * 3600 + int(minutes) * 60 + int(seconds)) * 10**9
        for hours, minutes, seconds in (each.split(":") for each in span.split("-"))
    )
    return start, end


def _active(constraint: str | None, when: int) -> bool:
    """Whether the moment is on or after the constraint's day, or within its daily span."""
    if constraint is None:
        return True
    if ":" not in constraint:
        return when >= _midnight(constraint)
    start, end = _daily(constraint)
    time = when % _DAY
    return start <= time < end if start <= end else time >= start or time < end


def _window(constraints: list[str | None], when: int) -> tuple[int, int]:
    """The longest span around the moment in which none of the constraints changes."""
    edges = [*_ALWAYS]
    for constraint in filter(None, constraints):
        if ":" in constraint:
            midnight = when - when % _DAY
            edges += [midnight, midnight + _DAY, *(midnight + each for each in _daily(constraint))]
        else:
            edges.append(_midnight(constraint))
    return max(edge for edge in edges if edge <= when), min(edge for edge in edges if edge > when)
