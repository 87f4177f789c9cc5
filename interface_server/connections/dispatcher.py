"""The pump between sockets and the wire: new connections out, packets in, each to the connection it is about.

It decides nothing about a connection (connection.py) and knows no socket (interfaces.py). A packet that is not the word of a
connection's current owner is a stray: counted, dropped and answered, so that whoever was forgotten learns it. PROTOCOL.md, P2.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from typing import Any

from channel_layer.messaging.membership import Membership
from channel_layer.node import Node
from channel_layer.protocol import packets
from channel_layer.protocol.close_codes import SERVICE_RESTART
from channel_layer.protocol.events import Event, payload_sizes_bytes
from channel_layer.protocol.flow_control import Budget
from channel_layer.protocol.packets import MALFORMED, Cancel, Close, Refusal
from channel_layer.protocol.scope import Scope
from interface_server.affinity.affinity import affinity
from interface_server.affinity.worker_channels import WorkerChannels
from interface_server.connections.connection import Connection, IllegalMove, Order, State, Trigger
from interface_server.connections.dead_worker import in_hand
from interface_server.connections.interfaces import Client, EndReason
from interface_server.connections.pending_queue import PendingQueue
from interface_server.connections.queue_log import QueueLog
from interface_server.connections.redis_outage import waiting_too_long
from interface_server.connections.upstream import ENDING_OF_CLOSE, HAPPENING_OF_REFUSAL, UpstreamConnection
from interface_server.groups.deliveries import Deliveries
from interface_server.groups.dropped_messages import DroppedMessages
from interface_server.groups.group_members import GroupMembers
from interface_server.settings import InterfaceSettings

log = logging.getLogger("towpath.interface")

SWEEP_INTERVAL_S = 0.5

_NEXT, _GAP = Order.NEXT, Order.GAP  # see connection.py


class Dispatcher:
    """Implements `Backend` for the clients' side and `Receiver` for the wire."""

    def __init__(self, settings: InterfaceSettings, counters: Counter[str]) -> None:
        """counters: those of the whole process, told with its lease."""
        self._settings = settings
        self.counters = counters
        self.draining = False
        self._reachable = False
        self.answer_may_be_late = settings.response_timeout_s > 0
        self._loop = asyncio.get_running_loop()
        self._opened = self._websockets = 0
        self._connections: dict[int, UpstreamConnection] = {}
        self.budget = Budget(settings.redis.buffer_budget_bytes, settings.redis.window_size_bytes_min)
        self._membership = Membership()
        self.node = Node(settings.redis, "interface", self)
        self.name = self.node.name
        self.post: Callable[[str, packets.Packet], None] = self.node.post
        dropped = DroppedMessages(self.counters)
        self._deliveries = Deliveries(
            self._connections, self.counters, dropped, self.on_packets, settings.ws_push_bytes_max
        )
        self._members = GroupMembers(self.node, self._membership, self._connections, self._deliveries, dropped)
        self._affinity = affinity(settings.sticky, settings.root_path)
        self._own = None if self._affinity is None else WorkerChannels(self.node, self._affinity)
        self.node.read_peer_leases(self._own is not None)
        self.queue = PendingQueue(self.node, self._connections, self.counters, settings.redis, self._own)
        self._waits = self.queue.waits
        self._queue_log = QueueLog(self._waits)
        self._handlers = {
            packets.ADOPTED: self._adopted,
            packets.REFUSED: self._refused,
            packets.DATA: self._data,
            packets.CREDIT: self._credit,
            packets.CLOSE: self._close,
            packets.HANDOFF: self._handoff,
            packets.SEND: self._send,
            packets.JOIN: self._members.join,
            packets.LEAVE: self._members.leave,
            packets.SYNC: self._synced,
            packets.PUBLISHED: self._published,
        }
        self._sweeper: asyncio.TimerHandle | None = None

    # -- life

    async def start(self) -> None:
        """Stand on the wire. Raises LayerUnavailable."""
        self._tell()  # the first lease says it already
        await self.node.start()
        if self._own is not None:
            await self.node.check_peers()  # clients come back to workers that they had before this process began
        self._sweep()

    async def close(self) -> None:
        """Leave the wire; whoever still holds a connection of ours learns it by our lease, which ends."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        await self.node.close()

    @property
    def ready(self) -> bool:
        """See `Backend.ready`."""
        return self._reachable and not self.draining

    @property
    def connections(self) -> int:
        """How many connections are open (queued or owned)."""
        return len(self._connections)

    def _sweep(self) -> None:
        """Twice a second: who has waited for too long, and what is there to tell?"""
        self._sweeper = self._loop.call_later(SWEEP_INTERVAL_S, self._sweep)  # first: whatever happens below
        now = self._loop.time()
        self.queue.look(now)
        self._deliveries.look()
        if self._own is not None:
            self._own.listed(self.node.peer_leases)
        self._queue_log.look(now)
        since_s = self.node.since_last_renewal_s(now)
        for held in waiting_too_long(self._connections.values(), since_s, self._settings):
            held.perform(held.transition(Trigger.OUTAGE))
        self._tell()

    def _tell(self) -> None:
        """What `status` shows of this process."""
        figures = {"connections": len(self._connections), "websockets": self._websockets, "queued": len(self._waits)}
        self.node.report({**figures, "opened_total": self._opened}, self.counters)

    # -- Door

    def open(
        self, client: Client, scope: Scope, body: bytes, more_body: bool, *, expect_continue: bool = False
    ) -> UpstreamConnection:
        """See `Backend.open`."""
        window = self.budget.grant()
        self._opened += 1
        upstream = UpstreamConnection(self, client, self._opened, scope, body, more_body, window, expect_continue)
        self._connections[upstream.number] = upstream
        self._websockets += upstream.kind == "websocket"
        if self._affinity is not None:
            upstream.tie = self._affinity.tie(scope.event)
        self.queue.put(upstream)
        return upstream

    # -- ConnectionServices

    def adopted(self, connection: Connection) -> None:
        """See `ConnectionServices.adopted`."""
        self._waits.end(connection.number)
        if connection.owner is not None:
            self.node.acquire_peer(connection.owner)
            if self._affinity is not None and connection.tie is not None:
                self._affinity.adopted(connection.tie, connection.owner)

    def after_accept_timeout(self, callback: Callable[[int], None], epoch: int) -> None:
        """See `ConnectionServices.after_accept_timeout`."""
        self._loop.call_later(self._settings.ws_accept_timeout_s, callback, epoch)

    def forget(self, connection: Connection) -> None:
        """See `ConnectionServices.forget`."""
        number = connection.number
        upstream = self._connections.pop(number, None)
        if upstream is None:
            return
        self.budget.granted_bytes -= upstream.incoming.window  # `give_back`, without a call for each request
        self._websockets -= upstream.kind == "websocket"
        if upstream.owner is not None:
            self.node.release_peer(upstream.owner)
        else:
            self._waits.end(number)
        if number in self._deliveries.held:
            self._deliveries.forget(upstream)
        for group in self._membership.gone(number):
            self.node.unsubscribe(group)

    # -- Receiver

    def on_packets(self, sender: str, batch: list[list[Any]]) -> None:
        """See `Receiver.on_packets`."""
        held = self._deliveries.held
        for packet in batch:
            handler = self._handlers.get(packet[0])
            if handler is None:
                self.counters["packets.unknown_kind"] += 1
                continue
            try:
                if held and packet[1] in held and self._deliveries.holds(sender, packet):
                    continue
                handler(sender, packet)
            except MALFORMED:
                self.counters["packets.malformed"] += 1
                log.exception("a malformed packet from %s", sender)
                self._missed(sender, packet)
            except IllegalMove:
                self.counters["internal.illegal_transition"] += 1
                log.exception("an internal error: a packet of kind %s led to an illegal move", packet[0])
                if (upstream := self._connections.get(packet[1])) is not None:
                    upstream.abort()

    def _missed(self, sender: str, packet: list[Any]) -> None:
        """What its owner said of a connection cannot be understood, and that is a gap. Who else says such things harms nobody."""
        kind, number, epoch = packet[:3]
        upstream = self._connections.get(number) if kind in packets.OF_THE_OWNER and type(number) is int else None
        if upstream is not None and upstream.is_from_owner(sender, epoch):
            upstream.perform(upstream.transition(Trigger.GAP))

    def on_group_message(self, group: str, event: Event) -> None:
        """See `Receiver.on_group_message`."""
        self._members.deliver(group, event)

    def on_own_channel(self, worker: str) -> None:
        """See `Receiver.on_own_channel`."""
        if self._own is not None:
            self._own.announced(worker)

    def on_dead(self, node: str) -> None:
        """See `Receiver.on_dead`."""
        self.queue.worker_died(node)  # first: what is opened again below is not for this worker
        held = [upstream for upstream in self._connections.values() if upstream.owner == node]
        if held:
            requests = [upstream.client.request for upstream in held if upstream.kind != "websocket"]
            log.warning("%s", in_hand(node, requests, len(held) - len(requests)))
        for upstream in held:
            self._deliveries.owner_lost(upstream)
            if upstream.owner != node or upstream.state is not State.OWNED:
                continue  # its last words have ended that
            self.node.post(node, packets.cancel(upstream.number, upstream.epoch, Cancel.DEAD))
            mid_message = upstream.accepted and upstream.client.mid_message
            upstream.perform(upstream.owner_died(self._loop.time(), mid_message))
            if upstream.owner is None:  # it was opened again
                self.node.release_peer(node)

    def on_redis(self, reachable: bool) -> None:
        """See `Receiver.on_redis`."""
        self._reachable = reachable
        if (era := self.node.era) is not None:
            self.queue.enter(era)

    def on_loss(self) -> None:
        """See `Receiver.on_loss`."""
        self.queue.seek()

    def on_doubt(self) -> None:
        """See `Receiver.on_doubt`."""
        for upstream in self._connections.values():
            self._sync(upstream, wants_answer=True)

    def _sync(self, upstream: UpstreamConnection, wants_answer: bool) -> None:
        if upstream.owner is not None and upstream.state is State.OWNED:
            self.node.post(upstream.owner, packets.sync(upstream.number, upstream.epoch, upstream.sent, wants_answer))
            upstream.credit_again()

    def _synced(self, sender: str, packet: list[Any]) -> None:
        """The owner says how much it has sent: all of that stands in front of this packet, or is lost."""
        upstream = self._owned(sender, packet)
        if upstream is None:
            return
        if packet[3] > upstream.received:
            self.counters["packets.lost"] += 1
            upstream.perform(upstream.transition(Trigger.GAP))
        elif packet[4]:
            self._sync(upstream, wants_answer=False)

    # -- packets

    def _owned(self, sender: str, packet: list[Any]) -> UpstreamConnection | None:
        """The connection, if this is the word of its owner; else a stray, which is answered."""
        upstream = self._connections.get(packet[1])
        if upstream is not None and upstream.is_from_owner(sender, packet[2]):
            return upstream
        self._stray(sender, packet)
        return None

    def _stray(self, sender: str, packet: list[Any]) -> None:
        self.counters["packets.stale"] += 1
        if packet[0] not in (packets.CLOSE, packets.REFUSED):
            self.node.post(sender, packets.cancel(packet[1], packet[2], Cancel.UNKNOWN))

    def _adopted(self, sender: str, packet: list[Any]) -> None:
        upstream = self._connections.get(packet[1])
        if upstream is None or upstream.epoch != packet[2] or upstream.owner is not None:
            if upstream is None or not upstream.is_from_owner(sender, packet[2]):
                self._stray(sender, packet)
            return
        overdue = upstream.state is State.OVERDUE
        upstream.perform(upstream.adopted(sender, packet[3]))
        if overdue:  # perhaps it was taken in an earlier life of Redis' data, and what followed is lost
            self._sync(upstream, wants_answer=True)

    def _refused(self, sender: str, packet: list[Any]) -> None:
        upstream = self._connections.get(packet[1])
        if upstream is None or upstream.epoch != packet[2] or upstream.owner is not None:
            self._stray(sender, packet)
            return
        if packet[3] == Refusal.LEAVING and self._own is not None:
            self._own.left(sender)
        upstream.perform(upstream.transition(HAPPENING_OF_REFUSAL.get(packet[3], Trigger.REFUSED)))

    def _data(self, sender: str, packet: list[Any]) -> None:
        upstream = self._owned(sender, packet)
        if upstream is None:
            return
        order = upstream.order(packet[3])
        if order is _NEXT:
            events = packet[4]
            size_bytes = payload_sizes_bytes(events)
            if upstream.tie is not None:
                events = self._tied(upstream, events)
            if upstream.kind == "websocket":
                upstream.delivered_bytes += size_bytes
                if not upstream.accepted and upstream.number in self._deliveries.held:
                    events, size_bytes = self._answer_first(upstream, events, size_bytes)
                else:
                    events = self._screened(upstream, events)
            elif upstream.opening is not None:
                upstream.forget_opening()
            upstream.client.deliver(events, size_bytes)
        elif order is _GAP:
            self._gap(upstream)

    def _tied(self, upstream: UpstreamConnection, events: list[Event]) -> list[Event]:
        """The beginning of the answer tells the client which worker it has from now on."""
        assert self._affinity is not None and upstream.tie is not None and upstream.owner is not None
        marked = self._affinity.marked(events, upstream.tie, upstream.owner)
        upstream.tie = None
        return marked

    def _gap(self, upstream: UpstreamConnection) -> None:
        self.counters["packets.lost"] += 1
        upstream.perform(upstream.transition(Trigger.GAP))

    def _answer_first(self, upstream: UpstreamConnection, events: list[Event], size: int) -> tuple[list[Event], int]:
        """Pushes wait for the accept: it goes, then they go. What is left of `events`, and its size."""
        answer = self._screened(upstream, events[:1])
        upstream.client.deliver(answer, payload_sizes_bytes(events[:1]))
        self._deliveries.release(upstream)
        left = events[1:]
        return self._screened(upstream, left), size - payload_sizes_bytes(events[:1])

    def _screened(self, upstream: UpstreamConnection, events: list[Event]) -> list[Event]:
        resumed = upstream.accepted and not upstream.accepted_here
        events = upstream.screen(events)
        if resumed and upstream.accepted_here:
            self.counters["websocket.resumed"] += 1
            self._members.resumed(upstream)
        return events

    def _handoff(self, sender: str, packet: list[Any]) -> None:
        upstream = self._owned(sender, packet)
        if upstream is None:
            return
        order = upstream.order(packet[3])
        if order is not _NEXT:
            if order is _GAP:
                self._gap(upstream)
            return
        self.node.post(sender, packets.cancel(upstream.number, upstream.epoch, Cancel.MOVED, SERVICE_RESTART))
        upstream.perform(upstream.hand_off(packet[4], upstream.client.mid_message), EndReason.STOPPING)
        if upstream.owner is None:
            self.counters["websocket.handed_off"] += 1
            self.node.release_peer(sender)

    def _credit(self, sender: str, packet: list[Any]) -> None:
        upstream = self._owned(sender, packet)
        if upstream is not None:
            upstream.credited(packet[3], packet[4])

    def _close(self, sender: str, packet: list[Any]) -> None:
        upstream = self._owned(sender, packet)
        if upstream is None:
            return
        if packet[3] == Close.NOT_STARTED and upstream.opening is not None:
            upstream.perform(upstream.transition(Trigger.NOT_STARTED))
        else:
            end_reason = ENDING_OF_CLOSE.get(packet[3], EndReason.UNKNOWN)  # first: what is no number raises here
            trigger = Trigger.STOPPED if packet[3] == Close.STOPPING else Trigger.ENDED
            upstream.perform(upstream.transition(trigger), end_reason)
        if upstream.owner is None:  # it was opened again: what it shared with this worker is over
            self.node.release_peer(sender)

    def _published(self, sender: str, packet: list[Any]) -> None:
        upstream = self._owned(sender, packet)
        if upstream is not None:
            self._members.published(upstream, packet[3], packet[4])

    def _send(self, sender: str, packet: list[Any]) -> None:
        upstream = self._connections.get(packet[1])
        if upstream is None:
            self.counters["dropped.no_such_channel"] += 1
        elif not packet[2]:
            self._deliveries.send(upstream, packet[3], 0)
        elif upstream.is_from_owner(sender, packet[2]):
            self._deliveries.send(upstream, packet[3], packet[4])
        else:
            self.counters["packets.stale"] += 1  # of an earlier instance: read for the second time
