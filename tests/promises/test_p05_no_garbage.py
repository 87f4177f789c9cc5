"""P5: what a connection has held is free when it is over, and does not wait for the garbage collector.

That comes by when enough objects have been made: on a quiet process perhaps never, on a busy one it stands in everybody's way.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from tests.promises.collector.sitecustomize import BEGIN, END
from tests.promises.conftest import PROJECT, Traces
from tests.promises.fleet import processes
from tests.support.plain_http import PLAIN
from tests.support.serving import Server, towpath_serve, wait_until

TIMES = 10


def on_one_connection(server: Server) -> None:
    """Requests with a body, one after the other."""
    with httpx.Client(**PLAIN) as client:
        for _ in range(TIMES):
            assert client.post(f"{server.url}/digest", content=b"x" * 100_000).status_code == 200


def each_on_its_own(server: Server) -> None:
    """A connection for each request."""
    for _ in range(TIMES):
        assert httpx.get(f"{server.url}/hello", **PLAIN).text == "/hello"


def sockets(server: Server) -> None:
    """WebSockets that echo and are closed by their clients."""
    for _ in range(TIMES):
        with connect(f"{server.websocket_url}/socket") as socket:
            socket.send("said")
            assert socket.recv() == "said"


def refused(server: Server) -> None:
    """Requests that no application sees."""
    for _ in range(TIMES):
        with server.connect() as client:
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert b" 400 " in client.recv(4096)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    """A server whose processes say what they leave, and where they say it."""
    folder = tmp_path_factory.mktemp("garbage")
    traces = Traces(folder / "traces")
    environment = {**traces.env, "PYTHONPATH": str(Path(__file__).parent / "collector")}
    with towpath_serve("witness", app_dir=PROJECT, run_dir=folder, env=environment) as server:
        yield server, traces.folder


@pytest.mark.parametrize("load", [on_one_connection, each_on_its_own, sockets, refused])
def test_nothing_is_left_to_the_garbage_collector(served: tuple[Server, Path], load: Callable[[Server], None]) -> None:
    """P5. Neither in the interface server nor in the worker."""
    server, told = served
    pids = [pid for role in ("interface", "worker") for pid in processes(server, role)]
    load(server)  # what is made once is made now
    tell(pids, BEGIN, told, "begun")
    load(server)
    tell(pids, END, told, "found")
    for pid in pids:
        left = json.loads((told / f"found.{pid}").read_text())
        ours = {name: count for name, count in left.items() if name.split(".")[0] in OURS}
        assert not ours, f"{pid} left {ours}"


OURS = ("interface_server", "worker", "channel_layer")


def tell(pids: list[int], what: int, told: Path, name: str) -> None:
    """Send each the signal, and wait until it has done it."""
    for pid in pids:
        (told / f"{name}.{pid}").unlink(missing_ok=True)
        os.kill(pid, what)
    wait_until(lambda: all((told / f"{name}.{pid}").exists() for pid in pids), name)
