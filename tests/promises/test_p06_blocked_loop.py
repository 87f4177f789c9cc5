"""P6: whoever is slow is not dead, however slow the application makes it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from tests.promises.conftest import PROJECT, Traces
from tests.promises.fleet import leases, processes
from tests.support.plain_http import PLAIN
from tests.support.serving import Server, towpath_serve, wait_until

BLOCKED_S = 10


def test_a_worker_whose_loop_is_blocked_is_called_slow_and_loses_nothing(tmp_path: Path, traces: Traces) -> None:
    """P6. Twice as long as a lease lives: it is renewed all the while, and whoever waited is answered afterwards."""
    with towpath_serve("witness", app_dir=PROJECT, run_dir=tmp_path, env=traces.env) as server:
        workers = processes(server, "worker")
        with connect(f"{server.websocket_url}/socket") as socket:
            socket.send("before")
            assert socket.recv() == "before"
            answers: dict[str, httpx.Response] = {}
            asking = [asked(server, f"/block/{BLOCKED_S}", answers)]
            wait_until(lambda: f"/block/{BLOCKED_S}" in traces.starts("GET"), "the block has begun", server=server)
            asking.append(asked(server, "/hello", answers))
            socket.send("meanwhile")
            said = blocked_worker_of(server, at_least_s=6)
            assert not answers
            assert (said["connections"], said["websockets"], said["adopted_total"]) == (2, 1, 2)
            assert said["free"] == {"http": 0, "websocket": 0}
            assert said["lag_ms"] == pytest.approx(said["blocked_s"] * 1000)
            assert socket.recv(timeout=30) == "meanwhile"
            for thread in asking:
                thread.join(30)
            assert {answer.text for answer in answers.values()} == {"blocked", "/hello"}
        wait_until(lambda: "runs again after" in server.log, "the end is told", server=server)
        wait_until(lambda: worker_of(server)["blocked_s"] == 0, "status tells of it", server=server)
        assert worker_of(server)["free"]["http"] > 0
        assert server.log.count("has been blocked for") == 1
        assert "time.sleep(float(" in server.log
        assert processes(server, "worker") == workers
        for word in ("declared dead", " die\n", "is over", "had lapsed"):
            assert word not in server.log


def asked(server: Server, path: str, answers: dict[str, httpx.Response]) -> threading.Thread:
    """A request under way; its answer is in `answers` when it has come."""

    def ask() -> None:
        answers[path] = httpx.get(server.url + path, **PLAIN, timeout=30)

    thread = threading.Thread(target=ask)
    thread.start()
    return thread


def blocked_worker_of(server: Server, at_least_s: float) -> dict[str, Any]:
    """What `status` says of the only worker once that has been blocked for so long: one answer, before it goes on."""
    told: list[dict[str, Any]] = []

    def is_told() -> bool:
        told.append(worker_of(server))
        return bool(told[-1].get("blocked_s", 0) > at_least_s)

    wait_until(is_told, "status tells of it", server=server)
    return told[-1]


def worker_of(server: Server) -> dict[str, Any]:
    """What `status` says of the only worker."""
    (lease,) = (lease for lease in leases(server) if lease["role"] == "worker")
    return lease
