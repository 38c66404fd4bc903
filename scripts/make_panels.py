"""Draws the "LLM Costs" dashboard with Grafana's own components: build/panels/{dark,light}.png, to be looked at.

The demo's calls, repeated over two days and more, go through our own instruments and OpenTelemetry's Prometheus reader;
what its page says every few minutes is loaded into a real Prometheus (promtool makes the blocks), and each panel asks that
one its own queries. `@grafana/ui` and `@grafana/data` from npm draw them, in headless Chromium; their queries of traces
are parsed by Grafana's own grammar. Ends with 1 where a panel on metrics is empty or a query fails.

Needs `pip install --group page --group grafana -e '.[demo]'`, node with npm, Debian's prometheus and chromium.
"""

from __future__ import annotations

import http.server
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from make_pictures import demo, week
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from playwright.sync_api import sync_playwright
from prometheus_client import CollectorRegistry

from hexr_instrument.metrics.instruments import Instruments, around
from hexr_instrument.metrics.points import Points
from hexr_instrument.names import METRIC_LABELS

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "scripts/panels"
OUT = ROOT / "build/panels"
DASHBOARD = ROOT / "hexr_instrument/report/grafana/files/dashboards/hexr-llm-costs.json"
STEP = 600
"""Seconds between two samples."""
HOURS = 54


def records() -> list[dict[str, Any]]:
    """The demo's calls of the last two days and six hours; a second agent has been at work since this morning."""
    chance = random.Random(7)  # noqa: S311  (a picture)
    with tempfile.TemporaryDirectory() as folder:
        calls = demo(Path(folder))
    since = time.time_ns() - HOURS * 3600 * 10**9
    found = [each for each in week(calls, chance) if each["start"] > since]
    late = time.time_ns() - 20 * 3600 * 10**9
    found += [{**each, "agent": "support-bot", "tenant": "globex"} for each in found if each["start"] > late]
    for each in found:
        if each["provider"] == "openai" and "error" not in each:
            each["usage"] = {**each["usage"], "cache_read": each["usage"]["input"] // 4}
            each |= {"stream": True, "first_chunk": int((each["end"] - each["start"]) * chance.uniform(0.1, 0.4))}
        if each["role"] == "editor" and chance.random() < 0.1:  # a model that no table knows
            each |= {"model": "in-house-8b", "served": "in-house-8b", "cost_status": "unpriced"}
            each.pop("cost", None)
    return sorted(found, key=lambda each: each["end"])


def scrapes(found: list[dict[str, Any]]) -> Iterator[tuple[int, list[Any]]]:
    """When (seconds), and what scrapes of one process that made all of these calls would have read."""
    registry = CollectorRegistry()
    provider = MeterProvider([PrometheusMetricReader(registry=registry)], Resource({}), shutdown_on_exit=False)
    points = Points(METRIC_LABELS, "default")
    spent = {"tenant=acme-corp 5.00/day": 0.0, "total 20.00/month": 0.0}

    def budgets() -> dict[str, float]:
        return dict(spent)

    made = Instruments(provider, "default", lambda: dict(points.folded), budgets)
    end = int(time.time())
    rest = iter([*found, None])
    one = next(rest)
    for at in range(end - HOURS * 3600, end + 1, STEP):
        while one is not None and one["end"] <= at * 10**9:
            for metric, value, attributes in points.of(one):
                made.record(metric, value, attributes, around(one))
            dollars = one.get("cost", 0) / 1e12
            spent["tenant=acme-corp 5.00/day"] += dollars / 5 if one["tenant"] == "acme-corp" else 0
            spent["total 20.00/month"] += dollars / 20
            one = next(rest)
        yield at, [sample for family in registry.collect() for sample in family.samples]
    provider.shutdown()


def blocks(folder: Path) -> None:
    """A Prometheus' folder with the history of all series."""
    series: dict[str, dict[str, list[str]]] = {}
    for at, page in scrapes(records()):
        for each in page:
            labels = ",".join(f"{k}={json.dumps(v)}" for k, v in sorted(each.labels.items()) if "otel_scope" not in k)
            series.setdefault(each.name, {}).setdefault(labels, []).append(
                f"{each.name}{{{labels}}} {each.value} {at}\n"
            )
    with (folder / "in.txt").open("w") as file:
        for name, rows in sorted(series.items()):
            file.write(f"# TYPE {name} unknown\n")
            for lines in rows.values():
                file.writelines(lines)
        file.write("# EOF\n")
    command = [
        "promtool",
        "tsdb",
        "create-blocks-from",
        "openmetrics",
        "--quiet",
        str(folder / "in.txt"),
        str(folder / "tsdb"),
    ]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def free_port() -> int:
    """A port of this machine that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def prometheus(folder: Path, port: int) -> subprocess.Popen[bytes]:
    """A Prometheus on that folder, once it answers."""
    (folder / "prometheus.yaml").write_text("{}")
    started = subprocess.Popen(
        ["prometheus", f"--config.file={folder / 'prometheus.yaml'}", f"--storage.tsdb.path={folder / 'tsdb'}",
         f"--web.listen-address=127.0.0.1:{port}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    for _ in range(300):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=5):
                return started
        except OSError:
            time.sleep(0.2)
    started.terminate()
    raise SystemExit("prometheus does not start")


class Pages(http.server.BaseHTTPRequestHandler):
    """The page, the dashboard, and Prometheus behind them."""

    behind = ""
    folder = Path()

    def do_GET(self) -> None:
        """Answers one request."""
        path = self.path.partition("?")[0]
        files = {"/": SOURCE / "index.html", "/dashboard.json": DASHBOARD}
        for name in ("bundle.js", "bundle.css"):
            files[f"/{name}"] = self.folder / name
        status = 200
        if path in files and files[path].exists():
            body = files[path].read_bytes()
        elif path.startswith("/api/"):
            try:
                with urllib.request.urlopen(f"{self.behind}{self.path}", timeout=60) as answer:  # noqa: S310  (127.0.0.1)
                    body = answer.read()
            except urllib.error.HTTPError as error:
                status, body = error.code, error.read()
        else:
            status, body = 404, b""
        kinds = {".js": "text/javascript", ".css": "text/css", ".json": "application/json"}
        self.send_response(status)
        self.send_header(
            "Content-Type", "text/html" if path == "/" else kinds.get(Path(path).suffix, "application/json")
        )
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Says nothing."""


def bundle(folder: Path) -> None:
    """Installs Grafana's components from npm once, and bundles them with the page."""
    made = Path(os.environ.get("HEXR_PANELS_NPM", ROOT / "build/panels-npm"))
    if not (made / "node_modules/@grafana/ui").is_dir():
        made.mkdir(parents=True, exist_ok=True)
        shutil.copy(SOURCE / "package.json", made)
        subprocess.run(
            ["npm", "install", "--ignore-scripts", "--legacy-peer-deps", "--no-audit", "--no-fund"],
            check=True,
            cwd=made,
        )
        subprocess.run(["node", "install.js"], check=True, cwd=made / "node_modules/esbuild")
    for name in ("main.tsx", "traceql.mjs"):
        shutil.copy(SOURCE / name, made / name)
    subprocess.run(["node", "traceql.mjs", str(DASHBOARD)], check=True, cwd=made)
    loaders = [f"--loader:.{kind}=dataurl" for kind in ("svg", "ttf", "woff2", "png")]
    defines = ["--define:global=window", '--define:process.env.NODE_ENV="production"']
    command = [
        "node_modules/.bin/esbuild",
        "main.tsx",
        "--bundle",
        f"--outfile={folder / 'bundle.js'}",
        "--jsx=automatic",
    ]
    subprocess.run([*command, "--log-level=error", *loaders, *defines], check=True, cwd=made)


def main() -> int:
    """Makes both pictures."""
    OUT.mkdir(parents=True, exist_ok=True)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    wrong: list[Any] = []
    failed: list[Any] = []
    told: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        bundle(folder)
        blocks(folder)
        port = free_port()
        running = prometheus(folder, port)
        Pages.folder, Pages.behind = folder, f"http://127.0.0.1:{port}"
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        now = int(time.time()) // STEP * STEP
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
                for theme in ("dark", "light"):
                    page = browser.new_page(viewport={"width": 1440, "height": 900})
                    page.on("pageerror", lambda error: failed.append(error))  # noqa: PLW0108  (it is given an attribute)
                    page.goto(f"http://127.0.0.1:{server.server_port}/?theme={theme}&now={now}&step={2 * STEP}")
                    page.wait_for_function("window.told && window.told.done", timeout=120_000)
                    # A table paints what is in sight only.
                    high: int = page.evaluate("document.body.scrollHeight")
                    page.set_viewport_size({"width": 1440, "height": high})
                    page.wait_for_timeout(1500)
                    told = page.evaluate("window.told")
                    page.screenshot(path=OUT / f"{theme}.png", full_page=True)
                    wrong += told["errors"]
                    wrong += [f"{title} is empty" for title, _, rows, metrics in told["panels"] if metrics and not rows]
                browser.close()
        finally:
            server.shutdown()
            running.terminate()
            running.wait()
    for title, kind, rows, metrics in told["panels"]:
        print(f"{title} ({kind}): {rows} rows" if metrics else f"{title} ({kind}): from traces, not drawn")
    wrong += map(str, failed)
    print(*(json.dumps(each) for each in wrong), f"{OUT}/dark.png {OUT}/light.png", sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
