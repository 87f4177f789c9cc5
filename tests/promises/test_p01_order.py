"""P1: events of a connection reach its instance in order, and replies reach the socket in order."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import httpx
from websockets.sync.client import connect

from tests.promises.conftest import PROJECT, WITHOUT_AND_WITH_KEYS, Traces
from tests.support.plain_http import PLAIN
from tests.support.serving import towpath_serve


@WITHOUT_AND_WITH_KEYS
def test_what_goes_in_comes_out_in_the_same_order(tmp_path: Path, traces: Traces, keys: dict[str, str]) -> None:
    """P1. Numbered frames on many sockets at once, a body in parts, a long response in numbered parts."""
    options = ("--workers", "2", "--interfaces", "2")
    with towpath_serve(
        "witness", app_dir=PROJECT, run_dir=tmp_path, env={**traces.env, **keys}, options=options
    ) as server:
        faults: list[str] = []

        def talk(name: int) -> None:
            with connect(f"{server.websocket_url}/{name}") as socket:
                for number in range(500):
                    socket.send(f"{name}:{number}")
                heard = [socket.recv() for _ in range(500)]
            if heard != [f"{name}:{number}" for number in range(500)]:
                faults.append(f"socket {name} heard {heard[:5]}…")

        threads = [threading.Thread(target=talk, args=(name,)) for name in range(8)]
        for thread in threads:
            thread.start()

        parts = [os.urandom(50_000) for _ in range(100)]
        answer = httpx.post(f"{server.url}/digest", content=iter(parts), timeout=30, **PLAIN)
        assert answer.text == hashlib.sha256(b"".join(parts)).hexdigest()

        body = httpx.get(f"{server.url}/big/8", timeout=30, **PLAIN).content
        assert [int(body[at : at + 8]) for at in range(0, len(body), 65_536)] == list(range(128))

        for thread in threads:
            thread.join()
        assert not faults
