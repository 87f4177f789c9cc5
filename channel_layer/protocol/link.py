"""One end of a connection in one epoch: sequence numbers, windows, credit and `sync`. Both ends keep the same rules.

* Each packet that must not be missed carries the next sequence number. A number that was seen is dropped; a later one than the next
  means that packets are lost, and the connection ends visibly. So does a packet of the peer that cannot be understood.
* After each event that may have lost packets both ends send how many they have sent (`sync`), and their last credit again.
* A packet for a connection that its receiver does not have is *stale*. It is answered, so that its sender gives the connection up.

No I/O: packets come in and go out as values, and the owner of a link posts them. PROTOCOL.md, "Order" and "Flow control"; P1, P2, P5.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum, auto
from typing import Any, Final, NamedTuple

from channel_layer.protocol import packets
from channel_layer.protocol.events import Event
from channel_layer.protocol.flow_control import Incoming, Outgoing
from channel_layer.protocol.packets import Cancel, Close, Packet


class Order(Enum):
    """Meaning of a sequence number to its receiver."""

    __hash__ = object.__hash__  # by identity; Enum's own is Python code, and stands in every look-up

    NEXT = auto()
    SEEN = auto()  #: the packet was sent again, and is dropped
    LOST = auto()  #: at least one packet before it is lost


# Enum members are slow to find, and each packet needs them.
_NEXT: Final = Order.NEXT
_SEEN: Final = Order.SEEN
_LOST: Final = Order.LOST


class Link:
    """One end of one connection.

    A base class rather than an object of its own, so that each request makes one object less.
    """

    __slots__ = ("epoch", "incoming", "number", "outgoing", "received", "sent")

    def __init__(self, number: int, epoch: int, outgoing: Outgoing, incoming: Incoming) -> None:
        self.number = number
        self.epoch = epoch
        self.sent = 0  #: numbered packets in this epoch
        self.received = 0  #: the sequence number of the last packet that came in order
        self.outgoing = outgoing
        self.incoming = incoming

    def begin_epoch(self, outgoing: Outgoing, incoming: Incoming) -> None:
        """Continue with another peer: numbers and windows start again."""
        self.epoch += 1
        self.sent = self.received = 0
        self.outgoing = outgoing
        self.incoming = incoming

    def order(self, sequence: int) -> Order:
        """Compare the number of a received packet with the expected one. NEXT counts the packet as received."""
        if sequence == self.received + 1:
            self.received = sequence
            return _NEXT
        return _SEEN if sequence <= self.received else _LOST

    def data(self, events: list[Event]) -> Packet:
        """The next numbered packet."""
        self.sent += 1
        return (packets.DATA, self.number, self.epoch, self.sent, events)

    def credit(self, total: int) -> Packet:
        """Allow the peer `total` bytes since the epoch began."""
        return (packets.CREDIT, self.number, self.epoch, total, self.consumed_sequence)

    @property
    def consumed_sequence(self) -> int:
        """The number of the last packet that is consumed here. An end that consumes later than it receives overrides this."""
        return self.received

    def credit_again(self) -> Packet | None:
        """The last credit again, or None if there was none. If it was lost, no other follows while the peer waits for it."""
        return self.credit(self.incoming.announced)

    def resync(self, wants_answer: bool) -> list[Packet]:
        """The packets by which the peer learns of its losses. wants_answer: the peer does the same."""
        sync = packets.sync(self.number, self.epoch, self.sent, wants_answer)
        credit = self.credit_again()
        return [sync] if credit is None else [sync, credit]

    def has_lost(self, count: int) -> bool:
        """True if the peer has sent `count` numbered packets in front of this `sync`, and not all of them came."""
        return count > self.received


class End(NamedTuple):
    """One of the two ends: how it handles stale and malformed packets, in which the ends differ."""

    kinds: frozenset[int]
    """The packets that the peer alone sends, and without which its connection cannot go on."""
    last_kinds: frozenset[int]
    """The packets after which their sender has given the connection up: they are not answered."""
    disown: Callable[[int, int], Packet]
    """Makes the answer to a stale packet, from number and epoch."""

    def connection_of(self, packet: Sequence[Any]) -> int | None:
        """The number of the connection that a malformed packet damages, if its peer has sent it; None: it damages none."""
        kind, number = packet[:2]
        return number if kind in self.kinds and type(number) is int else None

    def answer_to_stale(self, packet: Sequence[Any]) -> Packet | None:
        """The answer to a packet for a connection that this end does not have; None: its sender knows."""
        return None if packet[0] in self.last_kinds else self.disown(packet[1], packet[2])


INTERFACE_SERVER: Final = End(
    frozenset((packets.DATA, packets.CREDIT, packets.CLOSE, packets.HANDOFF, packets.SYNC)),
    frozenset((packets.CLOSE, packets.REFUSED)),
    lambda number, epoch: packets.cancel(number, epoch, Cancel.UNKNOWN),
)
WORKER: Final = End(
    frozenset((packets.DATA, packets.CREDIT, packets.CANCEL, packets.SYNC)),
    frozenset((packets.CANCEL,)),
    lambda number, epoch: packets.close(number, epoch, Close.UNKNOWN),
)
