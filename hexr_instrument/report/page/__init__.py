"""`hexr-instrument dashboard`: the costs as a page in the browser, served to this machine alone."""

from __future__ import annotations

import argparse
import contextlib
import sys
import webbrowser
from pathlib import Path
from typing import TextIO

from ...config import any_set
from .. import EXIT_TROUBLE, StoreError, UsageError, complain, emit, prepare
from .server import PageServer

NAME = "dashboard"
_EPILOG = """\
The page shows token usage over time, cost per tenant, model distribution,
latency, error rate by provider, the cost tree, and the calls with their traces. It
is made of what `costs` and `calls` report, works offline, and refreshes itself.

Only this machine reaches it, and only with the token in the URL's fragment. It
ends with Ctrl-C.

exit status: 0; 2 if an option or a store cannot be used
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `dashboard`."""
    parser.epilog = _EPILOG
    parser.add_argument("--port", metavar="N", default="0", help="port on 127.0.0.1 (default: one that is free)")
    parser.add_argument("--no-open", action="store_true", help="print the URL only; open no browser")
    text = "directory of a store instead of the default one; may be repeated, then the stores are added up"
    parser.add_argument("--store", metavar="PATH", action="append", default=[], help=text)


def run(args: argparse.Namespace, directory: Path, stdout: TextIO) -> int:
    """Serves the page until it is interrupted.

    Args:
        args: The options of `add_arguments`.
        directory: The default store.
        stdout: Where the URL goes.

    Returns:
        The exit status: 0, or 2 if an option or a store cannot be used.
    """
    try:
        server = _server(args, directory)
    except (UsageError, StoreError) as error:
        complain(NAME, error)
        return EXIT_TROUBLE
    with server, contextlib.suppress(KeyboardInterrupt):
        emit(stdout, [f"LLM costs: {server.url}", "Ctrl-C ends it."])
        if not args.no_open and stdout.isatty() and _has_screen():
            webbrowser.open(server.url)
        server.serve_forever()
    return 0


def _server(args: argparse.Namespace, directory: Path) -> PageServer:
    if not (args.port.isascii() and args.port.isdigit() and int(args.port) < 1 << 16):
        raise UsageError(f"--port: {args.port!r} is no port; use one from 1 to 65535, or 0 for one that is free")
    stores = prepare(args, directory, NAME)
    try:
        return PageServer(stores, int(args.port))
    except OSError as error:
        raise UsageError(f"--port: {args.port} cannot be used ({error.strerror}); use another, or 0") from None


def _has_screen() -> bool:
    """Whether a browser would open a window, rather than take over the terminal."""
    return sys.platform in ("darwin", "win32") or any_set("DISPLAY", "WAYLAND_DISPLAY")
