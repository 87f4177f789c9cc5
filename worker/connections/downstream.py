"""The worker's end of one adopted connection, between its application instance and its interface server."""

from __future__ import annotations

from enum import Enum, auto
from typing import Any, Final

from channel_layer.protocol import packets
from channel_layer.protocol.close_codes import ABNORMAL
from channel_layer.protocol.codec import LONG_SIZE_BYTES_MIN
from channel_layer.protocol.events import Event, payload_size_bytes
from channel_layer.protocol.flow_control import Incoming, Outgoing
from channel_layer.protocol.illegal_move import IllegalMove
from channel_layer.protocol.link import Link, Order
from channel_layer.protocol.names import reply_channel
from channel_layer.protocol.packets import OPEN_EXPECTS, OPEN_RESUME, OPEN_WINDOW, Cancel, Close, Packet
from worker.connections.adoption import Key
from worker.connections.interfaces import ApplicationHost, Instance, Registry

#: Events of one turn of the event loop travel as one packet, until they have this size. Nothing leaves before the end of the turn, so
#: fewer packets cost no time. A download alone takes a third less CPU with packets of 512 KiB than with packets of 192.
PACKET_SIZE_BYTES: Final = 524_288

_NEXT: Final = Order.NEXT
_LOST: Final = Order.LOST  # looking up enum members is slow, and each packet needs it


class Ownership(Enum):
    """Whether this worker owns a connection."""

    OWNED = auto()
    HANDED_OFF = auto()  #: nothing more is sent; the answer is `cancel`
    OVER = auto()  #: either side has ended it


class Release(Enum):
    """An event by which this worker begins, or ends, to release a connection."""

    COMPLETED = auto()  #: the last event of an HTTP response was sent
    CLOSED = auto()  #: the instance has ended
    HANDED_OFF = auto()  #: another worker shall own the WebSocket
    DISCONNECTED = auto()  #: its client or its interface server has gone, packets are lost, or the worker leaves


class FirstCredit(Enum):
    """What the interface server has got from here: the first credit shows that the application asks for the body."""

    NOT_SENT = auto()
    AWAITED = auto()  #: the same, and its client waits for status 100: the window of `adopted` was 0
    WINDOW = auto()  #: no credit; but `adopted`, since the request came directly
    SENT = auto()


_OWNED: Final = Ownership.OWNED
_HANDED_OFF: Final = Ownership.HANDED_OFF
_OVER: Final = Ownership.OVER
_NOT_SENT: Final = FirstCredit.NOT_SENT
_AWAITED: Final = FirstCredit.AWAITED
_WINDOW: Final = FirstCredit.WINDOW
_SENT: Final = FirstCredit.SENT

#: Every legal move. A pair that is missing is an error in this program.
MOVES: Final[dict[Ownership, dict[Release, Ownership]]] = {
    _OWNED: {
        Release.COMPLETED: _OVER,
        Release.CLOSED: _OVER,
        Release.HANDED_OFF: _HANDED_OFF,
        Release.DISCONNECTED: _OVER,
    },
    _HANDED_OFF: {
        Release.CLOSED: _HANDED_OFF,  # late: the instance has ended before the answer came
        Release.DISCONNECTED: _OVER,
    },
    _OVER: dict.fromkeys(Release, _OVER),  # late: the instance has not got its disconnect yet
}

#: From each state to the one after a credit was sent, the only move there is.
AFTER_CREDIT: Final = dict.fromkeys(FirstCredit, _SENT)

#: The usual end, looked up once: it comes with every request.
AFTER_COMPLETION: Final = MOVES[_OWNED][Release.COMPLETED]


def ownership_after(before: Ownership, release: Release) -> Ownership:
    """The ownership that follows. Raises IllegalMove."""
    try:
        return MOVES[before][release]
    except KeyError:
        raise IllegalMove(f"{release.name} while {before.name}") from None


class DownstreamConnection(Link):
    """One adopted connection: a `Downstream` for its instance, and the receiver of its packets."""

    __slots__ = (
        "_first_credit",
        "_registry",
        "instance",
        "key",
        "ownership",
        "pending",
        "pending_bytes",
        "placed",
        "resumable",
        "resume",
        "taken",
    )

    def __init__(self, registry: Registry[DownstreamConnection], key: Key, packet: list[Any], window: int) -> None:
        """packet: the `open` that this worker has adopted. window: what its client may send."""
        self.key = key
        Link.__init__(self, packet[1], packet[2], Outgoing(packet[OPEN_WINDOW]), Incoming(window))
        self._registry = registry
        self._first_credit = _AWAITED if packet[OPEN_EXPECTS] else _NOT_SENT
        self.placed = 0  # messages that the instance has sent by the channel layer, to its own client or to a group
        self.taken = 0  # events that `receive()` has returned: the last consumed sequence number, as each has a packet of its own
        self.resume: dict[str, Any] | None = packet[OPEN_RESUME] if len(packet) > OPEN_RESUME else None
        self.resumable = False  # the application asked for hand-off
        self.pending: list[Event] = []
        self.pending_bytes = 0
        self.ownership = _OWNED
        self.instance: Instance | None = None  # until the connection is over

    def start(self, host: ApplicationHost, scope: Event, body: bytes, more_body: bool) -> None:
        """Start the application instance. Raises as `ApplicationHost.start`."""
        instance = host.start(scope, body, more_body, self)
        if self.ownership is not _OVER:  # so it is if the first step was also the last
            self.instance = instance

    @property
    def reply_channel(self) -> str:
        """See `Downstream.reply_channel`."""
        return reply_channel(self.key[0], self.key[1])

    @property
    def has_credit(self) -> bool:
        """See `Downstream.has_credit`."""
        outgoing = self.outgoing
        return outgoing.sent < outgoing.allowed

    def waits_for_credit(self) -> None:
        """See `Downstream.waits_for_credit`."""
        self._registry.counters["paused.application"] += 1

    def send(self, event: Event, size_bytes: int) -> bool:
        """See `Downstream.send`."""
        outgoing = self.outgoing
        if self.ownership is _OWNED:
            if not self.pending:
                self._registry.gather(self)
            self.pending.append(event)
            self.pending_bytes += size_bytes
            outgoing.sent += size_bytes
            if self.pending_bytes >= PACKET_SIZE_BYTES:
                self.flush()
        return outgoing.sent < outgoing.allowed

    def flush(self) -> None:
        """Post the events that were sent in this turn of the event loop, as one packet."""
        if self.pending:
            post = self._registry.post_long if self.pending_bytes >= LONG_SIZE_BYTES_MIN else self._registry.post
            post(self.key[0], self.data(self.pending))
            self.pending = []
            self.pending_bytes = 0

    def next_origin(self) -> packets.Origin | None:
        """See `OwnDownstream.next_origin`."""
        if self.ownership is not _OWNED:
            return None
        self.flush()
        self.placed += 1
        return (*self.key, self.placed)

    def consumed(self, size_bytes: int) -> None:
        """See `Downstream.consumed`."""
        self.taken += 1
        total = self.incoming.consume(size_bytes, self._registry.budget)
        if total is not None and self.ownership is _OWNED:
            self._post_credit(total)

    def request_body(self) -> None:
        """See `Downstream.request_body`."""
        if self._first_credit is _AWAITED and self.ownership is _OWNED:
            self._post_credit(self.incoming.announced)

    @property
    def consumed_sequence(self) -> int:
        """See `Link.consumed_sequence`: an event that has arrived may still wait for the application."""
        return self.taken

    def credit_again(self) -> Packet | None:
        """See `Link.credit_again`. The first credit requests the body, so it is not repeated before it was sent."""
        if self._first_credit is _WINDOW:
            return packets.adopted(self.number, self.epoch, self.incoming.announced)
        return super().credit_again() if self._first_credit is _SENT else None

    def announce_window(self) -> None:
        """Tell the interface server how much of the body it may send, as the take script does for what comes by the shared channel."""
        self._first_credit = _WINDOW
        self._registry.post(self.key[0], packets.adopted(self.number, self.epoch, self.incoming.announced))

    def close(self, why: Close) -> None:
        """See `Downstream.close`."""
        if self.ownership is _OWNED:
            self.flush()
            interface, number, epoch = self.key
            self._registry.post(interface, packets.close(number, epoch, why))
        self._release(Release.CLOSED)

    def complete(self) -> None:
        """See `Downstream.complete`."""
        if self.ownership is _OWNED:
            self.flush()
            self.ownership = AFTER_COMPLETION
            self._detach()
        else:
            self._release(Release.COMPLETED)

    def hand_off(self) -> None:
        """See `Downstream.hand_off`."""
        if self.ownership is _OWNED:
            self.flush()
            self.sent += 1
            interface, number, epoch = self.key
            self._registry.post(interface, packets.handoff(number, epoch, self.sent, self.taken))
        self._release(Release.HANDED_OFF)

    @property
    def open(self) -> bool:
        """True if the connection is neither handed off nor over."""
        return self.ownership is _OWNED

    @property
    def held(self) -> bool:
        """True if the connection is not over, also while a hand-off waits for its answer."""
        return self.ownership is not _OVER

    def disconnect(self, code: int, reason: str) -> None:
        """End the connection, and give its instance the disconnect event."""
        instance = self.instance
        self._release(Release.DISCONNECTED)
        if instance is not None:
            instance.disconnect(code, reason)

    def abort(self) -> None:
        """End the connection visibly on both sides: packets were lost, or its interface server is dead."""
        self.disconnect(ABNORMAL, "")
        self._registry.post(self.key[0], packets.close(self.key[1], self.key[2], Close.UNKNOWN))

    def _release(self, release: Release) -> None:
        """Move by the table. Raises IllegalMove."""
        before, self.ownership = self.ownership, ownership_after(self.ownership, release)
        if self.ownership is _OVER and before is not _OVER:
            self._detach()

    def _detach(self) -> None:
        """Detach the connection from its instance, so that both are freed at once, without the garbage collector."""
        self.instance = None
        self._registry.remove(self)

    def _post_credit(self, total: int) -> None:
        self._first_credit = AFTER_CREDIT[self._first_credit]
        self._registry.post(self.key[0], self.credit(total))

    # -- from its interface server

    def on_data(self, sequence: int, events: list[Event]) -> None:
        """Events of the client for the application."""
        order = self.order(sequence)
        if order is _NEXT:
            assert self.instance is not None
            for event in events:
                self.instance.deliver(event, payload_size_bytes(event))
        elif order is _LOST:
            self._packets_lost()

    def on_credit(self, total: int) -> None:
        """Let the application send up to `total`: the client has taken bytes."""
        if self.outgoing.allow(total) and self.instance is not None:
            self.instance.resume()

    def on_cancel(self, why: int, code: int, reason: str) -> None:
        """Disconnect the instance: the client has left, or another worker owns the connection now. What has begun is not given back."""
        if why != Cancel.RECALLED:
            self.disconnect(code, reason)

    def on_sync(self, count: int, wants_answer: bool) -> None:
        """Check for lost packets: the interface server has sent `count`, which stand in front of this one or are lost."""
        if self.has_lost(count):
            self._packets_lost()
        elif wants_answer:
            self._resync(wants_answer=False)

    def start_resync(self) -> None:
        """Packets may be lost in either direction: let both ends find out."""
        self._resync(wants_answer=True)

    def _resync(self, wants_answer: bool) -> None:
        self.flush()
        for packet in self.resync(wants_answer):
            self._registry.post(self.key[0], packet)

    def _packets_lost(self) -> None:
        self._registry.counters["packets.lost"] += 1
        self.abort()
