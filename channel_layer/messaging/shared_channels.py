"""The shared channels, as one process has a part in them: ways onto them, readers of them, and who owns what was read.

A process that brings connections has openers, one that takes them has readers. Whether a reader leaves what waits to others is its
room's to say, and that of a newer generation (generations.py). PROTOCOL.md, "Opening", "Adoption", "Generations".
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import hiredis

from channel_layer.messaging.channel_reader import ChannelReader, Entry
from channel_layer.messaging.channel_writer import ChannelWriter
from channel_layer.messaging.generations import Generations
from channel_layer.protocol.codec import batch_head
from channel_layer.protocol.keys import GROUP, Keys, own_channel
from channel_layer.redis import scripts as redis_scripts
from channel_layer.redis.address import RedisAddress
from channel_layer.redis.connection import Answer, RedisConnection
from channel_layer.redis.managed_connection import ManagedConnection
from channel_layer.redis.rejection_log import RejectionLog
from channel_layer.settings import RedisSettings

log = logging.getLogger("towpath.node")

NEVER_FULL = 2**53  #: the largest number that a script counts exactly

#: What the take script is to do with an entry: itself, the last moment in ms at which it may be adopted (0: refuse it), and the
#: packed `adopted` and `refused`, of which its interface server is told one.
Offer = tuple[Entry, int, bytes, bytes]


class SharedChannels:
    """One process' part in them. rest_ttl_ms: how long what nobody renews is kept; `commands`: the link on which it asks and takes."""

    def __init__(
        self,
        name: str,
        keys: Keys,
        address: RedisAddress,
        settings: RedisSettings,
        commands: ManagedConnection,
        rest_ttl_ms: int,
        on_garbage: Callable[[], None],
    ) -> None:
        self._name = name
        self._keys = keys
        self._address = address
        self._settings = settings
        self._commands = commands
        self._rest_ttl_ms = rest_ttl_ms
        self._on_garbage = on_garbage
        self._loop = asyncio.get_running_loop()
        self._head = batch_head(name)
        self._refusals = RejectionLog(log, "to give out connections")
        self._succession = Generations(settings.generation)
        self._openers: list[ChannelWriter] = []
        self._readers: list[ChannelReader] = []

    async def close(self) -> None:
        """Read no more."""
        for reader in self._readers:
            await reader.close()

    @property
    def links(self) -> list[ManagedConnection]:
        """Those of the readers: each has one, as its reads block."""
        return [reader.link for reader in self._readers]

    def connected(self, connection: RedisConnection) -> None:
        """A connection for commands stands (again)."""
        for opener in self._openers:
            opener.connected(connection)

    def opener(self, channel: str) -> ChannelWriter:
        """The way onto a shared channel, as long as there is room."""
        settings = self._settings
        return self._opener(channel, settings.request_capacity, settings.queue_size_bytes_max, self._rest_ttl_ms)

    def reopener(self, channel: str) -> ChannelWriter:
        """A way onto a shared channel that is never full: for what is bounded elsewhere."""
        ttl_ms = max(self._rest_ttl_ms, int(2000 * self._settings.resume_wait_s))
        return self._opener(channel, NEVER_FULL, NEVER_FULL, ttl_ms)

    def own_opener(self, channel: str, worker: str) -> ChannelWriter:
        """The way onto the channel that stands beside `channel` for one worker. Set its `retired` when that worker is dead."""
        self._openers = [opener for opener in self._openers if not (opener.retired and opener.idle)]
        opener = self.opener(own_channel(channel, worker))
        opener.worker = worker
        return opener

    def _opener(self, channel: str, capacity: int, size_bytes_max: int, ttl_ms: int) -> ChannelWriter:
        opener = ChannelWriter(self._name, self._keys, channel, capacity, size_bytes_max, ttl_ms)
        self._openers.append(opener)
        if self._commands.connection is not None:
            opener.connected(self._commands.connection)
        return opener

    async def read(
        self,
        channel: str,
        wanted: Callable[[], int],
        on_entries: Callable[[list[Entry]], bool],
        leaves_s: Callable[[], float] | None = None,
    ) -> ChannelReader:
        """Read a shared channel from now on: see `ChannelReader`. leaves_s: how long what waits is left to others; longer if there is
        a newer generation. None: it is taken by whoever comes first.
        """
        reader = ChannelReader(
            self._address, self._keys, channel, self._name, self._rest_ttl_ms, wanted, on_entries, self._on_garbage
        )
        if leaves_s is not None:
            reader.leaves_s = leaves_s
        self._readers.append(reader)
        await reader.start()
        return reader

    @property
    def gives_way(self) -> bool:
        """Is there a newer generation, to which we leave what lasts?"""
        return self._succession.gives_way(self._loop.time())

    def heard_generation(self, generation: str) -> None:
        """Somebody of it has started: a read that waits in Redis would be served before his."""
        if self._succession.heard(generation, self._loop.time()):
            for reader in self._readers:
                reader.give_way()

    def take(self, channel: str, offers: list[Offer], on_verdicts: Callable[[list[int] | None], None]) -> None:
        """Run the take script.

        `on_verdicts` gets [queue length, verdict, …] (1 adopted, 2 refused, 0 not ours), or None: the outcome is unknown.
        """

        def answered(answer: Answer) -> None:
            if isinstance(answer, hiredis.ReplyError):
                self._refusals.refused(answer)
            elif self._refusals.times and isinstance(answer, list):
                self._refusals.worked()
            on_verdicts(answer if isinstance(answer, list) else None)

        connection = self._commands.connection
        if connection is None:
            on_verdicts(None)
            return
        inboxes: dict[str, int] = {}
        arguments: list[str | bytes | int] = [GROUP, self._head]
        for entry, deadline_ms, adopted, refused in offers:
            index = inboxes.setdefault(entry.interface, len(inboxes) + 1)
            arguments += (entry.entry_id, entry.size_bytes, deadline_ms, index, adopted, refused)
        keys = [self._keys.channel(channel), self._keys.channel_size(channel), *map(self._keys.inbox, inboxes)]
        redis_scripts.TAKE.call(connection, answered, len(keys), *keys, *arguments)
