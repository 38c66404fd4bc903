"""Voyage's own SDK: embeddings and rerankings, bare and recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from providers.vendor import VendorServer, spent
from providers.voyage_ai21_server import VoyageHandler
from support import Done, Run, alike

PROGRAM = """
import asyncio, os
import voyageai

U = os.environ["VOYAGE_TEST_URL"]


def shown(name, make):
    try:
        made = make()
        print(name, type(made).__name__, vars(made))
    except Exception as error:
        print(name, type(error).__mro__, error)


client = voyageai.Client("k", base_url=U)
shown("embed", lambda: client.embed(["two words"], "voyage-4", output_dimension=256))
shown("rerank", lambda: client.rerank("cats", ["they purr"], "rerank-2.5"))
shown("context", lambda: client.contextualized_embed([["two words", "three more words"]], model="voyage-context-3", input_type="document"))
shown("multimodal", lambda: client.multimodal_embed([["two words"]], model="voyage-multimodal-3"))
picture = {"content": [{"type": "text", "text": "two words"}, {"type": "image_url", "image_url": "https://example.com/cat.png"}]}
shown("picture", lambda: client.multimodal_embed([picture], model="voyage-multimodal-3"))
shown("error", lambda: client.embed(["two words"], model="error-429"))


async def main():
    client = voyageai.AsyncClient("k", base_url=U)
    print(vars(await client.embed(["two words"], model="voyage-4")))
    print((await client.rerank("cats", ["they purr"], model="rerank-2.5")).total_tokens)


asyncio.run(main())
"""
HANDLES = """
import os
import voyageai
from hexr import hexr_llm

client = voyageai.Client("k", base_url=os.environ["VOYAGE_TEST_URL"])
seeker = hexr_llm(client, role="seeker")
assert type(seeker) is voyageai.Client
seeker.embed(["two words"], model="voyage-4")
client.embed(["two words"], model="voyage-4")
"""


@pytest.fixture
def voyage() -> Iterator[VendorServer]:
    """A loopback Voyage."""
    with VendorServer(VoyageHandler) as server:
        yield server


@pytest.fixture
def ask(run: Run, voyage: VendorServer) -> Callable[..., Done]:
    """Runs a program against it."""
    return lambda source, **more: run(source, VOYAGE_TEST_URL=voyage.url, **more)


@pytest.mark.surface("voyageai", "embed", "sync", "async")
@pytest.mark.surface("voyageai", "contextualized embed")
@pytest.mark.surface("voyageai", "multimodal embed")
@pytest.mark.surface("voyageai", "rerank", "sync", "async")
def test_every_way_to_ask_voyage_is_recorded_and_unchanged(ask: Run, voyage: VendorServer) -> None:
    """Sync and async, texts, contexts, pictures, rerankings, an error: seen as bare, one record each."""
    done = alike(ask, voyage, PROGRAM, voyage.clear)
    embed = ("embeddings", "voyage-4", 20, None, "priced")
    rerank = ("rerank", "rerank-2.5", 30, None, "unpriced")
    assert spent(done.calls) == [
        embed,
        rerank,
        ("embeddings", "voyage-context-3", 50, None, "priced"),
        ("embeddings", "voyage-multimodal-3", 20, None, "unpriced"),
        ("embeddings", "voyage-multimodal-3", 20, None, "unpriced"),
        ("embeddings", "error-429", None, None, "no_usage"),
        embed,
        rerank,
    ]
    first = done.calls[0]
    assert (first["provider"], first["cost"], first["params"]) == ("voyage_ai", 20 * 60_000, {"dimension_count": 256})
    assert done.calls[5]["error"] == "voyageai.error.RateLimitError"


def test_a_registered_client_carries_its_role(ask: Run) -> None:
    """Its calls have the role, those of the client that it was made from have none."""
    done = ask(HANDLES)
    assert done.returncode == 0, done.err
    assert [call.get("role") for call in done.calls] == ["seeker", None]
