"""The interface between group messages and the connections that receive them.

A `Recipient` is one connection, as this sub-package sees it; the connection itself lives above, in connections/. Both run on the
reactor thread, call each other directly, and never block. PROTOCOL.md, "Order"; P1, P10.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from channel_layer.protocol.events import Event

NOBODY: Final[frozenset[int]] = frozenset()


class PushedMessage:
    """One event of a third party, by `send` to the reply channel or by a group; not bounded by credit.

    `frame` and `chunk` are places for the WebSocket frame and for the chunk of an event stream, built once by the first client that
    needs it and written by all.
    """

    __slots__ = ("chunk", "event", "excluded", "frame", "group", "origin")

    def __init__(
        self,
        event: Event,
        group: str = "",
        origin: tuple[int, int, int] | None = None,
        excluded: frozenset[int] = NOBODY,
    ) -> None:
        """event: checked (channel_layer/protocol/socket_messages.py). group: by which it came. origin: number, epoch and count of
        the instance of ours that has published it. excluded: the numbers of connections that do not get it."""
        self.event = event
        self.group = group
        self.origin = origin
        self.excluded = excluded
        self.frame: bytes | None = None
        self.chunk: bytes | None = None


class Socket(Protocol):
    """The client's side of a recipient. Nothing here may raise."""

    def push(self, pushed: PushedMessage) -> None:
        """Write an event that third parties sent: a message of a WebSocket, or bytes of an event stream. Drop and count any other.

        Such events that the client has not taken are bounded in bytes and in time; beyond either bound: close 1013, or abort.
        """

    def deliver(self, events: Sequence[Event], size_bytes: int) -> None:
        """Write events of the current owner."""


class RecipientState(Protocol):
    """The state of one connection that the order of messages depends on."""

    number: int
    epoch: int
    kind: str
    """`http` or `websocket`."""
    received: int
    """The number of its owner's packets of events; 0: the response of an HTTP exchange has not begun."""
    placed: int
    """The number of messages that its present instance has sent by the layer, as far as its packets have come."""
    came: int
    """The count of the last message to a group that came by publish and subscribe or is no longer awaited."""

    @property
    def takes_pushes(self) -> bool:
        """True if its client has been accepted, by any instance, or its event stream has begun."""

    def stream_began(self) -> None:
        """Record that its response has begun, and that it is an event stream: it takes pushes now."""

    def is_from_owner(self, sender: str, epoch: int) -> bool:
        """True if `sender` owns it in this epoch."""


class Recipient(Protocol):
    """One connection that groups and third parties send to."""

    @property
    def connection(self) -> RecipientState:
        """Its state. Used directly, as `client` is."""

    @property
    def client(self) -> Socket:
        """The client's side. Deliveries use it directly: a call of the recipient would cost for each member of a group."""

    @property
    def owned(self) -> bool:
        """True while a worker has it."""

    @property
    def channel(self) -> str:
        """Its reply channel, `<node>!<number>`."""
