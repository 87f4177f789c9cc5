"""P6: a dead worker is noticed, and every connection it owned gets a defined end."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.promises.conftest import PROJECT, Traces
from tests.promises.fleet import get, processes, whole_answer
from tests.support.plain_http import PLAIN
from tests.support.serving import Server, towpath_serve, wait_until


@pytest.fixture
def server(tmp_path: Path, traces: Traces) -> Iterator[Server]:
    with towpath_serve("witness", app_dir=PROJECT, run_dir=tmp_path, env=traces.env) as server:
        yield server


def test_every_connection_of_a_dead_worker_gets_its_end(server: Server, traces: Traces) -> None:
    """P6. Nothing sent yet: 502. In mid-response: the client can tell that it was cut. WebSocket: 1012."""
    asked, halved = server.connect(timeout_s=30), server.connect(timeout_s=30)
    asked.sendall(b"POST /hang HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    halved.sendall(get("/half"))
    with connect(f"{server.websocket_url}/socket") as websocket:
        websocket.send("hello")
        assert websocket.recv() == "hello"
        wait_until(lambda: len(traces.lines("hanging")) == 2, "both hang", server=server)
        (worker,) = processes(server, "worker")
        os.kill(worker, signal.SIGKILL)
        with pytest.raises(ConnectionClosed) as closed:
            websocket.recv(timeout=30)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1012, "the worker died")
    assert whole_answer(asked).startswith(b"HTTP/1.1 502 ")
    cut = whole_answer(halved)
    assert b"half" in cut and not cut.endswith(b"0\r\n\r\n")
    with server.connect(timeout_s=30) as again:  # the next worker is there
        again.sendall(get("/again"))
        assert b"/again" in whole_answer(again)


@pytest.mark.parametrize(
    ("method", "path", "status", "starts"),
    [
        ("GET", "/die/1/get", 200, 2),  # queued again: the next worker answers
        ("PUT", "/die/1/put", 200, 2),  # its body is still here
        ("POST", "/die/1/post", 502, 1),  # started at most once
        ("GET", "/die/9/poison", 502, 3),  # twice again, and no more: one request must not kill them all
    ],
)
def test_what_nobody_has_seen_is_started_again(
    server: Server, traces: Traces, method: str, path: str, status: int, starts: int
) -> None:
    """P3, P6. The worker dies with the request in its hands, before anything was sent and before anybody has looked at it."""
    answer = httpx.request(
        method, server.url + path, content=b"x" * 20_000 if method != "GET" else None, timeout=60, **PLAIN
    )
    assert answer.status_code == status
    assert traces.starts(method).count(path) == starts
    assert "is over" not in server.log, "a lease was waited for"


@pytest.mark.parametrize(
    ("blow", "within_s", "told"), [(signal.SIGKILL, 1.0, " die\n"), (signal.SIGSTOP, 7.0, " is over\n")]
)
def test_a_death_is_noticed_in_time(server: Server, blow: signal.Signals, within_s: float, told: str) -> None:
    """P6. On one machine the process itself is watched. Of one that is elsewhere, or stands still, its lease alone can tell."""
    with connect(f"{server.websocket_url}/socket") as websocket:
        websocket.send("hello")
        assert websocket.recv() == "hello"
        (worker,) = processes(server, "worker")
        began = time.monotonic()
        os.kill(worker, blow)
        with pytest.raises(ConnectionClosed):
            websocket.recv(timeout=30)
        assert time.monotonic() - began < within_s
    wait_until(lambda: told in server.log, "the log to tell of it", server=server)
    assert server.log.count(" is over\n") == (blow is signal.SIGSTOP)  # once
    if blow is signal.SIGSTOP:
        os.kill(worker, signal.SIGKILL)
