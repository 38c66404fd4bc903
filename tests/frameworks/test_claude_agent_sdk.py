"""Claude Agent SDK: a real subprocess that speaks its protocol; each result is one record with the cost that it states."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

from support import Run

CLI = Path(__file__).with_name("claude_cli.py")
PROGRAM = """
import asyncio, sys
from claude_agent_sdk import ClaudeAgentOptions, ClaudeSDKClient, query
from hexr import hexr_agent, hexr_role

def options(**more):
    return ClaudeAgentOptions(cli_path="CLI", **more)

async def ask(prompt, **more):
    return [type(each).__name__ async for each in query(prompt=prompt, options=options(**more))]

async def prompts(*texts):
    for each in texts:
        yield {"type": "user", "message": {"role": "user", "content": each}, "parent_tool_use_id": None, "session_id": "s"}

async def main():
    print(await ask("alone", extra_args={"agent": "reviewer"}, model="sonnet"))
    print(await ask(prompts("first", "second"), extra_args={"agent": "streamer"}))
    async with ClaudeSDKClient(options(extra_args={"agent": "chatter"})) as client:
        for prompt in ("one", "helper", "/cost", "reset"):
            await client.query(prompt)
            print([getattr(each, "total_cost_usd", None) async for each in client.receive_response()][-1])
        with hexr_role("said"):
            await client.query("fail")
            print([type(each).__name__ async for each in client.receive_response()])
    print(await asyncio.gather(*(ask("at once", extra_args={"agent": f"a{each}"}) for each in range(3))))
    with hexr_agent("crew", tenant="acme"):
        print(await ask("in a crew"))
        try:
            print(await ask("die"))
        except Exception as error:
            print(type(error).__name__)

asyncio.run(main())
"""


def test_each_result_is_one_record(run: Run, tmp_path: Path) -> None:
    """Of a life's growing totals each turn has its own part; roles are the agents' names; a death is a partial record."""
    command = tmp_path / "claude"
    command.write_text(f"#!{sys.executable}\n{CLI.read_text()}")
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    program = PROGRAM.replace("CLI", str(command))
    bare = run(program, bare=True, HEXR_DISABLED="1")
    assert bare.returncode == 0, bare.err
    done = run(program)
    assert (done.returncode, done.out, done.err) == (0, bare.out, bare.err)
    turn, helped = 2_000_000_000, 2_100_000_000  # 1e-12 USD
    seen = [(each.get("role"), each.get("cost"), each["cost_status"]) for each in done.calls]
    assert seen[:6] == [
        ("reviewer", turn, "priced"),
        ("streamer", turn, "priced"),
        ("streamer", turn, "priced"),
        ("chatter", turn, "priced"),
        ("chatter", helped, "priced"),
        ("chatter", turn, "priced"),
    ]
    assert seen[6] == ("said", turn, "priced")
    assert sorted(seen[7:10]) == [(f"a{each}", turn, "priced") for each in range(3)]
    assert seen[10:] == [(None, turn, "priced"), (None, None, "partial")]
    assert {each["cost_source"] for each in done.calls[:-1]} == {"provider"}
    assert {each["served"] for each in done.calls[:-1]} == {"claude-sonnet-4-5-20250929"}
    assert [each["model"] for each in done.calls[:2]] == ["sonnet", "claude-sonnet-4-5-20250929"]
    assert done.calls[0]["usage"] == {"input": 110, "output": 20, "cache_read": 100, "cache_write": 0}
    assert [model for model, _ in done.calls[4]["parts"]] == ["claude-sonnet-4-5-20250929", "claude-haiku-4-5-20251001"]
    assert done.calls[6]["error"] == "error_max_turns"
    (crew,) = [each for each in done.records if each["kind"] == "agent"]
    assert (crew["calls"], crew["cost"]) == (2, turn)
    assert {(each["agent"], each["tenant"], each["parent"]) for each in done.calls[10:]} == {
        ("crew", "acme", crew["id"])
    }
