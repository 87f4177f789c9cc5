"""Decides when a worker hands over the WebSockets that it has beyond its share, and how many at a time.

It hands some over if a fleet has more workers than before, or if a worker had too many when a rolling restart began. It does not while
workers come and go: figures are late, and sockets that are handed over then would be handed over again. If an operator requests it
(`towpath rebalance`), a worker waits no longer than these figures need, and hands over more at a time.

No clock here: the caller passes `now` (monotonic, seconds). PROTOCOL.md, "Hand-off"; P7.
"""

from __future__ import annotations

from typing import Final

from worker.placement.placement import SETTLED_S

CALM_S: Final = 5.0  #: no worker has started or left for so long
FRUITLESS_S: Final = 60.0  #: until the next attempt, if fewer could be handed over than were due
AT_ONCE_S: Final = 0.5  #: what is due within so long may go at once
REQUESTED_S: Final = 5.0  #: how long a request holds; `towpath rebalance` repeats it every second
REQUESTED_PER_S: Final = 200  #: pace while it holds, if the worker's own is slower


class Rebalancing:
    """The surplus of WebSockets that one worker hands over."""

    __slots__ = ("_calm_from", "_credit", "_per_s", "_read_at", "_requested_until", "_workers", "left")

    def __init__(self, per_s: int) -> None:
        """per_s: the pace without a request; 0: then nothing is handed over."""
        self.left = 0  #: sockets of the surplus that are still to be handed over
        self._per_s = per_s
        self._credit = 0.0
        self._read_at = 0.0
        self._calm_from = 0.0
        self._requested_until = 0.0
        self._workers = 0

    def request(self, now: float) -> None:
        """Hand over the surplus as soon as the figures are known, also after an attempt without success."""
        self._requested_until = now + REQUESTED_S
        self._calm_from = min(self._calm_from, now)

    def due(self, surplus: int, workers: int, calm: bool, now: float) -> int:
        """The number of sockets to hand over now. `surplus` is read only when a new round begins.

        workers: the number of workers; calm: none of them leaves, or will soon.
        """
        requested = now < self._requested_until
        per_s = max(self._per_s, REQUESTED_PER_S) if requested else self._per_s
        if not calm or workers != self._workers:
            self._workers, self.left, self._calm_from = workers, 0, now
        if not per_s:
            self.left = 0
        elif not self.left and now - self._calm_from >= (SETTLED_S if requested else CALM_S):
            self.left = surplus
        self._credit = min(self._credit + per_s * (now - self._read_at), max(1.0, per_s * AT_ONCE_S))
        self._read_at = now
        return min(self.left, int(self._credit))

    def handed_over(self, due: int, count: int, now: float) -> None:
        """`count` of the `due` sockets were handed over."""
        self.left -= count
        self._credit -= count
        if count < due:
            self.left, self._calm_from = 0, now + FRUITLESS_S
        elif not self.left:
            self._calm_from = now
