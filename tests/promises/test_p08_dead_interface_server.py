"""P8: every instance that a dead interface server fed gets exactly one disconnect."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

import pytest
from websockets.sync.client import connect

from tests.promises.conftest import PROJECT, Traces
from tests.promises.fleet import get, processes
from tests.support.serving import towpath_serve, wait_until


@pytest.mark.parametrize(("blow", "within_s"), [(signal.SIGKILL, 1.0), (signal.SIGSTOP, 7.0)])
def test_every_instance_gets_exactly_one_disconnect(
    tmp_path: Path, traces: Traces, blow: signal.Signals, within_s: float
) -> None:
    """P8. An exchange and some sockets are open. On one machine the process is watched; else its lease alone can tell."""
    with (
        towpath_serve("witness", app_dir=PROJECT, run_dir=tmp_path, env=traces.env) as server,
        contextlib.ExitStack() as stack,
    ):
        for number in range(5):
            socket = stack.enter_context(connect(f"{server.websocket_url}/socket{number}", close_timeout=0.1))
            socket.send("hello")
            assert socket.recv() == "hello"
        client = stack.enter_context(server.connect())
        client.sendall(get("/hang"))
        wait_until(lambda: bool(traces.lines("hanging")), "the exchange is open", server=server)
        (interface,) = processes(server, "interface")
        began = time.monotonic()
        os.kill(interface, blow)
        wait_until(lambda: len(traces.lines("disconnects")) >= 6, "six disconnects", 30, server)
        assert time.monotonic() - began < within_s
        if blow is signal.SIGSTOP:
            os.kill(interface, signal.SIGCONT)
            wait_until(lambda: "was declared dead, and is not" in server.log, "it hears of it", server=server)
    expected = ["/hang", *(f"/socket{number} 1006" for number in range(5))]
    assert sorted(traces.lines("disconnects")) == expected
