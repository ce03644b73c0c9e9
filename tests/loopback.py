"""Servers on loopback for tests and benchmarks: an S3-compatible one, and one before it that can make trouble."""

import http.client
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from uuid import uuid4

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "secret-of-the-tests", "AWS_REGION": "us-east-1"}
Mood = Literal["well", "errors", "silence", "drops"]


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def start_s3(port: int) -> subprocess.Popen[bytes]:
    """A real S3-compatible server on loopback, once it answers."""
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(600):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).close()
            return server
        except urllib.error.URLError:
            time.sleep(0.1)
    raise RuntimeError("the S3 server does not start")


def new_bucket(port: int) -> str:
    """The URL of a new bucket of the server at a port."""
    name = f"b{uuid4().hex}"
    request = urllib.request.Request(f"http://127.0.0.1:{port}/{name}", method="PUT")
    urllib.request.urlopen(request, timeout=30).close()
    return f"s3://{name}"


class Trouble:
    """Passes requests on to a server, as its mood is: well, with errors 500, in silence, or by dropping connections;
    each as late as is wished, and counted by its kind (LIST is GET of names).
    """

    def __init__(self, port: int, *, delay_s: float = 0) -> None:
        self.mood: Mood = "well"
        self.troubled = 0
        self.requests: Counter[str] = Counter()
        trouble = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
                self.send_response(status)
                for name, value in headers:
                    if name.lower() not in ("transfer-encoding", "connection", "content-length", "date", "server"):
                        self.send_header(name, value)
                length = dict(headers).get("Content-Length") if self.command == "HEAD" else None
                self.send_header("Content-Length", length or str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def _handle(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                trouble.requests["LIST" if "list-type" in self.path else self.command] += 1
                time.sleep(delay_s)
                if trouble.mood != "well":
                    trouble.troubled += 1
                    if trouble.mood == "errors":
                        self._answer(500, [], b"<Error><Code>InternalError</Code></Error>")
                        return
                    while trouble.mood == "silence":
                        time.sleep(0.2)
                    self.close_connection = True
                    return
                upstream = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
                upstream.request(self.command, self.path, body, dict(self.headers.items()))
                answer = upstream.getresponse()
                self._answer(answer.status, answer.getheaders(), answer.read())
                upstream.close()

            do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _handle

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop answering."""
        self.mood = "drops"
        self._server.shutdown()
        self._server.server_close()
