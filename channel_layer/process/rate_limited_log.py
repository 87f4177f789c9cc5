"""What happens often and is told seldom: at once, and then each minute with how often it has happened."""

from __future__ import annotations

import math

TOLD_AGAIN_S = 60.0


class RateLimitedLog:
    """Of one kind of event. No log and no clock: its owner asks whether to say it."""

    __slots__ = ("_told_at", "_untold")

    def __init__(self) -> None:
        self._told_at = -math.inf
        self._untold = 0

    def count(self, now: float) -> int:
        """It has happened once more. How often since it was told last, if it is to be told now; else 0. now: monotonic seconds."""
        self._untold += 1
        if now - self._told_at < TOLD_AGAIN_S:
            return 0
        self._told_at = now
        untold, self._untold = self._untold, 0
        return untold
