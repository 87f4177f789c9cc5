"""How much a sender may still send, and when a receiver says that it has room again.

Think of a canal lock with a counter on either gate. The receiver announces a *total*, never an increment: a total may be
repeated or lost without harm. A whole message may go while any room is left and takes the window below zero; so the bound of a
buffer is its window and one message. PROTOCOL.md, P5.
"""

from __future__ import annotations

WINDOW_BYTES_MAX = 262_144
WINDOW_BYTES_MIN = 16_384


def window_size_bytes(budget_bytes: int, connections: int) -> int:
    """The window that a process grants to its next connection, when it holds `connections` in all."""
    share = budget_bytes // (connections or 1)
    if share >= WINDOW_BYTES_MAX:  # plain comparisons: this stands on the way of every request
        return WINDOW_BYTES_MAX
    return share if share > WINDOW_BYTES_MIN else WINDOW_BYTES_MIN


class Outgoing:
    """What we may send. `sent` and `allowed` are totals since the epoch began."""

    __slots__ = ("allowed", "sent")

    def __init__(self, window: int) -> None:
        self.sent = 0
        self.allowed = window

    @property
    def room(self) -> bool:
        """May another message go?"""
        return self.sent < self.allowed

    def allow(self, total: int) -> bool:
        """Credit came. True if a wait for room ends by it."""
        was_full = self.sent >= self.allowed
        if total > self.allowed:
            self.allowed = total
        return was_full and self.sent < self.allowed


class Incoming:
    """What we have agreed to take. `consumed` and `told` are totals since the epoch began.

    outstanding: bytes of an earlier epoch that are in our hands still; they take their part of the window.
    """

    __slots__ = ("consumed", "told", "window")

    def __init__(self, window: int, outstanding: int = 0) -> None:
        self.window = window
        self.consumed = -outstanding
        self.told = window - outstanding

    def consume(self, size_bytes: int) -> int | None:
        """So many bytes are out of our hands. The total to tell the sender, if it is time: at half a window, not before."""
        self.consumed += size_bytes
        total = self.consumed + self.window
        if total - self.told >= self.window // 2:
            self.told = total
            return total
        return None
