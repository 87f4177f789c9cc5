"""The inbox of a process: one stream, read by its owner alone with its own offset, and trimmed behind it.

The reader never waits for its observer: it decodes, passes on, and reads on. After each reconnect the owner makes the stream
again if it is missing. In the same era that means that Redis lost its data while it kept running (FLUSHALL), and the observer
gets to know it. In a new era the inbox is read from its beginning: ids of the old era mean nothing there, since clocks differ,
and what is read twice is dropped like everything that was sent twice (PROTOCOL.md, P9).
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Any, Final, Protocol

from channel_layer.errors import LayerUnavailable, ProtocolError, Undecryptable
from channel_layer.messaging.node_context import NodeContext
from channel_layer.process.rejection_log import RejectionLog
from channel_layer.redis import scripts as redis_scripts
from channel_layer.redis.connection import Answer, RedisConnection
from channel_layer.redis.managed_connection import ManagedConnection
from channel_layer.redis.rejection_reasons import refusal

log: Final = logging.getLogger("towpath.inbox")

ENTRIES_MAX: Final = 16
BLOCK_MS: Final = 2_000
TTL_MS: Final = 60_000
TRIM_ENTRIES: Final = 64
TRIM_BYTES: Final = 1_048_576
RETRY_S: Final = 0.1

StreamId = tuple[int, int]
BEYOND: Final[StreamId] = (2**64, 0)  # greater than every id


def parse_id(text: bytes) -> StreamId:
    """A stream entry's id as a pair that can be compared."""
    milliseconds, _, number = text.partition(b"-")
    return int(milliseconds), int(number)


class InboxObserver(Protocol):
    """Gets what arrives in the inbox."""

    def on_packets(self, sender: str, packets: list[list[Any]]) -> None:
        """Handle one batch; batches come in the order of the stream."""

    def on_malformed(self) -> None:
        """An entry was dropped, since it holds no batch."""

    def on_data_lost(self) -> None:
        """The inbox is missing in the same era: Redis lost its data while it kept running."""


class Inbox:
    """The inbox of one process."""

    def __init__(self, context: NodeContext, observer: InboxObserver) -> None:
        self._key = context.keys.inbox(context.name)
        self._encryption = context.encryption
        self._unpack_batch = context.encryption.batch_reader(self._key)
        self._observer = observer
        self._on_packets = observer.on_packets  # bound once, since it is called for each batch
        self.managed = ManagedConnection(context.address, "inbox", self._connected).sharing(context.outage)
        self._rejections = RejectionLog(log, "to make or read the inbox")
        self._made: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._last_id = b"0-0"
        self._era = ""
        self._read_entries = 0
        self._read_bytes = 0
        self._waiters: list[tuple[StreamId, asyncio.Future[None]]] = []

    async def start(self) -> None:
        """Make the inbox and read it. Raises LayerUnavailable."""
        await self.managed.start()
        await self._made

    async def close(self) -> None:
        """Stop reading."""
        await self.managed.close()

    def make(self, connection: RedisConnection) -> None:
        """Make the inbox if it is missing, before any other command is sent on `connection`.

        A worker that adopts a connection answers into the inbox, possibly before our reader is connected again.
        """
        known = self._era  # as it is now: our reader may learn of another era before this call is answered

        def made(answer: Answer) -> None:
            if isinstance(answer, list) and answer[0] and connection.era == known:
                self._observer.on_data_lost()

        # By its text and not by its digest, so that it never runs a turn later.
        connection.call(made, "EVAL", redis_scripts.MAKE_INBOX.text, 1, self._key, TTL_MS)

    def make_again(self) -> None:
        """Make the inbox if it is missing: the lease was found missing, and so may be the inbox."""
        self.managed.renew()

    async def read_up(self, connection: RedisConnection) -> None:
        """Return when everything that is in the inbox now has been handled. connection: another one than the reader's."""
        newest = await connection.execute("XREVRANGE", self._key, "+", "-", "COUNT", 1)
        if not newest:
            return
        last = parse_id(newest[0][0])
        if parse_id(self._last_id) >= last:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((last, future))
        await future

    def _connected(self, connection: RedisConnection) -> None:
        def made(answer: Answer) -> None:
            if isinstance(answer, Exception):
                self._failed(connection, answer)
                return
            self._found(connection.era, *answer)
            if not self._made.done():
                self._made.set_result(None)
            self._read(connection)

        redis_scripts.MAKE_INBOX.call(connection, made, 1, self._key, TTL_MS)

    def _found(self, era: str, was_made: int, last_id: bytes) -> None:
        """Read from the beginning if this is another stream. Wakes those that wait for packets which were lost with the last
        one.
        """
        lost = was_made and era == self._era
        if was_made or era != self._era or parse_id(last_id) < parse_id(self._last_id):
            self._era = era
            self._last_id = b"0-0"
            self._wake(BEYOND)
        if lost:
            self._observer.on_data_lost()

    def _read(self, connection: RedisConnection) -> None:
        if self._read_entries >= TRIM_ENTRIES or self._read_bytes >= TRIM_BYTES:
            self._trim(connection)
        answered = partial(self._answered, connection)
        connection.call(answered, "XREAD", "COUNT", ENTRIES_MAX, "BLOCK", BLOCK_MS, "STREAMS", self._key, self._last_id)

    def _trim(self, connection: RedisConnection) -> None:
        """Trim all entries that have been read."""
        milliseconds, number = parse_id(self._last_id)
        connection.send("XTRIM", self._key, "MINID", f"{milliseconds}-{number + 1}")
        self._read_entries = self._read_bytes = 0

    def _answered(self, connection: RedisConnection, answer: Answer) -> None:
        if isinstance(answer, Exception):
            self._failed(connection, answer)
            return
        if self._rejections.count:
            self._rejections.accepted()
        if answer is None:
            if self._read_entries:
                self._trim(connection)
        else:
            self._hand_over(answer[0][1])
        self._read(connection)

    def _failed(self, connection: RedisConnection, error: Exception) -> None:
        """Connect anew after a moment: the inbox could not be made or read."""
        if isinstance(error, LayerUnavailable):
            return  # the connection is made again by itself
        self._rejections.rejected(error)
        if not self._made.done():
            self._made.set_exception(refusal(error)(f"the inbox could not be made: {error}"))
        asyncio.get_running_loop().call_later(RETRY_S, self._begin_anew, connection)

    def _begin_anew(self, connection: RedisConnection) -> None:
        if connection is self.managed.connection:
            self.managed.renew()

    def _hand_over(self, entries: list[list[Any]]) -> None:
        """entries: of each its id, and its field and value."""
        for entry_id, fields in entries:
            self._last_id = entry_id
            self._read_entries += 1
            self._read_bytes += len(fields[1])
            try:
                sender, packets = self._unpack_batch(fields[1])
            except Undecryptable as error:
                self._encryption.report("an entry of the inbox", error)
                continue
            except ProtocolError as error:
                log.warning("dropped an entry of the inbox: %s", error)
                self._observer.on_malformed()
                continue
            self._on_packets(sender, packets)
        if self._waiters:
            self._wake(parse_id(self._last_id))

    def _wake(self, reached: StreamId) -> None:
        for waiter in [waiter for waiter in self._waiters if waiter[0] <= reached]:
            self._waiters.remove(waiter)
            if not waiter[1].done():
                waiter[1].set_result(None)
