"""P10: one publish per group send, and add-then-send reaches. On real processes."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from redis import Redis
from websockets.sync.client import connect

from tests.promises.conftest import PROJECT, WITHOUT_AND_WITH_KEYS
from tests.support.serving import towpath_interface, towpath_worker


@WITHOUT_AND_WITH_KEYS
def test_a_group_send_is_one_publish_for_sockets_at_two_interface_servers(
    tmp_path: Path, url: str, keys: dict[str, str]
) -> None:
    """P10. Twelve sockets at two interface servers: each is reached at once after joining, by one publish a message.

    P1. And what an instance says to its own socket comes in order, by whichever way.
    """
    with (
        towpath_interface(url, run_dir=tmp_path / "one", env=keys) as one,
        towpath_interface(url, run_dir=tmp_path / "two", env=keys) as two,
        towpath_worker("rooms", url, app_dir=PROJECT, run_dir=tmp_path / "worker", env=keys),
        Redis.from_url(url) as redis,
        contextlib.ExitStack() as stack,
    ):
        sockets = [
            stack.enter_context(connect(f"{interface.websocket_url}/lock"))
            for interface in (one, two)
            for _ in range(6)
        ]
        for number, socket in enumerate(sockets):
            assert json.loads(socket.recv(timeout=20)) == {"joined": True}, number
        before = publishes(redis)
        for number in range(10):
            sockets[0].send(f"message {number}")
        for socket in sockets:
            heard = [socket.recv(timeout=20) for _ in range(10)]
            assert heard == [f"message {number}" for number in range(10)]
        assert publishes(redis) - before == 10
        for _ in range(20):
            with connect(f"{one.websocket_url}/tutorial") as socket:
                assert [socket.recv(timeout=20) for _ in range(4)] == ["1", "2", "3", "4"]  # P1


def publishes(redis: Redis) -> int:
    stats = redis.info("commandstats")
    return int(stats.get("cmdstat_publish", {"calls": 0})["calls"])
