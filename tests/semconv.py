"""The OpenTelemetry GenAI conventions as data, and what a span, a record, a point or content has against them.

`semconv_spans.json`, `semconv_metrics.json` and `semconv_content.json` have the conventions' names, types, levels and
schemas (with their notice). `noted` collects what a test makes; `conftest.py` asks for the faults of all of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from installed import has

from hexr_instrument import names, telemetry
from hexr_instrument.demo.otlp import Log, Point, Scope, Span

HERE = Path(__file__).parent
MODEL: dict[str, Any] = json.loads((HERE / "semconv_spans.json").read_text())
METRICS: dict[str, Any] = json.loads((HERE / "semconv_metrics.json").read_text())
SCHEMAS: dict[str, Any] = json.loads((HERE / "semconv_content.json").read_text())

DEVIATIONS = {"gen_ai.system": "string", "gen_ai.usage.total_tokens": "int"}
"""Deprecated names that dashboards of the previous generation read: the only ones of theirs that are not current."""
OURS = {
    "hexr.agent.name": "string",
    "hexr.agent.tenant": "string",
    "hexr.agent.role": "string",
    "hexr.agent.llm_calls": "int",
    "hexr.agent.cost_usd": "double",
    "hexr.llm.cost_usd": "double",
    "hexr.llm.cost.source": "string",
    "hexr.llm.cost.status": "string",
    "hexr.llm.duration_ms": "double",
    "hexr.llm.budget.exceeded": "string[]",
    **{
        f"hexr.llm.usage.{unit}": "int"
        for unit in ("audio_seconds", "input_characters", "images", "video_seconds", "search_units")
    },
}
OUR_METRICS = {
    "hexr.llm.cost_usd": ("counter", "{USD}"),
    "hexr.llm.calls": ("counter", "{call}"),
    "hexr.llm.cached_tokens": ("counter", "{token}"),
    "hexr.llm.budget.used": ("gauge", "1"),
    "hexr.llm.budget.exceeded": ("counter", "{call}"),
    "hexr.llm.budget.refused": ("counter", "{call}"),
    "hexr.metric.folded": ("counter", "{measurement}"),
}
OUR_LABELS = {"hexr.llm.budget.name": "string", "hexr.metric.label": "string"}
UNSAID = {
    "realtime": {"gen_ai.response.model"},
    "runs": {"gen_ai.request.model", "gen_ai.response.finish_reasons"},
    "xai": {"server.address"},
    "agent_result": {"gen_ai.request.model", "server.address"},
    "watsonx_generation": {"gen_ai.response.id"},
    "batches": {"gen_ai.request.model", "gen_ai.response.finish_reasons", "gen_ai.response.model"},
}
"""What the conventions expect and a provider does not say, by format of the record."""
TYPES: dict[str, Any] = {
    "string": lambda value: type(value) is str and value != "",
    "int": lambda value: type(value) is int and -(2**63) <= value < 2**63,
    "double": lambda value: type(value) is float and isfinite(value),
    "boolean": lambda value: type(value) is bool,
    "string[]": lambda value: type(value) is list and value and all(type(each) is str for each in value),
}
WHOLES = {
    f"gen_ai.usage.{part}.{whole}_tokens": f"gen_ai.usage.{whole}_tokens"
    for whole, parts in {
        "input": ("cache_read", "cache_write", "audio", "image", "text", "audio.cache_read", "image.cache_read"),
        "output": ("reasoning", "audio", "image", "text"),
    }.items()
    for part in parts
}
_KINDS = {"counter": "sum", "histogram": "histogram", "updowncounter": "sum", "gauge": "gauge"}
_JSON = {"string": str, "object": dict, "array": list, "null": type(None)}


# ---- What a test makes --------------------------------------------------------------------------------------------


@dataclass
class Noted:
    """What arrived at receivers and what was recorded, since it was last asked for."""

    spans: list[Span] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    logs: list[Log] = field(default_factory=list)
    records: list[Mapping[str, Any]] = field(default_factory=list)

    def faults(self) -> list[str]:
        """What of ours there is has against the conventions, and forgets it."""
        spans, points, logs, records = self.spans[:], self.points[:], self.logs[:], self.records[:]
        for each in (self.spans, self.points, self.logs, self.records):
            each.clear()
        found = {
            *(f"span {span.name}: {fault}" for span in spans if _ours(span) for fault in violations(span)),
            *(f"point {point.name}: {fault}" for point in points if _ours(point) for fault in point_faults(point)),
            *(f"event {log.event_name}: {fault}" for log in logs if _ours(log) for fault in event_faults(log)),
            *(f"record {record.get('op')}: {fault}" for record in records for fault in record_faults(record)),
        }
        return sorted(found)


noted = Noted()


def _ours(each: Any) -> bool:
    return each.scope.name == names.SCOPE


# ---- Spans --------------------------------------------------------------------------------------------------------


def span_of(record: Mapping[str, Any], **changes: Any) -> Span:
    """A record as the span that a collector would get, in this program's own words."""
    fields: dict[str, Any] = {
        "name": telemetry.span_name(record),
        "kind": "CLIENT" if record["kind"] == "call" else "INTERNAL",
        "trace_id": record.get("trace", "1" * 32),
        "span_id": record.get("id", "1" * 16),
        "parent_id": record.get("parent"),
        "start": record["start"],
        "end": record["end"],
        "attributes": {**telemetry.attributes(record), **telemetry.content_texts(record)},
        "status": "ERROR" if record.get("error") else "UNSET",
        "message": "",
        "events": (),
        "links": (),
        "flags": 1,
        "trace_state": "",
        "dropped_attributes": 0,
        "resource": {},
        "scope": Scope(names.SCOPE, "0", names.SCHEMA_URL, {}),
    }
    return Span(**{**fields, **changes})


def record_faults(record: Mapping[str, Any]) -> list[str]:
    """What the span of a record would have against the conventions."""
    if record.get("kind") not in ("call", "agent", "tool"):
        return []
    unsaid = {f"{name} is missing" for name in UNSAID.get(record.get("format", ""), ())}
    return [fault for fault in violations(span_of(record)) if fault not in unsaid]


def violations(span: Span) -> list[str]:
    """What a span has against the conventions, one line each; none if it follows them."""
    found = span.attributes
    operation = found.get("gen_ai.operation.name")
    # The conventions have no name for a reranking; it says what an embedding does.
    like = "embeddings" if operation == "rerank" else operation
    kinds = [each for each in MODEL["spans"].values() if like in each["operations"]]
    if not kinds:
        return [f"operation {operation!r} is no operation of a span that we emit"]
    (model,) = kinds
    refined = MODEL["refinements"].get(found.get("gen_ai.provider.name"), {}) if operation in names.INFERENCE else {}
    known = {**model["attributes"], **refined}
    subject = found.get(model["subject"] or "")
    name = f"{operation} {subject}" if subject else operation
    return [
        *attribute_faults(found, known),
        *_content(found, model["content"]),
        *_required(found, known, model["expected"]),
        *_values(found),
        *_status(span),
        *([] if span.kind in model["kinds"] else [f"kind {span.kind}"]),
        *([] if span.name == name else [f"name {span.name!r} is not {name!r}"]),
        *([] if span.start <= span.end else ["ends before it starts"]),
        *([f"{span.dropped_attributes} attributes were dropped"] if span.dropped_attributes else []),
        *(["has events"] if span.events else []),
    ]


def attribute_faults(found: Mapping[str, Any], known: Mapping[str, Any]) -> list[str]:
    """Each name is known, is allowed on this span, and has its type."""
    wrong: list[str] = []
    for name, value in found.items():
        if name in SCHEMAS:
            continue
        kind = DEVIATIONS.get(name) or OURS.get(name) or MODEL["core"].get(name)
        if name.startswith("hexr.label."):
            kind = "string"
        if kind is None and name in known:
            kind = known[name][0]
        if kind is None:
            where = "on this span" if name in MODEL["registry"] else "at all"
            wrong.append(f"{name} is not defined {where}")
        elif not TYPES[kind](value):
            wrong.append(f"{name} is {value!r}, not a {kind}")
    return wrong


def _content(found: Mapping[str, Any], allowed: list[str]) -> list[str]:
    """Content is a JSON text on a span, is allowed there, and follows its schema."""
    wrong = [f"{name} is not defined on this span" for name in found if name in SCHEMAS and name not in allowed]
    for name, value in found.items():
        if name in allowed and name in SCHEMAS:
            wrong += faults(name, json.loads(value)) if type(value) is str else [f"{name} is no JSON text"]
    return wrong


# The oldest google-genai hands on the id of a response of Vertex AI (in one place, twice), but not of the Gemini API.
_GOOGLE_ID = "google/genai/models.py", "['responseId']"
_NO_GOOGLE_ID = {"gen_ai.response.id"} if has(*_GOOGLE_ID) and not has(*_GOOGLE_ID, times=3) else set()


def _required(found: Mapping[str, Any], known: Mapping[str, Any], expected: list[str]) -> list[str]:
    """What must be there is there; a call without an answer has no attributes of one."""
    must = {name for name, (_, level) in known.items() if level == "required"}
    operation, provider = found["gen_ai.operation.name"], found.get("gen_ai.provider.name")
    answered = "error.type" not in found and found.get("hexr.llm.cost.status") in ("priced", "unpriced")
    if answered:
        must |= {name for name in expected if not name.startswith(("gen_ai.embeddings", "gen_ai.request"))}
    if operation == "embeddings" and provider in ("gcp.gemini", "gcp.vertex_ai"):
        must.discard("gen_ai.response.model")  # Google does not say who made an embedding
    if provider == "ollama":
        must.discard("gen_ai.response.id")  # its answers have none
    if provider in ("ai21", "cohere", "voyage_ai"):
        must.discard("gen_ai.response.model")  # its answers do not say who made them
    if operation == "rerank":
        must.discard("gen_ai.usage.input_tokens")  # Cohere's is billed by the search
    if operation == "generate_content" and not str(provider).startswith("gcp."):
        must.discard("gen_ai.request.model")  # an image's variation, a video's remix: nobody names one
        must -= {f"gen_ai.response.{part}" for part in ("id", "model", "finish_reasons")}  # images and sounds have none
        must -= {f"gen_ai.usage.{part}_tokens" for part in ("input", "output")}  # some are billed by the piece
    if str(provider).startswith("gcp.") and "gen_ai.response.id" in must - found.keys():
        must -= _NO_GOOGLE_ID
    wrong = [f"{name} is missing" for name in sorted(must - found.keys())]
    pairs = [("server.address", "server.port"), ("gen_ai.provider.name", "gen_ai.system")]
    wrong += [f"{one} without {other}" for one, other in pairs if (one in found) != (other in found)]
    return wrong


def _values(found: Mapping[str, Any]) -> list[str]:
    """Values agree with each other."""
    get = found.get
    parts = [part for part, whole in WHOLES.items() if type(get(part)) is int and get(part, 0) > (get(whole) or 0)]
    total = (get("gen_ai.usage.input_tokens") or 0) + (get("gen_ai.usage.output_tokens") or 0)
    rules = {
        "a negative count": any(type(get(name)) is int and found[name] < 0 for name in found if "usage" in name),
        "gen_ai.system is not the provider": get("gen_ai.system") != get("gen_ai.provider.name"),
        "total_tokens is not the sum": get("gen_ai.usage.total_tokens", total) != total,
        "request.stream is only ever true": get("gen_ai.request.stream") is False,
        "choice.count of 1": get("gen_ai.request.choice.count") == 1,
        "service tier auto": get("openai.request.service_tier") == "auto",
        "time to first chunk without a stream": "gen_ai.response.time_to_first_chunk" in found
        and "gen_ai.request.stream" not in found,
        "unknown output type": get("gen_ai.output.type", "text") not in MODEL["output_types"],
        "unknown response status": get("gen_ai.response.status", "completed") not in MODEL["response_statuses"],
        "tokens of a response that was only fetched": get("gen_ai.operation.name") == "fetch_response"
        and any(name.startswith("gen_ai.usage") or name == "hexr.llm.cost_usd" for name in found),
        "an HTTP status inside of the process": "http.response.status_code" in found
        and get("gen_ai.operation.name") in ("invoke_agent", "execute_tool"),
        "unknown cost status": get("hexr.llm.cost.status", "priced")
        not in ("priced", "unpriced", "no_usage", "partial"),
        "unknown cost source": get("hexr.llm.cost.source", "table") not in ("provider", "table", "custom"),
        "a cost without its source": ("hexr.llm.cost_usd" in found) != ("hexr.llm.cost.source" in found),
        "openai's attributes elsewhere": get("gen_ai.provider.name") != "openai"
        and any(name.startswith("openai.") for name in found),
    }
    return [f"{part} is more than its whole" for part in parts] + [rule for rule, broken in rules.items() if broken]


def _status(span: Span) -> list[str]:
    """Never OK; an error exactly where there is an error.type; no text that could echo a key."""
    wrong = [] if span.status in ("UNSET", "ERROR") else [f"status {span.status}"]
    if (span.status == "ERROR") != ("error.type" in span.attributes):
        wrong.append(f"status {span.status} and error.type {span.attributes.get('error.type')!r}")
    return wrong + ([f"status message {span.message!r}"] if span.message else [])


# ---- Metrics and events -------------------------------------------------------------------------------------------


def point_faults(point: Point) -> list[str]:
    """What a metric point has against the conventions: those of the last release, or the registry to come."""
    if point.name in OUR_METRICS:
        instrument, unit = OUR_METRICS[point.name]
        known, buckets = {}, None
    else:
        model = METRICS["default"].get(point.name) or METRICS["latest"].get(point.name)
        if model is None:
            return ["is no metric of the conventions"]
        instrument, unit, known, buckets = model["instrument"], model["unit"], model["attributes"], model.get("buckets")
    found = point.attributes
    common = {
        **{
            name: kind
            for name, (kind, _) in METRICS["latest"]["gen_ai.client.inference.duration"]["attributes"].items()
        },
        **{name: kind for name, (kind, _) in known.items()},
        **{name: kind for name, kind in OURS.items() if kind == "string"},
        **OUR_LABELS,
        **DEVIATIONS,
    }
    return [
        *([] if _KINDS[instrument] == point.kind else [f"is a {point.kind}, not a {instrument}"]),
        *([] if unit == point.unit else [f"has the unit {point.unit!r}, not {unit!r}"]),
        *(["has other buckets"] if buckets and list(point.bounds) != buckets else []),
        *(f"{name} is missing" for name, (_, level) in known.items() if level == "required" and name not in found),
        *(f"{name} is not defined" for name in found if name not in common and not name.startswith("hexr.label.")),
        *(
            f"{name} is {found[name]!r}"
            for name, kind in common.items()
            if name in found and not TYPES[kind](found[name])
        ),
        *(["server.address without server.port"] if ("server.address" in found) != ("server.port" in found) else []),
    ]


def event_faults(log: Log) -> list[str]:
    """What an event has against the conventions: the attributes of its span, with structured content."""
    model = MODEL["events"].get(log.event_name)
    if model is None:
        return ["is no event of the conventions"]
    known = {**MODEL["spans"]["inference"]["attributes"]}
    known |= MODEL["refinements"].get(log.attributes.get("gen_ai.provider.name"), {})
    content = {name: value for name, value in log.attributes.items() if name in SCHEMAS}
    return [
        *attribute_faults(log.attributes, known),
        *(fault for name, value in content.items() for fault in faults(name, value)),
        *([] if [log.severity, log.severity_number] == model["severity"] else [f"severity {log.severity}"]),
        *([] if log.body is None else ["has a body"]),
        *([] if log.trace_id and log.span_id else ["belongs to no span"]),
    ]


# ---- Content ------------------------------------------------------------------------------------------------------


def faults(name: str, value: Any) -> list[str]:
    """What a content attribute's structured value has against its schema, one line each."""
    schema = SCHEMAS[name]
    return [f"{name}{fault}" for fault in _faults(value, schema, schema.get("$defs", {}))]


def _faults(value: Any, schema: Mapping[str, Any], named: Mapping[str, Any]) -> Iterator[str]:
    if "$ref" in schema:
        reference = schema["$ref"].rpartition("/")[2]
        if reference in named:
            yield from _faults(value, named[reference], named)
        elif not isinstance(value, dict | bool):
            yield f" {value!r} is no JSON Schema"
        return
    if "anyOf" in schema:
        options = [list(_faults(value, each, named)) for each in _fitting(value, schema["anyOf"], named)]
        if all(options):
            yield from options[0]
        return
    kind = _JSON.get(schema.get("type", ""))
    if kind is not None and type(value) is not kind:
        yield f" is {value!r}, no {schema['type']}"
    elif "const" in schema and value != schema["const"]:
        yield f" is {value!r}, not {schema['const']!r}"
    elif "enum" in schema and value not in schema["enum"]:
        yield f" is {value!r}, none of {schema['enum']}"
    elif kind is dict:
        yield from (f" has no {each!r}: {value}" for each in schema.get("required", ()) if each not in value)
        for each, inner in schema.get("properties", {}).items():
            if each in value:
                yield from (f".{each}{fault}" for fault in _faults(value[each], inner, named))
    elif kind is list:
        for index, each in enumerate(value):
            yield from (f"[{index}]{fault}" for fault in _faults(each, schema.get("items", {}), named))


def _fitting(value: Any, options: list[Any], named: Mapping[str, Any]) -> list[Any]:
    """The options for a part: a type that has a schema of its own must follow that one, not the generic one."""
    if type(value) is not dict:
        return options
    kinds = {
        named.get(each.get("$ref", "").rpartition("/")[2], {}).get("properties", {}).get("type", {}).get("const"): each
        for each in options
    }
    own = kinds.get(value.get("type"))
    return [own] if own is not None and value.get("type") else options
