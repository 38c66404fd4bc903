"""The dashboard's queries, and a real Prometheus that answers them."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hexr_instrument.report import grafana

DASHBOARD = json.loads((grafana.FILES / "dashboards/hexr-llm-costs.json").read_text())


def panels() -> Iterator[dict[str, Any]]:
    """Every panel that is no row."""
    for each in DASHBOARD["panels"]:
        if each["type"] == "row":
            yield from each["panels"]
        else:
            yield each


def queries() -> list[tuple[str, str]]:
    """Title and PromQL of every query of a panel."""
    return [(each["title"], target["expr"]) for each in panels() for target in each["targets"] if "expr" in target]


def concrete(query: str) -> str:
    """A query as Grafana sends it, with nothing filtered."""
    query = query.replace("$__rate_interval", "1m").replace("$__range", "1h").replace("$__interval", "1h")
    return re.sub(r"\$\{\w+:regex\}", ".*", query)


class Prometheus:
    """Debian's, scraping one program every few seconds (or none)."""

    def __init__(self, folder: Path, port: int | None = None, every: int = 1) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        config = folder / "prometheus.yaml"
        target = "[]" if port is None else f"[{{targets: ['127.0.0.1:{port}']}}]"
        config.write_text(
            f"global: {{scrape_interval: {every}s, scrape_timeout: {every}s}}\nscrape_configs: [{{job_name: crew, static_configs: {target}}}]\n"
        )
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}",
             f"--web.listen-address=127.0.0.1:{self.port}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def ask(self, query: str) -> list[dict[str, Any]]:
        """The series of an instant query."""
        asked = urllib.parse.urlencode({"query": query})
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/query?{asked}", timeout=60) as answer:
            return json.load(answer)["data"]["result"]

    def until(self, query: str, value: float, within: float = 60) -> None:
        """Waits until a query has one value; within so many seconds."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            try:
                if any(float(each["value"][1]) == value for each in self.ask(query)):
                    return
            except OSError:  # it is not listening yet
                pass
            time.sleep(0.2)
        raise AssertionError(f"{query} is never {value}")
