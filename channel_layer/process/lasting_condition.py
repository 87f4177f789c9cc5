"""A condition that lasts, and when people are told of it: at its beginning, each minute, and at its end.

It begins when every look for `settles_s` has found it, and ends when none has for as long: what comes and goes between two looks is
one condition, and not a hundred lines.

No clock and no log here: the caller looks a few times a second, and brings `now` (monotonic, seconds).
"""

from __future__ import annotations

from enum import Enum, auto

REPEAT_S = 60.0


class News(Enum):
    """What there is to be told."""

    BEGAN = auto()
    LASTS = auto()
    ENDED = auto()


class LastingCondition:
    """One condition. Nothing of it is true at first."""

    __slots__ = ("_changes_at", "_holds", "_logged_at", "_settles_s", "_since")

    def __init__(self, settles_s: float) -> None:
        self._settles_s = settles_s
        self._holds = False
        self._since = self._logged_at = 0.0
        self._changes_at: float | None = None  # since when each look has found the opposite

    def observe(self, holds: bool, now: float) -> News | None:
        """One look has found it so."""
        if holds is self._holds:
            self._changes_at = None
            return self._again(now) if holds else None
        if self._changes_at is None:
            self._changes_at = now
        if now - self._changes_at < self._settles_s:
            return None
        if holds:
            self._since, self._logged_at = self._changes_at, now
        self._holds, self._changes_at = holds, None
        return News.BEGAN if holds else News.ENDED

    def lasted_s(self, now: float) -> float:
        """For how long, as of what was told last."""
        return now - self._since

    def _again(self, now: float) -> News | None:
        if now - self._logged_at < REPEAT_S:
            return None
        self._logged_at = now
        return News.LASTS
