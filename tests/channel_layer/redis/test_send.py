"""send.lua keeps an index of the shared channels in which anything may wait. A real server runs it."""

from __future__ import annotations

from redis import Redis

from channel_layer.protocol.keys import Keys
from channel_layer.redis.scripts import SEND
from tests.support.redis_server import RedisServer


def send(redis: Redis, keys: Keys, channel: str, ttl_ms: int) -> object:
    names = (keys.channel(channel), keys.channel_size(channel), keys.shared_channels)
    return redis.eval(SEND.text, 3, *names, 100, 10_000, ttl_ms, "workers", ttl_ms, channel, "batch")


def test_a_channel_stands_in_the_index_as_long_as_a_message_may_wait_there(
    redis_server: RedisServer, prefix: str
) -> None:
    """P11. The time is Redis', it only grows, and a later send drops what is over."""
    redis, keys = redis_server.client(), Keys(prefix)
    seconds, _ = redis.time()  # type: ignore[misc]
    assert send(redis, keys, "a", 120_000) == [1]
    first = redis.zscore(keys.shared_channels, "a")
    assert isinstance(first, float) and (seconds + 119) * 1000 < first < (seconds + 200) * 1000
    send(redis, keys, "a", 60_000)
    assert redis.zscore(keys.shared_channels, "a") == first
    redis.zadd(keys.shared_channels, {"over": seconds * 1000 - 1})
    send(redis, keys, "b", 60_000)
    assert redis.zrange(keys.shared_channels, 0, -1) == ["b", "a"]
    assert 0 < redis.pttl(keys.shared_channels) <= 120_000  # type: ignore[operator]


def test_a_channel_that_is_used_all_the_time_stays_in_the_index(redis_server: RedisServer, prefix: str) -> None:
    """Its time is written again when half a minute of it has passed."""
    redis, keys = redis_server.client(), Keys(prefix)
    send(redis, keys, "a", 120_000)
    redis.zincrby(keys.shared_channels, -31_000, "a")
    early = redis.zscore(keys.shared_channels, "a")
    send(redis, keys, "a", 120_000)
    late = redis.zscore(keys.shared_channels, "a")
    assert isinstance(early, float) and isinstance(late, float) and late >= early + 31_000


def test_keys_live_at_least_until_the_time_in_the_index(redis_server: RedisServer, prefix: str) -> None:
    """P11. A send writes nothing where half a minute of that time is gone at most, and all of it where more is gone."""
    redis, keys = redis_server.client(), Keys(prefix)
    names = (keys.channel("a"), keys.channel_size("a"), keys.shared_channels)
    send(redis, keys, "a", 120_000)
    for gone_ms, is_written in ((29_000, False), (31_000, True)):
        redis.zincrby(keys.shared_channels, -gone_ms, "a")
        for name in names:
            redis.pexpire(name, 120_000 - gone_ms)
        send(redis, keys, "a", 120_000)
        lives_ms = [int(redis.pttl(name)) for name in names]  # type: ignore[arg-type]
        assert min(lives_ms) > 119_000 if is_written else max(lives_ms) <= 91_000
        redis.zadd(keys.shared_channels, {"a": now_ms(redis) + 120_000})


def test_a_key_that_was_lost_alone_is_made_anew_with_a_time_to_live(redis_server: RedisServer, prefix: str) -> None:
    """P11. There is no key without one, whatever an operator deletes."""
    redis, keys = redis_server.client(), Keys(prefix)
    for lost in (keys.channel("a"), keys.channel_size("a"), keys.shared_channels):
        send(redis, keys, "a", 120_000)
        redis.delete(lost)
        send(redis, keys, "a", 120_000)
        assert 119_000 < int(redis.pttl(lost)) <= 120_000  # type: ignore[arg-type]
    assert redis.zscore(keys.shared_channels, "a")


def test_a_smaller_expiry_shortens_nothing(redis_server: RedisServer, prefix: str) -> None:
    """P11. Of two programs with different expiries the longer one counts, in whatever order they send."""
    redis, keys = redis_server.client(), Keys(prefix)
    for ttl_ms in (61_000, 200_000, 61_000):
        send(redis, keys, "a", ttl_ms)
    for name in (keys.channel("a"), keys.channel_size("a"), keys.shared_channels):
        assert int(redis.pttl(name)) > 199_000  # type: ignore[arg-type]


def now_ms(redis: Redis) -> int:
    seconds, _ = redis.time()  # type: ignore[misc]
    return int(seconds) * 1000
