"""One adopted connection's line from its application instance to the wire."""

from __future__ import annotations

from typing import Any

from channel_layer.protocol import packets
from channel_layer.protocol.close_codes import ABNORMAL
from channel_layer.protocol.events import Event
from channel_layer.protocol.flow_control import Incoming, Outgoing
from channel_layer.protocol.names import reply_channel
from channel_layer.protocol.packets import Close
from worker.connections.adoption import Key
from worker.connections.interfaces import Instance, Registry

#: Events of one turn of the loop travel as one packet, unless they are large.
PACKET_SIZE_BYTES = 65_536


class DownstreamConnection:
    """Implements `Downstream`. `open` is True until the last word was said by either side."""

    __slots__ = (
        "_credited",
        "_expects_continue",
        "_registry",
        "incoming",
        "instance",
        "key",
        "open",
        "outgoing",
        "pending",
        "pending_bytes",
        "placed",
        "received",
        "resumable",
        "resume",
        "sent",
        "taken",
    )

    def __init__(
        self,
        registry: Registry[DownstreamConnection],
        key: Key,
        down_window: int,
        up_window: int,
        *,
        expects_continue: bool,
        resume: dict[str, Any] | None,
    ) -> None:
        # Keyword-only: two facts of `open` that few connections have, beside two windows that all have.
        self._registry = registry
        self.key = key
        self.outgoing = Outgoing(down_window)
        self.incoming = Incoming(up_window)
        self._expects_continue = expects_continue
        self._credited = False
        self.sent = self.received = 0
        self.placed = 0  # what the instance has said by the layer, to its own client or to a group
        self.taken = 0  # events that `receive()` has returned: the last sequence consumed, as each travels in a packet of its own
        self.resume = resume
        self.resumable = False  # the application asked to be handed off
        self.pending: list[Event] = []
        self.pending_bytes = 0
        self.open = True
        self.instance: Instance | None = None  # until the line is over

    @property
    def reply_channel(self) -> str:
        """See `Downstream.reply_channel`."""
        return reply_channel(self.key[0], self.key[1])

    @property
    def has_credit(self) -> bool:
        """See `Downstream.has_credit`."""
        outgoing = self.outgoing
        return outgoing.sent < outgoing.allowed

    def send(self, event: Event, size_bytes: int) -> None:
        """See `Downstream.send`."""
        if not self.open:
            return
        if not self.pending:
            self._registry.gather(self)
        self.pending.append(event)
        self.pending_bytes += size_bytes
        self.outgoing.sent += size_bytes
        if self.pending_bytes >= PACKET_SIZE_BYTES:
            self.flush()

    def flush(self) -> None:
        """What was sent in this turn of the loop leaves as one packet."""
        if self.pending:
            self.sent += 1
            interface, number, epoch = self.key
            self._registry.post(interface, packets.data(number, epoch, self.sent, self.pending))
            self.pending = []
            self.pending_bytes = 0

    def next_origin(self) -> packets.Origin | None:
        """See `OwnDownstream.next_origin`."""
        if not self.open:
            return None
        self.flush()
        self.placed += 1
        return (*self.key, self.placed)

    def consumed(self, size_bytes: int) -> None:
        """See `Downstream.consumed`."""
        self.taken += 1
        total = self.incoming.consume(size_bytes, self._registry.budget)
        if total is not None and self.open:
            self._credit(total)

    def request_body(self) -> None:
        """See `Downstream.request_body`."""
        if self._expects_continue and self.open:
            self._expects_continue = False
            self._credit(self.incoming.announced)

    def credit_again(self) -> None:
        """After a doubt: a credit that was lost is followed by no other, if the client's side waits for it."""
        if self._credited:
            self._credit(self.incoming.announced)

    def close(self, why: Close) -> None:
        """See `Downstream.close`."""
        if self.open:
            self.flush()
            interface, number, epoch = self.key
            self._registry.post(interface, packets.close(number, epoch, why))
            self.over()

    def complete(self) -> None:
        """See `Downstream.complete`."""
        if self.open:
            self.flush()
            self.over()

    def hand_off(self) -> None:
        """See `Downstream.hand_off`."""
        if self.open:
            self.flush()
            self.sent += 1
            interface, number, epoch = self.key
            self._registry.post(interface, packets.handoff(number, epoch, self.sent, self.taken))
            self.open = False  # nothing more is said; the answer is `cancel`

    @property
    def held(self) -> bool:
        """Until it is over: also while a hand-off waits for its answer."""
        return self._registry.holds(self)

    def disconnect(self, code: int, reason: str) -> None:
        """The connection is over, and its instance gets the disconnect event."""
        instance = self.instance
        self.over()
        if instance is not None:
            instance.disconnect(code, reason)

    def abort(self) -> None:
        """Packets were lost, or its interface server was: the connection ends visibly, on both sides."""
        self.disconnect(ABNORMAL, "")
        self._registry.post(self.key[0], packets.close(self.key[1], self.key[2], Close.UNKNOWN))

    def over(self) -> None:
        """The last word was said. Instance and line hold each other no more: what they held is free at once, not when the
        garbage collector comes by."""
        self.open = False
        self.instance = None
        self._registry.forget(self)

    def _credit(self, total: int) -> None:
        self._credited = True
        interface, number, epoch = self.key
        self._registry.post(interface, packets.credit(number, epoch, total, self.taken))
