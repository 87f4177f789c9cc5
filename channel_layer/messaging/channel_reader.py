"""Reads one shared channel for a worker, by a blocking read that wakes one reader and not the herd.

To read an entry is not to own it: the take script decides which worker adopts it (shared_channels.py). Again and again the reader
claims entries that have been pending for too long, its own included, so that a reader that died or whose event loop is blocked, or an
answer that was lost, holds up no connection. PROTOCOL.md, "Adoption".
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Protocol

import hiredis

from channel_layer.errors import ProtocolError, Undecryptable
from channel_layer.messaging.deferral import NOTHING, Deferral
from channel_layer.messaging.entry import Entry
from channel_layer.messaging.node_context import NodeContext
from channel_layer.process.rejection_log import RejectionLog
from channel_layer.protocol.keys import GROUP
from channel_layer.protocol.packets import MESSAGE, OPEN
from channel_layer.redis import scripts as redis_scripts
from channel_layer.redis.connection import Answer, RedisConnection, ignore
from channel_layer.redis.managed_connection import ManagedConnection

log: Final = logging.getLogger("towpath.reader")

#: After so long what was read and not taken may be read again. A connection soon: its client waits, and Redis gives the next one to any
#: worker that has asked, be its event loop blocked or not.
CONNECTION_PENDING_MS: Final = 250
#: The same for messages of the application that are taken as soon as they were read.
PENDING_MS: Final = 2_000
#: How often a reader claims that, and how long a read waits: as long as entries may be pending, at most so long.
INTERVAL_MS_MAX: Final = 1_000
#: Nobody misses a consumer that has not read for so long and has nothing pending.
CONSUMER_IDLE_MS: Final = 60_000
RETRY_S: Final = 0.25


class EntryConsumer(Protocol):
    """Decides how much of one shared channel is read, and gets what was read."""

    @property
    def pending_ms(self) -> int:
        """After so long an entry that was read, by whichever process, may be read again."""

    def read_limit(self) -> int:
        """How many entries may be read now (0: none). Call `read_more` when that may have grown."""

    def defer_s(self) -> float:
        """How long waiting entries are better left to other workers. After once or twice this time, this worker reads what they
        have not.
        """

    def on_entries(self, entries: list[Entry]) -> bool:
        """Handle entries that were read. Returns True to read no more until `read_more` is called."""


class ChannelReader:
    """The reader of one shared channel, for one worker."""

    def __init__(
        self,
        context: NodeContext,
        channel: str,
        consumer: EntryConsumer,
        on_malformed: Callable[[], None],
        kind: int = OPEN,
    ) -> None:
        """kind: that of the packets in the channel, `open` or `message`."""
        self._stream = context.keys.channel(channel)
        self._size = context.keys.channel_size(channel)
        self._encryption = context.encryption
        self._unpack_batch = context.encryption.batch_reader(self._stream)
        self._name = context.name
        self._ttl_ms = context.orphan_ttl_ms
        self._consumer = consumer
        self._interval_ms = min(consumer.pending_ms, INTERVAL_MS_MAX)
        self._kind = kind
        self._on_malformed = on_malformed
        self.managed = ManagedConnection(context.address, f"channel {channel}", self._connected).sharing(context.outage)
        self._loop = asyncio.get_running_loop()
        self._rejections = RejectionLog(log, f"to read {self._stream}")
        self._reading = False
        self._claimed_at = 0.0
        self._deferral = Deferral()

    async def start(self) -> None:
        """Connect and read. Raises LayerUnavailable."""
        await self.managed.start()

    async def close(self) -> None:
        """Stop reading. A read that blocks in Redis ends with its connection, and leaves its entries to other workers."""
        await self.managed.close()

    def read_more(self) -> None:
        """Read on, if the consumer's limit permits and no read is under way."""
        connection = self.managed.connection
        if self._reading or connection is None:
            return
        count = self._consumer.read_limit()
        if count <= 0:
            return
        self._reading = True
        defer_s, now = self._consumer.defer_s(), self._loop.time()
        if (now - self._claimed_at) * 1000 >= self._interval_ms:
            self._claim(connection, count)
        elif self._deferral.should_defer(defer_s, now):
            self._check_queue(connection, count, defer_s)
        else:
            self._read(connection, count, defer_s)

    def release(self, entries: list[Entry]) -> None:
        """Leave entries that were read to the next claim, by whichever process, as if they had been pending for long.

        One that nobody has read before counts as never read.
        """
        self._claimed_at = 0.0
        if self.managed.connection is None:
            return
        for claimed, more in ((False, ("RETRYCOUNT", 0)), (True, ())):
            if ids := [entry.entry_id for entry in entries if entry.claimed is claimed]:
                idle = ("IDLE", self._consumer.pending_ms, *more, "JUSTID")
                self.managed.connection.send("XCLAIM", self._stream, GROUP, self._name, 0, *ids, *idle)

    def forget_consumers(self, commands: RedisConnection, ended: bool) -> None:
        """Delete consumers of an application's channel that have nothing pending: those that read no more, and our own if it has `ended`.

        Those of the channels of connections are deleted with leases (renew.lua, leave.lua).
        """
        if self._kind == MESSAGE:
            name = self._name if ended else ""
            redis_scripts.FORGET_CONSUMERS.call(commands, ignore, 1, self._stream, GROUP, name, CONSUMER_IDLE_MS)

    def interrupt(self) -> None:
        """End a read that blocks in Redis, which leaves its entries to other workers. `read_more` decides when to read on."""
        self.managed.renew()

    def yield_to_newer(self) -> None:
        """End a read that blocks in Redis, since `defer_s` has grown. Redis would serve it before the reads of other workers."""
        if self._consumer.defer_s():
            self.interrupt()

    def _connected(self, _connection: RedisConnection) -> None:
        self._reading = False
        self.read_more()

    def _read(self, connection: RedisConnection, count: int, defer_s: float) -> None:
        block = () if defer_s else ("BLOCK", self._interval_ms)  # a reader that only helps does not wait for more
        command = ("XREADGROUP", "GROUP", GROUP, self._name, "COUNT", count, *block, "STREAMS", self._stream, ">")
        connection.call(partial(self._was_read, defer_s), *command)

    def _check_queue(self, connection: RedisConnection, count: int, defer_s: float) -> None:
        """Check whether other workers read what waits."""
        before: list[Answer] = []

        def checked(newest: Answer) -> None:
            found = _first_id(before[0]), _last_read(before[1]), _first_id(newest)
            if self._deferral.record_check(*found, defer_s, self._loop.time()):
                self._read(connection, count, defer_s)
            else:
                self._loop.call_later(defer_s, self._check_again, connection)

        connection.call(before.append, "XREVRANGE", self._stream, self._deferral.seen, "-", "COUNT", 1)
        connection.call(before.append, "XINFO", "GROUPS", self._stream)
        connection.call(checked, "XREVRANGE", self._stream, "+", "-", "COUNT", 1)

    def _check_again(self, connection: RedisConnection) -> None:
        if connection is self.managed.connection:
            self._reading = False
            self.read_more()

    def _done(self, answer: Answer) -> bool:
        """True if a call succeeded. Otherwise a retry is arranged, or the connection is made again."""
        self._reading = False
        if isinstance(answer, hiredis.ReplyError):
            self._failed(answer)
        elif self._rejections.count and not isinstance(answer, Exception):
            self._rejections.accepted()
        return not isinstance(answer, Exception)

    def _was_read(self, defer_s: float, answer: Answer) -> None:
        if not self._done(answer):
            return
        if answer is None and defer_s:
            self._deferral.nothing_left()
        if answer is None or not self._hand_over(answer[0][1], claimed=False):
            self.read_more()

    def _claim(self, connection: RedisConnection, count: int) -> None:
        self._claimed_at = self._loop.time()
        command = ("XAUTOCLAIM", self._stream, GROUP, self._name, self._consumer.pending_ms, "0-0", "COUNT", count)
        connection.call(partial(self._was_claimed, count), *command)

    def _was_claimed(self, count: int, answer: Answer) -> None:
        if not self._done(answer):
            return
        if len(answer[1]) >= count:
            self._claimed_at = 0.0  # there may be more
        if not self._hand_over([entry for entry in answer[1] if entry is not None and entry[1]], claimed=True):
            self.read_more()

    def _failed(self, error: hiredis.ReplyError) -> None:
        connection = self.managed.connection
        if connection is None:
            return
        if str(error).startswith("NOGROUP"):
            redis_scripts.MAKE_GROUP.call(connection, self._group_made, 1, self._stream, GROUP, self._ttl_ms)
            self._reading = True
        elif str(error).startswith("UNBLOCKED"):
            self.read_more()  # the stream is gone, and is made again
        else:
            self._rejections.rejected(error)
            self._loop.call_later(RETRY_S, self.read_more)

    def _group_made(self, answer: Answer) -> None:
        if self._done(answer):
            self.read_more()

    def _hand_over(self, found: list[Any], claimed: bool) -> bool:
        """Pass entries on. Returns True if nothing is to be read until `read_more` is called."""
        entries = []
        for entry_id, fields in found:
            try:
                batch = self._unpack_batch(fields[1])
                entries.append(Entry.of(entry_id, len(fields[1]), batch, self._kind, claimed))
            except Undecryptable as error:  # the entry stays: a process with its key claims it
                self._encryption.report(f"an entry of {self._stream}", error)
            except ProtocolError as error:
                log.warning("dropped an entry of %s: %s", self._stream, error)
                self._on_malformed()
                self._discard(entry_id, len(fields[1]))
        return bool(entries) and self._consumer.on_entries(entries)

    def _discard(self, entry_id: bytes, size_bytes: int) -> None:
        """Remove an entry from the channel, since no worker could adopt it."""
        if self.managed.connection is not None:
            keys = (self._stream, self._size)
            redis_scripts.CANCEL.call(self.managed.connection, ignore, 2, *keys, GROUP, entry_id, size_bytes)


def _last_read(groups: Answer) -> bytes:
    """The id up to which the workers' group has read. If the answer does not contain it: the id before every entry."""
    for group in groups if isinstance(groups, list) else ():
        facts = dict(zip(group[::2], group[1::2], strict=True))
        if facts.get(b"name") == GROUP.encode():
            return bytes(facts[b"last-delivered-id"])
    return NOTHING


def _first_id(entries: Answer) -> bytes | None:
    """The id of the first entry; None if there is no entry, or no such answer."""
    return entries[0][0] if isinstance(entries, list) and entries else None
