"""P11: when all clients are gone, no key without a TTL is left."""

from __future__ import annotations

from pathlib import Path

import httpx
from websockets.sync.client import connect

from tests.promises.conftest import PROJECT, Traces
from tests.support.redis_look import keys_without_a_ttl
from tests.support.serving import Server, towpath_serve


def test_nothing_is_left_without_a_ttl(tmp_path: Path, traces: Traces, redis: Server, url: str) -> None:
    """P11. While processes live, after clients have gone, and after the processes have gone."""
    with towpath_serve(
        "witness", app_dir=PROJECT, run_dir=tmp_path, env=traces.env, options=("--redis", url)
    ) as server:
        assert httpx.get(f"{server.url}/hello").text == "/hello"
        with connect(f"{server.websocket_url}/socket") as socket:
            socket.send("hello")
            assert socket.recv() == "hello"
            assert keys_without_a_ttl(url) == []
        assert keys_without_a_ttl(url) == []
    assert keys_without_a_ttl(url) == []
