"""A worker that is stuck or frozen, and what becomes of it under `serve`."""

from __future__ import annotations

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from tests.promises.fleet import towpath
from tests.support.plain_http import PLAIN
from tests.support.serving import Server, towpath_serve, wait_until

APP = """
import os, time

async def application(scope, receive, send):
    if scope["type"] != "http":
        return
    if scope["path"] == "/stuck":
        time.sleep(60)
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})
"""


def served_by(server: Server) -> int:
    return int(httpx.get(f"{server.url}/", **PLAIN, timeout=30).text)


def queued(server: Server) -> int:
    """Connections that wait for a worker."""
    text = towpath(server, "status", "--json").stdout
    return sum(queue["depth"] for queue in json.loads(text)["queues"])


def test_a_stuck_worker_and_a_frozen_one_are_replaced_and_the_log_says_why(tmp_path: Path, project: Path) -> None:
    """The stuck one ends itself, as it would in a container; the frozen one cannot, and is killed. What they had is named.

    How long either may be so is what the last reload has read.
    """
    file = tmp_path / "env"
    file.write_text("TOWPATH_WORKER_TIMEOUT=1000\n")
    options = ("--env-file", str(file), "--log-format", "json")
    with towpath_serve("small", run_dir=tmp_path, app_dir=project, options=options) as server:
        file.write_text("TOWPATH_WORKER_TIMEOUT=2\n")
        assert towpath(server, "reload").returncode == 0
        first = served_by(server)
        answer = httpx.post(f"{server.url}/stuck", **PLAIN, timeout=30)
        assert (answer.status_code, answer.text) == (502, "the worker died\n")
        server.wait_for_log("exits by force: its event loop has been blocked for 2 s (--worker-timeout)")
        server.wait_for_log("time.sleep(60)")
        server.wait_for_log("died while it had POST /stuck")
        second = served_by(server)
        assert second != first
        os.kill(second, signal.SIGSTOP)
        server.wait_for_log("worker-1 had no lease for 2 s: killed")
        (killed,) = [json.loads(line) for line in server.log.splitlines() if "for 2 s: killed" in line]
        assert killed["level"] == "WARNING"  # an alarm may be bound to it
        wait_until(lambda: served_by(server) not in (first, second), "another worker serves", server=server)


def test_a_worker_whose_very_first_request_blocks_it_is_replaced_too(tmp_path: Path, project: Path) -> None:
    """It waits in the queue when the worker comes, and is taken before that has read all channels.

    A request that blocks for ever and may be started again comes to each worker that is started in place of the last one.
    """
    options = ("--worker-timeout", "2")
    with (
        towpath_serve("small", run_dir=tmp_path, app_dir=project, options=options) as server,
        ThreadPoolExecutor(1) as pool,
    ):
        assert towpath(server, "scale", "worker=0").returncode == 0
        answer = pool.submit(httpx.post, f"{server.url}/stuck", trust_env=False, timeout=40)
        wait_until(lambda: queued(server) == 1, "it waits for a worker", server=server)
        assert towpath(server, "scale", "worker=1").returncode == 0
        assert (answer.result().status_code, answer.result().text) == (502, "the worker died\n")
        server.wait_for_log("exits by force: its event loop has been blocked for 2 s (--worker-timeout)")
