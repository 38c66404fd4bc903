"""Signals, forks and the children of multiprocessing: nothing lost, nothing twice, the exit status as without us."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support import Run, clean_environment, records

from hexr_instrument.demo.providers import ProviderServer
from hexr_instrument.demo.receiver import OtlpReceiver

CALL = """
import os, signal, sys, time, threading
from openai import OpenAI
client = OpenAI()
def call(n=1):
    client = OpenAI()  # a forked child must not use its parent's connections
    for _ in range(n):
        client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
"""
ASYNC = """
import asyncio, os, signal
from openai import AsyncOpenAI
async def main():
    async with AsyncOpenAI() as client:
        await client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
        %s
"""

# Each sends one call's span at once, although the next delivery is a second away; status as in the plain program.
SIGNALLED = {
    "SIGTERM": (CALL + "call(); os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)", -signal.SIGTERM),
    "SIGHUP": (CALL + "call(); os.kill(os.getpid(), signal.SIGHUP); time.sleep(60)", -signal.SIGHUP),
    "in asyncio": (ASYNC % "os.kill(os.getpid(), signal.SIGTERM)" + "asyncio.run(main())", -signal.SIGTERM),
    "while a thread calls": (
        CALL
        + "threading.Thread(target=lambda: time.sleep(60), daemon=True).start()\n"
        + "call(); os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)",
        -signal.SIGTERM,
    ),
    "handler before ours": (
        "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(9))\n"
        + CALL
        + "call(); os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)",
        9,
    ),
    "handler after ours": (
        CALL + "signal.signal(signal.SIGTERM, lambda *_: sys.exit(9)); call(); os.kill(os.getpid(), signal.SIGTERM)",
        9,
    ),
    "handler that goes on": (
        CALL
        + "signal.signal(signal.SIGTERM, lambda *_: None); call(); os.kill(os.getpid(), signal.SIGTERM); sys.exit(4)",
        4,
    ),
    "handler of asyncio": (
        ASYNC % "stop = asyncio.Event(); asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set); "
        "os.kill(os.getpid(), signal.SIGTERM); await stop.wait()" + "asyncio.run(main())",
        0,
    ),
    "chained handler": (
        CALL
        + "old = signal.getsignal(signal.SIGTERM)\n"
        + "signal.signal(signal.SIGTERM, lambda *a: old(*a) if callable(old) else sys.exit('no handler'))\n"
        + "call(); os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)",
        -signal.SIGTERM,
    ),
    "ignored, as under nohup": (
        "import signal\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        + CALL
        + "call(); os.kill(os.getpid(), signal.SIGHUP); sys.exit(6)",
        6,
    ),
    "sys.exit in a thread": (
        CALL + "t = threading.Thread(target=lambda: (call(), sys.exit(3))); t.start(); t.join()",
        0,
    ),
    "exception": (CALL + "call(); raise ValueError", 1),
    "SIGINT": (CALL + "call(); os.kill(os.getpid(), signal.SIGINT); time.sleep(60)", -signal.SIGINT),
    "atexit of the program": (CALL + "import atexit; atexit.register(call)", 0),
}


@pytest.mark.parametrize("way", SIGNALLED)
def test_a_finished_call_is_delivered_whatever_ends_the_process(
    run: Run, receiver: OtlpReceiver, tmp_path: Path, way: str
) -> None:
    """The span of a call that has just ended is sent before the process is gone; wait status and handlers hold."""
    source, status = SIGNALLED[way]
    done = run(source, **receiver.environment())
    assert done.returncode == status, done.err
    sent = {span.span_id for span in receiver.spans}
    kept = {record["id"] for record in done.calls}
    assert len(sent | kept) == 1
    if way != "atexit of the program":  # its call comes after our own exit: it is on disk
        assert len(receiver.spans) == 1
        assert kept == set()


def test_a_long_c_function_does_not_hold_the_end(
    tmp_path: Path, providers: ProviderServer, receiver: OtlpReceiver
) -> None:
    """SIGTERM while the main thread is inside C: the call is delivered, and the process dies of SIGTERM all the same."""
    program = tmp_path / "program.py"
    program.write_text(
        CALL + "call(); import hashlib; print('called', flush=True); hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)"
    )
    environ = clean_environment(
        HEXR_STORE=str(tmp_path / "store"), HEXR_EXIT_TIMEOUT="30", **providers.environment(), **receiver.environment()
    )
    command = [sys.executable, "-m", "hexr_instrument", sys.executable, str(program)]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "called\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == -signal.SIGTERM  # the function itself takes minutes
    assert len(receiver.spans) == 1


def test_a_forked_childs_signal_is_its_own(run: Run, receiver: OtlpReceiver) -> None:
    """Children that are killed by SIGTERM right after their fork leave the parent alive."""
    source = CALL + (
        "call()\n"
        "for _ in range(50):\n"
        "    pid = os.fork()\n"
        "    if pid == 0:\n"
        "        time.sleep(60)\n"
        "        os._exit(3)\n"
        "    os.kill(pid, signal.SIGTERM)\n"
        "    assert os.waitpid(pid, 0)[1] == signal.SIGTERM\n"
        "time.sleep(1)  # longer than the grace after which a signal would be taken up\n"
        "print('alive')\n"
    )
    done = run(source, **receiver.environment())
    assert (done.returncode, done.out, done.err) == (0, "alive\n", "")


def test_descriptors_that_the_program_closes_are_its_own(run: Run, receiver: OtlpReceiver) -> None:
    """`os.closerange`, as daemons do: no signal's number, record or close of ours reaches a file that comes after."""
    source = CALL + (
        "import hexr_instrument\n"
        "call(); hexr_instrument.flush(20)\n"
        "os.closerange(3, os.sysconf('SC_OPEN_MAX'))\n"
        "files = [open(f'own{n}', 'w') for n in range(20)]\n"
        "signal.signal(signal.SIGUSR1, lambda *_: None)\n"
        "while signal.set_wakeup_fd(-1) != -1: time.sleep(0.01)\n"
        "os.kill(os.getpid(), signal.SIGUSR1)\n"
        "call(2); hexr_instrument.flush(20)\n"
        "os.kill(os.getpid(), signal.SIGUSR1)\n"
        "print([os.fstat(file.fileno()).st_size for file in files] == [0] * 20, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)\n"
    )
    done = run(source, **receiver.environment())
    assert (done.returncode, done.out, done.err) == (-signal.SIGTERM, "True\n", "")
    assert len({span.span_id for span in receiver.spans}) == 3


TASKS = "def tasks(): return len(os.listdir('/proc/self/task')) if os.path.exists('/proc/self/task') else 1\n"


@pytest.mark.parametrize("collector", ["http", "grpc", "down", "up again"])
def test_a_fork_finds_no_thread_of_ours(run: Run, collector: str) -> None:
    """A program of one thread forks as one, after its calls too: Python 3.12 and later have nothing to warn of."""
    source = (
        CALL
        + TASKS
        + (
            "import hexr_instrument\n"
            "for turn in range(3):\n"
            "    call()\n"
            "    os.register_at_fork(after_in_parent=lambda: print(tasks(), flush=True)) if not turn else None\n"
            "    pid = os.fork()\n"
            "    if pid == 0:\n"
            "        call(); os._exit(0)\n"
            "    assert os.waitpid(pid, 0)[1] == 0\n"
        )
    )
    with OtlpReceiver(http=collector != "grpc", grpc=collector == "grpc") as receiver:
        if collector == "down":
            receiver.fail()
        elif collector == "up again":
            receiver.fail(times=1)
            source += "hexr_instrument.flush(20)\n"
        done = run(source, **receiver.environment())
        assert (done.returncode, done.out, done.err) == (0, "1\n1\n1\n", "")
        sent = [span.span_id for span in receiver.spans]
        assert len(sent) == len(set(sent))
        assert len({*sent, *(record["id"] for record in done.calls)}) == 6
        assert collector != "down" or not sent
        assert collector == "down" or len(sent) >= 3


def test_after_a_fork_a_signal_ends_the_process_as_before(run: Run, receiver: OtlpReceiver) -> None:
    """Nothing to deliver: SIGTERM is Python's default again. A call in whichever thread: it is delivered first."""
    source = CALL + (
        "call()\n"
        "def fork():\n"
        "    pid = os.fork()\n"
        "    if pid == 0: os._exit(0)\n"
        "    os.waitpid(pid, 0)\n"
        "fork()\n"
        "print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)\n"
        "thread = threading.Thread(target=call); thread.start(); thread.join()\n"
        "print(callable(signal.getsignal(signal.SIGTERM)), signal.set_wakeup_fd(-1) > 2, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
        "time.sleep(60)\n"
    )
    done = run(source, **receiver.environment())
    assert (done.returncode, done.out, done.err) == (-signal.SIGTERM, "True\nTrue True\n", "")
    assert len(receiver.spans) == 2
    assert done.records == []


def test_the_wake_up_pipe_of_others_is_left_alone(run: Run, receiver: OtlpReceiver) -> None:
    """A program that has set one keeps it; trio, which wants none of another's, finds none."""
    source = (
        "import os, signal, sys\nread, write = os.pipe(); os.set_blocking(write, False)\nsignal.set_wakeup_fd(write)\n"
        + CALL
        + "call()\nassert signal.set_wakeup_fd(-1) == write\n"
    )
    assert run(source, **receiver.environment()).err == ""
    late = CALL + (
        "call()\n"
        "open('trio.py', 'w').close(); sys.path.insert(0, '.')\n"
        "import trio\n"
        "assert signal.set_wakeup_fd(-1) == -1\n"
    )
    assert run(late, **receiver.environment()).err == ""


def test_without_an_endpoint_signals_are_left_alone(run: Run) -> None:
    """The embedded default installs no handler, and HEXR_SIGNALS=off none anywhere."""
    show = CALL + "call(); print([signal.getsignal(s) is signal.SIG_DFL for s in (signal.SIGTERM, signal.SIGHUP)])"
    assert run(show).out == "[True, True]\n"
    off = run(show, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", HEXR_SIGNALS="off", HEXR_EXIT_TIMEOUT="0")
    assert off.out == "[True, True]\n"


def test_a_provider_that_is_imported_in_a_thread_leaves_signals_alone(run: Run, receiver: OtlpReceiver) -> None:
    """Python lets only the main thread set handlers: elsewhere the record on disk has to do, without a word."""
    source = (
        "import os, signal, threading\n"
        f"program = {CALL + 'call()'!r}\n"
        "thread = threading.Thread(target=exec, args=(program, {}))\n"
        "thread.start(); thread.join()\n"
        "assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
    )
    done = run(source, **receiver.environment())
    assert (done.returncode, done.err) == (-signal.SIGTERM, "")
    assert len(receiver.spans) + len(done.calls) == 1


def test_a_handler_that_is_busy_does_not_outlive_its_budget(run: Run, receiver: OtlpReceiver) -> None:
    """SIGTERM while the collector hangs: the process dies of SIGTERM, and the call waits on disk."""
    receiver.hang()
    source = CALL + "call(); time.sleep(1.5); os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)"
    done = run(source, **receiver.environment(), HEXR_EXIT_TIMEOUT="0.5")
    assert done.returncode == -signal.SIGTERM
    assert len(done.calls) == 1


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
@pytest.mark.parametrize("kind", ["Process", "Pool", "ProcessPoolExecutor"])
def test_children_of_multiprocessing_deliver(run: Run, receiver: OtlpReceiver, method: str, kind: str) -> None:
    """Each call of parent and children arrives once, from its own process, before the children are gone."""
    use = {
        "Process": "ps = [context.Process(target=call, args=(2,)) for _ in range(3)]\n"
        "    [p.start() for p in ps]; [p.join() for p in ps]; print([p.exitcode for p in ps])",
        "Pool": "with context.Pool(3) as pool: pool.map(call, [2] * 3); pool.close(); pool.join()\n    print([0, 0, 0])",
        "ProcessPoolExecutor": "from concurrent.futures import ProcessPoolExecutor\n"
        "    with ProcessPoolExecutor(3, mp_context=context) as pool: list(pool.map(call, [2] * 3))\n    print([0, 0, 0])",
    }[kind]
    source = (
        CALL
        + f"import multiprocessing\nif __name__ == '__main__':\n    context = multiprocessing.get_context({method!r})\n    call()\n    {use}\n"
    )
    done = run(source, **receiver.environment())
    assert (done.returncode, done.out, done.err) == (0, "[0, 0, 0]\n", "")
    assert len({span.span_id for span in receiver.wait(7, timeout=5)}) == len(receiver.spans) == 7
    assert done.calls == []


def test_a_terminated_child_delivers(run: Run, receiver: OtlpReceiver) -> None:
    """`Process.terminate()` is a SIGTERM like any other."""
    source = (
        CALL
        + """
def child(pipe):
    call(3)
    pipe.send('called')
    time.sleep(60)
if __name__ == '__main__':
    import multiprocessing
    near, far = multiprocessing.Pipe()
    p = multiprocessing.get_context('fork').Process(target=child, args=(far,))
    p.start(); near.recv(); p.terminate(); p.join(); print(p.exitcode)
"""
    )
    done = run(source, **receiver.environment())
    assert done.out == "-15\n", done.err
    assert len(receiver.spans) == 3


def test_what_waits_at_a_fork_stays_the_parents(run: Run, receiver: OtlpReceiver) -> None:
    """Spans that wait, a stream that is open, an agent that runs: the child ends none of them a second time."""
    source = CALL + (
        "from hexr_instrument import hexr_agent\n"
        "call(2)\n"
        "with hexr_agent('crew'):\n"
        "    stream = client.chat.completions.create(model='gpt-4o', messages=[{'role': 'user', 'content': 'hi'}], stream=True)\n"
        "    next(iter(stream))\n"
        "    pid = os.fork()\n"
        "    if pid == 0:\n"
        "        stream.close()\n"
        "        del stream\n"
        "        call(3)\n"
        "    else:\n"
        "        os.waitpid(pid, 0)\n"
        "        for _ in stream: pass\n"
    )
    done = run(source, **receiver.environment())
    assert done.returncode == 0, done.err
    names = [span.name for span in receiver.wait(7, timeout=5)]
    assert sorted(names) == ["chat gpt-4o"] * 6 + ["invoke_agent crew"]
    assert len({span.span_id for span in receiver.spans}) == 7
    instances = [span.resource["service.instance.id"] for span in receiver.spans if span.name.startswith("chat")]
    assert sorted(map(instances.count, set(instances))) == [3, 3]
    (agent,) = (span for span in receiver.spans if span.name.startswith("invoke"))
    assert agent.attributes["hexr.agent.llm_calls"] == 1
    assert done.records == []


def test_a_seed_in_each_worker_gives_no_id_twice(run: Run) -> None:
    """`random.seed` in each child, as with numerical programs: ids still differ."""
    source = CALL + (
        "import random\n"
        "pids = []\n"
        "for _ in range(6):\n"
        "    pid = os.fork()\n"
        "    if pid == 0:\n"
        "        random.seed(1); call(3); os._exit(0)\n"
        "    pids.append(pid)\n"
        "for pid in pids: os.waitpid(pid, 0)\n"
    )
    done = run(source)
    assert len(done.calls) == 18
    assert len({record["id"] for record in done.calls}) == len({record["trace"] for record in done.calls}) == 18


@pytest.mark.parametrize("count", [200])
def test_forks_of_a_busy_program_hang_no_child(run: Run, receiver: OtlpReceiver, count: int) -> None:
    """Four threads call without a pause while the main thread forks: every child calls once and ends."""
    source = (
        CALL
        + f"""
import warnings
warnings.simplefilter("ignore", DeprecationWarning)  # Python's own, of any fork beside threads
stop = False
def busy():
    mine = OpenAI()
    while not stop:
        mine.chat.completions.create(model="gpt-4o", messages=[{{"role": "user", "content": "hi"}}])
threads = [threading.Thread(target=busy) for _ in range(4)]
[t.start() for t in threads]
from hexr_instrument import guard, hub
ended = 0
for number in range({count}):
    pid = os.fork()
    if pid == 0:
        signal.alarm(30)
        record = {{"kind": "call", "id": f"{{os.getpid():016x}}", "trace": "0" * 31 + "1", "sampled": True, "start": 1,
            "end": 2, "op": "chat", "format": "chat", "provider": "openai", "model": "child"}}
        hub.recorder().keep(record)
        os._exit(0)
    ended += os.waitpid(pid, 0)[1] == 0
stop = True
[t.join() for t in threads]
print(ended)
"""
    )
    done = run(source, timeout=170, **receiver.environment())
    assert done.out == f"{count}\n", done.err
    sent = {span.span_id for span in receiver.spans if span.name == "chat child"}
    kept = {record["id"] for record in done.calls if record["model"] == "child"}
    assert len(sent | kept) == count


def test_a_daemon_and_a_preexec_function_work(run: Run) -> None:
    """A double fork and `preexec_fn`: the parent is not disturbed, the daemon's call is kept."""
    source = CALL + (
        "import subprocess\n"
        "call()\n"
        "print(subprocess.run(['true'], preexec_fn=os.setsid).returncode, flush=True)\n"
        "near, far = os.pipe()\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        "        call(); os.write(far, b'.'); os._exit(0)\n"
        "    os._exit(0)\n"
        "os.close(far); os.read(near, 1); os.wait(); call()\n"
    )
    done = run(source)
    assert (done.returncode, done.out) == (0, "0\n")
    assert len(done.calls) == 3


def test_a_stream_that_the_interpreter_finalises_is_kept(run: Run) -> None:
    """A half-read stream in a global is dropped when Python ends: partial, on disk."""
    source = CALL + (
        "stream = client.chat.completions.create(model='gpt-4o', messages=[{'role': 'user', 'content': 'hi'}], stream=True)\n"
        "next(iter(stream))\n"
    )
    done = run(source)
    assert (done.returncode, done.err) == (0, "")
    assert [record["cost_status"] for record in done.calls] == ["partial"]


def test_a_frozen_process_goes_on_where_it_was(
    tmp_path: Path, providers: ProviderServer, receiver: OtlpReceiver
) -> None:
    """SIGSTOP and SIGCONT, as serverless platforms do: what waited is sent, once."""
    program = tmp_path / "program.py"
    program.write_text(CALL + "call(3); print('called', flush=True); sys.stdin.readline(); call(2)")
    environ = clean_environment(
        HEXR_STORE=str(tmp_path / "store"), HEXR_EXIT_TIMEOUT="30", **providers.environment(), **receiver.environment()
    )
    with subprocess.Popen(
        [sys.executable, "-m", "hexr_instrument", sys.executable, str(program)],
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        assert process.stdout.readline() == "called\n"
        process.send_signal(signal.SIGSTOP)
        process.send_signal(signal.SIGCONT)
        process.stdin.write("\n")
        process.stdin.close()
        assert process.wait(60) == 0
    assert len({span.span_id for span in receiver.wait(5, timeout=5)}) == len(receiver.spans) == 5
    assert records(tmp_path / "store") == []


def test_no_call_means_no_thread_and_no_wait(run: Run, receiver: OtlpReceiver) -> None:
    """A program that imports a provider and calls nothing: no thread, no file, no request, although an endpoint is set."""
    source = "import threading, openai, json\nprint(json.dumps([t.name for t in threading.enumerate()]))"
    done = run(source, **receiver.environment())
    assert json.loads(done.out) == ["MainThread"]
    assert receiver.requests == []
    assert not done.store.exists()
