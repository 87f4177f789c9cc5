"""P7: between an interface server's last connection and its first refusal lies the time that balancers need to hear of it."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
from websockets.sync.client import connect

from tests.promises.conftest import PROJECT, Traces
from tests.support.plain_http import PLAIN
from tests.support.serving import READY_PATH, Server, towpath_interface, towpath_worker, wait_until

DELAY_S = 2.0
OPTIONS = ("--drain-delay", str(DELAY_S))


def get(server: Server, path: str) -> httpx.Response:
    """On a connection of its own."""
    return httpx.get(server.url + path, **PLAIN, timeout=10)


def accepts(server: Server) -> bool:
    try:
        with server.connect():
            return True
    except ConnectionRefusedError:
        return False


def test_a_leaving_interface_server_says_so_at_once_and_serves_until_its_delay_is_over(
    tmp_path: Path, url: str, traces: Traces
) -> None:
    """P7. Who was sent to it by a balancer that had not heard is served as ever; then it listens no more, and leaves."""
    with (
        towpath_worker("witness", url, run_dir=tmp_path, app_dir=PROJECT, env=traces.env),
        towpath_interface(url, run_dir=tmp_path, options=OPTIONS) as server,
    ):
        assert get(server, "/before").text == "/before"
        asked_at = time.monotonic()
        server.process.terminate()
        wait_until(lambda: get(server, READY_PATH).status_code == 503, "unready", DELAY_S / 2, server)
        assert get(server, "/meanwhile").text == "/meanwhile"
        with connect(f"{server.websocket_url}/socket") as socket:
            socket.send("meanwhile")
            assert socket.recv() == "meanwhile"
            assert get(server, READY_PATH).status_code == 503
            wait_until(lambda: not accepts(server), "it listens no more", DELAY_S + 5)
            assert time.monotonic() - asked_at >= DELAY_S
        assert server.process.wait(30) == 0
