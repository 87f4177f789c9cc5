"""What a worker does while it is paused: `serve --reload` has seen that its code is old."""

from __future__ import annotations

from redis.asyncio import Redis

from channel_layer.protocol.keys import HTTP_CHANNEL, Keys
from channel_layer.settings import WireSettings
from tests.integration.both_pumps import RecordedRoom, adopted, interface, knock, respond, worker
from tests.support.facts import until, until_async


async def test_a_paused_worker_takes_nothing_and_goes_on_with_what_it_has(wire_settings: WireSettings) -> None:
    """P7. A read that waits in Redis when the pause begins brings nothing any more: others take it, and at once."""
    old, new = RecordedRoom(), RecordedRoom(play=respond)
    async with interface(wire_settings) as door, worker(wire_settings, old) as paused:
        first = knock(door)
        await adopted(old)
        paused.pause(True)
        second = knock(door)
        async with worker(wire_settings, new):
            await until(lambda: second.body == b"hello")
        assert len(old.instances) == 1
        respond(old.instances[0])
        await until(lambda: first.body == b"hello")


async def test_a_worker_takes_what_has_waited_when_its_pause_is_over(wire_settings: WireSettings) -> None:
    """P7. The new code could not be loaded: the old one serves again."""
    channel = Keys(wire_settings.prefix).channel(HTTP_CHANNEL)
    async with (
        Redis.from_url(wire_settings.redis) as redis,
        interface(wire_settings) as door,
        worker(wire_settings, RecordedRoom(play=respond)) as paused,
    ):
        paused.pause(True)
        client = knock(door)
        await until_async(lambda: redis.xlen(channel), "it waits")
        paused.pause(True)
        assert not client.body
        paused.pause(False)
        await until(lambda: client.body == b"hello")
