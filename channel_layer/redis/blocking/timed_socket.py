"""The socket of a blocking connection: sends all, and receives what comes next, each within its time.

Python keeps a timeout by a poll before each call, and a poll that sleeps arms an exact timer. A plain socket does without both: it
sends without a wait, and its first wait for an answer is the kernel's own. That one is short, since each signal begins it anew, with
no Python code in between (PEP 475): what takes longer is waited for by a poll, which ends in time whatever signals come. Where each
wake-up is slow, as on virtual machines, a round trip takes a sixth less.
"""

from __future__ import annotations

import _socket
import select
import socket
import struct
import time

from channel_layer.process.signal_errors import is_of_handler

READ_SIZE_BYTES = 65_536
#: A millisecond, of which the kernel makes one or two ticks of its clock: a `struct timeval`.
FIRST_WAIT = struct.pack("ll", 0, 1_000)
#: Never 0, which would mean without a wait.
WAIT_MIN_S = 0.001
#: A connection that was closed is an error here, and no signal, whatever the process has set.
WITHOUT_WAIT = socket.MSG_DONTWAIT | getattr(socket, "MSG_NOSIGNAL", 0)


class TimedSocket:
    """A socket with Python's timeouts: for TLS, and where another library has put its own sockets in the place of Python's."""

    __slots__ = ("_poll", "_sock")

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)

    @property
    def is_silent(self) -> bool:
        """True while nothing has come that was not received, the end of the connection included."""
        return not self._poll.poll(0)

    def send(self, data: bytes, timeout_s: float) -> None:
        """Send all of `data`. Raises OSError, also TimeoutError: then a part of it was not sent."""
        self._sock.settimeout(timeout_s)
        self._sock.sendall(data)

    def receive(self, end: float) -> bytes:
        """What comes next, none at the end of the connection. end: monotonic. Raises OSError, also TimeoutError."""
        self._sock.settimeout(max(WAIT_MIN_S, end - time.monotonic()))
        return self._sock.recv(READ_SIZE_BYTES)

    def close(self) -> None:
        """End the connection."""
        self._sock.close()

    def detach(self) -> int:
        """Leave the connection as it is, and return its descriptor; -1 if it was closed."""
        return self._sock.detach()


class PlainSocket(TimedSocket):
    """A socket of Python's own without TLS."""

    __slots__ = ()

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        sock.settimeout(None)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, FIRST_WAIT)

    def send(self, data: bytes, timeout_s: float) -> None:
        """See TimedSocket."""
        sent = 0
        try:
            sent = self._sock.send(data, WITHOUT_WAIT)
        except BlockingIOError as error:
            if is_of_handler(error):
                raise
        if sent < len(data):
            self._send_rest(memoryview(data)[sent:], time.monotonic() + timeout_s)

    def receive(self, end: float) -> bytes:
        """See TimedSocket."""
        while True:
            try:
                return self._sock.recv(READ_SIZE_BYTES)
            except BlockingIOError as error:  # the first wait is over
                if is_of_handler(error):
                    raise
            _wait(self._poll, end)

    def _send_rest(self, rest: memoryview, end: float) -> None:
        poll = select.poll()
        poll.register(self._sock, select.POLLOUT)
        while rest:
            _wait(poll, end)
            try:
                rest = rest[self._sock.send(rest, WITHOUT_WAIT) :]
            except BlockingIOError as error:
                if is_of_handler(error):
                    raise


def with_timeouts(sock: socket.socket) -> TimedSocket:
    """The socket that is best for this connection."""
    is_plain = type(sock) is socket.socket and isinstance(
        sock, _socket.socket
    )  # gevent's is `socket.socket`, and has another base
    return PlainSocket(sock) if is_plain else TimedSocket(sock)


def _wait(poll: select.poll, end: float) -> None:
    """Wait for the socket. Raises TimeoutError if it is not ready before `end` (monotonic)."""
    if not poll.poll(max(0.0, end - time.monotonic()) * 1000):
        raise TimeoutError("timed out")
