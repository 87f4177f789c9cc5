"""When to log a condition that lasts: at its beginning, each minute, and at its end.

It begins when every check for `begins_after_s` has found it, and ends when none has for `ends_after_s`. So what comes and goes between
two checks is one condition, and not a hundred lines.

No I/O: the caller checks a few times a second, and passes `now` (monotonic seconds).
"""

from __future__ import annotations

from enum import Enum, auto

REPEAT_S = 60.0
ENDS_AFTER_S = 2.0


class News(Enum):
    """The change of a condition that is worth a log line."""

    BEGAN = auto()
    LASTS = auto()
    ENDED = auto()


class LastingCondition:
    """One condition, which does not hold at first."""

    __slots__ = ("_begins_after_s", "_changes_at", "_ends_after_s", "_holds", "_logged_at", "_since")

    def __init__(self, begins_after_s: float, ends_after_s: float = ENDS_AFTER_S) -> None:
        self._begins_after_s = begins_after_s
        self._ends_after_s = ends_after_s
        self._holds = False
        self._since = self._logged_at = 0.0
        self._changes_at: float | None = None  # since when each check has found the opposite

    def observe(self, holds: bool, now: float) -> News | None:
        """Record what one check has found. Returns what there is to log, or None."""
        if holds is self._holds:
            self._changes_at = None
            return self._again(now) if holds else None
        if self._changes_at is None:
            self._changes_at = now
        if now - self._changes_at < (self._begins_after_s if holds else self._ends_after_s):
            return None
        if holds:
            self._since, self._logged_at = self._changes_at, now
        self._holds, self._changes_at = holds, None
        return News.BEGAN if holds else News.ENDED

    def lasted_s(self, now: float) -> float:
        """How long the condition has lasted, as of what was logged last."""
        return now - self._since

    def _again(self, now: float) -> News | None:
        if now - self._logged_at < REPEAT_S:
            return None
        self._logged_at = now
        return News.LASTS
