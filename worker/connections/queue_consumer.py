"""Reads the shared channels, takes connections from them, and starts their application instances.

Which entries may be taken is decided in adoption.py, and when a WebSocket is left to another worker in placement.py.
PROTOCOL.md, "Adoption".
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from enum import Enum, auto
from functools import partial
from typing import Any, Final

from channel_layer.messaging.channel_reader import CONNECTION_PENDING_MS, ChannelReader
from channel_layer.messaging.entry import Entry
from channel_layer.messaging.shared_channels import Offer
from channel_layer.protocol import packets
from channel_layer.protocol.codec import pack
from channel_layer.protocol.flow_control import WINDOW_BYTES_MAX, WINDOW_BYTES_OF_MESSAGES
from channel_layer.protocol.keys import CHANNEL_OF_KIND, own_channel
from channel_layer.protocol.packets import (
    MALFORMED,
    OPEN_ERA,
    OPEN_EXPECTS,
    OPEN_MORE_BODY,
    OPEN_WINDOW,
    AdoptionRefusal,
    Close,
)
from channel_layer.protocol.scope import ScopeReader
from channel_layer.redis.connection import ignore
from worker.connections.adoption import READ_MAX, Adoption, Key, read_count
from worker.connections.context import WorkerContext
from worker.connections.loop_lag import LoopLag
from worker.connections.placement_watch import PlacementWatch
from worker.connections.registry import ConnectionRegistry

log: Final = logging.getLogger("towpath.worker")

ADOPTED: Final = 1  #: the take script's answer for an entry that was adopted
_LATE: Final = int(AdoptionRefusal.LATE)
_ERA: Final = int(AdoptionRefusal.ERA)
#: An abandoned connection is refused for so many times the longest wait in the queue: its entry is certainly past its wait then.
ABANDON_FACTOR: Final = 4
QUEUED_S: Final = 0.1


class Admission(Enum):
    """Whether new connections are taken."""

    OPEN = auto()
    PAUSED = auto()  #: until `pause(False)`
    DRAINING = auto()  #: entries of this worker's own channels are read, and refused


_OPEN: Final = Admission.OPEN
_PAUSED: Final = Admission.PAUSED
_DRAINING: Final = Admission.DRAINING  # looking up enum members is slow, and each read needs it

#: From each state to the one that follows a call of `pause(True)`, `pause(False)` and `stop`. Draining is final.
AFTER_PAUSE: Final = {_OPEN: _PAUSED, _PAUSED: _PAUSED, _DRAINING: _DRAINING}
AFTER_RESUME: Final = {_OPEN: _OPEN, _PAUSED: _OPEN, _DRAINING: _DRAINING}
AFTER_STOP: Final = {_OPEN: _DRAINING, _PAUSED: _DRAINING, _DRAINING: _DRAINING}


class ChannelConsumer:
    """The consumer of one shared channel, for a QueueConsumer. Implements `EntryConsumer`."""

    pending_ms = CONNECTION_PENDING_MS

    def __init__(self, consumer: QueueConsumer, kind: str, channel: str) -> None:
        self._consumer = consumer
        self.kind = kind
        self._channel = channel
        self._node = consumer.context.node
        self._host = consumer.context.host
        self._registry = consumer.registry
        self._loop = asyncio.get_running_loop()
        self._length_at = -math.inf
        self._length = 1  #: entries in the channel, as the last take reported
        self._window_max = WINDOW_BYTES_OF_MESSAGES if kind == "websocket" else WINDOW_BYTES_MAX
        #: False: the channel is this worker's own.
        self._shared = channel == CHANNEL_OF_KIND[kind]
        # An exchange is soon over, whichever worker has it.
        self._placement = consumer.placement if self._shared and kind == "websocket" else None
        self.reader: ChannelReader | None = None  #: set by `start`

    async def start(self) -> None:
        """Read the channel from now on. Raises LayerUnavailable."""
        self.reader = await self._node.read_channel(self._channel, self)

    def recent_length(self, now: float) -> int:
        """The number of entries in the channel a moment ago; 0 if it is not known."""
        return self._length if now - self._length_at < QUEUED_S else 0

    async def stop(self) -> None:
        """Read no more if other workers read the channel too; otherwise only this worker can refuse its entries."""
        if self._shared and self.reader is not None:
            await self.reader.close()

    def read_limit(self) -> int:
        """See `EntryConsumer`."""
        if not self._node.connected:
            return 0  # what is read now could not be taken; `on_redis` reads on
        consumer = self._consumer
        if consumer.admission is not _OPEN:
            return READ_MAX if consumer.admission is _DRAINING else 0  # `pause` reads on
        workers = self._node.same_role_count if self._shared else 1
        free = self._host.free(self.kind, alone=workers == 1) - self._registry.reserved[self.kind]
        count = read_count(free, self._length, workers, consumer.lag.late)
        return count if self._placement is None else self._placement.count(count)

    def defer_s(self) -> float:
        """See `EntryConsumer`."""
        return 0.0 if self._placement is None else self._placement.defer_s()

    def on_entries(self, entries: list[Entry]) -> bool:
        """Take the entries that were read, except those that must not be taken (again).

        Returns True if no more may be read until they have begun to run. So it is if there are other workers: an instance that blocks this
        event loop in its first step must not delay connections that they could serve.
        """
        era = self._node.era
        if era is None:
            return False  # nothing was sent, so the entries may be claimed again, also by this worker
        consumer, registry = self._consumer, self._registry
        if consumer.admission is _DRAINING:
            self._give_back(entries, era, AdoptionRefusal.LEAVING)
            return False
        if self._shared and consumer.context.direct:
            entries = self._within_free(entries, era)
        taking = consumer.adoption.choose(entries, self._loop.time(), registry.by_key)
        if len(taking) < len(entries):
            abandoned = [entry for entry in entries if consumer.adoption.is_abandoned(entry.key)]
            self._give_back(abandoned, era, AdoptionRefusal.NOT_TAKEN)
        if not taking:
            return False
        window = registry.budget.grant(len(taking), self._window_max)
        registry.reserved[self.kind] += len(taking)
        self._node.take(self._channel, offers(taking, era, window), partial(self._on_verdicts, taking, window))
        return not consumer.context.is_alone

    def _within_free(self, entries: list[Entry], era: str) -> list[Entry]:
        """The entries for which there are places. Others are given back: requests that came directly during the read took theirs."""
        free = self._host.free(self.kind, self._consumer.context.is_alone) - self._registry.reserved[self.kind]
        free = max(0, free)
        self._give_back(entries[free:], era, AdoptionRefusal.NOT_TAKEN)
        return entries[:free]

    def _on_verdicts(self, taking: list[Entry], window: int, answer: list[int] | None) -> None:
        """Start what was adopted. answer: the channel's length, then a verdict for each entry; None: the outcome is unknown."""
        registry = self._registry
        registry.reserved[self.kind] -= len(taking)
        if answer is None:
            registry.budget.give_back(window * len(taking))
            self._consumer.unanswered(taking)
        else:
            self._length, *verdicts = answer
            self._length_at = self._loop.time()
            refused = len(taking) - verdicts.count(ADOPTED)
            if refused:
                registry.budget.give_back(window * refused)
            for entry, verdict in zip(taking, verdicts, strict=True):
                self._consumer.answered(entry, verdict, window)
        assert self.reader is not None
        self._loop.call_soon(self.reader.read_more)  # behind the first step of each instance

    def _give_back(self, entries: list[Entry], era: str, reason: AdoptionRefusal) -> None:
        """Refuse entries that this worker may not take: because it has read them, no other worker gets them.

        The take script removes those that no worker has taken, and their interface server queues the connections anew.
        """
        if entries:
            self._consumer.context.counters["take.returned"] += len(entries)
            self._node.take(self._channel, rejections(entries, era, reason), ignore)


class QueueConsumer:
    """The shared channels of one worker. `on_packets` gets the packets that came for a connection while it was being adopted."""

    def __init__(
        self,
        context: WorkerContext,
        registry: ConnectionRegistry,
        placement: PlacementWatch,
        on_packets: Callable[[str, list[Any]], None],
    ) -> None:
        self.context = context
        self.registry = registry
        self.placement = placement
        self._node = context.node
        self._host = context.host
        self._on_packets = on_packets
        self._loop = asyncio.get_running_loop()
        self.adoption = Adoption(abandon_s=ABANDON_FACTOR * self._node.context.settings.queue_wait_s)
        self.lag = LoopLag()
        self.admission = _OPEN
        self.adopted_count = 0  #: connections since the start, exchanges and WebSockets
        self._scopes = ScopeReader()
        self._channels = [
            ChannelConsumer(self, kind, name)
            for kind, channel in CHANNEL_OF_KIND.items()
            for name in (channel, own_channel(channel, self._node.name))[: 2 if context.sticky else 1]
        ]

    async def start(self) -> None:
        """Read the shared channels, and with `--sticky` this worker's own. Raises LayerUnavailable."""
        for channel in self._channels:
            await channel.start()

    async def stop(self) -> None:
        """Take nothing new from now on. Entries of this worker's own channels are still read, and refused."""
        self.admission = AFTER_STOP[self.admission]
        for channel in self._channels:
            await channel.stop()
        self.read_more()

    def pause(self, paused: bool) -> None:
        """Take nothing until it is called with False. Connections that this worker owns go on."""
        before = self.admission
        self.admission = (AFTER_PAUSE if paused else AFTER_RESUME)[before]
        if self.admission is before:
            return
        for reader in self._readers():
            (reader.interrupt if paused else reader.read_more)()

    def read_more(self) -> None:
        """Read on, if there is free capacity (again)."""
        for reader in self._readers():
            reader.read_more()

    def _readers(self) -> list[ChannelReader]:
        """The readers of all channels that are read: none before the start."""
        return [channel.reader for channel in self._channels if channel.reader is not None]

    def queue_length(self, now: float) -> int:
        """The number of requests that waited on a shared channel a moment ago."""
        return max(channel.recent_length(now) for channel in self._channels if channel.kind == "http")

    def answered(self, entry: Entry, verdict: int, window: int) -> None:
        """Start the instance of an entry if the answer to its take says that this worker has adopted it."""
        buffered = self.adoption.answered(entry.key)
        if verdict == ADOPTED:
            self.start_instance(entry.key, entry.packet, window)
        if buffered:
            self._on_packets(entry.key[0], buffered)

    def start_instance(self, key: Key, packet: list[Any], window: int, directly: bool = False) -> None:
        """Start the application instance of a connection that this worker owns.

        packet: its `open`; window: what its client may send. directly: the take script has told the interface server nothing.
        """
        self.adopted_count += 1
        downstream = self.registry.adopt(key, packet, window)
        if directly and packet[OPEN_MORE_BODY]:
            downstream.announce_window()
        _, _, _, pieces, body, more_body = packet[:OPEN_WINDOW]
        try:
            downstream.start(self._host, self._scopes.read(pieces), body, more_body)
        except MALFORMED:
            self.context.counters["packets.malformed"] += 1
            log.exception("a malformed `open` from %s", key[0])
            downstream.close(Close.FAILED)

    def unanswered(self, entries: list[Entry]) -> None:
        """Start nothing of a take that was never answered, and report that to the interface servers.

        By the answer that was lost they may count this worker as owner.
        """
        self.context.counters["take.outcome_unknown"] += len(entries)
        for entry in entries:
            self.adoption.unanswered(entry.key, self._loop.time())
            interface, number, epoch = entry.key
            self._node.post(interface, packets.close(number, epoch, Close.NOT_STARTED))


def offers(taking: list[Entry], era: str, window: int) -> list[Offer]:
    """Offers to adopt each entry in its wait, except those of another era, which may have been taken in it."""
    found = []
    for entry in taking:
        packet = entry.packet
        ours = packet[OPEN_ERA] == era
        adopted = packets.adopted(packet[1], packet[2], 0 if packet[OPEN_EXPECTS] else window)
        refused = packets.refused(packet[1], packet[2], _LATE if ours else _ERA)
        found.append((entry, entry.deadline_ms if ours else 0, pack(adopted), pack(refused)))
    return found


def rejections(entries: list[Entry], era: str, reason: AdoptionRefusal) -> list[Offer]:
    """Offers that refuse each entry."""
    found: list[Offer] = []
    for entry in entries:
        why = int(reason) if entry.packet[OPEN_ERA] == era else _ERA
        found.append((entry, 0, b"", pack(packets.refused(entry.packet[1], entry.packet[2], why))))
    return found
