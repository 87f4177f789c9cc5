"""What a worker does while it is paused: `serve --reload` has seen that its code is old."""

from __future__ import annotations

from redis.asyncio import Redis

from channel_layer.protocol.keys import HTTP_CHANNEL, Keys
from channel_layer.settings import RedisSettings
from tests.support.both_dispatchers import RecordedHost, adopted, interface, knock, respond, worker
from tests.support.facts import until, until_async


async def test_a_paused_worker_takes_nothing_and_goes_on_with_what_it_has(redis_settings: RedisSettings) -> None:
    """P7. A read that waits in Redis when the pause begins brings nothing any more: others take it, and at once."""
    old, new = RecordedHost(), RecordedHost(play=respond)
    async with interface(redis_settings) as server, worker(redis_settings, old) as paused:
        first = knock(server)
        await adopted(old)
        paused.pause(True)
        second = knock(server)
        async with worker(redis_settings, new):
            await until(lambda: second.body == b"hello")
        assert len(old.instances) == 1
        respond(old.instances[0])
        await until(lambda: first.body == b"hello")


async def test_a_worker_takes_what_has_waited_when_its_pause_is_over(redis_settings: RedisSettings) -> None:
    """P7. The new code could not be loaded: the old one serves again."""
    channel = Keys(redis_settings.prefix).channel(HTTP_CHANNEL)
    async with (
        Redis.from_url(redis_settings.url) as redis,
        interface(redis_settings) as server,
        worker(redis_settings, RecordedHost(play=respond)) as paused,
    ):
        paused.pause(True)
        client = knock(server)
        await until_async(lambda: redis.xlen(channel), "it waits")
        paused.pause(True)
        assert not client.body
        paused.pause(False)
        await until(lambda: client.body == b"hello")
