"""When a worker hands over sockets that it has beyond its share, and how many at a time.

It does where a fleet has more workers than before, or where a rolling restart began with one that had too many. Not while workers come
and go: figures are late, and what is handed over then would be handed over again.

No clock here: the caller brings `now` (monotonic, seconds). PROTOCOL.md, "Hand-off"; P7.
"""

from __future__ import annotations

CALM_S = 5.0  #: nobody has come or gone for so long
AT_ONCE = 25
FRUITLESS_S = 60.0  #: until it is tried again where too few could be handed over


class Rebalancing:
    """One worker's."""

    __slots__ = ("_calm_from", "_workers", "left")

    def __init__(self) -> None:
        self.left = 0  #: of what it has begun to hand over
        self._calm_from = 0.0
        self._workers = 0

    def due(self, surplus: int, workers: int, calm: bool, now: float) -> int:
        """How many to hand over now, of a `surplus` that counts when it begins.

        workers: how many there are; calm: none of them leaves, or will soon.
        """
        if not calm or workers != self._workers:
            self._workers, self.left, self._calm_from = workers, 0, now
        if not self.left and now - self._calm_from >= CALM_S:
            self.left = surplus
        return min(self.left, AT_ONCE)

    def handed_over(self, due: int, count: int, now: float) -> None:
        """`count` of the `due` were."""
        self.left -= count
        if count < due:
            self.left, self._calm_from = 0, now + FRUITLESS_S
        elif not self.left:
            self._calm_from = now
