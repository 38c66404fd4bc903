"""`hexr-instrument doctor`: it tells the truth about a program's recording, in one screen, and its status says it too."""

from __future__ import annotations

import http.server
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from stores import line, segment
from support import Run, clean_environment

from hexr_instrument import health, pricing
from hexr_instrument.boot import boot_directory
from hexr_instrument.call import Caller
from hexr_instrument.config import Config
from hexr_instrument.demo.receiver import OtlpReceiver
from hexr_instrument.endpoints import Endpoint
from hexr_instrument.owed import Origin, Owed
from hexr_instrument.report import doctor
from hexr_instrument.report.doctor import delivery, frameworks, probe, sdks, wires
from hexr_instrument.start import PROVIDERS
from hexr_instrument.store import Store

CALL = """
import os
from openai import OpenAI
OpenAI().chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
"""


def ask(store: Path, *options: str, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs `doctor` on a store."""
    environ = clean_environment(HEXR_STORE=str(store), **variables)
    command = [sys.executable, "-m", "hexr_instrument", "doctor", *options]
    return subprocess.run(command, env=environ, cwd=cwd, capture_output=True, text=True, timeout=150, check=False)


def quick(store: Path, **variables: str) -> tuple[int, dict[str, Any]]:
    """Exit status and data of `doctor --quick --json`."""
    done = ask(store, "--quick", "--json", **variables)
    assert done.stderr == ""
    data = json.loads(done.stdout)
    assert data["status"] == done.returncode
    return done.returncode, data


def texts(data: dict[str, Any], section: str, level: str | None = None) -> str:
    """The lines of a section, of one level or all."""
    found = data["sections"][section]["findings"]
    return "\n".join(each["text"] for each in found if level in (None, each["level"]))


def closed_port() -> int:
    """A port of 127.0.0.1 where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_one_screen_says_that_all_is_well(run: Run, receiver: OtlpReceiver) -> None:
    """The installed SDKs are recorded, the endpoint answers, the store is there: 80 columns, 40 lines, status 0."""
    done = run(CALL, HEXR_KEEP="30d", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint)
    shown = ask(done.store, HEXR_KEEP="30d", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    lines = shown.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 40
    assert lines[-1] == "All well."
    for sdk in ("openai", "anthropic", "google-genai"):
        assert sum(each.startswith(f"  ok {sdk} ") for each in lines) == 1
        assert any(each.startswith(f"  ok {sdk} ") and "recorded (" in each for each in lines), sdk
    whole = " ".join(shown.stdout.split())
    assert f"{receiver.endpoint}/v1/traces, http/protobuf: answers" in whole
    assert "(mode 0700): 1 call," in whole
    assert len(receiver.spans) == 1, "the probe itself leaves nothing there"


def test_metrics_are_asked_for_and_their_series_estimated(run: Run, receiver: OtlpReceiver) -> None:
    """The endpoint of metrics has a line of its own; one that takes none is worth knowing, and loses no call."""
    done = run(CALL, HEXR_KEEP="30d", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint)
    receiver.fail(404, signal="metrics")
    where = {"HEXR_KEEP": "30d", "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint}
    shown = ask(done.store, "--json", **where)
    section = json.loads(shown.stdout)["sections"]["telemetry"]
    assert shown.returncode == 0
    assert section["series"] == 88
    refused = next(each for each in section["findings"] if "/v1/metrics" in each["text"])
    assert refused["level"] == "note" and "no OTLP at this path" in refused["text"]
    assert "metrics: http://127.0.0.1:9464/metrics" not in shown.stdout
    scraped = ask(done.store, "--quick", OTEL_METRICS_EXPORTER="prometheus", OTEL_EXPORTER_PROMETHEUS_HOST="127.0.0.1")
    assert "served at http://127.0.0.1:9464/metrics" in " ".join(scraped.stdout.split())


def test_json_has_the_same_in_words_and_as_data(tmp_path: Path) -> None:
    """Each section's findings and facts; problems are those of the screen."""
    done = ask(tmp_path / "store", "--json")
    data = json.loads(done.stdout)
    assert (done.returncode, data["status"], data["problems"]) == (0, 0, [])
    sections = data["sections"]
    assert sections["sdks"]["openai"]["recorded"] is True
    assert sections["program"]["on_pythonpath"] is False
    assert sections["program"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert sections["store"]["path"] == str(tmp_path / "store")
    assert sections["prices"]["table"] == pricing.version()


def test_doctor_changes_nothing(tmp_path: Path) -> None:
    """A store that was not there is not there afterwards, and one that waits still waits."""
    assert ask(tmp_path / "none", "--quick").returncode == 0
    assert list(tmp_path.iterdir()) == []
    store = Store(tmp_path / "store")
    path = segment(store, "1-1-a", line(1))
    assert ask(store.directory, "--quick").returncode == 0
    assert [each for each in store.directory.rglob("*") if each.is_file()] == [path]


def fake_openai(folder: Path, source: str) -> dict[str, str]:
    """An `openai` before the installed one."""
    (folder / "openai").mkdir()
    (folder / "openai" / "__init__.py").write_text("")
    (folder / "openai" / "_base_client.py").write_text(source)
    return {"PYTHONPATH": str(folder)}


def test_every_listed_provider_is_told_of(tmp_path: Path) -> None:
    """Of each file of tables `doctor` names the SDK, with its version or as not installed."""
    data = quick(tmp_path)[1]
    told = {
        name.strip() for each in re.split(r"[:,\n]", texts(data, "sdks")) for name in (each, each.rpartition(" ")[0])
    }
    for file, modules in PROVIDERS.items():
        tables = [each for each in sdks.PROVIDERS if each.module in modules]
        assert tables, file
        assert {each.package or (each.direct and each.direct.package) for each in tables} - {None} <= told, file
        tops = {each.module.partition(".")[0] for each in tables if not each.package and not each.direct}
        known = {each.module.partition(".")[0] for each in sdks.PROVIDERS if each.direct or each.package}
        assert tops <= told | known, file


@pytest.mark.parametrize(
    ("source", "status", "words"),
    [
        ("class SyncAPIClient:\n    def request(self, one): ...", 1, "its signature has no cast_to, options"),
        ("x = 1", 1, "not recorded: SyncAPIClient.request: this version of the SDK does not have it"),
        ("raise ImportError('no libssl')", 0, "cannot be imported: ImportError: no libssl"),
        ("print('hello')\nraise SystemExit(3)", 0, "cannot be imported"),
        ("print('{}'); raise ValueError('sk-proj-AbCdEf0123456789')", 0, "cannot be imported: ValueError: [key]"),
    ],
    ids=["other signature", "nothing there", "import fails", "import exits", "import raises"],
)
def test_an_sdk_that_is_not_recorded_is_named_with_its_reason(
    source: str, status: int, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An installed SDK whose calls are lost is a problem; one that the program could not import either is none."""
    tables = [each for each in sdks.PROVIDERS if each.module.startswith("openai")]
    monkeypatch.setattr(sdks, "PROVIDERS", tables)
    environ = clean_environment(**fake_openai(tmp_path, source))
    section = sdks.recorded(Config.from_env(environ), environ, quick=False)
    (finding,) = section.findings
    assert finding.level == ("problem" if status else "note")
    assert words in finding.text
    assert section.data["openai"]["recorded"] is False


@pytest.mark.parametrize(
    ("source", "level", "words"),
    [
        ("class Agent:\n    def execute_task(self): ...", "ok", "crewai 1.0: names the roles"),
        ("x = 1", "note", "crewai 1.0: names no roles: Task._execute_core: this version of the SDK does not have it"),
        ("raise ImportError('no libssl')", "note", "crewai 1.0: names no roles: cannot be imported: ImportError"),
    ],
    ids=["there", "nothing there", "import fails"],
)
def test_a_framework_is_named_with_what_becomes_of_it(
    source: str, level: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An installed framework names the roles, or does not, with the reason; no call is lost by that."""
    monkeypatch.setattr(frameworks, "FRAMEWORKS", [each for each in frameworks.FRAMEWORKS if each.name == "crewai"])
    monkeypatch.setattr(frameworks, "version_of", lambda package: "1.0")
    (tmp_path / "crewai.py").write_text(source)
    environ = clean_environment(PYTHONPATH=str(tmp_path))
    section = frameworks.followed(Config.from_env(environ), environ, quick=False)
    (finding,) = section.findings
    assert (finding.level, section.data["crewai"]["followed"]) == (level, level == "ok")
    assert words in finding.text


@pytest.mark.parametrize(
    ("source", "level", "words"),
    [
        (
            "class JSONRPCDispatcher:\n    def send_raw_request(self, method, params): ...",
            "ok",
            "carries who asks (1 m",
        ),
        ("x = 1", "note", "left alone: JSONRPCDispatcher.send_raw_request: this version"),
        ("raise ImportError('no libssl')", "note", "cannot be imported: ImportError: no libssl"),
    ],
    ids=["there", "nothing there", "import fails"],
)
def test_a_wire_is_named_with_what_becomes_of_it(
    source: str, level: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An installed library of a wire carries who asks, or is left alone, with the reason; no call is lost by that."""
    monkeypatch.setattr(wires, "WIRES", [each for each in wires.WIRES if each.name == "mcp client"])
    monkeypatch.setattr(wires, "version_of", lambda package: "2.0")
    (tmp_path / "mcp" / "shared").mkdir(parents=True)
    for folder in (tmp_path / "mcp", tmp_path / "mcp" / "shared"):
        (folder / "__init__.py").write_text("")
    (tmp_path / "mcp" / "shared" / "jsonrpc_dispatcher.py").write_text(source)
    environ = clean_environment(PYTHONPATH=str(tmp_path))
    section = wires.carried(Config.from_env(environ), environ, quick=False)
    (finding,) = section.findings
    assert (finding.level, bool(section.data["mcp"]["patched"])) == (level, level == "ok")
    assert f"mcp 2.0: {words}" in finding.text
    assert bool(section.data["mcp"]["left"]) is (level == "note")


def test_http_clients_are_wires_only_where_a_host_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without HEXR_PROPAGATE they are left alone, and the screen says why; with it each is patched."""
    monkeypatch.setattr(wires, "WIRES", [each for each in wires.WIRES if each.name == "urllib3"])
    environ = clean_environment()
    section = wires.carried(Config.from_env(environ), environ, quick=False)
    (finding,) = section.findings
    assert finding.level == "note"
    assert "left alone, as HEXR_PROPAGATE names no host" in finding.text
    environ = clean_environment(HEXR_PROPAGATE="all")
    section = wires.carried(Config.from_env(environ), environ, quick=False)
    (finding,) = section.findings
    assert (finding.level, section.data["urllib3"]["patched"]) == ("ok", 1)


def test_the_working_directory_is_not_imported(tmp_path: Path) -> None:
    """A `random.py` or an `openai.py` beside the user is not executed by a look at the SDKs."""
    for name in ("random", "openai", "json"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'a').write({name!r})")
    environ = clean_environment(HEXR_STORE=str(tmp_path / "store"))
    command = [str(Path(sys.executable).with_name("hexr-instrument")), "doctor"]
    if not Path(command[0]).exists():
        pytest.skip("the command is not installed beside this interpreter")
    done = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=150)
    assert "openai" in done.stdout
    assert not (tmp_path / "ran").exists()


def test_switched_off_is_said_and_is_no_fault(tmp_path: Path) -> None:
    """HEXR_DISABLED and OTEL_SDK_DISABLED are somebody's will: named, status 0."""
    for name in ("HEXR_DISABLED", "OTEL_SDK_DISABLED"):
        status, data = quick(tmp_path / "store", **{name: "true"})
        assert status == 0
        assert f"off: {name} is set" in texts(data, "program", "note")
        assert data["sections"]["program"]["disabled"] is True


def test_the_boot_folder_on_the_path_is_said(tmp_path: Path) -> None:
    """Where the environment switches recording on, the screen says so."""
    _, data = quick(tmp_path / "store", PYTHONPATH=str(boot_directory()))
    assert "on in this environment" in texts(data, "program", "ok")


def test_the_two_exceptions_and_their_switches_are_listed(tmp_path: Path) -> None:
    """As they are, and as the switches set them."""
    _, data = quick(tmp_path / "store")
    assert "api.openai.com (HEXR_STREAM_USAGE=never)" in texts(data, "changed on purpose", "ok")
    assert "muted (HEXR_NATIVE_SPANS=keep)" in texts(data, "changed on purpose", "ok")
    _, data = quick(tmp_path / "store", HEXR_STREAM_USAGE="never", HEXR_NATIVE_SPANS="keep")
    assert data["sections"]["changed on purpose"]["stream_usage"] == []
    assert "counted twice" in texts(data, "changed on purpose", "note")


# -- the endpoint


@pytest.mark.parametrize("status", [401, 403, 404, 413, 429, 500, 503])
def test_an_endpoint_that_says_no_is_a_problem(receiver: OtlpReceiver, status: int) -> None:
    """Whatever it says, the screen says it."""
    receiver.fail(status)
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint}
    finding, _ = delivery.telemetry(Config.from_env(environ), environ, quick=False).findings
    assert finding.level == "problem"
    assert f"HTTP {status}" in finding.text


def test_a_web_page_is_no_endpoint() -> None:
    """A port where something else answers everything with a page: what is sent there is taken, and lost."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>Log in</title>")

        def log_message(self, *args: Any) -> None:
            """Says nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Page) as page:
        threading.Thread(target=page.serve_forever, daemon=True).start()
        taken, said = probe.ask(Endpoint(f"http://127.0.0.1:{page.server_port}/v1/traces"), "traces", "http/protobuf")
        page.shutdown()
    assert not taken
    assert "web page" in said


def test_http_endpoints_are_really_asked(receiver: OtlpReceiver) -> None:
    """One that takes requests, one where nobody listens, one that says nothing, one of an unknown name."""
    assert probe.ask(Endpoint(f"{receiver.endpoint}/v1/traces"), "traces", "http/protobuf") == (True, "answers")
    gone = Endpoint(f"http://127.0.0.1:{closed_port()}/v1/traces")
    assert probe.ask(gone, "traces", "http/protobuf") == (False, "refused: nothing listens there")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1/traces"
        assert probe.ask(Endpoint(url), "traces", "http/protobuf", 0.2) == (False, "timed out after 0.2 s")
        assert probe.ask(Endpoint(url), "traces", "grpc", 0.2) == (False, "timed out after 0.2 s")
    plain = Endpoint(receiver.endpoint.replace("http:", "https:"))
    assert "TLS failed" in probe.ask(plain, "traces", "http/protobuf")[1]
    missing = Endpoint(f"{receiver.endpoint}/elsewhere")
    assert probe.ask(missing, "traces", "http/protobuf") == (False, "HTTP 404: no OTLP at this path")
    assert receiver.spans == []


def test_grpc_endpoints_are_really_asked() -> None:
    """The same over gRPC, with the headers as metadata."""
    with OtlpReceiver(http=False, grpc=True) as receiver:
        where = Endpoint(receiver.grpc_endpoint, headers=(("x-team", "a"),))
        assert probe.ask(where, "traces", "grpc") == (True, "answers")
        assert receiver.requests[-1].headers["x-team"] == "a"
        receiver.fail(401)
        assert probe.ask(where, "traces", "grpc") == (False, "gRPC UNAUTHENTICATED: its headers are refused")
    gone = Endpoint(f"http://127.0.0.1:{closed_port()}")
    assert probe.ask(gone, "traces", "grpc") == (False, "refused: nothing listens there")


def test_a_url_is_shown_without_its_credentials() -> None:
    """User, password, query and fragment are left out, and long parts of the path; the rest stays."""
    assert probe.shown("https://ann:pw@otlp.example.com:4318/otlp/v1/traces?key=k#f") == (
        "https://otlp.example.com:4318/otlp/v1/traces"
    )
    assert probe.shown("http://[::1]:4318/v1/traces") == "http://[::1]:4318/v1/traces"
    assert probe.shown("https://h/8d4f2bc6a91e4f77b0/v1/traces") == "https://h/***/v1/traces"
    assert probe.shown("collector:4317") == "collector:4317"


def test_headers_are_named_and_never_shown(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """The endpoint gets them, the screen has their names."""
    host = receiver.endpoint.removeprefix("http://")
    done = ask(
        tmp_path / "store",
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://ann:planted-1@{host}",
        OTEL_EXPORTER_OTLP_HEADERS="x-team=planted-2,Authorization=Bearer%20planted-3",
    )
    assert done.returncode == 0, done.stdout
    assert "x-team, authorization" in " ".join(done.stdout.split())
    assert "planted" not in done.stdout + done.stderr
    assert receiver.requests[-1].headers["x-team"] == "planted-2"


def test_an_endpoint_that_does_not_answer_is_status_1(tmp_path: Path) -> None:
    """The whole command, on an endpoint where nobody listens."""
    done = ask(tmp_path / "store", OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{closed_port()}")
    assert done.returncode == 1
    assert "refused: nothing listens there" in " ".join(done.stdout.split())
    assert done.stdout.splitlines()[-1] == "1 problem, marked !!"


def test_quick_asks_nobody(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """No request and no import: for a health check every few seconds."""
    status, data = quick(tmp_path / "store", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint)
    assert (status, receiver.requests) == (0, [])
    assert data["sections"]["telemetry"]["endpoints"][0]["answers"] is None
    assert data["sections"]["sdks"]["openai"]["recorded"] is None
    assert data["sections"]["wires"]["urllib3"]["patched"] in (None, 0)


# -- the store


def test_what_waits_is_counted_for_each_destination(tmp_path: Path) -> None:
    """For the store, for this environment's endpoint and for others: calls, bytes, the oldest."""
    endpoint = f"http://127.0.0.1:{closed_port()}"
    mine = Config.from_env({"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}).destination
    store = Store(tmp_path / "store")
    now = time.time_ns()
    recent = {"start": now - 60 * 10**9, "end": now}
    segment(store, "1-1-a", line(1, **recent), line(2, **recent))
    path = segment(store, "2-1-a", line(3, **recent), line(4, **recent), destination=mine, keep=False)
    first = path.read_bytes().split(b"\n")
    path.with_suffix(".sent").write_text(f"{len(first[0]) + len(first[1]) + 2:020d}")
    segment(store, "3-1-a", line(5, **recent), destination="0123456789abcdef", keep=False)
    status, data = quick(store.directory, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
    assert status == 0
    waiting = {each["for"]: each for each in data["sections"]["store"]["waiting"]}
    assert {name: each["calls"] for name, each in waiting.items()} == {
        "store": 2,
        "endpoint": 1,
        "another endpoint": 1,
    }
    assert waiting["endpoint"]["bytes"] == len(first[2]) + 1
    store.ingest_all()
    _, data = quick(store.directory)
    assert [each["for"] for each in data["sections"]["store"]["waiting"]] == ["another endpoint", "another endpoint"]
    assert data["sections"]["store"]["calls"] == 2


def test_work_whose_usage_nobody_has_fetched_is_told(tmp_path: Path) -> None:
    """It is no call yet, and a note says how many there are."""
    store = tmp_path / "store"
    assert "owed" not in quick(store)[1]["sections"]["store"]
    for number in range(2):
        Owed(store).open(str(number), Origin(Caller(), None, None, None))
    status, data = quick(store)
    assert (status, data["sections"]["store"]["owed"]) == (0, 2)
    assert "2 batches or background responses whose usage" in texts(data, "store", "note")


def test_calls_that_are_about_to_be_dropped_are_a_problem(tmp_path: Path) -> None:
    """Half of the two days that calls may wait for their endpoint have gone by."""
    endpoint = f"http://127.0.0.1:{closed_port()}"
    mine = Config.from_env({"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}).destination
    begun = time.time_ns() - 25 * 3600 * 10**9
    segment(Store(tmp_path / "store"), "1-1-a", line(1, start=begun, end=begun), destination=mine, keep=False)
    status, data = quick(tmp_path / "store", OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
    assert status == 1
    assert "1 call waits" in data["problems"][0]
    status, data = quick(tmp_path / "store")
    assert status == 1
    assert "for another endpoint than this environment's: beyond 48 h" in data["problems"][0]


def test_a_store_of_delivered_calls_only_is_not_said_to_wait_for_a_first_one(tmp_path: Path) -> None:
    """Where calls leave for an endpoint, an empty store is as it should be, and says so."""
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{closed_port()}"}
    _, data = quick(tmp_path / "store", **environ)
    assert "no calls here, only until delivered" in texts(data, "store", "ok")
    _, data = quick(tmp_path / "store")
    assert "no calls yet, kept 90 d" in texts(data, "store", "ok")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="Linux's /proc is what cannot be written, by nobody")
def test_a_store_where_nothing_can_be_written_is_not_a_full_disk() -> None:
    """Even root can make no directory in /proc: the calls stay in memory, and that is what is said."""
    status, data = quick(Path("/proc/hexr"))
    assert status == 1
    assert "/proc/hexr cannot be written: calls are kept in memory only" in data["problems"][0]


def test_what_was_dropped_is_summed_by_reason(tmp_path: Path) -> None:
    """Of the last day: a problem; older: worth knowing; older than a week: gone. A reason holds no secret."""
    store = tmp_path / "store"
    store.mkdir()
    health.note(store, "dropped", "older than 48 h", 5)
    health.note(store, "dropped", "older than 48 h", 7)
    health.note(store, "refused", "HTTP 401 for https://u:planted-pw@c.example?key=planted-key", 2)
    day = 86400 * 10**9
    with health.file_of(store).open("a") as file:
        for age, reason in ((3, "aged"), (8, "forgotten")):
            entry = {"time": time.time_ns() - age * day, "kind": "breaker", "reason": reason, "count": 1}
            file.write(json.dumps(entry) + "\n")
    status, data = quick(store)
    assert status == 1
    section = "lost in the last 7 days"
    assert "calls dropped: older than 48 h (12, last " in texts(data, section, "problem")
    assert "failed again and again: aged (1, last " in texts(data, section, "note")
    assert "forgotten" not in json.dumps(data)
    assert "planted" not in json.dumps(data)


def test_old_losses_do_not_fail_a_health_check(tmp_path: Path) -> None:
    """What was lost two days ago is told, with status 0."""
    store = tmp_path / "store"
    store.mkdir()
    entry = {"time": time.time_ns() - 2 * 86400 * 10**9, "kind": "dropped", "reason": "full", "count": 3}
    health.file_of(store).write_text(json.dumps(entry) + "\n")
    status, data = quick(store)
    assert status == 0
    assert "calls dropped: full (3, last " in texts(data, "lost in the last 7 days", "note")


@pytest.mark.parametrize("kind", ["link", "linked journal", "file", "foreign", "foreign journal"])
def test_a_store_that_cannot_be_used_is_a_problem(kind: str, tmp_path: Path) -> None:
    """The line names the directory, what is wrong with it, and the mend."""
    store = tmp_path / "store"
    words = "is a symbolic link"
    if kind == "link":
        (tmp_path / "real").mkdir()
        store.symlink_to(tmp_path / "real")
    elif kind == "linked journal":
        store.mkdir()
        (store / "journal").symlink_to(tmp_path)
    elif kind == "file":
        store.write_text("")
        words = "is not a directory"
    elif os.geteuid() == 0:
        where = store if kind == "foreign" else store / "journal"
        where.mkdir(parents=True)
        os.chown(where, 65534, 65534)
        words = "belongs to another user (uid 65534)"
    else:
        pytest.skip("only root can give a directory away")
    status, data = quick(store)
    assert status == 1
    assert words in texts(data, "store", "problem")
    assert "HEXR_STORE" in texts(data, "store", "problem")


def test_a_damaged_store_is_a_problem(tmp_path: Path) -> None:
    """A file that is no database is named, with its mend."""
    store = tmp_path / "store"
    store.mkdir(mode=0o700)
    (store / "hexr.db").write_bytes(b"not a database, but longer than a header")
    status, data = quick(store)
    assert status == 1
    assert "hexr.db is damaged or no store" in texts(data, "store", "problem")


def test_a_store_under_what_is_no_directory_is_a_problem(tmp_path: Path) -> None:
    """Nothing can be made there, and it is said."""
    (tmp_path / "file").write_text("")
    status, data = quick(tmp_path / "file" / "store")
    assert status == 1
    assert str(tmp_path / "file") in texts(data, "store", "problem")


# -- prices and settings


def test_models_without_a_price_are_named(tmp_path: Path) -> None:
    """The store's unpriced calls by model, the most first; they lose nothing."""
    store = Store(tmp_path / "store")
    store.ingest(
        segment(
            store,
            "1-1-a",
            line(1, model="acme-1", cost=None, cost_status="unpriced"),
            line(2, model="acme-1", cost=None, cost_status="unpriced"),
            line(3, model="other", cost=None, cost_status="unpriced"),
            line(4),
        )
    )
    status, data = quick(store.directory)
    assert status == 0
    assert "unpriced calls: acme-1 at openai (2), other at openai (1); `hexr-instrument prices MODEL` says" in texts(
        data, "prices", "note"
    )
    assert [each["calls"] for each in data["sections"]["prices"]["unpriced"]] == [2, 1]


def test_a_table_of_more_than_90_days_is_stale(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The table's own date tells its age."""
    for age, stale in ((90, False), (91, True)):
        monkeypatch.setattr(pricing, "version", lambda age=age: f"prices 1.0 ({date.today() - timedelta(days=age)})")
        text = " ".join(each.text for each in doctor._prices(Store(tmp_path)).findings)
        assert ("stale" in text) is stale


def test_wrong_settings_are_said(tmp_path: Path) -> None:
    """One line each; a problem where it says where calls go."""
    status, data = quick(tmp_path / "store", HEXR_EXIT_TIMEOUT="soon")
    assert status == 0
    assert "HEXR_EXIT_TIMEOUT='soon' is not usable" in texts(data, "settings", "note")
    status, data = quick(tmp_path / "store", OTEL_EXPORTER_OTLP_ENDPOINT="localhost:4318")
    assert status == 1
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in texts(data, "settings", "problem")


def test_a_wrong_option_is_status_2_and_help_says_the_statuses() -> None:
    """As of the other tools."""
    command = [sys.executable, "-m", "hexr_instrument", "doctor"]
    wrong = subprocess.run([*command, "--nonsense"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
    shown = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True).stdout
    for word in ("--quick", "--json", "0  all well", "1  something loses calls", "2  an option"):
        assert word in shown
