"""When those are started again whom supervisord has given up.

With growing pauses: an import may cost a core. No process is touched here. Before all stood: startup.py.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from towpath.supervisord.process import Process

PAUSE_MIN_S, PAUSE_MAX_S = 1.0, 10.0  #: before somebody who cannot start is tried again: doubled each time
LIVED_LONG_S = 60.0


@dataclass(slots=True)
class Retry:
    """What is known of a slot that supervisord has given up."""

    pause_s: float = 0.0  #: before the last try
    tried_at: float = -math.inf
    due: float | None = None  #: when it is tried next, if it is lost

    def is_due(self, now: float) -> bool:
        """It is lost. True: its pause is over, and it is tried now."""
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
    """Of all slots."""

    def __init__(self) -> None:
        self._slots: defaultdict[str, Retry] = defaultdict(Retry)

    def due(self, lost: Iterable[str], now: float) -> list[str]:
        """Those of `lost` whose pause is over; they will be started now. Who was not lost for a minute begins anew."""
        return [name for name in lost if self._slots[name].is_due(now)]

    def excuse(self, lost: Iterable[str], now: float) -> None:
        """It was not their doing: they are tried at once, as if it were the first time, when that is over."""
        for name in lost:
            self._slots[name] = Retry(due=now)


def lost(processes: Mapping[str, Process], wanted: Iterable[str]) -> list[str]:
    """Those of `wanted` that supervisord has given up."""
    return [name for name in wanted if name in processes and processes[name].state == "FATAL"]
