"""Serves the status page: the page itself, and the state of the deployment as JSON. It answers GET and HEAD, and changes nothing."""

from __future__ import annotations

import signal
import socket
import socketserver
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, NoReturn

from towpath.errors import StartFailure
from towpath.overview.observer import Observer
from towpath.overview.page_access import PageAddress, security_fields

REQUEST_TIMEOUT_S: Final = 10.0
REQUESTS_MAX: Final = 64  #: at once; further connections are closed
FRESH_S: Final = 0.5  #: an observation serves all pages that ask within this time

HTML, JSON, TEXT = "text/html; charset=utf-8", "application/json", "text/plain; charset=utf-8"


class PageServer(ThreadingHTTPServer):
    """The listening side: a thread for each request. `run` serves until a signal comes."""

    daemon_threads = True

    def __init__(self, address: PageAddress, observer: Observer) -> None:
        """Raises StartFailure if it cannot listen there."""
        self._observer = observer
        self._lock = threading.Lock()
        self._observed, self._fresh_until = b"", 0.0
        self._free = threading.BoundedSemaphore(REQUESTS_MAX)
        self.page = Path(__file__).with_name("page.html").read_text("utf-8")
        self.fields = security_fields(self.page)
        self.page_address = address
        try:
            family, *_, where = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]
            self.address_family = family
            super().__init__((str(where[0]), int(where[1])), _Request)
        except OSError as error:
            raise StartFailure(
                f"the status page cannot listen on {address.host}, port {address.port}: {error.strerror or error}; "
                "--serve HOST:PORT selects another address"
            ) from error
        self.page_address = PageAddress(address.host, self.server_address[1])

    def server_bind(self) -> None:
        """Bind. Python's own would look up the name of the host, which may take long."""
        socketserver.TCPServer.server_bind(self)

    def run(self) -> int:
        """Serve until SIGINT or SIGTERM; the exit code."""
        signal.signal(signal.SIGTERM, _interrupt)
        try:
            self.serve_forever()
        except KeyboardInterrupt:
            pass
        finally:
            self.server_close()
        return 0

    def state(self) -> bytes:
        """The state of the deployment as JSON, at most FRESH_S old. Pages that ask meanwhile wait for the same observation."""
        with self._lock:
            if time.monotonic() > self._fresh_until:
                self._observed = self._observer.observe_anyway().page_json.encode()
                self._fresh_until = time.monotonic() + FRESH_S
            return self._observed

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve one connection in a thread; close it if there are too many."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """The thread of one connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Pass over a client that has gone; the next request is served."""

    def server_close(self) -> None:
        """Close the socket. Threads that still answer end with the process."""
        socketserver.TCPServer.server_close(self)


class _Request(BaseHTTPRequestHandler):
    """One request; the connection is closed after its answer."""

    server: PageServer
    timeout = REQUEST_TIMEOUT_S

    def do_GET(self) -> None:
        """Answer with the page or the state."""
        if not self.server.page_address.may_ask(self.headers.get("Host")):
            self._answer(HTTPStatus.MISDIRECTED_REQUEST, TEXT, b"this page is not served under that host name\n")
        elif self.path == "/":
            self._answer(HTTPStatus.OK, HTML, self.server.page.encode())
        elif self.path == "/status.json":
            self._answer(HTTPStatus.OK, JSON, self.server.state())
        else:
            self._answer(HTTPStatus.NOT_FOUND, TEXT, b"here are / and /status.json\n")

    do_HEAD = do_GET  #: `_answer` sends no body then

    def _answer(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **self.server.fields}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def version_string(self) -> str:
        """The Server field."""
        return "towpath"

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: each page asks once a second."""


def _interrupt(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt
