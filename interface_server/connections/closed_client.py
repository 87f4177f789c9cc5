"""Stands in for the client of a WebSocket that was closed in good order between two owners, and is to be heard out.

Think of a letter whose writer has died: it is delivered all the same, and answers go nowhere. The client has been answered
and its socket is gone; what it had said waits for the next owner, who gets it, and then the disconnect. P1, P7.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from channel_layer.protocol.events import Event
from interface_server.connections.connection import Trigger
from interface_server.connections.interfaces import EndReason, PushedMessage

if TYPE_CHECKING:
    from interface_server.connections.upstream import UpstreamConnection


class ClosedClient:
    """A `Client` without a socket: takes all that it is sent, at once."""

    __slots__ = ("_upstream",)

    def __init__(self, upstream: UpstreamConnection) -> None:
        self._upstream = upstream
        # What was on its way to the client when it closed is in nobody's hands.
        upstream.incoming.consumed = upstream.delivered_bytes

    def adopted(self) -> None:
        """There is no socket whose end could be heard: an instance that does not accept is told of it when that is late."""
        self._upstream.dispatcher.await_accept(self._upstream)

    @property
    def mid_message(self) -> bool:
        """There is nobody who could miss the rest of a message."""
        return False

    @property
    def request(self) -> str:
        """It was a WebSocket."""
        return ""

    def heard(self) -> None:
        """Has an instance that has accepted, as it would be refused to after the disconnect, got all? Now the client has left."""
        upstream = self._upstream
        if upstream.accepted_here and not upstream.waiting:
            upstream.perform(upstream.transition(Trigger.LEFT))

    def deliver(self, events: Sequence[Event], size_bytes: int) -> None:
        self._upstream.delivered(size_bytes)
        self.heard()

    def push(self, pushed: PushedMessage) -> None:
        self._upstream.dispatcher.counters["dropped.push_not_open"] += 1

    def end(self, end_reason: EndReason) -> None: ...
    def resume(self) -> None: ...
    def wanted(self) -> None: ...
