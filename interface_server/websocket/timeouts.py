"""Who looks after the deadlines of all WebSockets of a process, so that none of them needs a timer.

Four queues, each with one delay for everybody: the application's answer to the handshake, the client's answer to our
close, the next ping, the pong. One stroke of the process's sweep takes from each what is due and tells the socket.
"""

from __future__ import annotations

from typing import Protocol

from interface_server.settings import InterfaceSettings
from interface_server.websocket.deadlines import Deadlines


class Overdue(Protocol):
    """What a socket is told."""

    def accept_overdue(self) -> None: ...
    def close_overdue(self) -> None: ...
    def ping_due(self) -> None: ...
    def pong_overdue(self) -> None: ...


class Watch:
    """The four queues, and the stroke over them."""

    __slots__ = ("accepting", "closing", "pinging", "ponging")

    def __init__(self, settings: InterfaceSettings) -> None:
        self.accepting: Deadlines[Overdue] = Deadlines(settings.ws_accept_timeout_s)
        self.closing: Deadlines[Overdue] = Deadlines(settings.ws_close_timeout_s)
        self.pinging: Deadlines[Overdue] = Deadlines(settings.ws_ping_interval_s)
        self.ponging: Deadlines[Overdue] = Deadlines(settings.ws_ping_timeout_s)

    def sweep(self, now: float) -> None:
        """Tell everybody whose moment has come. A socket that is told may arm and disarm as it likes."""
        for socket in self.accepting.take_due(now):
            socket.accept_overdue()
        for socket in self.closing.take_due(now):
            socket.close_overdue()
        for socket in self.ponging.take_due(now):
            socket.pong_overdue()
        for socket in self.pinging.take_due(now):
            socket.ping_due()

    def opened(self, socket: Overdue, now: float) -> None:
        """Pings from now on, where they are wanted."""
        self.accepting.disarm(socket)
        if self.pinging.delay_s > 0:
            self.pinging.arm(socket, now)

    def closing_down(self, socket: Overdue, now: float) -> None:
        """The last word was said: nothing but the end is waited for."""
        self.forget(socket)
        self.closing.arm(socket, now)

    def forget(self, socket: Overdue) -> None:
        """The socket is gone."""
        for queue in (self.accepting, self.closing, self.pinging, self.ponging):
            queue.disarm(socket)
