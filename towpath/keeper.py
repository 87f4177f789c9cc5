"""What `serve` makes of the news about its processes: when to give up, and whom to start again.

supervisord starts again what dies. That is right for what once worked, and wrong for what never can; only whoever watches the
beginning can tell the two apart. No process is touched here. How workers are replaced: fleet.py.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

#: What supervisord logs when a process has gone that it did not stop. It tells the signal nowhere else.
GONE = re.compile(rb"exited: (\S+) \((?:exit status (\d+)|terminated by (\w+))")

PAUSE_MIN_S, PAUSE_MAX_S = 1.0, 10.0  #: before somebody who cannot start is tried again: doubled each time
LIVED_LONG_S = 60.0


@dataclass(frozen=True, slots=True)
class Process:
    """One slot, in supervisord's words for its state."""

    name: str
    state: str
    pid: int = 0
    cannot_start: bool = False  #: it said so itself
    sentence: str = ""  #: why, if it said that too
    wish: str = ""  #: why it asks for its successor, if it does
    end: str = ""  #: how it left, if it did

    @property
    def failed(self) -> bool:
        """Of a process that is starting: trying again will not help, or supervisord has tried often enough.

        EXITED: it lived for longer than supervisord counts the tries (`startsecs`), who would never stop trying.
        """
        return self.state in ("FATAL", "EXITED") or (self.state == "BACKOFF" and self.cannot_start)

    @property
    def has_ended(self) -> bool:
        """Of a process that is starting: it has left, at least once. supervisord may be about to try again."""
        return self.failed or self.state == "BACKOFF"

    @property
    def why_not(self) -> str:
        """One sentence about its failure."""
        if self.cannot_start or not self.end:
            return f"{self.name} could not start{f': {self.sentence}' if self.sentence else ''}"
        return f"{self.name} {self.end} while it started"


@dataclass(slots=True)
class Newcomer:
    """One process at the beginning, as far as it was seen."""

    pid: int = 0  #: as it ran first; 0: it was not seen to run
    stood: bool = False  #: it held a lease: it has started, whatever becomes of it
    unheard: bool = False  #: it has gone, and how was not said by then

    def has_gone(self, process: Process) -> bool:
        """It may have died and live again between two looks: its number tells."""
        if process.failed or self.pid not in (0, process.pid):
            return True
        if process.state == "RUNNING":
            self.pid = process.pid
        return False


class Beginning:
    """The time until all processes stand."""

    def __init__(self) -> None:
        self._newcomers: defaultdict[str, Newcomer] = defaultdict(Newcomer)
        self._ends: dict[str, str] = {}

    def hear(self, said: bytes) -> None:
        """What supervisord logs. From any thread."""
        self._ends.update(ends(said))

    def failure(
        self, processes: Mapping[str, Process], wanted: Iterable[str], ready: frozenset[int] = frozenset()
    ) -> str | None:
        """Why the beginning has failed, in one sentence; None while it has not. ready: numbers of those who hold a lease.

        supervisord's answer may overtake what it logged before: how a process left is waited for until the next look.
        """
        for process in [processes[name] for name in wanted if name in processes]:
            newcomer = self._newcomers[process.name]
            newcomer.stood = newcomer.stood or process.pid in ready
            if not newcomer.stood and newcomer.has_gone(process):
                end = self._ends.get(process.name)
                if end or process.cannot_start or newcomer.unheard:
                    return replace(process, end=end or process.end or "ended").why_not
                newcomer.unheard = True
        return None


def ends(said: bytes) -> dict[str, str]:
    """How processes left, by their names, as supervisord logs it."""
    return {
        name.decode(): f"left with exit status {status.decode()}" if status else f"was ended by {signal.decode()}"
        for name, status, signal in GONE.findall(said)
    }


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


class Retries:
    """When those are started again whom supervisord has given up: with growing pauses, since an import may cost a core."""

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
