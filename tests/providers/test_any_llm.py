"""any-llm goes through the providers' own SDKs: a call of it is one record, of the SDK that sends it."""

from __future__ import annotations

import pytest
from support import Run, alike

from hexr_instrument.demo.providers import ProviderServer

PROGRAM = """
import asyncio
from any_llm import acompletion, completion

M = [{"role": "user", "content": "Say hello."}]
print(completion(model="gpt-4o", provider="openai", messages=M).choices[0].message.content)
stream = completion(model="gpt-4o", provider="openai", messages=M, stream=True, stream_options={"include_usage": True})
print([chunk.choices[0].delta.content for chunk in stream if chunk.choices])
print(completion(model="claude-sonnet-5", provider="anthropic", messages=M, max_tokens=99).choices[0].message.content)
print(asyncio.run(acompletion(model="gpt-4o", provider="openai", messages=M)).choices[0].message.content)
"""


@pytest.mark.surface("any-llm-sdk", "completion", "sync", "async")
@pytest.mark.surface("any-llm-sdk", "completion stream", "sync")
def test_a_completion_of_any_llm_is_one_record(run: Run, providers: ProviderServer) -> None:
    """Sync, async, streamed, through the SDKs of OpenAI and Anthropic: sent as bare, and priced once."""
    done = alike(run, providers, PROGRAM, providers.clear)
    assert [(call["provider"], call["cost_status"]) for call in done.calls] == [
        ("openai", "priced"),
        ("openai", "priced"),
        ("anthropic", "priced"),
        ("openai", "priced"),
    ]
