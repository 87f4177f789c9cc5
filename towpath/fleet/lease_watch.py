"""Which processes of a `serve` are frozen: they run, and have no lease. Workers are killed then, interface servers only told of.

A worker whose event loop is blocked keeps its lease, and ends itself (worker/lifecycle/shutdown_deadline.py). One that is stopped
by a signal, or in a
call in C that holds the interpreter lock, cannot: it is for `serve` to kill it.

* While Redis is away nobody has a lease. So a process is judged only while another one of the same `serve` has its own.
* A process that has never had a lease is starting, and has the time of a successor (slot.py).

No process is touched here: facts and `now` in, what to do out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from towpath.fleet.slot import START_PATIENCE_S

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

    def set_timeout(self, timeout_s: float) -> None:
        """A worker may be frozen for so long from now on."""
        self.timeout_s = timeout_s

    def look(
        self, workers: Mapping[str, int], interfaces: Mapping[str, int], ready: frozenset[int], now: float
    ) -> Verdict:
        """workers, interfaces: the processes that run. ready: those that have a lease."""
        self._keep(frozenset((*workers.values(), *interfaces.values())))
        processes = {**workers, **interfaces}
        kill, say = [], []
        for name, pid in processes.items():
            if pid in ready:
                self._have_stood.add(pid)
                absence = self._absences.pop(pid, None)
                if absence is not None and absence.told:
                    say.append(f"{name} has its lease again")
            elif ready.isdisjoint(processes.values()):
                self._absences.pop(pid, None)
            elif text := self._judge(name, pid, self.timeout_s if name in workers else 0.0, now):
                say.append(text)
                if self._absences[pid].killed:
                    kill.append(pid)
        return Verdict(tuple(kill), tuple(say))

    def _keep(self, pids: frozenset[int]) -> None:
        self._have_stood &= pids
        for pid in self._absences.keys() - pids:
            del self._absences[pid]

    def _judge(self, name: str, pid: int, timeout_s: float, now: float) -> str:
        """What is to be said of a process without a lease, if anything new is. timeout_s: 0: it is not killed."""
        absence = self._absences.setdefault(pid, Absence(now))
        stood = pid in self._have_stood
        limit_s = timeout_s if stood else max(timeout_s, START_PATIENCE_S)
        if timeout_s and now - absence.since >= limit_s and not absence.killed:
            absence.killed = True
            what = "had no lease" if stood else "was not ready"
            return f"{name} {what} for {limit_s:g} s: killed, and started again (--worker-timeout)"
        if stood and now - absence.since >= TOLD_AFTER_S and not absence.told:
            absence.told = True
            then = f"; it is killed after {timeout_s:g} s" if timeout_s else ""
            return f"{name} has no lease: it is frozen, or a call in C holds its interpreter{then}"
        return ""
