"""P10. Shared channels as members of groups: kept in Redis with an end, and sent to by the process that publishes. Both layers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from typing import Any

import pytest
from redis import Redis

import channel_layer
from channel_layer import ChannelFull, InvalidName
from channel_layer.application.shared_commands import GROUP_CHANNELS_MAX
from channel_layer.blocking.blocking_layer import BlockingChannelLayer
from channel_layer.layer import ChannelLayer
from channel_layer.protocol.keys import Keys
from channel_layer.settings import RedisSettings
from tests.support.facts import until_async

DEADLINE_S = 20.0
NOTE = {"type": "note", "text": "hello"}
#: The calls of either layer, awaited.
Call = Callable[..., Coroutine[Any, Any, Any]]


@pytest.fixture
async def layer(redis_settings: RedisSettings) -> AsyncIterator[ChannelLayer]:
    layer = await channel_layer.connect(redis_settings.url, prefix=redis_settings.prefix)
    yield layer
    await layer.close()


class Calls:
    """The calls about groups of one of the layers, and its counters."""

    def __init__(self, layer: ChannelLayer | BlockingChannelLayer) -> None:
        self.layer = layer

    def __getattr__(self, name: str) -> Call:
        call = getattr(self.layer, name)
        return call if isinstance(self.layer, ChannelLayer) else partial(asyncio.to_thread, call)

    def count(self, counter: str) -> int:
        if isinstance(self.layer, BlockingChannelLayer):
            return self.layer.counters[counter]
        loop_layer = self.layer.home.loop_layer()
        assert loop_layer is not None
        return loop_layer._counters[counter]


@pytest.fixture(params=["async", "blocking"], name="calls")
async def _calls(request: pytest.FixtureRequest, redis_settings: RedisSettings) -> AsyncIterator[Calls]:
    options: Any = {"prefix": redis_settings.prefix, "capacity": 3}
    if request.param == "async":
        layer = await channel_layer.connect(redis_settings.url, **options)
        yield Calls(layer)
        await layer.close()
    else:
        with channel_layer.connect_blocking(redis_settings.url, **options) as blocking:
            yield Calls(blocking)


@pytest.fixture
def keys(redis_settings: RedisSettings) -> Keys:
    return Keys(redis_settings.prefix)


@pytest.fixture
def redis(redis_settings: RedisSettings) -> Redis:
    return Redis.from_url(redis_settings.url)


async def soon(layer: ChannelLayer, channel: str) -> dict[str, Any]:
    async with asyncio.timeout(DEADLINE_S):
        return await layer.receive(channel)


async def waiting(layer: ChannelLayer, channel: str) -> int:
    return int((await layer.statistics(channel))["messages_pending"])


async def test_members_of_both_kinds_get_what_is_sent_to_the_group(layer: ChannelLayer, calls: Calls) -> None:
    """Each once, and as it was sent; but for those that are excluded."""
    own = await layer.new_channel()
    for channel in (own, "thumbnails", "mails"):
        await calls.group_add("room", channel)
    await calls.group_send("room", NOTE)
    assert [await soon(layer, channel) for channel in (own, "thumbnails", "mails")] == [NOTE, NOTE, NOTE]
    await calls.group_send("room", NOTE, exclude=["mails", own])
    assert await soon(layer, "thumbnails") == NOTE
    assert await waiting(layer, "mails") == await waiting(layer, own) == 0


async def test_one_receiver_in_any_process_gets_a_message(layer: ChannelLayer, calls: Calls) -> None:
    """As of every message of a shared channel; those of one sender come in order."""
    await calls.group_add("room", "work")
    for number in range(3):
        await calls.group_send("room", {"type": "note", "number": number})
    assert [(await soon(layer, "work"))["number"] for _ in range(3)] == [0, 1, 2]
    assert await waiting(layer, "work") == 0


async def test_a_message_for_clients_arrives_as_clients_get_it(layer: ChannelLayer, calls: Calls) -> None:
    """No key that only processes read comes with it."""
    await calls.group_add("room", "work")
    await calls.group_send("room", {"type": "websocket.send", "text": "a", "other": 1}, exclude=["mails"])
    assert await soon(layer, "work") == {"type": "websocket.send", "text": "a"}


async def test_a_channel_that_is_full_drops_the_newest_and_no_other_does(layer: ChannelLayer, calls: Calls) -> None:
    """P4. The sender's capacity counts, and the send succeeds; the drop is counted."""
    await calls.group_add("room", "full")
    for number in range(5):
        await calls.group_send("room", {"type": "note", "number": number})
    await calls.group_add("room", "free")
    await calls.group_send("room", NOTE)
    assert await waiting(layer, "full") == 3 and await waiting(layer, "free") == 1
    assert calls.count("dropped.channel_full") == 3
    assert [(await soon(layer, "full"))["number"] for _ in range(3)] == [0, 1, 2]


async def test_a_channel_that_redis_refuses_costs_the_others_nothing(
    layer: ChannelLayer, calls: Calls, redis: Redis, keys: Keys
) -> None:
    """The message is published, so the call succeeds."""
    redis.set(keys.channel("broken"), "no stream", px=60_000)
    for channel in ("broken", "work"):
        await calls.group_add("room", channel)
    await calls.group_send("room", NOTE)
    assert await soon(layer, "work") == NOTE
    assert calls.count("groups.send_not_confirmed") == 1


async def test_a_membership_that_was_ended_is_over(layer: ChannelLayer, calls: Calls) -> None:
    """Discarding none is harmless."""
    for channel in ("work", "mails"):
        await calls.group_add("room", channel)
    for channel in ("work", "never"):
        await calls.group_discard("room", channel)
    await calls.group_send("room", NOTE)
    assert await waiting(layer, "work") == 0 and await waiting(layer, "mails") == 1


async def test_flush_ends_the_memberships(layer: ChannelLayer, calls: Calls, redis: Redis, keys: Keys) -> None:
    """Of all groups, also of one that is called as a channel of connections."""
    for group in ("room", "http.request"):
        await calls.group_add(group, "work")
    await calls.flush()
    assert not redis.exists(keys.group_channels("room"), keys.group_channels("http.request"))
    await calls.group_send("room", NOTE)
    assert await waiting(layer, "work") == 0


async def test_a_membership_ends_after_its_time_and_each_add_extends_it(
    redis_settings: RedisSettings, redis: Redis, keys: Keys
) -> None:
    """By Redis' clock; a later add with less time does not shorten it. The key has an end itself."""
    url, key = redis_settings.url, keys.group_channels("room")
    with (
        channel_layer.connect_blocking(url, prefix=redis_settings.prefix, group_expiry=0.05) as short,
        channel_layer.connect_blocking(url, prefix=redis_settings.prefix, group_expiry=60) as long,
    ):
        short.group_add("room", "work")
        long.group_add("room", "mails")
        short.group_add("room", "mails")
        assert 50_000 < redis.pttl(key) <= 60_000

        async def ended() -> bool:
            long.group_send("room", NOTE)
            before = long.statistics("work")["messages_pending"]
            long.group_send("room", NOTE)
            return long.statistics("work")["messages_pending"] == before

        await until_async(ended, "the short membership is over", DEADLINE_S)
        assert long.receive("mails", timeout=DEADLINE_S) == NOTE


@pytest.mark.parametrize("channel", ["http.request", "websocket.connect", "no blanks"])
async def test_channels_of_connections_are_no_members(calls: Calls, channel: str) -> None:
    """An application cannot send to them either."""
    with pytest.raises(InvalidName):
        await calls.group_add("room", channel)


async def test_a_shared_channel_is_not_told_what_was_missed(layer: ChannelLayer) -> None:
    """It misses nothing with a subscription, since it has none."""
    with pytest.raises(InvalidName, match="cannot be told"):
        await layer.group_add("room", "work", report_missed=True)


async def test_a_group_takes_so_many_shared_channels_and_no_more(calls: Calls, redis: Redis, keys: Keys) -> None:
    """Those that are members may be added again, and those that are over make room."""
    key, now_ms = keys.group_channels("room"), int(redis.time()[0]) * 1000  # type: ignore[index]
    members = {f"work.{number}": now_ms + 60_000 for number in range(GROUP_CHANNELS_MAX)}
    redis.zadd(key, members)
    redis.pexpire(key, 60_000)
    with pytest.raises(ChannelFull, match="room"):
        await calls.group_add("room", "one.more")
    await calls.group_add("room", "work.7")
    redis.zadd(key, {"work.9": now_ms - 1})
    await calls.group_add("room", "one.more")
    assert redis.zcard(key) == GROUP_CHANNELS_MAX and redis.zscore(key, "work.9") is None
