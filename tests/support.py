"""A program under the launcher, and what it recorded."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from semconv import noted

from hexr_instrument.demo.providers import ProviderServer, Received

ROOT = Path(__file__).resolve().parent.parent


@dataclass
class Done:
    """A program that has ended, and what it recorded."""

    returncode: int
    out: str
    err: str
    store: Path

    @property
    def records(self) -> list[dict[str, Any]]:
        """All records of the journal that have not been taken in yet, in order of their end."""
        return sorted(records(self.store), key=lambda record: record["end"])

    @property
    def calls(self) -> list[dict[str, Any]]:
        """The records that are calls."""
        return [record for record in self.records if record["kind"] == "call"]


def records(store: Path) -> list[dict[str, Any]]:
    """What the segments of a store hold, headers left out."""
    lines = [line for path in sorted((store / "journal").glob("*.jsonl")) for line in path.read_text().splitlines()]
    found = [record for line in lines if (record := json.loads(line))["kind"] != "segment"]
    noted.records.extend(found)
    return found


def clean_environment(**changes: str) -> dict[str, str]:
    """This process's environment without anything that configures recording."""
    mine = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(
            (
                "HEXR_",
                "OTEL_",
                "OPENAI_",
                "ANTHROPIC_",
                "GOOGLE_",
                "GEMINI_",
                "OLLAMA_",
                "XAI_",
                "REPLICATE_",
                "MISTRAL_",
                "CO_",
                "VOYAGE_",
                "AI21_",
                "PYTHON",
            )
        )
    }
    return mine | changes


def wire(requests: list[Received]) -> list[Any]:
    """What went over the wire, to the byte, but for the server's counted ids, signatures of the time, and nonces."""
    named = ("content-length", "x-amz-date", "sec-websocket-key", "amz-sdk-invocation-id", "amz-sdk-request")
    signed = dict.fromkeys((*named, "x-ms-client-request-id", "x-amzn-trace-id"), "#")
    return [
        (
            each.method,
            each.path,
            re.sub(rb"\d{16,}", b"#", each.raw),
            {
                **each.headers,
                **signed,
                # botocore's features in use, in the order of a set
                "user-agent": re.sub(r" m/\S+", "", each.headers.get("user-agent", "")),
                "authorization": re.sub("Signature=.*", "#", each.headers.get("authorization", "")),
            },
        )
        for each in requests
    ]


Run = Callable[..., Done]


CHAOS = int(os.environ.get("CHAOS_STEPS", "0"))
"""At how many steps of ours `alike` and `spent` raise a fault, too: none, as that takes minutes; `make chaos` says more."""
_CHAOS = "import sys; sys.path.insert(0, {tests!r}); import chaos_run; chaos_run.main({program!r}, {count})"


def injected(run: Run, program: str, script: Callable[[], object], count: int, **variables: str) -> Done:
    """What the program says where a fault of ours is raised at one of `count` steps after the other."""
    for _ in range(count + 2):
        script()
    source = _CHAOS.format(tests=str(ROOT / "tests"), program=program, count=count)
    return run(source, timeout=60 + 20 * count, **variables)


def unbroken(
    run: Run,
    providers: ProviderServer,
    program: str,
    script: Callable[[], object],
    count: int,
    said: tuple[str, list[Any]],
) -> None:
    """The program says and sends what it does without us, whatever fails of ours."""
    out, sent = said
    providers.clear()
    with tempfile.TemporaryDirectory() as store:
        done = injected(run, program, script, count, HEXR_STORE=store)
    assert (done.returncode, done.out) == (0, out), done.err
    found = wire(providers.requests)
    assert len(found) % max(1, len(sent)) == 0
    for at in range(0, len(found), max(1, len(sent))):  # some SDKs send at once what they do not wait for in turn
        assert sorted(found[at : at + len(sent)], key=repr) == sorted(sent, key=repr), f"run {at // len(sent)}"


def alike(run: Run, providers: ProviderServer, program: str, script: Callable[[], None]) -> Done:
    """The program under the launcher, once it has been seen to say and send what it does without us."""
    script()
    bare = run(program, bare=True, HEXR_DISABLED="1")
    assert bare.returncode == 0, bare.err
    sent = wire(providers.requests)
    if CHAOS:
        unbroken(run, providers, program, script, CHAOS, (bare.out, sent))
    providers.clear()
    script()
    done = run(program)
    assert (done.returncode, done.out) == (0, bare.out), done.err
    assert wire(providers.requests) == sent
    return done
