"""forget_consumers.lua: consumers go when their processes are gone, and never with what is pending for them. A real server runs it."""

from __future__ import annotations

from typing import Any, cast

from channel_layer.protocol.keys import GROUP
from channel_layer.redis.scripts import FORGET_CONSUMERS
from tests.support.redis_server import RedisServer

LONG_MS = 60_000


def test_only_consumers_with_nothing_pending_go(redis_server: RedisServer, prefix: str) -> None:
    """P3, P11. The one that has ended goes at once, the others when they have not read for long; a channel without a group has none."""
    stream = f"{prefix}a"

    def forget(ended: str, idle_ms: int) -> set[str]:
        redis.eval(FORGET_CONSUMERS.text, 1, stream, GROUP, ended, idle_ms)
        consumers = cast(list[dict[str, Any]], redis.xinfo_consumers(stream, GROUP))
        return {consumer["name"] for consumer in consumers}

    with redis_server.client() as redis:
        assert redis.eval(FORGET_CONSUMERS.text, 1, stream, GROUP, "ended", 0) == 0
        redis.xgroup_create(stream, GROUP, "0", mkstream=True)
        redis.xadd(stream, {"b": "x"})
        for name in ("busy", "ended", "killed"):
            redis.xreadgroup(GROUP, name, {stream: ">"})
        assert forget("", LONG_MS) == {"busy", "ended", "killed"}
        assert forget("ended", LONG_MS) == {"busy", "killed"}
        assert forget("busy", 0) == {"busy"}
