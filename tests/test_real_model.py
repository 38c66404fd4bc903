"""A real model behind llama.cpp's server, asked by the official SDKs: our tokens are the server's own counts.

`make real-model` builds or finds both and runs this; without them (`LLAMA_SERVER`, `LLAMA_MODEL`) there is nothing to run.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support import Done, Run

SERVER, MODEL = os.environ.get("LLAMA_SERVER", ""), os.environ.get("LLAMA_MODEL", "")
pytestmark = [
    pytest.mark.skipif(not (SERVER and MODEL), reason="no real model here: make real-model"),
    pytest.mark.timeout(600),
]

CHATS = """
import asyncio
import anthropic, openai
from hexr import hexr_role

M = [{"role": "user", "content": "Name three animals that purr."}]
Q = {"model": "gpt-4o-mini", "messages": M, "temperature": 0, "seed": 7}
o, a = openai.OpenAI(), anthropic.Anthropic()
C = {"model": "gpt-4o-mini", "messages": M, "max_tokens": 16}


async def main():
    answer = await openai.AsyncOpenAI().chat.completions.create(**Q, max_tokens=8)
    print("achat", answer.usage.prompt_tokens, answer.usage.completion_tokens)
    async with anthropic.AsyncAnthropic().messages.stream(**C) as stream:
        usage = (await stream.get_final_message()).usage
    print("amessages", usage.input_tokens + (usage.cache_read_input_tokens or 0), usage.output_tokens)


with hexr_role("openai"):
    answer = o.chat.completions.create(**Q, max_tokens=12)
    print("chat", answer.usage.prompt_tokens, answer.usage.completion_tokens)
    asked = o.chat.completions.create(**Q, max_tokens=10, stream=True, stream_options={"include_usage": True})
    *_, last = asked
    print("stream", last.usage.prompt_tokens, last.usage.completion_tokens)
    unasked = list(o.chat.completions.create(**Q, max_tokens=9, stream=True))
    assert all(chunk.choices and chunk.usage is None for chunk in unasked)
    two = o.chat.completions.create(model="gpt-4o-mini", max_tokens=6, messages=[
        *M, {"role": "assistant", "content": answer.choices[0].message.content}, {"role": "user", "content": "More."}])
    print("turn", two.usage.prompt_tokens, two.usage.completion_tokens)
    said = o.responses.create(model="gpt-4o-mini", input="Name a cat.", max_output_tokens=7)
    print("responses", said.usage.input_tokens, said.usage.output_tokens)
    raw = o.chat.completions.with_raw_response.create(**Q, max_tokens=5)
    print("raw", raw.parse().usage.prompt_tokens, raw.parse().usage.completion_tokens)
with hexr_role("anthropic"):
    usage = a.messages.create(**C).usage
    print("messages", usage.input_tokens + (usage.cache_read_input_tokens or 0), usage.output_tokens)
    list(a.messages.create(**C, stream=True))
    print("count", a.messages.count_tokens(model="gpt-4o-mini", messages=M).input_tokens > 0)
asyncio.run(main())
try:
    o.chat.completions.create(model="gpt-4o-mini", messages="nonsense")
except openai.APIStatusError as error:
    print("error", error.status_code)
"""

EMBEDDINGS = """
import openai
client = openai.OpenAI()
one = client.embeddings.create(model="text-embedding-3-small", input="Cats purr.")
two = client.embeddings.create(model="text-embedding-3-small", input=["Cats purr.", "Dogs bark at cats."])
print(one.usage.prompt_tokens, two.usage.prompt_tokens, len(two.data), len(one.data[0].embedding))
"""


@contextmanager
def _server(log: Path, *options: str) -> Iterator[str]:
    """llama.cpp's server with the model loaded; its root URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [SERVER, "-m", MODEL, "--host", "127.0.0.1", "--port", str(port), "-c", "4096", "-t", "2", "--metrics"]
    with log.open("w") as file:
        server = subprocess.Popen([*command, *options], stdout=file, stderr=file)
    try:
        root = f"http://127.0.0.1:{port}"
        for _ in range(600):
            try:
                if b"ok" in _get(root + "/health"):
                    break
            except OSError:
                assert server.poll() is None, log.read_text()[-2000:]
            time.sleep(0.2)  # until it has read the model
        yield root
    finally:
        server.terminate()
        server.wait(20)


def _get(url: str) -> bytes:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=5) as answer:
        return answer.read()


def _counts(root: str) -> tuple[int, int]:
    """Tokens of prompts that the server has worked through (cached ones are not), and tokens that it has made."""
    text = _get(root + "/metrics").decode()
    asked, made = (
        float(re.search(rf"^llamacpp:{name} (\S+)$", text, re.MULTILINE)[1])  # type: ignore[index]
        for name in ("prompt_tokens_total", "tokens_predicted_total")
    )
    return int(asked), int(made)


def _sums(calls: list[dict[str, Any]]) -> tuple[int, int]:
    """The same two, as recorded."""
    used = [call["usage"] for call in calls if "usage" in call]
    return (
        sum(each["input"] - each.get("cache_read", 0) for each in used),
        sum(each.get("output", 0) for each in used),
    )


@pytest.fixture
def ask(run: Run) -> Callable[[str, str], Done]:
    """Runs a program with both SDKs pointed at the server."""

    def start(source: str, root: str) -> Done:
        where = {"OPENAI_BASE_URL": root + "/v1", "ANTHROPIC_BASE_URL": root, "HEXR_STREAM_USAGE": "always"}
        return run(source, timeout=500, **where)

    return start


def test_the_tokens_of_a_real_model_are_the_servers_own(ask: Callable[[str, str], Done], tmp_path: Path) -> None:
    """Chat, responses and messages, whole, streamed, raw and async: ten answers, the server's counts to the token."""
    with _server(tmp_path / "log", "--parallel", "2", "--alias", "gpt-4o-mini") as root:
        assert _counts(root) == (0, 0)
        done = ask(CHATS, root)
        counted = _counts(root)
    assert done.returncode == 0, done.err
    answered = [call for call in done.calls if "error" not in call]
    assert _sums(answered) == counted
    print(done.out, f"recorded {_sums(answered)}, the server's own counts {counted}", sep="\n")
    said = [tuple(line.split()[1:]) for line in done.out.splitlines() if line.split()[0] not in ("count", "error")]
    recorded = [(str(call["usage"]["input"]), str(call["usage"]["output"])) for call in answered]
    # Two of ten answers are streams of which the program itself was not told any usage.
    assert len(recorded) == 10
    assert set(said) <= set(recorded)
    assert [call.get("status") for call in done.calls if "error" in call] in ([400], [500])
    assert {call["served"] for call in answered} == {"gpt-4o-mini"}
    assert any(call["usage"].get("cache_read") for call in answered), "the second question begins like the first"
    assert all(call["cost"] > 0 for call in answered if call.get("role") == "openai")


def test_the_tokens_of_real_embeddings_are_the_servers_own(ask: Callable[[str, str], Done], tmp_path: Path) -> None:
    """Embeddings of one text and of two: the usage that the server states, which is what it worked through."""
    alias = ("--alias", "text-embedding-3-small")
    with _server(tmp_path / "log", "--embeddings", "--pooling", "mean", *alias) as root:
        done = ask(EMBEDDINGS, root)
        counted = _counts(root)
    assert done.returncode == 0, done.err
    one, two, number, _size = (int(each) for each in done.out.split())
    print(done.out, f"recorded {_sums(done.calls)}, the server's own counts {counted}", sep="\n")
    assert number == 2
    assert [call["usage"] for call in done.calls] == [{"input": one}, {"input": two}]
    assert counted[0] in (0, one + two)  # some versions of the server do not count the prompts of embeddings
    assert all(call["cost"] > 0 for call in done.calls)
