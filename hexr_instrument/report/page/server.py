"""Serves the page to this machine alone: loopback, this user's token, no script but ours."""

from __future__ import annotations

import hmac
import json
import secrets
import sys
import threading
import time
from collections.abc import Callable, Sequence
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ...store import Store, StoreError, StoreUnwritableError
from .. import UsageError
from . import panels

ASSETS = Path(__file__).with_name("assets")
KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}
FILES = {"/": "index.html", "/page.css": "page.css", "/page.js": "page.js", "/charts.js": "charts.js"}
COOKIE = "hexr_dashboard"
FRESH = 2.0
"""Seconds for which the journal is not looked at again."""
HEADERS = {
    # All from here, and text only: whatever a model or a caller wrote into a name stays text.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class PageServer(ThreadingHTTPServer):
    """The page of some stores, on 127.0.0.1.

    A browser proves with the token of the URL's fragment, which no server log and no other page sees, that this user
    opened it; then it has a cookie that scripts cannot read and other sites cannot send.
    """

    daemon_threads = True

    def __init__(self, stores: Sequence[Store], port: int) -> None:
        """Listens; a port of 0 is one that is free.

        Raises:
            OSError: the port is taken.
        """
        self.stores = tuple(stores)
        self.token = secrets.token_urlsafe(32)
        self._taking = threading.Lock()
        self._taken = 0.0
        super().__init__(("127.0.0.1", port), _Handler)
        self.port = int(self.server_address[1])
        self.hosts = frozenset(f"{name}:{self.port}" for name in ("127.0.0.1", "localhost", "[::1]"))
        self.origins = frozenset(f"http://{host}" for host in self.hosts)

    @property
    def url(self) -> str:
        """Where to point a browser."""
        return f"http://127.0.0.1:{self.port}/#{self.token}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing of a browser that went away in the middle of an answer; whatever else is said as ever."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    def take_in(self) -> None:
        """Takes the calls that wait in the journals in, at most every `FRESH` seconds."""
        with self._taking:
            if time.monotonic() - self._taken < FRESH:
                return
            for store in self.stores:
                try:
                    store.ingest_all()
                except StoreUnwritableError:  # what is there is shown; `costs` says why nothing comes in
                    continue
            self._taken = time.monotonic()


class _Handler(BaseHTTPRequestHandler):
    """One request."""

    server: PageServer  # pyright: ignore[reportIncompatibleVariableOverride]  (it is made by no other)
    server_version = "hexr-instrument"
    sys_version = ""
    protocol_version = "HTTP/1.1"
    timeout = 30

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Says nothing: the terminal is the user's."""

    def do_GET(self) -> None:
        """The page's files, and its data."""
        if not self._is_ours():
            return
        parts = urlsplit(self.path)
        if (name := FILES.get(parts.path)) is not None:
            self._answer(200, (ASSETS / name).read_bytes(), KINDS[Path(name).suffix])
        elif (source := _DATA.get(parts.path)) is None:
            self._fail(404, "there is nothing here")
        elif not self._is_known():
            self._fail(401, "open the URL that hexr-instrument dashboard printed")
        else:
            self._data(source, parts.query)

    def do_POST(self) -> None:
        """Exchanges the token for a cookie."""
        if not self._is_ours():
            return
        given = self.headers.get("X-Hexr-Token", "").encode("latin-1", "replace")
        if self.path != "/session" or not hmac.compare_digest(given, self.server.token.encode()):
            self._fail(401, "open the URL that hexr-instrument dashboard printed")
            return
        cookie = f"{COOKIE}={self.server.token}; HttpOnly; SameSite=Strict; Path=/"
        self._answer(204, b"", KINDS[".html"], {"Set-Cookie": cookie})

    def _data(self, source: Callable[[Sequence[Store], panels.Query], Any], query: str) -> None:
        try:
            self.server.take_in()
            found = source(self.server.stores, parse_qs(query, keep_blank_values=True, max_num_fields=200))
        except (UsageError, ValueError) as error:
            self._fail(400, str(error))
        except (StoreError, OSError) as error:
            self._fail(500, str(error))
        else:
            self._answer(200, json.dumps(found, separators=(",", ":")).encode(), "application/json")

    def _is_ours(self) -> bool:
        """Whether the request is for this server by its own name, and from its own page."""
        site = self.headers.get("Sec-Fetch-Site", "none")
        origin = self.headers.get("Origin")
        rebound = self.headers.get("Host", "").lower() not in self.server.hosts
        foreign = site not in ("none", "same-origin") or (origin is not None and origin not in self.server.origins)
        # A link on another page may lead here: it brings no cookie, and is shown nothing but the empty page.
        navigates = self.command == "GET" and self.headers.get("Sec-Fetch-Mode") == "navigate" and origin is None
        if rebound or (foreign and not navigates):
            self._fail(403, "this page is for this machine alone")
            return False
        if self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers:
            self.close_connection = True
            self._fail(400, "no request here has a body")
            return False
        return True

    def _is_known(self) -> bool:
        try:
            cookies = SimpleCookie(self.headers.get("Cookie", ""))
        except CookieError:
            return False
        given = cookies[COOKIE].value if COOKIE in cookies else ""
        return hmac.compare_digest(given.encode(), self.server.token.encode())

    def _fail(self, status: int, why: str) -> None:
        self._answer(status, json.dumps({"error": why}).encode(), "application/json")

    def _answer(self, status: int, body: bytes, kind: str, more: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**HEADERS, **(more or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


_DATA: dict[str, Callable[[Sequence[Store], panels.Query], Any]] = {
    "/data/names": lambda stores, _: panels.names(stores),
    "/data/panels": panels.panels,
    "/data/latency": panels.latency,
    "/data/calls": panels.calls,
}
