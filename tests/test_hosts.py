"""Hosts that speak OpenAI's language: who serves, what the price goes by, and what each states beside the usage.

The openai SDK is given each host's own base URL; a proxy on the loopback interface answers in its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from support import Done, Run

from hexr_instrument.config import Config
from hexr_instrument.demo.providers import ProviderServer
from hexr_instrument.providers import hosts

PLAIN = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
NO_TABLE = "the price table has no such provider"
LOCAL = "a server of one's own has no price"


@dataclass
class Host:
    """One host, a usual model of it, and what a call of it costs."""

    url: str
    provider: str
    model: str
    usd: float | None
    """By the table, or as stated; None where nobody knows it."""
    source: str | None = "table"
    why: str = ""
    """Why it has no price."""
    usage: Mapping[str, Any] = field(default_factory=dict)
    """What the host states beside `PLAIN`."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """What is read of that."""


HOSTS = (
    Host("https://acme.openai.azure.com/openai/v1", "azure.ai.openai", "gpt-4o", 0.0035),
    Host("https://acme.services.ai.azure.com/openai/v1", "azure.ai.openai", "gpt-4o", 0.0035),
    Host("https://api.groq.com/openai/v1", "groq", "llama-3.3-70b-versatile", 0.000669, usage={"queue_time": 0.01}),
    Host(
        "https://api.deepseek.com", "deepseek", "deepseek-chat", None,
        usage={"prompt_cache_hit_tokens": 600, "prompt_cache_miss_tokens": 400}, counts={"cache_read": 600},
    ),
    Host(
        "https://api.x.ai/v1", "x_ai", "grok-4", 0.00123, "provider",
        usage={"cost_in_usd_ticks": 12_300_000, "num_sources_used": 0},
    ),
    Host(
        "https://openrouter.ai/api/v1", "openrouter", "openai/gpt-4o", 0.0021, "provider",
        usage={"cost": 0.0021, "is_byok": False, "cost_details": {"upstream_inference_cost": None}},
    ),
    Host("https://api.together.xyz/v1", "together_ai", "meta-llama/Llama-3.3-70B-Instruct-Turbo", 0.000968),
    Host("https://api.together.ai/v1", "together_ai", "meta-llama/Llama-3.3-70B-Instruct-Turbo", 0.000968),
    Host("https://api.fireworks.ai/inference/v1", "fireworks_ai", "accounts/fireworks/models/gpt-oss-120b", 0.00021),
    Host(
        "https://api.perplexity.ai", "perplexity", "sonar", 0.0061, "provider",
        usage={"search_context_size": "low", "cost": {"input_tokens_cost": 0.001, "output_tokens_cost": 0.0001,
               "request_cost": 0.005, "total_cost": 0.0061}},
    ),
    Host("https://api.mistral.ai/v1", "mistral_ai", "mistral-small-latest", 0.00021),
    Host("https://api.cerebras.ai/v1", "cerebras", "gpt-oss-120b", 0.000425),
    Host("https://router.huggingface.co/v1", "huggingface", "openai/gpt-oss-120b:cerebras", 0.000425),
    Host("https://router.huggingface.co/v1", "huggingface", "openai/gpt-oss-120b", None, None,
         "the router does not say who has served it"),
    Host("https://bedrock-runtime.us-east-1.amazonaws.com/openai/v1", "aws.bedrock", "openai.gpt-oss-120b-1:0", 0.00021),
    Host("https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/us-central1/endpoints/openapi",
         "gcp.vertex_ai", "google/gemini-2.5-flash", 0.00055),
    Host("https://generativelanguage.googleapis.com/v1beta/openai", "gcp.gemini", "gemini-2.5-flash", 0.00055),
    Host("https://integrate.api.nvidia.com/v1", "nvidia", "meta/llama-3.3-70b-instruct", None, None, NO_TABLE),
    Host("https://api.sambanova.ai/v1", "sambanova", "Meta-Llama-3.3-70B-Instruct", None, None, NO_TABLE,
         usage={"acceptance_rate": 4.1, "total_latency": 0.6}),
    Host("https://api.moonshot.ai/v1", "moonshot_ai", "kimi-k2.5", None, usage={"cached_tokens": 200},
         counts={"cache_read": 200}),
    Host("https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "dashscope", "qwen-plus", None, None, NO_TABLE,
         usage={"prompt_tokens_details": {"cached_tokens": 256}}, counts={"cache_read": 256}),
    Host("http://box:11434/v1", "ollama", "llama3.2", None, None, LOCAL),
    Host("http://box:1234/v1", "lm_studio", "qwen2.5-7b-instruct", None, None, LOCAL),
    Host("http://box:8000/v1", "vllm", "meta-llama/Llama-3.1-8B-Instruct", None, None, LOCAL),
    Host("http://box:8080/v1", "llama_cpp", "qwen2.5-0.5b", None, None, LOCAL),
    Host("https://llm.acme.internal/v1", "azure.ai.openai", "gpt-4o", 0.0035),
)  # fmt: skip
OWN = "box:8000=vllm, box:8080=llama_cpp, *.acme.internal=azure.ai.openai"

PROGRAM = """
import sys
from openai import OpenAI

for line in sys.stdin.read().splitlines():
    url, model = line.split()
    with OpenAI(base_url=url) as client:
        answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": "hi"}])
        print(answer.model, answer.usage.prompt_tokens)
"""


def asked(run: Run, providers: ProviderServer, wanted: tuple[Host, ...], **variables: str) -> Done:
    """The hosts' calls by one program, each answered with its own usage."""
    for host in wanted:
        providers.reply(
            usage=PLAIN | dict(host.usage), model=host.model.partition(":")[0] if "hugging" in host.url else None
        )
    lines = "\n".join(f"{host.url.replace('https', 'http')} {host.model}" for host in wanted)
    source = PROGRAM.replace("sys.stdin.read()", repr(lines))
    done = run(source, HTTP_PROXY=providers.url, http_proxy=providers.url, **variables)
    assert (done.returncode, done.err) == (0, "")
    return done


def test_a_host_is_its_provider_with_its_price(run: Run, providers: ProviderServer) -> None:
    """Each host of the table, and three that the user has named: provider, counts, cost and who says it."""
    calls = asked(run, providers, HOSTS, HEXR_HOSTS=OWN).calls
    assert [(call["provider"], call["model"]) for call in calls] == [(host.provider, host.model) for host in HOSTS]
    for host, call in zip(HOSTS, calls, strict=True):
        assert call["usage"] == {"input": 1000, "output": 100, **host.counts}, host.url
        if host.source is None:
            assert (call["cost_status"], call.get("cost")) == ("unpriced", None), (host.url, call.get("cost"))
            assert host.why
        else:
            assert (call["cost_status"], call.get("cost_source")) == ("priced", host.source), host.url
            assert host.usd is None or call["cost"] == round(host.usd * 10**12), (host.url, call["cost"])


def test_a_host_that_nobody_named_is_the_sdk_s_own(run: Run, providers: ProviderServer) -> None:
    """Without HEXR_HOSTS a gateway counts as the provider that its client is made for."""
    done = asked(run, providers, HOSTS[-1:])
    assert [call["provider"] for call in done.calls] == ["openai"]


def test_a_loopback_server_is_who_the_user_says(run: Run, providers: ProviderServer) -> None:
    """HEXR_HOSTS names a host with its port, through the launcher and with OpenAI's own client, streamed as well."""
    source = """
from openai import OpenAI
ask = dict(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
OpenAI().chat.completions.create(**ask)
list(OpenAI().chat.completions.create(stream=True, stream_options={"include_usage": True}, **ask))
"""
    done = run(source, HEXR_HOSTS=f"127.0.0.1:{providers.url.rpartition(':')[2]}=azure.ai.openai")
    assert (done.returncode, done.err) == (0, "")
    assert [(call["provider"], call["cost_status"]) for call in done.calls] == [("azure.ai.openai", "priced")] * 2


@pytest.mark.parametrize("said", ["vllm", "=vllm", "http://x=vllm", "a b=vllm", "x="])
def test_a_wrong_name_of_a_host_is_said(said: str) -> None:
    """A value that cannot be used is one line, and no host has another name."""
    config = Config.from_env({"HEXR_HOSTS": said})
    assert config.hosts == ()
    assert len(config.complaints) == 1
    assert "host=provider" in config.complaints[0]


def test_the_first_name_of_a_host_counts() -> None:
    """Names are tried in their order, with and without a port, in any case."""
    try:
        hosts.configure(Config.from_env({"HEXR_HOSTS": "GW:1=vllm,gw=groq,*.x=deepseek"}).hosts)
        found = [hosts.named(host, port) for host, port in (("gw", 1), ("Gw", 2), ("a.x", 443), ("x", 443), (None, 1))]
    finally:
        hosts.configure(())
    assert found == ["vllm", "groq", "deepseek", None, None]
