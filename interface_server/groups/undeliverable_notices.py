"""Decides whether the sender of a message that a client cannot get is told: a flood of messages must not make a flood of packets.

No I/O, and no clock. PROTOCOL.md, packet 16; P5.
"""

from __future__ import annotations

from typing import Final

from channel_layer.protocol.names import has_inbox

#: A sender is told the same at most once in so many seconds.
PERIOD_S: Final = 5.0
#: Notices in one period, to all senders. Beyond them nothing is told: the next period comes.
NOTICES_MAX: Final = 10_000


class UndeliverableNotices:
    """The notices of one interface server. Times are of any one clock, in seconds."""

    __slots__ = ("_began", "_sent")

    def __init__(self) -> None:
        self._began = 0.0
        self._sent: set[tuple[str, int, str]] = (
            set()
        )  # in this period: sender, number of the connection, type of messages

    def is_due(self, sender: str, number: int, kind: str, now: float) -> bool:
        """True if `sender` is to be told now. A program without an inbox never is."""
        if now - self._began >= PERIOD_S:
            self._began = now
            self._sent.clear()
        notice = (sender, number, kind)
        if len(self._sent) >= NOTICES_MAX or notice in self._sent or not has_inbox(sender):
            return False
        self._sent.add(notice)
        return True
