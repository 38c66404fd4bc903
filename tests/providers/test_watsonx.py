"""IBM watsonx.ai's own SDK: chats, text generation and embeddings, bare and recorded."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from providers.vendor import WORDS, VendorHandler, VendorServer, spent, tokens
from support import Done, Run, alike

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="the SDK asks https alone: a key is made here")

START = """
import asyncio, os, warnings
warnings.simplefilter("ignore")
from ibm_watsonx_ai import APIClient, Credentials
from ibm_watsonx_ai.foundation_models import Embeddings, ModelInference

api = APIClient(Credentials(url=os.environ["WATSONX_TEST_URL"], token="k", version="5.2"), project_id="p", verify=False)
M = [{"role": "user", "content": "Do cats purr?"}]
WAIT = dict(max_retries=1, delay_time=0.01)


def model(name):
    return ModelInference(model_id=name, api_client=api, project_id="p", params={"temperature": 0.5}, validate=False, **WAIT)


granite = model("ibm/granite-3-8b-instruct")
"""
PROGRAM = (
    START
    + """
def shown(name, make):
    try:
        print(name, make())
    except Exception as error:
        print(name, type(error).__mro__, str(error).partition("Request ID")[0])


def said(stream):
    print(type(stream).__name__)
    return [chunk["choices"][0]["delta"].get("content") for chunk in stream if chunk["choices"]]


shown("chat", lambda: granite.chat(M, {"max_tokens": 99}))
shown("stream", lambda: said(granite.chat_stream(messages=M)))
shown("error", lambda: model("error-404").chat(M))
shown("stream error", lambda: said(model("error-404").chat_stream(M)))
shown("cut", lambda: said(model("cut").chat_stream(M)))
half = granite.chat_stream(messages=M)
print(next(half)["choices"][0]["delta"]["content"])
half.close()
shown("text", lambda: granite.generate_text("Do cats purr?"))
shown("texts", lambda: granite.generate_text(["Do cats purr?", "Do dogs?"], concurrency_limit=1))
shown("text error", lambda: model("error-404").generate("Do cats purr?"))
embeddings = Embeddings(model_id="ibm/slate-125m", api_client=api, project_id="p")
shown("embed", lambda: embeddings.embed_documents(["Do cats purr?", "Yes."]))


async def main():
    print((await granite.achat(messages=M))["choices"][0]["message"]["content"])
    stream = await granite.achat_stream(messages=M)
    print([chunk["choices"][0]["delta"].get("content") async for chunk in stream if chunk["choices"]])
    print((await granite.agenerate("Do cats purr?"))["results"][0]["generated_text"])


asyncio.run(main())
"""
)
HANDLES = (
    START
    + """
from hexr import hexr_llm

writer = hexr_llm(granite, role="writer")
assert type(writer) is ModelInference
writer.chat(M)
granite.chat(M)
"""
)


class WatsonxHandler(VendorHandler):
    """Cloud Pak for Data's watsonx.ai, as its API reference has the answers."""

    reason = "errors"

    def do_GET(self) -> None:
        """What the SDK asks before anything else."""
        project = {"storage": {"type": "local_git_storage"}, "name": "p"}
        self.whole({"resources": [], "version": "5.2.0", "entity": project, "metadata": {"guid": "p"}})

    def answer(self, path: str, body: dict[str, Any], model: str) -> None:
        """Chats, text and embeddings."""
        model = str(body.get("model_id"))
        if model.startswith("error-"):
            self.whole({"errors": [{"code": "model_not_supported", "message": "no"}], "status_code": 404}, 404)
            return
        if path.endswith("/embeddings"):
            vectors = [{"embedding": [0.5, 0.25]} for _ in body["inputs"]]
            self.whole({"model_id": model, "results": vectors, "input_token_count": tokens(*body["inputs"])})
            return
        if path.endswith("/generation"):
            counts = {"input_token_count": tokens(body["input"]), "generated_token_count": tokens(*WORDS)}
            result = {"generated_text": "".join(WORDS), "stop_reason": "eos_token", **counts}
            self.whole({"model_id": model, "results": [result]})
            return
        usage = {"prompt_tokens": tokens(body["messages"][0]["content"]), "completion_tokens": tokens(*WORDS)}
        usage["total_tokens"] = sum(usage.values())
        same = {"id": f"chat-{self.number}", "model_id": model, "model": model, "created": 1}
        if not path.endswith("_stream"):
            message = {"role": "assistant", "content": "".join(WORDS)}
            self.whole({**same, "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage})
            return
        events: list[Any] = [
            {**same, "choices": [{"index": 0, "delta": {"content": word}, "finish_reason": reason}]}
            for word, reason in zip(WORDS, ("", "", "stop"), strict=True)
        ]
        self.events([*events, {**same, "choices": [], "usage": usage}], done=False, cut=model == "cut")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[VendorServer]:
    """A loopback watsonx.ai behind TLS, with a key of its own."""
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1"]
    subprocess.run([*made, "-keyout", "key.pem", "-out", "cert.pem"], cwd=tmp_path, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with VendorServer(WatsonxHandler, tls=context) as server:
        yield server


@pytest.fixture
def ask(run: Run, server: VendorServer) -> Callable[..., Done]:
    """Runs a program against it."""
    return lambda source, **more: run(source, WATSONX_TEST_URL=server.url, **more)


@pytest.mark.surface("ibm-watsonx-ai", "chat", "sync", "async")
@pytest.mark.surface("ibm-watsonx-ai", "chat stream", "sync", "async")
@pytest.mark.surface("ibm-watsonx-ai", "generate", "sync", "async")
@pytest.mark.surface("ibm-watsonx-ai", "embeddings", "sync")
def test_every_way_to_ask_watsonx_is_recorded_and_unchanged(ask: Run, server: VendorServer) -> None:
    """Chats, streams, texts, embeddings, errors: seen as bare, one record each; the table has no price for these."""
    done = alike(ask, server, PROGRAM, server.clear)
    granite = "ibm/granite-3-8b-instruct"
    assert spent(done.calls) == [
        ("chat", granite, 30, 40, "unpriced"),
        ("chat", granite, 30, 40, "unpriced"),
        ("chat", "error-404", None, None, "no_usage"),
        ("chat", "error-404", None, None, "no_usage"),
        ("chat", "cut", None, None, "no_usage"),
        ("chat", granite, None, None, "partial"),
        ("text_completion", granite, 30, 40, "unpriced"),
        ("text_completion", granite, 30, 40, "unpriced"),
        ("text_completion", granite, 20, 40, "unpriced"),
        ("text_completion", "error-404", None, None, "no_usage"),
        ("embeddings", "ibm/slate-125m", 40, None, "unpriced"),
        ("chat", granite, 30, 40, "unpriced"),
        ("chat", granite, 30, 40, "unpriced"),
        ("text_completion", granite, 30, 40, "unpriced"),
    ]
    first = done.calls[0]
    assert (first["provider"], first["params"]) == ("ibm.watsonx.ai", {"temperature": 0.5, "max_tokens": 99})
    assert done.calls[9]["error"] == "model_not_supported"


def test_a_registered_model_carries_its_role(ask: Run) -> None:
    """Its calls have the role, those of the one that it was made from have none."""
    done = ask(HANDLES)
    assert done.returncode == 0, done.err
    assert [call.get("role") for call in done.calls] == ["writer", None]
