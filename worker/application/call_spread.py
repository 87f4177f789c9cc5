"""Decides whether new exchanges are spread over all sync threads, or put into one.

Only one thread at a time runs Python. While that is the limit, calls gain nothing by being spread: each takes the interpreter from another
thread, and has to wake its own, and that may cost as much as the call. In one thread a call follows the last one without any of it.

So a process that is *saturated* tries it. Calls are spread again, and not put into one thread for a while, if they do not take less CPU by
it; if they fill the thread although the process is not saturated any more, since they wait for something else there, as a database is;
and after a slow call. The same where there is little to do, or where calls compute on several CPUs at once.

No clock here: the caller passes what it has read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

INTERVAL_S: Final = 0.25
INTERVAL_S_MAX: Final = 1.0  #: a longer interval says nothing of this moment
#: CPUs that a process has or waits for: one that is saturated has more, one with little to do has less.
SATURATED: Final = 0.85
IDLE: Final = 0.4
PARALLEL: Final = 1.3  #: CPUs that calls have beside each other, if they compute without the interpreter
COST_MAX: Final = 0.9  #: CPU for a call in one thread, of what it took when calls were spread
FILLED: Final = 0.9  #: share of the time in which a call runs
#: After a slow call all threads are used for so long, and for twice as long each time that another comes within SOON_S of that.
AFTER_SLOW_S: Final = 2.0
AFTER_SLOW_S_MAX: Final = 64.0
SOON_S: Final = 10.0
#: For so long it is not tried again, and for twice as long each time that it is in vain.
AFTER_TRIAL_S: Final = 15.0
AFTER_TRIAL_S_MAX: Final = 480.0


@dataclass(frozen=True, slots=True)
class Reading:
    """Totals since the start of a process."""

    now: float  #: monotonic, seconds
    cpu_s: float = 0.0  #: that all threads had
    cpu_wait_s: float = 0.0  #: for which the loop's and the sync threads were ready to run, and had no CPU
    calls: int = 0
    calls_s: float = 0.0  #: the length of all calls


class CallSpread:
    """The spread of one worker's calls. `in_one`: new exchanges belong into one thread."""

    __slots__ = ("_again_at", "_last", "_slow_s", "_slow_until", "_spread_cost_s", "_trial_s", "in_one")

    def __init__(self) -> None:
        self.in_one = False
        self._last = Reading(-math.inf)
        self._spread_cost_s: float | None = None  # CPU for a call before the trial that goes on
        self._again_at = -math.inf
        self._trial_s = AFTER_TRIAL_S
        self._slow_until = -math.inf
        self._slow_s = AFTER_SLOW_S

    def is_due(self, now: float) -> bool:
        """True if it is time for `update`."""
        return now - self._last.now >= INTERVAL_S

    def update(self, reading: Reading) -> None:
        """Learn what has happened since the last reading."""
        last, self._last = self._last, reading
        took_s, calls = reading.now - last.now, reading.calls - last.calls
        if took_s > INTERVAL_S_MAX or not calls:
            self.in_one = False
            return
        cpu_s = reading.cpu_s - last.cpu_s
        wanted = (cpu_s + reading.cpu_wait_s - last.cpu_wait_s) / took_s
        filled = (reading.calls_s - last.calls_s) / took_s
        if wanted < IDLE or cpu_s / took_s > PARALLEL:
            self.in_one = False
        elif not self.in_one:
            if wanted >= SATURATED and reading.now >= max(self._again_at, self._slow_until):
                self.in_one, self._spread_cost_s = True, cpu_s / calls
        elif filled > FILLED and wanted < SATURATED:
            self._failed(reading.now)
        elif self._spread_cost_s is not None:
            if cpu_s / calls > COST_MAX * self._spread_cost_s:
                self._failed(reading.now)
            else:
                self._trial_s = AFTER_TRIAL_S
            self._spread_cost_s = None

    def spread(self, now: float) -> None:
        """Spread calls for a while: one is slow, or other workers count idle threads."""
        self.in_one = False
        if now >= self._slow_until:
            soon = now < self._slow_until + SOON_S
            self._slow_s = min(AFTER_SLOW_S_MAX, 2 * self._slow_s) if soon else AFTER_SLOW_S
            self._slow_until = now + self._slow_s

    def _failed(self, now: float) -> None:
        self.in_one = False
        self._again_at = now + self._trial_s
        self._trial_s = min(AFTER_TRIAL_S_MAX, 2 * self._trial_s)
