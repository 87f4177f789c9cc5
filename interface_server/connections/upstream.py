"""One connection between its client and its worker: carries out what `connection.py` decides.

`client` holds the socket, `services` lead to workers and to Redis, and `connection` is the core. Others read the core directly:
properties that forward to it would be calls on the way of every request.
"""

from __future__ import annotations

from time import monotonic
from typing import Final

from channel_layer.messaging.channel_writer import ChannelWriter, Outcome
from channel_layer.protocol import packets
from channel_layer.protocol.close_codes import ABNORMAL, SERVICE_RESTART
from channel_layer.protocol.events import Event, payload_sizes_bytes
from channel_layer.protocol.link import Order
from channel_layer.protocol.names import reply_channel
from channel_layer.protocol.packets import Cancel, Close
from interface_server.connections.acceptance import Acceptance
from interface_server.connections.closed_client import ClosedClient
from interface_server.connections.connection import Connection, Request
from interface_server.connections.ends import (
    CANCEL_OF_ACTION,
    END_REASON_OF_ACTION,
    END_REASON_OF_CLOSE,
    NOT_ACCEPTED,
    TRIGGER_OF_OUTCOME,
    TRIGGER_OF_REFUSAL,
    may_be_sent_again,
)
from interface_server.connections.interfaces import Client, EndReason
from interface_server.connections.services import ConnectionServices
from interface_server.connections.transitions import AFTER_COMPLETE, Action, ConnectionState, Trigger

#: Code and reason of a client that left without a close frame.
LOST: Final = (ABNORMAL, "")

# See connection.py.
_QUEUED: Final = ConnectionState.QUEUED
_OVERDUE: Final = ConnectionState.OVERDUE
_OWNED: Final = ConnectionState.OWNED
_DONE: Final = ConnectionState.DONE
_FLOW: Final = Action.FLOW
_ACCEPTED: Final = Acceptance.ACCEPTED
_NEXT: Final = Order.NEXT
_LOST: Final = Order.LOST


class UpstreamConnection:
    """One connection: an `Upstream` for its client, a `QueuedConnection` for the queue, a `Recipient` for groups."""

    __slots__ = ("client", "connection", "entry_id", "leaving", "packed_bytes", "paused_s", "services", "writer")

    def __init__(
        self, services: ConnectionServices, client: Client, number: int, request: Request, window: int
    ) -> None:
        """window: as for `Connection`."""
        self.connection = Connection(number, request, window)
        self.services, self.client = services, client
        self.writer: ChannelWriter  # the way on which it was queued last
        self.entry_id: bytes | None = None  # on the shared channel, once it is known
        self.packed_bytes, self.leaving = 0, LOST
        self.paused_s = 0.0  # when the client's side was asked to stop reading (monotonic); 0.0 while it reads

    @property
    def channel(self) -> str:
        """The reply channel."""
        return reply_channel(self.services.name, self.connection.number)

    @property
    def owned(self) -> bool:
        """See `Upstream.owned`."""
        return self.connection.state is _OWNED

    @property
    def may_be_sent_again(self) -> bool:
        """See `Upstream.may_be_sent_again`."""
        return may_be_sent_again(self.connection, self.services.direct.is_unbegun(self.connection))

    def forward(self, event: Event, size_bytes: int) -> bool:
        """See `Upstream.forward`."""
        connection = self.connection
        packet = connection.offer(event, size_bytes)
        if packet is not None:
            self._post(packet)
            if connection.outgoing.has_credit:
                return True
        elif connection.may_read:
            return True
        self.services.counters["paused.client"] += not self.paused_s
        self.paused_s = self.paused_s or monotonic()
        return False

    def delivered(self, size_bytes: int) -> None:
        """See `Upstream.delivered`."""
        connection = self.connection
        if connection.owner is None:
            connection.incoming.consumed += size_bytes  # between two owners: the window of the next one counts it
            return
        total = connection.incoming.consume(size_bytes, self.services.budget)
        if total is not None:
            self.services.post(connection.owner, connection.credit(total))

    def leave(self, code: int = ABNORMAL, reason: str = "") -> None:
        """See `Upstream.leave`."""
        self.leaving = (code, reason)
        if code != ABNORMAL and self.connection.has_undelivered_events and not self.services.draining:
            self.client, self.paused_s = ClosedClient(self), monotonic()
            # What was on its way when it closed takes no part of the window any more.
            self.connection.incoming.consumed = self.connection.delivered_bytes
            return
        self.apply(Trigger.LEFT)

    def event_stream_began(self) -> None:
        """See `Upstream.event_stream_began`."""
        self.services.deliveries.stream_began(self)

    def complete(self) -> None:
        """See `Upstream.complete`."""
        connection = self.connection
        if connection.state is _OWNED:  # the move of the table, without a look-up: this ends every exchange
            connection.state = AFTER_COMPLETE
            self.services.remove(connection)
        else:
            self.apply(Trigger.COMPLETE)

    def is_pending(self, epoch: int) -> bool:
        """See `EnqueueListener.is_pending`."""
        return epoch == self.connection.epoch and self.connection.state is not _DONE

    def opened(self, epoch: int, outcome: bytes | Outcome) -> None:
        """Keep the id of the entry, or apply the trigger that a failed `open` stands for."""
        connection = self.connection
        if epoch != connection.epoch:
            return
        if isinstance(outcome, Outcome):
            self.apply(TRIGGER_OF_OUTCOME[outcome])
            return
        self.entry_id = outcome
        if connection.state is _QUEUED:
            if self.writer.abandoned:
                self.services.queue.recheck(self)  # the only reader of this channel died in between
        elif connection.state is not _OWNED:  # the client left, or its wait was over, before we knew what to withdraw
            self.services.queue.withdraw(self)

    def on_refused(self, epoch: int, why: int) -> bool:
        """Apply the refusal of this epoch. why: an AdoptionRefusal, or an unknown number. Returns False if this packet is stale."""
        if self.connection.owner is not None or self.connection.epoch != epoch:
            return False
        self.apply(TRIGGER_OF_REFUSAL.get(why, Trigger.REFUSED))
        return True

    def on_adopted(self, owner: str, epoch: int, window: int) -> bool:
        """Make the worker that has taken it its owner. Returns False if this packet is stale."""
        connection = self.connection
        if connection.owner is not None or connection.epoch != epoch:
            known = connection.is_from_owner(owner, epoch)
            if known and connection.outgoing.allow(window):  # it was sent directly; else this is read a second time
                self.flow()
            return known
        overdue = connection.state is _OVERDUE
        self.perform(connection.adopt(owner, window))
        if overdue:  # perhaps it was taken in an earlier life of Redis' data, and what followed is lost
            self.start_resync()
        return True

    def on_data(self, sequence: int, events: list[Event]) -> None:
        """Deliver events to the client."""
        connection = self.connection
        order = connection.order(sequence)
        if order is _NEXT:
            size_bytes = payload_sizes_bytes(events)
            if connection.tie is not None:
                events = self._marked(events)
            if connection.kind == "websocket":
                connection.delivered_bytes += size_bytes
                if connection.acceptance is _ACCEPTED:  # most often
                    events = connection.filter_events(events)
                elif not connection.accepted and connection.number in self.services.deliveries.held:
                    answer, events = events[:1], events[1:]
                    self.services.deliveries.answer_first(self, self._filtered(answer), payload_sizes_bytes(answer))
                    events, size_bytes = self._filtered(events), payload_sizes_bytes(events)
                else:
                    events = self._filtered(events)
            elif sequence == 1:
                connection.opening = connection.kept = None  # `drop_opening`, without a call for each response
                if self.services.deliveries.held and self.services.deliveries.start_first(self, events, size_bytes):
                    return
            self.client.deliver(events, size_bytes)
        elif order is _LOST:
            self._packets_lost()

    def on_credit(self, total: int, consumed: int) -> None:
        """Send on under the new total: the application has consumed events, or asked for the first time."""
        connection = self.connection
        connection.takes()
        connection.consumed(consumed)
        connection.outgoing.allow(total)
        if connection.expects_continue:
            connection.expects_continue = False
            self.client.on_body_requested()
        self.flow()

    def on_handoff(self, sequence: int, consumed: int) -> None:
        """Queue it for another owner, as its worker asks. consumed: the last sequence that its application has received."""
        connection = self.connection
        order = connection.order(sequence)
        if order is _NEXT:
            owner = self._post(packets.cancel(connection.number, connection.epoch, Cancel.MOVED, SERVICE_RESTART))
            self.perform(connection.hand_off(consumed, self.client.mid_message), EndReason.STOPPING)
            if connection.owner is None:
                self.services.counters["websocket.handed_off"] += 1
                self.services.direct.owner_lost(connection, owner)
        elif order is _LOST:
            self._packets_lost()

    def on_close(self, why: int) -> None:
        """End the connection, or start it again if its instance never started. why: a Close, or a number that is not known yet."""
        connection, owner = self.connection, self.connection.owner
        if why == Close.NOT_STARTED and connection.opening is not None:
            self.apply(Trigger.NOT_STARTED)
        else:
            # First: a value that cannot be looked up raises here.
            end_reason = END_REASON_OF_CLOSE.get(why, EndReason.UNKNOWN)
            lost = end_reason is EndReason.UNKNOWN and self.services.direct.may_be_lost(connection)
            trigger = Trigger.STOPPED if why == Close.STOPPING or lost else Trigger.ENDED
            self.perform(connection.transition(trigger), end_reason)
        if connection.owner is None and owner is not None:  # it was opened again, and has this owner no more
            self.services.direct.owner_lost(connection, owner)

    def on_sync(self, count: int, wants_answer: bool) -> None:
        """Check for lost packets: the `count` that the worker has sent stand in front of this one, or are lost."""
        if self.connection.has_lost(count):
            self._packets_lost()
        elif wants_answer:
            self._resync(wants_answer=False)

    def on_published(self, count: int, group: str) -> None:
        """Here, in the worker's line of packets, is the place of its instance's message to `group`."""
        self.services.members.published(self, count, group)

    def on_owner_died(self, now: float) -> None:
        """now: monotonic seconds."""
        connection = self.connection
        owner = self._post(packets.cancel(connection.number, connection.epoch, Cancel.DEAD))
        mid_message = connection.accepted and self.client.mid_message
        self.perform(connection.owner_died(now, mid_message, self.services.direct.never_began(connection)))
        if connection.owner is None:  # it was opened again
            self.services.direct.owner_lost(connection, owner)

    def start_resync(self) -> None:
        """Packets may be lost in either direction: let both ends find out."""
        if self.connection.state is _OWNED:
            self._resync(wants_answer=True)

    def _resync(self, wants_answer: bool) -> None:
        for packet in self.connection.resync(wants_answer):
            self._post(packet)

    def _packets_lost(self) -> None:
        self.services.counters["packets.lost"] += 1
        self.apply(Trigger.PACKETS_LOST)

    def _marked(self, events: list[Event]) -> list[Event]:
        """The events with the name of the worker, where they begin the answer: the client keeps it."""
        connection = self.connection
        tie, connection.tie = connection.tie, None
        assert self.services.affinity is not None and tie is not None and connection.owner is not None
        return self.services.affinity.marked(events, tie, connection.owner)

    def _filtered(self, events: list[Event]) -> list[Event]:
        connection = self.connection
        resumed = connection.accepted and not connection.accepted_here
        events = connection.filter_events(events)
        if resumed and connection.accepted_here:
            self.services.counters["websocket.resumed"] += 1
            self.services.members.resumed(self)
        return events

    def flow(self) -> None:
        """Send what may go, then let the client's side read on: the owner or its credit has changed."""
        while (packet := self.connection.next_waiting()) is not None:
            self._post(packet)
        if self.paused_s and isinstance(self.client, ClosedClient):
            self.client.disconnect_if_delivered()
        elif self.paused_s and self.connection.may_read:
            self.services.pause_over(monotonic() - self.paused_s)
            self.paused_s = 0.0
            self.client.resume()

    def apply(self, trigger: Trigger) -> None:
        """Move by the table, and carry out its action."""
        self.perform(self.connection.transition(trigger))

    def perform(self, action: Action, end_reason: EndReason | None = None) -> None:
        """Carry out an action of the table."""
        if action is _FLOW:
            self._begin_flow()
            return
        connection = self.connection
        if action is Action.OPEN_AGAIN:
            self.services.queue.put_again(self)
            self.flow()
            return
        if action is Action.AWAIT:
            self.services.queue.await_outcome(self)
        elif action is Action.WITHDRAW:
            self.services.queue.withdraw(self)
        elif action is Action.CANCEL_OWNER:
            self._notify_owner(packets.cancel(connection.number, connection.epoch, Cancel.LEFT, *self.leaving))
        if connection.state is _DONE:
            self.services.remove(connection)
            self._end(action, end_reason)

    def _begin_flow(self) -> None:
        """Leave the queue and begin to exchange events with the owner: a worker has adopted the connection."""
        connection, services = self.connection, self.services
        assert connection.owner is not None
        services.queue.remove(connection.number)
        services.acquire_peer(connection.owner)
        if connection.tie is not None and services.affinity is not None:
            services.affinity.remember(connection.tie, connection.owner)
        if connection.kind == "websocket" or services.answer_may_be_late:
            self.client.adopted()
        if connection.epoch > 1:
            self.delivered(0)  # sends credit for what the client has taken between two owners, if it is enough
        if connection.waiting or self.paused_s:
            self.flow()

    def _end(self, action: Action, end_reason: EndReason | None) -> None:
        if action in CANCEL_OF_ACTION:
            self._notify_owner(packets.cancel(self.connection.number, self.connection.epoch, CANCEL_OF_ACTION[action]))
        if action is Action.END_AS_REPORTED:
            self.client.end(end_reason or EndReason.FAILED)
        elif self.connection.accepted and action in NOT_ACCEPTED:
            self.client.end(EndReason.STOPPING)
        elif action in END_REASON_OF_ACTION:
            self.client.end(END_REASON_OF_ACTION[action])

    def _post(self, packet: packets.Packet) -> str:
        """Send a packet to the owner, which there must be. Its name."""
        assert self.connection.owner is not None
        self.services.post(self.connection.owner, packet)
        return self.connection.owner

    def _notify_owner(self, packet: packets.Packet) -> None:
        if self.connection.owner is not None:
            self.services.post(self.connection.owner, packet)
