"""Restart backoff for processes that supervisord no longer retries (FATAL).

The pauses grow, because an import may cost a core. No process is touched here. Failures before all processes are ready: startup.py.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from towpath.supervisord.process import Process

PAUSE_MIN_S, PAUSE_MAX_S = 1.0, 10.0  #: before a process that cannot start is tried again: doubled each time
LIVED_LONG_S = 60.0


@dataclass(slots=True)
class Retry:
    """The retries of one slot that supervisord has given up."""

    pause_s: float = 0.0  #: before the last try
    tried_at: float = -math.inf
    due: float | None = None  #: when it is tried next, if it is lost

    def is_due(self, now: float) -> bool:
        """True if the pause of a lost slot is over: it is tried now."""
        if self.due is None:
            self.pause_s = self._next_pause_s(now)
            self.due = now + self.pause_s
        if now < self.due:
            return False
        self.tried_at, self.due = now, None
        return True

    def _next_pause_s(self, now: float) -> float:
        lived_long = now - self.tried_at > LIVED_LONG_S
        return PAUSE_MIN_S if lived_long else min(PAUSE_MAX_S, max(PAUSE_MIN_S, 2 * self.pause_s))


class RestartBackoff:
    """The retries of all slots."""

    def __init__(self) -> None:
        self._slots: defaultdict[str, Retry] = defaultdict(Retry)

    def due(self, lost: Iterable[str], now: float) -> list[str]:
        """Those of `lost` whose pause is over, to be started now. A slot that was not lost for a minute begins with the shortest pause."""
        return [name for name in lost if self._slots[name].is_due(now)]

    def excuse(self, lost: Iterable[str], now: float) -> None:
        """Forget earlier failures: the processes were not the cause. They are tried at once when the cause is over."""
        for name in lost:
            self._slots[name] = Retry(due=now)


def lost(processes: Mapping[str, Process], wanted: Iterable[str]) -> list[str]:
    """The slots of `wanted` that supervisord has given up."""
    return [name for name in wanted if name in processes and processes[name].state == "FATAL"]
