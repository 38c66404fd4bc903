"""Among other agents and in other hosts of Python: everything works, each call is recorded once.

The agents and hosts are no test dependency: what is not installed is skipped (`make company` installs them).
"""

from __future__ import annotations

import gzip
import http.server
import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from support import Run, records
from test_servers import free_port, get, start, until

from hexr_instrument.cli import boot_directory
from hexr_instrument.demo.providers import ProviderServer
from hexr_instrument.demo.receiver import OtlpReceiver

__all__ = ["start"]  # a fixture

CALL = """
from openai import OpenAI
answer = OpenAI().chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
print(answer.choices[0].finish_reason)
"""


def needs(*modules: str) -> pytest.MarkDecorator:
    """Skips where one of these is not installed."""
    missing = [each for each in modules if importlib.util.find_spec(each) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


AGENTS = {
    "ddtrace": (["ddtrace-run"], {"DD_TRACE_ENABLED": "false", "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false"}),
    "newrelic": (
        ["newrelic-admin", "run-program"],
        {"NEW_RELIC_LICENSE_KEY": "0" * 40, "NEW_RELIC_MONITOR_MODE": "false"},
    ),
}


@pytest.mark.parametrize("order", ["around", "inside"])
@pytest.mark.parametrize("agent", [pytest.param(each, marks=needs(each)) for each in AGENTS])
def test_another_agent_and_ours_live_together(run: Run, tmp_path: Path, agent: str, order: str) -> None:
    """ddtrace-run and newrelic-admin around or inside of our launcher: the program's output, and one call."""
    launcher, variables = AGENTS[agent]
    launcher = [str(Path(sys.executable).with_name(launcher[0])), *launcher[1:]]
    (tmp_path / "call.py").write_text(CALL)
    program, ours = [sys.executable, str(tmp_path / "call.py")], [sys.executable, "-m", "hexr_instrument"]
    command = [*launcher, *ours, *program] if order == "around" else [*ours, *launcher, *program]
    done = run(command=command, bare=True, **variables)
    assert done.returncode == 0, done.err
    assert done.out.splitlines()[-1] == "stop"
    assert "hexr" not in done.err
    assert len(done.calls) == 1


@needs("sentry_sdk")
def test_sentry_and_ours_live_together(run: Run) -> None:
    """Initialised, with its own wrapper around the same SDK: its spans arrive, the output is the program's, one call."""
    seen: list[bytes] = []

    class Sentry(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            seen.append(gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sentry) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        dsn = f"http://key@127.0.0.1:{server.server_port}/1"
        source = f"import sentry_sdk\nsentry_sdk.init({dsn!r}, traces_sample_rate=1.0, _experiments={{}})\n"
        source += "with sentry_sdk.start_transaction(name='mine'):\n    " + CALL.strip().replace("\n", "\n    ")
        source += "\nsentry_sdk.capture_message('done'); sentry_sdk.flush(20)\n"
        bare, done = run(source, bare=True), run(source)
        server.shutdown()
    assert (done.returncode, done.out, done.err) == (bare.returncode, bare.out, bare.err) == (0, "stop\n", "")
    assert len(done.calls) == 1
    transactions = [each for each in seen if b'"transaction":"mine"' in each and b"gen_ai" in each]
    assert len(transactions) == 2
    assert not [each for each in transactions if b"hexr" in each.lower()]


@needs("hypercorn")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_hypercorn_that_is_stopped_has_delivered_every_call(
    start: Any, receiver: OtlpReceiver, tmp_path: Path, number: int
) -> None:
    """Its workers are children of multiprocessing, and leave when asked: each call arrives, the status is as without us."""
    port = free_port()
    command = ["-m", "hypercorn", "--workers", "2", "--bind", f"127.0.0.1:{port}", "app:asgi"]
    with start(*command, bare=True) as bare:
        until(lambda: get(port, "/"), f"hypercorn: {bare.log}")
        expected = bare.stop(number)
    with start(*command) as running:
        until(lambda: get(port, "/"), f"hypercorn: {running.log}")
        answered = [get(port, "/call") for _ in range(12)]
        assert None not in answered
        assert running.stop(number) == expected, running.log
    assert len(receiver.wait(12, timeout=5)) == 12, running.log
    pids = [span.resource["service.instance.id"].rpartition("-")[2] for span in receiver.spans]
    assert sorted(pids) == sorted(map(str, answered))
    assert records(tmp_path / "store") == []
    assert "hexr" not in running.log


def test_the_operators_order_loads_us(run: Run, receiver: OtlpReceiver, tmp_path: Path) -> None:
    """OpenTelemetry's boot folder before ours on PYTHONPATH, as its operator puts it: our entry points load us once."""
    from opentelemetry.instrumentation import auto_instrumentation

    (tmp_path / "call.py").write_text(CALL)
    assert auto_instrumentation.__file__ is not None
    done = run(
        command=[sys.executable, str(tmp_path / "call.py")],
        bare=True,
        PYTHONPATH=os.pathsep.join((str(Path(auto_instrumentation.__file__).parent), str(boot_directory()))),
        OTEL_METRICS_EXPORTER="none",
        OTEL_LOGS_EXPORTER="none",
        **receiver.environment(),
    )
    assert (done.returncode, done.out) == (0, "stop\n"), done.err
    assert [span.name for span in receiver.wait(1)] == ["chat gpt-4o"]


def test_pytest_and_its_workers_are_recorded(run: Run, tmp_path: Path) -> None:
    """A user's tests under the launcher, on two workers: each call once, from the process that made it."""
    (tmp_path / "test_mine.py").write_text(
        "import os, pytest\nfrom openai import OpenAI\n"
        "@pytest.mark.parametrize('n', range(4))\n"
        "def test_call(n):\n"
        "    OpenAI().chat.completions.create(model='gpt-4o', messages=[{'role': 'user', 'content': 'hi'}])\n"
        "    print('pid', os.getpid())\n"
    )
    done = run(command=[sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", "test_mine.py"])
    assert done.returncode == 0, done.out
    assert "4 passed" in done.out
    assert len(done.calls) == 4


@needs("ipykernel", "jupyter_client")
def test_a_notebooks_kernel_is_recorded(run: Run, tmp_path: Path) -> None:
    """A Jupyter kernel that is started under the launcher records what its cells call."""
    source = (
        "from jupyter_client.manager import start_new_kernel\n"
        "manager, client = start_new_kernel(kernel_name='python3')\n"
        f"reply = client.execute_interactive({CALL!r}, timeout=60)\n"
        "assert reply['content']['status'] == 'ok', reply\n"
        "client.stop_channels(); manager.shutdown_kernel()\n"
    )
    done = run(source, timeout=120)
    assert done.returncode == 0, done.err
    assert "stop" in done.out
    assert len(done.calls) == 1


@needs("streamlit")
def test_a_streamlit_app_is_recorded(run: Run, tmp_path: Path) -> None:
    """An app that streamlit runs, here by its own test driver, is recorded."""
    (tmp_path / "app.py").write_text("import streamlit as st\n" + CALL.replace("print(", "st.write("))
    source = (
        "from streamlit.testing.v1 import AppTest\n"
        f"app = AppTest.from_file({str(tmp_path / 'app.py')!r}, default_timeout=60).run()\n"
        "assert not app.exception, app.exception\n"
    )
    done = run(source, timeout=120)
    assert done.returncode == 0, done.err
    assert len(done.calls) == 1


@needs("PyInstaller")
def test_a_frozen_program_runs_as_without_us(run: Run, tmp_path: Path, providers: ProviderServer) -> None:
    """PyInstaller's binary ignores PYTHONPATH: it works under the launcher, unrecorded, and no line is ours."""
    (tmp_path / "frozen.py").write_text("print('frozen')\n")
    build = [
        sys.executable,
        "-m",
        "PyInstaller",
        "--log-level",
        "ERROR",
        "--distpath",
        str(tmp_path / "dist"),
        "frozen.py",
    ]
    subprocess.run(build, cwd=tmp_path, check=True, timeout=150, capture_output=True)
    done = run(command=[str(tmp_path / "dist" / "frozen" / "frozen")])
    assert (done.returncode, done.out, done.err) == (0, "frozen\n", "")


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python warns from 3.12 on")
def test_a_fork_before_any_call_warns_of_nothing(run: Run) -> None:
    """No thread of ours runs before the first call: `os.fork()` prints no warning about threads."""
    done = run("import os, openai\npid = os.fork()\nif pid == 0: os._exit(0)\nprint(os.waitpid(pid, 0)[1])")
    assert (done.out, done.err) == ("0\n", "")


def test_open_files_and_signals_are_unchanged_before_a_provider(run: Run, receiver: OtlpReceiver) -> None:
    """Until the first import of a provider: no thread, no handler, no descriptor, no module beyond the finder."""
    source = (
        "import json, os, signal, threading, sys\n"
        "print(json.dumps([[t.name for t in threading.enumerate()], sorted(os.listdir('/proc/self/fd')),"
        " [str(signal.getsignal(s)) for s in signal.valid_signals() if s not in (signal.SIGKILL, signal.SIGSTOP)]]))"
    )
    if not Path("/proc/self/fd").exists():
        pytest.skip("no /proc here")
    environment = receiver.environment()
    ours, bare = run(source, **environment), run(source, bare=True, **environment)
    assert json.loads(ours.out) == json.loads(bare.out)
