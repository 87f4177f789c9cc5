"""What happens often and is told seldom: at once, and then each minute with how often it has happened."""

from __future__ import annotations

import math

REPEAT_S = 60.0


class RateLimitedLog:
    """Of one kind of event. No log and no clock: its owner asks whether to say it."""

    __slots__ = ("_logged_at", "_unreported")

    def __init__(self) -> None:
        self._logged_at = -math.inf
        self._unreported = 0

    def count(self, now: float) -> int:
        """It has happened once more. How often since it was told last, if it is to be told now; else 0. now: monotonic seconds."""
        self._unreported += 1
        if now - self._logged_at < REPEAT_S:
            return 0
        self._logged_at = now
        unreported, self._unreported = self._unreported, 0
        return unreported
