"""A process that was killed has an inbox for up to a minute; a send to it is an error as soon as its lease is over."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from subprocess import PIPE, Popen
from typing import Any

import pytest
from redis import Redis

import channel_layer
from channel_layer import ChannelGone
from channel_layer.application.capacities import LayerSettings
from channel_layer.blocking.blocking_layer import BlockingChannelLayer
from channel_layer.layer import ChannelLayer
from channel_layer.layer_thread import LayerThread
from channel_layer.protocol.keys import Keys
from channel_layer.settings import RedisSettings
from tests.support.facts import until_async
from tests.support.redis_server import RedisServer

HELLO = {"type": "chat.hello"}
TTL_S = 2.0
#: A process that has a channel, writes its name, and lives on.
OWNER = f"""
import asyncio, sys
from channel_layer.application.capacities import LayerSettings
from channel_layer.layer import ChannelLayer
from channel_layer.layer_thread import LayerThread
from channel_layer.settings import RedisSettings

async def main():
    settings = RedisSettings(url=sys.argv[1], prefix=sys.argv[2], lease_ttl_s={TTL_S})
    layer = ChannelLayer(LayerThread(settings), LayerSettings())
    print(await layer.new_channel(), flush=True)
    await layer.receive("never")

asyncio.run(main())
"""


@contextmanager
def running_owner(redis: RedisServer, prefix: str) -> Iterator[tuple[int, str]]:
    """The number of such a process, and the name of its channel."""
    with Popen([sys.executable, "-c", OWNER, redis.url, prefix], stdout=PIPE, text=True) as owner:
        try:
            assert owner.stdout is not None
            yield owner.pid, owner.stdout.readline().strip()
        finally:
            owner.kill()


async def gone(send: Callable[[], Coroutine[Any, Any, None]]) -> ChannelGone:
    """The error of the first send that has one."""
    async with asyncio.timeout(20.0):
        while True:
            try:
                await send()
            except ChannelGone as error:
                return error
            await asyncio.sleep(0.02)


async def test_a_killed_process_is_gone_with_its_lease(redis_server: RedisServer, prefix: str) -> None:
    """For both clients, and for each way to ask; its inbox is there, and holds nothing of what was refused."""
    settings = RedisSettings(url=redis_server.url, prefix=prefix, lease_ttl_s=TTL_S)
    with (
        running_owner(redis_server, prefix) as (pid, channel),
        redis_server.client() as redis,
        channel_layer.connect_blocking(redis_server.url, prefix=prefix) as blocking,
    ):
        async with ChannelLayer(LayerThread(settings), LayerSettings()) as layer:
            await layer.send(channel, HELLO)
            await asyncio.to_thread(blocking.send, channel, HELLO, True)
            os.kill(pid, signal.SIGKILL)
            error = await gone(lambda: layer.send(channel, HELLO))
            assert channel.partition("!")[0] in str(error)
            await check_blocking(blocking, redis, channel, Keys(prefix).inbox(channel.partition("!")[0]))


async def check_blocking(blocking: BlockingChannelLayer, redis: Redis, channel: str, inbox: str) -> None:
    entries = redis.xlen(inbox)
    assert redis.exists(inbox)
    with pytest.raises(ChannelGone):
        await asyncio.to_thread(blocking.send, channel, HELLO)
    assert redis.xlen(inbox) == entries
    with pytest.raises(ChannelGone):
        await asyncio.to_thread(blocking.send, channel, HELLO, True)


async def reached(layer: ChannelLayer, channel: str) -> bool:
    try:
        await layer.send(channel, HELLO)
    except ChannelGone:
        return False
    return True


async def test_a_process_that_hung_is_reached_again(redis_server: RedisServer, prefix: str) -> None:
    """It was taken for gone while it had no lease."""
    settings = RedisSettings(url=redis_server.url, prefix=prefix, lease_ttl_s=TTL_S)
    with running_owner(redis_server, prefix) as (pid, channel):
        async with ChannelLayer(LayerThread(settings), LayerSettings()) as layer:
            await layer.send(channel, HELLO)
            os.kill(pid, signal.SIGSTOP)
            await gone(lambda: layer.send(channel, HELLO))
            os.kill(pid, signal.SIGCONT)
            await until_async(lambda: reached(layer, channel), "it is reached again", 20.0)
