"""The client of supervisord, beside one that ends at a bad moment."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path

import pytest

from towpath.supervisord.conf import SOCKET_NAME
from towpath.supervisord.rpc import Supervisor

BODY = b"<?xml version='1.0'?><methodResponse><params><param><value><array><data>" + b"\n" * 2000


@pytest.mark.parametrize("sent_bytes", [0, 10, 20, 90, 1500], ids=lambda sent: f"{sent} bytes")
def test_a_supervisord_that_ends_in_the_middle_of_its_answer_is_not_there(short_path: Path, sent_bytes: int) -> None:
    """P12. It ends so when `serve` gives up: no traceback follows."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n%b" % (2 * len(BODY), BODY)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(short_path / SOCKET_NAME))
        listening.listen()
        threading.Thread(target=end_after, args=(listening, answer[:sent_bytes]), daemon=True).start()
        supervisor = Supervisor(short_path)
        assert supervisor.processes() is None
        supervisor.stop("worker-0")
        listening.shutdown(socket.SHUT_RDWR)


def end_after(listening: socket.socket, answer: bytes) -> None:
    """Answer each call with a part of an answer, until the socket is closed."""
    with contextlib.suppress(OSError):
        while True:
            with listening.accept()[0] as connection:
                connection.recv(65_536)
                connection.sendall(answer)
