"""What can be done to a Redis, and undone: to a single server, and to the one that is the primary among several."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from random import Random

from redis import Redis
from redis.exceptions import RedisError

from tests.chaos.harm import Action
from tests.support.redis_sentinels import RedisSentinels
from tests.support.redis_server import RedisServer

#: Longer than a lease, the look that finds it over, and what a busy machine adds.
FROZEN_S = 8.0
AWAY_S = (0.0, 1.0, 5.0)
UNFIT_S = (0.5, 2.5, FROZEN_S)
SIGNALS = {Action.KILL: signal.SIGKILL, Action.TERM: signal.SIGTERM}


async def strike_server(redis: RedisServer, action: Action, random: Random) -> None:
    """It stands again, and is as it was, when this returns."""
    assert redis.process is not None
    if action in (Action.KILL, Action.TERM):
        redis.signal(SIGNALS[action])
        await asyncio.to_thread(redis.process.wait)
        await asyncio.sleep(random.choice(AWAY_S))
        await asyncio.to_thread(redis.start)
    elif action is Action.FREEZE:
        redis.signal(signal.SIGSTOP)
        await asyncio.sleep(FROZEN_S)
        redis.signal(signal.SIGCONT)
    elif action is Action.BLOCK:
        await _say(redis, "CLIENT", "PAUSE", int(FROZEN_S * 1000))
        await asyncio.sleep(FROZEN_S)
    elif action is Action.SEVER:
        await asyncio.to_thread(sever, redis.client())
    elif action is Action.FILL:
        await _say(redis, "CONFIG", "SET", "maxmemory", 1)
        await asyncio.sleep(random.choice(UNFIT_S))
        await _say(redis, "CONFIG", "SET", "maxmemory", 0)
    elif action is Action.DEMOTE:
        await _say(redis, "REPLICAOF", "127.0.0.1", 1)
        await asyncio.sleep(random.choice(UNFIT_S))
        await _say(redis, "REPLICAOF", "NO", "ONE")


async def strike_primary(sentinels: RedisSentinels, action: Action, random: Random) -> None:
    """Another one is the primary when this returns, and the last one follows it."""
    primary = await asyncio.to_thread(lambda: sentinels.primary)
    if action is Action.SEVER:
        await asyncio.to_thread(sever, primary.client())
        return
    if action is Action.KILL:
        await asyncio.to_thread(primary.stop)
    elif action is Action.FREEZE:
        primary.signal(signal.SIGSTOP)
    elif action is Action.MOVE:
        await asyncio.to_thread(sentinels.fail_over)
    await asyncio.to_thread(sentinels.wait_for_promotion, primary.port)
    await asyncio.sleep(random.choice(AWAY_S))
    if action is Action.KILL:
        await asyncio.to_thread(primary.start)
    elif action is Action.FREEZE:
        primary.signal(signal.SIGCONT)
    await asyncio.to_thread(sentinels.until_whole)


async def _say(redis: RedisServer, *words: str | int) -> None:
    def say() -> None:
        with redis.client() as client:
            client.execute_command(*words)

    await asyncio.to_thread(say)


def sever(redis: Redis) -> None:
    """End every connection to it."""
    with redis as client, contextlib.suppress(RedisError):
        client.client_kill_filter(_type="pubsub")
        client.client_kill_filter(_type="normal", skipme=True)
