"""Stands in for the client of a WebSocket that was closed in good order between two owners, and is to be heard out.

Think of a letter whose writer has died: it is delivered all the same, and answers go nowhere. The client has been answered
and its socket is gone; what it had said waits for the next owner, who gets it, and then the disconnect. P1, P7.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from channel_layer.protocol.events import Event
from interface_server.connections.interfaces import EndReason, Upstream
from interface_server.connections.services import ConnectionServices
from interface_server.groups.interfaces import PushedMessage


class ClosedConnection(Upstream, Protocol):
    """The connection of a client that has closed."""

    epoch: int
    waiting: list[tuple[Event, int]] | None
    leaving: tuple[int, str]
    services: ConnectionServices

    @property
    def accepted_here(self) -> bool:
        """True if the instance of this epoch has accepted it."""


class ClosedClient:
    """A `Client` without a socket: takes all that it is sent, at once."""

    __slots__ = ("_upstream",)

    def __init__(self, upstream: ClosedConnection) -> None:
        self._upstream = upstream

    def adopted(self) -> None:
        """There is no socket whose end could be heard: an instance that does not accept is told of it when that is late."""
        self._upstream.services.after_accept_timeout(self._accept_overdue, self._upstream.epoch)

    def _accept_overdue(self, epoch: int) -> None:
        upstream = self._upstream
        if epoch == upstream.epoch and upstream.owned and not upstream.accepted_here:
            upstream.leave(*upstream.leaving)

    def disconnect_if_delivered(self) -> None:
        """Has an instance that has accepted, as it would be refused to after the disconnect, got all? Now the client has left."""
        upstream = self._upstream
        if upstream.accepted_here and not upstream.waiting:
            upstream.leave(*upstream.leaving)

    @property
    def mid_message(self) -> bool:
        """There is nobody who could miss the rest of a message."""
        return False

    @property
    def request(self) -> str:
        """It was a WebSocket."""
        return ""

    def deliver(self, events: Sequence[Event], size_bytes: int) -> None:
        self._upstream.delivered(size_bytes)
        self.disconnect_if_delivered()

    def push(self, pushed: PushedMessage) -> None:
        self._upstream.services.counters["dropped.push_not_open"] += 1

    def end(self, end_reason: EndReason) -> None: ...
    def resume(self) -> None: ...
    def wanted(self) -> None: ...
