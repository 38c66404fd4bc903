"""AI21's own SDK: chat completions, bare and recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from providers.vendor import DIRECT, VendorServer, direct, spent
from providers.voyage_ai21_server import AI21Handler
from support import Done, Run, alike

PROGRAM = """
import asyncio, os
from ai21 import AI21Client, AsyncAI21Client
from ai21.models.chat import UserMessage

U = os.environ["AI21_TEST_URL"]
M = [UserMessage(content="Do cats purr?")]


def shown(name, make):
    try:
        print(name, make())
    except Exception as error:
        print(name, type(error).__mro__, error)


def said(stream):
    print(type(stream).__name__)
    return [chunk.choices[0].delta.content for chunk in stream]


client = AI21Client(api_key="k", api_host=U)
create = client.chat.completions.create
shown("chat", lambda: create(M, "jamba-large", temperature=0.5, max_tokens=99))
shown("stream", lambda: said(create(model="jamba-mini", messages=M, stream=True)))
shown("error", lambda: create(model="error-422", messages=M))
shown("stream error", lambda: said(create(model="error-422", messages=M, stream=True)))
shown("cut", lambda: said(create(model="cut", messages=M, stream=True)))
half = create(model="jamba-mini", messages=M, stream=True)
print(next(half).choices[0].delta.content)
half.close()


async def main():
    client = AsyncAI21Client(api_key="k", api_host=U)
    print((await client.chat.completions.create(model="jamba-large", messages=M)).choices[0].message.content)
    stream = await client.chat.completions.create(model="jamba-mini", messages=M, stream=True)
    print([chunk.choices[0].delta.content async for chunk in stream])


asyncio.run(main())
"""
HANDLES = """
import os
from ai21 import AI21Client
from ai21.models.chat import UserMessage
from hexr import hexr_llm

client = AI21Client(api_key="k", api_host=os.environ["AI21_TEST_URL"])
writer = hexr_llm(client, role="writer")
assert type(writer) is AI21Client
ask = {"model": "jamba-large", "messages": [UserMessage(content="Do cats purr?")]}
writer.chat.completions.create(**ask)
client.chat.completions.create(**ask)
"""


@pytest.fixture
def ai21() -> Iterator[VendorServer]:
    """A loopback AI21."""
    with VendorServer(AI21Handler) as server:
        yield server


@pytest.fixture
def ask(run: Run, ai21: VendorServer) -> Callable[..., Done]:
    """Runs a program against it."""
    return lambda source, **more: run(source, **{"AI21_TEST_URL": ai21.url, "AI21_API_KEY": "k"} | more)


@pytest.mark.surface("ai21", "chat", "sync", "async")
@pytest.mark.surface("ai21", "chat stream", "sync", "async")
def test_every_way_to_ask_ai21_is_recorded_and_unchanged(ask: Run, ai21: VendorServer) -> None:
    """Sync, async, streams, errors: seen as bare, one record each; the table has no price for these models."""
    done = alike(ask, ai21, PROGRAM, ai21.clear)
    assert spent(done.calls) == [
        ("chat", "jamba-large", 30, 30, "unpriced"),
        ("chat", "jamba-mini", 30, 30, "unpriced"),
        ("chat", "error-422", None, None, "no_usage"),
        ("chat", "error-422", None, None, "no_usage"),
        ("chat", "cut", None, None, "partial"),
        ("chat", "jamba-mini", None, None, "partial"),
        ("chat", "jamba-large", 30, 30, "unpriced"),
        ("chat", "jamba-mini", 30, 30, "unpriced"),
    ]
    first = done.calls[0]
    assert (first["provider"], first["params"]) == ("ai21", {"temperature": 0.5, "max_tokens": 99})
    assert [call["status"] for call in done.calls if "status" in call] == [422, 422]


def test_a_registered_client_carries_its_role(ask: Run) -> None:
    """Its calls have the role, those of the client that it was made from have none."""
    done = ask(HANDLES)
    assert done.returncode == 0, done.err
    assert [call.get("role") for call in done.calls] == ["writer", None]


@pytest.mark.surface("ai21", "hexr_llm", "sync", "async")
def test_the_direct_call(ask: Run) -> None:
    """One line asks in each way, with messages made the SDK's own; without a key it says which one is missing."""
    done = ask(DIRECT + 'import os; asked(provider="ai21", model="jamba-large", base_url=os.environ["AI21_TEST_URL"])')
    assert len(direct(done, "ai21", (50, 30), None)) == 4
    done = ask(DIRECT + 'asked(provider="ai21", model="jamba-large")', AI21_API_KEY="")
    assert "no key for provider 'ai21': set AI21_API_KEY, or pass api_key=" in done.err
