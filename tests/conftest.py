"""What the end-to-end tests share: a loopback provider server, an OTLP receiver, and a program under the launcher."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from semconv import noted
from support import Done, Run, clean_environment

from hexr_instrument import guard
from hexr_instrument.demo import otlp
from hexr_instrument.demo.providers import ProviderServer
from hexr_instrument.demo.receiver import OtlpReceiver
from hexr_instrument.recorder import Recorder


def _noting(function: Callable[..., Any], found: list[Any]) -> Callable[..., Any]:
    def noting(*args: Any) -> Any:
        made = function(*args)
        found.extend([args[-1]] if made is None else made)
        return made

    return noting


# Whatever a receiver decodes and whatever a recorder keeps, in any test, is checked at the end of that test.
otlp.spans = _noting(otlp.spans, noted.spans)
otlp.points = _noting(otlp.points, noted.points)
otlp.logs = _noting(otlp.logs, noted.logs)
Recorder.keep = _noting(Recorder.keep, noted.records)  # type: ignore[method-assign]


@pytest.fixture(autouse=True)
def faults() -> None:
    """What one test provoked is not found by the next."""
    guard.faults = {}


@pytest.fixture(autouse=True)
def conventions(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every span, event, point and record that a test makes follows the conventions; `odd(reason)` lets one be."""
    noted.faults()
    yield
    found = noted.faults()
    assert not found or request.node.get_closest_marker("odd"), "\n".join(found)


pytest_plugins = ["situations"]


@pytest.fixture
def providers() -> Iterator[ProviderServer]:
    """A loopback server that plays all three providers."""
    with ProviderServer() as server:
        yield server


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    """An OTLP receiver over HTTP."""
    with OtlpReceiver() as server:
        yield server


@pytest.fixture
def run(tmp_path: Path, providers: ProviderServer) -> Run:
    """Runs a program under `hexr-instrument` (or bare) against the loopback server, with a store of its own.

    `run(source)` takes Python source text; `command=[...]` any command; `bare=True` leaves the launcher out;
    keyword arguments of upper-case names are environment variables.
    """

    def start(
        source: str | None = None,
        *,
        command: list[str] | None = None,
        options: tuple[str, ...] = (),
        bare: bool = False,
        timeout: float = 150,  # beyond any program's need on a loaded machine
        cwd: Path | None = None,
        **variables: str,
    ) -> Done:
        if source is not None:
            program = tmp_path / "program.py"
            program.write_text(source)
            command = [sys.executable, str(program)]
        assert command is not None
        launcher = [] if bare else [sys.executable, "-m", "hexr_instrument", *options]
        store = tmp_path / "store"
        # What a test waits for must not depend on how loaded the machine is; a collector that is down has its own say.
        patient = {"HEXR_EXIT_TIMEOUT": "30"}
        environ = clean_environment(HEXR_STORE=str(store), **providers.environment()) | patient | variables
        done = subprocess.run(
            [*launcher, *command], env=environ, cwd=cwd or tmp_path, capture_output=True, text=True, timeout=timeout
        )
        return Done(done.returncode, done.stdout, done.stderr, Path(environ["HEXR_STORE"]))

    return start
