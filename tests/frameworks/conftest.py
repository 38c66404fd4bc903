"""The frameworks' own tests: each file needs its framework, and is not looked at where that is not installed."""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Callable

import pytest
from support import Done, Run

from hexr_instrument.demo.providers import ProviderServer

NEEDS = {
    "test_adk.py": "google.adk",
    "test_ag2.py": "ag2",
    "test_ag2_conversable.py": "autogen",
    "test_autogen.py": "autogen_agentchat",
    "test_claude_agent_sdk.py": "claude_agent_sdk",
    "test_crewai.py": "crewai",
    "test_langgraph.py": "langgraph",
    "test_llamaindex.py": "llama_index",
    "test_openai_agents.py": "agents",
    "test_pydantic_ai.py": "pydantic_ai",
    "test_smolagents.py": "smolagents",
}
"""File of tests -> the module without which it is left out: `make frameworks` has an environment for each."""


def _installed(module: str) -> bool:
    package, _, rest = module.partition(".")
    return importlib.util.find_spec(package) is not None and (not rest or importlib.util.find_spec(module) is not None)


collect_ignore = [file for file, module in NEEDS.items() if not _installed(module)]

Spent = Counter[tuple[str | None, str]]
"""(role, requested model) -> number of calls."""


@pytest.fixture
def spent(run: Run, providers: ProviderServer) -> Callable[..., Spent]:
    """Runs a program bare and recorded; what it prints and asks must be the same, and each billed answer one record.

    `spent(source, script, **environment)` is who asked which model how often; `script` tells the server what to answer.
    """

    def compare(
        source: str,
        script: Callable[[], None] = lambda: None,
        *,
        options: tuple[str, ...] = (),
        timeout: float = 150,
        **variables: str,
    ) -> Spent:
        script()
        bare = run(source, bare=True, timeout=timeout, HEXR_DISABLED="1", **variables)
        assert bare.returncode == 0, bare.err
        asked = Counter((each.method, each.path) for each in providers.requests)
        billed = Counter((each.requested, str(each.usage)) for each in providers.sent)
        providers.clear()
        script()
        done = run(source, options=options, timeout=timeout, **variables)
        assert (done.returncode, done.out) == (0, bare.out), done.err
        assert Counter((each.method, each.path) for each in providers.requests) == asked
        assert Counter((each.requested, str(each.usage)) for each in providers.sent) == billed
        return told(done, providers)

    return compare


def told(done: Done, providers: ProviderServer) -> Spent:
    """Who asked which model how often; each billed answer is one record."""
    calls = done.calls
    assert Counter(each["model"] for each in calls) == Counter(each.requested for each in providers.sent)
    # A stream whose usage nobody asked for has none.
    assert sum(each["cost_status"] == "priced" for each in calls) == sum(bool(each.usage) for each in providers.sent)
    return Counter((each.get("role"), each["model"]) for each in calls)
