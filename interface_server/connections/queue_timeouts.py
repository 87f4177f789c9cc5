"""Who waits for a worker, and until when.

Three waiting rooms. In the first are new connections, in the second open WebSockets between two owners; whoever has waited there
long enough is withdrawn, and goes to the third: if somebody has taken it, that somebody has said so already, and the answer is
about to be read. In each of the first two everybody waits equally long, so they stand in the order of their ends.

No clock here: the caller brings `now` (monotonic, seconds). PROTOCOL.md, "The life of a connection".
"""

from __future__ import annotations

from itertools import islice, takewhile

#: Beyond one lease TTL: how long an `open` of unknown outcome may still be answered.
UNKNOWN_EXTRA_S = 2.0


class QueueTimeouts:
    """Connections by number."""

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
        """It is queued (anew: behind all others)."""
        if self._resuming or self._overdue or number in self._queued:  # nearly always nobody is in the last two rooms
            self.end(number)
        if resumed:
            self._resuming[number] = now + self._resume_s
        else:
            self._queued[number] = now + self._queue_s

    def await_outcome(self, number: int, now: float) -> None:
        """Whether it is queued is not known: if somebody took it, that somebody lives and says so soon."""
        self.end(number)
        self._overdue[number] = now + self._unknown_s

    def end(self, number: int) -> None:
        """It waits no longer."""
        if self._queued.pop(number, None) is None and (self._resuming or self._overdue):
            self._resuming.pop(number, None)
            self._overdue.pop(number, None)

    def longest_s(self, now: float) -> float:
        """How long the one has waited that waits longest; 0.0 if nobody does."""
        begun = [now]
        for queue, wait_s in ((self._queued, self._queue_s), (self._resuming, self._resume_s)):
            begun += [end - wait_s for end in islice(queue.values(), 1)]
        return now - min(begun)

    def queued(self) -> list[int]:
        """All that wait to be taken."""
        return [*self._queued, *self._resuming]

    def due(self, now: float) -> list[int]:
        """Whose wait is over; those that could still be taken wait for that answer from now on."""
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
    """Those in front whose end has come."""
    return list(takewhile(lambda number: queue[number] <= now, queue))
