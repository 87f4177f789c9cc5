"""Rate-limited log of commands that Redis rejects (out of memory, read-only, no permission).

It logs when rejections begin, each minute, and when they are over. A full Redis rejects every write. Rejections are over with the
next command that succeeds, once none was rejected for a second: near its limit Redis rejects and accepts by turns.
"""

from __future__ import annotations

import logging
import math
import time

REPEAT_S = 60.0
QUIET_S = 1.0


class RejectionLog:
    """The log for one purpose. what: stands behind "Redis refused". `count`: rejections since they began; while it is 0 there is
    nothing to log.
    """

    __slots__ = ("_last_at", "_log", "_logged_at", "_what", "count")

    def __init__(self, log: logging.Logger, what: str) -> None:
        self._log = log
        self._what = what
        self._logged_at = -math.inf
        self._last_at = -math.inf
        self.count = 0

    def rejected(self, why: object, now: float | None = None) -> None:
        """Count a rejection. now: monotonic seconds."""
        self._last_at = time.monotonic() if now is None else now
        self.count += 1
        if self._last_at - self._logged_at >= REPEAT_S:
            self._logged_at = self._last_at
            so_often = f" ({self.count} times by now)" if self.count > 1 else ""
            self._log.warning("Redis refused %s%s: %s", self._what, so_often, why)

    def is_quiet(self, now: float) -> bool:
        """True if the last rejection is a second ago. now: monotonic seconds."""
        return now - self._last_at >= QUIET_S

    def accepted(self, now: float | None = None) -> None:
        """Record a command that succeeded. Need not be called while `count` is 0."""
        now = time.monotonic() if now is None else now
        if self.count and self.is_quiet(now):
            self._log.warning("Redis does not refuse %s any more; it did %d times", self._what, self.count)
            self.count = 0
            self._logged_at = -math.inf
