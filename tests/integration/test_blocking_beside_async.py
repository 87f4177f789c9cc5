"""The blocking layer and the layer for event loops understand each other: by channels of each kind, and by groups."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest

import channel_layer
from channel_layer.blocking.blocking_layer import BlockingChannelLayer
from channel_layer.errors import ChannelGone
from channel_layer.layer import ChannelLayer
from channel_layer.protocol.keys import Keys
from tests.support.redis_server import RedisServer

DEADLINE_S = 30.0


@pytest.fixture
async def layer(redis_server: RedisServer, prefix: str) -> AsyncIterator[ChannelLayer]:
    layer = await channel_layer.connect(redis_server.url, prefix=prefix, capacity=2)
    yield layer
    await layer.close()


@pytest.fixture
def blocking(redis_server: RedisServer, prefix: str) -> BlockingChannelLayer:
    return channel_layer.connect_blocking(redis_server.url, prefix=prefix, capacity=2)


async def received(layer: ChannelLayer, channel: str) -> dict[str, object]:
    async with asyncio.timeout(DEADLINE_S):
        return await layer.receive(channel)


async def test_an_application_channel_gets_messages_of_a_blocking_layer(
    layer: ChannelLayer, blocking: BlockingChannelLayer
) -> None:
    """Straight, and as a member of a group that the blocking layer has made it; no longer after `group_discard`."""
    mine = await layer.new_channel()
    await asyncio.to_thread(blocking.send, mine, {"type": "chat.message", "n": 1})
    await asyncio.to_thread(blocking.group_add, "room", mine)
    await asyncio.to_thread(blocking.group_send, "room", {"type": "chat.message", "n": 2})
    assert {(await received(layer, mine))["n"] for _ in range(2)} == {1, 2}
    await asyncio.to_thread(blocking.group_discard, "room", mine)
    await asyncio.to_thread(blocking.group_send, "room", {"type": "chat.message", "n": 3})
    await asyncio.to_thread(blocking.send, mine, {"type": "chat.message", "n": 4})
    assert (await received(layer, mine))["n"] == 4


async def test_a_channel_that_is_excluded_gets_no_message(layer: ChannelLayer, blocking: BlockingChannelLayer) -> None:
    """All others do."""
    excluded, other = await layer.new_channel(), await layer.new_channel()
    for channel in (excluded, other):
        await asyncio.to_thread(blocking.group_add, "room", channel)
    message = {"type": "chat.message", "n": 1}
    await asyncio.to_thread(blocking.group_send, "room", message, [excluded])
    assert await received(layer, other) == message
    await asyncio.to_thread(blocking.send, excluded, {"type": "chat.message", "n": 2})
    assert (await received(layer, excluded))["n"] == 2


async def test_messages_of_a_shared_channel_go_both_ways(layer: ChannelLayer, blocking: BlockingChannelLayer) -> None:
    """A question from a view, and its answer."""
    mine = blocking.new_channel()
    blocking.send("thumbnails", {"type": "make", "reply_to": mine})
    question = await received(layer, "thumbnails")
    await layer.send(str(question["reply_to"]), {"type": "made"})
    assert await asyncio.to_thread(blocking.receive, mine, DEADLINE_S) == {"type": "made"}


async def test_both_layers_have_the_same_capacity_and_count(
    layer: ChannelLayer, blocking: BlockingChannelLayer
) -> None:
    """P4. One channel, one limit."""
    blocking.send("thumbnails", {"type": "make"})
    await layer.send("thumbnails", {"type": "make"})
    with pytest.raises(channel_layer.ChannelFull):
        await asyncio.to_thread(blocking.send, "thumbnails", {"type": "make"})
    with pytest.raises(channel_layer.ChannelFull):
        await layer.send("thumbnails", {"type": "make"})
    statistics = [blocking.statistics("thumbnails"), await layer.statistics("thumbnails")]
    assert [each["messages_pending"] for each in statistics] == [2, 2]


OWNER = """
import asyncio, sys, channel_layer

async def main():
    layer = await channel_layer.connect(sys.argv[1], prefix=sys.argv[2])
    print(await layer.new_channel(), flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_the_membership_of_a_process_that_was_killed_is_no_error(
    layer: ChannelLayer, redis_server: RedisServer, prefix: str
) -> None:
    """Its inbox is still there and takes the request, and no answer will ever come: its lease tells that, long before the timeout."""
    owner = subprocess.Popen([sys.executable, "-c", OWNER, redis_server.url, prefix], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    channel = owner.stdout.readline().strip()
    owner.kill()
    owner.wait()
    owner.stdout.close()
    keys, node = Keys(prefix), channel.partition("!")[0]
    with redis_server.client() as redis:
        redis.delete(keys.lease(node))  # as five seconds later
        assert redis.exists(keys.inbox(node))
    blocking = channel_layer.connect_blocking(redis_server.url, prefix=prefix, timeout=3600)
    async with asyncio.timeout(DEADLINE_S):
        for call in (blocking.group_add, blocking.group_discard):
            await asyncio.to_thread(call, "room", channel)
        await layer.group_add("room", channel)
        await layer.group_discard("room", channel)


async def test_a_layer_that_has_ended_is_gone(layer: ChannelLayer, redis_server: RedisServer, prefix: str) -> None:
    """At once, for each of its channels; to make it a member of a group is no error, since no message would reach it."""
    ended = await channel_layer.connect(redis_server.url, prefix=prefix)
    mine = await ended.new_channel()
    await ended.close()
    with channel_layer.connect_blocking(redis_server.url, prefix=prefix) as blocking, pytest.raises(ChannelGone):
        blocking.send(mine, {"type": "chat.message"})
    with channel_layer.connect_blocking(redis_server.url, prefix=prefix) as blocking:
        blocking.group_add("room", mine)
        blocking.group_discard("room", mine)
    await layer.group_add("room", mine)
    await layer.group_discard("room", mine)
