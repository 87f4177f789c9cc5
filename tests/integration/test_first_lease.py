"""What a process says of itself from its first moment on."""

from __future__ import annotations

import redis.asyncio

from channel_layer.protocol.codec import unpack
from channel_layer.settings import RedisSettings
from tests.support.both_dispatchers import RecordedHost, interface, worker


async def test_the_first_lease_says_how_a_process_is(redis_settings: RedisSettings) -> None:
    """The next one comes a second later: until then nobody would hand it a socket, or know its channel, or see it in `status`."""
    async with (
        interface(redis_settings) as server,
        worker(redis_settings, RecordedHost(slots=7), sticky="cookie") as owner,
    ):
        async with redis.asyncio.Redis.from_url(redis_settings.url) as client:
            keys = [dispatcher.node.context.keys.lease(dispatcher.node.name) for dispatcher in (server, owner)]
            ours, its = map(unpack, await client.mget(keys))
    assert (ours["connections"], ours["websockets"], ours["queued"]) == (0, 0, 0)
    assert its["free"] == {"http": 7, "websocket": 7}
    assert (its["websockets"], its["streams"], its["own_channel"]) == (0, 0, True)
