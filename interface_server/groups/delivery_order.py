"""Holds back messages and packets for one WebSocket or event stream, so that its client gets them in the order of sending.

An instance sends to its own client in two ways: packets through the inbox, and messages to groups by publish and subscribe.
Neither way waits for the other. So the instance marks among its packets the place of each of its messages to groups (`published`),
and the message names that place (`towpath.origin`). Here the first of the two waits for the other:

* A message whose place has not come waits, and so does everything that is pushed after it: all members get the messages of
  a group in one order.
* If the place has come and the message has not, the owner's later packets wait.
* Nothing can be pushed before the accept, or before the start of an event stream; earlier messages wait for it.

No I/O, and no clock: the caller counts checks. PROTOCOL.md, "Order"; P1, P5.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

from channel_layer.protocol.events import payload_size_bytes
from channel_layer.protocol.packets import JOIN, LEAVE, SEND
from interface_server.groups.interfaces import PushedMessage, RecipientState

#: The checks, two a second, for which either side waits for the other. They are counted, since a loop that was blocked has checked only
#: once, and first reads the packets that came meanwhile.
CHECKS_MAX: Final = 3
#: The size of each held push or packet beside its payload, as objects of Python.
HELD_OVERHEAD_BYTES: Final = 512


class Held:
    """The waiting pushes and packets of one connection."""

    __slots__ = ("awaited", "checks", "drop_logged", "packets", "ready", "running", "size_bytes", "unplaced")

    def __init__(self) -> None:
        self.ready: deque[PushedMessage] = deque()  #: nothing but the accept, or the start, is missing
        self.unplaced: deque[PushedMessage] = deque()  #: the first waits for its place, the others for the first
        self.packets: deque[tuple[str, list[Any], int]] = deque()  #: with their senders and sizes
        self.awaited = 0  #: the message to a group that the packets wait for; 0: none
        self.size_bytes = 0  #: of all of them
        self.checks = 0
        self.running = False  #: packets are being carried out just now
        self.drop_logged = False  #: that something was dropped

    def __bool__(self) -> bool:
        return bool(self.ready or self.unplaced or self.packets or self.awaited)

    def keep_push(self, pushed: PushedMessage) -> None:
        """Let a group's message wait behind all others."""
        if not self.unplaced and not self.awaited:
            self.checks = 0
        self.unplaced.append(pushed)
        self.size_bytes += _push_size_bytes(pushed)

    def keep_sent(self, pushed: PushedMessage) -> None:
        """Let a message to the reply channel wait for the accept only: it came by the inbox, in its place."""
        self.ready.append(pushed)
        self.size_bytes += _push_size_bytes(pushed)

    def next_push(self, recipient: RecipientState) -> PushedMessage | None:
        """Remove and return the next push that may be written now, or None."""
        while self.unplaced and is_placed(recipient, self.unplaced[0]):
            self.ready.append(self.unplaced.popleft())
            if not self.awaited:
                self.checks = 0
        if not self.ready or not recipient.takes_pushes:
            return None
        pushed = self.ready.popleft()
        self.size_bytes -= _push_size_bytes(pushed)
        return pushed

    def wait_for(self, count: int) -> None:
        """Let packets wait for message number `count` of their own instance, which goes to a group."""
        self.awaited, self.checks = count, 0

    def keep_packet(self, sender: str, packet: list[Any]) -> None:
        """Let `packet` wait behind all others. A malformed packet raises here, and is not kept."""
        size_bytes = _packet_size_bytes(packet)
        self.packets.append((sender, packet, size_bytes))
        self.size_bytes += size_bytes

    def next_packet(self, recipient: RecipientState) -> tuple[str, list[Any]] | None:
        """Remove and return the next packet that may be carried out now, with its sender, or None."""
        if self.awaited > recipient.came:
            return None
        self.awaited = 0
        if not self.packets:
            return None
        sender, packet, size_bytes = self.packets.popleft()
        self.size_bytes -= size_bytes
        return sender, packet

    def overdue(self) -> bool:
        """True if one side has waited too long for the other, this check included. The wait for the accept has no end."""
        self.checks += 1
        return self.checks > CHECKS_MAX and (bool(self.awaited) or bool(self.unplaced))

    def end(self) -> int:
        """Keep only `join` and `leave`, which get answers. Returns the number of dropped messages."""
        dropped = len(self.remove_pushes())
        self.packets = deque(waited for waited in self.packets if waited[1][0] in (JOIN, LEAVE))
        self.awaited = 0
        return dropped

    def remove_pushes(self) -> list[PushedMessage]:
        """Remove and return all pushes: they cannot be written."""
        removed = [*self.ready, *self.unplaced]
        self.ready.clear()
        self.unplaced.clear()
        self.size_bytes -= sum(map(_push_size_bytes, removed))
        return removed

    def give_up(self, recipient: RecipientState) -> None:
        """End the wait of either side for the other."""
        recipient.came = max(recipient.came, self.awaited)
        for pushed in self.unplaced:
            if is_own(recipient, pushed):
                pushed.origin = None  # no other code reads it


def is_own(recipient: RecipientState, pushed: PushedMessage) -> bool:
    """True if the connection's present instance has published `pushed`."""
    origin = pushed.origin
    return origin is not None and origin[0] == recipient.number and origin[1] == recipient.epoch


def is_placed(recipient: RecipientState, pushed: PushedMessage) -> bool:
    """True if everything that its instance sent before `pushed` has come."""
    return pushed.origin is None or not is_own(recipient, pushed) or pushed.origin[2] <= recipient.placed


def may_go(recipient: RecipientState, pushed: PushedMessage) -> bool:
    """True if `pushed` may be written now, apart from others that wait before it."""
    return recipient.takes_pushes and is_placed(recipient, pushed)


def may_take(recipient: RecipientState, pushed: PushedMessage) -> bool:
    """True if `pushed` is of the recipient's protocol, and can be written now or later: of an HTTP exchange only its response tells."""
    if not recipient.takes_pushes and recipient.kind == "http" and recipient.received:
        return False
    return bool(pushed.event["type"].startswith(recipient.kind))


def _push_size_bytes(pushed: PushedMessage) -> int:
    return payload_size_bytes(pushed.event) + HELD_OVERHEAD_BYTES


def _packet_size_bytes(packet: list[Any]) -> int:
    """The size of `packet`, without payload that credit bounds already."""
    return (payload_size_bytes(packet[3]) if packet[0] == SEND else 0) + HELD_OVERHEAD_BYTES
