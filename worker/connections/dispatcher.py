"""The pump between the wire and the applications: entries in, connections adopted; packets in, each to its instance.

It decides nothing about what to take (adoption.py) and knows no application (interfaces.py). PROTOCOL.md, "Adoption".
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any

from channel_layer.errors import InvalidMessage
from channel_layer.layer import ChannelLayer
from channel_layer.messaging.channel_reader import ChannelReader, Entry
from channel_layer.node import OWN_CHANNEL, Node
from channel_layer.protocol import packets
from channel_layer.protocol.close_codes import ABNORMAL
from channel_layer.protocol.events import Event, payload_size_bytes
from channel_layer.protocol.flow_control import WINDOW_BYTES_MAX, WINDOW_BYTES_OF_MESSAGES, Budget
from channel_layer.protocol.keys import CHANNEL_OF_KIND, own_channel
from channel_layer.protocol.packets import MALFORMED, OPEN_ERA, OPEN_RESUME, Close, Refusal
from channel_layer.protocol.scope import ScopeReader
from channel_layer.redis.connection import ignore
from worker.connections.adoption import READ_MAX, Adoption, Key, read_count
from worker.connections.downstream import DownstreamConnection
from worker.connections.interfaces import ApplicationHost
from worker.connections.loop_lag import LoopLag
from worker.connections.mixed_apps import check_others
from worker.connections.offers import ADOPTED, offers, refusals
from worker.connections.placement_watch import PlacementWatch
from worker.connections.shortage_log import ShortageLog
from worker.settings import WorkerSettings

log = logging.getLogger("towpath.worker")

FIGURES_INTERVAL_S = 0.5


class Dispatcher:
    """Implements `Receiver` for the wire; starts instances in a `ApplicationHost`."""

    def __init__(self, settings: WorkerSettings, room: ApplicationHost, counters: Counter[str]) -> None:
        self._settings = settings
        self._room = room
        self._shortage_log = ShortageLog(room)
        self.counters = counters
        self._loop = asyncio.get_running_loop()
        self.node = Node(settings.redis, "worker", self)
        self.node.outbox.before_flush = self._flush
        self.node.lease.figures_while_blocked = self._figures_while_blocked
        self._adoption = Adoption(never_s=4 * settings.redis.queue_wait_s)
        self._lag = LoopLag()
        self._scopes = ScopeReader()
        self._downstreams: dict[Key, DownstreamConnection] = {}
        self.layer = ChannelLayer(self.node, self._downstreams)
        self.budget = Budget(settings.redis.buffer_budget_bytes, settings.redis.window_size_bytes_min)
        self._pending: list[DownstreamConnection] = []
        self.adopted = 0  #: connections since the start, exchanges and WebSockets
        self._readers: dict[str, ChannelReader] = {}
        self._reserved = dict.fromkeys(CHANNEL_OF_KIND, 0)  # slots for what is being taken
        self._length: defaultdict[str, int] = defaultdict(lambda: 1)  # of each channel, as the last take saw it
        self._sticky = settings.sticky != "off"
        self._draining = self._paused = False
        self._placement = PlacementWatch(self.node, room, self._reserved, self._downstreams)
        self._figures_timer: asyncio.TimerHandle | None = None
        self._handlers = {
            packets.DATA: self._data,
            packets.CREDIT: self._credit,
            packets.CANCEL: self._cancel,
            packets.SYNC: self._synced,
        }

    # -- life

    async def start(self) -> None:
        """Stand on the wire, then read the shared channels. Raises LayerUnavailable, MixedApps."""
        self._tell()  # the first lease says it already
        await self.node.start()
        if self._settings.app:
            # Our lease is written by now: of two workers that start together at least one sees the other.
            check_others(self._settings, (await self.node.peers.leases()).values())
        await self.node.peers.look()  # what others hold: sockets may be handed over to us in the next moment
        self._lag.start()
        self._figures()
        for kind, channel in CHANNEL_OF_KIND.items():
            # What an exchange takes is soon over, wherever it is.
            leaves_s = self._placement.leaves_s if kind == "websocket" else None
            await self._read(kind, channel, leaves_s)
            if self._sticky:
                await self._read(kind, own_channel(channel, self.node.name), None)
        if self._sticky:
            self.node.peers.announce(OWN_CHANNEL, self.node.name)

    async def _read(self, kind: str, channel: str, leaves_s: Callable[[], float] | None) -> None:
        wanted, take = partial(self._wanted, kind, channel), partial(self._take, kind, channel)
        self._readers[channel] = await self.node.channels.read(channel, wanted, take, leaves_s)

    async def stop_taking(self) -> None:
        """Take nothing new from now on. What waits for this worker alone is read on, and refused."""
        self._draining = True
        for channel, reader in self._readers.items():
            if channel in CHANNEL_OF_KIND.values():
                await reader.close()
        self.room_again()

    def pause(self, paused: bool) -> None:
        """Take nothing until it is called with False. What this worker has in hand goes on."""
        if paused != self._paused:
            self._paused = paused
            for reader in self._readers.values():
                (reader.interrupt if paused else reader.poke)()

    async def close(self) -> None:
        """Leave the wire."""
        self._lag.stop()
        if self._figures_timer is not None:
            self._figures_timer.cancel()
        self._flush()
        await self.node.close()

    @property
    def downstreams(self) -> list[DownstreamConnection]:
        """The connections that this worker owns."""
        return list(self._downstreams.values())

    @property
    def taking(self) -> int:
        """How many connections this worker may own as soon as Redis has answered."""
        return len(self._adoption)

    def room_again(self) -> None:
        """A slot may be free again: read on."""
        for reader in self._readers.values():
            reader.poke()

    # -- lines

    def gather(self, downstream: DownstreamConnection) -> None:
        """A line has something to send at the end of this turn of the loop."""
        self._pending.append(downstream)
        self.node.outbox.schedule()

    def holds(self, downstream: DownstreamConnection) -> bool:
        """Is it among `lines`?"""
        return self._downstreams.get(downstream.key) is downstream

    def forget(self, downstream: DownstreamConnection) -> None:
        """A line is over."""
        if self._downstreams.pop(downstream.key, None) is not None:
            self.budget.granted_bytes -= downstream.incoming.window  # `give_back`, without a call for each request
            self.node.peers.release(downstream.key[0])

    def _flush(self) -> None:
        pending, self._pending = self._pending, []
        for downstream in pending:
            try:
                if downstream.pending:  # else it was complete, and has left
                    downstream.flush()
            except (MemoryError, InvalidMessage):  # the others of this turn leave all the same
                log.exception("an internal error: packets for %s cannot be packed", downstream.key[0])
                self._break(downstream)

    # -- adoption

    def _wanted(self, kind: str, channel: str) -> int:
        """How many entries may be read now."""
        if self.node.connection is None:
            return 0  # what is read now could not be taken; `on_redis` reads on
        if self._draining:
            return READ_MAX
        if self._paused:
            return 0  # `pause` reads on
        free = self._room.free(kind) - self._reserved[kind]
        shared = channel == CHANNEL_OF_KIND[kind]
        count = read_count(free, self._length[channel], self.node.peers.fellows if shared else 1, self._lag.late)
        return self._placement.count(count) if shared and kind == "websocket" else count

    def _take(self, kind: str, channel: str, entries: list[Entry]) -> bool:
        """Take what was read, but for what must not be taken (again). True: read no more until that has begun to run.

        Where there are others: what blocks this loop in its first step shall hold up nobody that they could serve.
        """
        connection = self.node.connection
        if connection is None:
            return False  # nothing was sent, so it may be claimed again, by us too
        if self._draining:
            self._give_back(channel, entries, Refusal.LEAVING)
            return False
        keys = [(entry.interface, entry.packet[1], entry.packet[2]) for entry in entries]
        chosen = self._adoption.choose(keys, self._loop.time(), self._downstreams)
        taking = [(entry, key) for entry, key, free in zip(entries, keys, chosen, strict=True) if free]
        if len(taking) < len(entries):
            spurned = [entry for entry, key in zip(entries, keys, strict=True) if self._adoption.is_spurned(key)]
            self._give_back(channel, spurned, Refusal.NOT_TAKEN)
        if not taking:
            return False
        window = self.budget.grant(len(taking), WINDOW_BYTES_OF_MESSAGES if kind == "websocket" else WINDOW_BYTES_MAX)
        self._reserved[kind] += len(taking)

        def on_verdicts(verdicts: list[int] | None) -> None:
            self._reserved[kind] -= len(taking)
            self.budget.give_back(window * (len(taking) - (verdicts or [0])[1:].count(ADOPTED)))
            if verdicts is None:
                self._unanswered([key for _, key in taking])
            else:
                self._length[channel] = verdicts[0]
                for (entry, key), verdict in zip(taking, verdicts[1:], strict=True):
                    self._answered(entry, key, verdict, window)
            self._loop.call_soon(self._readers[channel].poke)  # behind the first step of each instance

        self.node.channels.take(channel, offers(taking, connection.era, window), on_verdicts)
        return self.node.peers.fellows > 1

    def _give_back(self, channel: str, entries: list[Entry], reason: Refusal) -> None:
        """Refuse entries that this worker may not take and that it holds back from others by having read them.

        The same script that finds out that nobody has them removes them, and their interface server queues them anew.
        """
        connection = self.node.connection
        if not entries or connection is None:
            return
        self.counters["take.returned"] += len(entries)
        self.node.channels.take(channel, refusals(entries, connection.era, reason), ignore)

    def _answered(self, entry: Entry, key: Key, verdict: int, window: int) -> None:
        held = self._adoption.answered(key)
        if verdict == ADOPTED:
            self.adopted += 1
            try:
                self._start(entry, key, window)
            except MALFORMED:
                self.counters["packets.malformed"] += 1
                log.exception("a malformed `open` from %s", entry.interface)
                self._downstreams[key].close(Close.FAILED)
        if held:
            self.on_packets(key[0], held)

    def _start(self, entry: Entry, key: Key, window: int) -> None:
        _, _, _, pieces, body, more_body, down_window, _, expects_continue = entry.packet[:OPEN_ERA]
        resume = entry.packet[OPEN_RESUME] if len(entry.packet) > OPEN_RESUME else None
        downstream = DownstreamConnection(self, key, down_window, window, expects_continue, resume)
        self._downstreams[key] = downstream
        self.node.peers.hold(key[0])
        downstream.instance = self._room.start(self._scopes.read(pieces), body, more_body, downstream)

    def _unanswered(self, keys: list[Key]) -> None:
        """The take was sent and never answered: start nothing of it, and say so to whoever believes that we own it."""
        self.counters["take.outcome_unknown"] += len(keys)
        for key in keys:
            self._adoption.unanswered(key, self._loop.time())
            self.node.post(key[0], packets.close(key[1], key[2], Close.NOT_STARTED))

    # -- Receiver

    def on_packets(self, sender: str, batch: list[Any]) -> None:
        """See `Receiver.on_packets`."""
        for packet in batch:
            try:
                self._obey(sender, packet)
            except MALFORMED:
                self.counters["packets.malformed"] += 1
                log.exception("a malformed packet from %s", sender)
                self._missed(sender, packet)

    def _missed(self, sender: str, packet: list[Any]) -> None:
        """What its interface server said of a connection cannot be understood: that is a gap."""
        kind, number, epoch = packet[:3]
        known = kind in self._handlers and type(number) is int
        if known and (downstream := self._downstreams.get((sender, number, epoch))) is not None:
            self._break(downstream)

    def on_group_message(self, group: str, event: Event) -> None:
        """See `Receiver.on_group_message`. Nothing here is a member of anything."""

    def on_own_channel(self, worker: str) -> None:
        """See `Receiver.on_own_channel`. Connections do not come from here."""

    def on_dead(self, node: str) -> None:
        """See `Receiver.on_dead`."""
        for downstream in [each for each in self._downstreams.values() if each.key[0] == node]:
            self._break(downstream)

    def on_redis(self, reachable: bool) -> None:
        """See `Receiver.on_redis`."""
        if reachable:
            self.room_again()

    def on_loss(self) -> None:
        """See `Receiver.on_loss`. Nothing here was queued; what else is missing is found by `sync`."""

    def on_doubt(self) -> None:
        """See `Receiver.on_doubt`."""
        for downstream in self._downstreams.values():
            self._sync(downstream, wants_answer=True)

    def _sync(self, downstream: DownstreamConnection, wants_answer: bool) -> None:
        downstream.flush()
        interface, number, epoch = downstream.key
        self.node.post(interface, packets.sync(number, epoch, downstream.sent, wants_answer))
        downstream.credit_again()

    def _synced(self, downstream: DownstreamConnection, packet: list[Any]) -> None:
        """The interface server says how much it has sent: all of that stands in front of this packet, or is lost."""
        if packet[3] > downstream.received:
            self.counters["packets.lost"] += 1
            self._break(downstream)
        elif packet[4]:
            self._sync(downstream, wants_answer=False)

    def _obey(self, sender: str, packet: list[Any]) -> None:
        kind = packet[0]
        handler = self._handlers.get(kind)
        if handler is not None:
            key = (sender, packet[1], packet[2])
            downstream = self._downstreams.get(key)
            if downstream is not None:
                handler(downstream, packet)
            elif not self._adoption.hold(key, packet):
                self._stray(sender, packet)
        elif kind == packets.JOINED:
            self.layer.answered(packet[3], packet[4])
        elif kind in (packets.JOIN, packets.LEAVE):
            self.node.post(sender, packets.joined(packet[1], packet[2], packet[4], False))
        else:
            self.counters["packets.unknown_kind"] += 1

    def _stray(self, sender: str, packet: list[Any]) -> None:
        """Of a connection that we do not own (any more): whoever believes that we do is told."""
        if packet[0] == packets.CANCEL:
            return
        self.counters["packets.stale"] += 1
        self.node.post(sender, packets.close(packet[1], packet[2], Close.UNKNOWN))

    def _data(self, downstream: DownstreamConnection, packet: list[Any]) -> None:
        sequence = packet[3]
        if sequence <= downstream.received:
            return  # seen already: sent again after a doubt
        if sequence != downstream.received + 1:
            self.counters["packets.lost"] += 1
            self._break(downstream)
            return
        downstream.received = sequence
        assert downstream.instance is not None
        for event in packet[4]:
            downstream.instance.feed(event, payload_size_bytes(event))

    def _break(self, downstream: DownstreamConnection) -> None:
        """Packets were lost, or its interface server was: the connection ends visibly, on both sides."""
        self._disconnect(downstream, ABNORMAL, "")
        self.node.post(downstream.key[0], packets.close(downstream.key[1], downstream.key[2], Close.UNKNOWN))

    def _credit(self, downstream: DownstreamConnection, packet: list[Any]) -> None:
        if downstream.outgoing.allow(packet[3]) and downstream.instance is not None:
            downstream.instance.resume()

    def _cancel(self, downstream: DownstreamConnection, packet: list[Any]) -> None:
        self._disconnect(downstream, packet[4], packet[5])

    def _disconnect(self, downstream: DownstreamConnection, code: int, reason: str) -> None:
        instance = downstream.instance
        downstream.over()
        if instance is not None:
            instance.disconnect(code, reason)

    # -- figures

    def _held(self) -> dict[str, int]:
        """Numbers that any thread may read."""
        return {
            "connections": len(self._downstreams),
            "websockets": self._room.websockets,
            "streams": self._room.streams,
            "adopted_total": self.adopted,
            "own_channel": self._sticky and not self._draining,
        }

    def _figures_while_blocked(self, blocked_s: float) -> dict[str, Any]:
        """What the loop told last was true before the block: it takes nothing now, and is late by all of it."""
        return {**self._held(), "free": dict.fromkeys(CHANNEL_OF_KIND, 0), "lag_ms": blocked_s * 1000}

    def _figures(self) -> None:
        self._placement.look(may_level=not (self._draining or self._sticky))
        self._tell()
        self._shortage_log.look(self._loop.time())
        self._figures_timer = self._loop.call_later(FIGURES_INTERVAL_S, self._figures)

    def _tell(self) -> None:
        """What `status` shows of this worker, and what others place connections by."""
        figures = {
            **self._held(),
            "draining": self._draining,
            "gives_way": self.node.channels.gives_way,
            "fellows": self.node.peers.fellows,
            "free": {kind: 0 if self._paused else self._room.free(kind) for kind in CHANNEL_OF_KIND},
            "lag_ms": round(self._lag.seconds * 1000, 1),
        }
        self.node.tell(figures, self.counters)
