"""Timeouts of all WebSockets of a process, so that no socket needs a timer of its own.

There are four queues of timeouts of equal length: the application's answer to the handshake, the client's answer to a close, the next
ping, the pong. Entries of a queue are in order of expiry, so that a check costs only what has expired, also with 50 000 sockets.

No clock here: the caller passes `now` (monotonic, seconds).
"""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

from interface_server.settings import InterfaceSettings

Item = TypeVar("Item")


class Deadlines(Generic[Item]):
    """A queue of items, each of which is due `delay_s` after it was armed."""

    __slots__ = ("_due", "delay_s")

    def __init__(self, delay_s: float) -> None:
        self.delay_s = delay_s
        self._due: dict[Item, float] = {}

    def __len__(self) -> int:
        return len(self._due)

    def __contains__(self, item: Item) -> bool:
        return item in self._due

    def arm(self, item: Item, now: float) -> None:
        """Let `item` be due `delay_s` after `now`, and no longer at an earlier deadline."""
        self._due.pop(item, None)
        self._due[item] = now + self.delay_s

    def disarm(self, item: Item) -> None:
        """Remove the deadline of `item`, if it has one."""
        self._due.pop(item, None)

    def take_due(self, now: float) -> list[Item]:
        """Remove and return the items that are due, oldest first."""
        due = []
        for item, moment in self._due.items():
            if moment > now:
                break
            due.append(item)
        for item in due:
            del self._due[item]
        return due


class ConnectionTimeouts(Protocol):
    """Calls to a connection at the end of a timeout."""

    def accept_overdue(self) -> None: ...
    def close_overdue(self) -> None: ...


class PingTimeouts(Protocol):
    """Calls to the reader of an open socket at the end of a timeout."""

    def ping_due(self) -> None: ...
    def pong_overdue(self) -> None: ...


class Timeouts:
    """The timeouts of all WebSockets of one process, in a queue for each kind."""

    __slots__ = ("accepting", "closing", "pinging", "ponging")

    def __init__(self, settings: InterfaceSettings) -> None:
        self.accepting: Deadlines[ConnectionTimeouts] = Deadlines(settings.ws_accept_timeout_s)
        self.closing: Deadlines[ConnectionTimeouts] = Deadlines(settings.ws_close_timeout_s)
        self.pinging: Deadlines[PingTimeouts] = Deadlines(settings.ws_ping_interval_s)
        self.ponging: Deadlines[PingTimeouts] = Deadlines(settings.ws_ping_timeout_s)

    def check(self, now: float) -> None:
        """Call the sockets of all expired timeouts. A socket may arm and disarm timeouts while it is called."""
        for socket in self.accepting.take_due(now):
            socket.accept_overdue()
        for socket in self.closing.take_due(now):
            socket.close_overdue()
        for reader in self.ponging.take_due(now):
            reader.pong_overdue()
        for reader in self.pinging.take_due(now):
            reader.ping_due()

    def start_pings(self, reader: PingTimeouts, now: float) -> None:
        """Ping the client of an open socket from now on, unless the interval is 0."""
        if self.pinging.delay_s > 0:
            self.pinging.arm(reader, now)

    def stop_pings(self, reader: PingTimeouts) -> None:
        """Neither ping the client nor expect a pong from now on."""
        self.pinging.disarm(reader)
        self.ponging.disarm(reader)

    def closing_down(self, socket: ConnectionTimeouts, now: float) -> None:
        """Expect the end of `socket` in time: all is written."""
        self.accepting.disarm(socket)
        self.closing.arm(socket, now)

    def remove(self, socket: ConnectionTimeouts) -> None:
        """Remove the handshake and close timeouts of a connection that has ended; `stop_pings` removes the others."""
        self.accepting.disarm(socket)
        self.closing.disarm(socket)
