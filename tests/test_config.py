"""The configuration: what the environment means, and what is said of a value that cannot be used."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from support import Run

from hexr_instrument import config
from hexr_instrument.config import Config, default_store
from hexr_instrument.values import ConfigError, seconds
from hexr_instrument.variables import VARIABLES

DEFAULTS = Config.from_env({})
ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}


def test_an_empty_environment_is_the_embedded_default() -> None:
    """With nothing set, calls are kept in the local store for 90 days, nothing is exported, nothing is complained of."""
    assert not DEFAULTS.disabled
    assert not DEFAULTS.exports
    assert DEFAULTS.keep
    assert DEFAULTS.keep_seconds == 90 * 86400
    assert DEFAULTS.exporters == DEFAULTS.complaints == DEFAULTS.labels == DEFAULTS.resource == ()
    assert (DEFAULTS.agent, DEFAULTS.role, DEFAULTS.tenant, DEFAULTS.run, DEFAULTS.service) == (None,) * 5
    assert DEFAULTS.destination is None
    assert (DEFAULTS.exit_timeout, DEFAULTS.sampler, DEFAULTS.ratio) == (2.0, "parentbased_always_on", 1.0)


@pytest.mark.parametrize("blank", ["", " ", "\t"], ids=repr)
@pytest.mark.parametrize("variable", VARIABLES, ids=lambda variable: variable.name)
def test_an_empty_value_is_an_unset_one(variable: config.Variable, blank: str) -> None:
    """OpenTelemetry's rule, for every variable."""
    assert Config.from_env({variable.name: blank}) == DEFAULTS


WRONG = {
    "HEXR_DISABLED": ["maybe", "2", "ja"],
    "HEXR_KEEP": ["forever", "90 days", "-1d", "1y", "d", "1e3", "9" * 400 + "d", "nan", "inf"],
    "HEXR_LABELS": ["team", "=search", "team=search,env"],
    "HEXR_EXIT_TIMEOUT": ["soon", "-2", "2 seconds", "1,5"],
    "HEXR_STREAM_USAGE": ["always,never", "http://host/v1", "a b"],
    "HEXR_NATIVE_SPANS": ["yes", "muted", "0"],
    "OTEL_SDK_DISABLED": ["maybe"],
    "OTEL_RESOURCE_ATTRIBUTES": ["service.name", "=x"],
    "OTEL_EXPORTER_OTLP_ENDPOINT": ["localhost:4318", "htp://localhost", "http://", "http:// x", "/v1/traces"],
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": ["localhost"],
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": ["localhost"],
    "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": ["http/json"],
    "OTEL_METRICS_EXPORTER": ["statsd"],
    "OTEL_METRIC_EXPORT_INTERVAL": ["1m", "0", "-1"],
    "OTEL_EXPORTER_PROMETHEUS_PORT": ["http", "65536"],
    "HEXR_METRIC_LABELS": ["tenat", "tenant,label.", "label"],
    "HEXR_SEMCONV": ["1.41"],
    "OTEL_EXPORTER_OTLP_PROTOCOL": ["http", "http/json", "GRPC-WEB"],
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": ["protobuf"],
    "OTEL_TRACES_EXPORTER": ["jaeger", "otlp,zipkin"],
    "OTEL_TRACES_SAMPLER": ["sometimes", "ratio"],
    "OTEL_TRACES_SAMPLER_ARG": ["half", "1.5", "-0.1", "nan", "inf", "50%"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_a_wrong_value_is_one_line_and_its_default(name: str, value: str) -> None:
    """The line names the variable, the value and what would do; everything else is as if it were unset."""
    found = Config.from_env({name: value})
    (line,) = found.complaints
    assert line.startswith(f"{name}='{value[:60]}")
    assert re.search(r"is not usable: use .+; its default is used$", line)
    assert "\n" not in line
    assert len(line) < 300
    assert {field: getattr(found, field) for field in FIELDS} == {field: getattr(DEFAULTS, field) for field in FIELDS}


FIELDS = [field for field in Config.__slots__ if field != "complaints"]


def test_every_wrong_value_is_named() -> None:
    """Several wrong values are several lines, and the right ones beside them count."""
    found = Config.from_env({name: values[0] for name, values in WRONG.items()} | {"HEXR_AGENT_NAME": "crew"})
    named = [line.partition("=")[0] for line in found.complaints]
    assert sorted(named) == sorted(set(WRONG) - {"OTEL_EXPORTER_OTLP_ENDPOINT"})  # those for one signal hide it
    assert found.agent == "crew"


def test_a_complaint_is_short_and_holds_no_password() -> None:
    """Line ends are shown as such, long values are cut, and what stands before an `@` is not shown."""
    (line,) = Config.from_env({"HEXR_KEEP": "1\n2" * 5000}).complaints
    assert "\n" not in line
    assert len(line) < 200
    for value in ("user:secret@host:4318", "htp://user:secret@host", "secret@host"):
        (line,) = Config.from_env({"OTEL_EXPORTER_OTLP_ENDPOINT": value}).complaints
        assert "secret" not in line
        assert "host" in line


class Watched(Mapping[str, str]):
    """An environment that notes the names that are asked for."""

    def __init__(self, held: dict[str, str]) -> None:
        self.held = held
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return self.held[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.held)

    def __len__(self) -> int:
        return len(self.held)


def test_every_variable_that_is_read_is_listed() -> None:
    """The reference page's table names each variable that the configuration asks for."""
    bare = Watched({})
    Config.from_env(bare)
    exporting = Watched({**ENDPOINT})
    Config.from_env(exporting)
    listed = {variable.name for variable in VARIABLES}
    assert (bare.asked | exporting.asked) - {"XDG_STATE_HOME", "TMPDIR"} <= listed
    assert len(listed) == len(VARIABLES)
    assert all(variable.default and variable.meaning.endswith(".") for variable in VARIABLES)


RIGHT: list[tuple[dict[str, str], dict[str, Any]]] = [
    ({"HEXR_DISABLED": "1"}, {"disabled": True}),
    ({"HEXR_DISABLED": " True "}, {"disabled": True}),
    ({"HEXR_DISABLED": "off"}, {"disabled": False}),
    ({"OTEL_SDK_DISABLED": "true"}, {"disabled": True}),
    ({"OTEL_SDK_DISABLED": "true", "HEXR_DISABLED": "false"}, {"disabled": True}),
    ({"HEXR_KEEP": "12h"}, {"keep": True, "keep_seconds": 12 * 3600}),
    ({"HEXR_KEEP": "36500d"}, {"keep_seconds": 36500 * 86400}),
    (ENDPOINT, {"keep": False, "exporters": ("otlp",), "keep_seconds": 90 * 86400}),
    ({**ENDPOINT, "HEXR_KEEP": "1d"}, {"keep": True, "exporters": ("otlp",), "keep_seconds": 86400}),
    ({**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"}, {"keep": True, "exporters": ()}),
    ({"OTEL_TRACES_EXPORTER": "Console, otlp"}, {"exporters": ("console", "otlp")}),
    ({"OTEL_TRACES_EXPORTER": ","}, {"exporters": ()}),
    ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "HTTPS://u:p@h/x"}, {"exporters": ("otlp",)}),
    ({**ENDPOINT, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": " "}, {"exporters": ("otlp",)}),
    ({"OTEL_EXPORTER_OTLP_ENDPOINT": "h:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, {"exporters": ("otlp",)}),
    ({"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "GRPC"}, {"protocol": "grpc"}),
    ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, {"protocol": "grpc"}),
    ({"OTEL_SERVICE_NAME": "crew"}, {"agent": "crew", "service": "crew", "resource": (("service.name", "crew"),)}),
    ({"OTEL_SERVICE_NAME": "crew", "HEXR_AGENT_NAME": "bot"}, {"agent": "bot", "service": "crew"}),
    ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=a%2Cb, x = y=z ,"}, {"resource": (("service.name", "a,b"), ("x", "y=z"))}),
    ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=a", "OTEL_SERVICE_NAME": "b"}, {"service": "b"}),
    ({"OTEL_RESOURCE_ATTRIBUTES": "x=" + "y" * 999}, {"resource": (("x", "y" * 999),)}),
    ({"HEXR_LABELS": "team=search, env = prod,"}, {"labels": (("team", "search"), ("env", "prod"))}),
    ({"HEXR_LABELS": "team=" + "x" * 999}, {"labels": (("team", "x" * 256),)}),
    ({"HEXR_AGENT_NAME": " a b ", "HEXR_AGENT_ROLE": "r", "HEXR_AGENT_TENANT": "t" * 999},
     {"agent": "a b", "role": "r", "tenant": "t" * 256}),
    ({"HEXR_EXIT_TIMEOUT": "0"}, {"exit_timeout": 0.0}),
    ({"HEXR_EXIT_TIMEOUT": "0.5"}, {"exit_timeout": 0.5}),
    ({"HEXR_NATIVE_SPANS": "KEEP"}, {"native_spans": True}),
    ({"HEXR_NATIVE_SPANS": "mute"}, {"native_spans": False}),
    ({"OTEL_TRACES_SAMPLER": "TraceIdRatio", "OTEL_TRACES_SAMPLER_ARG": "0.25"}, {"sampler": "traceidratio", "ratio": 0.25}),
    ({"HEXR_RUN": "abc"}, {"run": "abc"}),
]  # fmt: skip


@pytest.mark.parametrize(("environ", "want"), RIGHT, ids=lambda value: str(value)[:60])
def test_a_right_value_is_taken(environ: dict[str, str], want: dict[str, Any]) -> None:
    """What each variable means, alone and beside others."""
    found = Config.from_env(environ)
    assert found.complaints == ()
    assert {name: getattr(found, name) for name in want} == want


def test_a_wrong_endpoint_exports_nowhere() -> None:
    """An endpoint that no exporter can use leaves the calls in the local store, whatever OTEL_TRACES_EXPORTER says."""
    wrong = {"OTEL_EXPORTER_OTLP_ENDPOINT": "localhost:4318"}
    for exporter, want in (("", ()), ("otlp", ()), ("console,otlp", ("console",))):
        found = Config.from_env({**wrong, "OTEL_TRACES_EXPORTER": exporter})
        assert (found.exporters, found.keep, len(found.complaints)) == (want, not want, 1)


def test_the_destination_tells_endpoints_apart_and_hides_them() -> None:
    """Waiting calls are meant for one endpoint; on disk there is a hash of it alone."""
    one = Config.from_env({"OTEL_EXPORTER_OTLP_ENDPOINT": "https://user:secret@one"}).destination
    two = Config.from_env({"OTEL_EXPORTER_OTLP_ENDPOINT": "https://user:secret@two"}).destination
    assert one is not None
    assert two is not None
    assert one != two
    assert re.fullmatch("[0-9a-f]{16}", one)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("90d", 7776000),
        ("12h", 43200),
        ("30m", 1800),
        ("15s", 15),
        ("15", 15),
        (" 1.5 h ", 5400),
        ("2w", 1209600),
        ("0", 0),
    ],
)
def test_a_duration_is_seconds(text: str, want: float) -> None:
    """A number with s, m, h, d or w, or none for seconds."""
    assert seconds(text) == want


@pytest.mark.parametrize("text", ["", "d", "1x", "1 d h", "-1s", "1e9", "36501d", "0x10", "1_0", "9" * 400])
def test_what_is_no_duration_is_said_to_be_none(text: str) -> None:
    """The error says what would do."""
    with pytest.raises(ConfigError, match="use a duration such as 90d"):
        seconds(text)


@pytest.mark.skipif(os.name == "nt", reason="the folders are those of POSIX")
def test_the_store_is_where_the_user_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """HEXR_STORE, else $XDG_STATE_HOME/hexr, else ~/.local/state/hexr; always absolute."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    cases = {
        (): tmp_path / ".local" / "state" / "hexr",
        (("XDG_STATE_HOME", "/state"),): Path("/state/hexr"),
        (("XDG_STATE_HOME", "relative"),): tmp_path / ".local" / "state" / "hexr",  # as the XDG specification says
        (("HEXR_STORE", "/kept"), ("XDG_STATE_HOME", "/state")): Path("/kept"),
        (("HEXR_STORE", "here/../there"),): tmp_path / "there",
        (("HEXR_STORE", "~/kept"),): tmp_path / "kept",
        (("HEXR_STORE", "~no-such-user-anywhere/kept"),): tmp_path / "~no-such-user-anywhere" / "kept",
        (("HEXR_STORE", "  "),): tmp_path / ".local" / "state" / "hexr",
    }
    for environ, want in cases.items():
        assert default_store(dict(environ)) == want


@pytest.mark.skipif(os.name == "nt", reason="the folders are those of POSIX")
def test_a_user_without_a_home_gets_a_temporary_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where neither HOME nor the password file knows one (a container's random uid), no folder `~` is made."""
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    found = default_store({"TMPDIR": "/scratch"})
    assert found == Path("/scratch") / f"hexr-{os.getuid()}"
    assert default_store({}).is_absolute()


CALLS = """
from openai import OpenAI
client = OpenAI()
for _ in range(2):
    client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
print("done")
"""


def test_a_wrong_value_is_said_once_and_the_program_runs(run: Run) -> None:
    """In a real program: its output and status are its own, one line per wrong value, and its calls are recorded."""
    pytest.importorskip("openai")
    done = run(CALLS, HEXR_LABELS="team", OTEL_TRACES_SAMPLER="sometimes", HEXR_AGENT_NAME="")
    assert (done.returncode, done.out) == (0, "done\n")
    lines = done.err.splitlines()
    assert [line.split("=")[0] for line in lines] == [
        "hexr-instrument: HEXR_LABELS",
        "hexr-instrument: OTEL_TRACES_SAMPLER",
    ]
    assert len(done.calls) == 2
