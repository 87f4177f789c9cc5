"""A small HTTP server in threads of its own, for few clients that are trusted: it answers while the event loop is blocked.

It costs nothing while it is not asked. Beyond CLIENTS_MAX clients at once the one that has been silent for longest is cut, or a new one
is closed, if all of them have sent their requests. One that is silent for TIMEOUT_S is cut in any case.
A call in C that holds the interpreter holds this server too.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler
from typing import Any, NamedTuple

from channel_layer.process import forked_child

log = logging.getLogger("towpath.admin")

CLIENTS_MAX = 16
TIMEOUT_S = 5.0
PAUSE_S = 0.1  #: after an accept that failed, for want of a descriptor perhaps
PLAIN = "text/plain; charset=utf-8"


class CannotListen(OSError):
    """The port cannot be listened on; the text is one sentence for the operator."""


class Page(NamedTuple):
    """An answer."""

    status: int
    body: bytes
    content_type: str = PLAIN


#: Makes the answer to a request with this field `Accept`, by the path. Called by any thread.
Pages = Mapping[str, Callable[[str], Page]]


class AdminListener:
    """The server of one process: listens from the start, answers from `start` on."""

    def __init__(self, host: str, port: int, pages: Pages) -> None:
        """Raises CannotListen."""
        self.pages = pages
        self._slots = threading.BoundedSemaphore(CLIENTS_MAX)
        self._silent: dict[socket.socket, None] = {}  # clients that have not sent their request yet, the oldest first
        self._closed = False
        try:
            family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
            both = family == socket.AF_INET6 and host == "::" and socket.has_dualstack_ipv6()
            self._socket = socket.create_server(address, family=family, dualstack_ipv6=both)
        except OSError as error:
            raise CannotListen(f"cannot listen on {host} port {port} (--admin-port): {error.strerror}") from error
        forked_child.give_up_in_children(self)

    def start(self) -> None:
        """Answer from now on, by daemon threads."""
        threading.Thread(target=self._accept, name="towpath-admin", daemon=True).start()

    def close(self) -> None:
        """Listen no more."""
        self._closed = True
        try:
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        except OSError:  # not every system does that for a socket that listens
            pass
        self._socket.close()

    def forked(self) -> None:
        """See `Inherited`."""
        forked_child.close(self._socket.fileno())

    def _accept(self) -> None:
        while True:
            try:
                client, address = self._socket.accept()
            except OSError:
                if self._closed:
                    return
                time.sleep(PAUSE_S)
                continue
            if not self._slots.acquire(blocking=False) and not self._take_slot_of_silent():
                client.close()
                continue
            self._silent[client] = None
            threading.Thread(
                target=self._answer, args=(client, address), name="towpath-admin-client", daemon=True
            ).start()

    def _take_slot_of_silent(self) -> bool:
        """Cut the client that has been silent for longest: clients that say nothing must not keep probes out. False without any."""
        silent = list(self._silent)
        if not silent:
            return False
        self.heard(silent[0])
        try:
            silent[0].shutdown(socket.SHUT_RDWR)  # its thread reads the end
        except OSError:  # it has just ended by itself
            pass
        return self._slots.acquire(timeout=TIMEOUT_S)

    def heard(self, client: socket.socket) -> None:
        """Keep the slot of a client that has sent its request."""
        self._silent.pop(client, None)

    def _answer(self, client: socket.socket, address: Any) -> None:
        try:
            with client:
                _Request(client, address, self)  # type: ignore[arg-type]  # no server of socketserver's: `pages` is all that is asked of it
        except OSError as error:  # the client has gone, or was silent
            log.debug("a client of the admin port: %s", error)
        finally:
            self.heard(client)
            self._slots.release()


class _Request(BaseHTTPRequestHandler):
    """One request, and the end of its connection."""

    timeout = TIMEOUT_S
    server_version = "towpath"
    sys_version = ""

    def do_GET(self) -> None:
        self.server.heard(self.connection)  # type: ignore[attr-defined]  # see above
        page = self._page()
        self.send_response(page.status)
        self.send_header("Content-Type", page.content_type)
        self.send_header("Content-Length", str(len(page.body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(page.body)

    do_HEAD = do_GET

    def _page(self) -> Page:
        make = self.server.pages.get(self.path.partition("?")[0])  # type: ignore[attr-defined]  # see above
        return (
            Page(404, b"/metrics, /-/health/live, /-/health/ready\n")
            if make is None
            else make(self.headers.get("Accept", ""))
        )

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: probes come often."""
