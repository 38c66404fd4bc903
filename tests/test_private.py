"""What is on disk is this user's alone, and what is run at interpreter start cannot be somebody else's."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from support import ROOT, Run, clean_environment, records
from test_secrets import Sink, sink

from hexr_instrument import health, private
from hexr_instrument.boot import boot_directory
from hexr_instrument.config import Config
from hexr_instrument.demo.providers import ProviderServer
from hexr_instrument.endpoints import endpoint

__all__ = ["sink"]
root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give a file away")
CALL = """
import os
os.umask({umask})
from openai import OpenAI
import hexr_instrument
OpenAI().chat.completions.create(model="gpt-4o", messages=[{{"role": "user", "content": "hi"}}])
hexr_instrument.flush(30)
print("done", flush=True)
os._exit(0)
"""
ON = "any(type(finder).__module__ == 'hexr_instrument.start' for finder in sys.meta_path)"


def modes(directory: Path) -> dict[str, int]:
    """The modes of a directory and of all that is in it, by the kind of file."""
    found = {"": directory, **{str(path.relative_to(directory)): path for path in directory.rglob("*")}}
    return {name: stat.S_IMODE(path.lstat().st_mode) for name, path in found.items()}


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
@pytest.mark.parametrize("exported", [False, True], ids=["embedded", "endpoint"])
def test_all_files_are_the_users_alone_under_any_umask(
    umask: int, exported: bool, run: Run, sink: Sink, tmp_path: Path
) -> None:
    """Directories 0700, also those above the store that had to be made; files 0600: journal, marks, database, notes."""
    store = tmp_path / "a" / "b" / "store"
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{sink.host}"} if exported else {}
    done = run(CALL.format(umask=umask), HEXR_STORE=str(store), HEXR_KEEP="30d", **variables)
    assert (done.returncode, done.out, done.err) == (0, "done\n", "")
    command = f"import os; os.umask({umask}); from hexr_instrument import health; from pathlib import Path; "
    command += f"s = Path({str(store)!r}); health.note(s, 'dropped', 'r'); from hexr_instrument.store import Store; "
    command += "Store(s).ingest_all()"
    before = modes(store)
    assert any(name.endswith(".jsonl") for name in before)
    assert any(name.endswith(".sent") for name in before) is exported
    subprocess.run([sys.executable, "-c", command], check=True, cwd=ROOT)
    assert (store / "hexr.db").exists()
    for found in (before, modes(store)):
        for name, mode in found.items():
            assert mode == (0o700 if name in ("", "journal") else 0o600), name
    assert modes(tmp_path / "a")[""] == modes(tmp_path / "a" / "b")[""] == 0o700


def test_a_journal_that_others_can_write_is_taken_away_from_them(run: Run, tmp_path: Path) -> None:
    """It is ours: nobody else has any business in it. The store's own directory keeps the mode that its owner gave."""
    journal = tmp_path / "store" / "journal"
    journal.mkdir(parents=True)
    journal.chmod(0o777)
    journal.parent.chmod(0o755)
    done = run(CALL.format(umask=0))
    assert (done.out, done.err) == ("done\n", "")
    assert modes(tmp_path / "store")["journal"] == 0o700
    assert modes(tmp_path / "store")[""] == 0o755
    assert len(done.calls) == 1


KINDS = ("linked store", "linked journal", "foreign store", "foreign journal", "file")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_ours_gets_no_call(kind: str, run: Run, tmp_path: Path) -> None:
    """One line names the path, why, and the mend; the program runs on, and nothing is written there."""
    store, elsewhere = tmp_path / "store", tmp_path / "elsewhere"
    elsewhere.mkdir()
    if kind == "linked store":
        store.symlink_to(elsewhere)
    elif kind == "linked journal":
        store.mkdir()
        (store / "journal").symlink_to(elsewhere)
    elif kind == "file":
        store.write_text("mine")
    elif os.geteuid() != 0:
        pytest.skip("only root can give a directory away")
    else:
        foreign = store if kind == "foreign store" else store / "journal"
        foreign.mkdir(parents=True)
        os.chown(foreign, 65534, 65534)
    done = run(CALL.format(umask=0))
    assert (done.returncode, done.out) == (0, "done\n")
    (line,) = done.err.splitlines()
    assert str(store) in line
    assert "HEXR_STORE" in line
    assert list(elsewhere.iterdir()) == []
    assert not list(tmp_path.rglob("*.jsonl"))


def test_a_sticky_directory_may_be_the_store(tmp_path: Path) -> None:
    """In /tmp, others cannot put theirs in the place of ours."""
    tmp_path.chmod(0o1777)
    assert private.fault(tmp_path) is None
    tmp_path.chmod(0o777)
    assert private.fault(tmp_path) == "can be written by everybody"
    tmp_path.chmod(0o755)


def test_a_linked_segment_is_neither_read_nor_written(run: Run, tmp_path: Path) -> None:
    """A link that somebody put into the journal is left alone, and so is what it points to."""
    target = tmp_path / "target.jsonl"
    target.write_text('{"kind":"segment","v":1}\n{"kind":"call","id":"00000000000000ff","start":1}\n')
    journal = tmp_path / "store" / "journal"
    journal.mkdir(parents=True)
    (journal / "1-1-a.jsonl").symlink_to(target)
    before = target.read_bytes()
    done = run(CALL.format(umask=0o77))
    shown = subprocess.run(
        [sys.executable, "-m", "hexr_instrument", "calls", "--json"],
        env=clean_environment(HEXR_STORE=str(done.store)),
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(json.loads(shown.stdout)["calls"]) == 1
    assert target.read_bytes() == before


@pytest.mark.parametrize("error", ["EROFS", "ENOSPC", "EDQUOT", "EACCES", "EIO", "EMFILE"])
def test_a_disk_that_says_no_costs_the_record_and_never_the_call(error: str, run: Run) -> None:
    """Read-only, full, over quota, forbidden, broken: the program runs on, and one line says it."""
    source = f"""
import errno, os
real = os.open
def refuse(path, flags, *mode, **more):
    if str(path).endswith(".jsonl"):
        raise OSError(errno.{error}, os.strerror(errno.{error}))
    return real(path, flags, *mode, **more)
os.open = refuse
"""
    done = run(source + CALL.format(umask=0o77))
    assert (done.returncode, done.out) == (0, "done\n")
    (line,) = done.err.splitlines()
    assert "HEXR_STORE" in line


def test_a_clock_that_jumps_back_leaves_times_that_are_times(run: Run) -> None:
    """A duration is measured by a clock that does not jump."""
    source = """
import time
real, jumped = time.time_ns, []
time.time_ns = lambda: real() - (3600 * 10**9 if jumped else 0)
from hexr_instrument.call import Format
import openai
send = openai._base_client.SyncAPIClient._process_response_data
def late(self, **k):
    jumped.append(1)
    return send(self, **k)
openai._base_client.SyncAPIClient._process_response_data = late
"""
    done = run(source + CALL.format(umask=0o77))
    (call,) = done.calls
    assert 0 < call["end"] - call["start"] < 60 * 10**9


def test_a_user_without_a_home_is_recorded(run: Run, tmp_path: Path) -> None:
    """As containers have it: no HOME, no XDG_STATE_HOME; the default store is private all the same."""
    program = tmp_path / "program.py"
    program.write_text(CALL.format(umask=0))
    code = f"import os; [os.environ.pop(n, None) for n in ('HOME', 'HEXR_STORE', 'XDG_STATE_HOME')]; os.environ['TMPDIR'] = {str(tmp_path)!r}; "
    code += "import pwd; pwd.getpwuid = lambda uid: (_ for _ in ()).throw(KeyError(uid)); "
    code += "import runpy; runpy.run_path('program.py', run_name='__main__')"
    done = run(command=[sys.executable, "-c", code])
    assert (done.returncode, done.out, done.err) == (0, "done\n", "")
    store = tmp_path / f"hexr-{os.getuid()}"
    assert modes(store)[""] == 0o700
    assert len([each for each in records(store) if each["kind"] == "call"]) == 1


def test_hostile_settings_are_bounded(run: Run) -> None:
    """Values of 60 kB, with control characters, numbers out of any range, brackets: short lines, defaults, a record."""
    long = "x" * 60_000
    done = run(
        CALL.format(umask=0o77),
        HEXR_LABELS=f"team={long},b\x1b[31m={long}",
        HEXR_AGENT_NAME=long,
        HEXR_KEEP="9" * 400 + "d",
        HEXR_EXIT_TIMEOUT="nan",
        HEXR_STREAM_USAGE="[" * 60_000,
        OTEL_TRACES_SAMPLER_ARG="inf",
        OTEL_RESOURCE_ATTRIBUTES=f"a={long},../../etc=%00%ff",
        OTEL_EXPORTER_OTLP_PROTOCOL=long,
    )
    assert (done.returncode, done.out) == (0, "done\n")
    assert all(len(line) < 250 for line in done.err.splitlines())
    (call,) = done.calls
    assert len(call["agent"]) == len(call["labels"]["team"]) == 256


def test_hostile_files_in_the_store_break_no_tool(run: Run, tmp_path: Path) -> None:
    """Brackets without end, NaN, huge numbers, half lines, foreign bytes: each good call beside them is shown."""
    done = run(CALL.format(umask=0o77))
    (good,) = (done.store / "journal").glob("*.jsonl")
    head, line = good.read_bytes().splitlines()
    bad = [b"[" * 200_000, b'{"kind":"call","id":NaN}', b'{"kind":"call","cost":1e999}', b"\xff\x00", b'{"a":' * 99_999]
    bad += [b"9" * 100_000, b'{"kind":"segment","v":1}', b"null", line[: len(line) // 2]]
    (done.store / "journal" / "1-1-a.jsonl").write_bytes(b"\n".join([head, *bad, line]) + b"\n")
    (done.store / "journal" / "2-1-a.jsonl").write_bytes(b"[" * 200_000 + b"\n")
    (done.store / "health.jsonl").write_bytes(b"\n".join([*bad, b'{"time":1,"kind":["x"],"reason":{},"count":"many"}']))
    for tool in (("doctor", "--quick"), ("costs",), ("calls", "--json"), ("doctor", "--quick"), ("purge",)):
        shown = subprocess.run(
            [sys.executable, "-m", "hexr_instrument", *tool],
            env=clean_environment(HEXR_STORE=str(done.store)),
            capture_output=True,
            text=True,
            check=False,
        )
        assert (shown.returncode, shown.stderr) == (0, ""), tool
        if tool[0] == "calls":
            assert len(json.loads(shown.stdout)["calls"]) == 1


# -- interpreter start


def start(boot: Path, code: str, **more: object) -> subprocess.CompletedProcess[str]:
    """Runs an interpreter with a boot folder on PYTHONPATH."""
    environ = clean_environment(PYTHONPATH=str(boot))
    return subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False, **more
    )


@pytest.mark.parametrize("which", ["folder", "file"])
def test_a_boot_folder_that_everybody_can_write_is_off_and_silent(which: str, tmp_path: Path) -> None:
    """Recording stays off; what the folder shadows runs as without it; the launcher and doctor say why."""
    shutil.copytree(ROOT / "hexr_instrument", tmp_path / "hexr_instrument", ignore=shutil.ignore_patterns("_boot"))
    boot = Path(shutil.copytree(boot_directory(), tmp_path / "sitecustomize"))
    assert start(boot, f"import sys; print({ON})").stdout == "True\n"
    open_to_all = boot if which == "folder" else boot / "sitecustomize.py"
    open_to_all.chmod(open_to_all.stat().st_mode | stat.S_IWOTH)
    done = start(boot, f"import sys; print({ON}, {str(boot)!r} in sys.path)")
    assert (done.returncode, done.stdout, done.stderr) == (0, "False False\n", "")
    environ = clean_environment(HEXR_STORE=str(tmp_path / "store"))
    command = [sys.executable, "-m", "hexr_instrument"]
    launched = subprocess.run(
        [*command, sys.executable, "-c", f"import sys; print({ON})"],
        env=environ, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (launched.returncode, launched.stdout) == (0, "False\n")
    assert "can be written by everybody, so nothing will be recorded" in launched.stderr
    shown = subprocess.run(
        [*command, "doctor", "--quick"], env=environ, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert shown.returncode == 1
    assert "can be written by everybody" in " ".join(shown.stdout.split())


@root
@pytest.mark.parametrize("change", ["os.setreuid(65534, 0)", "os.setregid(65534, 0)"])
def test_a_process_with_borrowed_rights_is_not_recorded(change: str) -> None:
    """Where real and effective user or group differ (setuid, setgid), the environment steers nothing."""
    code = f"import os, sys; {change}; os.execv(sys.executable, [sys.executable, '-c', {f'import sys; print({ON})'!r}])"
    done = start(boot_directory(), code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "False\n", "")
    assert start(boot_directory(), code.replace(change, "pass")).stdout == "True\n"


# -- what leaves


def test_a_redirect_of_the_endpoint_is_not_followed(run: Run, sink: Sink, tmp_path: Path) -> None:
    """Neither headers nor calls go to where it points; what it did not take is counted, and doctor says what is wrong."""
    seen: list[str] = []

    class Elsewhere(BaseHTTPRequestHandler):
        status = 307

        def do_POST(self) -> None:
            seen.append(self.path)
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(self.status)
            self.send_header("location", f"http://localhost:{sink.host.rpartition(':')[2]}/v1/traces")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        "OTEL_EXPORTER_OTLP_HEADERS": "x-api-key=secret",
        "HEXR_EXIT_TIMEOUT": "10",
    }
    source = CALL.format(umask=0o77).replace("flush(30)", "flush(3)").replace("os._exit(0)", "")
    try:
        for status in (302, 307, 308):
            Elsewhere.status = status
            done = run(source, HEXR_STORE=str(tmp_path / str(status)), **variables)
            assert (done.returncode, done.out) == (0, "done\n")
            notes = {note["kind"]: note for note in health.notes(done.store)}
            assert set(notes) == {"refused", "metrics"}
            assert notes["refused"]["count"] == 1
            assert all(str(status) in note["reason"] for note in notes.values())
        shown = subprocess.run(
            [sys.executable, "-m", "hexr_instrument", "doctor", "--json"],
            env=clean_environment(HEXR_STORE=str(tmp_path / "302"), **variables),
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert len(seen) >= 4
    assert sink.bodies == []
    assert shown.returncode == 1
    assert "HTTP 308: redirects to" in json.loads(shown.stdout)["problems"][0]


def test_arguments_environment_and_the_machines_name_stay_here(
    run: Run, sink: Sink, providers: ProviderServer, tmp_path: Path
) -> None:
    """Neither argv, environment variables, working directory, paths of the program nor the host's name are sent or kept."""
    import socket

    folder = tmp_path / "plnt-folder"
    folder.mkdir()
    program = folder / "plnt-program.py"
    program.write_text(CALL.format(umask=0o77))
    done = run(
        command=[sys.executable, str(program), "--key", "plnt-argument"],
        cwd=folder,
        PLNT="plnt-variable",
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{sink.host}",
        HEXR_KEEP="30d",
    )
    assert done.out == "done\n"
    written = b"".join(path.read_bytes() for path in done.store.rglob("*") if path.is_file())
    assert sink.bodies
    for whole in (b"".join(sink.bodies), written):
        assert b"plnt" not in whole
        assert socket.gethostname().encode() not in whole
        assert str(tmp_path).encode() not in whole
        assert sys.executable.encode() not in whole


def test_credentials_are_in_no_repr() -> None:
    """The configuration and an endpoint can be printed: headers and resource attributes are left out."""
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=plnt",
        "OTEL_RESOURCE_ATTRIBUTES": "api.key=plnt",
    }
    assert "plnt" not in repr(Config.from_env(environ)) + repr(endpoint("traces", "http/protobuf", environ))
    assert endpoint("traces", "http/protobuf", environ).headers == (("authorization", "plnt"),)


def test_a_volume_that_everybody_can_write_holds_a_folder_of_the_user(run: Run, tmp_path: Path) -> None:
    """An emptyDir (0777) named as HEXR_STORE: calls go to this user's own folder in it, and the tools find them."""
    volume = tmp_path / "volume"
    volume.mkdir()
    volume.chmod(0o777)
    done = run(
        "from openai import OpenAI\n"
        "OpenAI().chat.completions.create(model='gpt-4o', messages=[{'role': 'user', 'content': 'hi'}])",
        HEXR_STORE=str(volume),
    )
    assert (done.returncode, done.err) == (0, "")
    (folder,) = volume.iterdir()
    assert folder.name == f"hexr-{os.getuid()}"
    assert folder.stat().st_mode & 0o777 == 0o700
    for how in ({"HEXR_STORE": str(volume)}, None):
        named = [] if how else ["--store", str(volume)]
        shown = subprocess.run(
            [sys.executable, "-m", "hexr_instrument", "costs", *named],
            env=clean_environment(**(how or {})),
            capture_output=True,
            text=True,
            check=True,
        )
        assert "1 call" in shown.stdout
