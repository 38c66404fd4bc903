"""`costs --from`: the tree of a fleet, from a real Prometheus and from a server that answers as Tempo documents it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from stores import Shop

DAY = 86400
NOON = int(datetime(2026, 11, 20, 12, tzinfo=timezone.utc).timestamp())
WINDOW = ("--since", "2026-11-20", "--until", "2026-11-22")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """The command; its store is not looked at."""
    return Shop(tmp_path / "store")


def squeezed(text: str) -> list[str]:
    """The lines, with the columns behind names one blank away."""
    return [re.sub(r": +", ": ", line) for line in text.splitlines()]


# -- Prometheus


def series(name: str, labels: dict[str, str], *samples: tuple[int, float]) -> list[str]:
    """Lines of OpenMetrics: (seconds after noon, value)."""
    inner = ",".join(f'{each}="{value}"' for each, value in labels.items())
    return [f"{name}{{{inner}}} {value} {NOON + at}" for at, value in samples]


def of(role: str, model: str, process: str, **more: str) -> dict[str, str]:
    """Labels as the exporters write them."""
    return {
        "hexr_agent_name": "crew",
        "hexr_agent_tenant": "acme",
        "hexr_agent_role": role,
        "gen_ai_provider_name": "openai",
        "gen_ai_request_model": model.partition("-2024")[0],
        "gen_ai_response_model": model,
        "instance": process,
        **more,
    }


WRITER, EDITOR = "gpt-4o-2024-08-06", "gpt-4o-mini"
COSTS = [
    # The first sample of a short process is all that there is of it: increase() would say 0.
    *series("hexr_llm_cost_usd_total", of("writer", WRITER, "a"), (0, 5.25)),
    # A process that ran before the window, was restarted in it, and goes on the next day.
    *series("hexr_llm_cost_usd_total", of("editor", EDITOR, "b"), (-43500, 1.0), (0, 3.0), (60, 0.5), (DAY, 0.75)),
    # A refused call costs nothing and has no point.
]
CALLS = [
    *series("hexr_llm_calls_total", of("writer", WRITER, "a", hexr_llm_cost_status="priced"), (0, 2)),
    *series(
        "hexr_llm_calls_total",
        of("writer", WRITER, "a", hexr_llm_cost_status="no_usage", error_type="openai.RateLimitError"),
        (0, 1),
    ),
    *series("hexr_llm_calls_total", of("writer", "mine", "a", hexr_llm_cost_status="unpriced"), (0, 4)),
    *series(
        "hexr_llm_calls_total",
        of("editor", EDITOR, "b", hexr_llm_cost_status="priced"),
        *((-43500, 10), (0, 30), (60, 5), (DAY, 7)),
    ),
]
TOKENS = [
    *series("gen_ai_client_token_usage_sum", of("writer", WRITER, "a", gen_ai_token_type="input"), (0, 1200)),
    *series("gen_ai_client_token_usage_sum", of("writer", WRITER, "a", gen_ai_token_type="output"), (0, 340)),
]


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[str]:
    """The URL of a real Prometheus with blocks of three processes."""
    if shutil.which("prometheus") is None or shutil.which("promtool") is None:
        pytest.skip("prometheus is not installed")
    folder = tmp_path / "prometheus"
    folder.mkdir()
    types = [
        "# TYPE hexr_llm_cost_usd counter",
        *COSTS,
        "# TYPE hexr_llm_calls counter",
        *CALLS,
        "# TYPE gen_ai_client_token_usage_sum unknown",
        *TOKENS,
        "# EOF",
    ]
    (folder / "in.txt").write_text("\n".join(types) + "\n")
    made = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(folder / "in.txt"), str(folder / "data")]
    subprocess.run(made, check=True, capture_output=True)
    (folder / "prom.yml").write_text("global: {}\n")
    command = ["prometheus", f"--config.file={folder}/prom.yml", f"--storage.tsdb.path={folder}/data"]
    command += ["--web.listen-address=127.0.0.1:0", "--storage.tsdb.retention.time=10y"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr is not None
        address = ready = ""
        for line in server.stderr:
            if found := re.search(r"Listening on.* address=(127\.0\.0\.1:\d+)", line):
                address = found[1]
            if "ready to receive web requests" in line:
                ready = line
            if address and ready:
                break
        yield f"http://{address}"
    finally:
        server.kill()
        server.communicate()


@pytest.mark.shown
def test_a_real_prometheus(shop: Shop, prometheus: str) -> None:
    """First samples count in full, a reset loses nothing, what was before the window is not in it."""
    text = shop.costs("--from", f"prometheus={prometheus}", *WINDOW)
    assert squeezed(text)[:8] == [
        "Agent: crew (tenant: acme)",
        "├── editor",
        "│   └── gpt-4o-mini: $2.75 (27 calls)",
        "└── writer",
        "    ├── gpt-4o-2024-08-06: $5.25 (3 calls, 1 failed)",
        "    └── mine: unpriced (4 calls)",
        "",
        "Total: $8.00 / 34 calls",
    ]
    assert "Unpriced: 4 calls, not in the total" in text
    assert "increase() loses those" in text
    # Groups, filters and --top; JSON and CSV leave out what a backend cannot say; --max sets the status.
    source = ("--from", f"prometheus={prometheus}", *WINDOW)
    data = json.loads(shop.costs(*source, "--by", "day,role", "--json"))
    assert [(row["day"], row["role"], row["cost_usd"], row["calls"]) for row in data["rows"]] == [
        ("2026-11-20", "writer", "5.25", 7),
        ("2026-11-20", "editor", "2.50", 25),
        ("2026-11-21", "editor", "0.25", 2),
    ]
    assert (data["total"]["input"], data["total"]["output"], data["total"]["unpriced"]) == (1200, 340, 4)
    assert "cache_read" not in data["total"]
    assert shop.costs(*source, "--by", "model", "--model", "gpt-4o", "--csv").splitlines() == [
        "model,cost_usd,calls,priced,unpriced,no_usage,partial,failed,input,output",
        "gpt-4o-2024-08-06,5.25,3,2,0,0,0,1,1200,340",
    ]
    assert "Others: $2.75 / 31 calls in 2 groups" in shop.costs(*source, "--by", "model", "--top", "1")
    shop.costs(*source, "--max", "7.99", status=1)
    assert "No call there matches" in shop.costs(*source, "--tenant", "other")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--from", "mimir=http://x"], "'mimir' is no backend; use prometheus=URL or tempo=URL"),
        (["--from", "prometheus=localhost:9090"], "needs a URL such as prometheus=http://localhost:9090"),
        (["--from", "tempo=http://127.0.0.1:1"], "tempo http://127.0.0.1:1 does not answer"),
        (["--from", "tempo=http://u:secret@127.0.0.1:1"], "tempo http://127.0.0.1:1 does not answer"),
        (["--from", "tempo=http://127.0.0.1:1", "--compare"], "--compare: it needs the calls of a store"),
        (["--from", "tempo=http://127.0.0.1:1", "--run", "last"], "--run: a backend knows no runs"),
        (["--from", "tempo=http://127.0.0.1:1", "--by", "error"], "--by: error is not known of a fleet"),
    ],
)
def test_what_cannot_be_asked_is_one_line(
    shop: Shop, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    """It names the option and what would do, and never a password."""
    shop.costs(*options, status=2)
    complaint = capsys.readouterr().err
    assert said in complaint
    assert complaint.count("\n") == 1
    assert "secret" not in complaint


# -- Tempo: no package carries its server. The shapes are those of its documented API (`/api/metrics/query`).

SPANS: list[dict[str, Any]] = [
    {"role": "writer", "served": WRITER, "cost": 1.25, "status": "priced", "input": 1200, "output": 340},
    {"role": "writer", "served": WRITER, "cost": 4.0, "status": "priced", "input": 10, "output": 1},
    {"role": "editor", "served": None, "cost": None, "status": "no_usage", "error": "429"},
]
ANSWERS: dict[str, Callable[[dict[str, Any]], float | None]] = {
    "sum_over_time(span.hexr.llm.cost_usd)": lambda span: span["cost"],
    "sum_over_time(span.gen_ai.usage.input_tokens)": lambda span: span.get("input"),
    "sum_over_time(span.gen_ai.usage.output_tokens)": lambda span: span.get("output"),
    "count_over_time()": lambda _: 1,
}


class Tempo(BaseHTTPRequestHandler):
    """Answers the questions that are asked, and no other; a window beyond three hours is refused as Tempo does."""

    asked: list[str]

    def do_GET(self) -> None:
        """One question."""
        parts = urlsplit(self.path)
        given = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.asked.append(given["q"])
        if int(given["end"]) - int(given["start"]) > 3 * 3600 * 10**9:
            text = "metrics query time range exceeds the maximum allowed duration of 3h0m0s"
            return self._send(400, text.encode())
        found = re.fullmatch(r"\{ (.*) \} \| (\w+\(.*?\)) by \((.*)\)", given["q"])
        assert found is not None, given["q"]
        assert parts.path == "/api/metrics/query"
        where, function, by = found.groups()
        sums: dict[tuple[str, ...], float] = {}
        # All spans are in the last half hour.
        recent = time.time_ns() - int(given["end"]) < 1800 * 10**9
        for span in SPANS if recent else []:
            if (status := re.search(r'cost.status = "(\w+)"', where)) and status[1] != span["status"]:
                continue
            if "error.type != nil" in where and not span.get("error"):
                continue
            value = ANSWERS[function](span)
            values = {"role": span["role"], "response.model": span["served"], "request.model": "gpt-4o"}
            key = tuple(
                next((values[end] or "nil" for end in values if each.endswith(end)), "crew") for each in by.split(", ")
            )
            if value is not None:
                sums[key] = sums.get(key, 0) + value
        series = [
            {
                "labels": [
                    {"key": name, "value": {"stringValue": value}}
                    for name, value in zip(by.split(", "), key, strict=True)
                ],
                "promLabels": "{}",
                "value": total,
            }
            for key, total in sums.items()
        ]
        self._send(200, json.dumps({"series": series, "metrics": {"inspectedBytes": "1"}}).encode())

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def tempo() -> Iterator[tuple[str, list[str]]]:
    """The URL of that server, and what it was asked."""
    asked: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Here", (Tempo,), {"asked": asked}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_tree_of_tempo(shop: Shop, tempo: tuple[str, list[str]]) -> None:
    """Cost, calls, tokens and failures by five attributes; a window that is too long is asked in pieces."""
    url, asked = tempo
    text = shop.costs("--from", f"tempo={url}", "--since", "6h", "--tenant", "acme")
    assert squeezed(text)[:7] == [
        "Agent: crew (tenant: crew)",
        "├── editor",
        "│   └── gpt-4o: failed (1 call)",
        "└── writer",
        "    └── gpt-4o-2024-08-06: $5.25 (2 calls)",
        "",
        "Total: $5.25 / 3 calls",
    ]
    assert 'span.hexr.agent.tenant = "acme"' in asked[0]
    data = json.loads(shop.costs("--from", f"tempo={url}", "--since", "1h", "--by", "role", "--json"))
    assert [(row["role"], row["cost_usd"], row["input"], row["no_usage"], row["failed"]) for row in data["rows"]] == [
        ("writer", "5.25", 1210, 0, 0),
        ("editor", None, 0, 0, 1),
    ]


def test_tempo_groups_by_five_attributes(
    shop: Shop, tempo: tuple[str, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    """More is said before it is asked."""
    shop.costs("--from", f"tempo={tempo[0]}", "--by", "agent,tenant,role,provider,model", status=2)
    assert "at most" in capsys.readouterr().err
    assert tempo[1] == []


def test_a_redirect_is_not_followed(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    """Credentials stay with the host that was named; HTML is no answer."""

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", "http://127.0.0.1:1/login")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    shop.costs("--from", f"prometheus=http://127.0.0.1:{server.server_port}", status=2)
    server.shutdown()
    server.server_close()
    assert "answers 302" in capsys.readouterr().err
