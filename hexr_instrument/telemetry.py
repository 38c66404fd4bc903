"""A record as the OpenTelemetry data model sees it: span name, attributes, status. Pure, and without the SDK."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from . import names
from .call import USD, Call, Caller, Part

Record = dict[str, Any]

PARTS = 100
"""How many parts of a response a record lists; with more (a batch may have 100,000) it says how many."""


def of_call(call: Call) -> Record:
    """The record of a finished call: what one journal line says, with the keys that are unknown left out.

    Times are nanoseconds since the epoch, durations nanoseconds, amounts 1e-12 USD, ids lower-case hexadecimal.
    """
    request, response = call.request, call.response
    record: Record = {
        "kind": "call",
        "id": f"{call.span_id:016x}",
        "trace": f"{call.trace_id:032x}",
        "parent": None if call.parent_id is None else f"{call.parent_id:016x}",
        "sampled": call.sampled,
        "start": call.start,
        "end": call.end,
        "op": request.operation,
        "format": request.format.name,
        "provider": request.provider,
        "model": request.model,
        "host": request.host,
        "port": request.port,
        "stream": request.stream or None,
        "first_chunk": call.first_chunk,
        "params": request.parameters or None,
        "error": call.error,
        "status": call.status_code,
        "cost": call.cost,
        "cost_status": call.cost_status,
        "cost_source": call.cost_source,
        "content": call.content or None,
        **of_caller(call.caller),
    }
    fetched = request.billing == "fetch"
    if fetched:
        record |= {"response_id": request.response_id, "cost_status": None}
    if response is not None:
        record |= {
            "served": response.model,
            "response_id": response.id or request.response_id,
            "finish": list(response.finish_reasons) or _cut_short(call),
            "tier": response.service_tier,
            "usage": (response.usage.known() | response.mismatch() if response.usage and not fetched else None) or None,
            "parts": _parts(response.parts) or None,
            "surcharge": response.surcharge or None,
            "grade": list(response.grade) if any(response.grade) else None,
            "extras": response.extras or None,
        }
    return {key: value for key, value in record.items() if value is not None}


def _cut_short(call: Call) -> list[str] | None:
    """`error` stands for the reason that a stream which broke off never gave (the conventions' word for it)."""
    inference = call.request.operation in names.INFERENCE
    return ["error"] if call.partial and call.request.stream and inference else None


def _parts(parts: tuple[Part, ...]) -> list[Any] | int:
    return len(parts) if len(parts) > PARTS else [[part.model, part.usage.known()] for part in parts]


def of_caller(caller: Caller) -> Record:
    """The keys of a record that say who made the call."""
    return {
        "agent": caller.agent,
        "role": caller.role,
        "tenant": caller.tenant,
        "labels": dict(caller.labels) or None,
    }


def span_name(record: Mapping[str, Any]) -> str:
    """`{operation} {model}`, `invoke_agent {name}`, or `execute_tool {name}`; the operation alone where there is no second word."""
    if record["kind"] == "agent":
        return f"{names.INVOKE_AGENT} {record['agent']}"
    if record["kind"] == "tool":
        return f"{names.EXECUTE_TOOL} {record['tool']}"
    return f"{record['op']} {record['model']}" if record.get("model") else record["op"]


def start_attributes(record: Mapping[str, Any]) -> dict[str, Any]:
    """What is known before the request is sent: samplers may look at it."""
    attributes: dict[str, Any] = {
        names.OPERATION: record["op"],
        names.PROVIDER: record["provider"],
        names.SYSTEM: record["provider"],
        names.REQUEST_MODEL: record.get("model"),
        names.SERVER_ADDRESS: record.get("host"),
        names.SERVER_PORT: record.get("port"),
        names.REQUEST_STREAM: None if record["op"] == names.FETCH_RESPONSE else record.get("stream"),
        **caller_attributes(record),
    }
    return _present(attributes)


def caller_attributes(record: Mapping[str, Any]) -> dict[str, Any]:
    """Who made the call."""
    labels: Mapping[str, str] = record.get("labels") or {}
    return _present(
        {
            names.HEXR_AGENT: record.get("agent"),
            names.HEXR_TENANT: record.get("tenant"),
            names.HEXR_ROLE: record.get("role"),
            **{names.LABEL + name: value for name, value in labels.items()},
        }
    )


def attributes(record: Mapping[str, Any]) -> dict[str, Any]:
    """All attributes of a record's span."""
    if record["kind"] == "agent":
        return _agent_attributes(record)
    if record["kind"] == "tool":
        return _tool_attributes(record)
    usage: Mapping[str, int] = record.get("usage") or {}
    inputs, outputs = usage.get("input"), usage.get("output")
    extras: Mapping[str, Any] = record.get("extras") or {}
    fetched = record["op"] == names.FETCH_RESPONSE
    first_chunk: int | None = None if fetched else record.get("first_chunk")
    cost: int | None = record.get("cost")
    extras: Mapping[str, Any] = record.get("extras") or {}
    found: dict[str, Any] = {
        **start_attributes(record),
        **_request_attributes(record),
        names.RESPONSE_ID: record.get("response_id"),
        names.RESPONSE_MODEL: record.get("served"),
        names.RESPONSE_STATUS: extras.get("status") if fetched else None,
        names.FINISH_REASONS: record.get("finish"),
        names.FIRST_CHUNK: None if first_chunk is None else first_chunk / 1e9,
        **{
            attribute: usage[field]
            for field, attribute in names.USAGE.items()
            if usage.get(field) or (field in ("input", "output") and field in usage)
        },
        names.TOTAL_TOKENS: None if inputs is None and outputs is None else (inputs or 0) + (outputs or 0),
        names.COST: None if cost is None else cost / USD,
        names.COST_SOURCE: record.get("cost_source"),
        names.COST_STATUS: record.get("cost_status"),
        names.OVER_BUDGET: record.get("over_budget"),
        names.DURATION: round((record["end"] - record["start"]) / 1e6, 3),
        names.ERROR_TYPE: record.get("error"),
        names.STATUS_CODE: record.get("status"),
    }
    if record["op"] == names.EMBEDDINGS:  # a batch of them has an id and says that it put out nothing
        found |= {names.RESPONSE_ID: None, names.USAGE["output"]: None, names.TOTAL_TOKENS: inputs}
    return _present(found)


def content(record: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a record as structured attributes, for an event; empty where none was asked for."""
    held: Mapping[str, Any] = record.get("content") or {}
    return {names.CONTENT[name]: value for name, value in held.items() if name in names.CONTENT}


def content_texts(record: Mapping[str, Any]) -> dict[str, str]:
    """The content of a record as attributes of a span: each is a JSON text."""
    return {
        name: json.dumps(value, ensure_ascii=False, separators=(",", ":")) for name, value in content(record).items()
    }


def has_event(record: Mapping[str, Any]) -> bool:
    """Whether a record's content goes on an event: the conventions have one for inference alone."""
    return record.get("capture") in ("event", "both") and record.get("op") in names.INFERENCE


def _request_attributes(record: Mapping[str, Any]) -> dict[str, Any]:
    parameters: Mapping[str, Any] = record.get("params") or {}
    found: dict[str, Any] = {}
    for name, attribute in names.REQUEST.items():
        value = parameters.get(name)
        if value is None:
            continue
        if name in names.FLOATS:
            value = float(value) if type(value) in (int, float) else None
        elif name in names.INTEGERS:
            value = value if type(value) is int else None
        elif name in names.LISTS:
            value = [value]
        found[attribute] = value
    if record["provider"] == "openai" and record["op"] in names.INFERENCE:
        extras: Mapping[str, Any] = record.get("extras") or {}
        tier = parameters.get("service_tier")
        found[names.OPENAI["request_service_tier"]] = tier if tier != "auto" else None
        found[names.OPENAI["service_tier"]] = record.get("tier")
        found[names.OPENAI["system_fingerprint"]] = extras.get("system_fingerprint")
        api = record.get("format")
        found[names.OPENAI["api_type"]] = api if api in names.OPENAI_API_TYPES else None
    return found


def _agent_attributes(record: Mapping[str, Any]) -> dict[str, Any]:
    return _present(
        {
            names.OPERATION: names.INVOKE_AGENT,
            names.AGENT_NAME: record["agent"],
            **caller_attributes(record),
            names.USAGE["input"]: record.get("input"),
            names.USAGE["output"]: record.get("output"),
            names.HEXR_AGENT_CALLS: record["calls"],
            names.HEXR_AGENT_COST: None if record.get("cost") is None else record["cost"] / USD,
            names.ERROR_TYPE: record.get("error"),
        }
    )


def _tool_attributes(record: Mapping[str, Any]) -> dict[str, Any]:
    return _present(
        {
            names.OPERATION: names.EXECUTE_TOOL,
            names.TOOL_NAME: record["tool"],
            names.TOOL_CALL_ID: record.get("call_id"),
            names.TOOL_TYPE: "function",  # what the program runs itself
            names.TOOL_DESCRIPTION: record.get("description"),
            names.AGENT_NAME: record.get("agent"),
            **caller_attributes(record),
            names.ERROR_TYPE: record.get("error"),
        }
    )


def _present(found: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if value is not None}
