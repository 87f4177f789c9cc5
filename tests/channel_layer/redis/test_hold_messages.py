"""hold_messages.lua: a message stays pending for the process that works at it, for as long as that says so. A real server runs it."""

from __future__ import annotations

from typing import Any

import pytest
from redis import Redis

from channel_layer.protocol.keys import Keys
from channel_layer.redis.scripts import HOLD_MESSAGES, SEND
from tests.support.redis_server import RedisServer

GROUP, TTL_MS, NEVER = "workers", 90_000, 2**53


class Channel:
    """A shared channel with two readers."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self.redis = redis
        self.keys = (keys.channel("a"), keys.channel_size("a"), keys.shared_channels)

    def add(self, batch: str) -> str:
        """Send, and let the process `one` read it. Returns its id."""
        self.redis.eval(SEND.text, 3, *self.keys, 100, NEVER, 60_000, GROUP, 60_000, "a", batch)
        if not self.redis.xinfo_groups(self.keys[0]):
            self.redis.xgroup_create(self.keys[0], GROUP, "0")
        read: Any = self.redis.xreadgroup(GROUP, "one", {self.keys[0]: ">"})
        return str(read[0][1][0][0])

    def hold(self, process: str, *entries: tuple[str, int, int]) -> Any:
        """The verdicts. entries: id, size, last moment."""
        flat = [field for entry in entries for field in entry]
        return self.redis.eval(HOLD_MESSAGES.text, 3, *self.keys, GROUP, process, TTL_MS, "a", *flat)

    def idle_ms(self, entry: str) -> int:
        (pending,) = self.redis.xpending_range(self.keys[0], GROUP, entry, entry, 1)  # type: ignore[misc]
        return int(pending["time_since_delivered"])


@pytest.fixture
def channel(redis_server: RedisServer, prefix: str) -> Channel:
    return Channel(redis_server.client(), Keys(prefix))


def test_a_message_is_held_by_the_process_that_read_it_last(channel: Channel) -> None:
    """P1. The count says how many have read it; one that has lost it is told 0, and takes nothing back."""
    entry = channel.add("four")
    assert channel.hold("one", (entry, 4, NEVER)) == [1]
    assert channel.hold("two", (entry, 4, 0)) == [0]
    channel.redis.xautoclaim(channel.keys[0], GROUP, "two", 0)
    assert channel.hold("one", (entry, 4, 0)) == [0]
    assert channel.hold("two", (entry, 4, 0)) == [2]
    channel.redis.xdel(channel.keys[0], entry)
    assert channel.hold("two", (entry, 4, 0)) == [0]


def test_who_holds_a_message_keeps_others_from_it_and_keeps_its_keys(channel: Channel) -> None:
    """Its idle time begins anew, and the keys outlive the process for long enough for the next one, which finds the channel."""
    entry = channel.add("four")
    channel.redis.xclaim(channel.keys[0], GROUP, "one", 0, [entry], idle=50_000, justid=True)
    for key in channel.keys:
        channel.redis.pexpire(key, 1_000)
    channel.redis.delete(channel.keys[2])
    assert channel.idle_ms(entry) >= 50_000
    assert channel.hold("one", (entry, 4, 0)) == [1]
    assert channel.idle_ms(entry) < 50_000
    assert all(channel.redis.pttl(key) > 1_000 for key in channel.keys)  # type: ignore[operator]
    assert channel.redis.zrange(channel.keys[2], 0, -1) == ["a"]


def test_one_that_waited_too_long_before_anybody_had_it_is_dropped(channel: Channel) -> None:
    """But not one that was begun in time."""
    late, begun = channel.add("late"), channel.add("begun")
    last = int(late.partition("-")[0]) - 1
    channel.redis.xclaim(channel.keys[0], GROUP, "one", 0, [begun], retrycount=2, justid=True)
    assert channel.hold("one", (late, 4, last), (begun, 5, last)) == [-1, 2]
    assert channel.redis.xlen(channel.keys[0]) == 1
    assert channel.redis.get(channel.keys[1]) == "5"
