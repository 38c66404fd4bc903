"""Amazon Bedrock through aiobotocore: the same calls, awaited; and LangChain's chat models over boto3, once each."""

from __future__ import annotations

import importlib.util

import pytest
from support import Run, alike

from hexr_instrument.demo.providers import ProviderServer

CALLS = """
import asyncio, gc, json
from aiobotocore.session import get_session
SAY = [{"role": "user", "content": [{"text": "Say hello."}]}]
NOVA = "us.amazon.nova-lite-v1:0"
LLAMA = {"modelId": "meta.llama3-70b-instruct-v1:0", "body": json.dumps({"prompt": "hi there"})}
"""


@pytest.mark.odd("a body that nobody reads does not say why the answer ended")
@pytest.mark.surface("aiobotocore", "converse, converse_stream", "async")
@pytest.mark.surface("aiobotocore", "invoke_model and its stream", "async")
@pytest.mark.surface("aiobotocore", "embeddings", "async")
def test_awaited_calls_are_one_record_each(run: Run, providers: ProviderServer) -> None:
    """Whole, streamed, closed, embedded, read in pieces and unread, with errors; the program sees no difference."""
    program = (
        CALLS
        + """
async def main():
    async with get_session().create_client("bedrock-runtime") as client:
        print((await client.converse(modelId=NOVA, messages=SAY))["usage"])
        stream = (await client.converse_stream(modelId=NOVA, messages=SAY))["stream"]
        print(type(stream), [event async for event in stream])
        closed = (await client.converse_stream(modelId=NOVA, messages=SAY))["stream"]
        async for event in closed:
            break
        closed.close()
        print((await (await client.invoke_model(**LLAMA))["body"].read()))
        async with (await client.invoke_model(**LLAMA))["body"] as raw:
            print(await raw.read())
        body = (await client.invoke_model(**LLAMA))["body"]
        print([piece async for piece in body.iter_chunks(9)])
        print([line async for line in (await client.invoke_model(**LLAMA))["body"].iter_lines()])
        (await client.invoke_model(**LLAMA))["body"].close()
        streamed = (await client.invoke_model_with_response_stream(**LLAMA))["body"]
        print([event["chunk"]["bytes"] async for event in streamed])
        embedded = await client.invoke_model(modelId="amazon.titan-embed-text-v2:0", body=json.dumps({"inputText": "a"}))
        print(json.loads(await embedded["body"].read()))
        try:
            await client.converse(modelId="error-400", messages=SAY)
        except client.exceptions.ValidationException as error:
            print(type(error), error.response["Error"])
        try:
            print([each async for each in (await client.converse_stream(modelId=NOVA, messages=SAY))["stream"]])
        except Exception as error:
            print(type(error))
    gc.collect()
asyncio.run(main())
"""
    )

    def script() -> None:
        providers.reply(times=10)
        providers.reply(status=400)
        providers.reply(error_after=3)

    done = alike(run, providers, program, script)
    calls = done.calls
    statuses = [call["cost_status"] for call in calls]
    assert statuses == ["priced"] * 2 + ["partial"] + ["priced"] * 7 + ["no_usage", "partial"]
    assert (calls[-2]["error"], calls[-2]["status"]) == ("ValidationException", 400)
    assert calls[-1]["error"] == "throttlingException"
    assert calls[9]["op"] == "embeddings"
    assert all(call["usage"]["input"] in (10, 20) for call in calls if call["cost_status"] == "priced")


def test_a_registered_client_has_a_role(run: Run) -> None:
    """A handle of an asynchronous client is a client of its class."""
    done = run(
        CALLS
        + """
from hexr import hexr_llm
async def main():
    async with get_session().create_client("bedrock-runtime") as client:
        for each in (hexr_llm(client, role="writer"), client):
            assert type(each) is type(client)
            await each.converse(modelId=NOVA, messages=SAY)
asyncio.run(main())
"""
    )
    assert (done.returncode, done.err) == (0, "")
    assert [call.get("role") for call in done.calls] == ["writer", None]


@pytest.mark.skipif(importlib.util.find_spec("langchain_aws") is None, reason="langchain-aws is not installed")
def test_langchain_over_boto3_is_recorded_once(run: Run, providers: ProviderServer) -> None:
    """ChatBedrockConverse and ChatBedrock, whole and streamed: one record each."""
    program = """
from langchain_aws import ChatBedrock, ChatBedrockConverse
CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
for kind in (ChatBedrockConverse, ChatBedrock):
    model = kind(model=CLAUDE, region_name="us-east-1")
    print(model.invoke("Say hello.").usage_metadata["output_tokens"] > 0)
    print(len(list(model.stream("Say hello."))) > 1)
"""
    done = alike(run, providers, program, lambda: None)
    assert [(call["model"], call["cost_status"]) for call in done.calls] == [
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "priced")
    ] * 4
    assert len(providers.sent) == 4
