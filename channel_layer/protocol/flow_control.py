"""How much a sender may still send, and when a receiver says that it has room again.

Think of a canal lock with a counter on either gate. The receiver announces a *total*, never an increment: a total may be
repeated or lost without harm. A whole message may go while any room is left and takes the window below zero; so the bound of a
buffer is its window and one message. PROTOCOL.md, P5.
"""

from __future__ import annotations

WINDOW_BYTES_MAX = 262_144
#: The least while less than half of the budget is granted; the most when it is more.
WINDOW_BYTES_SMALL = 16_384
#: One connection gets so small a part of what is left of the first half of the budget, or of all of it when that is gone.
PARTS_OF_HALF, PARTS_OF_REST = 256, 16_384
#: Of a WebSocket's client towards the application: 250 of the shortest messages, so that a hundred clients that send nothing else
#: are not seconds ahead of all others in the worker's inbox.
WINDOW_BYTES_OF_MESSAGES = 16_384


class Budget:
    """What the windows of one process may add up to.

    A window once granted cannot be taken back before it is used. So a new connection never gets more than a small part of
    what is left, and the sum stays within the budget however many come: but for `least_bytes` each, once all is granted.
    """

    __slots__ = ("_all_bytes", "_half_bytes", "_least_bytes", "_plenty_below_bytes", "granted_bytes")

    def __init__(self, budget_bytes: int, least_bytes: int) -> None:
        self._all_bytes = budget_bytes
        self._half_bytes = budget_bytes // 2
        self._plenty_below_bytes = self._half_bytes - WINDOW_BYTES_MAX * PARTS_OF_HALF
        self._least_bytes = least_bytes
        self.granted_bytes = 0  #: the sum of all windows

    def grant(self, connections: int = 1, most_bytes: int = WINDOW_BYTES_MAX) -> int:
        """The window of a new connection, or of each of several."""
        plenty = self.granted_bytes < self._plenty_below_bytes  # asked first: this stands on the way of every request
        window = most_bytes if plenty else min(self._share(), most_bytes)
        self.granted_bytes += window * connections
        return window

    def give_back(self, window: int) -> None:
        """A connection with this window is over."""
        self.granted_bytes -= window

    def adapted(self, window: int, most_bytes: int) -> int:
        """The next window of a connection that has consumed half of this one: towards what a new one would get now."""
        self.granted_bytes -= window
        window = max(min(self._share(), most_bytes), window // 2)
        self.granted_bytes += window
        return window

    def _share(self) -> int:
        spare = self._half_bytes - self.granted_bytes
        if spare > 0:
            return min(WINDOW_BYTES_MAX, max(WINDOW_BYTES_SMALL, spare // PARTS_OF_HALF))
        share = (self._all_bytes - self.granted_bytes) // PARTS_OF_REST
        return min(WINDOW_BYTES_SMALL, max(self._least_bytes, share))


class Outgoing:
    """What we may send. `sent` and `allowed` are totals since the epoch began."""

    __slots__ = ("allowed", "sent")

    def __init__(self, window: int) -> None:
        self.sent = 0
        self.allowed = window

    @property
    def has_credit(self) -> bool:
        """May another message go?"""
        return self.sent < self.allowed

    def allow(self, total: int) -> bool:
        """Credit came. True if a wait for room ends by it."""
        was_full = self.sent >= self.allowed
        if total > self.allowed:
            self.allowed = total
        return was_full and self.sent < self.allowed


class Incoming:
    """What we have agreed to take. `consumed` and `announced` are totals since the epoch began.

    outstanding: bytes of an earlier epoch that are in our hands still; they take their part of the window.
    """

    __slots__ = ("announced", "consumed", "most", "window")

    def __init__(self, window: int, outstanding: int = 0) -> None:
        self.window = self.most = window  # it may become less, and never more than it was
        self.consumed = -outstanding
        self.announced = window - outstanding

    def consume(self, size_bytes: int, budget: Budget) -> int | None:
        """So many bytes are out of our hands. The total to tell the sender, if it is time: at half a window, not before.

        The next window may be smaller, down to half of this one: so much the sender has already.
        """
        self.consumed += size_bytes
        if self.consumed + self.window - self.announced < self.window // 2:
            return None
        self.window = budget.adapted(self.window, self.most)
        total = self.consumed + self.window
        if total <= self.announced:
            return None
        self.announced = total
        return total
