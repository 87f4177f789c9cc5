"""Stands in for the client of a WebSocket that closed in good order between two owners.

The close handshake is complete and the socket is gone. Events of the client still wait for the next owner: it receives them, and
then the disconnect. Its own events are dropped. P1, P7.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from channel_layer.protocol.events import Event
from interface_server.connections.connection import Connection
from interface_server.connections.interfaces import EndReason, Upstream
from interface_server.connections.services import ConnectionServices
from interface_server.groups.interfaces import PushedMessage


class ClosedConnection(Upstream, Protocol):
    """The connection of a client that has closed."""

    connection: Connection
    leaving: tuple[int, str]
    services: ConnectionServices


class ClosedClient:
    """A `Client` without a socket: takes everything at once."""

    __slots__ = ("_upstream",)

    last_worker = ""  #: no request follows

    def __init__(self, upstream: ClosedConnection) -> None:
        self._upstream = upstream

    def adopted(self) -> None:
        """Disconnect an instance that does not accept in time: no socket is left that could end the wait."""
        self._upstream.services.after_accept_timeout(self._accept_overdue, self._upstream.connection.epoch)

    def _accept_overdue(self, epoch: int) -> None:
        upstream = self._upstream
        if epoch == upstream.connection.epoch and upstream.owned and not upstream.connection.accepted_here:
            upstream.leave(*upstream.leaving)

    def disconnect_if_delivered(self) -> None:
        """Report the disconnect when the new instance has accepted and received everything that was waiting.

        It must accept first: after the disconnect its accept would fail.
        """
        upstream = self._upstream
        if upstream.connection.accepted_here and not upstream.connection.waiting:
            upstream.leave(*upstream.leaving)

    @property
    def mid_message(self) -> bool:
        """True if a message is incomplete: never, since no client is left that could miss its rest."""
        return False

    @property
    def request(self) -> str:
        """Empty: it was a WebSocket."""
        return ""

    def deliver(self, events: Sequence[Event], size_bytes: int) -> None:
        self._upstream.delivered(size_bytes)
        self.disconnect_if_delivered()

    def push(self, pushed: PushedMessage) -> None:
        self._upstream.services.counters["dropped.push_not_open"] += 1

    def end(self, end_reason: EndReason) -> None: ...
    def resume(self) -> None: ...
    def on_body_requested(self) -> None: ...
