"""take_messages.lua: of several readers one gets a message, and no reader gets one that waited too long. A real server runs it."""

from __future__ import annotations

from typing import Any

import pytest
from redis import Redis

from channel_layer.redis.scripts import OPEN, TAKE_MESSAGES
from tests.support.redis_server import RedisServer

GROUP = "workers"
NEVER = 2**53
HOUR_MS = 3_600_000


class Channel:
    """A shared channel with its keys, as a script sees it."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self.redis = redis
        self.keys = (f"{prefix}channel:a", f"{prefix}channel-size:a")

    def add(self, *batches: str) -> list[str]:
        """Queue batches by the open script, and read them. Returns their ids."""
        self.redis.eval(OPEN.text, 2, *self.keys, 100, NEVER, 60_000, 1, *batches)
        if not self.redis.xinfo_groups(self.keys[0]):
            self.redis.xgroup_create(self.keys[0], GROUP, "0")
        read: Any = self.redis.xreadgroup(GROUP, "reader", {self.keys[0]: ">"})
        return [entry_id for entry_id, _ in read[0][1]]

    def take(self, *entries: tuple[str, int, int]) -> Any:
        """The verdicts. entries: id, size, and the last moment."""
        flat = [field for entry in entries for field in entry]
        return self.redis.eval(TAKE_MESSAGES.text, 2, *self.keys, GROUP, *flat)


@pytest.fixture
def channel(redis_server: RedisServer, prefix: str) -> Channel:
    return Channel(redis_server.client(), prefix)


def test_a_message_is_taken_once(channel: Channel) -> None:
    """P3. A second reader that claimed it meanwhile gets 0; nothing stays, in the stream, pending or counted."""
    (entry,) = channel.add("four")
    assert channel.take((entry, 4, NEVER))[0] > 0
    assert channel.take((entry, 4, NEVER)) == [0]
    assert channel.redis.xlen(channel.keys[0]) == 0
    assert channel.redis.xpending(channel.keys[0], GROUP)["pending"] == 0
    assert channel.redis.get(channel.keys[1]) == "0"


def test_a_message_is_good_up_to_its_last_moment_by_the_clock_of_redis(channel: Channel) -> None:
    """One that waited longer is removed all the same, and its bytes make space for the next."""
    late, good = channel.add("late", "good")
    added_ms = int(late.partition("-")[0])
    too_late, rest_ms = channel.take((late, 4, added_ms - 1), (good, 4, added_ms + HOUR_MS))
    assert too_late == -1 and 0 < rest_ms <= HOUR_MS
    assert channel.redis.xlen(channel.keys[0]) == 0
    assert channel.redis.get(channel.keys[1]) == "0"


def test_a_count_that_was_lost_never_falls_below_zero(channel: Channel) -> None:
    """Else the channel would take more than its capacity in bytes."""
    (entry,) = channel.add("four")
    channel.redis.delete(channel.keys[1])
    assert channel.take((entry, 4, NEVER))[0] > 0
    assert channel.redis.get(channel.keys[1]) is None


def test_without_entries_nothing_is_done(channel: Channel) -> None:
    """A reader whose entries were all malformed has none to ask about."""
    channel.add("four")
    assert channel.take() == []
    assert channel.redis.xlen(channel.keys[0]) == 1
