"""The shared channels that this process sends to and receives from, each with its writer and its reader."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable

from channel_layer.application.capacities import Capacities, LayerSettings
from channel_layer.application.message_reader import MessageReader
from channel_layer.application.message_writer import MessageWriter
from channel_layer.application.receiving import clock
from channel_layer.application.taken_messages import TakenMessages
from channel_layer.errors import ChannelLayerError, InvalidName
from channel_layer.node import Node
from channel_layer.protocol.events import Event
from channel_layer.protocol.keys import CHANNEL_OF_KIND

log = logging.getLogger("towpath.layer")

#: A reader without a receiver keeps its connection to Redis for so long.
READER_IDLE_S = 30.0
#: Channels that one command drops: Redis does nothing else meanwhile.
FLUSH_COUNT = 500
NEVER_FULL = 2**31
#: The channels of connections.
RESERVED = frozenset(CHANNEL_OF_KIND.values())


class SharedMessages:
    """The shared channels of one process, on the loop of its node."""

    def __init__(self, node: Node, counters: Counter[str]) -> None:
        self._node = node
        self._counters = counters
        self._writers: dict[tuple[str, int, int], MessageWriter] = {}
        self._readers: dict[str, MessageReader] = {}

    async def send(self, channel: str, event: Event, settings: LayerSettings) -> None:
        """Send one message. Raises ChannelFull, InvalidName, LayerUnavailable."""
        check_shared(channel)
        capacity = Capacities(settings).of(channel) if settings.channel_capacity else settings.capacity
        key = (channel, capacity, settings.expiry_ms)
        writer = self._writers.get(key)
        if writer is None:
            writer = self._writers[key] = MessageWriter(self._node, channel, capacity, settings)
        await writer.send(event)

    def open_reader(self, channel: str) -> MessageReader | None:
        """The reader of a channel that is read already. Any thread may call it."""
        return self._readers.get(channel)

    async def reader(self, channel: str) -> MessageReader:
        """The reader of a channel, which reads as long as receivers wait. Raises InvalidName, LayerUnavailable."""
        check_shared(channel)
        reader = self._readers.get(channel)
        if reader is None:
            delivery = TakenMessages(self._node, channel, self._counters)
            reader = MessageReader(self._node, channel, delivery)
            await reader.start()
            first = self._readers.setdefault(channel, reader)
            if first is not reader:  # another call was quicker
                await reader.close()
            reader = first
        return reader

    async def flush(self) -> None:
        """Drop all messages in all shared channels of applications. Raises LayerUnavailable."""
        for reader in self._readers.values():
            reader.queue.clear()
        keys = self._node.context.keys
        names = await self.names()
        for start in range(0, len(names), FLUSH_COUNT):
            await self._node.execute("DEL", *keys.of_shared_channels(names[start : start + FLUSH_COUNT]))

    async def names(self) -> list[str]:
        """The shared channels in which anything may wait. Raises LayerUnavailable."""
        names = await self._node.execute("ZRANGE", self._node.context.keys.shared_channels, 0, -1)
        return [name.decode() for name in names]

    async def waiting(self, wanted: Callable[[str], bool]) -> list[str]:
        """The wanted ones of the shared channels in which messages wait. Raises LayerUnavailable."""
        keys, names = self._node.context.keys, [name for name in await self.names() if wanted(name)]
        depths = await asyncio.gather(*(self._node.execute("XLEN", keys.channel(name)) for name in names))
        return [name for name, depth in zip(names, depths, strict=True) if depth]

    async def statistics(self, channel: str) -> dict[str, int | float]:
        """How many messages wait, and for how long the oldest has, in seconds. Raises InvalidName, LayerUnavailable."""
        check_shared(channel)
        stream = self._node.context.keys.channel(channel)
        oldest = await self._node.execute("XRANGE", stream, "-", "+", "COUNT", 1)
        pending = await self._node.execute("XLEN", stream)
        seconds, microseconds = await self._node.execute("TIME")
        arrived_s = int(oldest[0][0].partition(b"-")[0]) / 1000 if oldest else 0.0
        age_s = max(0.0, int(seconds) + int(microseconds) / 1e6 - arrived_s) if oldest else 0.0
        return {"messages_pending": pending, "messages_max_age": age_s}

    async def drop_idle(self) -> None:
        """Forget writers without messages, and end readers that no receiver has used for a while."""
        self._writers = {key: writer for key, writer in self._writers.items() if not writer.idle}
        now = clock()
        for channel, reader in tuple(self._readers.items()):
            queue = reader.queue
            if not queue.receiver_count and not queue.waiting_count and now - queue.received_at > READER_IDLE_S:
                del self._readers[channel]
                await reader.close()

    def end_receivers(self, error: ChannelLayerError) -> None:
        """Let every receiver that waits raise an error as this one. To be called before `close`."""
        for reader in self._readers.values():
            reader.queue.end(error)

    async def close(self) -> None:
        """Stop reading. Messages that were taken for receivers that have left go back to the end of their channels."""
        readers, self._readers = self._readers, {}
        for channel, reader in readers.items():
            left = await reader.close()
            writer = MessageWriter(self._node, channel, NEVER_FULL, LayerSettings())
            outcomes = await asyncio.gather(*map(writer.send, left), return_exceptions=True)
            if lost := sum(outcome is not None for outcome in outcomes):
                log.warning("%d messages of %s are lost: they could not be put back", lost, channel)


def check_shared(channel: str) -> None:
    """Raise InvalidName for a shared channel that applications cannot use."""
    if channel in RESERVED:
        raise InvalidName(f"{channel!r} is the channel of connections, which applications neither send to nor read")
