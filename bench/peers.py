"""Who is measured: bare, ours, and each peer with what it needs, in an environment of its own under bench/out.

A peer is installed with the newest versions that go together and started as its own documentation says: by its
launcher, or by the lines that a program has to run first. Prompts and answers are not captured where that can be said.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "bench" / "out"
SDKS = ("openai", "anthropic", "google-genai")
_OTLP = "opentelemetry-exporter-otlp-proto-http"

PROVIDERS = """
from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
trace.set_tracer_provider(TracerProvider())
trace.get_tracer_provider().add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
metrics.set_meter_provider(MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())]))
"""
"""The SDK's own pipeline, for instrumentors that leave it to the program."""
FLUSH = """
def flush():
    from opentelemetry import metrics, trace
    for provider in (trace.get_tracer_provider(), metrics.get_meter_provider()):
        getattr(provider, "force_flush", bool)()
"""
ENDED = 'for name in ("opentelemetry.trace", "opentelemetry.metrics"):\n    pass\n'


@dataclass(frozen=True)
class Peer:
    """One way to record calls."""

    name: str
    title: str
    packages: tuple[str, ...] = ()
    """Beside the SDKs, as pip takes them."""
    prefix: tuple[str, ...] = ()
    """Its launcher, in its environment's bin; empty where a program starts it in code."""
    start: str = ""
    """Python lines that start it, where no launcher does."""
    flush: str = FLUSH
    """Python lines that define `flush()`: everything recorded is delivered."""
    environ: dict[str, str] = field(default_factory=dict)
    overrides: tuple[str, ...] = ()
    """Versions without which it cannot be installed or imported; said in the table."""
    endpoint: bool = True
    """Whether OTLP goes to the sink; without, ours keeps its local store."""

    @property
    def environment(self) -> str:
        """The folder of its environment; two ways of ours share one."""
        return self.name.split("-")[0]

    @property
    def bin(self) -> Path:
        """Where its commands are."""
        return OUT / "env" / self.environment / "bin"

    def command(self, *program: str) -> list[str]:
        """A command line that runs Python with this peer's launcher."""
        python = str(self.bin / "python")
        if not self.prefix:
            return [python, *program]
        return [str(self.bin / self.prefix[0]), *self.prefix[1:], python, *program]


OURS_FLUSH = "import hexr_instrument\ndef flush(): hexr_instrument.flush(120)\n"
PEERS = (
    Peer("bare", "bare", flush="def flush(): pass\n"),
    Peer("hexr", "**hexr-instrument**", (str(ROOT),), ("hexr-instrument",), flush=OURS_FLUSH, endpoint=False),
    Peer("hexr-otlp", "hexr-instrument, with an OTLP endpoint", (str(ROOT),), ("hexr-instrument",), flush=OURS_FLUSH),
    Peer(
        "official",
        "official genai-*",
        (
            "opentelemetry-instrumentation-genai-openai",
            "opentelemetry-instrumentation-genai-anthropic",
            "opentelemetry-instrumentation-google-genai",
            "opentelemetry-distro",
            _OTLP,
        ),
        ("opentelemetry-instrument",),
    ),
    Peer(
        "openllmetry",
        "OpenLLMetry",
        ("traceloop-sdk", "httpx"),
        start="from traceloop.sdk import Traceloop\nTraceloop.init(app_name='bench', telemetry_enabled=False)\n",
        environ={"TRACELOOP_TRACE_CONTENT": "false", "TRACELOOP_TELEMETRY": "false"},
    ),
    Peer(
        "openinference",
        "OpenInference",
        (
            "openinference-instrumentation-openai",
            "openinference-instrumentation-anthropic",
            "openinference-instrumentation-google-genai",
            "opentelemetry-sdk",
            _OTLP,
        ),
        start=PROVIDERS
        + "from openinference.instrumentation.openai import OpenAIInstrumentor\n"
        + "from openinference.instrumentation.anthropic import AnthropicInstrumentor\n"
        + "from openinference.instrumentation.google_genai import GoogleGenAIInstrumentor\n"
        + "OpenAIInstrumentor().instrument(); AnthropicInstrumentor().instrument(); GoogleGenAIInstrumentor().instrument()\n",
        environ={"OPENINFERENCE_HIDE_INPUTS": "true", "OPENINFERENCE_HIDE_OUTPUTS": "true"},
    ),
    Peer(
        "openlit",
        "OpenLIT",
        ("openlit",),
        start="import openlit\nopenlit.init(capture_message_content=False, disable_batch=False)\n",
        environ={"OPENLIT_CAPTURE_MESSAGE_CONTENT": "false", "OPENLIT_DISABLE_BATCH": "false"},
    ),
    Peer(
        "logfire",
        "Logfire",
        ("logfire[google-genai]", _OTLP),
        start="import logfire\nlogfire.configure(send_to_logfire=False, console=False, inspect_arguments=False)\n"
        "logfire.instrument_openai(); logfire.instrument_anthropic(); logfire.instrument_google_genai()\n",
        overrides=("certifi",),
    ),
    Peer(
        "ddtrace",
        "ddtrace",
        ("ddtrace",),
        ("ddtrace-run",),
        flush="def flush():\n    from ddtrace.trace import tracer\n    from ddtrace.llmobs import LLMObs\n"
        "    LLMObs.flush(); tracer.flush()\n",
        environ={
            "DD_LLMOBS_ENABLED": "1",
            "DD_LLMOBS_ML_APP": "bench",
            "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
            "DD_REMOTE_CONFIGURATION_ENABLED": "false",
            "DD_CRASHTRACKING_ENABLED": "false",
        },
    ),
    Peer(
        "traceverde",
        "TraceVerde",
        ("genai-otel-instrument",),
        start="import genai_otel\ngenai_otel.instrument(service_name='bench', enable_gpu_metrics=False, enable_co2_tracking=False,"
        " enable_content_capture=False)\n",
        environ={"GENAI_ENABLE_GPU_METRICS": "false", "GENAI_ENABLE_CO2_TRACKING": "false"},
    ),
)
NAMES = [peer.name for peer in PEERS]


def named(name: str) -> Peer:
    """The peer of that name."""
    return next(peer for peer in PEERS if peer.name == name)


def install(peer: Peer) -> str | None:
    """Makes a peer's environment if it is not there; why it cannot be, or None."""
    folder = peer.bin.parent
    if (folder / "installed").exists():
        return None
    shutil.rmtree(folder, ignore_errors=True)
    uv = shutil.which("uv")
    python = folder / "bin" / "python"
    wanted = [*(("-e", peer.packages[0]) if peer.packages[:1] == (str(ROOT),) else peer.packages), *SDKS]
    if uv:
        overrides = OUT / f"{peer.name}.overrides"
        overrides.parent.mkdir(parents=True, exist_ok=True)
        overrides.write_text("\n".join(peer.overrides))
        steps = [
            [uv, "venv", "-q", "--python", sys.executable, str(folder)],
            [uv, "pip", "install", "-q", "--python", str(python), "--overrides", str(overrides), *wanted],
        ]
    else:
        steps = [[sys.executable, "-m", "venv", str(folder)], [str(python), "-m", "pip", "install", "-q", *wanted]]
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, timeout=900)
        if done.returncode:
            return (done.stderr.strip().splitlines() or ["?"])[-1][:200]
    # Compiled once, as an installer that is asked to does; the first start is not what is measured.
    subprocess.run([str(python), "-m", "compileall", "-q", str(folder / "lib")], capture_output=True)
    (folder / "installed").touch()
    return None


def versions(peer: Peer) -> dict[str, str]:
    """The versions of what matters in a peer's environment."""
    code = "import importlib.metadata as m, json; print(json.dumps({d.metadata['Name'].lower(): d.version for d in m.distributions()}))"
    import json

    done = subprocess.run([str(peer.bin / "python"), "-c", code], capture_output=True, text=True)
    found = json.loads(done.stdout or "{}")
    wanted = {name.split("[")[0].lower() for name in peer.packages} | set(SDKS) | {"opentelemetry-sdk"}
    if "hexr-instrument" in found:
        wanted |= {"hexr-instrument"}
    return {name: found[name] for name in sorted(wanted) if name in found}


def environ(peer: Peer, sink: str | None, store: str) -> dict[str, str]:
    """The environment of a peer's program."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    found = {**kept, "PYTHONHASHSEED": "0", "HEXR_STORE": store, "OTEL_SERVICE_NAME": "bench", **peer.environ}
    if peer.endpoint and sink and peer.name != "bare":
        found |= {
            "OTEL_EXPORTER_OTLP_ENDPOINT": sink,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_LOGS_EXPORTER": "none",
            "TRACELOOP_BASE_URL": sink,
            "DD_TRACE_AGENT_URL": sink,
        }
    if peer.name != "bare":
        found["ANTHROPIC_OPEN_TELEMETRY"] = "false" if not peer.name.startswith("hexr") else ""
        if not found["ANTHROPIC_OPEN_TELEMETRY"]:
            del found["ANTHROPIC_OPEN_TELEMETRY"]
    return found
