"""P5: memory per connection is bounded in both directions, in every process on the way."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.promises.conftest import PROJECT, Traces
from tests.promises.fleet import get, memory_bytes, processes
from tests.support.serving import Server, processes_of, towpath_serve, wait_until

MEBIBYTE = 1024 * 1024
GROWTH_BYTES_MAX = 24 * MEBIBYTE
SIZE_BYTES = 200 * MEBIBYTE
WATCH_S = 8.0


@pytest.fixture
def server(tmp_path: Path, traces: Traces) -> Iterator[Server]:
    with towpath_serve(
        "witness", app_dir=PROJECT, run_dir=tmp_path, env=traces.env, options=("--stall-timeout", "5")
    ) as server:
        assert processes(server, "worker")  # warm
        with server.connect() as client:
            client.sendall(get("/big/16"))
            while client.recv(MEBIBYTE):
                pass
        yield server


class Memory:
    """The memory of all processes of a server, Valkey included, since now."""

    def __init__(self, server: Server) -> None:
        self._before = {pid: memory_bytes(pid) for pid in processes_of(server.process.pid)}

    def worst_growth_bytes(self) -> int:
        return max(memory_bytes(pid) - before for pid, before in self._before.items())


def test_a_slow_reader_of_a_long_response_holds_up_nobody_and_nothing_grows(server: Server) -> None:
    """P5. 10 kB/s of 200 MB, for longer than a client that takes nothing would be kept: nobody grows, and it stays."""
    memory = Memory(server)
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
    client.connect((server.host, server.port))
    client.settimeout(30)
    client.sendall(get("/big/200"))
    pause = threading.Event()
    received, worst = 0, 0
    for _ in range(int(WATCH_S * 10)):
        received += len(client.recv(1_000))
        worst = max(worst, memory.worst_growth_bytes())
        pause.wait(0.1)  # a reader of 10 kB/s
    assert received >= 60_000
    assert worst < GROWTH_BYTES_MAX, f"grew by {worst / MEBIBYTE:.1f} MiB"
    client.close()


def test_an_upload_into_an_application_that_does_not_read_waits_outside(server: Server, traces: Traces) -> None:
    """P5. 200 MB for an application that reads nothing: the client waits, nobody grows, and at last all of it arrives."""
    memory = Memory(server)
    client = server.connect(timeout_s=60)
    client.sendall(
        f"POST /deaf HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {SIZE_BYTES}\r\n\r\n".encode()
    )
    wait_until(lambda: bool(traces.lines("deaf")), "the application has started", server=server)
    client.setblocking(False)
    chunk = b"x" * MEBIBYTE
    sent, worst = 0, 0
    while select.select([], [client], [], 3.0)[1]:  # as long as anybody takes anything
        sent += client.send(chunk)
        worst = max(worst, memory.worst_growth_bytes())
    assert sent < SIZE_BYTES / 4, "somebody took it all"
    assert worst < GROWTH_BYTES_MAX, f"grew by {worst / MEBIBYTE:.1f} MiB"
    (traces.folder / "listen").touch()
    client.setblocking(True)
    client.settimeout(60)
    while sent < SIZE_BYTES:
        sent += client.send(chunk[: SIZE_BYTES - sent])
        worst = max(worst, memory.worst_growth_bytes())
    answer = client.recv(65_536)
    while part := client.recv(65_536):
        answer += part
    client.close()
    assert answer.endswith(str(SIZE_BYTES).encode()), answer[-200:]
    assert worst < GROWTH_BYTES_MAX, f"grew by {worst / MEBIBYTE:.1f} MiB"
