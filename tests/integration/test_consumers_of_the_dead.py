"""What a worker that did not leave in good order has in Redis' books, and who strikes it out."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from redis.asyncio import Redis

import channel_layer
from channel_layer.messaging import channel_reader
from channel_layer.protocol.keys import CHANNEL_OF_KIND, GROUP, HTTP_CHANNEL, Keys
from channel_layer.redis import scripts as redis_scripts
from channel_layer.settings import RedisSettings
from tests.support.both_dispatchers import RecordedHost, interface, knock, respond, worker
from tests.support.facts import until, until_async

DEAD = "worker.00000000dead"
LONG_AGO_MS, JUST_NOW_MS = 1, 2**45


async def read_as(name: str, redis: Redis, keys: Keys) -> int:
    """Read all that waits, as a worker does before it takes; how much that was."""
    found = await redis.xreadgroup(GROUP, name, {keys.channel(channel): ">" for channel in CHANNEL_OF_KIND.values()})
    return sum(len(entries) for _, entries in found)


async def consumers(redis: Redis, keys: Keys) -> dict[str, int]:
    """By name, how much they have read and nobody has taken; of both channels."""
    found: dict[str, int] = {}
    for channel in CHANNEL_OF_KIND.values():
        for consumer in await redis.xinfo_consumers(keys.channel(channel), GROUP):
            name = consumer["name"].decode()
            found[name] = found.get(name, 0) + consumer["pending"]
    return found


async def is_forgotten(name: str, redis: Redis, keys: Keys) -> bool:
    return name not in await consumers(redis, keys) and await redis.zscore(keys.nodes, name) is None


async def test_a_worker_that_was_killed_leaves_no_consumer_for_ever(redis_settings: RedisSettings) -> None:
    """P11. Workers are killed each day, and their names never come again: what is kept for each would only grow."""
    keys = Keys(redis_settings.prefix)
    async with (
        Redis.from_url(redis_settings.url) as redis,
        worker(redis_settings, RecordedHost()) as lives,
    ):
        assert await read_as(DEAD, redis, keys) == 0
        assert (await consumers(redis, keys)).keys() == {DEAD, lives.node.name}
        await redis.zadd(keys.nodes, {DEAD: LONG_AGO_MS})
        await until_async(lambda: is_forgotten(DEAD, redis, keys), "the dead is forgotten")
        assert (await consumers(redis, keys)).keys() == {lives.node.name}


@pytest.mark.parametrize("way", ["killed", "left"])
async def test_what_a_worker_had_read_is_claimed_before_its_consumer_goes(
    way: str, redis_settings: RedisSettings
) -> None:
    """P3, P11. Redis forgets with a consumer what it has pending: nobody could claim that, and its client would wait in vain."""
    keys = Keys(redis_settings.prefix)
    async with Redis.from_url(redis_settings.url) as redis:
        for channel in CHANNEL_OF_KIND.values():
            await redis.xgroup_create(keys.channel(channel), GROUP, "0", mkstream=True)
        async with interface(redis_settings) as server:
            client = knock(server)
            await until_async(lambda: waits(redis, keys), "it waits for a worker")
            assert await read_as(DEAD, redis, keys) == 1
            await redis.zadd(keys.nodes, {DEAD: LONG_AGO_MS if way == "killed" else JUST_NOW_MS})
            if way == "left":
                streams = [keys.channel(channel) for channel in CHANNEL_OF_KIND.values()]
                names = [keys.lease(DEAD), keys.nodes, keys.inbox(DEAD), *streams]
                await redis.eval(redis_scripts.LEAVE.text, len(names), *names, DEAD, GROUP)
            renewed_at = server.node._own_lease.renewed_at
            await until(
                lambda: server.node._own_lease.renewed_at != renewed_at, "the interface server has looked at it"
            )
            assert (await consumers(redis, keys))[DEAD] == 1
            async with worker(redis_settings, RecordedHost(play=respond)):
                await until(lambda: client.body == b"hello", "somebody else has answered")
                await until_async(lambda: is_forgotten(DEAD, redis, keys), "the dead is forgotten")


async def waits(redis: Redis, keys: Keys) -> bool:
    return bool(await redis.xlen(keys.channel(HTTP_CHANNEL)) == 1)


async def readers(redis: Redis, keys: Keys) -> set[str]:
    """The consumers of the channel `work`."""
    return {consumer["name"].decode() for consumer in await redis.xinfo_consumers(keys.channel("work"), GROUP)}


async def is_true(fact: Coroutine[Any, Any, set[str]], expected: set[str]) -> bool:
    return await fact == expected


async def test_a_process_that_has_received_leaves_no_consumer_behind(redis_settings: RedisSettings) -> None:
    """P11. Its name never comes again."""
    keys, message = Keys(redis_settings.prefix), {"type": "work"}
    async with Redis.from_url(redis_settings.url) as redis:
        async with await channel_layer.connect(redis_settings.url, prefix=redis_settings.prefix) as layer:
            await layer.send("work", message)
            assert await layer.receive("work") == message
            assert len(await readers(redis, keys)) == 1
        await until_async(lambda: is_true(readers(redis, keys), set()), "no consumer is left")


async def test_the_next_process_that_receives_forgets_those_that_were_killed(
    redis_settings: RedisSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P3, P11. But for one that has something pending: Redis would forget that too, before anybody could claim it."""
    keys, message = Keys(redis_settings.prefix), {"type": "work"}
    monkeypatch.setattr(channel_reader, "CONSUMER_IDLE_MS", 0)
    async with (
        Redis.from_url(redis_settings.url) as redis,
        await channel_layer.connect(redis_settings.url, prefix=redis_settings.prefix) as layer,
    ):
        await redis.xgroup_create(keys.channel("work"), GROUP, "0", mkstream=True)
        await layer.send("work", message)
        for name in (DEAD, "worker.00000000gone"):
            await redis.xreadgroup(GROUP, name, {keys.channel("work"): ">"})
        receiving = asyncio.create_task(layer.receive("work"))
        await until_async(
            lambda: is_true(readers(redis, keys), {DEAD, layer.home.loop_layer()._node.name}),  # type: ignore[union-attr]
            "one is forgotten",
        )
        async with asyncio.timeout(30):
            assert await receiving == message
