"""The loopback provider server as the official SDKs see it, which must not tell it from the real ones.

The clients validate every answer strictly, and warnings are errors.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from anthropic import Anthropic, AsyncAnthropic, beta_tool
from google import genai
from google.genai import errors, types
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

from hexr_instrument.demo.providers import NO_USAGE, ProviderServer, Reply

ASK = [{"role": "user", "content": "Explain quantum computing in one paragraph"}]  # six words: 60 tokens
LONG = " ".join(["word"] * 150)
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CHAT_TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": WEATHER}}]
RESPONSE_TOOLS = [{"type": "function", "name": "weather", "parameters": WEATHER, "strict": False}]
CLAUDE_TOOLS = [{"name": "weather", "input_schema": WEATHER}]


class Person(BaseModel):
    """What a structured answer looks like."""

    name: str
    age: int
    tags: list[str]


@pytest.fixture(scope="module")
def shared() -> Iterator[ProviderServer]:
    """One server for the module: clients are dear, and each test starts with a clean record."""
    with ProviderServer() as server:
        yield server


@pytest.fixture
def server(shared: ProviderServer) -> ProviderServer:
    """The server, with nothing recorded or scripted."""
    shared.clear()
    return shared


@pytest.fixture(scope="module")
def gpt(shared: ProviderServer) -> Iterator[OpenAI]:
    """A strict OpenAI client that never retries."""
    with OpenAI(**openai_options(shared)) as client:
        yield client


@pytest.fixture(scope="module")
def claude(shared: ProviderServer) -> Iterator[Anthropic]:
    """A strict Anthropic client that never retries."""
    with Anthropic(**anthropic_options(shared)) as client:
        yield client


@pytest.fixture(scope="module")
def gemini(shared: ProviderServer) -> Iterator[genai.Client]:
    """A Google client on the Gemini API."""
    with genai.Client(api_key="fake", http_options=types.HttpOptions(base_url=shared.google)) as client:
        yield client


def openai_options(server: ProviderServer) -> dict[str, Any]:
    """Arguments of a strict client."""
    return {
        "base_url": server.openai,
        "api_key": "sk-fake-1234",
        "max_retries": 0,
        "_strict_response_validation": True,
    }


def anthropic_options(server: ProviderServer) -> dict[str, Any]:
    """Arguments of a strict client."""
    return {**openai_options(server), "base_url": server.anthropic}


# ---- OpenAI chat -------------------------------------------------------------------------------------------


def test_chat_answers_with_the_dated_model_and_tokens_by_the_rule(server: ProviderServer, gpt: OpenAI) -> None:
    """A word is ten tokens, of the question and of the answer; what was sent is noted."""
    answer = gpt.chat.completions.create(model="gpt-4o", messages=ASK)
    text = answer.choices[0].message.content
    assert answer.model == "gpt-4o-2024-08-06"
    assert answer.usage.prompt_tokens == 60
    assert answer.usage.completion_tokens == 10 * len(text.split())
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer._request_id.startswith("req_")
    (sent,) = server.sent
    assert (sent.route, sent.requested, sent.served) == ("/chat/completions", "gpt-4o", answer.model)
    assert sent.usage["total_tokens"] == answer.usage.total_tokens


def test_the_same_request_gets_the_same_answer(gpt: OpenAI) -> None:
    """Answers are a function of the request."""
    texts = {gpt.chat.completions.create(model="gpt-4o", messages=ASK).choices[0].message.content for _ in range(3)}
    assert len(texts) == 1


def test_an_unknown_model_is_served_under_its_own_name(gpt: OpenAI) -> None:
    """Only names that a provider dates are dated."""
    assert gpt.chat.completions.create(model="my-finetune", messages=ASK).model == "my-finetune"


def test_choices_multiply_the_output(gpt: OpenAI) -> None:
    """`n=3` gives three choices, and three times the output tokens."""
    one = gpt.chat.completions.create(model="gpt-4o", messages=ASK)
    three = gpt.chat.completions.create(model="gpt-4o", messages=ASK, n=3)
    assert [choice.index for choice in three.choices] == [0, 1, 2]
    assert three.usage.completion_tokens == 3 * one.usage.completion_tokens


def test_a_limit_cuts_the_answer_and_its_tokens(gpt: OpenAI) -> None:
    """`max_tokens` below the answer gives `length`, and exactly that many tokens."""
    answer = gpt.chat.completions.create(model="gpt-4o", messages=ASK, max_tokens=30)
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 30


def test_a_model_that_reasons_states_its_reasoning(gpt: OpenAI) -> None:
    """`gpt-5` reasons unless told not to; the tokens are part of the output."""
    thought = gpt.chat.completions.create(model="gpt-5", messages=ASK).usage
    quick = gpt.chat.completions.create(model="gpt-5", messages=ASK, reasoning_effort="minimal").usage
    assert thought.completion_tokens_details.reasoning_tokens == 100
    assert thought.completion_tokens == quick.completion_tokens + 100


def test_a_long_beginning_is_cached(gpt: OpenAI) -> None:
    """What comes before the last message is read from the cache, from 1000 tokens on."""
    usage = gpt.chat.completions.create(model="gpt-4o", messages=[{"role": "system", "content": LONG}, *ASK]).usage
    assert (usage.prompt_tokens, usage.prompt_tokens_details.cached_tokens) == (1560, 1500)


def test_a_chat_stream_carries_usage_only_if_asked(server: ProviderServer, gpt: OpenAI) -> None:
    """Role, content, finish; no usage field at all."""
    chunks = list(gpt.chat.completions.create(model="gpt-4o", messages=ASK, stream=True))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert len([chunk for chunk in chunks if chunk.choices[0].delta.content]) > 2
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert not any("usage" in chunk.model_fields_set for chunk in chunks)
    assert server.sent[0].usage is None


def test_a_chat_stream_that_is_asked_ends_with_usage(server: ProviderServer, gpt: OpenAI) -> None:
    """`include_usage` adds one chunk without choices, and `usage: null` to all others."""
    options = {"include_usage": True}
    chunks = list(gpt.chat.completions.create(model="gpt-4o", messages=ASK, stream=True, stream_options=options))
    *others, last = chunks
    assert last.choices == []
    assert last.usage.to_dict() == server.sent[0].usage
    assert all("usage" in chunk.model_fields_set and chunk.usage is None for chunk in others)
    whole = gpt.chat.completions.create(model="gpt-4o", messages=ASK)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in others) == whole.choices[0].message.content


def test_chat_calls_a_tool_once(gpt: OpenAI) -> None:
    """Tools are called until a result is among the messages."""
    first = gpt.chat.completions.create(model="gpt-4o", messages=ASK, tools=CHAT_TOOLS).choices[0]
    (call,) = first.message.tool_calls
    assert (first.finish_reason, first.message.content) == ("tool_calls", None)
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": "example"})
    result = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
    second = gpt.chat.completions.create(
        model="gpt-4o", messages=[*ASK, first.message.to_dict(), result], tools=CHAT_TOOLS
    )
    assert second.choices[0].finish_reason == "stop"


def test_the_chat_stream_helper_assembles_tool_calls(gpt: OpenAI) -> None:
    """The pieces of a streamed tool call fit together, for each of two choices."""
    with gpt.chat.completions.stream(model="gpt-4o", messages=ASK, tools=CHAT_TOOLS, n=2) as stream:
        final = stream.get_final_completion()
    assert [choice.message.tool_calls[0].function.arguments for choice in final.choices] == ['{"city":"example"}'] * 2


def test_chat_parse_gets_a_valid_object(gpt: OpenAI) -> None:
    """A json_schema response format is answered by JSON of that schema."""
    parsed = gpt.chat.completions.parse(model="gpt-4o", messages=ASK, response_format=Person)
    assert parsed.choices[0].message.parsed == Person(name="example", age=1, tags=["example"])


def test_chat_works_async_and_raw(server: ProviderServer) -> None:
    """The async client, its streams, raw and streaming responses read the same wire."""

    async def run() -> None:
        async with AsyncOpenAI(**openai_options(server)) as client:
            create = client.chat.completions
            whole = await create.create(model="gpt-4o", messages=ASK)
            stream = await create.create(model="gpt-4o", messages=ASK, stream=True)
            pieces = [chunk.choices[0].delta.content or "" async for chunk in stream]
            assert "".join(pieces) == whole.choices[0].message.content
            raw = await create.with_raw_response.create(model="gpt-4o", messages=ASK)
            assert raw.headers["x-request-id"] == raw.request_id
            assert raw.parse().usage == whole.usage
            async with create.with_streaming_response.create(model="gpt-4o", messages=ASK) as response:
                assert json.loads(await response.text())["usage"] == server.sent[-1].usage

    asyncio.run(run())


def test_a_kept_chat_completion_can_be_fetched(server: ProviderServer, gpt: OpenAI) -> None:
    """`store=True` keeps it; the GET is no second bill."""
    kept = gpt.chat.completions.create(model="gpt-4o", messages=ASK, store=True)
    assert gpt.chat.completions.retrieve(kept.id).usage == kept.usage
    assert len(server.sent) == 1


def test_azure_paths_are_served(server: ProviderServer) -> None:
    """The Azure client's URL and its deployment name reach the chat route."""
    options = {"api_key": "fake", "api_version": "2024-10-21", "max_retries": 0}
    with openai.AzureOpenAI(azure_endpoint=server.url, **options) as client:
        answer = client.chat.completions.create(model="my-deployment", messages=ASK)
    assert answer.model == "my-deployment"
    assert server.requests[0].path.startswith("/openai/deployments/my-deployment/chat/completions?")


# ---- OpenAI responses --------------------------------------------------------------------------------------


def test_a_response_can_be_read_and_fetched(server: ProviderServer, gpt: OpenAI) -> None:
    """Reasoning comes first, its tokens are stated, and the stored response is the same."""
    response = gpt.responses.create(model="gpt-5-mini", input="Say hi please", reasoning={"effort": "low"})
    assert response.model == "gpt-5-mini-2025-08-07"
    assert [item.type for item in response.output] == ["reasoning", "message"]
    assert response.usage.input_tokens == 30
    assert response.usage.output_tokens == 100 + 10 * len(response.output_text.split())
    assert response.usage.output_tokens_details.reasoning_tokens == 100
    assert gpt.responses.retrieve(response.id) == response
    assert [sent.route for sent in server.sent] == ["/responses"]


def test_a_response_stream_has_the_full_event_sequence(server: ProviderServer, gpt: OpenAI) -> None:
    """Every event that the real API sends for a text with a reasoning summary, numbered."""
    events = list(
        gpt.responses.create(model="o3", input="hi", reasoning={"effort": "low", "summary": "auto"}, stream=True)
    )
    names = [event.type.removeprefix("response.") for event in events]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [name for at, name in enumerate(names) if name != "output_text.delta" or names[at - 1] != name] == [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert events[0].response.usage is None
    assert events[-1].response.usage.to_dict() == server.sent[0].usage


def test_response_helpers_work(gpt: OpenAI) -> None:
    """`.stream()` assembles the text, `.parse()` an object, a tool is called once."""
    with gpt.responses.stream(model="gpt-4o", input="hi there") as stream:
        streamed = stream.get_final_response()
    assert streamed.output_text == gpt.responses.create(model="gpt-4o", input="hi there").output_text
    assert gpt.responses.parse(model="gpt-4o", input="hi", text_format=Person).output_parsed.age == 1
    first = gpt.responses.create(model="gpt-4o", input="hi", tools=RESPONSE_TOOLS)
    (call,) = first.output
    assert (call.type, call.name, call.arguments) == ("function_call", "weather", '{"city":"example"}')
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    second = gpt.responses.create(model="gpt-4o", input=[*ASK, call.to_dict(), result], tools=RESPONSE_TOOLS)
    assert second.output_text


def test_a_cut_response_is_incomplete(gpt: OpenAI) -> None:
    """A limit ends the stream in `response.incomplete`, with usage."""
    *_, last = gpt.responses.create(model="gpt-4o", input="hi there", max_output_tokens=20, stream=True)
    assert last.type == "response.incomplete"
    assert last.response.incomplete_details.reason == "max_output_tokens"
    assert last.response.usage.output_tokens == 20


def test_a_stored_response_can_be_streamed_again(gpt: OpenAI) -> None:
    """GET with `stream=true` replays the events."""
    response = gpt.responses.create(model="gpt-4o", input="hi there")
    *_, last = gpt.responses.retrieve(response.id, stream=True)
    assert last.response.output_text == response.output_text
    with pytest.raises(openai.NotFoundError):
        gpt.responses.retrieve("resp_unknown")


# ---- OpenAI, the rest --------------------------------------------------------------------------------------


def test_embeddings_come_as_base64_and_as_floats(server: ProviderServer, gpt: OpenAI) -> None:
    """The SDK asks for base64 by default and decodes the same floats."""
    with OpenAI(**openai_options(server) | {"_strict_response_validation": False}) as client:
        packed = client.embeddings.create(model="text-embedding-3-small", input=["two words", "one"], dimensions=4)
    floats = gpt.embeddings.create(
        model="text-embedding-3-small", input=["two words", "one"], dimensions=4, encoding_format="float"
    )
    assert json.loads(server.requests[0].raw)["encoding_format"] == "base64"
    assert [each.embedding for each in packed.data] == [each.embedding for each in floats.data]
    assert packed.usage.prompt_tokens == 30
    numbers = gpt.embeddings.create(model="text-embedding-3-small", input=list(range(40)), encoding_format="float")
    assert numbers.usage.total_tokens == 40


def test_legacy_completions_work_with_and_without_stream(server: ProviderServer, gpt: OpenAI) -> None:
    """JSON, and a stream that ends with the usage it was asked for."""
    whole = gpt.completions.create(model="gpt-3.5-turbo-instruct", prompt="Once upon a time")
    with OpenAI(**openai_options(server) | {"_strict_response_validation": False}) as client:
        options = {"include_usage": True}
        *chunks, last = client.completions.create(
            model="gpt-3.5-turbo-instruct", prompt="Once upon a time", stream=True, stream_options=options
        )
    assert "".join(chunk.choices[0].text for chunk in chunks) == whole.choices[0].text
    assert last.usage == whole.usage


def test_moderation_is_not_billed(server: ProviderServer, gpt: OpenAI) -> None:
    """It answers, and is not among what was billed."""
    assert gpt.moderations.create(input="hello").results[0].flagged is False
    assert server.sent == []


# ---- Anthropic ---------------------------------------------------------------------------------------------


def test_a_message_has_tokens_by_the_rule(server: ProviderServer, claude: Anthropic) -> None:
    """Model, usage and request id are as the real API sends them."""
    message = claude.messages.create(model="claude-haiku-4-5", max_tokens=1000, messages=ASK)
    assert message.model == "claude-haiku-4-5-20251001"
    assert message.stop_reason == "end_turn"
    assert message.usage.input_tokens == 60
    assert message.usage.output_tokens == 10 * len(message.content[0].text.split())
    assert message._request_id.startswith("req_")
    assert server.sent[0].usage == message.usage.to_dict()


def test_a_message_stream_states_usage_twice(server: ProviderServer, claude: Anthropic) -> None:
    """The first event knows the input and a placeholder of the output, the last but one the totals."""
    events = list(claude.messages.create(model="claude-haiku-4-5", max_tokens=1000, messages=ASK, stream=True))
    assert (events[0].message.usage.input_tokens, events[0].message.usage.output_tokens) == (60, 1)
    assert events[-2].usage.output_tokens == server.sent[0].usage["output_tokens"]
    assert events[-2].usage.input_tokens == 60
    raw = claude.messages.with_raw_response.create(model="claude-haiku-4-5", max_tokens=1000, messages=ASK, stream=True)
    names = re.findall(r"^event: (\w+)$", raw.http_response.read().decode(), re.MULTILINE)
    assert [name for at, name in enumerate(names) if names[at - 1] != name] == [
        "message_start",
        "content_block_start",
        "ping",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


def test_the_message_stream_helper_assembles_thinking_and_tools(claude: Anthropic) -> None:
    """Thinking first, then the tool call; the thinking is part of the output."""
    with claude.messages.stream(
        model="claude-haiku-4-5",
        max_tokens=2000,
        messages=ASK,
        tools=CLAUDE_TOOLS,
        thinking={"type": "enabled", "budget_tokens": 1024},
    ) as stream:
        message = stream.get_final_message()
    thinking, call = message.content
    assert (thinking.type, thinking.signature) == ("thinking", "c2lnbmF0dXJl")
    assert (call.name, call.input, message.stop_reason) == ("weather", {"city": "example"}, "tool_use")
    assert (message.usage.output_tokens, message.usage.output_tokens_details.thinking_tokens) == (150, 100)


def test_messages_cache_only_where_marked(claude: Anthropic) -> None:
    """Without an assistant turn the mark writes (5 m or 1 h), with one it reads; input leaves both out."""

    def usage(ttl: str, *messages: dict[str, str]) -> Any:
        mark = {"type": "ephemeral", "ttl": ttl}
        system = [{"type": "text", "text": LONG, "cache_control": mark}]
        return claude.messages.create(
            model="claude-haiku-4-5", max_tokens=1000, system=system, messages=list(messages)
        ).usage

    short, hour = usage("5m", *ASK), usage("1h", *ASK)
    assert (short.input_tokens, short.cache_creation_input_tokens, short.cache_read_input_tokens) == (
        60,
        1500,
        0,
    )
    assert (
        short.cache_creation.ephemeral_5m_input_tokens,
        hour.cache_creation.ephemeral_1h_input_tokens,
    ) == (
        1500,
        1500,
    )
    later = usage("5m", *ASK, {"role": "assistant", "content": "so"}, {"role": "user", "content": "and now"})
    assert (later.cache_creation_input_tokens, later.cache_read_input_tokens) == (0, 1500)


def test_the_tool_runner_loops_once(server: ProviderServer, claude: Anthropic) -> None:
    """A tool call, its result, an answer: two billed requests, sync and async."""

    @beta_tool
    def weather(city: str) -> str:
        """The weather of a city."""
        return f"sunny in {city}"

    runner = claude.beta.messages.tool_runner(model="claude-haiku-4-5", max_tokens=1000, messages=ASK, tools=[weather])
    assert [message.stop_reason for message in runner] == ["tool_use", "end_turn"]
    assert len(server.sent) == 2


def test_counting_tokens_is_not_billed(server: ProviderServer, claude: Anthropic) -> None:
    """The count is the input of the call, and costs nothing."""
    count = claude.messages.count_tokens(model="claude-haiku-4-5", messages=ASK)
    assert (count.input_tokens, server.sent) == (60, [])


def test_messages_work_async_and_parsed(server: ProviderServer) -> None:
    """The async client, its stream helper, raw responses and structured output."""

    async def run() -> None:
        async with AsyncAnthropic(**anthropic_options(server)) as client:
            ask: dict[str, Any] = {"model": "claude-haiku-4-5", "max_tokens": 1000, "messages": ASK}
            whole = await client.messages.create(**ask)
            async with client.messages.stream(**ask) as stream:
                assert await stream.get_final_text() == whole.content[0].text
            raw = await client.messages.with_raw_response.create(**ask)
            assert raw.headers["request-id"] == raw.request_id
            parsed = await client.messages.parse(**ask, output_format=Person)
            assert parsed.parsed_output == Person(name="example", age=1, tags=["example"])

    asyncio.run(run())


# ---- Google ------------------------------------------------------------------------------------------------


def test_gemini_states_thoughts_beside_the_answer(server: ProviderServer, gemini: genai.Client) -> None:
    """Candidates leave the thoughts out; the total holds both."""
    answer = gemini.models.generate_content(model="gemini-3.8-flash", contents=ASK[0]["content"])
    usage = answer.usage_metadata
    assert answer.model_version == "gemini-3.8-flash"
    assert (usage.prompt_token_count, usage.thoughts_token_count) == (60, 100)
    assert usage.candidates_token_count == 10 * len(answer.text.split())
    assert usage.total_token_count == 160 + usage.candidates_token_count
    assert server.sent[0].usage["totalTokenCount"] == usage.total_token_count
    older = gemini.models.generate_content(model="gemini-1.5-pro", contents="hi")
    assert older.usage_metadata.thoughts_token_count is None


def test_gemini_streams_usage_so_far(server: ProviderServer, gemini: genai.Client) -> None:
    """Each chunk has usage, only the last one is the bill."""
    chunks = list(gemini.models.generate_content_stream(model="gemini-3.8-flash", contents="hi there"))
    assert len(chunks) > 2
    assert {chunk.usage_metadata.candidates_token_count for chunk in chunks[:-1]} == {1}
    assert chunks[-1].candidates[0].finish_reason == "STOP"
    assert chunks[-1].usage_metadata.candidates_token_count == server.sent[0].usage["candidatesTokenCount"]
    whole = gemini.models.generate_content(model="gemini-3.8-flash", contents="hi there")
    assert "".join(chunk.text for chunk in chunks) == whole.text


def test_gemini_caches_a_long_instruction(gemini: genai.Client) -> None:
    """The cached tokens are part of the prompt."""
    config = types.GenerateContentConfig(system_instruction=LONG, max_output_tokens=50)
    answer = gemini.models.generate_content(model="gemini-1.5-pro", contents="hi there", config=config)
    usage = answer.usage_metadata
    assert (usage.prompt_token_count, usage.cached_content_token_count) == (1520, 1500)
    assert (answer.candidates[0].finish_reason, usage.candidates_token_count) == ("MAX_TOKENS", 50)


def test_automatic_function_calling_loops_once(server: ProviderServer, gemini: genai.Client) -> None:
    """The SDK runs the function and asks again: two billed requests behind one answer, streamed or not."""
    asked: list[str] = []

    def weather(city: str) -> str:
        """The weather of a city."""
        asked.append(city)
        return "sunny"

    # google-genai 2 does not resolve annotations that are text
    weather.__annotations__ = {"city": str, "return": str}
    config = types.GenerateContentConfig(tools=[weather])
    chat = gemini.chats.create(model="gemini-3.8-flash", config=config)
    assert chat.send_message("The weather in Paris?").text
    assert (asked, len(server.sent)) == (["example"], 2)
    chat = gemini.chats.create(model="gemini-3.8-flash", config=config)
    assert list(chat.send_message_stream("The weather in Paris?"))
    assert len(server.sent) == 4


def test_gemini_answers_by_schema(gemini: genai.Client) -> None:
    """A response schema in Google's own dialect is followed too."""
    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=Person)
    answer = gemini.models.generate_content(model="gemini-1.5-pro", contents="hi", config=config)
    assert answer.parsed == Person(name="example", age=1, tags=["example"])


def test_gemini_embeds_and_counts(server: ProviderServer, gemini: genai.Client) -> None:
    """One vector per content, with usage; counting is free."""
    found = gemini.models.embed_content(model="gemini-embedding-001", contents=["two words", "one"])
    assert [len(each.values) for each in found.embeddings] == [8, 8]
    assert server.sent[0].usage["promptTokenCount"] == 30
    assert gemini.models.count_tokens(model="gemini-1.5-pro", contents="two words").total_tokens == 20
    assert [sent.route for sent in server.sent] == [":batchEmbedContents"]


def test_gemini_works_async(server: ProviderServer) -> None:
    """The async client reads the same wire, whole and streamed."""

    async def run() -> None:
        options = types.HttpOptions(base_url=server.google)
        async with genai.Client(api_key="fake", http_options=options).aio as client:
            whole = await client.models.generate_content(model="gemini-1.5-pro", contents="hi there")
            stream = await client.models.generate_content_stream(model="gemini-1.5-pro", contents="hi there")
            assert "".join([chunk.text async for chunk in stream]) == whole.text

    asyncio.run(run())


def test_vertex_paths_are_served(server: ProviderServer) -> None:
    """Vertex AI's paths, traffic type and both of its embedding routes."""
    options = types.HttpOptions(base_url=server.google)
    with genai.Client(vertexai=True, api_key="fake", http_options=options) as client:
        answer = client.models.generate_content(model="gemini-1.5-pro", contents="hi there")
        assert answer.usage_metadata.traffic_type == "ON_DEMAND"
        first, _ = client.models.embed_content(model="text-embedding-005", contents=["two words", "one"]).embeddings
        assert first.statistics.token_count == 20
        assert client.models.embed_content(model="gemini-embedding-2", contents="two words").embeddings[0].values
    assert [sent.route for sent in server.sent] == [":generateContent", ":predict", ":embedContent"]


# ---- Errors ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (400, openai.BadRequestError, None),
        (401, openai.AuthenticationError, "invalid_api_key"),
        (404, openai.NotFoundError, "model_not_found"),
        (429, openai.RateLimitError, "rate_limit_exceeded"),
        (500, openai.InternalServerError, None),
        (503, openai.InternalServerError, None),
    ],
)
def test_openai_errors(server: ProviderServer, gpt: OpenAI, status: int, kind: type[Any], code: str | None) -> None:
    """A model name provokes each status, with OpenAI's body, request id and no bill."""
    for model in (f"error-{status}", f"gpt-4o-error-{status}-x"):
        with pytest.raises(kind) as caught:
            gpt.chat.completions.create(model=model, messages=ASK, stream=model.startswith("gpt"))
        assert (caught.value.status_code, caught.value.code) == (status, code)
        assert caught.value.request_id.startswith("req_")
        assert set(caught.value.body) == {"message", "type", "param", "code"}
        assert ("retry-after-ms" in caught.value.response.headers) == (status in {429, 503})
    assert server.sent == []


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (404, "not_found_error"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (529, "overloaded_error"),
    ],
)
def test_anthropic_errors(claude: Anthropic, status: int, kind: str) -> None:
    """A model name provokes each status, with Anthropic's body and request id."""
    with pytest.raises(anthropic.APIStatusError) as caught:
        claude.messages.create(model=f"error-{status}", max_tokens=10, messages=ASK)
    assert (caught.value.status_code, caught.value.type) == (status, kind)
    assert caught.value.request_id == caught.value.body["request_id"]


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (400, "INVALID_ARGUMENT"),
        (401, "UNAUTHENTICATED"),
        (404, "NOT_FOUND"),
        (429, "RESOURCE_EXHAUSTED"),
        (500, "INTERNAL"),
        (503, "UNAVAILABLE"),
    ],
)
def test_google_errors(gemini: genai.Client, status: int, name: str) -> None:
    """A model name provokes each status, with Google's body."""
    with pytest.raises(errors.APIError) as caught:
        gemini.models.generate_content(model=f"error-{status}", contents="hi")
    assert (caught.value.code, caught.value.status) == (status, name)


def test_a_model_that_does_not_exist_is_not_found(gpt: OpenAI, claude: Anthropic, gemini: genai.Client) -> None:
    """Names that end in `-does-not-exist` do not exist, at any provider."""
    with pytest.raises(openai.NotFoundError, match="gpt-4o-does-not-exist"):
        gpt.responses.create(model="gpt-4o-does-not-exist", input="hi")
    with pytest.raises(anthropic.NotFoundError, match="claude-does-not-exist"):
        claude.messages.create(model="claude-does-not-exist", max_tokens=10, messages=ASK)
    with pytest.raises(errors.ClientError, match="gemini-does-not-exist"):
        gemini.models.generate_content(model="gemini-does-not-exist", contents="hi")


def test_a_401_repeats_a_part_of_the_key(gpt: OpenAI) -> None:
    """As the real API does: whoever records this message leaks it."""
    with pytest.raises(openai.AuthenticationError, match=re.escape("sk-fake-********1234")):
        gpt.chat.completions.create(model="error-401", messages=ASK)


def test_the_sdk_retries_what_the_server_says(server: ProviderServer, gpt: OpenAI) -> None:
    """Two refusals, then an answer: three requests, one bill."""
    server.script(
        Reply(status=500, headers={"retry-after-ms": "1"}), Reply(status=429, headers={"retry-after-ms": "1"})
    )
    assert gpt.with_options(max_retries=2).chat.completions.create(model="gpt-4o", messages=ASK).usage
    assert [request.headers["x-stainless-retry-count"] for request in server.requests] == ["0", "1", "2"]
    assert len(server.sent) == 1


def test_unknown_paths_and_broken_json_are_errors(server: ProviderServer) -> None:
    """404 for a path that no provider has, 400 for a body that is no object."""
    for path, body, status in (("/v1/nothing", b"{}", 404), ("/v1/chat/completions", b"[1", 400)):
        request = urllib.request.Request(server.url + path, body, {"content-type": "application/json"})
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request)
        caught.value.close()
        assert caught.value.code == status


# ---- Scripts -----------------------------------------------------------------------------------------------


def test_a_reply_is_sent_as_scripted(server: ProviderServer, gpt: OpenAI) -> None:
    """Text, usage, model, finish reason, further fields and headers; then the script is used up."""
    usage = {"prompt_tokens": 152, "completion_tokens": 487, "total_tokens": 639}
    server.reply(
        text="hello",
        usage=usage,
        model="gpt-4o-2024-11-20",
        finish="content_filter",
        extra={"service_tier": "flex"},
        headers={"x-request-id": "req_mine"},
    )
    answer = gpt.chat.completions.create(model="gpt-4o", messages=ASK)
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("hello", "content_filter")
    assert (answer.model, answer.service_tier, answer._request_id) == (
        "gpt-4o-2024-11-20",
        "flex",
        "req_mine",
    )
    assert server.sent[0].usage == usage == answer.usage.to_dict()
    assert gpt.chat.completions.create(model="gpt-4o", messages=ASK).model == "gpt-4o-2024-08-06"


def test_scripts_of_a_route_wait_for_it(server: ProviderServer, gpt: OpenAI, claude: Anthropic) -> None:
    """A reply for one route is not used up by another; replies are taken in order."""
    server.script(Reply(text="one"), Reply(text="two"), route="/messages")
    assert gpt.chat.completions.create(model="gpt-4o", messages=ASK).choices[0].message.content not in {
        "one",
        "two",
    }
    texts = [
        claude.messages.create(model="claude-haiku-4-5", max_tokens=100, messages=ASK).content[0].text for _ in range(2)
    ]
    assert texts == ["one", "two"]


def test_an_answer_may_carry_no_usage(server: ProviderServer, gpt: OpenAI) -> None:
    """`NO_USAGE` leaves the field out, of a stream too, although it was asked for."""
    server.reply(usage=NO_USAGE, times=2)
    assert gpt.chat.completions.create(model="gpt-4o", messages=ASK).usage is None
    options = {"include_usage": True}
    chunks = list(gpt.chat.completions.create(model="gpt-4o", messages=ASK, stream=True, stream_options=options))
    assert all(chunk.choices for chunk in chunks)
    assert [sent.usage for sent in server.sent] == [None, None]


def test_scripted_tool_calls_are_made(server: ProviderServer, gemini: genai.Client) -> None:
    """Names and arguments are the script's, at any provider."""
    server.reply(tool_calls=[("weather", {"city": "Paris"}), ("time", {})])
    answer = gemini.models.generate_content(model="gemini-1.5-pro", contents="hi")
    assert [(call.name, call.args) for call in answer.function_calls] == [
        ("weather", {"city": "Paris"}),
        ("time", {}),
    ]


def test_raw_bodies_and_chunks_are_sent_as_they_are(server: ProviderServer, gpt: OpenAI, claude: Anthropic) -> None:
    """Recorded answers can be replayed; events are framed as the provider does."""
    recorded = gpt.chat.completions.create(model="gpt-4o", messages=ASK).to_dict()
    server.reply(body={**recorded, "id": "chatcmpl-mine"})
    assert gpt.chat.completions.create(model="gpt-4o", messages=ASK).id == "chatcmpl-mine"
    assert server.sent[-1].usage == recorded["usage"]
    events = [
        event.to_dict()
        for event in claude.messages.create(model="claude-haiku-4-5", max_tokens=500, messages=ASK, stream=True)
    ]
    server.reply(chunks=[*events[:2], b": a comment\n\n", *events[2:]])
    again = claude.messages.create(model="claude-haiku-4-5", max_tokens=500, messages=ASK, stream=True)
    assert [event.to_dict() for event in again] == events
    server.reply(body={"choices": []}, route="/converse")
    with urllib.request.urlopen(f"{server.url}/model/x/converse", b"{}") as response:
        assert json.load(response) == {"choices": []}


@pytest.mark.parametrize("provider", ["chat", "responses", "messages", "gemini"])
def test_a_stream_can_be_cut(
    server: ProviderServer, gpt: OpenAI, claude: Anthropic, gemini: genai.Client, provider: str
) -> None:
    """The connection closes after three events: the SDK raises, and nothing was billed."""
    server.reply(cut_after=3)
    with pytest.raises(Exception, match=r"incomplete|Connection error"):
        list(stream_of(provider, gpt, claude, gemini))
    assert server.sent == []
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("provider", "kind", "match"),
    [
        ("chat", openai.APIError, "The server had an error"),
        ("responses", openai.APIError, "The server had an error"),
        ("messages", anthropic.APIStatusError, "Overloaded"),
        ("gemini", errors.ServerError, "overloaded"),
    ],
)
def test_a_stream_can_fail(
    server: ProviderServer,
    gpt: OpenAI,
    claude: Anthropic,
    gemini: genai.Client,
    provider: str,
    kind: type[Exception],
    match: str,
) -> None:
    """After three events comes the provider's own error event, which the SDK raises."""
    server.reply(error_after=3)
    with pytest.raises(kind, match=match):
        list(stream_of(provider, gpt, claude, gemini))
    assert server.sent == []


def stream_of(provider: str, gpt: OpenAI, claude: Anthropic, gemini: genai.Client) -> Iterator[Any]:
    """A stream of one provider."""
    if provider == "chat":
        return iter(gpt.chat.completions.create(model="gpt-4o", messages=ASK, stream=True))
    if provider == "responses":
        return iter(gpt.responses.create(model="gpt-4o", input="hi there", stream=True))
    if provider == "messages":
        return iter(claude.messages.create(model="claude-haiku-4-5", max_tokens=900, messages=ASK, stream=True))
    return gemini.models.generate_content_stream(model="gemini-1.5-pro", contents="hi there")


def test_a_whole_answer_can_be_cut(server: ProviderServer, gpt: OpenAI) -> None:
    """The connection closes within the body."""
    server.reply(cut_after=10)
    with pytest.raises(openai.APIConnectionError):
        gpt.chat.completions.create(model="gpt-4o", messages=ASK)
    assert server.sent == []


def test_a_gate_holds_a_stream(server: ProviderServer, gpt: OpenAI) -> None:
    """Events before the gate arrive while it is shut; the rest once it opens."""
    gate = threading.Event()
    server.reply(gate=gate, gate_after=2)
    stream = gpt.chat.completions.create(model="gpt-4o", messages=ASK, stream=True)
    first = [next(stream), next(stream)]
    assert first[1].choices[0].delta.content
    gate.set()
    assert [chunk.choices[0].finish_reason for chunk in stream][-1] == "stop"


def test_a_client_may_go_away(server: ProviderServer, gpt: OpenAI, capfd: pytest.CaptureFixture[str]) -> None:
    """A stream closed early breaks nothing and prints nothing; the next call works."""
    gate = threading.Event()
    server.reply(gate=gate, gate_after=1)
    stream = gpt.chat.completions.create(model="gpt-4o", messages=ASK, stream=True)
    next(stream)
    stream.close()
    gate.set()
    assert gpt.chat.completions.create(model="gpt-4o", messages=ASK).usage
    assert capfd.readouterr() == ("", "")


# ---- The server itself -------------------------------------------------------------------------------------


def test_requests_are_recorded_as_they_arrive(server: ProviderServer, gpt: OpenAI) -> None:
    """Method, path with query, lower-case headers, raw bytes and parsed body."""
    gpt.with_options(default_query={"x": "1"}).chat.completions.create(model="gpt-4o", messages=ASK)
    (request,) = server.requests
    assert (request.method, request.path) == ("POST", "/v1/chat/completions?x=1")
    assert request.headers["authorization"] == "Bearer sk-fake-1234"
    assert json.loads(request.raw) == request.body == {"messages": ASK, "model": "gpt-4o"}
    assert server.wait(1) == [request]
    with pytest.raises(TimeoutError, match="1 of 2 requests"):
        server.wait(2, timeout=0)


def test_many_threads_are_answered_apart(server: ProviderServer, gpt: OpenAI) -> None:
    """Concurrent calls get their own answers and ids."""
    answers: list[Any] = []

    def call() -> None:
        answers.append(gpt.chat.completions.create(model="gpt-4o", messages=ASK))

    threads = [threading.Thread(target=call) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({answer.id for answer in answers}) == len(server.sent) == 16


def test_a_closed_server_is_gone() -> None:
    """New connections are refused, and kept ones are dropped."""
    server = ProviderServer()
    with OpenAI(**openai_options(server)) as client:
        client.chat.completions.create(model="gpt-4o", messages=ASK)
        server.close()
        with pytest.raises(openai.APIConnectionError):
            client.chat.completions.create(model="gpt-4o", messages=ASK)


def test_the_environment_sends_an_unmodified_program_here(
    monkeypatch: pytest.MonkeyPatch, server: ProviderServer
) -> None:
    """Each SDK finds the server and a fake key by itself, whatever real settings are around."""
    monkeypatch.setenv("GEMINI_API_KEY", "a-real-key")
    monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", "true")
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    with OpenAI() as gpt, Anthropic() as claude, genai.Client() as gemini:
        gpt.chat.completions.create(model="gpt-4o", messages=ASK)
        claude.messages.create(model="claude-haiku-4-5", max_tokens=100, messages=ASK)
        gemini.models.generate_content(model="gemini-1.5-pro", contents="hi")
    assert len(server.sent) == 3
    # anthropic 2.12 sends its key as a bearer token
    sent = ("authorization", "authorization", "x-goog-api-key")
    assert all("fake" in request.headers[name] for request, name in zip(server.requests, sent, strict=True))


def test_the_module_runs_as_a_program() -> None:
    """It prints what to export, and serves until it is interrupted."""
    root = Path(__file__).resolve().parent.parent
    command = [sys.executable, "-m", "hexr_instrument.demo.providers"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root, text=True, env=dict(os.environ)) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        match = re.fullmatch(r"export OPENAI_BASE_URL=(http://127\.0\.0\.1:\d+/v1)\n", line)
        assert match
        with urllib.request.urlopen(match[1] + "/embeddings", b'{"model":"m","input":"hi"}') as response:
            assert json.load(response)["usage"] == {"prompt_tokens": 10, "total_tokens": 10}
        process.send_signal(2)
        assert process.wait(10) == 0
