"""Asynchronous streams that a program leaves half-read: what the event loop says about them is the program's own."""

from __future__ import annotations

import pytest
from support import Run

MAKE = {
    "openai": "openai.AsyncOpenAI().chat.completions.create(model='gpt-4o', messages=M, stream=True)",
    "responses": "openai.AsyncOpenAI().responses.create(model='gpt-4o', input='hi', stream=True)",
    "anthropic": "anthropic.AsyncAnthropic().messages.create(model='claude-opus-4-1', max_tokens=99, messages=M, stream=True)",
    "google": "genai.Client().aio.models.generate_content_stream(model='gemini-2.5-flash', contents='hi')",
}
LEAVE = {
    "leave": "",
    "drop": "del stream, chunk; gc.collect(); await asyncio.sleep(0.05)",
    "close": "await (stream.aclose if hasattr(stream, 'aclose') else stream.close)()",
}


@pytest.mark.parametrize("way", LEAVE)
@pytest.mark.parametrize("surface", MAKE)
def test_a_stream_that_is_left_half_read_makes_no_noise_of_ours(run: Run, surface: str, way: str) -> None:
    """Left, dropped or closed after its first chunk: one partial record, and nothing of ours on stderr.

    What asyncio itself says when it closes the SDKs' generators depends on the order in which it finds them.
    """
    source = f"""
import asyncio, gc
import anthropic, openai
from google import genai
M = [{{"role": "user", "content": "hi"}}]
async def main():
    stream = await {MAKE[surface]}
    async for chunk in stream:
        break
    {LEAVE[way]}
asyncio.run(main())
"""
    done = run(source)
    assert (done.returncode, done.out) == (0, "")
    assert "hexr" not in done.err
    assert [call["cost_status"] for call in done.calls] == ["partial"]
