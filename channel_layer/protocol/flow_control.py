"""Flow control: how much a sender may still send, and when a receiver announces more.

Think of a canal lock with a counter on either gate. The receiver announces a *total*, never an increment: a total may be
repeated or lost without harm. While any credit is left, a whole message may be sent, which takes the window below zero. So the
bound of a buffer is its window and one message. PROTOCOL.md, P5.
"""

from __future__ import annotations

from typing import Final

WINDOW_BYTES_MAX: Final = 262_144
#: A window in use that is nearly alone may grow: to four fifths of what all others leave of this. So one alone becomes 1 MiB, and five have
#: what they began with: what is under way may wait in front of everything else in an inbox.
GROWTH_BELOW_BYTES: Final = 1_310_720
#: The smallest window while less than half of the budget is granted, and the largest one after that.
WINDOW_BYTES_SMALL: Final = 16_384
#: Each connection gets one of so many parts of the rest: of the first half of the budget, then of the whole.
PARTS_OF_HALF: Final = 256
PARTS_OF_REST: Final = 16_384
#: The window from a WebSocket's client to the application: 250 of the shortest messages. With more, a hundred clients that send
#: nothing else would be seconds ahead of all others in the worker's inbox.
WINDOW_BYTES_OF_MESSAGES: Final = 16_384


class Budget:
    """Upper bound of the sum of all windows of one process.

    A granted window cannot be taken back before it is used. So a new connection gets only a small part of the rest, and the
    sum stays within the budget for any number of connections. The exception: once all is granted, each still gets `least_bytes`.
    """

    __slots__ = ("_all_bytes", "_half_bytes", "_least_bytes", "_plenty_below_bytes", "granted_bytes")

    def __init__(self, budget_bytes: int, least_bytes: int) -> None:
        self._all_bytes = budget_bytes
        self._half_bytes = budget_bytes // 2
        self._plenty_below_bytes = self._half_bytes - WINDOW_BYTES_MAX * PARTS_OF_HALF
        self._least_bytes = least_bytes
        self.granted_bytes = 0  #: the sum of all windows

    def grant(self, connections: int = 1, most_bytes: int = WINDOW_BYTES_MAX) -> int:
        """Grant a window to each of `connections` new connections, and return its size."""
        plenty = self.granted_bytes < self._plenty_below_bytes  # checked first: every request passes here
        window = most_bytes if plenty else min(self._share(), most_bytes)
        self.granted_bytes += window * connections
        return window

    def give_back(self, window: int) -> None:
        """Take back the window of a connection that is over."""
        self.granted_bytes -= window

    def adapted(self, window: int, most_bytes: int) -> int:
        """Return the next window of a connection that has consumed half of this one.

        It is the window that a new connection would get now, but at least half of this one. A largest one grows while it is
        nearly alone.
        """
        self.granted_bytes -= window
        share = min(self._share(), most_bytes)
        if share == WINDOW_BYTES_MAX:
            share = max(share, (GROWTH_BELOW_BYTES - self.granted_bytes) * 4 // 5)
        window = max(share, window // 2)
        self.granted_bytes += window
        return window

    def _share(self) -> int:
        spare = self._half_bytes - self.granted_bytes
        if spare > 0:
            return min(WINDOW_BYTES_MAX, max(WINDOW_BYTES_SMALL, spare // PARTS_OF_HALF))
        share = (self._all_bytes - self.granted_bytes) // PARTS_OF_REST
        return min(WINDOW_BYTES_SMALL, max(self._least_bytes, share))


class Outgoing:
    """Credit of a sender. `sent` and `allowed` are totals since the epoch began."""

    __slots__ = ("allowed", "sent")

    def __init__(self, window: int) -> None:
        self.sent = 0
        self.allowed = window

    @property
    def has_credit(self) -> bool:
        """True while another message may be sent."""
        return self.sent < self.allowed

    def allow(self, total: int) -> bool:
        """Apply an announced total. Returns True if this ends a wait for credit."""
        was_full = self.sent >= self.allowed
        if total > self.allowed:
            self.allowed = total
        return was_full and self.sent < self.allowed


class Incoming:
    """Window of a receiver. `consumed` and `announced` are totals since the epoch began.

    outstanding: bytes of an earlier epoch that are not consumed yet; they use up a part of the window.
    """

    __slots__ = ("announced", "consumed", "most", "window")

    def __init__(self, window: int, outstanding: int = 0) -> None:
        self.window = self.most = window  # it may shrink; only a largest one may grow above its first size
        self.consumed = -outstanding
        self.announced = window - outstanding

    def first_window(self) -> int:
        """The window to announce when the epoch begins: none as long as more is outstanding than the window has."""
        return self.announced if self.announced > 0 else 0

    def consume(self, size_bytes: int, budget: Budget) -> int | None:
        """Record consumed bytes. Returns the total to announce, once half a window is used.

        The next window may be smaller, down to half of this one: the sender already has that much credit.
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
