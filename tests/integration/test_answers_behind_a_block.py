"""A loop that was blocked for longer than a call waits reads the answer before it gives up."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

from channel_layer.application.capacities import LayerSettings
from channel_layer.loop.loop_layer import LoopLayer
from channel_layer.settings import RedisSettings
from tests.support.both_dispatchers import RecordedHost, worker


async def test_a_group_send_that_redis_has_answered_succeeds_though_the_loop_was_blocked(
    redis_settings: RedisSettings,
) -> None:
    """P6. The call's time was over when the loop ran again, and the answer was there."""
    async with worker(redis_settings, RecordedHost()) as taker:
        layer = LoopLayer(taker.node, Counter(), answer_timeout_s=0.1)
        message = {"type": "websocket.send", "text": "hello"}
        sending = asyncio.ensure_future(layer.group_send("everybody", message, (), LayerSettings()))
        await asyncio.sleep(0)  # it is on its way
        time.sleep(0.3)
        await sending
