"""The direct call: `hexr_llm(provider=...)` with each provider's own SDK."""

from __future__ import annotations

import pytest
from support import ROOT, Run

from hexr_instrument.demo.providers import ProviderServer

EXAMPLES = ROOT / "examples"
SHOW = """
from hexr import hexr_llm, HexrError
"""


@pytest.mark.parametrize("bare", [False, True], ids=["launcher", "plain-python"])
@pytest.mark.parametrize(("program", "providers_used"), [("my_agent", 1), ("provider_comparison", 3)])
def test_the_documented_programs_run_verbatim(run: Run, program: str, providers_used: int, bare: bool) -> None:
    """The two documented programs, under the command and as plain python: one priced call per provider, their agent."""
    done = run((EXAMPLES / f"{program}.py").read_text(), bare=bare)
    assert (done.returncode, done.err) == (0, "")
    assert len(done.calls) == providers_used
    for call in done.calls:
        assert (call["agent"], call["tenant"]) == (program.replace("_", "-"), "acme-corp")
        assert call["cost_status"] == "priced"


MODELS = {"openai": "gpt-4o", "anthropic": "claude-opus-4-1", "google": "gemini-2.5-flash"}


@pytest.mark.parametrize("provider", MODELS)
def test_one_call_gives_text_usage_and_cost(run: Run, provider: str) -> None:
    """Sync and async, whole and streamed: the answer agrees with the record, and the role is on it."""
    source = f"""
import asyncio
from hexr import hexr_llm
ask = dict(provider={provider!r}, model={MODELS[provider]!r}, system="Be brief.", role="tester")
whole = hexr_llm(prompt="hi", **ask)
pieces = hexr_llm(messages=[{{"role": "user", "content": "hi"}}], stream=True, **ask)
texts = list(pieces)
async def main():
    one = await hexr_llm.aio(prompt="hi", **ask)
    stream = await hexr_llm.aio(prompt="hi", stream=True, **ask)
    return one, [piece async for piece in stream], stream.response
one, more, last = asyncio.run(main())
assert len(texts) > 1 and len(more) > 1
for text, answer in ((str(whole), whole), ("".join(texts), pieces.response), (one.text, one), ("".join(more), last)):
    assert text == answer.text and text
    print(answer.provider, answer.model, answer.usage.input, answer.usage.output, repr(answer.cost_usd))
"""
    done = run(source)
    assert (done.returncode, done.err) == (0, "")
    assert [call["role"] for call in done.calls] == ["tester"] * 4
    told = [line.split() for line in done.out.splitlines()]
    kept = [
        [
            call["provider"],
            call["served"],
            str(call["usage"]["input"]),
            str(call["usage"]["output"]),
            repr(call["cost"] / 1e12),
        ]
        for call in done.calls
    ]
    assert told == kept


def test_an_openai_compatible_endpoint_is_reached_by_its_base_url(run: Run, providers: ProviderServer) -> None:
    """base_url= needs no known provider and no key; an unknown model is unpriced, never free."""
    source = f"""
from hexr import hexr_llm
answer = hexr_llm(provider="acme", model="acme-1", prompt="hi", base_url={providers.openai!r}, temperature=0.5)
print(answer.cost_usd, answer.usage.output)
"""
    done = run(source, OPENAI_API_KEY="")
    assert (done.returncode, done.err) == (0, "")
    assert done.out.split()[0] == "None"
    (call,) = done.calls
    assert (call["cost_status"], call["params"]) == ("unpriced", {"temperature": 0.5})
    assert "cost" not in call


BAD = {
    "unknown provider": ("hexr_llm(provider='acme', model='m', prompt='p')", "unknown provider 'acme': use one of"),
    "no key": ("hexr_llm(provider='openai', model='m', prompt='p')", "set OPENAI_API_KEY"),
    "no key google": ("hexr_llm(provider='google', model='m', prompt='p')", "set GOOGLE_API_KEY"),
    "no model": ("hexr_llm(provider='openai', prompt='p')", "give a client to register, or provider= and model="),
    "no prompt": ("hexr_llm(provider='openai', model='m')", "give prompt= or messages="),
    "both": ("hexr_llm(provider='openai', model='m', prompt='p', messages=[])", "give prompt= or messages="),
    "no client": ("hexr_llm(object())", "builtins.object is no client that hexr_llm knows"),
    "missing SDK": (
        "sys.modules.update({'anthropic': None}) or hexr_llm(provider='anthropic', model='m', prompt='p')",
        "pip install anthropic",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_done_is_one_clear_error(run: Run, case: str) -> None:
    """A missing SDK, key, model or prompt and an unknown provider or client: HexrError names it and the mend."""
    call, said = BAD[case]
    source = f"import sys\nfrom hexr import hexr_llm, HexrError\ntry:\n    {call}\nexcept HexrError as error:\n    print(error)"
    done = run(source, OPENAI_API_KEY="", GEMINI_API_KEY="", GOOGLE_API_KEY="")
    assert (done.returncode, done.err) == (0, "")
    (line,) = done.out.splitlines()
    assert said in line


def test_a_providers_error_is_the_sdks_own(run: Run) -> None:
    """What the provider refuses raises the SDK's exception, and the failed call is kept without its message."""
    source = """
import openai
from hexr import hexr_llm
try:
    hexr_llm(provider="openai", model="error-401", prompt="p")
except openai.AuthenticationError as error:
    print(error.status_code)
"""
    done = run(source)
    assert done.out == "401\n"
    (call,) = done.calls
    assert (call["error"], call["status"]) == ("openai.AuthenticationError", 401)
    assert "message" not in str(call)


def test_switched_off_the_direct_call_still_answers(run: Run) -> None:
    """With HEXR_DISABLED it returns text, usage and cost, and records nothing."""
    source = (
        "from hexr import hexr_llm\na = hexr_llm(provider='openai', model='gpt-4o', prompt='p')\nprint(a.cost_usd > 0)"
    )
    done = run(source, HEXR_DISABLED="1")
    assert (done.out, done.err) == ("True\n", "")
    assert not done.store.exists()
