"""Runs what needs an environment of its own: agent frameworks, wires, providers' SDKs, as these pin against each other.

`python scripts/environments.py [--small] [NAME ...]`: all rows, or CI's, or those named; a group's name is all of its
rows. What a provider's rows prove is written to `docs/providers.json` (not with `--small`), from which
`scripts/surfaces.py` makes the tables of SDKs. An environment is made once, under `.venv-rows/`, and made anew when
its row changes.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from venvs import ROOT, TEST_TOOLS, environment

HOME = ROOT / ".venv-rows"

Rows = dict[str, tuple[str, tuple[str, ...]]]
"""Name -> its file of tests, and what is installed beside this project; the first is the one whose version is shown."""

FRAMEWORKS: Rows = {
    "openai-agents": ("test_openai_agents.py", ("openai-agents",)),
    "openai-agents-0.2": ("test_openai_agents.py", ("openai-agents==0.2.11", "openai<2")),
    "pydantic-ai-1": ("test_pydantic_ai.py", ("pydantic-ai-slim[anthropic,google,openai]<2",)),
    "pydantic-ai": ("test_pydantic_ai.py", ("pydantic-ai-slim[anthropic,google,openai]",)),
    "smolagents": ("test_smolagents.py", ("smolagents[openai]",)),
    "langgraph": ("test_langgraph.py", ("langgraph", "langchain", "langchain-anthropic", "langchain-openai")),
    "llamaindex": ("test_llamaindex.py", ("llama-index-core", "llama-index-llms-openai")),
    "autogen": ("test_autogen.py", ("autogen-agentchat", "autogen-ext[openai]")),
    "autogen-0.4": ("test_autogen.py", ("autogen-agentchat==0.4.9.3", "autogen-ext[openai]==0.4.9.3", "openai<2")),
    "ag2": ("test_ag2.py", ("ag2[openai]",)),
    "ag2-0": ("test_ag2_conversable.py", ("ag2[openai]<1", "openai<2")),
    "adk": ("test_adk.py", ("google-adk",)),
    # Its wheel carries Claude Code itself, nearly 400 MB; the tests bring a program of their own.
    "claude-agent-sdk": ("test_claude_agent_sdk.py", ("claude-agent-sdk", "--no-binary=claude-agent-sdk")),
    "crewai": ("test_crewai.py", ("crewai[anthropic]",)),
}
WIRES: Rows = {
    "a2a": (
        "test_a2a.py",
        ("a2a-sdk[grpc,http-server]==1.*", "openai", "uvicorn"),
    ),
    "a2a-0.3": ("test_a2a_03.py", ("a2a-sdk[http-server]==0.3.*", "fastapi", "openai", "uvicorn")),
    "mcp": ("test_mcp.py", ("mcp==2.*", "openai", "uvicorn")),
    "mcp-1": ("test_mcp.py", ("mcp==1.*", "openai", "uvicorn")),
    "http": (
        "test_http.py",
        (
            "opentelemetry-instrumentation-fastapi",
            "opentelemetry-instrumentation-flask",
            "opentelemetry-instrumentation-httpx",
            "opentelemetry-instrumentation-requests",
            "fastapi",
            "flask",
            "httpx",
            "openai",
            "requests",
            "uvicorn",
        ),
    ),
}
PROVIDERS: Rows = {
    "ollama": ("test_ollama.py", ("ollama",)),
    "ollama-0.4": ("test_ollama.py", ("ollama==0.4.0",)),
    "boto3": ("test_bedrock.py", ("boto3",)),
    "boto3-1.35": ("test_bedrock.py", ("boto3==1.35.0",)),
    "any-llm": ("test_any_llm.py", ("any-llm-sdk[anthropic,openai]",)),
    "aisuite": ("test_aisuite.py", ("aisuite[anthropic,openai]",)),
    "aiobotocore": ("test_aiobotocore.py", ("aiobotocore", "langchain-aws")),
    "aiobotocore-2": ("test_aiobotocore.py", ("aiobotocore==2.*",)),
    "ai21": ("test_ai21.py", ("ai21",)),
    "huggingface": ("test_huggingface.py", ("huggingface_hub", "numpy")),
    "huggingface-1": ("test_huggingface.py", ("huggingface_hub==1.*", "numpy")),
    "huggingface-0": ("test_huggingface.py", ("huggingface_hub[inference]==0.*", "numpy")),
    "cohere": ("test_cohere.py", ("cohere",)),
    "cohere-5": ("test_cohere.py", ("cohere==5.*",)),
    "litellm": ("test_litellm.py", ("litellm", "mcp", "tenacity")),  # its responses need mcp, its retries tenacity
    "vertex": ("test_vertex.py", ("google-cloud-aiplatform",)),
    "mistral": ("test_mistral.py", ("mistralai",)),
    "mistral-2": ("test_mistral.py", ("mistralai==2.*",)),
    "mistral-1": ("test_mistral.py", ("mistralai==1.*",)),
    "groq": ("test_openai_shaped.py", ("groq",)),
    "groq-0": ("test_openai_shaped.py", ("groq<1",)),
    "together": ("test_openai_shaped.py", ("together",)),
    "together-2": ("test_openai_shaped.py", ("together==2.*",)),
    "cerebras": ("test_openai_shaped.py", ("cerebras-cloud-sdk",)),
    "cerebras-1.0": ("test_openai_shaped.py", ("cerebras-cloud-sdk==1.0.*", "httpx<0.28")),
    "fireworks": ("test_openai_shaped.py", ("fireworks-ai",)),
    "fireworks-1.2.0": ("test_openai_shaped.py", ("fireworks-ai==1.2.0",)),
    "replicate": ("test_replicate.py", ("replicate", "setuptools")),
    "replicate-0": ("test_replicate.py", ("replicate==0.*", "setuptools")),
    "voyage": ("test_voyage.py", ("voyageai",)),
    "watsonx": ("test_watsonx.py", ("ibm-watsonx-ai",)),
    "watsonx-1.3": ("test_watsonx.py", ("ibm-watsonx-ai==1.3.*",)),
    "xai": ("test_xai.py", ("xai-sdk",)),
    "azure-inference": (
        "test_azure_inference.py",
        ("azure-ai-inference", "aiohttp", "azure-core-tracing-opentelemetry"),
    ),
    "xai-1.4": ("test_xai.py", ("xai-sdk==1.4.0",)),
}
OUTCOME = ROOT / "docs" / "providers.json"
GROUPS = {"frameworks": FRAMEWORKS, "wires": WIRES, "providers": PROVIDERS}
"""A group's files of tests are in the folder of its name in `tests/`."""
ROWS = {
    name: (f"tests/{group}/{file}", needs) for group, rows in GROUPS.items() for name, (file, needs) in rows.items()
}
SMALL = ("openai-agents", "smolagents", "ollama", "mistral", "groq")
"""CI's: the lightest."""


def run(name: str, *, noted: bool) -> bool:
    """One row: says what was installed and whether its tests passed."""
    started = time.monotonic()
    file, installed = ROWS[name]
    python = environment(HOME / name, sys.executable, [*TEST_TOOLS, *installed])
    package = re.split(r"[\[<>=~]", installed[0])[0]
    version = version_of(python, package)
    report = HOME / f"{name}.xml"
    report.unlink(missing_ok=True)
    flags = ["-q", "-p", "no:cacheprovider", "-n", "2", f"--junitxml={report}", file]
    done = subprocess.run([python, "-m", "pytest", *flags], check=False, cwd=ROOT, capture_output=True, text=True)
    last = done.stdout.strip().rpartition("\n")[2]
    print(f"{package:18} {version:10} {last}  (with its environment {time.monotonic() - started:.0f} s)", flush=True)
    if done.returncode:
        print(done.stdout, done.stderr, flush=True)
    if noted and name in PROVIDERS and report.exists():
        note(name, python, report)
    return done.returncode == 0


def version_of(python: Path, package: str) -> str:
    """The version of a distribution that an environment has."""
    listed = f"import importlib.metadata as m; print(m.version({package!r}))"
    return subprocess.check_output([python, "-c", listed], text=True).strip()


def note(name: str, python: Path, report: Path) -> None:
    """Writes what a provider's row proved in the place of its last outcome, from the properties of its tests.

    `tests/providers/conftest.py` gives each test that is marked with surfaces a property for each, and one for what it has recorded.
    """
    asked = "import platform; print('.'.join(platform.python_version_tuple()[:2]))"
    row: dict[str, Any] = {"name": name, "passed": 0, "failed": [], "sdks": {}}
    row["python"] = subprocess.check_output([python, "-c", asked], text=True).strip()
    for case in ET.parse(report).iter("testcase"):  # noqa: S314  (our own file)
        failed = case.find("failure") is not None or case.find("error") is not None
        lacking = case.find("skipped") is not None
        if failed:
            row["failed"].append(f"{str(case.get('classname')).rpartition('.')[2]}::{case.get('name')}")
        row["passed"] += not failed and not lacking
        told = [(each.get("name"), json.loads(str(each.get("value")))) for each in case.iter("property")]
        facts = {} if lacking else next((value for kind, value in told if kind == "recorded"), {})
        for surface in (value for kind, value in told if kind == "surface" and not failed):
            _add(row["sdks"], surface, facts, lacking=lacking)
    # A file of tests may have rows for several SDKs, of which each leaves out what is not installed.
    for sdk in [each for each, found in row["sdks"].items() if not any(found["surfaces"].values())]:
        del row["sdks"][sdk]
    for sdk, found in row["sdks"].items():
        found["version"] = version_of(python, sdk)
    before = json.loads(OUTCOME.read_text()) if OUTCOME.exists() else []
    kept = {each["name"]: each for each in [*before, row]}
    OUTCOME.write_text(json.dumps([kept[each] for each in PROVIDERS if each in kept], indent=1, sort_keys=True) + "\n")


def _add(sdks: dict[str, Any], surface: dict[str, Any], facts: dict[str, Any], *, lacking: bool) -> None:
    """One test's proof of a surface, joined with those of the same SDK; sets are sorted lists."""
    sdk = sdks.setdefault(surface["sdk"], {"surfaces": {}, "providers": [], "tokens": [], "cost": []})
    ways = sdk["surfaces"].setdefault(surface["name"], [])
    ways[:] = sorted({*ways, *(() if lacking else surface["ways"])}, reverse=True)
    for name, values in facts.items():
        sdk[name] = sorted({*sdk[name], *values})


def main() -> int:
    """Runs the rows; 1 if a test failed in one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"rows to run: {', '.join((*GROUPS, *ROWS))}")
    parser.add_argument("--small", action="store_true", help="CI's part")
    args = parser.parse_args()
    HOME.mkdir(exist_ok=True)
    if unknown := [name for name in args.names if name not in {*GROUPS, *ROWS}]:
        parser.error(f"no such row: {', '.join(unknown)}")
    names = [row for name in args.names for row in GROUPS.get(name, (name,))]
    passed = [run(name, noted=not args.small) for name in names or (SMALL if args.small else ROWS)]
    return int(not all(passed))


if __name__ == "__main__":
    sys.exit(main())
