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
from channel_layer.application.shared_commands import (
    channels_command,
    check_shared,
    drop_channels,
    statistics,
    statistics_commands,
)
from channel_layer.application.taken_messages import TakenMessages
from channel_layer.errors import ChannelLayerError
from channel_layer.node import Node
from channel_layer.protocol.events import Event

log = logging.getLogger("towpath.layer")

#: A reader without a receiver keeps its connection to Redis for so long.
READER_IDLE_S = 30.0
NEVER_FULL = 2**31


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
        for command in drop_channels(keys, await self._node.execute(*channels_command(keys))):
            await self._node.execute(*command)

    async def waiting(self, wanted: Callable[[str], bool]) -> list[str]:
        """The wanted ones of the shared channels in which messages wait. Raises LayerUnavailable."""
        keys = self._node.context.keys
        found = await self._node.execute(*channels_command(keys))
        names = [name for name in (each.decode(errors="replace") for each in found) if wanted(name)]
        depths = await asyncio.gather(*(self._node.execute("XLEN", keys.channel(name)) for name in names))
        return [name for name, depth in zip(names, depths, strict=True) if depth]

    async def statistics(self, channel: str) -> dict[str, int | float]:
        """How many messages wait, and for how long the oldest has, in seconds. Raises InvalidName, LayerUnavailable."""
        commands = statistics_commands(self._node.context.keys, check_shared(channel))
        return statistics([await self._node.execute(*command) for command in commands])

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
