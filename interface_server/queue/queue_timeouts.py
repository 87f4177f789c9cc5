"""Timeouts of the connections that wait for a worker.

There are three queues. The first has new connections, the second open WebSockets between two owners. A connection that has waited
long enough there is withdrawn, and goes to the third: a worker that has taken it has sent its adoption already, which is about to be
read. All waits of one of the first two queues are equally long, so their connections are in order of expiry.

No clock here: the caller passes `now` (monotonic, seconds). PROTOCOL.md, "The life of a connection".
"""

from __future__ import annotations

from itertools import islice, takewhile
from typing import Final

#: Beyond one lease TTL: how long an `open` of unknown outcome may still be answered.
UNKNOWN_EXTRA_S: Final = 2.0


class QueueTimeouts:
    """The timeouts of all waiting connections of one dispatcher, by the number of the connection."""

    __slots__ = ("_answered_s", "_overdue", "_queue_s", "_queued", "_resume_s", "_resuming", "_unknown_s")

    def __init__(self, queue_s: float, resume_s: float, lease_ttl_s: float) -> None:
        self._queue_s = queue_s
        self._resume_s = resume_s
        self._answered_s = 2 * lease_ttl_s
        self._unknown_s = lease_ttl_s + UNKNOWN_EXTRA_S
        self._queued: dict[int, float] = {}
        self._resuming: dict[int, float] = {}
        self._overdue: dict[int, float] = {}

    def __len__(self) -> int:
        return len(self._queued) + len(self._resuming)

    def begin(self, number: int, resumed: bool, now: float) -> None:
        """Start the wait of a queued connection; if queued anew, behind all others."""
        if self._resuming or self._overdue or number in self._queued:  # the last two queues are nearly always empty
            self.end(number)
        if resumed:
            self._resuming[number] = now + self._resume_s
        else:
            self._queued[number] = now + self._queue_s

    def await_outcome(self, number: int, now: float) -> None:
        """Wait for an adoption: it is not known whether the connection is queued. A live worker that took it adopts it soon."""
        self.end(number)
        self._overdue[number] = now + self._unknown_s

    def end(self, number: int) -> None:
        """End the wait of a connection."""
        if self._queued.pop(number, None) is None and (self._resuming or self._overdue):
            self._resuming.pop(number, None)
            self._overdue.pop(number, None)

    def began_at(self, number: int) -> float | None:
        """When the wait of a queued connection began; None if it does not wait."""
        if (end := self._queued.get(number)) is not None:
            return end - self._queue_s
        return None if (end := self._resuming.get(number)) is None else end - self._resume_s

    def is_resumed(self, number: int) -> bool:
        """True if it is an open WebSocket that waits for its next owner."""
        return number in self._resuming

    def longest_s(self, now: float) -> float:
        """The longest wait at present; 0.0 if no connection waits."""
        begun = [now]
        for queue, wait_s in ((self._queued, self._queue_s), (self._resuming, self._resume_s)):
            begun += [end - wait_s for end in islice(queue.values(), 1)]
        return now - min(begun)

    def queued(self) -> list[int]:
        """All connections that wait to be taken."""
        return [*self._queued, *self._resuming]

    def due(self, now: float) -> list[int]:
        """The connections that have waited long enough. Those that a worker may still take now wait for its answer."""
        due = [number for number, end in self._overdue.items() if end <= now]
        for number in due:
            del self._overdue[number]
        for queue in (self._queued, self._resuming):
            for number in _over(queue, now):
                del queue[number]
                self._overdue[number] = now + self._answered_s
                due.append(number)
        return due


def _over(queue: dict[int, float], now: float) -> list[int]:
    """The connections at the front that have expired."""
    return list(takewhile(lambda number: queue[number] <= now, queue))
