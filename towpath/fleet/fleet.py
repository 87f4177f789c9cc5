"""The number of processes of one kind, and how each is replaced by its successor while the others work.

Think of relay runners on a track that is never empty: the next one runs before the last one stops. Each process has a slot
(slot.py), and every poll moves some of them on.

* Successors come one at a time: started, seen with a lease, and only then is the old process asked to leave. The next step
  waits until the old one has gone, but not for long: a worker may finish old connections for half a minute.
* A successor that ends while it starts ends the whole job, and the processes that are not replaced yet stay. It is not tried again:
  the others serve meanwhile, and the person that asked for it is to know.
* A command to supervisord is repeated at the next poll until it has been carried out.

No process is touched here: facts and `now` in, commands out. PROTOCOL.md, P7.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from towpath.fleet.slot import START_TIMEOUT_S, Slot, SlotState
from towpath.supervisord.process import Process

LEAVE_TIMEOUT_S = 5.0  #: how long the next successor waits until the process before it has gone
REQUESTS_IGNORED_S = 30.0  #: how long requests for a replacement are ignored after a successor could not start

GONE = frozenset({"STOPPED", "FATAL"})  #: EXITED is not: supervisord starts it again
CAN_BE_STOPPED = frozenset({"STARTING", "RUNNING", "BACKOFF"})


@dataclass(frozen=True, slots=True)
class Commands:
    """The processes to start and to stop now, and the lines to log: what goes well, and what has failed."""

    start: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()
    log: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()


@dataclass(slots=True)
class Job:
    """A change that was asked for. It is over when all of `to_leave` have gone and there are `count` processes, or when it failed."""

    to_leave: set[Slot] = field(default_factory=set)
    count: int | None = None
    failure: str = ""
    over: bool = False

    def fail(self, why: str) -> None:
        """Note that it will not be done, and why."""
        self.failure, self.over = why, True


class Fleet:
    """The slots of one program."""

    def __init__(self, slots: Sequence[str], count: int, count_min: int = 0, count_max: int | None = None) -> None:
        """The first `count` of `slots` are to be alive. count_min, count_max: the limits of `scale`."""
        self.count_min = count_min
        self.count_max = len(slots) if count_max is None else count_max
        self._slots = {
            name: Slot(name=name, state=SlotState.CURRENT if rank < count else SlotState.IDLE, rank=rank)
            for rank, name in enumerate(slots)
        }
        self._ranks = itertools.count(len(slots))
        self._count = count
        self._old: list[Slot] = []  # to be replaced, in this order
        self._jobs: list[Job] = []
        self._requests_ignored_until = 0.0

    @property
    def busy(self) -> bool:
        """True if a change is under way, which ought to be polled often."""
        return bool(self._all(SlotState.STARTING) or self._old or self._jobs)

    @property
    def awaits_leases(self) -> bool:
        """True if the next poll has to know which processes are ready."""
        return bool(self._all(SlotState.STARTING))

    @property
    def count(self) -> int:
        """How many processes there ought to be."""
        return self._count

    def allows(self, count: object) -> bool:
        """True if `scale` may ask for this number."""
        return type(count) is int and self.count_min <= count <= self.count_max

    @property
    def current(self) -> list[str]:
        """The slots that ought to be alive and to stay."""
        return [slot.name for slot in self._all(SlotState.CURRENT)]

    def still_here(self, job: Job) -> bool:
        """True if a process of `job` has no successor yet. One that has may still be leaving."""
        return not job.over and any(slot.state is not SlotState.LEAVING for slot in job.to_leave)

    def waits_for_first_successor(self, job: Job) -> bool:
        """True if no process of `job` has a successor yet."""
        return not job.over and all(slot.state is not SlotState.LEAVING for slot in job.to_leave)

    def _all(self, state: SlotState) -> list[Slot]:
        return sorted((slot for slot in self._slots.values() if slot.state is state), key=lambda slot: slot.rank)

    @property
    def _additional(self) -> list[Slot]:
        """The starting slots that replace no other."""
        return [slot for slot in self._all(SlotState.STARTING) if slot.instead_of is None]

    @property
    def _expected(self) -> int:
        """How many processes there will be if nothing more is started or stopped."""
        return len(self._all(SlotState.CURRENT)) + len(self._additional)

    # -- what is asked for

    def replace_all(self) -> Job:
        """Replace every process that is here now, also those that are just starting."""
        here = [*self._all(SlotState.CURRENT), *self._all(SlotState.STARTING)]
        self._old += [slot for slot in here if slot not in self._old]
        return self._take(Job(to_leave=set(here)))

    def request_replacement(self, name: str, now: float) -> bool:
        """Replace one process at its own request. False if it is queued already, or if requests are ignored now."""
        slot = self._slots[name]
        if slot.state is not SlotState.CURRENT or slot in self._old or now < self._requests_ignored_until:
            return False
        self._old.append(slot)
        return True

    def scale(self, count: int) -> Job:
        """Have this number of processes from now on. An earlier call that is not fulfilled yet fails."""
        self._fail_scaling("another number was asked for meanwhile")
        self._count = count
        surplus = self._expendable()[: max(0, self._expected - count)]
        for slot in surplus:
            self._leave(slot)
        return self._take(Job(to_leave=set(surplus), count=count))

    def _expendable(self) -> list[Slot]:
        """The slots to stop when scaling down: starting ones first, then those due for replacement, then the newest."""
        current = self._all(SlotState.CURRENT)
        old = [slot for slot in self._old if slot in current]
        staying = [slot for slot in current if slot not in old]
        return [*self._additional[::-1], *old[::-1], *staying[::-1]]

    def _take(self, job: Job) -> Job:
        self._jobs.append(job)
        return job

    # -- polling

    def advance(self, processes: Mapping[str, Process], ready: frozenset[int], now: float) -> Commands:
        """The next step. ready: numbers of the processes of this machine that hold a lease."""
        states = {name: process.state for name, process in processes.items()}
        lines, failures = self._poll_starting(processes, ready, now)
        self._poll_leaving(states)
        again = [slot.name for slot in self._all(SlotState.STARTING) if states.get(slot.name) == "STOPPED"]
        started = self._start_next(now)
        self._end_jobs()
        to_stop = [slot.name for slot in self._all(SlotState.LEAVING) if states.get(slot.name) in CAN_BE_STOPPED]
        return Commands((*again, *started), tuple(sorted(to_stop)), tuple(lines), tuple(failures))

    def _poll_starting(
        self, processes: Mapping[str, Process], ready: frozenset[int], now: float
    ) -> tuple[list[str], list[str]]:
        lines: list[str] = []
        failures: list[str] = []
        for slot in self._all(SlotState.STARTING):
            process = processes.get(slot.name)
            if process is None:
                continue
            if failure_sentence := slot.failure_sentence(process, now):
                failures.append(self._give_up(slot, failure_sentence, now))
            elif process.pid in ready:
                lines.append(self._serves(slot, now))
        return lines, failures

    def _serves(self, slot: Slot, now: float) -> str:
        old = slot.instead_of
        if old is None:
            slot.move(SlotState.CURRENT, rank=next(self._ranks))
            return f"{slot.name} serves"
        if old.state is not SlotState.CURRENT:  # it was stopped meanwhile, so its successor is not needed
            self._leave(slot)
            return f"{slot.name} is not needed any more"
        slot.move(SlotState.CURRENT, rank=old.rank)
        self._leave(old, until=now + LEAVE_TIMEOUT_S)
        return f"{slot.name} serves, {old.name} leaves"

    def _give_up(self, slot: Slot, why: str, now: float) -> str:
        self._leave(slot)
        if slot.instead_of is None:
            self._count = self._expected  # what started beside it may stay
            self._fail_scaling(why)
            return why
        sentence = f"{why}; the old ones stay"
        for job in self._jobs:
            if job.count is None and self.still_here(job):
                job.fail(sentence)
        self._old.clear()
        self._requests_ignored_until = now + REQUESTS_IGNORED_S
        return sentence

    def _fail_scaling(self, why: str) -> None:
        for job in self._jobs:
            if job.count is not None:
                job.fail(why)

    def _leave(self, slot: Slot, until: float = 0.0) -> None:
        slot.move(SlotState.LEAVING, until=until)
        if slot in self._old:
            self._old.remove(slot)

    def _poll_leaving(self, states: Mapping[str, str]) -> None:
        for slot in self._all(SlotState.LEAVING):
            if states.get(slot.name) in GONE:
                slot.move(SlotState.IDLE)
                for job in self._jobs:
                    job.to_leave.discard(slot)

    def _start_next(self, now: float) -> list[str]:
        """Start what is due in the first idle slots. Without an idle slot it is tried again at the next poll."""
        to_fill: list[Slot | None] = [None] * (self._count - self._expected)
        if self._may_replace(now):
            to_fill += [slot for slot in self._old if slot.state is SlotState.CURRENT][:1]
        idle = [slot for slot in self._slots.values() if slot.state is SlotState.IDLE]
        started = list(zip(idle, to_fill, strict=False))
        for slot, instead_of in started:
            slot.move(SlotState.STARTING, rank=next(self._ranks), until=now + START_TIMEOUT_S)
            slot.instead_of, slot.pid = instead_of, 0
        return [slot.name for slot, _ in started]

    def _may_replace(self, now: float) -> bool:
        """True if no successor is starting, and the predecessor of the last one has gone or has had its time."""
        starting, leaving = self._all(SlotState.STARTING), self._all(SlotState.LEAVING)
        return all(slot.instead_of is None for slot in starting) and all(slot.until <= now for slot in leaving)

    def _end_jobs(self) -> None:
        for job in self._jobs:
            if not job.to_leave and (job.count is None or len(self.current) >= job.count):
                job.over = True
        self._jobs = [job for job in self._jobs if not job.over]
