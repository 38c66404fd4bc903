"""The image that is injected into foreign containers: laid out by its build's own script, tried without a cluster."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT, clean_environment, records

from hexr_instrument.demo.providers import ProviderServer
from hexr_instrument.demo.receiver import OtlpReceiver

pytestmark = [
    pytest.mark.skipif(
        os.name == "nt" or any(importlib.util.find_spec(each) is None for each in ("hatchling", "pip")),
        reason="needs POSIX, hatchling and pip",
    ),
    pytest.mark.timeout(600),  # packages come from a registry
]
PROGRAM = """
import os, sys
before = list(sys.path)
import importlib.util, subprocess
assert not [each for each in before if "pkgs" in each]
assert sys.path == before
from openai import OpenAI
import google.protobuf, typing_extensions, urllib3
for module in (google.protobuf, typing_extensions, urllib3):
    assert "/pkgs/" not in module.__file__, module.__file__
print(google.protobuf.__version__, urllib3.__version__)
answer = OpenAI().chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
print(os.getpid(), answer.usage.total_tokens)
"""
ENTER = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-euc"]
PLACES = """
mount -t tmpfs none /srv && cd /srv && mkdir app hexr state
mount --bind "$APP" app && mount -o remount,ro,bind app
mount --bind "$IMAGE" hexr && mount -o remount,ro,bind hexr
mount --bind "$STATE" state
mount --bind / / && mount -o remount,ro,bind / && mount -o remount,ro /srv
exec "$@"
"""
"""What a pod has: a read-only root with three volumes, two of them read-only, and a process 1."""


def pip(*arguments: str) -> None:
    """Runs pip; where no registry is reached, the test is skipped."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, env=clean_environment())
    if done.returncode != 0 and "from versions: none" in done.stderr:
        pytest.skip("needs a package registry")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder, laid out by the script that the image's build file runs."""
    pip("download", "--no-deps", "--dest", str(tmp_path_factory.mktemp("probe")), "zipp")
    made = tmp_path_factory.mktemp("image")
    code = "import sys, hatchling.build as backend; print(backend.build_wheel(sys.argv[1]))"
    wheel = subprocess.check_output([sys.executable, "-c", code, str(made)], text=True, cwd=ROOT).split()[-1]
    script = [sys.executable, str(ROOT / "deploy" / "injected" / "lay_out.py")]
    subprocess.run([*script, made / "hexr", made / wheel], check=True, timeout=500, env=clean_environment())
    return made / "hexr"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program's own environment, without us, of another Python where there is one that anybody may run."""
    folder = tmp_path_factory.mktemp("app")
    other = Path("/usr/bin/python3")
    new = other.exists() and subprocess.run([other, "-c", "import sys, venv; sys.exit(sys.version_info < (3, 10))"])
    python = other if new and new.returncode == 0 else Path(sys.executable)
    subprocess.run([python, "-m", "venv", "--without-pip", folder], check=True)
    install(folder, "openai", "protobuf<7", "urllib3<2", "typing_extensions<4.16")
    (folder / "program.py").write_text(PROGRAM)
    folder.chmod(0o755)
    return folder


def install(folder: Path, *packages: str) -> None:
    """Installs into an environment that has no pip of its own."""
    python = str(folder / "bin" / "python")
    if uv := shutil.which("uv"):  # in a tenth of pip's time
        subprocess.run([uv, "pip", "install", "-q", "--python", python, *packages], check=True, timeout=500)
    else:
        pip("--python", python, "install", "--no-compile", *packages)


def allowed() -> bool:
    """Whether this machine lets us make namespaces."""
    try:
        return subprocess.run([*ENTER, "mount -t tmpfs none /srv"], capture_output=True, timeout=20).returncode == 0
    except OSError:
        return False


def pod(app: Path, image: Path, state: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs a command as a container of a pod would: its process 1, nobody's user, no HOME, nothing to write but state."""
    environ = clean_environment(APP=str(app), IMAGE=str(image), STATE=str(state), HEXR_DEBUG="1", **variables)
    for name in ("HOME", "XDG_STATE_HOME", "TMPDIR", "SSL_CERT_FILE"):
        environ.pop(name, None)
    nobody = ["setpriv", "--reuid", "65532", "--regid", "65532", "--clear-groups", "--"]
    home = Path(os.path.realpath(app / "bin" / "python"))
    stranger = nobody if shutil.which("setpriv") and home.parts[1] == "usr" else []
    return subprocess.run(
        [*ENTER, PLACES, "sh", *stranger, *command], env=environ, capture_output=True, text=True, timeout=120
    )


@pytest.mark.skipif(not allowed(), reason="needs the right to make namespaces")
@pytest.mark.parametrize(
    "folder", ["boot", "opentelemetry/instrumentation/auto_instrumentation"], ids=["ours", "operator"]
)
def test_an_injected_program_is_recorded_with_its_own_libraries(
    image: Path, app: Path, providers: ProviderServer, receiver: OtlpReceiver, tmp_path: Path, folder: str
) -> None:
    """Older protobuf, urllib3 and typing_extensions of the program are what it imports; its calls wait and arrive."""
    tmp_path.chmod(0o777)  # as an emptyDir is
    path = f"/srv/hexr/{folder}" + (":/srv/hexr" if folder != "boot" else "")
    environ = {
        **providers.environment(),
        "PYTHONPATH": path,
        "HEXR_STORE": "/srv/state/hexr",
        "HEXR_AGENT_NAME": "support-bot",
        "HEXR_AGENT_TENANT": "acme",
        "HEXR_EXIT_TIMEOUT": "30",
    }
    down = pod(
        app, image, tmp_path, "/srv/app/bin/python", "/srv/app/program.py",
        **{**environ, **receiver.environment(), "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"},
    )  # fmt: skip
    assert (down.returncode, down.stderr) == (0, "")
    assert down.stdout.startswith("6.") and "\n1 " in down.stdout
    assert [each["kind"] for each in records(tmp_path / "hexr")] == ["call"]
    up = pod(app, image, tmp_path, "/srv/app/bin/python", "/srv/app/program.py", **environ, **receiver.environment())
    assert (up.returncode, up.stderr, up.stdout) == (0, "", down.stdout)
    (span,) = receiver.wait(1)
    assert span.attributes["hexr.agent.name"] == "support-bot"
    assert span.attributes["hexr.agent.tenant"] == "acme"
    assert span.attributes["hexr.llm.cost_usd"] > 0


@pytest.mark.skipif(not allowed(), reason="needs the right to make namespaces")
def test_where_the_libraries_do_not_fit_the_program_runs_as_without_us(
    image: Path, app: Path, providers: ProviderServer, receiver: OtlpReceiver, tmp_path: Path
) -> None:
    """Another release of OpenTelemetry's API, protobuf too old: off without a word; `doctor` names them."""
    program = tmp_path / "app"
    shutil.copytree(app, program, symlinks=True)
    install(program, "opentelemetry-api==1.40.0", "protobuf<5")
    state = tmp_path / "state"
    state.mkdir()
    state.chmod(0o777)
    environ = {**providers.environment(), **receiver.environment(), "HEXR_STORE": "/srv/state/hexr"}
    python = "/srv/app/bin/python"
    bare = pod(program, image, state, python, "/srv/app/program.py", **environ)
    done = pod(program, image, state, python, "/srv/app/program.py", PYTHONPATH="/srv/hexr/boot", **environ)
    assert (done.returncode, done.stdout, done.stderr) == (bare.returncode, bare.stdout, bare.stderr)
    assert done.returncode == 0
    assert list(state.iterdir()) == []
    doctor = (python, "-m", "hexr_instrument", "doctor", "--quick", "--json")
    told = pod(program, image, state, *doctor, PYTHONPATH="/srv/hexr/boot", **environ)
    assert told.returncode == 1, told.stderr
    problems = " ".join(json.loads(told.stdout)["problems"])
    assert "opentelemetry-sdk needs opentelemetry-api==" in problems
    assert "opentelemetry-proto needs protobuf" in problems


def test_a_folder_that_others_can_write_is_not_injected(image: Path, tmp_path: Path) -> None:
    """The boot file takes no code from libraries that another user could have put there."""
    copy = tmp_path / "hexr"
    shutil.copytree(image, copy)
    ask = [
        sys.executable,
        "-S",
        "-c",
        "import runpy, sys; here = sys.argv[1]; print(runpy.run_path(here + '/sitecustomize.py')['_injected'](here))",
    ]
    for mode, found in ((0o755, str(copy)), (0o777, "None"), (0o775, "None")):
        (copy / "pkgs").chmod(mode)
        assert subprocess.check_output([*ask, str(copy / "boot")], text=True).strip() == found
