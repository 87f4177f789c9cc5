"""Who looks after the deadlines of all WebSockets of a process, so that none of them needs a timer.

Four queues, each with one delay for everybody: the application's answer to the handshake, the client's answer to our
close, the next ping, the pong. As all of a queue wait equally long, they stand in the order in which they came, and a look at the front
is enough: 50 000 sockets cost no more than those due now. One stroke of the process's sweep takes what is due and tells the socket.

No clock here: the caller brings `now` (monotonic, seconds).
"""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

from interface_server.settings import InterfaceSettings

Item = TypeVar("Item")


class Deadlines(Generic[Item]):
    """Items and the moment at which each is due, `delay_s` after it was armed."""

    __slots__ = ("_due", "delay_s")

    def __init__(self, delay_s: float) -> None:
        self.delay_s = delay_s
        self._due: dict[Item, float] = {}

    def __len__(self) -> int:
        return len(self._due)

    def __contains__(self, item: Item) -> bool:
        return item in self._due

    def arm(self, item: Item, now: float) -> None:
        """`item` is due `delay_s` after `now`; an earlier deadline of it is forgotten."""
        self._due.pop(item, None)
        self._due[item] = now + self.delay_s

    def disarm(self, item: Item) -> None:
        """Nothing is expected of `item` any more."""
        self._due.pop(item, None)

    def take_due(self, now: float) -> list[Item]:
        """Those whose moment has come, oldest first; they are no longer armed."""
        due = []
        for item, moment in self._due.items():
            if moment > now:
                break
            due.append(item)
        for item in due:
            del self._due[item]
        return due


class ConnectionTimeouts(Protocol):
    """What a socket is told."""

    def accept_overdue(self) -> None: ...
    def close_overdue(self) -> None: ...


class PingTimeouts(Protocol):
    """What its reader is told, while the socket is open."""

    def ping_due(self) -> None: ...
    def pong_overdue(self) -> None: ...


class Timeouts:
    """The four queues, and the stroke over them."""

    __slots__ = ("accepting", "closing", "pinging", "ponging")

    def __init__(self, settings: InterfaceSettings) -> None:
        self.accepting: Deadlines[ConnectionTimeouts] = Deadlines(settings.ws_accept_timeout_s)
        self.closing: Deadlines[ConnectionTimeouts] = Deadlines(settings.ws_close_timeout_s)
        self.pinging: Deadlines[PingTimeouts] = Deadlines(settings.ws_ping_interval_s)
        self.ponging: Deadlines[PingTimeouts] = Deadlines(settings.ws_ping_timeout_s)

    def check(self, now: float) -> None:
        """Tell everybody whose moment has come. A socket that is told may arm and disarm as it likes."""
        for socket in self.accepting.take_due(now):
            socket.accept_overdue()
        for socket in self.closing.take_due(now):
            socket.close_overdue()
        for reader in self.ponging.take_due(now):
            reader.pong_overdue()
        for reader in self.pinging.take_due(now):
            reader.ping_due()

    def start_pings(self, reader: PingTimeouts, now: float) -> None:
        """The socket is open: ping it from now on, where pings are wanted."""
        if self.pinging.delay_s > 0:
            self.pinging.arm(reader, now)

    def stop_pings(self, reader: PingTimeouts) -> None:
        """Its client may be silent from now on."""
        self.pinging.disarm(reader)
        self.ponging.disarm(reader)

    def closing_down(self, socket: ConnectionTimeouts, now: float) -> None:
        """All is written: only the end is awaited."""
        self.accepting.disarm(socket)
        self.closing.arm(socket, now)

    def remove(self, socket: ConnectionTimeouts) -> None:
        """The socket is gone."""
        self.accepting.disarm(socket)
        self.closing.disarm(socket)
