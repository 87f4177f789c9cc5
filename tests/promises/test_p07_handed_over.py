"""P7: a rolling restart of all workers fails no request and closes no resumable socket."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.promises.conftest import PROJECT, Traces
from tests.promises.fleet import processes
from tests.support.plain_http import PLAIN
from tests.support.serving import towpath_interface, towpath_serve, towpath_worker, wait_until

#: Of each client between two messages, so that they leave the processor to what they watch.
PAUSE_S = 0.005


def test_sockets_stay_open_while_every_worker_is_replaced(tmp_path: Path) -> None:
    """P7. Ten sockets echo numbered messages, and others ask, while all workers are replaced twice: nothing is lost or doubled."""
    with towpath_serve("resumable_echo", app_dir=PROJECT, run_dir=tmp_path, options=("--workers", "2")) as server:
        over = threading.Event()
        faults: list[str] = []
        served: list[set[str]] = []
        asked = [0]

        def talk(name: int) -> None:
            pids: set[str] = set()
            served.append(pids)
            try:
                with connect(f"{server.websocket_url}/{name}") as socket:
                    number = 0
                    while not over.wait(PAUSE_S):
                        number += 1
                        socket.send(f"{name}:{number}")
                        said, count, pid = socket.recv(timeout=20).split()
                        pids.add(pid)
                        if said != f"{name}:{number}" or count != str(number):
                            faults.append(f"{said} {count} instead of {name}:{number} {number}")
            except Exception as error:
                faults.append(f"socket {name}: {error!r}")

        def ask() -> None:
            while not over.wait(PAUSE_S):
                answer = httpx.get(server.url, timeout=30, **PLAIN)
                asked[0] += 1
                if answer.status_code != 200:
                    faults.append(f"status {answer.status_code}")

        threads = [threading.Thread(target=talk, args=(name,)) for name in range(10)]
        threads += [threading.Thread(target=ask) for _ in range(2)]
        for thread in threads:
            thread.start()
        try:
            wait_until(lambda: len(served) == 10 and all(served), "all sockets echo", server=server)
            for _ in range(2):
                before = set(processes(server, "worker"))
                os.kill(server.process.pid, signal.SIGHUP)
                wait_until(
                    lambda before=before: not before & set(processes(server, "worker")), "new workers", 60, server
                )
                new = {str(pid) for pid in processes(server, "worker")}
                wait_until(
                    lambda new=new: faults or all(pids & new for pids in served), "all are served by them", 30, server
                )
        finally:
            over.set()
            for thread in threads:
                thread.join()
        assert not faults
        assert asked[0] > 20


def test_an_instance_that_nobody_takes_over_is_told_and_may_tidy_up(tmp_path: Path, traces: Traces, url: str) -> None:
    """P7. A worker leaves, and a WebSocket did not ask to be handed over: 1012 for its client, a disconnect for its application."""
    options = ("--timeout-graceful-shutdown", "1")
    with (
        towpath_interface(url, run_dir=tmp_path / "interface") as interface,
        towpath_worker("witness", url, app_dir=PROJECT, run_dir=tmp_path, env=traces.env, options=options) as worker,
        connect(f"{interface.websocket_url}/socket") as socket,
    ):
        socket.send("hello")
        assert socket.recv() == "hello"
        worker.process.terminate()
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=20)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1012
        assert worker.process.wait(20) == 0
        assert traces.lines("disconnects") == ["/socket 1012"]
