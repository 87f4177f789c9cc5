"""The shared channels that this process sends to and receives from, each with its writer and its reader."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from channel_layer.application.capacities import LayerSettings
from channel_layer.application.message_reader import Expiring, MessageReader
from channel_layer.application.message_writer import MessageWriter
from channel_layer.application.receiving import clock
from channel_layer.application.shared_commands import (
    NEVER_FULL,
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
NO_SETTINGS = LayerSettings()


class SharedMessages:
    """The shared channels of one process, on the loop of its node."""

    def __init__(self, node: Node, counters: Counter[str]) -> None:
        self._node = node
        self._counters = counters
        self._writers: dict[tuple[str, int, int], MessageWriter] = {}
        self._readers: dict[str, MessageReader] = {}
        self._ending: set[asyncio.Task[None]] = set()  # readers that are being closed
        self._over: ChannelLayerError | None = None  # what receivers get, since this layer is being closed
        self._loop = asyncio.get_running_loop()

    async def send(self, channel: str, event: Event, settings: LayerSettings) -> None:
        """Send one message. Raises ChannelFull, InvalidName, LayerUnavailable."""
        check_shared(channel)
        capacity = settings.capacities.of(channel)
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
        return self._readers.get(channel) or await self._new_reader(channel)

    async def _new_reader(self, channel: str) -> MessageReader:
        reader = MessageReader(self._node, channel, TakenMessages(self._node, channel, self._counters))
        await reader.start()
        if self._over is not None:
            await reader.close()
            raise type(self._over)(*self._over.args)
        first = self._readers.setdefault(channel, reader)
        if first is not reader:  # another call was quicker
            await reader.close()
        return first

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

    def drop_idle(self) -> None:
        """Forget writers without messages, and end readers that no receiver has used for a while. Drop what has expired in readers."""
        self._writers = {key: writer for key, writer in self._writers.items() if not writer.idle}
        now = clock()
        for channel, reader in tuple(self._readers.items()):
            queue = reader.queue
            self._counters["dropped.expired"] += queue.drop_expired(now)
            is_idle = not queue.receiver_count and now - queue.received_at > READER_IDLE_S
            if is_idle and (self._node.connected or not queue.waiting_count):
                self._end_reader(channel)

    def end_receivers(self, error: ChannelLayerError) -> None:
        """Let every receiver that waits, or comes later, raise an error as this one. To be called before `close`."""
        self._over = error
        for reader in self._readers.values():
            reader.queue.end(error)

    async def close(self) -> None:
        """Stop reading. Messages that were taken for receivers that have left go back to the end of their channels."""
        for channel in tuple(self._readers):
            self._end_reader(channel)
        await asyncio.gather(*self._ending)

    def _end_reader(self, channel: str) -> None:
        """Close a reader. A receiver of another thread that has just come to it asks for a new one."""
        task = self._loop.create_task(self._put_back(channel, self._readers.pop(channel)), name=f"put back {channel}")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _put_back(self, channel: str, reader: MessageReader) -> None:
        left = await reader.close()
        outcomes = await asyncio.gather(*(self._send_again(channel, each) for each in left), return_exceptions=True)
        if lost := sum(outcome is not None for outcome in outcomes):
            log.warning("%d messages of %s are lost: they could not be put back", lost, channel)

    async def _send_again(self, channel: str, message: Expiring) -> None:
        """Send a message that was taken, for the rest of its expiry."""
        event, expires_at = message
        rest_s = expires_at - clock()
        if rest_s <= 0:
            self._counters["dropped.expired"] += 1
            return
        settings = replace(NO_SETTINGS, expiry_s=rest_s)
        await MessageWriter(self._node, channel, NEVER_FULL, settings).send(event)
