"""P8, as far as it is kept: every instance that a dead interface server fed gets exactly one disconnect."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from websockets.sync.client import connect

from tests.promises.conftest import PROJECT, Traces
from tests.promises.fleet import get, processes
from tests.serving import towpath_serve, wait_until


def test_every_instance_gets_exactly_one_disconnect(tmp_path: Path, traces: Traces) -> None:
    """P8. An exchange and some sockets are open when the interface server is killed; a new one serves on the same port."""
    with towpath_serve("witness", app_dir=PROJECT, run_dir=tmp_path, env=traces.env) as server:
        with contextlib.ExitStack() as stack:
            for number in range(5):
                socket = stack.enter_context(connect(f"{server.websocket_url}/socket{number}"))
                socket.send("hello")
                assert socket.recv() == "hello"
            client = stack.enter_context(server.connect())
            client.sendall(get("/hang"))
            wait_until(lambda: bool(traces.lines("hanging")), "the exchange is open", server=server)
            (interface,) = processes(server, "interface")
            os.kill(interface, signal.SIGKILL)
            wait_until(lambda: len(traces.lines("disconnects")) >= 6, "six disconnects", 30, server)
        expected = ["/hang", *(f"/socket{number} 1006" for number in range(5))]
        assert sorted(traces.lines("disconnects")) == expected
