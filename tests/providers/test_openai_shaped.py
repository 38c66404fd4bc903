"""SDKs that are generated as OpenAI's is: the same program with each that is installed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from installed import has
from support import Done, Run, alike

from hexr_instrument.demo.providers import ProviderServer


@dataclass(frozen=True)
class SDK:
    """One of them, and a usual model of it."""

    name: str
    package: str
    module: str
    client: str
    serves: str
    model: str
    """As the provider spells it; the price table knows it."""
    embeds: bool = True
    responses: bool = False
    base: str = ""
    """What stands before the routes in a base URL."""


USAGE = {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25}
SDKS = (
    SDK("groq", "groq", "groq", "Groq", "groq", "llama-3.3-70b-versatile"),
    SDK("together", "together", "together", "Together", "together_ai", "meta-llama/Llama-3.3-70B-Instruct-Turbo"),
    SDK("cerebras", "cerebras-cloud-sdk", "cerebras.cloud.sdk", "Cerebras", "cerebras", "llama-3.3-70b", embeds=False),
    SDK("fireworks", "fireworks-ai", "fireworks", "Fireworks", "fireworks_ai",
        "accounts/fireworks/models/gpt-oss-120b", embeds=False),
)  # fmt: skip


def each(*surfaces: str, only: Callable[[SDK], bool] = lambda sdk: True) -> Any:
    """One test for each SDK; where it is not installed it is left out."""
    return pytest.mark.parametrize(
        "sdk",
        [
            pytest.param(
                sdk,
                id=sdk.name,
                marks=[
                    pytest.mark.skipif(
                        not has(f"{sdk.module.replace('.', '/')}/_base_client.py"), reason="not installed"
                    ),
                    *(pytest.mark.surface(sdk.package, name, "sync", "async") for name in surfaces),
                ],
            )
            for sdk in SDKS
            if only(sdk)
        ],
    )


def program(sdk: SDK, url: str, body: str) -> str:
    """A program with `client`, `aclient` and `ask` whose asynchronous part is `body`."""
    indented = "".join(f"    {line}\n" for line in body.strip().splitlines())
    return f"""
import asyncio
import {sdk.module} as sdk
args = dict(base_url={url!r}, api_key="no-key", max_retries=0)
client = sdk.{sdk.client}(**args)
ask = dict(model={sdk.model!r}, messages=[{{"role": "user", "content": "Say hello."}}])
async def main():
    aclient = sdk.Async{sdk.client}(**args)
{indented}
    await aclient.close()
asyncio.run(main())
client.close()
"""


def known(done: Done, providers: ProviderServer, sdk: SDK) -> list[dict[str, Any]]:
    """The calls, one for each billed answer, with its tokens, of the right provider."""
    calls = done.calls
    assert {call["provider"] for call in calls} == {sdk.serves}
    told = [(sent.usage["prompt_tokens"], sent.usage.get("completion_tokens")) for sent in providers.sent if sent.usage]
    assert [(call["usage"]["input"], call["usage"].get("output")) for call in calls if call.get("usage")] == told
    return calls


@each("chat create", "chat stream", "chat raw")
def test_chat_is_recorded_and_unchanged(run: Run, providers: ProviderServer, sdk: SDK) -> None:
    """Whole, streamed and raw, sync and async: one priced record each; what is seen and sent is the same without us."""
    source = program(
        sdk,
        providers.url,
        """
def said(answer): print(type(answer).__name__, answer.choices[0].message.content, answer.usage.total_tokens)
said(client.chat.completions.create(**ask))
said(await aclient.chat.completions.create(**ask))
chunks = client.chat.completions.create(**ask, stream=True)
print(type(chunks).__name__, [each.model_dump() for each in chunks])
chunks = await aclient.chat.completions.create(**ask, stream=True)
print(type(chunks).__name__, [each.model_dump() async for each in chunks])
raw = client.chat.completions.with_raw_response.create(**ask)
said(raw.parse())
raw = await aclient.chat.completions.with_raw_response.create(**ask)
parsed = raw.parse()
said(await parsed if asyncio.iscoroutine(parsed) else parsed)
""",
    )

    def script() -> None:
        last = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": sdk.model}
        piece = {
            **last,
            "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hello."}, "finish_reason": None}],
        }
        end = {**last, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        # Groq's own place for it; the others have it in the last chunk, asked for or not.
        end |= {"x_groq": {"id": "r", "usage": USAGE}} if sdk.name == "groq" else {"usage": USAGE}
        for _ in range(2):
            providers.reply(usage=USAGE, route="/chat/completions")
        for _ in range(2):
            providers.reply(chunks=[piece, end, "[DONE]"], route="/chat/completions")
        for _ in range(2):
            providers.reply(usage=USAGE, route="/chat/completions")

    done = alike(run, providers, source, script)
    calls = done.calls
    assert [call["provider"] for call in calls] == [sdk.serves] * 6
    for call in calls:
        assert call["model"] == sdk.model
        assert call["usage"] == {"input": 20, "output": 5}
        assert (call["cost_status"], call["cost_source"]) == ("priced", "table")
    streamed = [call for call in calls if call.get("stream")]
    assert len(streamed) == 2
    assert all(call["first_chunk"] > 0 for call in streamed)


@each("chat errors", "chat stream left early")
def test_errors_and_left_streams_are_one_record(run: Run, providers: ProviderServer, sdk: SDK) -> None:
    """A refused request has its status; a stream that is left, is partial; the exceptions are the SDK's."""
    source = program(
        sdk,
        providers.url,
        """
for wanted in (client, aclient):
    try:
        found = wanted.chat.completions.create(**ask | {"model": "error-429"})
        print(await found)
    except sdk.RateLimitError as error:
        print(type(error).__name__, error.status_code)
with client.chat.completions.create(**ask, stream=True) as chunks:
    print(next(iter(chunks)).choices[0].index)
async with await aclient.chat.completions.create(**ask, stream=True) as chunks:
    async for each in chunks:
        break
""",
    )
    done = alike(run, providers, source, lambda: None)
    calls = done.calls
    assert [call.get("status") for call in calls[:2]] == [429, 429]
    assert all(call["error"].endswith("RateLimitError") for call in calls[:2])
    assert [call["cost_status"] for call in calls[2:]] == ["partial"] * 2
    assert {call["provider"] for call in calls} == {sdk.serves}


@each("embeddings create", only=lambda sdk: sdk.embeds)
def test_embeddings_are_recorded(run: Run, providers: ProviderServer, sdk: SDK) -> None:
    """Sync and async: the input's tokens."""
    source = program(
        sdk,
        providers.url,
        """
ask = dict(model="nomic-embed-text-v1_5", input="hi there")
for answer in (client.embeddings.create(**ask), await aclient.embeddings.create(**ask)):
    print(type(answer).__name__, len(answer.data))
""",
    )
    done = alike(run, providers, source, lambda: None)
    assert [(call["op"], call["provider"]) for call in done.calls] == [("embeddings", sdk.serves)] * 2
    assert all(call["usage"]["input"] > 0 for call in known(done, providers, sdk))


@each("hexr_llm")
def test_the_direct_call_and_the_handle(run: Run, providers: ProviderServer, sdk: SDK) -> None:
    """`hexr_llm(provider=...)`, whole, streamed and awaited, and a registered client: the role is on each."""
    source = program(
        sdk,
        providers.url,
        f"""
from hexr import hexr_llm
direct = dict(provider={sdk.name!r}, model={sdk.model!r}, prompt="hi", role="tester", base_url={providers.url!r}, api_key="no-key")
one = hexr_llm(**direct)
print(one.provider, one.usage.input, one.cost_usd > 0)
pieces = hexr_llm(stream=True, **direct)
print(len(list(pieces)) > 1, pieces.response.usage.input)
print((await hexr_llm.aio(**direct)).provider)
mine = hexr_llm(client, role="writer")
print(isinstance(mine, sdk.{sdk.client}), bool(mine.chat.completions.create(**ask).id))
print(bool(mine.with_options(timeout=9).chat.completions.create(**ask).id))
""",
    )
    last = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": sdk.model}
    texts = [{**last, "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]} for text in "ab"]
    end = {**last, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": USAGE}
    providers.reply(usage=USAGE, route="/chat/completions")
    providers.reply(chunks=[*texts, end, "[DONE]"], route="/chat/completions")
    done = run(source)
    assert (done.returncode, done.err) == (0, ""), done.err
    assert [call["role"] for call in done.calls] == ["tester"] * 3 + ["writer"] * 2
    assert done.out.split()[0] == sdk.serves
    assert {call["provider"] for call in done.calls} == {sdk.serves}
