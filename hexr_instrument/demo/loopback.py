"""An HTTP/1.1 server on 127.0.0.1 that keeps connections alive and closes all of them when it is closed."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any


class LoopbackServer(ThreadingHTTPServer):
    """Serves in daemon threads from the moment it is made; port 0 is any free port."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, handler: type[LoopbackHandler], port: int = 0) -> None:
        """Bind and start to serve."""
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", port), handler)
        # A short poll, because close() waits for it to end.
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where the server listens, without a trailing slash."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def server_bind(self) -> None:
        """Bind without the look-up of the machine's full name, which may ask a slow DNS server."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept one connection and remember it until it is closed."""
        connection, address = super().get_request()
        with self._lock:
            self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        """Close one connection."""
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is daily business; anything else is a bug here and is printed."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)

    def close(self) -> None:
        """Stop listening and drop the connections that clients keep alive."""
        self.shutdown()
        self._thread.join()
        self.server_close()
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:  # the client was faster
                continue


class LoopbackHandler(BaseHTTPRequestHandler):
    """Reads whole request bodies and writes each answer in one piece."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave in one packet; events of a stream are flushed one by one

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the name is inherited)
        """Stay silent: the program under observation owns the terminal."""

    def version_string(self) -> str:
        """The Server header."""
        return "hexr-demo"

    def read_body(self) -> bytes:
        """The request's body, sent with a length or in chunks."""
        if "chunked" not in self.headers.get("transfer-encoding", "").lower():
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        pieces: list[bytes] = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():  # trailers, and the empty line after them
            pass
        return b"".join(pieces)

    def lower_headers(self) -> dict[str, str]:
        """The request's headers by their lower-case names."""
        return {name.lower(): value for name, value in self.headers.items()}

    def send_head(self, status: int, headers: Mapping[str, str]) -> None:
        """Status line and headers."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def send_whole(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """A complete answer with its length."""
        self.send_head(status, {**headers, "content-length": str(len(body))})
        self.wfile.write(body)
        self.wfile.flush()
