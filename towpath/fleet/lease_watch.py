"""Which processes of a `serve` are frozen: they run, and have no lease. Workers are killed then; interface servers are only reported.

A worker whose event loop is blocked keeps its lease, and ends itself (worker/lifecycle/shutdown_deadline.py). One that is stopped
by a signal, or in a call in C that holds the interpreter lock, cannot: it is for `serve` to kill it.

* While Redis is away no process has a lease. So a process is judged only while another one of the same `serve` has its own.
* A process that has never had a lease is starting, and has the time of a successor (slot.py).

No process is touched here: facts and `now` in, decisions out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from towpath.fleet.slot import START_TIMEOUT_S

REPORTED_AFTER_S = 5.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """The processes to kill now, and the lines to log: what is wrong, and what is in order again."""

    kill: tuple[int, ...] = ()
    warnings: tuple[str, ...] = ()
    recoveries: tuple[str, ...] = ()


class LeaseStage(Enum):
    """The last step that was taken against one process without a lease."""

    UNREPORTED = auto()
    REPORTED = auto()
    KILLED = auto()


#: Every legal move.
MOVES = {
    LeaseStage.UNREPORTED: (LeaseStage.REPORTED, LeaseStage.KILLED),
    LeaseStage.REPORTED: (LeaseStage.KILLED,),
    LeaseStage.KILLED: (),
}


@dataclass(slots=True)
class LeaseAbsence:
    """The time in which one process has no lease."""

    since: float
    stage: LeaseStage = LeaseStage.UNREPORTED

    def reach(self, stage: LeaseStage) -> bool:
        """Take this step. False if it was taken before, or is behind one that was."""
        if stage not in MOVES[self.stage]:
            return False
        self.stage = stage
        return True


@dataclass(slots=True)
class LeaseWatch:
    """The processes of one `serve`. timeout_s: how long a worker may be frozen; 0: for any time."""

    timeout_s: float
    _were_ready: set[int] = field(default_factory=set, init=False)
    _absences: dict[int, LeaseAbsence] = field(default_factory=dict, init=False)

    def set_timeout(self, timeout_s: float) -> None:
        """Let a worker be frozen for so long from now on."""
        self.timeout_s = timeout_s

    def poll(
        self, workers: Mapping[str, int], interfaces: Mapping[str, int], ready: frozenset[int], now: float
    ) -> Verdict:
        """The processes to kill and the lines to log now. workers, interfaces: the processes that run. ready: those that have a lease."""
        processes = {**workers, **interfaces}
        self._keep(frozenset(processes.values()))
        kill, warnings, recoveries = [], [], []
        for name, pid in processes.items():
            if pid in ready:
                recoveries += self._has_lease(name, pid)
            elif ready.isdisjoint(processes.values()):
                self._absences.pop(pid, None)
            elif text := self._judge(name, pid, self.timeout_s if name in workers else 0.0, now):
                warnings.append(text)
                if self._absences[pid].stage is LeaseStage.KILLED:
                    kill.append(pid)
        return Verdict(tuple(kill), tuple(warnings), tuple(recoveries))

    def _keep(self, pids: frozenset[int]) -> None:
        self._were_ready &= pids
        for pid in self._absences.keys() - pids:
            del self._absences[pid]

    def _has_lease(self, name: str, pid: int) -> list[str]:
        self._were_ready.add(pid)
        absence = self._absences.pop(pid, None)
        was_reported = absence is not None and absence.stage is not LeaseStage.UNREPORTED
        return [f"{name} has its lease again"] if was_reported else []

    def _judge(self, name: str, pid: int, timeout_s: float, now: float) -> str:
        """The line to log about a process without a lease; empty if there is nothing new.

        timeout_s: 0: it is not killed.
        """
        absence = self._absences.setdefault(pid, LeaseAbsence(now))
        was_ready = pid in self._were_ready
        limit_s = timeout_s if was_ready else max(timeout_s, START_TIMEOUT_S)
        if timeout_s and now - absence.since >= limit_s and absence.reach(LeaseStage.KILLED):
            what = "had no lease" if was_ready else "was not ready"
            return f"{name} {what} for {limit_s:g} s: killed, and started again (--worker-timeout)"
        if was_ready and now - absence.since >= REPORTED_AFTER_S and absence.reach(LeaseStage.REPORTED):
            then = f"; it is killed after {timeout_s:g} s" if timeout_s else ""
            return f"{name} has no lease: it is frozen, or a call in C holds its interpreter{then}"
        return ""
