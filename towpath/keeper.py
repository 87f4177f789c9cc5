"""What `serve` makes of the news about its processes: when to give up, and whom to start again.

supervisord starts again what dies. That is right for what once worked, and wrong for what never can; only whoever watches the
beginning can tell the two apart. No process is touched here. How workers are replaced: fleet.py.
"""

from __future__ import annotations

import re
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


class Beginning:
    """The time until all processes stand. A process may die and live again between two looks: its number tells."""

    def __init__(self) -> None:
        self._running: dict[str, int] = {}
        self._ends: dict[str, str] = {}
        self._unheard: set[str] = set()  # who has gone, and how was not yet said
        self._stood: set[str] = set()

    def hear(self, said: bytes) -> None:
        """What supervisord logs. From any thread."""
        self._ends.update(ends(said))

    def failure(
        self, processes: Mapping[str, Process], wanted: Iterable[str], ready: frozenset[int] = frozenset()
    ) -> str | None:
        """Why the beginning has failed, in one sentence; None while it has not.

        ready: numbers of those who hold a lease. Whoever held one has started, whatever becomes of it.
        supervisord's answer may overtake what it logged before: how a process left is waited for until the next look.
        """
        for name in wanted:
            process = processes.get(name)
            if process is None:
                continue
            if process.pid in ready:
                self._stood.add(name)
            if name not in self._stood and self._has_gone(process):
                if process.cannot_start or name in self._ends or name in self._unheard:
                    return replace(process, end=self._ends.get(name) or process.end or "ended").why_not
                self._unheard.add(name)
        return None

    def _has_gone(self, process: Process) -> bool:
        if process.failed or self._running.get(process.name, process.pid) != process.pid:
            return True
        if process.state == "RUNNING":
            self._running[process.name] = process.pid
        return False


def ends(said: bytes) -> dict[str, str]:
    """How processes left, by their names, as supervisord logs it."""
    return {
        name.decode(): f"left with exit status {status.decode()}" if status else f"was ended by {signal.decode()}"
        for name, status, signal in GONE.findall(said)
    }


class Retries:
    """When those are started again whom supervisord has given up: with growing pauses, since an import may cost a core."""

    def __init__(self) -> None:
        self._pauses_s: dict[str, float] = {}
        self._due: dict[str, float] = {}
        self._started: dict[str, float] = {}

    def due(self, lost: Iterable[str], now: float) -> list[str]:
        """Those of `lost` whose pause is over; they will be started now. Who was not lost for a minute begins anew."""
        found = []
        for name in lost:
            if name not in self._due:
                self._due[name] = now + self._pause_s(name, now)
            if now >= self._due[name]:
                del self._due[name]
                self._started[name] = now
                found.append(name)
        return found

    def excuse(self, lost: Iterable[str], now: float) -> None:
        """It was not their doing: they are tried at once, as if it were the first time, when that is over."""
        for name in lost:
            self._due[name] = now
            self._pauses_s.pop(name, None)

    def _pause_s(self, name: str, now: float) -> float:
        lived_long = now - self._started.get(name, now) > LIVED_LONG_S
        last_s = 0.0 if lived_long else self._pauses_s.get(name, 0.0)
        self._pauses_s[name] = min(PAUSE_MAX_S, max(PAUSE_MIN_S, 2 * last_s))
        return self._pauses_s[name]


def lost(processes: Mapping[str, Process], wanted: Iterable[str]) -> list[str]:
    """Those of `wanted` that supervisord has given up."""
    return [name for name in wanted if name in processes and processes[name].state == "FATAL"]
