"""P6, as far as it is kept: a dead worker is noticed, and every connection it owned gets a defined end."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.promises.conftest import PROJECT, Traces
from tests.promises.fleet import get, processes, whole_answer
from tests.serving import towpath_serve, wait_until


def test_every_connection_of_a_dead_worker_gets_its_end(tmp_path: Path, traces: Traces) -> None:
    """P6. Nothing sent yet: 502. In mid-response: the client can tell that it was cut. WebSocket: 1012."""
    with towpath_serve("witness", app_dir=PROJECT, run_dir=tmp_path, env=traces.env) as server:
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
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 1012
        assert whole_answer(asked).startswith(b"HTTP/1.1 502 ")
        cut = whole_answer(halved)
        assert b"half" in cut and not cut.endswith(b"0\r\n\r\n")
        with server.connect(timeout_s=30) as again:  # the next worker is there
            again.sendall(get("/again"))
            assert b"/again" in whole_answer(again)
