"""Speaks Claude Code's JSON lines on stdin and stdout, with messages of recorded shapes; calls no model.

What it says that it has spent grows over its life. A prompt decides what it does: `fail`, `reset`, `/cost`, `helper` (a
subagent with a model of its own), `die` (no result); anything else is answered.
"""

from __future__ import annotations

import json
import sys
from typing import Any

MAIN, HELPER = "claude-sonnet-4-5-20250929", "claude-haiku-4-5-20251001"
spent: dict[str, dict[str, Any]] = {}


def say(**message: Any) -> None:
    print(json.dumps(message), flush=True)


def spend(model: str, read: int, written: int, cost: float) -> None:
    so_far = spent.setdefault(model, {"inputTokens": 0, "outputTokens": 0, "cacheReadInputTokens": 0, "costUSD": 0.0})
    so_far["inputTokens"] += 10
    so_far["cacheReadInputTokens"] += read
    so_far["outputTokens"] += written
    so_far["costUSD"] += cost


def told(model: dict[str, Any]) -> dict[str, Any]:
    fixed = {"cacheCreationInputTokens": 0, "webSearchRequests": 0, "contextWindow": 200000, "maxOutputTokens": 32000}
    return {**model, **fixed, "provider": "firstParty"}


def answer(prompt: str, parent: str | None = None, model: str = MAIN) -> None:
    usage = {"input_tokens": 10, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 0, "output_tokens": 1}
    content = [{"type": "text", "text": f"about {prompt}"}]
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "usage": usage,
    }
    say(type="assistant", message=message, parent_tool_use_id=parent, session_id="s", uuid="u")


def result(prompt: str, turn: int) -> None:
    failed = prompt == "fail"
    usage = {"input_tokens": 10, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 0, "output_tokens": 20}
    say(
        type="result",
        subtype="error_max_turns" if failed else "success",
        is_error=failed,
        duration_ms=5,
        duration_api_ms=4,
        num_turns=1,
        stop_reason="end_turn",
        session_id="s",
        total_cost_usd=sum(each["costUSD"] for each in spent.values()),
        usage=usage,
        modelUsage={name: told(each) for name, each in spent.items()},
        result=f"about {prompt}",
        uuid=f"result-{turn}",
    )


def main() -> None:
    if "-v" in sys.argv:
        print("2.1.220 (Claude Code)")
        return
    if "--print" in sys.argv:  # the first versions of the SDK give one prompt as an argument
        spend(MAIN, 100, 20, 0.002)
        answer(sys.argv[-1])
        result(sys.argv[-1], 0)
        return
    for turn, line in enumerate(sys.stdin):
        asked = json.loads(line)
        if asked["type"] == "control_request":
            response = {"subtype": "success", "request_id": asked["request_id"], "response": {"commands": []}}
            say(type="control_response", response=response)
            continue
        if asked["type"] != "user":
            continue
        prompt = asked["message"]["content"]
        say(type="system", subtype="init", session_id="s", model=MAIN, tools=[], cwd="/")
        if prompt == "die":
            return
        if prompt == "reset":
            spent.clear()
            say(type="conversation_reset", new_conversation_id="c", uuid="u", session_id="s")
        if prompt != "/cost":
            spend(MAIN, 100, 20, 0.002)
            answer(prompt)
        if prompt == "helper":
            spend(HELPER, 0, 5, 0.0001)
            answer(prompt, "toolu_1", HELPER)
        result(prompt, turn)


main()
