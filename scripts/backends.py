"""Our spans in real backends that compute a cost by themselves: `python scripts/backends.py [NAME ...]`.

Each is installed from PyPI into an environment of its own (half a gigabyte), started on 127.0.0.1, sent the calls of one
program under the launcher, and asked by its own API what they cost: 1 if that is not what `costs` says.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from venvs import ROOT

from hexr_instrument.demo.providers import ProviderServer

PROGRAM = """
from anthropic import Anthropic
from openai import OpenAI
messages = [{"role": "user", "content": "hi"}]
for model in ("gpt-4o", "gpt-4o-mini"):
    OpenAI().chat.completions.create(model=model, messages=messages)
Anthropic().messages.create(model="claude-haiku-4-5", max_tokens=100, messages=messages)
"""
CALLS = 3
PATIENCE = 300
"""Seconds that a backend may take to start, or to show what it was sent."""
GRAPHQL = "{ projects { edges { node { name traceCount costSummary { total { cost } } } } } }"


def free_port() -> int:
    """A port of 127.0.0.1 that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(url: str, body: Any = None) -> Any:
    """The JSON that a URL answers."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        text = answer.read()
    return json.loads(text) if text.startswith((b"{", b"[")) else text


def until(found: Callable[[], Any], what: str) -> Any:
    """What `found()` gives, as soon as it gives something."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            if (answer := found()) is not None:
                return answer
        except OSError:  # nothing listens yet
            pass
        time.sleep(0.5)
    raise SystemExit(f"{what} did not come in {PATIENCE} s")


def recorded(store: str, **variables: str) -> Decimal:
    """Runs the program with an endpoint, and says what its calls cost."""
    command = [sys.executable, "-m", "hexr_instrument"]
    with ProviderServer() as providers:
        mine = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "HEXR_"))}
        mine |= {**providers.environment(), "HEXR_STORE": store, "HEXR_KEEP": "1d", "HEXR_EXIT_TIMEOUT": "60"}
        environ = {**mine, "OTEL_METRICS_EXPORTER": "none", **variables}
        subprocess.run([*command, "--agent", "crew", sys.executable, "-c", PROGRAM], env=environ, check=True)
        total = json.loads(subprocess.check_output([*command, "costs", "--json"], env=environ))["total"]
    if total["calls"] != CALLS:
        raise SystemExit(f"{total['calls']} calls were recorded, not {CALLS}")
    return Decimal(total["cost_usd"])


def phoenix(folder: Path, store: str) -> tuple[Decimal, Decimal]:
    """What we say, and what Phoenix says: it takes http/protobuf and grpc, here the former."""
    port = free_port()
    environ = {**os.environ, "PHOENIX_WORKING_DIR": store, "PHOENIX_HOST": "127.0.0.1", "PHOENIX_PORT": str(port)}
    environ |= {"PHOENIX_GRPC_PORT": str(free_port()), "PHOENIX_TELEMETRY_ENABLED": "false"}
    with subprocess.Popen(
        [folder / "bin" / "phoenix", "serve"], env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        try:
            url = f"http://127.0.0.1:{port}"
            until(lambda: ask(f"{url}/healthz"), "Phoenix")
            project = "OTEL_RESOURCE_ATTRIBUTES"
            ours = recorded(store, OTEL_EXPORTER_OTLP_ENDPOINT=url, **{project: "openinference.project.name=hexr"})

            def cost() -> Decimal | None:
                for each in ask(f"{url}/graphql", {"query": GRAPHQL})["data"]["projects"]["edges"]:
                    total = each["node"]["costSummary"]["total"]["cost"]
                    if each["node"]["name"] == "hexr" and each["node"]["traceCount"] == CALLS and total:
                        return Decimal(str(total))
                return None

            def settled() -> Decimal | None:  # it prices a moment after it has taken a span
                before = cost()
                time.sleep(2)
                return before if before == cost() else None

            return ours, until(settled, "the spans in Phoenix")
        finally:
            server.terminate()


def mlflow(folder: Path, store: str) -> tuple[Decimal, Decimal]:
    """What we say, and what MLflow says: it takes traces by http/protobuf, for the experiment that a header names."""
    url = f"http://127.0.0.1:{free_port()}"
    serve = [folder / "bin" / "mlflow", "server", "--host", "127.0.0.1", "--port", url.rpartition(":")[2]]
    serve += ["--workers", "1", "--backend-store-uri", f"sqlite:///{store}/mlflow.db"]
    environ = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # nine processes that nobody needs here
    with subprocess.Popen(
        serve, cwd=store, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        try:
            until(lambda: ask(f"{url}/health"), "MLflow")
            made = ask(f"{url}/api/2.0/mlflow/experiments/create", {"name": "hexr"})["experiment_id"]
            ours = recorded(
                store,
                OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{url}/v1/traces",
                OTEL_EXPORTER_OTLP_HEADERS=f"x-mlflow-experiment-id={made}",
            )
            place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": made}}

            def costs() -> Decimal | None:
                found = ask(f"{url}/api/3.0/mlflow/traces/search", {"locations": [place]}).get("traces", [])
                said = [each["trace_metadata"].get("mlflow.trace.cost") for each in found]
                if len(said) < CALLS or not all(said):
                    return None
                return sum((Decimal(str(json.loads(each)["total_cost"])) for each in said), Decimal(0))

            return ours, until(costs, "the traces in MLflow")
        finally:
            server.terminate()


BACKENDS = {"arize-phoenix": phoenix, "mlflow": mlflow}


def main() -> int:
    """Compares; 1 if a backend says another cost."""
    wrong = 0
    for name in sys.argv[1:] or BACKENDS:
        folder = ROOT / ".venv-rows" / f"backend-{name}"
        if not (folder / "bin" / name.removeprefix("arize-")).exists():
            subprocess.run([sys.executable, "-m", "venv", folder], check=True)
            subprocess.run([folder / "bin" / "pip", "install", "-qq", "--no-compile", name], check=True)
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as store:
            ours, theirs = BACKENDS[name](folder, store)
        same = abs(ours - theirs) < Decimal("1e-12")
        wrong += not same
        print(f"{name:14} {theirs:.9f}  ours {ours:.9f}  {'the same' if same else 'NOT the same'}", flush=True)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
