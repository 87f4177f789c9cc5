"""Reads one shared channel for the receivers that wait in this process, and no more than they take.

An entry that was read belongs to the process that Redis says, by a script: at most one. Entries that nobody here waits for any more
are left to the next process that reads on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from channel_layer.application.local_queue import LocalQueue
from channel_layer.application.receiving import clock
from channel_layer.application.shared_commands import NEVER_FULL
from channel_layer.errors import ChannelLayerError
from channel_layer.messaging.channel_reader import ChannelReader
from channel_layer.messaging.entry import Entry
from channel_layer.node import Node

#: What a receiver gets, and when it expires, by `clock`.
Expiring = tuple[Any, float]
NEVER = float("inf")
READ_MAX = 64
#: How long a reader that is closed waits for Redis' decision about what it has read.
TAKING_TIMEOUT_S, TAKING_POLL_S = 2.0, 0.005


class ReaderClosed(ChannelLayerError):
    """The reader has read nothing for this receiver, and reads no more: a new reader does."""


class Delivery(Protocol):
    """What becomes of entries that were read: taken_messages.py, held_messages.py."""

    @property
    def pending_ms(self) -> int:
        """After so long an entry that another process has read may be read by this one."""

    def decide(self, entries: Sequence[Entry], on_decided: Callable[[list[Expiring]], None]) -> None:
        """Ask Redis which of these are for this process. `on_decided` gets what their receivers get; it is called once."""


class MessageReader:
    """The reader of one shared channel, on the loop of its node. Implements `EntryConsumer`."""

    def __init__(self, node: Node, channel: str, delivery: Delivery) -> None:
        self._node = node
        self._channel = channel
        self._delivery = delivery
        self.pending_ms = delivery.pending_ms  #: see `EntryConsumer`
        self._deciding = 0  # entries about which Redis is being asked
        self._reader: ChannelReader | None = None
        self.queue = LocalQueue(NEVER_FULL, clock())
        self._loop = asyncio.get_running_loop()

    async def start(self) -> None:
        """Connect. Raises LayerUnavailable."""
        self._reader = await self._node.read_messages(self._channel, self)

    async def close(self) -> list[Expiring]:
        """Stop reading. Entries that were read and are not decided upon are left to other processes.

        Receivers that wait, or come later, get ReaderClosed. Returns what was there for receivers and not received.
        """
        self.queue.end(ReaderClosed())
        reader = self._reader
        end = self._loop.time() + TAKING_TIMEOUT_S
        self._reader = None
        if reader is not None:
            await self._node.stop_reading(reader)
        while self._deciding and self._loop.time() < end:
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
        return min(READ_MAX, self.queue.missing_count - self._deciding)

    def defer_s(self) -> float:
        """See `EntryConsumer`: receivers that wait are served at once."""
        return 0.0

    def on_entries(self, entries: list[Entry]) -> bool:
        """See `EntryConsumer`. Reads no more until Redis has decided about these."""
        count = max(0, self.queue.missing_count - self._deciding)
        wanted, unwanted = entries[:count], entries[count:]
        if unwanted and self._reader is not None:
            self._reader.release(unwanted)
        if wanted:
            self._deciding += len(wanted)

            def decided(messages: list[Expiring]) -> None:
                self._deciding -= len(wanted)
                for message, expires_at in messages:
                    self.queue.put(message, expires_at, clock())
                self._loop.call_soon(self._read_on)

            self._delivery.decide(wanted, decided)
        return bool(wanted)

    def _read_on(self) -> None:
        if self._reader is not None:
            self._reader.read_more()
