"""Decides when to log a frequent event: at once, and then each minute with its number."""

from __future__ import annotations

import math

REPEAT_S = 60.0


class RateLimitedLog:
    """The limit for one kind of event. No I/O: its owner logs."""

    __slots__ = ("_logged_at", "_unreported")

    def __init__(self) -> None:
        self._logged_at = -math.inf
        self._unreported = 0

    def count(self, now: float) -> int:
        """Count one event. Returns the number of events since the last line if one is due now, else 0. now: monotonic seconds."""
        self._unreported += 1
        if now - self._logged_at < REPEAT_S:
            return 0
        self._logged_at = now
        unreported, self._unreported = self._unreported, 0
        return unreported
