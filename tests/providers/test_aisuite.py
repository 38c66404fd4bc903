"""aisuite goes through the providers' own SDKs: a call of it is one record, of the SDK that sends it."""

from __future__ import annotations

import pytest
from support import Run, alike

from hexr_instrument.demo.providers import ProviderServer

PROGRAM = """
import aisuite

M = [{"role": "user", "content": "Say hello."}]
client = aisuite.Client()
print(client.chat.completions.create(model="openai:gpt-4o", messages=M).choices[0].message.content)
print(client.chat.completions.create(model="anthropic:claude-sonnet-5", messages=M, max_tokens=99).choices[0].message.content)
"""


@pytest.mark.surface("aisuite", "chat", "sync")
def test_a_completion_of_aisuite_is_one_record(run: Run, providers: ProviderServer) -> None:
    """Through the SDKs of OpenAI and Anthropic: sent as bare, and priced once."""
    done = alike(run, providers, PROGRAM, providers.clear)
    assert [(call["provider"], call["cost_status"]) for call in done.calls] == [
        ("openai", "priced"),
        ("anthropic", "priced"),
    ]
