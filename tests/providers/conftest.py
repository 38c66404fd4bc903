"""Further providers' SDKs: each file of tests needs its SDK, and is not looked at where that is not installed."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator

import pytest
from semconv import noted

NEEDS: dict[str, str] = {
    "test_aisuite.py": "aisuite",
    "test_any_llm.py": "any_llm",
    "test_aiobotocore.py": "aiobotocore",
    "test_bedrock.py": "boto3",
    "test_cohere.py": "cohere",
    "test_mistral.py": "mistralai",
    "test_ollama.py": "ollama",
    "test_huggingface.py": "huggingface_hub",
    "test_litellm.py": "litellm",
    "test_vertex.py": "vertexai",
    "test_ai21.py": "ai21",
    "test_voyage.py": "voyageai",
    "test_replicate.py": "replicate",
    "test_watsonx.py": "ibm_watsonx_ai",
    "test_xai.py": "xai_sdk",
    "test_azure_inference.py": "azure.ai.inference",
}
"""File of tests -> the module without which it is left out: `make providers` has an environment for each."""


def _installed(module: str) -> bool:
    package = module.rpartition(".")[0]
    return (not package or _installed(package)) and importlib.util.find_spec(module) is not None


collect_ignore = [file for file, module in NEEDS.items() if not _installed(module)]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The surfaces that a test is marked with are in the report: `scripts/environments.py` reads them there."""
    for item in items:
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        way = next((each for each in parameters.values() if each in ("sync", "async")), "sync")
        for mark in item.iter_markers("surface"):
            sdk, name, *ways = mark.args
            item.user_properties.append(("surface", json.dumps({"sdk": sdk, "name": name, "ways": ways or [way]})))


@pytest.fixture(autouse=True)
def recorded(request: pytest.FixtureRequest, conventions: None) -> Iterator[None]:
    """So is what it has recorded: who served, which tokens were counted, and by what the calls have a price."""
    yield
    calls = [each for each in noted.records if each["kind"] == "call"]
    facts = {
        "providers": sorted({each["provider"] for each in calls}),
        "tokens": sorted(
            {
                name
                for each in calls
                for name, count in (each.get("usage") or {}).items()
                if count and name != "stated_total"
            }
        ),
        "cost": sorted({each.get("cost_source") or each["cost_status"] for each in calls if each.get("usage")}),
    }
    request.node.user_properties.append(("recorded", json.dumps(facts)))
