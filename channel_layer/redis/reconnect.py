"""Reconnects to Redis: attempts with backoff and jitter, each of which starts without waiting for the ones before it.

A network that has healed since may have swallowed an attempt: it will never be answered, and to wait for its timeout takes
seconds too long. So the next attempt starts when it is due, and the first that succeeds is used.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from channel_layer.errors import LayerUnavailable
from channel_layer.redis.address_file import AddressSource
from channel_layer.redis.connection import OnAnswer, OnLost, RedisConnection, connect

BACKOFF_FIRST_S = 0.05
BACKOFF_MAX_S = 1.0
#: Attempts under way. A new one replaces the oldest: the first has had a second or so, each later one two to four.
ATTEMPTS_MAX = 4

Attempt = asyncio.Task[RedisConnection]
OnFailure = Callable[[LayerUnavailable], None]


async def reconnect(
    source: AddressSource, on_lost: OnLost, on_push: OnAnswer | None, on_failure: OnFailure
) -> RedisConnection:
    """Make a new connection, however long that takes; it may be lost again already. Cancel it to stop.

    `on_lost` is called for each attempt that is lost, too. `on_failure` is called with the error of each attempt that has failed.
    """
    attempts: list[Attempt] = []
    delay_s = BACKOFF_FIRST_S
    try:
        while (connection := await _first(attempts, delay_s * random.uniform(0.5, 1.0), on_failure)) is None:
            if len(attempts) == ATTEMPTS_MAX:
                attempts.pop(0).cancel()
            attempts.append(asyncio.get_running_loop().create_task(connect(source.current(), on_lost, on_push)))
            delay_s = min(BACKOFF_MAX_S, delay_s * 2)
        return connection
    finally:
        for attempt in attempts:
            if not attempt.cancel() and not attempt.cancelled() and attempt.exception() is None:
                attempt.result().close()  # it succeeded too, a moment after another


async def _first(attempts: list[Attempt], within_s: float, on_failure: OnFailure) -> RedisConnection | None:
    """The connection of the first attempt that succeeds; None if none does within the time, which passes in any case."""
    loop = asyncio.get_running_loop()
    end = loop.time() + within_s
    while (left_s := end - loop.time()) > 0:
        if not attempts:
            await asyncio.sleep(left_s)
            return None
        await asyncio.wait(attempts, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
        for attempt in [attempt for attempt in attempts if attempt.done()]:
            attempts.remove(attempt)
            try:
                return attempt.result()
            except LayerUnavailable as error:
                on_failure(error)
    return None
