"""OpenAI's work that goes on after the request: batches, and runs of assistants."""

from __future__ import annotations

from typing import Any

from .wire import JSON, Answer, Ask, Reply, compact, pieces

_MODEL = "gpt-4o-mini"
_BATCH = {
    "input_tokens": 2000,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 1000,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 3000,
}
_RUN = {
    "prompt_tokens": 120,
    "completion_tokens": 60,
    "total_tokens": 180,
    "prompt_token_details": {"cached_tokens": 0},
}
_MESSAGE: JSON = {
    "id": "msg_1",
    "object": "thread.message",
    "thread_id": "thread_1",
    "status": "in_progress",
    "role": "assistant",
    "content": [],
    "attachments": [],
    "metadata": {},
}


def batches(ask: Ask, reply: Reply) -> Answer:
    """POST /batches: it is being worked on when it is first asked for, and completed at the second time."""
    created: JSON = {
        "id": f"batch_{ask.number:032x}",
        "object": "batch",
        "endpoint": ask.body.get("endpoint"),
        "errors": None,
        "input_file_id": ask.body.get("input_file_id"),
        "completion_window": "24h",
        "status": "validating",
        "created_at": ask.now,
        "request_counts": {"total": 0, "completed": 0, "failed": 0},
        "metadata": ask.body.get("metadata"),
        **reply.extra,
    }
    working = {**created, "status": "in_progress", "usage": None, "model": None}
    usage = reply.usage if reply.usage is not None else _BATCH
    model = reply.model or "gpt-4o-mini-2024-07-18"
    done = {**created, "status": "completed", "completed_at": ask.now, "model": model, "usage": usage or None}
    return Answer(body=created, billed=False, stages=[working, done])


def runs(ask: Ask, reply: Reply) -> Answer:
    """POST /threads/runs, /threads/{id}/runs: completed when it is asked for the second time, or at once as a stream."""
    model = ask.model or _MODEL
    queued: JSON = {
        "id": f"run_{ask.number:024x}",
        "object": "thread.run",
        "created_at": ask.now,
        "assistant_id": ask.body.get("assistant_id"),
        "thread_id": "thread_1",
        "status": "queued",
        "started_at": None,
        "completed_at": None,
        "last_error": None,
        "model": model,
        "instructions": "",
        "tools": [],
        "metadata": {},
        "usage": None,
        "temperature": 1.0,
        "top_p": 1.0,
        "max_completion_tokens": None,
        "max_prompt_tokens": None,
        "truncation_strategy": {"type": "auto", "last_messages": None},
        "incomplete_details": None,
        "response_format": "auto",
        "tool_choice": "auto",
        "parallel_tool_calls": True,
    }
    usage = reply.usage if reply.usage is not None else _RUN
    working = {**queued, "status": "in_progress"}
    done = {**queued, "status": "completed", "completed_at": ask.now, "usage": usage or None}
    if not ask.stream:
        return Answer(body=queued, billed=False, stages=[working, done])
    message: JSON = {"id": "msg_1", "object": "thread.message.delta"}
    told = [
        (
            "thread.message.delta",
            {**message, "delta": {"content": [{"index": 0, "type": "text", "text": {"value": x}}]}},
        )
        for x in pieces("Plain words travel further.")
    ]
    events: list[tuple[str, Any]] = [
        ("thread.run.created", queued),
        ("thread.run.in_progress", working),
        ("thread.message.created", {**_MESSAGE, "created_at": ask.now}),
        *told,
        ("thread.run.completed", done),
    ]
    frames = [f"event: {name}\ndata: {compact(data)}\n\n".encode() for name, data in events]
    events_sent = [*frames, b"event: done\ndata: [DONE]\n\n"]
    return Answer(events=events_sent, usage=usage, usage_event=len(frames) - 1, stages=[done])


def cancelled(ask: Ask, reply: Reply) -> Answer:
    """POST /.../cancel: what it looks like does not depend on what it was."""
    identifier = ask.path.partition("?")[0].split("/")[-2]
    return Answer(body={"id": identifier, "status": "cancelled", "usage": None, **reply.extra}, billed=False)
