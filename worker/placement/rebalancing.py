"""Decides when a worker hands over the WebSockets that it has beyond its share, and how many at a time.

It hands some over if a fleet has more workers than before, or if a worker had too many when a rolling restart began. It does not while
workers come and go: figures are late, and sockets that are handed over then would be handed over again.

No clock here: the caller passes `now` (monotonic, seconds). PROTOCOL.md, "Hand-off"; P7.
"""

from __future__ import annotations

from typing import Final

CALM_S: Final = 5.0  #: no worker has started or left for so long
AT_ONCE: Final = 25
FRUITLESS_S: Final = 60.0  #: until the next attempt, if fewer could be handed over than were due


class Rebalancing:
    """The surplus of WebSockets that one worker hands over."""

    __slots__ = ("_calm_from", "_workers", "left")

    def __init__(self) -> None:
        self.left = 0  #: sockets of the surplus that are still to be handed over
        self._calm_from = 0.0
        self._workers = 0

    def due(self, surplus: int, workers: int, calm: bool, now: float) -> int:
        """The number of sockets to hand over now. `surplus` is read only when a new round begins.

        workers: the number of workers; calm: none of them leaves, or will soon.
        """
        if not calm or workers != self._workers:
            self._workers, self.left, self._calm_from = workers, 0, now
        if not self.left and now - self._calm_from >= CALM_S:
            self.left = surplus
        return min(self.left, AT_ONCE)

    def handed_over(self, due: int, count: int, now: float) -> None:
        """`count` of the `due` sockets were handed over."""
        self.left -= count
        if count < due:
            self.left, self._calm_from = 0, now + FRUITLESS_S
        elif not self.left:
            self._calm_from = now
