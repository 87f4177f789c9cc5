"""Reads the shared channels, takes connections from them, and starts their application instances.

Which entries may be taken is decided in adoption.py, and when a WebSocket is left to another worker in placement.py.
PROTOCOL.md, "Adoption".
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import Any

from channel_layer.messaging.channel_reader import ChannelReader
from channel_layer.messaging.entry import Entry
from channel_layer.messaging.shared_channels import Offer
from channel_layer.protocol import packets
from channel_layer.protocol.codec import pack
from channel_layer.protocol.flow_control import WINDOW_BYTES_MAX, WINDOW_BYTES_OF_MESSAGES
from channel_layer.protocol.keys import CHANNEL_OF_KIND, own_channel
from channel_layer.protocol.packets import MALFORMED, OPEN_ERA, OPEN_EXPECTS, OPEN_RESUME, AdoptionRefusal, Close
from channel_layer.protocol.scope import ScopeReader
from channel_layer.redis.connection import ignore
from worker.connections.adoption import READ_MAX, Adoption, Key, read_count
from worker.connections.context import WorkerContext
from worker.connections.downstream import DownstreamConnection
from worker.connections.loop_lag import LoopLag
from worker.connections.placement_watch import PlacementWatch
from worker.connections.registry import ConnectionRegistry

log = logging.getLogger("towpath.worker")

ADOPTED = 1  #: the take script's answer for an entry that was adopted
_LATE, _ERA = int(AdoptionRefusal.LATE), int(AdoptionRefusal.ERA)
#: An abandoned connection is refused for so many times the longest wait in the queue: its entry is certainly past its wait then.
ABANDON_FACTOR = 4


class Admission(Enum):
    """Whether new connections are taken. `OPEN` and `PAUSED` alternate; `DRAINING` is final."""

    OPEN = auto()
    PAUSED = auto()  #: until `pause(False)`
    DRAINING = auto()  #: entries of this worker's own channels are read, and refused


def _nothing_s() -> float:
    """Does not defer to other workers."""
    return 0.0


@dataclass(frozen=True, slots=True)
class _ChannelConsumer:
    """Implements `EntryConsumer` by three functions."""

    read_limit: Callable[[], int]
    defer_s: Callable[[], float]
    on_entries: Callable[[list[Entry]], bool]


class QueueConsumer:
    """The readers of one worker. `on_packets` gets the packets that came for a connection while it was being adopted."""

    def __init__(
        self,
        context: WorkerContext,
        registry: ConnectionRegistry,
        placement: PlacementWatch,
        on_packets: Callable[[str, list[Any]], None],
    ) -> None:
        self._node = context.node
        self._host = context.host
        self._counters = context.counters
        self._sticky = context.sticky
        self._registry = registry
        self._placement = placement
        self._on_packets = on_packets
        self._loop = asyncio.get_running_loop()
        self.adoption = Adoption(abandon_s=ABANDON_FACTOR * self._node.context.settings.queue_wait_s)
        self.lag = LoopLag()
        self.admission = Admission.OPEN
        self.adopted = 0  #: connections since the start, exchanges and WebSockets
        self._scopes = ScopeReader()
        self._readers: dict[str, ChannelReader] = {}
        #: Entries in each channel, as the last take reported.
        self._length: defaultdict[str, int] = defaultdict(lambda: 1)

    async def start(self) -> None:
        """Read the shared channels, and with `--sticky` this worker's own. Raises LayerUnavailable."""
        for kind, channel in CHANNEL_OF_KIND.items():
            # An exchange is soon over, whichever worker has it.
            defer_s = self._placement.defer_s if kind == "websocket" else _nothing_s
            await self._read(kind, channel, defer_s)
            if self._sticky:
                await self._read(kind, own_channel(channel, self._node.name), _nothing_s)

    async def _read(self, kind: str, channel: str, defer_s: Callable[[], float]) -> None:
        wanted, take = partial(self._wanted, kind, channel), partial(self._take, kind, channel)
        self._readers[channel] = await self._node.read_channel(channel, _ChannelConsumer(wanted, defer_s, take))

    async def stop(self) -> None:
        """Take nothing new from now on. Entries of this worker's own channels are still read, and refused."""
        self.admission = Admission.DRAINING
        for channel, reader in self._readers.items():
            if channel in CHANNEL_OF_KIND.values():
                await reader.close()
        self.read_more()

    def pause(self, paused: bool) -> None:
        """Take nothing until it is called with False. Connections that this worker owns go on."""
        wanted = Admission.PAUSED if paused else Admission.OPEN
        if self.admission in (wanted, Admission.DRAINING):
            return
        self.admission = wanted
        for reader in self._readers.values():
            (reader.interrupt if paused else reader.read_more)()

    def read_more(self) -> None:
        """Read on, if there is free capacity (again)."""
        for reader in self._readers.values():
            reader.read_more()

    def _wanted(self, kind: str, channel: str) -> int:
        """The number of entries to read now."""
        if not self._node.connected:
            return 0  # what is read now could not be taken; `on_redis` reads on
        if self.admission is Admission.DRAINING:
            return READ_MAX
        if self.admission is Admission.PAUSED:
            return 0  # `pause` reads on
        free = self._host.free(kind) - self._registry.reserved[kind]
        shared = channel == CHANNEL_OF_KIND[kind]
        count = read_count(free, self._length[channel], self._node.same_role_count if shared else 1, self.lag.late)
        return self._placement.count(count) if shared and kind == "websocket" else count

    def _take(self, kind: str, channel: str, entries: list[Entry]) -> bool:
        """Take the entries that were read, except those that must not be taken (again).

        True: read no more until they have begun to run. So it is if there are other workers: an instance that blocks this
        event loop in its first step must not delay connections that they could serve.
        """
        era = self._node.era
        if era is None:
            return False  # nothing was sent, so the entries may be claimed again, also by this worker
        if self.admission is Admission.DRAINING:
            self._give_back(channel, entries, AdoptionRefusal.LEAVING)
            return False
        taking = self._choose(channel, entries)
        if not taking:
            return False
        window = self._registry.budget.grant(
            len(taking), WINDOW_BYTES_OF_MESSAGES if kind == "websocket" else WINDOW_BYTES_MAX
        )
        self._registry.reserved[kind] += len(taking)

        def on_verdicts(verdicts: list[int] | None) -> None:
            self._registry.reserved[kind] -= len(taking)
            self._registry.budget.give_back(window * (len(taking) - (verdicts or [0])[1:].count(ADOPTED)))
            if verdicts is None:
                self._unanswered([key for _, key in taking])
            else:
                self._length[channel] = verdicts[0]
                for (entry, key), verdict in zip(taking, verdicts[1:], strict=True):
                    self._answered(entry, key, verdict, window)
            self._loop.call_soon(self._readers[channel].read_more)  # behind the first step of each instance

        self._node.take(channel, offers(taking, era, window), on_verdicts)
        return self._node.same_role_count > 1

    def _choose(self, channel: str, entries: list[Entry]) -> list[tuple[Entry, Key]]:
        """The entries that may be taken, with their keys. Abandoned ones are given back."""
        keys = [(entry.interface, entry.packet[1], entry.packet[2]) for entry in entries]
        chosen = self.adoption.choose(keys, self._loop.time(), self._registry.by_key)
        taking = [(entry, key) for entry, key, free in zip(entries, keys, chosen, strict=True) if free]
        if len(taking) < len(entries):
            abandoned = [entry for entry, key in zip(entries, keys, strict=True) if self.adoption.is_abandoned(key)]
            self._give_back(channel, abandoned, AdoptionRefusal.NOT_TAKEN)
        return taking

    def _give_back(self, channel: str, entries: list[Entry], reason: AdoptionRefusal) -> None:
        """Refuse entries that this worker may not take: because it has read them, no other worker gets them.

        The take script removes those that no worker has taken, and their interface server queues the connections anew.
        """
        era = self._node.era
        if not entries or era is None:
            return
        self._counters["take.returned"] += len(entries)
        self._node.take(channel, rejections(entries, era, reason), ignore)

    def _answered(self, entry: Entry, key: Key, verdict: int, window: int) -> None:
        held = self.adoption.answered(key)
        if verdict == ADOPTED:
            self.adopted += 1
            try:
                self._start(entry, key, window)
            except MALFORMED:
                self._counters["packets.malformed"] += 1
                log.exception("a malformed `open` from %s", entry.interface)
                self._registry.by_key[key].close(Close.FAILED)
        if held:
            self._on_packets(key[0], held)

    def _start(self, entry: Entry, key: Key, window: int) -> None:
        _, _, _, pieces, body, more_body, down_window, _, expects_continue = entry.packet[:OPEN_ERA]
        resume = entry.packet[OPEN_RESUME] if len(entry.packet) > OPEN_RESUME else None
        downstream = DownstreamConnection(
            self._registry, key, down_window, window, expects_continue=expects_continue, resume=resume
        )
        self._registry.add(downstream)
        downstream.instance = self._host.start(self._scopes.read(pieces), body, more_body, downstream)

    def _unanswered(self, keys: list[Key]) -> None:
        """The take was sent and never answered. Start nothing, and tell the interface servers, which may count this worker as owner."""
        self._counters["take.outcome_unknown"] += len(keys)
        for key in keys:
            self.adoption.unanswered(key, self._loop.time())
            self._node.post(key[0], packets.close(key[1], key[2], Close.NOT_STARTED))


def offers(taking: list[tuple[Entry, Key]], era: str, window: int) -> list[Offer]:
    """Offers to adopt each entry in its wait, except those of another era, which may have been taken in it."""
    found = []
    for entry, (_, number, epoch) in taking:
        ours = entry.packet[OPEN_ERA] == era
        adopted = packets.adopted(number, epoch, 0 if entry.packet[OPEN_EXPECTS] else window)
        refused = packets.refused(number, epoch, _LATE if ours else _ERA)
        found.append((entry, entry.deadline_ms if ours else 0, pack(adopted), pack(refused)))
    return found


def rejections(entries: list[Entry], era: str, reason: AdoptionRefusal) -> list[Offer]:
    """Offers that refuse each entry."""
    found: list[Offer] = []
    for entry in entries:
        why = int(reason) if entry.packet[OPEN_ERA] == era else _ERA
        found.append((entry, 0, b"", pack(packets.refused(entry.packet[1], entry.packet[2], why))))
    return found
