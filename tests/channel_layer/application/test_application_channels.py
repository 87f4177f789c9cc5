"""The application channels of one process: when they end."""

from __future__ import annotations

import asyncio
from collections import Counter

from channel_layer.application.application_channels import ApplicationChannels
from channel_layer.application.capacities import LayerSettings
from channel_layer.application.receiving import receive
from tests.support.facts import until


async def test_a_channel_ends_when_its_receiver_was_cancelled_and_none_has_followed() -> None:
    """A consumer of Channels ends like that, whatever serves it: nothing of it may stay. One that is handling a message stays."""
    left: list[str] = []
    channels = ApplicationChannels("layer.0", Counter(), left.append)
    settings = LayerSettings(abandoned_s=0.01)
    over, busy, unread = (channels.new("specific", settings).partition("!")[2] for _ in range(3))
    for local in (over, busy, unread):
        channels.join("group", local)
    queue = channels.queue_of(over)
    assert queue is not None
    receiver = asyncio.ensure_future(receive(queue))
    await until(lambda: queue.receiver_count == 1)
    receiver.cancel()
    await asyncio.gather(receiver, return_exceptions=True)
    channels.deliver(busy, {"type": "t"})
    assert (await receive(channels.queue_of(busy)))["type"] == "t"  # and then nothing for longer

    def has_ended(local: str) -> bool:
        channels.drop_expired()
        return channels.queue_of(local) is None

    await until(lambda: has_ended(over))
    assert not has_ended(busy) and not has_ended(unread)
    assert left == []
    assert not channels.join("group", over)
