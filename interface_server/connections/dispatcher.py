"""Between sockets and Redis: sends new connections out, and hands each packet that comes in to its connection.

It decides nothing about a connection (connection.py) and knows no socket (interfaces.py). A packet that does not come from a
connection's current owner is stale: it is counted, dropped and answered, so that its sender gives the connection up. PROTOCOL.md, P2.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from channel_layer.messaging.membership import Membership
from channel_layer.node import Node
from channel_layer.protocol import packets
from channel_layer.protocol.events import Event
from channel_layer.protocol.flow_control import Budget
from channel_layer.protocol.illegal_move import IllegalMove
from channel_layer.protocol.keys import OWN_CHANNEL
from channel_layer.protocol.link import INTERFACE_SERVER
from channel_layer.protocol.packets import MALFORMED, AdoptionRefusal
from channel_layer.protocol.scope import Scope
from interface_server.affinity.affinity import affinity
from interface_server.affinity.worker_channels import WorkerChannels
from interface_server.connections.connection import Connection
from interface_server.connections.dead_worker import in_hand
from interface_server.connections.direct_dispatch import DirectDispatch
from interface_server.connections.interfaces import Client
from interface_server.connections.pending_queue import PendingQueue
from interface_server.connections.redis_outage import connections_to_end_after_outage
from interface_server.connections.transitions import Trigger
from interface_server.connections.upstream import UpstreamConnection
from interface_server.groups.deliveries import Deliveries
from interface_server.groups.dropped_messages import DroppedMessages
from interface_server.groups.group_figures import GroupFigures
from interface_server.groups.group_members import GroupMembers
from interface_server.groups.undeliverable_notices import UndeliverableNotices
from interface_server.queue.queue_log import QueueLog
from interface_server.settings import InterfaceSettings

log: Final = logging.getLogger("towpath.interface")

TICK_INTERVAL_S: Final = 0.5

_DATA: Final = packets.DATA

#: The packets that only the owner of a connection may send; the connection handles them.
_OF_OWNER: Final[dict[int, Callable[[UpstreamConnection, list[Any]], None]]] = {
    packets.DATA: lambda upstream, packet: upstream.on_data(packet[3], packet[4]),
    packets.CREDIT: lambda upstream, packet: upstream.on_credit(packet[3], packet[4]),
    packets.CLOSE: lambda upstream, packet: upstream.on_close(packet[3]),
    packets.HANDOFF: lambda upstream, packet: upstream.on_handoff(packet[3], packet[4]),
    packets.SYNC: lambda upstream, packet: upstream.on_sync(packet[3], packet[4]),
    packets.PUBLISHED: lambda upstream, packet: upstream.on_published(packet[3], packet[4]),
}


def _unmeasured(_seconds: float) -> None:
    """Measure nothing: there is no admin port."""


class Dispatcher:
    """The dispatcher of one interface server: a `Backend` for the clients' side, a `Receiver` for the node."""

    def __init__(self, settings: InterfaceSettings, counters: Counter[str]) -> None:
        """counters: those of the whole process, which its lease shows."""
        self._settings = settings
        self.counters = counters
        self.draining = False
        self._reachable = False
        self.answer_may_be_late = settings.response_timeout_s > 0
        self._loop = asyncio.get_running_loop()
        self._opened_count = self._websocket_count = 0
        self._connections: dict[int, UpstreamConnection] = {}
        self.budget = Budget(settings.redis.buffer_budget_bytes, settings.redis.window_size_bytes_min)
        self._membership: Membership[int] = Membership()
        self._group_figures = GroupFigures(self._membership)
        self.node = Node(settings.redis, "interface", self)
        self.name = self.node.name
        self.post: Callable[[str, packets.Packet], None] = self.node.post
        self.acquire_peer: Callable[[str], None] = self.node.acquire_peer
        self.release_peer: Callable[[str], None] = self.node.release_peer
        self.pause_over: Callable[[float], None] = _unmeasured
        dropped = DroppedMessages(self.counters)
        self.deliveries = Deliveries(
            self._connections, self.counters, dropped, self.on_packets, settings.ws_push_bytes_max
        )
        self.members = GroupMembers(self.node, self._membership, self._connections, self.deliveries, dropped)
        self._notices = UndeliverableNotices()
        self.affinity = affinity(settings.sticky, settings.root_path)
        self._own = None if self.affinity is None else WorkerChannels(self.node, self.affinity)
        self.node.read_peer_leases(self._own is not None)
        self.queue = PendingQueue(self.node, self._connections, self.counters, settings.redis, self._own)
        self.direct = DirectDispatch(self.node, self.queue, self._connections, self.counters, settings)
        self._timeouts = self.queue.timeouts
        self._queue_log = QueueLog(self._timeouts)
        self._handlers: dict[int, Callable[[str, list[Any]], None]] = {
            **dict.fromkeys(_OF_OWNER, self._from_owner),
            packets.ADOPTED: self._adopted,
            packets.REFUSED: self._refused,
            packets.SEND: self._send,
            packets.JOIN: self.members.join,
            packets.LEAVE: self.members.leave,
            packets.MESSAGE: self._message,
            packets.INVITE: self.direct.on_invite,
        }
        self._timer: asyncio.TimerHandle | None = None

    def measure_waits(
        self,
        on_wait: Callable[[float], None],
        on_wait_of_open: Callable[[float], None],
        on_pause: Callable[[float], None],
    ) -> None:
        """Call `on_wait` with the seconds that a connection has waited on a shared channel, whenever a worker has taken one.

        on_wait_of_open: the same of an open WebSocket, which waited for its next owner. on_pause: see `ConnectionServices.pause_over`.
        """
        self.pause_over = on_pause

        def adopted(sender: str, packet: list[Any]) -> None:
            began_at = self._timeouts.began_at(packet[1])
            observe = on_wait_of_open if self._timeouts.is_resumed(packet[1]) else on_wait
            self._adopted(sender, packet)
            if began_at is not None and self._timeouts.began_at(packet[1]) is None:
                observe(self._loop.time() - began_at)

        self._handlers[packets.ADOPTED] = adopted

    # -- life

    async def start(self) -> None:
        """Connect to Redis. Raises LayerUnavailable."""
        self._report()  # before the first lease is written
        await self.node.start()
        if self._own is not None:
            await self.node.check_peers()  # clients return to workers that they had before this process began
        self._tick()

    async def close(self) -> None:
        """Disconnect from Redis. Workers that still own connections of this process learn it by its lease, which ends."""
        if self._timer is not None:
            self._timer.cancel()
        self.direct.stop()
        await self.node.close()

    @property
    def ready(self) -> bool:
        """See `Backend.ready`."""
        return self._reachable and not self.draining

    @property
    def connection_count(self) -> int:
        """The number of open connections, queued or owned."""
        return len(self._connections)

    def _tick(self) -> None:
        """Twice a second: check timeouts, and report."""
        self._timer = self._loop.call_later(TICK_INTERVAL_S, self._tick)  # first: also if something below raises
        now = self._loop.time()
        self.queue.check_timeouts(now)
        self.deliveries.check_timeouts()
        if self._own is not None:
            self._own.listed(self.node.peer_leases)
        self._queue_log.check(now, self.counters["queue.timeout"], self.node.takes_packets)
        since_renewal_s = self.node.since_last_renewal_s(now)
        held = (upstream.connection for upstream in self._connections.values())
        for connection in connections_to_end_after_outage(held, since_renewal_s, self._settings):
            self._connections[connection.number].apply(Trigger.OUTAGE)
        self._report()

    def _report(self) -> None:
        """Update the numbers that `status` shows of this process."""
        now = self._loop.time()
        figures = {
            "connections": len(self._connections),
            "websockets": self._websocket_count,
            "queued": len(self._timeouts),
            "queued_s": round(self._timeouts.longest_s(now), 1),
        }
        totals = {"opened_total": self._opened_count, "direct_total": self.direct.count}
        direct = {"takes_invitations": True, "inviting_workers": self.direct.workers.inviting_count}
        self.node.report({**figures, **totals, **direct, **self._group_figures.at(now)}, self.counters)

    # -- Backend

    def open(
        self, client: Client, scope: Scope, body: bytes, more_body: bool, *, expect_continue: bool = False
    ) -> UpstreamConnection:
        """See `Backend.open`."""
        window = self.budget.grant()
        self._opened_count = number = self._opened_count + 1
        upstream = UpstreamConnection(self, client, number, (scope, body, more_body, expect_continue), window)
        self._connections[number] = upstream
        self._websocket_count += upstream.connection.kind == "websocket"
        if self.affinity is not None:
            upstream.connection.tie = self.affinity.tie(scope.event)
        if not self.direct.send(upstream.connection, client):
            self.queue.put(upstream)
        return upstream

    # -- ConnectionServices

    def after_accept_timeout(self, callback: Callable[[int], None], epoch: int) -> None:
        """See `ConnectionServices.after_accept_timeout`."""
        self._loop.call_later(self._settings.ws_accept_timeout_s, callback, epoch)

    def remove(self, connection: Connection) -> None:
        """See `ConnectionServices.remove`."""
        number = connection.number
        upstream = self._connections.pop(number, None)
        if upstream is None:
            return
        self.budget.granted_bytes -= connection.incoming.window  # `give_back`, without a call for each request
        self._websocket_count -= connection.kind == "websocket"
        if connection.owner is not None:
            self.release_peer(connection.owner)
            if connection.sent_directly:
                self.direct.workers.over(connection.owner, number)
        else:
            self.queue.remove(number)
        if number in self.deliveries.held:
            self.deliveries.discard(upstream)
        for group in self._membership.remove(number):
            self.node.unsubscribe(group)

    # -- Receiver

    def on_packets(self, sender: str, batch: list[list[Any]]) -> None:
        """See `Receiver.on_packets`."""
        held = self.deliveries.held
        for packet in batch:
            handler = self._handlers.get(packet[0])
            if handler is None:
                self.counters["packets.unknown_kind"] += 1
                continue
            try:
                if held and packet[1] in held and self.deliveries.holds(sender, packet):
                    continue
                handler(sender, packet)
            except MALFORMED:
                self.counters["packets.malformed"] += 1
                log.exception("a malformed packet from %s", sender)
                self._malformed(sender, packet)
            except IllegalMove:
                self.counters["internal.illegal_transition"] += 1
                log.exception("an internal error: a packet of kind %s led to an illegal move", packet[0])
                if (upstream := self._connections.get(packet[1])) is not None:
                    upstream.apply(Trigger.ABORTED)  # visibly on both sides: its state is not certain any more

    def _malformed(self, sender: str, packet: list[Any]) -> None:
        """Treat a malformed packet of an owner as a loss. From any other sender it damages no connection."""
        number = INTERFACE_SERVER.connection_of(packet)
        upstream = None if number is None else self._connections.get(number)
        if upstream is not None and upstream.connection.is_from_owner(sender, packet[2]):
            upstream.apply(Trigger.PACKETS_LOST)

    def on_group_message(self, group: str, event: Event) -> None:
        """See `Receiver.on_group_message`."""
        self.members.deliver_to_group(group, event)

    def on_messages_missed(self, group: str, missed: int) -> None:
        """See `Receiver.on_messages_missed`."""
        self.members.report_missed(group)

    def on_news(self, what: str, node: str) -> None:
        """See `Receiver.on_news`."""
        if what == OWN_CHANNEL and self._own is not None:
            self._own.announced(node)

    def on_dead(self, node: str) -> None:
        """See `Receiver.on_dead`."""
        self.queue.worker_died(node)  # first: connections that are opened again below are not for this worker
        held = [upstream for upstream in self._connections.values() if upstream.connection.owner == node]
        if held:
            requests = [upstream.client.request for upstream in held if upstream.connection.kind != "websocket"]
            log.warning("%s", in_hand(node, requests, len(held) - len(requests)))
        for upstream in held:
            self.deliveries.owner_lost(upstream)
            if upstream.connection.owner != node or not upstream.owned:
                continue  # its last packets have ended that
            upstream.on_owner_died(self._loop.time())
        self.direct.left(node)  # last: it knows what the dead worker had not begun

    def on_unsent(self, node: str, connections: list[tuple[int, int]]) -> None:
        """See `Receiver.on_unsent`."""
        for number, epoch in connections:
            upstream = self._connections.get(number)
            if upstream is not None and upstream.connection.is_from_owner(node, epoch):
                upstream.apply(Trigger.UNSENT)

    def on_redis(self, reachable: bool) -> None:
        """See `Receiver.on_redis`."""
        self._reachable = reachable
        if (era := self.node.era) is not None:
            self.queue.enter(era)

    def on_data_lost(self) -> None:
        """See `Receiver.on_data_lost`."""
        self.queue.recheck_queued()

    def on_resync_needed(self) -> None:
        """See `Receiver.on_resync_needed`."""
        self.direct.workers.acknowledged_all()
        for upstream in self._connections.values():
            upstream.start_resync()

    # -- packets

    def _from_owner(self, sender: str, packet: list[Any]) -> None:
        """Hand a packet to its connection, if the current owner has sent it."""
        upstream = self._connections.get(packet[1])
        if upstream is None or not upstream.connection.is_from_owner(sender, packet[2]):
            self._stale(sender, packet)
        elif packet[0] == _DATA:  # as the table says, without a call between for each response
            upstream.on_data(packet[3], packet[4])
        else:
            _OF_OWNER[packet[0]](upstream, packet)

    def _stale(self, sender: str, packet: list[Any]) -> None:
        self.counters["packets.stale"] += 1
        answer = INTERFACE_SERVER.answer_to_stale(packet)
        if answer is not None:
            self.post(sender, answer)

    def _adopted(self, sender: str, packet: list[Any]) -> None:
        upstream = self._connections.get(packet[1])
        if upstream is None or not upstream.on_adopted(sender, packet[2], packet[3]):
            self._stale(sender, packet)
        elif upstream.connection.kind == "http":
            upstream.client.last_worker = sender

    def _refused(self, sender: str, packet: list[Any]) -> None:
        if packet[3] == AdoptionRefusal.LEAVING and self._own is not None:
            # First: a connection that is opened again below is not for it. True of a stale packet too.
            self._own.left(sender)
        upstream = self._connections.get(packet[1])
        if upstream is None or not upstream.on_refused(packet[2], packet[3]):
            self._stale(sender, packet)

    def _message(self, sender: str, packet: list[Any]) -> None:
        """Drop a message to an application channel: there is none in this process."""
        self.counters["dropped.no_such_channel"] += 1

    def _send(self, sender: str, packet: list[Any]) -> None:
        number, epoch, event = packet[1:4]
        upstream = self._connections.get(number)
        if upstream is None:
            self.counters["dropped.no_such_channel"] += 1
            if type(number) is int and 0 < number <= self._opened_count:
                self._notify(sender, number, packets.EVERY_TYPE)
        elif epoch and not upstream.connection.is_from_owner(sender, epoch):
            self.counters["packets.stale"] += 1  # of an earlier instance: read a second time
        elif not self.deliveries.send(upstream, event, packet[4] if epoch else 0):
            self._notify(sender, number, event["type"])

    def _notify(self, sender: str, number: int, kind: str) -> None:
        """Tell the sender of a message that was dropped that further ones will be."""
        if self._notices.is_due(sender, number, kind, self._loop.time()):
            self.post(sender, packets.undeliverable(number, kind))
