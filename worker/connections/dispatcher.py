"""Composes the parts that take connections, and dispatches each packet from Redis to its connection.

queue_consumer.py takes the connections. This file knows no application (interfaces.py). PROTOCOL.md, "Adoption".
"""

from __future__ import annotations

import dataclasses
import logging
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from channel_layer.layer import ChannelLayer, WorkerHome
from channel_layer.loop.loop_layer import LoopLayer
from channel_layer.node import Node
from channel_layer.protocol import packets
from channel_layer.protocol.deployment import another_application, why_refused
from channel_layer.protocol.events import Event
from channel_layer.protocol.illegal_move import IllegalMove
from channel_layer.protocol.keys import REBALANCE
from channel_layer.protocol.link import WORKER
from channel_layer.protocol.packets import MALFORMED
from worker.connections.context import WorkerContext
from worker.connections.direct_requests import DirectRequests
from worker.connections.downstream import DownstreamConnection
from worker.connections.interfaces import ApplicationHost
from worker.connections.load_report import LoadReport
from worker.connections.placement_watch import PlacementWatch
from worker.connections.queue_consumer import QueueConsumer
from worker.connections.registry import ConnectionRegistry
from worker.errors import MixedApps
from worker.settings import WorkerSettings

log: Final = logging.getLogger("towpath.worker")

#: Roles in leases. A worker that takes no connections has its own: other workers do not count it among their peers.
ROLE: Final = "worker"
BACKGROUND_ROLE: Final = "background"

#: Packets that only the interface server of a connection may send, and the method of the connection that gets each.
_OF_INTERFACE_SERVER: Final[dict[int, Callable[[DownstreamConnection, list[Any]], None]]] = {
    packets.DATA: lambda downstream, packet: downstream.on_data(packet[3], packet[4]),
    packets.CREDIT: lambda downstream, packet: downstream.on_credit(packet[3]),
    packets.CANCEL: lambda downstream, packet: downstream.on_cancel(packet[3], packet[4], packet[5]),
    packets.SYNC: lambda downstream, packet: downstream.on_sync(packet[3], packet[4]),
}


class Dispatcher:
    """The dispatcher of one worker: a `Receiver` for the node, which starts instances in an `ApplicationHost`."""

    def __init__(
        self, settings: WorkerSettings, host: ApplicationHost, counters: Counter[str], home: WorkerHome | None = None
    ) -> None:
        """home: the place of the channel layer, if the application may know it already."""
        self._settings = settings
        self.counters = counters
        self.node = _node(settings, self)
        self.registry = ConnectionRegistry(self.node, counters)
        self._loop_layer = LoopLayer(self.node, counters, self.registry.by_key)
        self._home = home or WorkerHome(settings.redis)
        self.layer = ChannelLayer(self._home, settings.layer)
        context = WorkerContext(
            self.node,
            host,
            counters,
            settings.channels,
            settings.sticky != "off",
            dead_letter=settings.channel_dead_letter,
            direct=settings.direct_dispatch and not settings.channels,
        )
        placement = PlacementWatch(context, self.registry, settings.rebalance_per_s)
        self.consumer = QueueConsumer(context, self.registry, placement, self.on_packets)
        self.direct = DirectRequests(context, self.registry, self.consumer, self.on_packets)
        self._report = LoadReport(context, self.registry, self.consumer, placement, self.direct)

    # -- life

    async def start(self) -> None:
        """Connect to Redis, then read the shared channels. Raises LayerUnavailable, MixedApps."""
        self._report.send()  # so that the first lease has the figures
        await self.node.start()
        if self._settings.app and not self._settings.channels:
            # This worker's lease is written by now: of two workers that start together at least one sees the other.
            await self._check_others()
        # Reads the figures of other workers: WebSockets may be handed over to this one at once.
        await self.node.check_peers()
        self.consumer.lag.start(self.direct.on_blocked)
        self._report.start()
        self._loop_layer.start()
        self._home.open(self._loop_layer)
        if self._settings.channels:
            return
        await self.consumer.start()
        if self._settings.sticky != "off":
            self.node.announce_own_channel()

    async def _check_others(self) -> None:
        """Raise MixedApps if a living process serves another application.

        APP is compared as it was written: without an attribute it may mean another of the default ones after a reload.
        """
        redis_settings = self._settings.redis
        leases = (await self.node.leases()).values()
        other = None if redis_settings.allow_mixed_apps else another_application(self._settings.app, leases)
        if other is not None:
            raise MixedApps(why_refused(other, redis_settings.prefix))

    async def stop_taking(self) -> None:
        """Take nothing new from now on. Entries of this worker's own channels are still read, and refused."""
        await self.consumer.stop()
        self.direct.update()  # withdraws all invitations; what still comes is refused, and what is never read was not acknowledged

    def pause(self, paused: bool) -> None:
        """Take nothing until it is called with False. Connections that this worker owns go on."""
        self.consumer.pause(paused)
        self.direct.update()

    async def close(self) -> None:
        """Send what is pending, and disconnect from Redis."""
        self.consumer.lag.stop()
        self._report.stop()
        self.direct.stop()
        self.registry.flush()
        await self._loop_layer.close()
        await self.node.close()

    @property
    def downstreams(self) -> list[DownstreamConnection]:
        """The connections that this worker owns."""
        return list(self.registry.by_key.values())

    @property
    def taking_count(self) -> int:
        """The number of connections that this worker may own as soon as Redis has answered."""
        return len(self.consumer.adoption) + self.direct.waiting_count

    def adopted_count(self) -> int:
        """The number of connections that this worker has adopted since its start."""
        return self.consumer.adopted_count

    def read_more(self) -> None:
        """Read on, if there is free capacity (again)."""
        self.consumer.read_more()
        self.direct.update_soon()

    # -- Receiver

    def on_packets(self, sender: str, batch: list[Any]) -> None:
        """See `Receiver.on_packets`."""
        for packet in batch:
            try:
                self._dispatch(sender, packet)
            except MALFORMED:
                self.counters["packets.malformed"] += 1
                log.exception("a malformed packet from %s", sender)
                self._abort(sender, packet)
            except IllegalMove:
                self.counters["internal.illegal_transition"] += 1
                log.exception("an internal error: a packet of kind %s led to an illegal move", packet[0])
                self._abort(sender, packet)

    def _abort(self, sender: str, packet: list[Any]) -> None:
        """End the connection of a packet whose content is lost, or that has left its state uncertain."""
        number = WORKER.connection_of(packet)
        downstream = None if number is None else self.registry.by_key.get((sender, number, packet[2]))
        if downstream is not None:
            downstream.abort()

    def on_group_message(self, group: str, event: Event) -> None:
        """See `Receiver.on_group_message`. The members here are channels of the application."""
        self._loop_layer.on_group_message(group, event)

    def on_messages_missed(self, group: str, missed: int) -> None:
        """See `Receiver.on_messages_missed`."""
        self._loop_layer.on_messages_missed(group, missed)

    def on_news(self, what: str, node: str) -> None:
        """See `Receiver.on_news`."""
        if what == REBALANCE:
            self.consumer.placement.request_rebalancing()

    def on_dead(self, node: str) -> None:
        """See `Receiver.on_dead`."""
        self.direct.on_dead(node)
        for downstream in [each for each in self.registry.by_key.values() if each.key[0] == node]:
            downstream.abort()

    def on_unsent(self, node: str, connections: list[tuple[int, int]]) -> None:
        """See `Receiver.on_unsent`. Workers open none."""

    def on_redis(self, reachable: bool) -> None:
        """See `Receiver.on_redis`."""
        if reachable:
            self.read_more()

    def on_data_lost(self) -> None:
        """See `Receiver.on_data_lost`. Workers queue nothing; other losses are found by `sync`."""

    def on_resync_needed(self) -> None:
        """See `Receiver.on_resync_needed`."""
        self.direct.invite_again()
        for downstream in self.registry.by_key.values():
            downstream.start_resync()

    def _dispatch(self, sender: str, packet: list[Any]) -> None:
        kind = packet[0]
        receive = _OF_INTERFACE_SERVER.get(kind)
        if receive is not None:
            key = (sender, packet[1], packet[2])
            downstream = self.registry.by_key.get(key)
            if downstream is not None:
                receive(downstream, packet)
            elif not self.direct.buffer(key, packet) and not self.consumer.adoption.buffer(key, packet):
                self._stale(sender, packet)
        elif kind == packets.OPEN:
            self.direct.on_open(sender, packet)
        elif not self._loop_layer.on_packet(sender, packet):
            self.counters["packets.unknown_kind"] += 1

    def _stale(self, sender: str, packet: list[Any]) -> None:
        """Answer a packet for a connection that this worker does not own (any more), though its interface server assumes so."""
        answer = WORKER.answer_to_stale(packet)
        if answer is not None:
            self.counters["packets.stale"] += 1
            self.node.post(sender, answer)


def _node(settings: WorkerSettings, dispatcher: Dispatcher) -> Node:
    """The node of a worker. One that takes no connections may have another application than those that do: its lease names none."""
    if settings.channels:
        return Node(dataclasses.replace(settings.redis, app=""), BACKGROUND_ROLE, dispatcher)
    return Node(settings.redis, ROLE, dispatcher)
