"""Runs what needs an environment of its own: agent frameworks, wires, providers' SDKs, as these pin against each other.

`python scripts/environments.py [--small] [NAME ...]`: all rows, or CI's, or those named; a group's name is all of its
rows. An environment is made once, under `.venv-rows/`, and made anew when its row changes.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time

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
    "cohere": ("test_cohere.py", ("cohere",)),
    "cohere-5": ("test_cohere.py", ("cohere==5.*",)),
    "mistral": ("test_mistral.py", ("mistralai",)),
    "mistral-2": ("test_mistral.py", ("mistralai==2.*",)),
    "mistral-1": ("test_mistral.py", ("mistralai==1.*",)),
}
GROUPS = {"frameworks": FRAMEWORKS, "wires": WIRES, "providers": PROVIDERS}
"""A group's files of tests are in the folder of its name in `tests/`."""
ROWS = {
    name: (f"tests/{group}/{file}", needs) for group, rows in GROUPS.items() for name, (file, needs) in rows.items()
}
SMALL = ("openai-agents", "smolagents")
"""CI's: the lightest."""


def run(name: str) -> bool:
    """One row: says what was installed and whether its tests passed."""
    started = time.monotonic()
    file, installed = ROWS[name]
    python = environment(HOME / name, sys.executable, [*TEST_TOOLS, *installed])
    package = re.split(r"[\[<>=~]", installed[0])[0]
    listed = f"import importlib.metadata as m; print(m.version({package!r}))"
    version = subprocess.check_output([python, "-c", listed], text=True).strip()
    flags = ["-q", "-p", "no:cacheprovider", "-n", "2", file]
    done = subprocess.run([python, "-m", "pytest", *flags], check=False, cwd=ROOT, capture_output=True, text=True)
    last = done.stdout.strip().rpartition("\n")[2]
    print(f"{package:18} {version:10} {last}  (with its environment {time.monotonic() - started:.0f} s)", flush=True)
    if done.returncode:
        print(done.stdout, done.stderr, flush=True)
    return done.returncode == 0


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
    passed = [run(name) for name in names or (SMALL if args.small else ROWS)]
    return int(not all(passed))


if __name__ == "__main__":
    sys.exit(main())
