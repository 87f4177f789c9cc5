"""What Redis refuses, told to people: when it begins, each minute, and when it is over. A full Redis refuses all that it is asked for.

"Over" is said with the next command that works, once none was refused for a second: near its limit Redis refuses and takes by turns.
"""

from __future__ import annotations

import logging
import math
import time

TOLD_AGAIN_S = 60.0
QUIET_S = 1.0


class RejectionLog:
    """Of one purpose. what: it stands behind "Redis refused". `times`: since it began; while it is 0 there is nothing to be told."""

    __slots__ = ("_last_at", "_log", "_told_at", "_what", "times")

    def __init__(self, log: logging.Logger, what: str) -> None:
        self._log = log
        self._what = what
        self._told_at = -math.inf
        self._last_at = -math.inf
        self.times = 0

    def refused(self, why: object, now: float | None = None) -> None:
        """Once more. now: monotonic seconds."""
        self._last_at = time.monotonic() if now is None else now
        self.times += 1
        if self._last_at - self._told_at >= TOLD_AGAIN_S:
            self._told_at = self._last_at
            so_often = f" ({self.times} times by now)" if self.times > 1 else ""
            self._log.warning("Redis refused %s%s: %s", self._what, so_often, why)

    def worked(self, now: float | None = None) -> None:
        """Something was not refused. To be called while there are `times`."""
        now = time.monotonic() if now is None else now
        if self.times and now - self._last_at >= QUIET_S:
            self._log.warning("Redis does not refuse %s any more; it did %d times", self._what, self.times)
            self.times = 0
            self._told_at = -math.inf
