"""A framework's program says and sends under the launcher what it does without it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from support import Done, Run

from hexr_instrument.demo.providers import ProviderServer

RANDOM = re.compile(rb"\d{16,}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

ADDRESS = re.compile("0x[0-9a-f]+")


def as_bare(run: Run, providers: ProviderServer, program: str, script: Callable[[], Any] | None = None) -> Done:
    """What the program did under the launcher: the same output, and the same requests in whatever order they came."""

    def sent() -> list[tuple[str, str, bytes]]:
        return sorted((each.method, each.path, RANDOM.sub(b"#", each.raw)) for each in providers.requests)

    if script is not None:
        script()
    bare = run(program, bare=True, HEXR_DISABLED="1")
    assert bare.returncode == 0, bare.err
    without = sent()
    providers.clear()
    if script is not None:
        script()
    done = run(program)
    assert (done.returncode, done.out) == (0, bare.out), done.err
    assert ADDRESS.sub("0x#", done.err) == ADDRESS.sub("0x#", bare.err)
    assert sent() == without
    return done
