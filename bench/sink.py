"""A loopback server, in a process of its own: takes whatever telemetry is sent and drops it."""

from __future__ import annotations

import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        length = int(self.headers.get("content-length") or 0)
        if "chunked" in (self.headers.get("transfer-encoding") or ""):
            while size := int(self.rfile.readline() or b"0", 16):
                self.rfile.read(size + 2)
            self.rfile.readline()
        self.rfile.read(length)
        kind = self.headers.get("content-type") or ""
        body = b"" if "protobuf" in kind else b"{}"
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf" if not body else "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_PUT = do_GET = do_POST

    def log_message(self, *args):
        pass


class Sink:
    """`with Sink() as sink`: its `url`."""

    def __enter__(self) -> Sink:
        self._process = subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE, text=True)
        self.url = f"http://127.0.0.1:{int(self._process.stdout.readline())}"
        return self

    def __exit__(self, *error: object) -> None:
        self._process.terminate()
        self._process.wait()


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    print(server.server_address[1], flush=True)
    server.serve_forever()
