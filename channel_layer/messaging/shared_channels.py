"""The shared channels of one process: its writers, its readers, and the take script, which decides on the owner.

An interface server has writers and a worker has readers. Whether a reader leaves entries to others is decided by its worker, and
by newer generations (generations.py). PROTOCOL.md, "Opening", "Adoption", "Generations".
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

import hiredis

from channel_layer.messaging.channel_reader import ChannelReader, EntryConsumer
from channel_layer.messaging.channel_writer import ChannelLimits, ChannelWriter
from channel_layer.messaging.entry import Entry
from channel_layer.messaging.generations import Generations
from channel_layer.messaging.node_context import NodeContext
from channel_layer.process.rejection_log import RejectionLog
from channel_layer.protocol.codec import batch_head, join_batch
from channel_layer.protocol.keys import GROUP, own_channel
from channel_layer.protocol.packets import MESSAGE
from channel_layer.redis import scripts as redis_scripts
from channel_layer.redis.connection import Answer, RedisConnection
from channel_layer.redis.managed_connection import ManagedConnection

log: Final = logging.getLogger("towpath.node")

NEVER_FULL: Final = 2**53  #: the largest number that a script counts exactly

#: The input of the take script for one entry: the entry, the last moment in ms at which it may be adopted (0: refuse it), and the
#: packed `adopted` and `refused`, one of which is sent to its interface server.
Offer = tuple[Entry, int, bytes, bytes]


class SharedChannels:
    """The writers and readers of one process. commands: the connection for scripts."""

    def __init__(self, context: NodeContext, commands: ManagedConnection, on_malformed: Callable[[], None]) -> None:
        self._context = context
        self._keys = context.keys
        self._commands = commands
        self._on_malformed = on_malformed
        self._loop = asyncio.get_running_loop()
        self._head = batch_head(context.name)
        self._encryption = context.encryption if context.encryption.enabled else None
        self._rejections = RejectionLog(log, "to give out connections")
        self._generations = Generations(context.settings.generation)
        self._writers: list[ChannelWriter] = []
        self._readers: list[ChannelReader] = []

    async def close(self) -> None:
        """Stop reading."""
        for reader in self._readers:
            await self._end(reader)

    @property
    def connections(self) -> list[ManagedConnection]:
        """The connections of the readers: each has its own, since its reads block."""
        return [reader.managed for reader in self._readers]

    def connected(self, connection: RedisConnection) -> None:
        """Use a new connection for commands."""
        for writer in self._writers:
            writer.connected(connection)

    def channel_writer(self, channel: str) -> ChannelWriter:
        """The writer for a shared channel, which refuses connections beyond the channel's capacity."""
        return self._add_writer(channel, self._shared_limits())

    def requeue_writer(self, channel: str) -> ChannelWriter:
        """A writer for a shared channel that is never full, for connections that are bounded elsewhere."""
        ttl_ms = max(self._context.orphan_ttl_ms, int(2000 * self._context.settings.resume_wait_s))
        return self._add_writer(channel, ChannelLimits(NEVER_FULL, NEVER_FULL, ttl_ms))

    def worker_channel_writer(self, channel: str, worker: str) -> ChannelWriter:
        """The writer for the channel beside `channel` that one worker reads. Abandon it when that worker is dead."""
        self._writers = [writer for writer in self._writers if not (writer.abandoned and writer.idle)]
        return self._add_writer(own_channel(channel, worker), self._shared_limits(), worker)

    def _shared_limits(self) -> ChannelLimits:
        settings = self._context.settings
        return ChannelLimits(settings.request_capacity, settings.queue_size_bytes_max, self._context.orphan_ttl_ms)

    def _add_writer(self, channel: str, limits: ChannelLimits, worker: str | None = None) -> ChannelWriter:
        writer = ChannelWriter(self._context, channel, limits, worker)
        self._writers.append(writer)
        if self._commands.connection is not None:
            writer.connected(self._commands.connection)
        return writer

    async def read(self, channel: str, consumer: EntryConsumer) -> ChannelReader:
        """Read a shared channel from now on. Raises LayerUnavailable."""
        return await self._read(ChannelReader(self._context, channel, consumer, self._on_malformed))

    async def read_messages(self, channel: str, consumer: EntryConsumer) -> ChannelReader:
        """Read a shared channel of applications from now on: its entries carry `message`. Raises LayerUnavailable."""
        return await self._read(ChannelReader(self._context, channel, consumer, self._on_malformed, MESSAGE))

    async def _read(self, reader: ChannelReader) -> ChannelReader:
        self._readers.append(reader)
        try:
            await reader.start()
        except BaseException:
            self._readers.remove(reader)
            raise
        if self._commands.connection is not None:
            reader.forget_consumers(self._commands.connection, ended=False)
        return reader

    async def stop_reading(self, reader: ChannelReader) -> None:
        """Read a channel no longer."""
        self._readers.remove(reader)
        await self._end(reader)

    async def _end(self, reader: ChannelReader) -> None:
        """End a reader and its consumer. One for which anything is pending stays, until another process has claimed that."""
        await reader.close()
        if self._commands.connection is not None:
            reader.forget_consumers(self._commands.connection, ended=True)

    @property
    def yields_to_newer(self) -> bool:
        """True if a newer generation has started, to which this process leaves long-lived connections."""
        return self._generations.yields_to_newer(self._loop.time())

    def generation_announced(self, generation: str) -> None:
        """Yield if this generation is newer. That ends reads that block, since Redis would serve them before those of the newer
        process.
        """
        if self._generations.announced(generation, self._loop.time()):
            for reader in self._readers:
                reader.yield_to_newer()

    def take(self, channel: str, offers: list[Offer], on_verdicts: Callable[[list[int] | None], None]) -> None:
        """Run the take script.

        `on_verdicts` gets [queue length, verdict, …] (1 adopted, 2 refused, 0 not ours), or None if the outcome is unknown.
        """

        def answered(answer: Answer) -> None:
            if isinstance(answer, hiredis.ReplyError):
                self._rejections.rejected(answer)
            elif self._rejections.count and isinstance(answer, list):
                self._rejections.accepted()
            on_verdicts(answer if isinstance(answer, list) else None)

        connection = self._commands.connection
        if connection is None:
            on_verdicts(None)
            return
        head = self._head
        if self._encryption is not None:
            head, offers = b"", [self._encrypted(offer) for offer in offers]
        inboxes: dict[str, int] = {}
        arguments: list[str | bytes | int] = [GROUP, head]
        for entry, deadline_ms, adopted, refused in offers:
            index = inboxes.setdefault(entry.key[0], len(inboxes) + 1)
            arguments += (entry.entry_id, entry.size_bytes, deadline_ms, index, adopted, refused)
        keys = [self._keys.channel(channel), self._keys.channel_size(channel), *map(self._keys.inbox, inboxes)]
        redis_scripts.TAKE.call(connection, answered, len(keys), *keys, *arguments)

    def _encrypted(self, offer: Offer) -> Offer:
        """The offer with a whole encrypted batch in the place of each of its packets, since a script cannot encrypt."""
        assert self._encryption is not None
        entry, deadline_ms, *packed = offer
        inbox = self._keys.inbox(entry.key[0])
        adopted, refused = (self._encryption.element(inbox, join_batch(self._head, [packet])) for packet in packed)
        return entry, deadline_ms, adopted, refused
