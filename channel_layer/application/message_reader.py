"""Reads one shared channel for the receivers that wait in this process, and no more than they take.

An entry that was read belongs to the process whose script call removes it (take_messages.lua): at most one, and never two. Entries
that nobody here waits for any more are left to the next process that reads on.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from functools import partial

from channel_layer.application.local_queue import LocalQueue
from channel_layer.application.receiving import clock
from channel_layer.errors import LayerUnavailable
from channel_layer.messaging.channel_reader import ChannelReader
from channel_layer.messaging.entry import Entry
from channel_layer.node import Node
from channel_layer.protocol.events import Event
from channel_layer.protocol.keys import GROUP
from channel_layer.redis import scripts as redis_scripts
from channel_layer.redis.connection import Answer

log = logging.getLogger("towpath.layer")

#: A message that was taken for a receiver waits for the next one, if that was cancelled meanwhile.
NEVER = float("inf")
READ_MAX = 64
#: How long a reader that is closed waits for Redis' decision about what it has read.
TAKING_TIMEOUT_S, TAKING_POLL_S = 2.0, 0.005
EVENT, EXPIRY_MS = 3, 4  #: fields of the packet


class MessageReader:
    """The reader of one shared channel, on the loop of its node. Implements `EntryConsumer`."""

    def __init__(self, node: Node, channel: str, counters: Counter[str]) -> None:
        self._node = node
        keys = node.context.keys
        self._keys = (keys.channel(channel), keys.channel_size(channel))
        self._counters = counters
        self._taking = 0  # entries about which Redis is being asked
        self._reader: ChannelReader | None = None
        self.queue = LocalQueue(2**31, clock())
        self._loop = asyncio.get_running_loop()

    async def start(self, channel: str) -> None:
        """Connect. Raises LayerUnavailable."""
        self._reader = await self._node.read_messages(channel, self)

    async def close(self) -> list[Event]:
        """Stop reading. Entries that were read and not taken are left to other processes.

        Returns the messages that were taken and not received: they are in Redis no more.
        """
        reader, self._reader = self._reader, None
        if reader is not None:
            await self._node.stop_reading(reader)
        end = self._loop.time() + TAKING_TIMEOUT_S
        while self._taking and self._loop.time() < end:
            await asyncio.sleep(TAKING_POLL_S)
        return self.queue.clear()

    def on_waiting(self) -> None:
        """Read on, since a receiver waits. May be called by any thread."""
        reader = self._reader
        if reader is None:
            return
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            running = None
        if running is self._loop:
            reader.read_more()
        else:
            self._loop.call_soon_threadsafe(reader.read_more)

    # -- EntryConsumer

    def read_limit(self) -> int:
        """See `EntryConsumer`."""
        return min(READ_MAX, self.queue.missing_count - self._taking)

    def defer_s(self) -> float:
        """See `EntryConsumer`: receivers that wait are served at once."""
        return 0.0

    def on_entries(self, entries: list[Entry]) -> bool:
        """See `EntryConsumer`. Reads no more until Redis has decided about these."""
        count = max(0, self.queue.missing_count - self._taking)
        wanted, unwanted = entries[:count], entries[count:]
        if unwanted and self._reader is not None:
            self._reader.release(unwanted)
        if wanted:
            self._taking += len(wanted)
            arguments = [part for entry in wanted for part in (entry.entry_id, entry.size_bytes, _deadline_ms(entry))]
            answered = partial(self._taken, wanted)
            self._node.run_script(redis_scripts.TAKE_MESSAGES, answered, self._keys, GROUP, *arguments)
        return bool(wanted)

    def _taken(self, entries: list[Entry], answer: Answer) -> None:
        self._taking -= len(entries)
        if isinstance(answer, list):
            for entry, verdict in zip(entries, answer, strict=True):
                if verdict == 1:
                    self.queue.put(entry.packet[EVENT], NEVER, clock())
                elif verdict == 2:
                    self._counters["dropped.expired"] += 1
        elif isinstance(answer, LayerUnavailable):
            self._counters["dropped.outcome_unknown"] += len(entries)  # some may have been removed, and are lost
        self._loop.call_soon(self._read_on)

    def _read_on(self) -> None:
        if self._reader is not None:
            self._reader.read_more()


def _deadline_ms(entry: Entry) -> int:
    """The last moment at which the message is of use, by Redis' clock."""
    expiry_ms: int = entry.packet[EXPIRY_MS]
    return int(entry.entry_id.partition(b"-")[0]) + expiry_ms
