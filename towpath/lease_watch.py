"""Which workers of a `serve` are frozen: they run, and have no lease.

A worker whose event loop is blocked keeps its lease, and ends itself (worker/departure.py). One that is stopped by a signal, or in a
call in C that holds the interpreter lock, cannot: it is for `serve` to kill it.

* While Redis is away nobody has a lease. So workers are judged only while an interface server of the same `serve` has its own.
* A process that has never had a lease is starting, and has the time of a successor (fleet_slot.py).

No process is touched here: facts and `now` in, what to do out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from towpath.fleet_slot import START_PATIENCE_S

TOLD_AFTER_S = 5.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """The processes to kill now, and what to tell people."""

    kill: tuple[int, ...] = ()
    say: tuple[str, ...] = ()


@dataclass(slots=True)
class Absence:
    """The time in which one process has no lease."""

    since: float
    told: bool = False
    killed: bool = False


@dataclass(slots=True)
class LeaseWatch:
    """The workers of one `serve`. timeout_s: how long one may be frozen; 0: any time."""

    timeout_s: float
    _have_stood: set[int] = field(default_factory=set)
    _absences: dict[int, Absence] = field(default_factory=dict)

    def look(self, workers: Mapping[str, int], interfaces: Iterable[int], ready: frozenset[int], now: float) -> Verdict:
        """workers, interfaces: the processes that run. ready: those that have a lease."""
        self._keep(frozenset(workers.values()))
        can_be_judged = not ready.isdisjoint(interfaces)
        kill, say = [], []
        for name, pid in workers.items():
            if pid in ready:
                self._have_stood.add(pid)
                absence = self._absences.pop(pid, None)
                if absence is not None and absence.told:
                    say.append(f"{name} has its lease again")
            elif not can_be_judged:
                self._absences.pop(pid, None)
            elif text := self._judge(name, pid, self._absences.setdefault(pid, Absence(now)), now):
                say.append(text)
                if self._absences[pid].killed:
                    kill.append(pid)
        return Verdict(tuple(kill), tuple(say))

    def _keep(self, pids: frozenset[int]) -> None:
        self._have_stood &= pids
        for pid in self._absences.keys() - pids:
            del self._absences[pid]

    def _judge(self, name: str, pid: int, absence: Absence, now: float) -> str:
        """What is to be said of a process without a lease, if anything new is."""
        stood = pid in self._have_stood
        limit_s = self.timeout_s if stood else max(self.timeout_s, START_PATIENCE_S)
        if self.timeout_s and now - absence.since >= limit_s and not absence.killed:
            absence.killed = True
            what = "had no lease" if stood else "was not ready"
            return f"{name} {what} for {limit_s:g} s: killed, and started again (--worker-timeout)"
        if stood and now - absence.since >= TOLD_AFTER_S and not absence.told:
            absence.told = True
            then = f"killed after {self.timeout_s:g} s" if self.timeout_s else "--worker-timeout is off"
            return f"{name} has no lease: it is frozen, or a call in C holds its interpreter ({then})"
        return ""
