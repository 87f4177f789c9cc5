"""Clients that do what libraries keep clients from doing: they stop in the middle, leave, and read to the last byte."""

from __future__ import annotations

import contextlib
import http.client
import socket
import struct
from collections.abc import Iterator

from tests.support.serving import Server


def request_head(method: str, target: str, *headers: str) -> bytes:
    return "\r\n".join((f"{method} {target} HTTP/1.1", "Host: boat", *headers, "", "")).encode()


def read_until(client: socket.socket, ending: bytes) -> bytes:
    """Everything up to and with `ending`, or what came before the end of the stream."""
    seen = b""
    while ending not in seen and (part := client.recv(65_536)):
        seen += part
    return seen


def read_to_the_end(client: socket.socket) -> bytes:
    """Everything until the server closes; a reset is an end too, and what came before it counts."""
    seen = b""
    with contextlib.suppress(ConnectionResetError):
        while part := client.recv(65_536):
            seen += part
    return seen


def whole_answer(server: Server, request: bytes) -> bytes:
    """What the server says to one request, to the last byte before it closes."""
    with server.connect() as client:
        client.sendall(request)
        return read_to_the_end(client)


def reset(client: socket.socket) -> None:
    """Leave without a word: an RST, as from a machine whose process died."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


@contextlib.contextmanager
def kept_alive(server: Server) -> Iterator[http.client.HTTPConnection]:
    """One connection for several requests, and no silent second one."""
    connection = http.client.HTTPConnection(server.host, server.port, timeout=15)
    connection.auto_open = 0
    connection.connect()
    try:
        yield connection
    finally:
        connection.close()
