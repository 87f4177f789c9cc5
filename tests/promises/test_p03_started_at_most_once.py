"""P3: no second start of a request that is not idempotent; a cancelled queued request is never started."""

from __future__ import annotations

import socket
from pathlib import Path

from tests.promises.conftest import PROJECT, Traces
from tests.promises.fleet import get, whole_answer
from tests.support.redis_look import queue_length
from tests.support.serving import Server, towpath_interface, towpath_worker, wait_until


def test_a_client_that_leaves_while_queued_is_never_started(tmp_path: Path, traces: Traces, url: str) -> None:
    """P3. Twenty clients leave before there is any worker; one stays, and is the only one that is served."""
    options = ("--half-close-timeout", "0.2")  # for so long one that has closed might still wait for its answer
    with towpath_interface(url, run_dir=tmp_path / "interface", options=options) as interface:
        leavers = [_post(interface, f"/leaver/{number}") for number in range(20)]
        wait_until(lambda: queue_length(url) == 20, "all are queued", server=interface)
        for client in leavers:
            client.close()
        wait_until(lambda: queue_length(url) == 0, "all are withdrawn", server=interface)
        stayer = _post(interface, "/stayer")
        with towpath_worker("witness", url, app_dir=PROJECT, run_dir=tmp_path / "worker", env=traces.env):
            assert b"200 OK" in whole_answer(stayer)
        stayer.close()
    assert traces.starts("POST") == ["/stayer"]


def test_a_websocket_that_leaves_while_queued_is_never_started(tmp_path: Path, traces: Traces, url: str) -> None:
    """P3. The same for a handshake that nobody has answered yet."""
    head = (
        b"GET /leaver HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    )
    with towpath_interface(url, run_dir=tmp_path / "interface") as interface:
        client = interface.connect()
        client.sendall(head + b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
        wait_until(lambda: queue_length(url, "websocket.connect") == 1, "queued", server=interface)
        client.close()
        wait_until(lambda: queue_length(url, "websocket.connect") == 0, "withdrawn", server=interface)
        with (
            towpath_worker("witness", url, app_dir=PROJECT, run_dir=tmp_path / "worker", env=traces.env),
            interface.connect() as stayer,
        ):
            stayer.sendall(get("/stayer"))
            assert b"200 OK" in whole_answer(stayer)
    assert traces.starts("WS") == []


def _post(interface: Server, path: str) -> socket.socket:
    client = interface.connect(timeout_s=40)
    client.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi".encode())
    return client
