"""Decides whether a signal to stop is the first one, an echo of it, or an impatient person's.

Signals come again without impatience. A service manager signals every process of a service (systemd by default, `kill` of a
process group); a supervisor among those signals each of its processes again, the last of them half a minute later; a wrapper such
as npm repeats the Ctrl-C that the terminal has sent to the whole group. So a further signal is an echo if it is the same one
shortly after the first, or SIGTERM below a supervisor, at any time. SIGHUP means that a terminal has gone, and never impatience;
a signal shortly after it has the same reason.

No I/O: the caller passes `now` (monotonic seconds).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

SIGHUP, SIGINT, SIGTERM = 1, 2, 15  #: on every system
ECHO_S = {SIGTERM: 2.0, SIGINT: 0.1}  #: no person presses Ctrl-C twice as fast


class Meaning(Enum):
    """The meaning of a signal that asks a process to stop."""

    STOP = auto()
    ECHO = auto()  # nothing new
    AT_ONCE = auto()


@dataclass(slots=True)
class StopRequests:
    """The stop signals of one process. supervised: a supervisor stops it by SIGTERM."""

    supervised: bool = False
    _first: int = field(default=0, init=False)
    _first_at: float = field(default=0.0, init=False)

    def receive(self, number: int, now: float) -> Meaning:
        """Classify a SIGTERM, SIGINT or SIGHUP that has arrived."""
        if not self._first:
            self._first, self._first_at = number, now
            return Meaning.STOP
        if number == SIGHUP or (number == SIGTERM and self.supervised):
            return Meaning.ECHO
        repeated = self._first in (number, SIGHUP) and now - self._first_at < ECHO_S[number]
        return Meaning.ECHO if repeated else Meaning.AT_ONCE
