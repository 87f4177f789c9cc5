"""P4: slow clients take no worker's places from others; when all are taken all the same, the log says so."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import pytest

from tests.promises.conftest import PROJECT
from tests.promises.fleet import get, leases, whole_answer
from tests.support.serving import Server, towpath_serve, wait_until

PLACES = 10
UPLOAD = b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\nConnection: close\r\n\r\n12345"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    options = ("--worker-concurrency", str(PLACES))
    run_dir = tmp_path_factory.mktemp("patience")
    with towpath_serve("patience", app_dir=PROJECT, run_dir=run_dir, options=options) as server:
        yield server


@pytest.fixture
def many(server: Server) -> Iterator[list[socket.socket]]:
    """More clients than there are places."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(server.connect(timeout_s=30)) for _ in range(2 * PLACES)]


def ask(server: Server, path: str) -> bytes:
    with server.connect(timeout_s=10) as client:
        client.sendall(get(path))
        return whole_answer(client)


def streams(server: Server) -> int:
    return sum(lease["streams"] for lease in leases(server) if lease["role"] == "worker")


def test_event_streams_that_have_said_nothing_yet_hold_no_place(server: Server, many: list[socket.socket]) -> None:
    """P4. More of them are open than a worker has places, and the next request is answered."""
    for client in many:
        client.sendall(get("/stream"))
        assert client.recv(12) == b"HTTP/1.1 200"
    assert ask(server, "/").endswith(b"hello")
    wait_until(lambda: streams(server) == len(many), "all are seen in status", server=server)


def test_uploads_whose_bytes_do_not_come_hold_no_place(server: Server, many: list[socket.socket]) -> None:
    """P4. More of them wait than a worker has places; the next request is answered, and each of them when it goes on."""
    for client in many:
        client.sendall(UPLOAD)
    wait_until(lambda: streams(server) == len(many), "all wait for their clients", server=server)
    assert ask(server, "/").endswith(b"hello")
    for client in many:
        client.sendall(b"67890")
    assert all(whole_answer(client).endswith(b"\r\n\r\n10") for client in many)


def test_a_worker_without_a_free_place_and_a_queue_that_nobody_takes_are_told(
    server: Server, many: list[socket.socket]
) -> None:
    """P4. The worker says that it takes nothing more, the interface server that somebody waits."""
    for client in many:
        client.sendall(get("/wait"))
    server.wait_for_log(f"all {PLACES} places for exchanges (--worker-concurrency) are taken")
    server.wait_for_log(f"{PLACES} connections wait for a worker")
